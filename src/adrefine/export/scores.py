"""Detectors as parts of a graph: from a picture to its score, and to its map where that is their own."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import torch
from torch import nn

from adrefine.areas.region import read as read_region
from adrefine.bundle.contents import INPUTS, Contents
from adrefine.detectors import Detector
from adrefine.detectors.differnet.detector import DifferNet
from adrefine.detectors.efficientad.detector import EfficientAD
from adrefine.detectors.efficientad.instant import Instant
from adrefine.detectors.efficientad.teacher import Teacher
from adrefine.detectors.flow import latent_score
from adrefine.detectors.mixed.head import MixedHead
from adrefine.detectors.on_places import OnPlaces
from adrefine.detectors.padim.detector import Padim
from adrefine.errors import UserError
from adrefine.export import networks
from adrefine.export.flows import without_indexing
from adrefine.export.networks import Found
from adrefine.export.students import Regression, Students
from adrefine.export.worst_place import WorstPlace
from adrefine.paths import PIXELS
from adrefine.places import voters

_LARGEST, _LEAST = 50.0, 1e-12  # exponent of a score; distance of which the logarithm is taken


class Scorer(Protocol):
    """A module from pictures (1, c, size, size), grey levels 0 to 255, to their score (1,) and raw map
    (1, size, size); no map where the detector's own was not asked for."""

    def __call__(self, image: torch.Tensor) -> Found: ...


def of(detector: Detector, bundle: Path, contents: Contents, maps: bool) -> nn.Module:
    """The `Scorer` of a trained detector, with its own maps or without.

    Raises:
        UserError: there is no graph of this detector, or of its maps.
    """
    if isinstance(detector, MixedHead):
        return Mixed(detector, networks.places(bundle, contents), contents, maps)
    if isinstance(detector, Padim):
        return Gaussian(detector, networks.places(bundle, contents), contents, maps)
    if isinstance(detector, DifferNet):
        if maps:
            raise UserError(
                "this differnet's maps are gradients, which the runtimes cannot compute: export with "
                "--no-map, or train with differnet.preset = fast, which has maps of places"
            )
        return Flow(detector, networks.vectors(bundle, contents))
    region = read_region(bundle / contents.region) if contents.region else None
    if isinstance(detector, EfficientAD):
        teacher = Teacher(bundle / INPUTS / PIXELS, detector.settings.padding)
        return Students(detector, teacher, contents, region, maps)
    if isinstance(detector, Instant):
        return Regression(detector, contents, region, maps)
    if isinstance(detector, OnPlaces):
        return WorstPlace(detector, networks.places(bundle, contents), contents, maps)
    raise UserError(
        f"this {contents.detector} cannot be exported: padim, mixed with preset fast, differnet, "
        "efficientad, glass and uflow can"
    )


class Gaussian(nn.Module):
    """`Padim`."""

    def __init__(self, padim: Padim, places: networks.Places, contents: Contents, maps: bool) -> None:
        super().__init__()
        self.places = places
        self.parts = padim.parts_ready()
        self.models = nn.ModuleDict({name: networks.Mahalanobis(padim.model(name)) for name in self.parts})
        self.unit, top = padim.unit, padim.settings.top
        self.counts = {name: max(1, round(top * len(part.sums.weight))) for name, part in self.parts.items()}
        self.weights = padim.weights.tolist()
        size = contents.preparation["size"]
        self.enlarge = networks.drawn(padim.model(voters.PLACES), size) if maps else None

    def forward(self, image: torch.Tensor) -> Found:
        """See `Scorer`."""
        maps, pooled = self.places(image / 255)
        distances = self.models[voters.PLACES](maps)
        says = self.says(distances, pooled)
        if len(self.parts) == 1:
            score = torch.exp(self._logarithm(voters.PLACES, distances))
        else:
            together = sum(weight * one for weight, one in zip(self.weights, says, strict=True))
            score = torch.exp((self.unit * together).clamp(-_LARGEST, _LARGEST))
        return score.view(1), None if self.enlarge is None else self.enlarge(distances)

    def says(self, distances: torch.Tensor, pooled: torch.Tensor) -> list[torch.Tensor]:
        """Each part's logarithmic score in its own units, see `Padim.standard_scores`."""
        values = {voters.PLACES: distances}
        if voters.POOLED in self.parts:
            values[voters.POOLED] = self.models[voters.POOLED](pooled[None])
        return [
            (self._logarithm(name, values[name]) - part.middle) / part.unit
            for name, part in self.parts.items()
        ]

    def _logarithm(self, name: str, distances: torch.Tensor) -> torch.Tensor:
        """`places.sums.photo_scores` of the distances of one photo."""
        return torch.log(distances.topk(self.counts[name]).values.mean().clamp(min=_LEAST))


class Mixed(nn.Module):
    """`MixedHead`."""

    def __init__(self, mixed: MixedHead, places: networks.Places, contents: Contents, maps: bool) -> None:
        super().__init__()
        self.gaussian = Gaussian(mixed.gaussians, places, contents, maps)
        self.head, self.density = mixed.head, mixed.settings.density
        if self.head is not None:
            for name in ("mean", "scale", "axes", "slope"):
                self.register_buffer(name, torch.from_numpy(getattr(self.head, name)).float())

    def forward(self, image: torch.Tensor) -> Found:
        """See `Scorer`."""
        gaussian, head = self.gaussian, self.head
        if head is None:
            output: Found = gaussian(image)
            return output
        maps, pooled = gaussian.places(image / 255)
        distances = gaussian.models[voters.PLACES](maps)
        says = torch.stack(gaussian.says(distances, pooled))
        axes = ((pooled - self.get_buffer("mean")) / self.get_buffer("scale")) @ self.get_buffer("axes")
        logit = torch.cat([axes, says]) @ self.get_buffer("slope")
        far = sum(weight * one for weight, one in zip(gaussian.weights, says, strict=True))
        both = (logit - head.logit[0]) / head.logit[1] + self.density * (far - head.far[0]) / head.far[1]
        z = (both - head.both[0]) / head.both[1]
        score = torch.exp((gaussian.unit * z).clamp(-_LARGEST, _LARGEST))
        return score.view(1), None if gaussian.enlarge is None else gaussian.enlarge(distances)


class Flow(nn.Module):
    """`DifferNet`."""

    def __init__(self, differnet: DifferNet, vectors: networks.Vectors) -> None:
        super().__init__()
        assert differnet.flow is not None
        self.vectors, self.flow = vectors, without_indexing(differnet.flow)
        self.register_buffer("centre", differnet.centre.float())
        self.register_buffer("spread", differnet.spread.float())

    def forward(self, image: torch.Tensor) -> Found:
        """See `Scorer`."""
        x = (self.vectors(image / 255) - self.get_buffer("centre")) / self.get_buffer("spread")
        return latent_score(self.flow(x)[0]).mean().view(1), None
