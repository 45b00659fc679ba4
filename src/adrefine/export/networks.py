"""Frozen networks and what is read off them, as parts of a graph; numbers as in `places` and `features`."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from adrefine.bundle.contents import Contents
from adrefine.export.resample import Resample, of_torch
from adrefine.features.extract import Extractor, mean_and_deviation
from adrefine.features.views import transform
from adrefine.params import Runtime
from adrefine.places.extract import PlacesExtractor
from adrefine.places.maps import nearest
from adrefine.places.sums import Gaussians
from adrefine.prediction import makers

TORCH = Runtime(engine="torch", precision="f32")
Found = tuple[torch.Tensor, torch.Tensor | None]  # score (1,) and raw map (1, size, size), see `scores`


class Places(nn.Module):
    """Pictures (1, c, size, size) in 0..1 to maps (places, channels) and the pooled vector (dim,)."""

    def __init__(self, extractor: PlacesExtractor, size: int) -> None:
        super().__init__()
        s = extractor.settings
        self.grid = s.grid
        self.net = extractor.engine.net  # type: ignore[attr-defined]
        self.register_buffer("reduction", extractor.reduction.float())
        self.bounded = bool(extractor.outside.any())  # by a region of interest
        if self.bounded:
            self.register_buffer("inside", torch.from_numpy(~extractor.outside).float()[:, None])
        self.shrink = _shrink(size, s.side)
        with torch.no_grad():
            sides = [maps.shape[-1] for maps in self.net(torch.zeros(1, 3, s.side, s.side))]
        self.means = nn.ModuleList(Resample(_means(side, s.grid)) for side in sides)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See the class."""
        output = self.net(self.shrink(image).expand(-1, 3, -1, -1))
        pooled = torch.cat([part for maps in output for part in mean_and_deviation(maps)], dim=1)
        grids = torch.cat([mean(maps) for mean, maps in zip(self.means, output, strict=True)], dim=1)
        maps = grids.flatten(2)[0].T @ self.get_buffer("reduction")
        return maps * self.get_buffer("inside") if self.bounded else maps, pooled[0]


class Vectors(nn.Module):
    """Pictures (1, c, size, size) in 0..1 to vectors (views, dim), view by view and scale by scale."""

    def __init__(self, extractor: Extractor, size: int) -> None:
        super().__init__()
        self.params, self.pools = extractor.params, extractor.pools
        self.net = extractor.engine.net  # type: ignore[attr-defined]
        self.shrinks = nn.ModuleList(_shrink(size, scale) for scale in self.params.scales)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """See the class."""
        views = [transform(image, view, self.params) for view in range(self.params.views)]
        return torch.cat([self._one(view) for view in views])

    def _one(self, view: torch.Tensor) -> torch.Tensor:
        parts = []
        for shrink in self.shrinks:
            for maps in self.net(shrink(view).expand(-1, 3, -1, -1)):
                parts += mean_and_deviation(maps)[: self.pools]
        return torch.cat(parts, dim=1)


class Mahalanobis(nn.Module):
    """Squared distances (places,) of maps (places, channels), see `Gaussians.distances`."""

    def __init__(self, model: Gaussians) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(model.mean).float())
        unit = torch.from_numpy(model.lower)
        inverse = torch.linalg.solve_triangular(unit, torch.eye(unit.shape[-1]).to(unit), upper=False)
        self.register_buffer("white", (inverse / torch.from_numpy(model.scale)).float())

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """See the class."""
        away = (maps - self.get_buffer("mean"))[:, :, None]
        return (self.get_buffer("white") @ away).square().sum(dim=(1, 2))


class Enlarged(nn.Module):
    """Values (places,) of a square grid, times `factor`, as a map (1, size, size); `places.maps.enlarged`.

    Args:
        order: numbers of the places (places,) whose values these take; None: their own.
    """

    def __init__(self, grid: int, size: int, factor: float, order: torch.Tensor | None = None) -> None:
        super().__init__()
        self.grid, self.factor, self.ordered = grid, factor, order is not None
        if order is not None:
            self.register_buffer("order", order)
        self.enlarge = Resample(of_torch(lambda x: _cubic(x, size), grid))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """See the class."""
        if self.ordered:
            values = values.index_select(0, self.get_buffer("order"))
        grid = values.view(1, 1, self.grid, self.grid) * self.factor
        return self.enlarge(grid).clamp(min=0)[0]


def drawn(model: Gaussians, size: int) -> Enlarged:
    """Squared distances as `places.maps.drawn` draws them."""
    count, channels = model.mean.shape
    order = None if model.seen.all() else torch.from_numpy(nearest(model.seen))
    return Enlarged(round(count**0.5), size, 1 / channels, order)


def places(bundle: Path, contents: Contents) -> Places:
    """The part that makes maps of places."""
    network = _maker(bundle, "places", contents).network
    assert isinstance(network, PlacesExtractor)
    return Places(network, contents.preparation["size"])


def vectors(bundle: Path, contents: Contents) -> Vectors:
    """The part that makes the features of all views."""
    network = _maker(bundle, "features", contents).network
    assert isinstance(network, Extractor)
    return Vectors(network, contents.preparation["size"])


def _maker(bundle: Path, name: str, contents: Contents) -> makers.Frozen:
    maker = makers.of(bundle, name, contents.model_copy(update={"runtime": TORCH.model_dump()}))
    assert isinstance(maker, makers.Frozen)
    return maker


def _shrink(size: int, side: int) -> nn.Module:
    return nn.Identity() if size == side else Resample(of_torch(lambda x: _antialiased(x, side), size))


def _antialiased(eye: torch.Tensor, side: int) -> torch.Tensor:
    """As `features.extract.resize`, of columns alone."""
    return F.interpolate(eye, (side, eye.shape[-1]), mode="bilinear", antialias=True, align_corners=False)


def _cubic(eye: torch.Tensor, side: int) -> torch.Tensor:
    return F.interpolate(eye, (side, eye.shape[-1]), mode="bicubic", align_corners=False)


def _means(length: int, grid: int) -> torch.Tensor:
    return of_torch(lambda eye: F.adaptive_avg_pool2d(eye, (grid, length)), length)
