"""What happens to one photo, in whatever process: read, hash, look in the side cache, else decode and store
there. Photos of more than 8 bits come twice: to be measured, and again when the scale of the set is known.

The side cache holds the finished image of every photo ever ingested, under the hash of its bytes, so a
changed dataset decodes the changed photos alone. Nothing else is written here: which photos stay is decided
once all are known.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from math import ceil, inf
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from adrefine import io
from adrefine.datasets import pairing
from adrefine.ingestion import cache, decode, fitting, hints, pose, scales, stacks
from adrefine.ingestion.damage import OutOfMemory
from adrefine.ingestion.decode import BadPhoto, Decoded
from adrefine.ingestion.pose import Pose
from adrefine.ingestion.samples import Samples
from adrefine.ingestion.scales import EIGHT_BIT, Levels, Scales
from adrefine.ingestion.sources import read_bytes

R = TypeVar("R")
_LARGE = 25e6  # pixels
_TURNED = 2 * decode.THUMBNAIL  # pixels a side of the turned photo that a thumbnail is made of
_RECORDED = [
    *("width", "height", "pictures", "grey_levels", "brightest"),
    *("black", "saturated", "sharpness", "brightness", "flat"),
]
_FEW = 4  # pixels that may be brighter than the rest
_END = 3  # grey levels that count as black, and as saturated: resizing and JPEG soften both


class TornMasks(Exception):
    """Several masks of a photo contradict each other; the message says which."""


@dataclass(frozen=True)
class WorkerSettings:
    """How photos are prepared.

    Attributes:
        root: absolute.
        cache: the side cache of exactly these settings (`cache.config_key`).
        fit: as `fitting.fit` takes it, or `part`: turned and cropped to the pose of the job.
        looks: also find how the part lies.
        aspect: for `part`, as `Pose.transform` takes it.
        follow_links: whether a link may lead out of the root.
    """

    root: Path
    cache: Path
    size: int
    fit: str
    max_megapixels: float
    scales: Scales = field(default_factory=dict)
    looks: bool = False
    aspect: float = 0.0
    follow_links: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """One photo to prepare; `index` is its row, `mask_source` its masks (`pairing.joined`), `levels` what it
    reaches, once a photo of more than 8 bits has been measured, `pose` how its part lies, if it is to be
    turned."""

    index: int
    source: str
    mask_source: str
    levels: Levels | None = None
    pose: Pose | None = None


@dataclass(slots=True)
class Photo:
    """What is known of a photo afterwards; about 2 kB, 512 bytes of it for each thumbnail.

    `problem`: why it goes to quarantine; `clash`: how its mask disagrees in size; `torn`: how its masks
    disagree with each other. `sha256`, `mask_sha256`: of the files' bytes; `file`, `mask_file`: the
    images in the side cache. `pose`, `turned`: how the part lies, and the thumbnail the photo would have if
    turned; None and empty where nobody looked. `levels`: set if the photo has to come again
    when the scale of the set is known. `grey_levels`, `brightest`, `black`, `saturated`: how many different
    ones its image has, the largest of any colour but for a few pixels, and the shares of its pixels at either
    end. `pictures`: in its file, of which it is the first.
    """

    index: int
    sha256: str = ""
    width: int = 0
    height: int = 0
    file: str = ""
    mask_sha256: str = ""
    mask_file: str = ""
    mask_area: float = 0.0
    reused: bool = False
    scale: str = str(EIGHT_BIT)
    grey_levels: int = 0
    brightest: int = 0
    black: float = 0.0
    saturated: float = 0.0
    pictures: int = 1
    sharpness: float = 0.0
    brightness: float = 0.0
    flat: float = 0.0
    levels: Levels | None = None
    problem: str = ""
    clash: str = ""
    torn: str = ""
    pose: Pose | None = None
    thumbnail: npt.NDArray[np.float16] = field(default_factory=lambda: np.zeros(0, np.float16))
    turned: npt.NDArray[np.float16] = field(default_factory=lambda: np.zeros(0, np.float16))


def process(settings: WorkerSettings, job: Job) -> Photo:
    """Prepare one photo and its mask; never raises for bad data.

    Raises:
        OutOfMemory: that says nothing of the photo; names it.
    """
    try:
        return _process(settings, job)
    except OutOfMemory as error:
        raise OutOfMemory(f"{job.source}: {error}") from None
    except MemoryError:
        raise OutOfMemory(f"{job.source}: not enough memory to read it: close other programs") from None


def _process(settings: WorkerSettings, job: Job) -> Photo:
    photo = Photo(job.index)
    try:
        _image(settings, job, photo)
    except BadPhoto as error:
        photo.problem = str(error)
        return photo
    if job.mask_source and photo.levels is None:
        try:
            _mask(settings, job, photo)
        except TornMasks as error:
            photo.torn = f"{job.source}: {error}"
        except BadPhoto as error:
            photo.problem = f"its mask {error}"
    return photo


def _image(settings: WorkerSettings, job: Job, photo: Photo) -> None:
    data = read_bytes(settings.root, job.source, settings.max_megapixels, settings.follow_links)
    photo.sha256 = hashlib.sha256(data).hexdigest()
    scale = scales.of(job.levels, settings.scales) if job.levels else EIGHT_BIT
    file = cache.image_file(settings.cache, photo.sha256, str(scale))
    record = cache.read(file)
    photo.reused, photo.file, photo.pose = record is not None, str(file), job.pose
    if record is None:
        if job.levels is None and (known := _measured(settings, photo.sha256)):
            photo.levels = known
            return
        with _gate(settings.cache) as gate:
            enough = _enough(settings.size, job.pose)
            decoded = decode.read(data, settings.max_megapixels, enough, gate)
            if isinstance(decoded, Samples) and job.levels is None:
                photo.levels = decoded.levels()
                cache.seal(cache.levels_file(settings.cache, photo.sha256), photo.levels.as_json())
                return
            ready = decoded if isinstance(decoded, Decoded) else decode.on_scale(decoded, scale)
            record = _keep(settings, job, file, ready, stacks.pictures(data))
    photo.scale = str(scale)
    for name in _RECORDED:
        setattr(photo, name, record[name])
    decode.check_size(photo.width, photo.height, settings.max_megapixels)
    photo.thumbnail = _thumbnail(record["thumbnail"])
    if settings.looks:
        photo.pose, photo.turned = Pose(*record["pose"]), _thumbnail(record["turned"])


@contextmanager
def _gate(folder: Path) -> Iterator[decode.Gate]:
    """Lets one process at a time work on a large photo: each takes up to a gigabyte and more."""
    with ExitStack() as held:
        waits: list[object] = []

        def gate(width: int, height: int) -> None:
            if width * height > _LARGE and not waits:
                waits.append(held.enter_context(io.locked(folder / ".large.lock", "busy", inf)))

        yield gate


def _thumbnail(text: str) -> npt.NDArray[np.float16]:
    return np.frombuffer(bytes.fromhex(text), dtype=np.float16)


def _enough(size: int, lies: Pose | None) -> int:
    """Pixels a side at which a photo must be decoded so that no detail of its part is lost."""
    return size if lies is None else ceil(size / (pose.MARGIN * min(lies.length, lies.width)))


def _fit(decoded: Decoded, settings: WorkerSettings, job: Job, is_mask: bool = False) -> Image.Image:
    if job.pose is None:
        return fitting.fit(decoded, settings.size, settings.fit, is_mask)
    move = job.pose.transform(decoded.width, decoded.height, settings.size, settings.aspect)
    return (fitting.turn_mask if is_mask else fitting.turn)(decoded, move, settings.size)


def _look(image: Image.Image) -> dict[str, Any]:
    """How the part lies, and the thumbnail of the photo turned and cropped to it."""
    small = pose.reduced(image)
    lies, turned = pose.find(small), np.zeros(decode.THUMBNAIL**2, dtype=np.float16)
    if not lies.problem:
        move = lies.transform(*small.size, _TURNED, 0)
        turned = decode.thumbnail(fitting.turn(Decoded(small, *small.size), move, _TURNED))
    return {"pose": lies.values(), "turned": turned.tobytes().hex()}


def _keep(settings: WorkerSettings, job: Job, file: Path, decoded: Decoded, count: int) -> dict[str, Any]:
    """Bring a photo to the working size and store it; its record."""
    image = decode.as_grey(_fit(decoded, settings, job))
    grey = image.convert("L")
    counts = np.asarray(grey.histogram())
    record = {
        "width": decoded.width,
        "height": decoded.height,
        "pictures": count,
        "grey_levels": int(np.count_nonzero(counts)),
        "brightest": _brightest(image),
        "black": round(float(counts[:_END].sum() / counts.sum()), 4),
        "saturated": round(float(counts[-_END:].sum() / counts.sum()), 4),
        "thumbnail": decode.thumbnail(image).tobytes().hex(),
        **hints.measure(np.asarray(grey)),
    }
    if settings.looks:
        record |= _look(decoded.image)
    cache.store(file, decode.png(image), record)
    return record


def _brightest(image: Image.Image) -> int:
    counts = np.asarray(image.histogram()).reshape(-1, 256).sum(axis=0)
    return int(np.flatnonzero(np.cumsum(counts[::-1])[::-1] > _FEW).max(initial=0))


def _measured(settings: WorkerSettings, sha256: str) -> Levels | None:
    try:
        return Levels(**cache.unsealed(cache.levels_file(settings.cache, sha256)))
    except (OSError, ValueError, TypeError):
        return None


def _mask(settings: WorkerSettings, job: Job, photo: Photo) -> None:
    sources = pairing.split(job.mask_source)
    data = [
        _named(source, read_bytes, settings.root, source, settings.max_megapixels, settings.follow_links)
        for source in sources
    ]
    hashes = [hashlib.sha256(one).hexdigest() for one in data]
    together = hashlib.sha256("".join(hashes).encode()).hexdigest()
    photo.mask_sha256 = hashes[0] if len(hashes) == 1 else together
    file = cache.mask_file(settings.cache, photo.mask_sha256, Path(photo.file).stem if job.pose else "")
    record, photo.mask_file = cache.read(file), str(file)
    if record is None:
        with _gate(settings.cache) as gate:
            decoded = _one_mask(
                sources,
                [
                    _named(source, decode.mask, one, settings.max_megapixels, gate)
                    for source, one in zip(sources, data, strict=True)
                ],
            )
        image = _fit(decoded, settings, job, is_mask=True)
        area = float(np.count_nonzero(np.asarray(image))) / settings.size**2
        record = {"width": decoded.width, "height": decoded.height, "area": area}
        cache.store(file, decode.png(image), record)
    photo.mask_area = record["area"]
    if (record["width"], record["height"]) != (photo.width, photo.height):
        photo.clash = (
            f"{job.source} is {photo.width}x{photo.height} pixels, its mask {sources[0]} "
            f"{record['width']}x{record['height']}"
        )


def _named(source: str, read: Callable[..., R], *arguments: Any) -> R:
    """What `read` gives; its complaint begins with the mask's name."""
    try:
        return read(*arguments)
    except BadPhoto as error:
        raise BadPhoto(f"{source}: {error}") from None


def _one_mask(sources: list[str], masks: list[Decoded]) -> Decoded:
    """Masks of one photo laid together; an empty one beside others says nothing.

    Raises:
        TornMasks: several versions of the mask mark different pixels.
        BadPhoto: they differ in size.
    """
    if len({(mask.width, mask.height) for mask in masks}) > 1:
        raise BadPhoto(f"{' and '.join(sources)}: of different sizes")
    marks = [np.asarray(mask.image) for mask in masks]
    some = {source: one for source, one in zip(sources, marks, strict=True) if one.any()}
    if not pairing.add_up(list(some)) and len({one.tobytes() for one in some.values()}) > 1:
        raise TornMasks(f"its masks {' and '.join(some)} mark different pixels")
    union = np.maximum.reduce(marks)
    return Decoded(Image.fromarray(union), masks[0].width, masks[0].height)
