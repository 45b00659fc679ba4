"""Networks of other libraries behind one interface; `embed.backbone` names them `<library>/<network>`."""

from __future__ import annotations

import difflib
import importlib
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from adrefine.backbones.base import Backbone, chosen, read_weights
from adrefine.errors import UserError

WEIGHTS = "weights.safetensors"


@dataclass(frozen=True)
class Level:
    """A place in a network where maps can be read: their channels, and pixels of the image to one of them."""

    channels: int
    stride: int


class LibraryNet(Backbone):
    """A network of another library that gives maps of chosen levels, counted from 0.

    Where strides grow, `deep` and `early` are the last levels of their strides. Where all are alike (a vision
    transformer), deep is two thirds of the way and the end, early one third of the way, too.

    Attributes:
        net: the library's own network.
        levels: all that it can give.
        multiple: image sides must be a multiple of it; they are resized to the nearest.
        side: the only size of image that it takes, to which all are resized; 0: any.
    """

    net: Any
    levels: tuple[Level, ...]
    layers: tuple[int, ...]
    multiple = 1
    side = 0

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    @abstractmethod
    def at(self, images: torch.Tensor, levels: tuple[int, ...]) -> list[torch.Tensor]:
        """Maps [(b, c_i, h_i, w_i)] of these levels, ascending, of normalized images (b, 3, h, w)."""

    def offer(self, levels: Iterable[Level]) -> None:
        """Say which levels there are; the maps of the deep ones are returned from now on."""
        self.levels = tuple(levels)
        self.deep, self.early = _deep([level.stride for level in self.levels])
        self.choose(self.deep)

    def choose(self, blocks: tuple[int, ...]) -> None:
        """See `Backbone.choose`; blocks are levels."""
        self.layers, self.channels = chosen(blocks, [level.channels for level in self.levels], self.name)

    def maps(self, images: torch.Tensor) -> list[torch.Tensor]:
        height, width = (self._fitting(side) for side in images.shape[-2:])
        if images.shape[-2:] != (height, width):
            images = F.interpolate(
                images, (height, width), mode="bilinear", antialias=True, align_corners=False
            )
        return self.at(images, self.layers)

    def _fitting(self, side: int) -> int:
        return self.side or max(1, round(int(side) / self.multiple)) * self.multiple  # traced: a tensor

    def write(self, folder: Path) -> Path:
        """Write the network's weights, and what else `create` needs beside them; the weights' file."""
        from safetensors.torch import save_file

        state = {name: value.contiguous() for name, value in sorted(self.net.state_dict().items())}
        save_file(state, folder / WEIGHTS)
        return folder / WEIGHTS


def _deep(strides: list[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Levels that are `deep` and `early`."""
    count = len(strides)
    last = {stride: place for place, stride in enumerate(strides)}
    thirds = [max(0, round(count * part / 3) - 1) for part in (1, 2, 3)]
    if len(last) == 1:
        return tuple(sorted({*thirds[1:]})), tuple(sorted({*thirds}))
    ends = sorted(last.values())
    deep = [last[stride] for stride in (16, 32) if stride in last]
    early = [last[stride] for stride in (4, 8, 16) if stride in last]
    return tuple(deep if len(deep) == 2 else ends[-2:]), tuple(early if len(early) == 3 else ends[-3:])


def package(library: str, backbone: str) -> Any:
    """The library.

    Raises:
        UserError: it is not installed.
    """
    try:
        return importlib.import_module(library)
    except ImportError as error:
        raise UserError(
            f"embed.backbone = {backbone} needs {library} ({error}): pip install 'adrefine[{library}]'"
        ) from None


def refuse_unknown(backbone: str, known: Iterable[str]) -> None:
    """Refuse a network that its library does not have."""
    library, _, name = backbone.partition("/")
    names = list(known)
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean `{library}/{near[0]}`?" if near else f"{library} lists its networks"
        raise UserError(f"embed.backbone = {backbone}: {library} has no such network: {hint}")


@contextmanager
def downloading(backbone: str) -> Iterator[None]:
    """Turn whatever a library raises when it cannot fetch weights into one line with the remedy."""
    try:
        yield
    except Exception as error:
        reason = " ".join((str(error) or type(error).__name__).split())[:200]
        raise UserError(
            f"embed: the weights of {backbone} are not on this machine and could not be downloaded "
            f"({reason}). Set embed.weights to a local file, or choose efficientnet_lite1, which needs no "
            "download"
        ) from None


def fill(net: torch.nn.Module, file: Path, backbone: str, heads: tuple[str, ...] = ()) -> None:
    """Load a file of weights into a network.

    Args:
        heads: what the names of weights start with that the network does without: its classifier's.

    Raises:
        UserError: the file has no weights, or not those of this network.
    """
    what, state = f"embed.weights: {file} does not fit {backbone}", _plain(read_weights(file))
    try:
        told = net.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise UserError(f"{what}: {_reason(error)}") from None
    odd = [f"it has no {name}" for name in told.missing_keys]
    odd += [f"it has {name}" for name in told.unexpected_keys if not name.startswith(heads or ("\0",))]
    if odd:
        raise UserError(f"{what}: {odd[0]}")


def _plain(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Without what `DataParallel` puts before all names."""
    return {name.removeprefix("module."): value for name, value in state.items()}


def _reason(error: RuntimeError) -> str:
    """What torch says of the first weight that does not fit."""
    lines = [line.strip() for line in str(error).splitlines()]
    return next((line for line in lines[1:] if line), lines[0])
