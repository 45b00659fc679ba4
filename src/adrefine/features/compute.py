"""Images through a frozen network: on threads of this process, or on the workers of a cluster."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch

from adrefine.backbones.engine import Engine
from adrefine.errors import UserError
from adrefine.features.extract import read_image
from adrefine.io import Damaged
from adrefine.runtime import cluster
from adrefine.runtime.threads import in_order, workers

_BATCH = {"cpu": 1, "cuda": 16}
_PIECE = 256  # images that a worker computes at a time: some seconds, and a few MB of results


class Network(Protocol):
    """What turns images into arrays of one `shape`: a frozen backbone and what is made of its maps."""

    engine: Engine
    device: torch.device
    shape: tuple[int, ...]

    def extract(self, images: torch.Tensor) -> np.ndarray:
        """Arrays (b, *shape) float16 of images (b, 1 or 3, h, w) in 0..1."""


Make = Callable[[], Network]  # a partial of a class: workers call it, too
Photo = tuple[str, Path]  # digest of the file's content, and the file


class Spoiled(NamedTuple):
    """In the place of an array: why there is none, and what to do."""

    message: str


Made = list[tuple[str, np.ndarray | Spoiled]]  # by the digest


_networks: dict[str, Network] = {}  # of a worker: the one that it made last, by what decides its arrays


def computed(photos: list[Photo], make: Make, network: Network, config: str) -> Iterator[Made]:
    """Arrays of `photos`, some at a time; one that cannot be read, or ends its workers, spoils no other.

    Args:
        network: what `make` made here. config: what decides its arrays, see `embed.configuration`.
    """
    if not cluster.joined():
        yield from _here(network, photos)
        return
    pieces, shared = (
        [photos[start : start + _PIECE] for start in range(0, len(photos), _PIECE)],
        (make, config),
    )
    lost: list[Photo] = []
    for place, made in cluster.each(_on_worker, pieces, "embed", shared):
        if isinstance(made, cluster.Lost):
            lost += pieces[place]
        else:
            yield made
    remedy = "give the workers more memory, or take the photo out of dataset.root"
    singles = [[photo] for photo in lost]  # to find the one that is to blame
    for place, made in cluster.each(_on_worker, singles, "embed alone", shared, alone=True):
        if isinstance(made, cluster.Lost):
            digest, path = lost[place]
            made = [(digest, Spoiled(f"{path}: {made.why}: {remedy}"))]
        yield made


def _on_worker(shared: tuple[Make, str], photos: list[Photo]) -> Made:
    make, config = shared
    if config not in _networks:
        network = make()
        if not config.endswith(own := kind(network)):
            raise UserError(
                f"a worker on {socket.gethostname()} computes with {own}, the stage otherwise: have the same "
                "packages and kind of device on all machines, or set runtime.engine and runtime.precision"
            )
        _networks.clear()
        _networks[config] = network
    return [one for made in _here(_networks[config], photos) for one in made]


def kind(network: Network) -> str:
    """Device and engine: networks of one kind agree."""
    return f"{network.device.type} {network.engine.name}"


def _here(network: Network, photos: list[Photo]) -> Iterator[Made]:
    """Send batches through a few threads, each with one CPU core or a share of the GPU.

    On a CPU, threads of one core each never wait for each other inside a layer: as fast as one network on all
    cores when the machine is idle, several times faster when it is not.
    """
    size = _BATCH[network.device.type]
    jobs = (photos[start : start + size] for start in range(0, len(photos), size))
    with workers(on_gpu=2) as pool:
        yield from in_order(pool, partial(_arrays, network), jobs)


def _arrays(network: Network, photos: list[Photo]) -> Made:
    """Arrays of one batch; images of one shape go through together."""
    read, paths = [(digest, _read(path)) for digest, path in photos], dict(photos)
    made: Made = [(digest, image) for digest, image in read if isinstance(image, Spoiled)]
    images = [(digest, image) for digest, image in read if isinstance(image, torch.Tensor)]
    for shape in sorted({image.shape for _, image in images}):
        members = [(digest, image) for digest, image in images if image.shape == shape]
        batch = torch.stack([image for _, image in members])
        batch = batch.pin_memory() if network.device.type == "cuda" else batch
        rows = zip([digest for digest, _ in members], network.extract(batch), strict=True)
        made += [(digest, row if np.isfinite(row).all() else _endless(paths[digest])) for digest, row in rows]
    return made


def _endless(path: Path) -> Spoiled:
    return Spoiled(
        f"{path}: the backbone gives numbers that are none, or too large for 16 bits: set "
        "runtime.precision to f32, or choose another embed.backbone"
    )


def _read(path: Path) -> torch.Tensor | Spoiled:
    try:
        return read_image(path)
    except (OSError, ValueError, SyntaxError) as error:  # SyntaxError: how Pillow calls a broken PNG
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk or the network, not the photo
        return Spoiled(str(Damaged(path, " ".join(str(error).split())[:80])))
