"""Stand-ins that several tests share: a detector without a network, and stores of made-up features."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from adrefine.detectors.base import Detector, Images, Scores
from adrefine.features.store import write_store
from adrefine.paths import FEATURES
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
    """It can meta-learn too, remembers each meta-fit, and describes images by their number."""

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

    def describe(self, images: Images, *, twins: bool = False) -> np.ndarray:
        photos, defects, _ = vectors(hidden=4)
        return (defects if twins else photos)[[int(image_id[2:]) for image_id in images.ids]]


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


def vectors(
    hidden: int, seed: int = 0, n: int = 80, dim: int = 12
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Photos and twins; the first `hidden` photos have the defect, which is a step along one direction."""
    rng = np.random.default_rng(seed)
    good = rng.normal(size=(n, dim)) * np.linspace(3, 0.5, dim)
    step = 4 * np.eye(dim)[-1]
    photos = good + np.outer(np.arange(n) < hidden, step)
    twins = photos + step * rng.uniform(0.2, 1.8, (n, 1))  # weak and strong ones
    return photos, twins, np.arange(n) < hidden


def weights(detector: Any) -> Any:
    """All weights of a trained detector in one vector, float64."""
    import torch

    network = getattr(detector, "flow", None) or detector.networks
    return torch.cat([value.flatten().double() for value in network.state_dict().values()])
