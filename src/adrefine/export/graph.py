"""The whole graph of a model: photo in, score and map out."""

from __future__ import annotations

import torch
from torch import nn

from adrefine.areas.region import SHADE, Region
from adrefine.bundle.contents import PLACES
from adrefine.export import networks, scores
from adrefine.export.photo import Given, Prepared
from adrefine.prediction.model import Model


class Graph(nn.Module):
    """uint8 photo, of the shape that `given` says, to its score (1,), and map (1, size, size) if `maps`.

    The map is over the picture at the working size, 1 is the threshold of maps.
    """

    def __init__(self, model: Model, given: Given, maps: bool) -> None:
        super().__init__()
        contents, folder = model.contents, model.folder
        self.maps, own = maps, contents.map.of == "detector"
        self.prepared, self.within = Prepared(given, model.preparation), None
        if model.region is not None:
            self.within = Within(model.region)
        self.scorer = scores.of(model.detector, folder, contents, maps and own)
        self.limit, self.usual = contents.map.limit, None
        if maps and not own:
            gaussians = model.usual
            assert gaussians is not None, PLACES
            self.usual = networks.Mahalanobis(gaussians)
            self.places = networks.places(folder, contents)
            self.enlarge = networks.drawn(gaussians, model.preparation.size)

    def forward(self, photo: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """See the class."""
        image = self.prepared(photo)
        if self.within is not None:
            image = self.within(image, SHADE)
        score, heat = self.scorer(image)
        if self.usual is not None:
            heat = self.enlarge(self.usual(self.places(image / 255)[0]))
        if heat is None:
            return (score,)
        return score, (heat if self.within is None else self.within(heat, 0)) / self.limit


class Within(nn.Module):
    """Pictures or maps (..., size, size) with one value outside the region of interest."""

    def __init__(self, region: Region) -> None:
        super().__init__()
        self.register_buffer("inside", torch.from_numpy(region.inside.astype("float32")))

    def forward(self, x: torch.Tensor, outside: float) -> torch.Tensor:
        """See the class."""
        inside = self.get_buffer("inside")
        return x * inside + outside * (1 - inside)


def build(model: Model, given: Given, maps: bool) -> tuple[Graph, torch.Tensor]:
    """The graph, and an example of its input.

    Raises:
        UserError: no graph can do what this model does.
    """
    made = Graph(model, given, maps).eval().requires_grad_(False)
    return made, torch.full(given.shape, 128, dtype=torch.uint8)
