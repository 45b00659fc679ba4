"""EfficientAD as part of a graph: trained students, and those in closed form. See `scores.Scorer`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from adrefine.areas.region import Region
from adrefine.bundle.contents import Contents
from adrefine.detectors.efficientad import instant
from adrefine.detectors.efficientad import maps as h_maps
from adrefine.detectors.efficientad.detector import EfficientAD
from adrefine.detectors.efficientad.instant import Instant
from adrefine.detectors.efficientad.networks import STRIDE
from adrefine.detectors.efficientad.teacher import Teacher
from adrefine.errors import UserError
from adrefine.export.networks import Found
from adrefine.export.resample import Resample, of_pillow, of_torch
from adrefine.ingestion.affine import Box


class Students(nn.Module):
    """`EfficientAD`."""

    def __init__(
        self,
        detector: EfficientAD,
        teacher: Teacher,
        contents: Contents,
        region: Region | None,
        maps: bool,
    ) -> None:
        super().__init__()
        side, size = detector.settings.side, contents.preparation["size"]
        if detector.settings.tiles and side < size:
            raise UserError("efficientad.tiles = true cannot be exported: train with tiles = false")
        assert detector.networks is not None
        assert detector.scale is not None
        self.networks, self.teacher, self.alpha = detector.networks, teacher.net, detector.alpha
        low, high = (
            torch.from_numpy(one).to(teacher.mean) for one in (detector.scale.low, detector.scale.high)
        )
        self.register_buffer("low", low)
        self.register_buffer("unit", h_maps.TARGET / (high - low).clamp(min=1e-12))
        assert detector.channels is not None
        mean, std = (one.view(1, -1, 1, 1).to(teacher.mean.device) for one in detector.channels)
        self.register_buffer("mean", teacher.mean + teacher.std * mean)
        self.register_buffer("std", teacher.std * std)
        self.shrink, self.quarter = _shrunk(size, side), side // STRIDE
        self.within = _Lowest(region, self.quarter) if region else nn.Identity()
        self.count = h_maps.share_of((self.quarter, self.quarter), detector.settings.top, region)
        self.enlarge = _enlarged(self.quarter, size) if maps else None

    def forward(self, image: torch.Tensor) -> Found:
        """See `Scorer`."""
        x = self.shrink(image).expand(-1, 3, -1, -1) / 255
        teacher = (self.teacher(x) - self.get_buffer("mean")) / self.get_buffer("std")
        raw = h_maps.raw(teacher, self.networks.student(x), self.networks.autoencoder(x))
        fused = self.within(self._fused(h_maps.framed(raw, self.quarter)[0])[None])[0]
        score = image_score(fused, self.count)
        return score, None if self.enlarge is None else self.enlarge(fused[None, None])[0]

    def _fused(self, raw: torch.Tensor) -> torch.Tensor:
        """`Scale.fused` of raw maps (2, h, w)."""
        local, overall = self.get_buffer("unit") * (raw - self.get_buffer("low"))
        return self.alpha * local + (1 - self.alpha) * overall


class Regression(nn.Module):
    """`Instant`: what the student cannot tell is one product with a matrix at every position, less what its
    network tells, if it has one."""

    def __init__(self, detector: Instant, contents: Contents, region: Region | None, maps: bool) -> None:
        super().__init__()
        side, size = detector.settings.side, contents.preparation["size"]
        self.shrink, self.quarter = _shrunk(size, side), side // instant.STRIDE
        self.net, student = detector.network(), detector.student
        assert student is not None
        edge = instant.MIRRORED // instant.STRIDE
        around = self.quarter + 2 * edge
        self.edge, self.doubled = edge, Resample(of_torch(lambda eye: _smooth(eye, around), around // 2))
        self.register_buffer("turn", torch.from_numpy(student.turn).float())
        self.register_buffer("middle", torch.from_numpy(student.mean @ student.turn).float())
        self.rest, low = detector.rest, len(student.scale)
        self.register_buffer("low", torch.from_numpy(student.mean[:low, None, None]).float())
        self.register_buffer("scale", torch.from_numpy(student.scale[:, None, None]).float())
        self.register_buffer("usual", torch.from_numpy(detector.usual).float())
        self.register_buffer("spread", torch.from_numpy(detector.spread).float())
        self.even = Resample(of_torch(_mean_of_three, self.quarter))
        self.within = _Lowest(region, self.quarter) if region else nn.Identity()
        self.count = h_maps.share_of((self.quarter, self.quarter), detector.settings.top, region)
        self.enlarge = _enlarged(self.quarter, size) if maps else None

    def forward(self, image: torch.Tensor) -> Found:
        """See `Scorer`."""
        x = self.shrink(image).expand(-1, 3, -1, -1) / 255
        low, middle, high = self.net(F.pad(x, (instant.MIRRORED,) * 4, mode="reflect"))
        seen = torch.cat([F.avg_pool2d(low, 2), middle, self.doubled(high)], dim=1)
        inner = slice(self.edge, self.edge + self.quarter)
        maps = seen[0, :, inner, inner]
        white = maps.flatten(1).T @ self.get_buffer("turn") - self.get_buffer("middle")
        if self.rest is not None:
            scale = self.get_buffer("scale")
            told = self.rest(((maps[: len(scale)] - self.get_buffer("low")) / scale)[None])[0]
            white = (white - told.flatten(1).T) @ self.rest.white.T
        errors = self.even(white.square().mean(dim=1).view(1, 1, self.quarter, self.quarter))[0, 0]
        away = (errors - self.get_buffer("usual")) / self.get_buffer("spread")
        away = self.within(away[None])[0]
        score = image_score(away, self.count)
        return score, None if self.enlarge is None else self.enlarge(away[None, None])[0]


class _Lowest(nn.Module):
    """`maps.within`: maps (k, side, side) that outside the region have their lowest values inside."""

    def __init__(self, region: Region, side: int) -> None:
        super().__init__()
        inside = torch.from_numpy(region.of_shape((side, side)).copy())
        self.register_buffer("inside", inside)
        self.register_buffer("numbers", inside.flatten().nonzero()[:, 0])

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """See the class."""
        lowest = maps.flatten(1).index_select(1, self.get_buffer("numbers")).amin(dim=1)
        return torch.where(self.get_buffer("inside"), maps, lowest[:, None, None])


def image_score(fused: torch.Tensor, count: int) -> torch.Tensor:
    """`maps.image_score` (1,) of a map (h, w)."""
    highest = fused.flatten().topk(count).values.mean()
    low = h_maps.BEND * torch.exp((highest / h_maps.BEND - 1).clamp(-700.0, 0.0))
    return torch.where(highest >= h_maps.BEND, highest, low).view(1)


def _shrunk(size: int, side: int) -> nn.Module:
    """As `data.Photos` brings photos to the training size."""
    if side == size:
        return nn.Identity()
    return of_pillow(_bilinear, (size, size), (side, side), (0, 0, size, size))


def _enlarged(side: int, size: int) -> Resample:
    return Resample(of_torch(lambda eye: _smooth(eye, size), side))


def _bilinear(image: Image.Image, size: tuple[int, int], box: Box) -> Image.Image:
    return image.resize(size, Image.Resampling.BILINEAR, box)


def _smooth(eye: torch.Tensor, size: int) -> torch.Tensor:
    return F.interpolate(eye, (size, eye.shape[-1]), mode="bilinear", align_corners=False)


def _mean_of_three(eye: torch.Tensor) -> torch.Tensor:
    """As `maps.smooth`, of columns alone."""
    return F.avg_pool2d(F.pad(eye, (0, 0, 1, 1), mode="replicate"), (3, 1), stride=1)
