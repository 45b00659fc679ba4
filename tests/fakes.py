"""Stand-ins that several tests share: a detector without a network, and stores of features and pixels."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from adrefine.areas.region import Region
from adrefine.detectors.base import Detector, Images, Scores
from adrefine.features.store import write_store
from adrefine.io import write_json
from adrefine.paths import FEATURES, PIXELS
from adrefine.places.sharded import Store
from adrefine.runtime.seeds import derived_seed
from adrefine.strategies.meta_iqr import MetaIqr

Rule = Callable[[str, frozenset[str]], float]


def drifting(image_id: str, seen: frozenset[str]) -> float:
    """A positive score of `image_id` that changes with every image learned, as of a retrained detector."""
    own = derived_seed("own", image_id) / 2**64
    drift = derived_seed("drift", image_id, *sorted(seen)) / 2**64
    return 0.2 + 3 * own**4 + drift


class FakeDetector(Detector):
    """Scores are `rule(image_id, ids it was last fitted on)`; it remembers every fit."""

    def __init__(self, rule: Rule = drifting) -> None:
        self.rule = rule
        self.fits: list[tuple[tuple[str, ...], bool]] = []

    @property
    def seen(self) -> frozenset[str]:
        return frozenset(self.fits[-1][0]) if self.fits else frozenset()

    def fit(self, images: Images, *, warm_start: bool = False) -> list[dict[str, float]]:
        self.fits.append((images.ids, warm_start))
        return [{"epoch": 0, "train_nll": 0.0}]

    def score(self, images: Images) -> Scores:
        return Scores(np.array([self.rule(image_id, self.seen) for image_id in images.ids]))

    def clone(self) -> FakeDetector:
        return copy.deepcopy(self)

    def save(self, folder: Path) -> None:
        raise AssertionError("nobody saves this")

    def load(self, folder: Path) -> None:
        """Nothing to read."""


def likelihood(image_id: str, seen: frozenset[str]) -> float:
    """A made-up log-likelihood of `image_id` under a model that learned `seen`."""
    return -derived_seed("likely", image_id, *sorted(seen)) / 2**64


class MetaDetector(FakeDetector):
    """It can meta-learn too, and remembers each meta-fit."""

    def __init__(self, rule: Rule = drifting, likely: Rule = likelihood) -> None:
        super().__init__(rule)
        self.likely = likely
        self.meta_fits: list[tuple[tuple[str, ...], bool]] = []

    def meta_fit(
        self, images: Images, params: MetaIqr, *, warm_start: bool = False
    ) -> list[dict[str, float]]:
        self.meta_fits.append((images.ids, warm_start))
        return self.fit(images, warm_start=warm_start)

    def log_likelihood(self, images: Images) -> np.ndarray:
        return np.array([self.likely(image_id, self.seen) for image_id in images.ids])


def image_set(count: int, prepared: Path = Path("nowhere")) -> Images:
    """Images im000, im001 ..."""
    return Images(tuple(f"im{number:03d}" for number in range(count)), prepared)


def vector_store(folder: Path, count: int = 40, dim: int = 6, views: int = 2, outliers: int = 3) -> Images:
    """A store of correlated Gaussian vectors, the last `outliers` of them far away."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(count, views, dim)) @ rng.normal(size=(dim, dim)) / np.sqrt(dim)
    vectors[count - outliers :] += 4
    images = image_set(count, folder)
    write_store(folder / FEATURES, list(images.ids), vectors.astype(np.float16), (views, dim), {"dim": dim})
    return images


def pixel_store(
    prepared: Path,
    photos: Mapping[str, Path],
    twins: Sequence[Mapping[str, str]] = (),
    generic: Sequence[Path] = (),
    region: Region | None = None,
) -> Images:
    """The five files of `prepared`/pixels that `Photos` needs, as pretrain_pdn makes them; the photos.

    Args:
        photos: files by image_id.
        twins: synthetic defects: image_id, path, mask_path and source_id, the photo's id.
        generic: files of photos of anything. region: what counts of the photos; None: all.
    """
    import pandas as pd

    from adrefine.backbones import pdn
    from adrefine.distillation import index

    folder, columns = prepared / PIXELS, ["image_id", "path", "mask_path", "source_id"]
    rows = pd.DataFrame({"image_id": list(photos), "path": [str(file) for file in photos.values()]})
    index.write(folder, rows, pd.DataFrame(list(twins), columns=columns, dtype=str), list(generic), region)
    shutil.copyfile(pdn.BUNDLED, folder / "pdn.pt")
    flat = {"channel_mean": [0.0] * 384, "channel_std": [1.0] * 384}
    write_json(folder / "meta.json", {"size": "small", "runtime": {}, **flat})
    return Images(tuple(photos), prepared)


class MapStore(Store):
    """Maps of 5 x 5 places and their means, of photos `im000` ... and their twins (`im000_0` ...).

    The first `hidden` photos have a defect, a step along one direction, each at another place; a twin has one
    of random strength at a random place. `turned`: every photo is odd at a place of its own.
    """

    side, channels = 5, 4

    def __init__(self, hidden: int = 0, count: int = 60, seed: int = 0, turned: bool = False) -> None:
        rng = np.random.default_rng(seed)
        places, made = self.side**2, count * 2
        mixing = np.linspace(2, 0.5, self.channels)
        photos = rng.normal(size=(count, places, self.channels)) * mixing
        step = 5 * np.eye(self.channels)[-1]
        self.where = np.arange(hidden) * 7 % places  # of the hidden defects
        photos[np.arange(hidden), self.where] += step
        if turned:
            photos[np.arange(count), rng.integers(places, size=count)] -= 4 * step
        twins = photos.copy()
        where = rng.integers(places, size=count)
        twins[np.arange(count), where] += step * rng.uniform(0.6, 1.8, (count, 1))
        self.hidden = np.arange(count) < hidden
        self.ids = image_set(count).ids
        names = [*self.ids, *(f"{name}_0" for name in self.ids)]
        self.content = dict(zip(names, np.concatenate([photos, twins]).astype(np.float16), strict=True))
        assert len(self.content) == made

    def maps(self, ids: Iterable[str]) -> np.ndarray:
        found = [self.content[name] for name in ids]
        return np.stack(found) if found else np.zeros((0, self.side**2, self.channels), np.float16)

    def has(self, ids: Iterable[str]) -> bool:
        return all(name in self.content for name in ids)

    def kinds(self, ids: Iterable[str]) -> list[str]:
        """Two kinds, in turn; "" of a photo."""
        return [("dark", "light")[int(name[2:-2]) % 2] if name.endswith("_0") else "" for name in ids]

    def pooled(self, ids: Iterable[str]) -> np.ndarray:
        maps = self.maps(ids).astype(np.float32)
        return np.concatenate([maps.mean(axis=1), maps.std(axis=1)], axis=1)


def weights(detector: Any) -> Any:
    """All weights of a trained detector in one vector, float64."""
    import torch

    network = getattr(detector, "flow", None) or detector.networks
    return torch.cat([value.flatten().double() for value in network.state_dict().values()])
