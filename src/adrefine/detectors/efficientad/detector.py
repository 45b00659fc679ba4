"""EfficientAD: a student imitates a patch network and an autoencoder on good photos, and fails on defects."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from adrefine.backbones.pdn import CHANNELS
from adrefine.detectors.base import Detector, Images, Scores, read_log, reading, write_log
from adrefine.detectors.efficientad import tiling
from adrefine.detectors.efficientad.maps import (
    Maps,
    Scale,
    framed,
    image_scores,
    of_files,
    raw,
    resized,
    usual_of,
    within,
)
from adrefine.detectors.efficientad.networks import STRIDE, start_low
from adrefine.detectors.efficientad.settings import Settings
from adrefine.detectors.efficientad.teacher import Standardized, Teacher, open_teacher
from adrefine.detectors.efficientad.trainer import Networks, Trainer
from adrefine.detectors.photos import Photos, Window, open_photos, size_of
from adrefine.detectors.trained import held_out
from adrefine.errors import UserError
from adrefine.io import atomic_open, read_json, write_json
from adrefine.params import Evaluate
from adrefine.paths import PIXELS
from adrefine.runtime import hardware
from adrefine.runtime.seeds import seed_everything
from adrefine.runtime.threads import in_order, workers

_STATE = "efficientad.pt"
_FEWEST = 5  # photos that say what is usual at a place
_DESCRIBED = 100  # photos of 256 positions or more: enough for a mean and a deviation of a channel


class EfficientAD(Detector):
    """Student and autoencoder on the photos of data/prepared/pixels; the image score is max H."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.alpha = self.settings.alpha
        self.size = ""  # of the PDN; empty: not trained
        self.networks: Networks | None = None
        self.cold: dict[str, torch.Tensor] = {}  # weights that the last cold fit ended with
        self.scale: Scale | None = None
        self.channels: tuple[torch.Tensor, torch.Tensor] | None = None  # of the teacher, over what it learns
        self.log: list[dict[str, float]] = []

    def fit(self, images: Images, *, warm_start: bool = False) -> list[dict[str, float]]:
        """See `Detector.fit`; the log has a row per stretch of steps.

        The first cold fit learns a part of `images` and takes the quantiles that normalize the maps from the
        others, held out by id; then it learns all: an image that was not learned would stand out among those
        that were. (The document has images known to be good for the quantiles. Here nobody knows, but few
        pixels of a training set are defective.) Later cold fits, also of clones, start afresh but keep the
        quantiles, so that scores of folds and rounds compare. A warm fit goes on from the last cold one for
        `finetune_steps`.
        """
        if len(images) < 2:
            raise UserError(f"EfficientAD needs at least 2 training images, got {len(images)}")
        s, photos = self.settings, self._photos(images)
        if s.coeff_ood and not photos.generic:
            raise UserError(
                f"efficientad.coeff_ood = {s.coeff_ood:g} needs generic images, and there are none: put some "
                "into the folder that pretrain_pdn.images names, or set it to 0"
            )
        self.channels = self.channels or self._described(images, photos)
        teacher = self._teacher(images)
        if warm_start and self.networks is not None:
            self.networks.load_state_dict(self.cold)
            self.log = self._trainer(photos, teacher).run(images.ids, s.finetune_steps, first=s.steps)
            return self.log
        if self.scale is None:
            learned, held = held_out(images, s.holdout, s.seed)
            if held.ids:
                self._start(teacher)
                self._trainer(photos, teacher).run(learned.ids, s.steps)
                self.calibrate(held)
        self._start(teacher)
        self.log = self._trainer(photos, teacher).run(images.ids, s.steps)
        self.cold = copy.deepcopy(self._ready().state_dict())
        if self.scale is None:
            self.calibrate(images)
        return self.log

    def calibrate(self, images: Images) -> None:
        """Take what normalizes the maps from `images`, taken as good: quantiles of all places (EAD
        sect. 4.7), with `normalize: places` of the deviations from what is usual at each place, which takes
        some photos to know. Places make the maps twice: all at once they may not fit into memory."""
        quantiles, region = (self.settings.q_a, self.settings.q_b), self._photos(images).region
        if self.settings.normalize == "photo" or len(images) < _FEWEST:
            self.scale = Scale.of((within(one, region) for one in self._raw(images)), *quantiles)
            return
        mean, spread = usual_of(self._raw(images), region)
        deviations = (within((one - mean) / spread, region) for one in self._raw(images))
        self.scale = Scale.of(deviations, *quantiles).at(mean, spread)

    def score(self, images: Images) -> Scores:
        """max H of each image, or the mean of its largest; positive, see `maps.image_score`."""
        fused = self._fused(images, self._raw(images), self.alpha)
        return Scores(image_scores(fused, self.settings.top, self._photos(images).region))

    def maps(self, images: Images, files: list[Path]) -> np.ndarray | None:
        """H of each image at the size of its file."""
        return of_files(self._fused(images, self._raw(images), self.alpha), files)

    def layers(self, images: Images, files: list[Path]) -> dict[str, np.ndarray]:
        """The student's map, of local defects, and the autoencoder's, of global ones (EAD figure 5.3)."""
        raw, parts = list(self._raw(images)), {"student": 1.0, "autoencoder": 0.0}
        return {name: of_files(self._fused(images, raw, alpha), files) for name, alpha in parts.items()}

    def apply(self, evaluate: Evaluate) -> None:
        self.alpha = evaluate.alpha  # EAD eq. 4.12

    def clone(self) -> EfficientAD:
        return copy.deepcopy(self)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        state = {key: value.cpu() for key, value in self._ready().state_dict().items()}
        assert self.scale is not None
        scale = {"low": torch.from_numpy(self.scale.low), "high": torch.from_numpy(self.scale.high)}
        channels = dict(zip(("mean", "std"), self.channels or (), strict=False))
        with atomic_open(folder / _STATE) as file:
            torch.save({"networks": state, "size": self.size, "channels": channels, **scale}, file)
        write_json(folder / "settings.json", self.settings.stored())
        write_log(folder, self.log)

    def load(self, folder: Path) -> None:
        with reading(folder, _STATE, "EfficientAD"):
            self.settings = Settings.restored(read_json(folder / "settings.json"))
            self.alpha = self.settings.alpha
            state = torch.load(folder / _STATE, map_location=hardware.device(), weights_only=True)
            self.size = state["size"]
            self.scale = Scale(*(_of_places(state[name]) for name in ("low", "high")))
            same = {"mean": torch.zeros(CHANNELS), "std": torch.ones(CHANNELS)}  # of a model from before
            self.channels = tuple(state.get("channels", same)[name] for name in ("mean", "std"))
            self.networks = self._new_networks()
            self.networks.load_state_dict(state["networks"])
            self.cold = state["networks"]
            self.log = read_log(folder)

    def _ready(self) -> Networks:
        if self.networks is None:
            raise UserError("this EfficientAD is not trained: call fit or load first")
        return self.networks

    def _start(self, teacher: Standardized) -> None:
        """New networks with random weights, but for the student's first layers if `init` is teacher."""
        self.size = teacher.size
        self.networks = self._new_networks()
        if self.settings.init == "teacher":
            start_low(self.networks.student, teacher.net)

    def _new_networks(self) -> Networks:
        seed_everything(self.settings.seed)
        networks = Networks(self.size, self.settings).to(hardware.device())
        return networks.to(memory_format=torch.channels_last)

    def _photos(self, images: Images) -> Photos:
        s = self.settings
        return open_photos(images.prepared / PIXELS, s.side, s.tiles, s.overlap)

    def _teacher(self, images: Images) -> Standardized:
        if self.channels is None:
            raise UserError("this EfficientAD is not trained: call fit or load first")
        return Standardized(self._plain_teacher(images), *self.channels)

    def _plain_teacher(self, images: Images) -> Teacher:
        return open_teacher(images.prepared / PIXELS, self.settings.side, self.settings.padding)

    def _described(self, images: Images, photos: Photos) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and deviation of the teacher's channels over up to _DESCRIBED of the photos, a window each."""
        each = (photos.windows(photos.path(one)) for one in images.ids[:: -(-len(images) // _DESCRIBED)])
        found = Standardized.over(
            self._plain_teacher(images), photos, (windows[len(windows) // 2] for windows in each)
        )
        return found.mean.cpu(), found.std.cpu()

    def _trainer(self, photos: Photos, teacher: Standardized) -> Trainer:
        return Trainer(self._ready(), teacher, photos, self.settings)

    def _fused(self, images: Images, maps: Iterable[Maps], alpha: float) -> Iterator[Maps]:
        """H (h, w) of the raw maps of each image, one after the other; outside the region of interest the
        lowest inside."""
        self._ready()
        region = self._photos(images).region
        for one in maps:
            assert self.scale is not None
            yield within(self.scale.fused(one, alpha), region)

    def _raw(self, images: Images) -> Iterator[Maps]:
        """Raw maps (2, h, w) of each image, one after the other: at a quarter of the training size, or of a
        photo in tiles at its own."""
        photos, teacher = self._photos(images), self._teacher(images)

        def one(image_id: str) -> Maps:
            path = photos.path(image_id)
            if len(photos.windows(path)) == 1:
                return self._of_window(photos, teacher, Window(path))
            side = (photos.side, photos.side)

            def of_tile(top: int, left: int) -> Maps:
                maps = self._of_window(photos, teacher, Window(path, top, left))
                return resized(torch.from_numpy(maps)[None], side)[0].numpy()

            return tiling.blend(of_tile, size_of(path), photos.side, photos.overlap)

        with workers(on_gpu=2) as pool:
            yield from in_order(pool, one, images.ids)

    @torch.no_grad()
    def _of_window(self, photos: Photos, teacher: Standardized, window: Window) -> Maps:
        """Raw maps (2, side / 4, side / 4)."""
        networks = self._ready()
        x = photos.pixels(window)[None].to(teacher.device).contiguous(memory_format=torch.channels_last)
        half = teacher.dtype != torch.float32
        with torch.autocast(teacher.device.type, dtype=teacher.dtype, enabled=half, cache_enabled=False):
            student, autoencoder = networks.student(x).float(), networks.autoencoder(x).float()
        maps = raw(teacher.of_window(photos, window)[None], student, autoencoder)
        return framed(maps, photos.side // STRIDE)[0].cpu().numpy()


def _of_places(stored: Any) -> np.ndarray:
    """A scale's quantiles (2, h, w); a model from before has two numbers."""
    values = torch.as_tensor(stored, dtype=torch.float64).cpu().numpy()
    return values.reshape(2, 1, 1) if values.ndim == 1 else values
