"""A model from a bundle: `load` it, `predict` with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from adrefine.areas.region import read as read_region
from adrefine.bundle import contents as bundles
from adrefine.bundle.contents import MODEL, PLACES, Contents
from adrefine.bundle.inputs import check_detector
from adrefine.detectors import DETECTORS, Detector, Images
from adrefine.detectors.base import DetectorSettings
from adrefine.errors import UserError
from adrefine.ingestion import decode
from adrefine.ingestion.preparation import Preparation, Ready
from adrefine.params import Evaluate
from adrefine.paths import PLACES as PLACES_INPUT
from adrefine.places.maps import drawn, gaussians
from adrefine.places.store import open_places
from adrefine.places.sums import Gaussians, Sums
from adrefine.prediction import makers
from adrefine.prediction.photo import Photo, Result, ready

BATCH = 16  # photos that go through together: bounds memory, decides nothing
_One = tuple[Ready, str]  # a prepared photo and the hash of its file


class Model:
    """A trained detector with everything that turns a photo into a score. Any number of threads may use it.

    The score of a photo is the one that the graph gives it, to the bit on the machine that trained.

    Attributes:
        folder: of the bundle. contents: what the bundle says of itself.
        region: what counts of photos at the working size; None: all.
    """

    def __init__(self, folder: Path, contents: Contents) -> None:
        self.folder, self.contents = folder, contents
        self.region = read_region(folder / contents.region) if contents.region else None
        self.preparation = Preparation(**contents.preparation, region=self.region)
        self.detector = _detector(folder, contents)
        self._makers = {name: makers.of(folder, name, contents) for name in contents.inputs}
        self._shown = {name: makers.of(folder, name, contents) for name in contents.shown}
        self.usual = _usual(folder / PLACES) if contents.map.of == "places" else None
        self._lock = threading.Lock()  # detectors keep state while they score

    @property
    def threshold(self) -> float:
        """A photo that scores over it is called defective."""
        return self.contents.threshold.value

    @overload
    def predict(self, photo: Photo, *, maps: bool = True) -> Result: ...

    @overload
    def predict(self, photo: list[Photo], *, maps: bool = True) -> list[Result]: ...

    def predict(self, photo: Photo | list[Photo], *, maps: bool = True) -> Result | list[Result]:
        """Score a photo, or a list of them.

        Args:
            photo: path, bytes of a file, image of Pillow, or array (h, w) grey or (h, w, 3) RGB of uint8,
                uint16 or floats; or a list of these.
            maps: whether results get an anomaly map and the place where it is highest.

        Raises:
            UserError: a photo cannot be used; says which and why.
        """
        if isinstance(photo, list):
            return list(self.stream(photo, maps=maps))
        return next(self.stream([photo], maps=maps))

    def stream(self, photos: Iterable[Photo], *, maps: bool = True) -> Iterator[Result]:
        """Results of any number of photos, one after the other, in flat memory; see `predict`."""
        waiting = iter(photos)
        while batch := list(islice(waiting, BATCH)):
            start = time.perf_counter()
            prepared = [ready(photo, self.preparation) for photo in batch]
            yield from self.results(prepared, maps, time.perf_counter() - start)

    def results(self, photos: Sequence[_One], maps: bool, seconds: float = 0.0) -> list[Result]:
        """Results of photos at the working size; `seconds`: that preparing them took."""
        start = time.perf_counter()
        scores, heats = self.score([photo.image for photo, _ in photos], maps)
        each = (seconds + time.perf_counter() - start) * 1000 / len(photos)
        return [
            Result(
                score=float(score),
                threshold=self.threshold,
                width=photo.width,
                height=photo.height,
                sha256=digest,
                notes=(*photo.notes, *self._unlike(photo)),
                milliseconds=round(each, 2),
                _heat=heat,
                _move=photo.move,
                _side=self.preparation.size,
            )
            for (photo, digest), score, heat in zip(photos, scores, heats, strict=True)
        ]

    def score(
        self, images: Sequence[Image.Image], maps: bool
    ) -> tuple[npt.NDArray[np.float64], Sequence[npt.NDArray[np.float32] | None]]:
        """Scores (n,) and maps (h, w), None without, of images at the working size."""
        ids = tuple(f"{number:06d}" for number in range(len(images)))
        with TemporaryDirectory(prefix="adrefine-") as name:
            prepared = Path(name)
            files = [prepared / f"{image_id}.png" for image_id in ids]
            for image, file in zip(images, files, strict=True):
                file.write_bytes(decode.png(image))
            for kind, maker in (self._makers | (self._shown if maps else {})).items():
                maker.make(ids, images, files, prepared / kind)
            seen = Images(ids, prepared)
            with self._lock:
                scores = self.detector.score(seen).image
                heats = self._maps(seen, files) if maps else None
        return scores, [None] * len(ids) if heats is None else list(heats / self.contents.map.limit)

    def _maps(self, seen: Images, files: list[Path]) -> npt.NDArray[np.float32] | None:
        if self.usual is None:
            maps = self.detector.maps(seen, files)
        else:
            maps = drawn(self.usual, open_places(seen.prepared / PLACES_INPUT).maps(seen.ids), files)
        return maps if maps is None or self.region is None else self.region.cleared(maps)

    def _unlike(self, photo: Ready) -> Iterator[str]:
        """How a photo differs from those that trained."""
        known = self.contents.seen
        sides = {"width": photo.width, "height": photo.height}
        if any(not known[name][0] <= value <= known[name][1] for name, value in sides.items()):
            (a, b), (c, d) = known["width"], known["height"]
            trained = f"{a}x{c}" if (a, c) == (b, d) else f"{a}x{c} to {b}x{d}"
            yield f"{photo.width}x{photo.height} pixels, those that trained have {trained}"
        if photo.image.mode not in known["modes"]:
            yield (
                "grey, those that trained are in colour"
                if photo.image.mode == "L"
                else ("in colour, those that trained are grey")
            )


def load(path: str | Path = "promoted/current") -> Model:
    """The model of the bundle in the folder `path`; reads data, runs nothing from it.

    Raises:
        UserError: there is no bundle, a damaged or a newer one, or a package that it needs is missing.
    """
    folder = Path(path).resolve()  # a link such as promoted/current may lead elsewhere later
    return Model(folder, bundles.check(folder))


def _detector(folder: Path, contents: Contents) -> Detector:
    kind: Any = DETECTORS.get(contents.detector)
    try:
        section: DetectorSettings = kind(**contents.section)
        made = section.create()
    except ValueError as error:
        raise UserError(
            f"{folder}: its {contents.detector} has settings that this adrefine does not know ({error}): "
            f"install adrefine {contents.adrefine}"
        ) from None
    check_detector(folder, section, contents.backbones.get(MODEL))
    made.load(folder / MODEL)
    made.apply(Evaluate(alpha=contents.alpha))
    return made


def _usual(file: Path) -> Gaussians:
    state = torch.load(file, map_location="cpu", weights_only=True)
    return gaussians(Sums(**{name: value.numpy() for name, value in state.items()}))
