"""A detector: how far a photo is from the training photos most like it, by the features of the backbone."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import ClassVar

import numpy as np

from adrefine.detectors.base import DetectorSettings, Images, Scores, reading
from adrefine.detectors.on_features import OnFeatures
from adrefine.io import atomic_open
from adrefine.paths import FEATURES
from adrefine.sections import AtLeastOne

_STATE = "knn.npz"


class Settings(DetectorSettings):
    """Section `knn` of params.yaml."""

    reads: ClassVar = (FEATURES,)

    neighbours: AtLeastOne = 3

    def create(self) -> NearestNeighbours:
        return NearestNeighbours(self)


class NearestNeighbours(OnFeatures):
    """The image score is the mean distance to the `neighbours` nearest training photos, itself left out."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.ids, self.known = np.array([], str), np.zeros((0, 0))

    def fit(self, images: Images, *, warm_start: bool = False) -> list[dict[str, float]]:
        self.ids, self.known = np.array(images.ids), self.mean_vectors(images)
        return []  # no epochs to write a log of

    def score(self, images: Images) -> Scores:
        found = self.mean_vectors(images)
        squares = (found**2).sum(axis=1)[:, None] + (self.known**2).sum(axis=1) - 2 * found @ self.known.T
        distances = np.sqrt(squares.clip(min=1e-12))  # positive, as a score must be
        distances[np.array(images.ids)[:, None] == self.ids] = np.inf
        nearest = np.sort(distances, axis=1)[:, : min(self.settings.neighbours, len(self.ids) - 1)]
        return Scores(nearest.mean(axis=1))

    def clone(self) -> NearestNeighbours:
        return copy.deepcopy(self)

    def save(self, folder: Path) -> None:
        with atomic_open(folder / _STATE) as file:
            np.savez(file, ids=self.ids, known=self.known)

    def load(self, folder: Path) -> None:
        with reading(folder, _STATE, "knn"):
            found = np.load(folder / _STATE, allow_pickle=False)
            self.ids, self.known = found["ids"], found["known"]
