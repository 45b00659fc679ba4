"""Preset `fast`: a linear head on the frozen backbone's vectors, beside the Gaussians of the good photos."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from adrefine.detectors.base import Detector, Images, Scores, read_log, reading, write_log
from adrefine.detectors.mixed import logistic
from adrefine.detectors.mixed.settings import Settings
from adrefine.detectors.padim.detector import Padim
from adrefine.detectors.padim.settings import Settings as PadimSettings
from adrefine.io import atomic_open, read_json, write_json
from adrefine.paths import PLACES
from adrefine.places.evidence import Evidence, robust, twins_of
from adrefine.places.store import open_places

if TYPE_CHECKING:
    from adrefine.strategies.meta_iqr import MetaIqr

Array = npt.NDArray[np.float64]
Pair = tuple[float, float]

_STATE, _GAUSSIANS = "mixed.pt", "gaussians"
_LARGEST = 50.0  # exponent of a score
_FLAT = 1e-6  # deviation of a number that does not vary


@dataclass
class _Head:
    """What tells a defect: x · slope, x the principal components of a photo and padim's scores of it.

    Attributes:
        mean, scale: (dim,) of the pooled vectors. axes: (dim, c), to whitened principal components.
        slope: (c + 2,).
        logit, far: median and robust deviation, among the photos learned, of x · slope and of how foreign a
            photo is (padim's scores by their weights, out of fold). both: of the two in these units.
    """

    mean: Array
    scale: Array
    axes: Array
    slope: Array
    logit: Pair = (0.0, 1.0)
    far: Pair = (0.0, 1.0)
    both: Pair = (0.0, 1.0)

    @classmethod
    def of(cls, pooled: Array, components: int) -> _Head:
        """One that has learned nothing, with the axes of good photos (n, dim)."""
        mean, scale = pooled.mean(axis=0), pooled.std(axis=0) + _FLAT
        _, lengths, axes = np.linalg.svd((pooled - mean) / scale, full_matrices=False)
        count = min(components, len(pooled) // 2)
        whitened = axes[:count].T / (lengths[:count] / np.sqrt(len(pooled)) + _FLAT)
        return cls(mean, scale, whitened, np.zeros(count + 2))

    def features(self, pooled: Array, says: Array) -> Array:
        """x (n, c + 2) of pooled vectors (n, dim) and padim's scores (n, 2)."""
        return np.column_stack([(pooled - self.mean) / self.scale @ self.axes, says])

    def together(self, x: Array, far: Array, density: float) -> Array:
        """(n,) the logit and, times `density`, how foreign each photo is, both in robust units."""
        return _units(x @ self.slope, self.logit) + density * _units(far, self.far)


class MixedHead(Detector):
    """Good photos, their twins with a synthetic defect, and real defects, in the shares of a stream as ISP's.

    Each patch of that stream is good or synthetic, or a real defect instead with probability `inject` (ISP
    sect. 4.2). This head minimizes the mean loss of the stream itself and draws nothing. Its logit and
    padim's score add up, each in its own units; scores are exp(u · z) as in `Padim`, about 1 for a usual one.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.gaussians = Padim(PadimSettings())
        self.defects: dict[str, float] = {}
        self.head: _Head | None = None

    def know(self, defects: Images, weight: float = 1.0) -> None:
        self.defects |= {image_id: max(weight, self.defects.get(image_id, 0)) for image_id in defects.ids}

    def fit(self, images: Images, *, warm_start: bool = False) -> list[dict[str, float]]:
        """See `Detector.fit`. A warm start updates the Gaussians and leaves the head as it is."""
        known = tuple(sorted(set(self.defects) - set(images.ids)))
        self.gaussians.asked, self.gaussians.found = known, None
        log = self.gaussians.fit(images, warm_start=warm_start)
        if evidence := self.gaussians.found:
            self.head, self.gaussians.found = self._learned(images, known, evidence), None
        elif not warm_start:  # too few photos for the Gaussians' units
            self.head = None
        log[-1]["real_defects"] = float(len(known))
        return log

    def meta_fit(
        self, images: Images, params: MetaIqr, *, warm_start: bool = False
    ) -> list[dict[str, float]]:
        """As `fit`, as padim's: a closed form has no start to look for."""
        return self.fit(images, warm_start=warm_start)

    def log_likelihood(self, images: Images) -> np.ndarray:
        """That of the Gaussians."""
        return self.gaussians.log_likelihood(images)

    def score(self, images: Images) -> Scores:
        if self.head is None:
            return self.gaussians.score(images)
        says, head = self.gaussians.standard_scores(images), self.head
        x = head.features(_pooled(images, images.ids), says)
        z = _units(head.together(x, says @ self.gaussians.weights, self.settings.density), head.both)
        return Scores(np.exp(np.clip(self.gaussians.unit * z, -_LARGEST, _LARGEST)))

    def maps(self, images: Images, files: list[Path]) -> np.ndarray | None:
        """Those of the Gaussians: the head looks at the photo as a whole."""
        return self.gaussians.maps(images, files)

    def clone(self) -> MixedHead:
        return copy.deepcopy(self)

    def save(self, folder: Path) -> None:
        self.gaussians.save(folder / _GAUSSIANS)
        head = {key: _stored(value) for key, value in vars(self.head).items()} if self.head else None
        with atomic_open(folder / _STATE) as file:
            torch.save({"head": head, "defects": dict(sorted(self.defects.items()))}, file)
        write_json(folder / "settings.json", self.settings.stored())
        write_log(folder, self.gaussians.log)

    def load(self, folder: Path) -> None:
        with reading(folder, _STATE, "mixed"):
            self.settings = Settings.restored(read_json(folder / "settings.json"))
            state = torch.load(folder / _STATE, map_location="cpu", weights_only=True)
            head = state["head"]
            self.head = _Head(**{key: _restored(value) for key, value in head.items()}) if head else None
            self.defects = dict(state["defects"])
            self.gaussians.load(folder / _GAUSSIANS)
            self.gaussians.log = read_log(folder)

    def _learned(self, images: Images, known: tuple[str, ...], evidence: Evidence) -> _Head:
        """The head of the training photos, their twins and the `known` defects, of which `found` tells."""
        good = _pooled(images, images.ids)
        head = _Head.of(good, self.settings.components)
        parts = {"good": (head.features(good, _says(evidence, "photos")), np.ones(len(good)))}
        made, says = self._twins(images, evidence)
        if made:
            parts["synthetic"] = (head.features(_pooled(images, made), says), np.ones(len(made)))
        if known:
            x = head.features(_pooled(images, known), _says(evidence, "held"))
            parts["real"] = (x, np.array([self.defects[image_id] for image_id in known]))
        if len(parts) > 1:
            head.slope = self._slope(parts)
        x, far = parts["good"][0], _says(evidence, "photos") @ np.array(evidence.weights)
        head.logit, head.far = robust(x @ head.slope), robust(far)
        head.both = robust(head.together(x, far, self.settings.density))
        return head

    def _twins(self, images: Images, evidence: Evidence) -> tuple[list[str], Array]:
        """All synthetic defects of the photos, and what the Gaussians say of each (n, 2); `evidence` tells of
        the first of each photo."""
        store, twin = open_places(images.prepared / PLACES), 0
        made: list[str] = []
        says = [np.zeros((0, 2))]
        while names := twins_of(store, images.ids, twin):
            if twin:
                evidence = self.gaussians.gathered(images, twin=twin)
            made += filter(None, names)
            says.append(_says(evidence, "twins")[[name != "" for name in names]])
            twin += 1
        return made, np.concatenate(says)

    def _slope(self, parts: dict[str, tuple[Array, Array]]) -> Array:
        """Of features and weights by kind: each kind has together the share of the stream that it is."""
        s = self.settings
        inject = s.inject if "real" in parts else 0.0
        synthetic = s.synthetic * (1 - inject) if "synthetic" in parts else 0.0
        shares = {"good": 1 - inject - synthetic, "synthetic": synthetic, "real": inject}
        mass = [shares[kind] * weight / weight.sum() for kind, (_, weight) in parts.items()]
        defect = [np.full(len(weight), float(kind != "good")) for kind, (_, weight) in parts.items()]
        x = np.concatenate([design for design, _ in parts.values()])
        return logistic.fit(x, np.concatenate(defect), np.concatenate(mass), s.penalty)[0]


def _pooled(images: Images, ids: Iterable[str]) -> Array:
    return open_places(images.prepared / PLACES).pooled(ids).astype(np.float64)


def _says(evidence: Evidence, of: str) -> Array:
    """Both voters' scores (n, 2), out of fold and in their own units, of `photos`, `twins` or `held`."""
    return np.column_stack([voter.standard(getattr(voter, of)) for voter in evidence.voters])


def _units(values: Array, of: Pair) -> Array:
    return (values - of[0]) / of[1]


def _stored(value: Array | Pair) -> torch.Tensor | Pair:
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value


def _restored(value: torch.Tensor | Pair) -> Any:
    return value.numpy() if isinstance(value, torch.Tensor) else value
