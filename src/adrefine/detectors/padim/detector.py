"""A Gaussian at every place and one of the whole photo; both are sums that photos enter and leave exactly."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from adrefine.detectors.base import Detector, Images, Scores, read_log, reading, write_log
from adrefine.detectors.padim.settings import Settings
from adrefine.errors import UserError
from adrefine.io import atomic_open, read_json, write_json
from adrefine.paths import PLACES
from adrefine.places import evidence, voters
from adrefine.places.maps import drawn
from adrefine.places.models import POOLED_SHRINKAGE
from adrefine.places.sharded import Read
from adrefine.places.store import Places, open_places
from adrefine.places.sums import Gaussians, Sums, photo_scores

if TYPE_CHECKING:
    from adrefine.strategies.meta_iqr import MetaIqr

_STATE = "padim.pt"
_FEWEST = 2


@dataclass
class _Part:
    """One Gaussian model: of the places, or of the whole photo as a single place.

    Attributes:
        sums: of the photos that it has learned.
        middle, unit: median and deviation of the half under it of logarithmic scores out of fold.
        weight: share of the photo's score.
    """

    sums: Sums
    middle: float = 0.0
    unit: float = 1.0
    weight: float = 1.0

    def standard(self, scores: np.ndarray) -> np.ndarray:
        """Logarithmic scores (n,) over the middle, in units."""
        return (scores - self.middle) / self.unit


class Padim(Detector):
    """Squared Mahalanobis distances at every place (PaDiM eq. 2, squared).

    The image score is exp(u · z), z the weighted mean of both parts' logarithmic scores in their own units
    and u the places' unit: about 1 for a usual photo, and λ × median asks for λ times a usual squared
    distance. With `pooled: false` it is the mean of the worst places itself. Nothing is drawn at random.

    Attributes:
        weighed: whether its photos were learned with weights; what they were is not kept.
        asked: further photos that the evidence of the next cold fit shall tell of, as held-out ones.
        found: that evidence; None where there was no reason to gather any.
    """

    weighs: ClassVar = True

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.ids: frozenset[str] = frozenset()
        self.weighed = False
        self.parts: dict[str, _Part] = {}
        self.log: list[dict[str, float]] = []
        self._models: dict[str, Gaussians] = {}
        self.asked: tuple[str, ...] = ()
        self.found: evidence.Evidence | None = None

    def fit(self, images: Images, *, warm_start: bool = False) -> list[dict[str, float]]:
        """See `Detector.fit`. A warm start adds and removes what differs, exact to rounding; units and
        weights stay those of the last cold fit, so that scores of rounds compare. After or with weights a
        warm start is a cold one."""
        if len(images) < _FEWEST:
            raise UserError(f"PaDiM needs at least {_FEWEST} training images, got {len(images)}")
        store = _store(images)
        if warm_start and self.parts and not images.weights and not self.weighed:
            gone, new = sorted(self.ids - set(images.ids)), sorted(set(images.ids) - self.ids)
            for name, part in self.parts.items():
                part.sums.remove(_read(store, name)(gone)).add(_read(store, name)(new))
        else:
            names = (voters.PLACES, voters.POOLED) if self.settings.pooled else (voters.PLACES,)
            weights = [images.weights.get(image_id, 1.0) for image_id in images.ids]
            group = np.zeros(len(images), dtype=np.int64)
            sums = {name: _read(store, name).sums(images.ids, weights, group)[0] for name in names}
            self.parts = {name: _Part(one) for name, one in sums.items()}
            self._take_units(images)
        self.ids, self.weighed, self._models = frozenset(images.ids), bool(images.weights), {}
        self.log = [
            {"photos": float(len(images)), **{f"weight_{k}": p.weight for k, p in self.parts.items()}}
        ]
        return self.log

    def meta_fit(
        self, images: Images, params: MetaIqr, *, warm_start: bool = False
    ) -> list[dict[str, float]]:
        """As `fit`: META's two loops look for weights to start from, and a closed form has no start."""
        return self.fit(images, warm_start=warm_start)

    def score(self, images: Images) -> Scores:
        if voters.POOLED not in self.parts_ready():
            return Scores(np.exp(self._logarithms(_store(images), voters.PLACES, images.ids)))
        together = self.standard_scores(images) @ self.weights
        return Scores(np.exp(np.clip(self.unit * together, -50, 50)))

    def standard_scores(self, images: Images) -> np.ndarray:
        """Logarithmic scores (n, parts) of `images` by each part, in its own units."""
        store, parts = _store(images), self.parts_ready()
        return np.column_stack(
            [part.standard(self._logarithms(store, name, images.ids)) for name, part in parts.items()]
        )

    @property
    def weights(self) -> np.ndarray:
        """Share of each part in the score, together 1."""
        return np.array([part.weight for part in self.parts_ready().values()])

    @property
    def unit(self) -> float:
        """Deviation of the places' logarithmic scores, that of scores."""
        return self.parts_ready()[voters.PLACES].unit

    def log_likelihood(self, images: Images) -> np.ndarray:
        """Mean over the places of the log density, per channel."""
        maps = _store(images).maps(images.ids)
        return self.model(voters.PLACES).log_density(maps).mean(axis=1) / maps.shape[2]

    def maps(self, images: Images, files: list[Path]) -> np.ndarray | None:
        """See `places.maps.drawn`."""
        return drawn(self.model(voters.PLACES), _store(images).maps(images.ids), files)

    def clone(self) -> Padim:
        return copy.deepcopy(self)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        state: dict[str, Any] = {
            name: {
                "sums": [torch.from_numpy(value) for value in vars(part.sums).values()],
                **{key: getattr(part, key) for key in ("middle", "unit", "weight")},
            }
            for name, part in self.parts_ready().items()
        }
        with atomic_open(folder / _STATE) as file:
            torch.save({"parts": state, "ids": sorted(self.ids), "weighed": self.weighed}, file)
        write_json(folder / "settings.json", self.settings.stored())
        write_log(folder, self.log)

    def load(self, folder: Path) -> None:
        with reading(folder, _STATE, "PaDiM"):
            self.settings = Settings.restored(read_json(folder / "settings.json"))
            state = torch.load(folder / _STATE, map_location="cpu", weights_only=True)
            self.parts = {name: _part(content) for name, content in state["parts"].items()}
            self.ids, self._models = frozenset(state["ids"]), {}
            self.weighed = state.get("weighed", True)  # a model from before does not say
            self.log = read_log(folder)

    def parts_ready(self) -> dict[str, _Part]:
        """The parts by name.

        Raises:
            UserError: it is not trained.
        """
        if not self.parts:
            raise UserError("this PaDiM is not trained: call fit or load first")
        return self.parts

    def model(self, name: str) -> Gaussians:
        """The Gaussians of a part, made once for what it has learned."""
        if name not in self._models:
            s, sums = self.settings, self.parts_ready()[name].sums
            whole = name == voters.POOLED
            self._models[name] = (
                sums.model(POOLED_SHRINKAGE) if whole else sums.model(s.shrinkage, s.ridge, s.standardize)
            )
        return self._models[name]

    def _logarithms(self, store: Places, name: str, ids: Sequence[str]) -> np.ndarray:
        """Logarithmic scores (n,) of one part."""
        own = np.zeros(len(ids), dtype=np.int64)
        distances = _read(store, name).distances([self.model(name)], ids, own)
        return photo_scores(distances, self.settings.top)

    def _take_units(self, images: Images) -> None:
        """Units and weights of the parts from scores out of fold; of few photos the places alone count."""
        if len(self.parts) < 2 or len(images) < evidence.FEWEST:
            self.parts = {voters.PLACES: self.parts[voters.PLACES]}
            return
        self.found = self.gathered(images, self.asked)
        for voter, weight in zip(self.found.voters, self.found.weights, strict=True):
            part = self.parts[voter.name]
            part.middle, part.unit, part.weight = voter.middle, voter.unit, weight

    def gathered(self, images: Images, held: Sequence[str] = (), twin: int = 0) -> evidence.Evidence:
        """What its Gaussians say out of fold of `images`, of one synthetic defect of each, and of `held`."""
        s = self.settings
        return evidence.gather(
            _store(images),
            images.ids,
            held,
            seed=s.seed,
            shrinkage=s.shrinkage,
            top=s.top,
            parts=images.parts,
            twin=twin,
            more=False,
        )


def _store(images: Images) -> Places:
    return open_places(images.prepared / PLACES)


def _read(store: Places, name: str) -> Read:
    return Read(store, whole=name == voters.POOLED)


def _part(content: dict[str, Any]) -> _Part:
    sums = Sums(*(value.numpy() for value in content["sums"]))
    return _Part(sums, content["middle"], content["unit"], content["weight"])
