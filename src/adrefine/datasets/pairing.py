"""Which file is the mask of which photo, by folders and names.

A file counts as a mask if its folder or its name says so and there is a photo to it; a photo that is called
`mask_001.png` among others like it is a photo. Photo and mask agree in their keys: the folders and the stem
without the words that only say what the files are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from adrefine.datasets import words
from adrefine.datasets.formats import SUFFIXES
from adrefine.errors import UserError

SEVERAL = "\n"  # joins the masks of one photo; no file name may hold it
Key = tuple[str, ...]
_LOSSY = (".jpg", ".jpeg", ".jpe", ".jfif")
_TWO_TONE = 0.95  # share of pixels at either end that makes a picture beside a photo its mask
_FEW = 8  # levels
_LOOKED_AT = 3  # files of a name before all are: photos, most likely


def key(path: str, below: str = "") -> Key:
    """Folders and stem of `path` (below the folder `below`) without words for masks and pictures."""
    pure = PurePosixPath(path)
    inside = pure.relative_to(below) if below else pure
    kept = [
        name
        for name in inside.parts[:-1]
        if not words.is_mask_folder(name) and not words.holds_pictures(name)
    ]
    return (*kept, words.photo_stem(inside.stem))


def apart(root: Path, files: list[str]) -> tuple[list[str], dict[str, str]]:
    """Split files of one folder tree into photos, and masks that lie beside them, with the photo of each; ""
    for what lies in a folder of masks and belongs to none."""
    named = {path for path in files if _named_mask(path)}
    photos = {key(path): path for path in files if path not in named}
    masks = {path: photos[place] for path in named for place in _places(key(path)) if place in photos}
    full = {path.rpartition("/")[0] for path in masks}
    masks |= {
        path: "" for path in named - set(masks) if _in_mask_folder(path) and path.rpartition("/")[0] in full
    }
    rest = [path for path in files if path not in masks]
    return _twins_apart(root, rest, masks)


def match(
    photos: Mapping[str, Iterable[Key]], masks: Mapping[str, Key], loose: set[str]
) -> dict[str, list[str]]:
    """Masks by photo; what is not in there belongs to none.

    Args:
        photos: keys that a photo answers to.
        masks: the key of each mask.
        loose: photos that also answer to the end of their key, as where all masks lie in one folder.

    Raises:
        UserError: a mask could belong to several photos.
    """
    exact: dict[Key, set[str]] = {}
    folded: dict[Key, set[str]] = {}
    ends: dict[Key, set[str]] = {}
    for photo, keys in photos.items():
        for one in keys:
            exact.setdefault(one, set()).add(photo)
            folded.setdefault(_fold(one), set()).add(photo)
            if photo in loose:
                for start in range(1, len(one)):
                    ends.setdefault(_fold(one[start:]), set()).add(photo)
    matched: dict[str, list[str]] = {}
    for mask, mine in sorted(masks.items()):
        for places, place in _lookups(exact, folded, ends, mine):
            owners = sorted(places.get(place, ()))
            if len(owners) > 1:
                raise UserError(
                    f"the mask {mask} could belong to {owners[0]} or {owners[1]}: put it into a folder of "
                    "the same name as the photo's, or give the photos different names"
                )
            if owners:
                matched.setdefault(owners[0], []).append(mask)
                break
    return matched


def joined(masks: Iterable[str]) -> str:
    """Several masks of a photo as one text; `split` takes it apart."""
    return SEVERAL.join(sorted(masks))


def split(text: str) -> list[str]:
    """The masks that `joined` joined; none of ""."""
    return text.split(SEVERAL) if text else []


def add_up(masks: list[str]) -> bool:
    """Whether masks of one photo are meant to be laid together: numbered ones, or all in a folder that is
    named after the photo; else they are several versions."""
    series = {
        (mask.rpartition("/")[0], words.mask_series(PurePosixPath(mask).stem), PurePosixPath(mask).suffix)
        for mask in masks
    }
    numbered = all(PurePosixPath(mask).stem.isdigit() for mask in masks)
    return len(series) == 1 or (numbered and len({mask.rpartition("/")[0] for mask in masks}) == 1)


def _lookups(
    exact: dict[Key, set[str]], folded: dict[Key, set[str]], ends: dict[Key, set[str]], mine: Key
) -> Iterator[tuple[dict[Key, set[str]], Key]]:
    for place in _places(mine):
        yield exact, place
        yield folded, _fold(place)
    for place in _places(mine):
        yield ends, _fold(place)
    if (stem := words.unnumbered(mine[-1])) != mine[-1]:  # one of several masks of a photo
        yield from _lookups(exact, folded, ends, (*mine[:-1], stem))


def _places(mine: Key) -> list[Key]:
    """The key itself; its folder, for a mask in a folder that is named after the photo."""
    return [mine, mine[:-1]] if len(mine) > 1 else [mine]


def _fold(one: Key) -> Key:
    return tuple(name.casefold() for name in one)


def _named_mask(path: str) -> bool:
    stem = PurePosixPath(path).stem
    return _in_mask_folder(path) or words.photo_stem(stem) != stem


def _in_mask_folder(path: str) -> bool:
    return any(words.is_mask_folder(name) for name in PurePosixPath(path).parts[:-1])


def _twins_apart(root: Path, files: list[str], masks: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    """Also masks that have the very name of their photo and another suffix, as 1.jpg and 1.png, or the same
    word after each, as 1.png and 1_m.png, if they look like masks."""
    stems: dict[str, list[str]] = {}
    for path in files:
        stems.setdefault(path.rpartition(".")[0], []).append(path)
    for same in stems.values():
        lossy = [path for path in same if path.lower().endswith(_LOSSY)]
        if len(lossy) == 1 and len(same) > 1:
            masks |= {
                path: lossy[0] for path in same if path not in lossy and _two_tone(root, path, lossy[0])
            }
    for pairs in _said_beside([path for path in files if path not in masks]).values():
        if all(_two_tone(root, *pair) for pair in pairs[:_LOOKED_AT]):
            masks |= {path: photo for path, photo in pairs if _two_tone(root, path, photo)}
    return [path for path in files if path not in masks], masks


def _said_beside(files: list[str]) -> dict[str, list[tuple[str, str]]]:
    """Files whose names are those of a photo beside them and a word more, with that photo, by the word."""
    stems = {path.rpartition(".")[0]: path for path in files}
    found: dict[str, list[tuple[str, str]]] = {}
    for stem, path in stems.items():
        for end in range(len(stem) - 1, stem.rfind("/") + 1, -1):
            word = words.said_beside(stem, stem[:end]) if stem[:end] in stems else None
            if word:
                found.setdefault(word, []).append((path, stems[stem[:end]]))
                break
    return found


def _two_tone(root: Path, path: str, photo: str) -> bool:
    """Whether a picture looks like a mask of `photo`: nearly all black and white, or of few levels, and the
    photo does not."""
    from PIL import Image

    if not {Path(path).suffix.lower(), Path(photo).suffix.lower()} <= SUFFIXES:
        return False
    try:
        with Image.open(root / path) as image, Image.open(root / photo) as other:
            if image.size != other.size:
                return False
            levels, others = np.asarray(image.convert("L")), np.asarray(other.convert("L"))
    except Exception:  # ingest says what is wrong with it
        return False
    return _of_few_levels(levels) and not _of_few_levels(others)


def _of_few_levels(levels: npt.NDArray[np.uint8]) -> bool:
    counts = np.bincount(levels.ravel(), minlength=256)
    return bool(
        (counts[:_FEW].sum() + counts[-_FEW:].sum()) / counts.sum() > _TWO_TONE or (counts > 0).sum() <= _FEW
    )
