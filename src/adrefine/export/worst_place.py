"""Networks on maps of places as part of a graph: a photo is as odd as its worst place."""

from __future__ import annotations

import copy

import torch
from torch import nn

from adrefine.bundle.contents import Contents
from adrefine.detectors import trained
from adrefine.detectors.on_places import LARGEST_OF_MAPS, OnPlaces
from adrefine.detectors.uflow.detector import UFlowNet
from adrefine.export import networks
from adrefine.export.flows import without_indexing
from adrefine.export.networks import Found


class WorstPlace(nn.Module):
    """`Glass` and `UFlow`, see `scores.Scorer`."""

    def __init__(self, detector: OnPlaces, places: networks.Places, contents: Contents, maps: bool) -> None:
        super().__init__()
        self.places, self.net = places, copy.deepcopy(detector.ready())
        if isinstance(self.net, UFlowNet):
            self.net.first, self.net.second = map(without_indexing, (self.net.first, self.net.second))
        assert detector.unit is not None
        self.usual, self.unit = detector.unit
        self.enlarge = None
        if maps:
            self.enlarge = networks.Enlarged(places.grid, contents.preparation["size"], 1.0)

    def forward(self, image: torch.Tensor) -> Found:
        """See `Scorer`."""
        maps, _ = self.places(image / 255)
        units = (self.net.values(maps[None])[0] - self.usual) / self.unit
        score = torch.exp((trained.SHARE * units.max()).clamp(-trained.LARGEST, trained.LARGEST)).view(1)
        if self.enlarge is None:
            return score, None
        return score, self.enlarge(torch.exp(units.clamp(-trained.LARGEST, LARGEST_OF_MAPS)))
