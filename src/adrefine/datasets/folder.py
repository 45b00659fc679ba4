"""Your own photos, in one of two layouts:

    good/…   defect/<type>/…   masks/…   known to be good or defective, masks where you have them
    …                                    nothing known: all train, and cleaning finds the odd ones

Folders may have other names that say the same (`OK`, `NG`, `Normal`, `ground_truth`; see `words`), also below
a folder `images/`. Sub-folders are searched, hidden files and folders skipped. The folder of a photo below
`defect/` is its type of defect. A mask has its photo's path below `masks/`, with or without the leading
`defect/`, any image suffix, and words like `_mask`; or it lies beside its photo (see `pairing`). Good photos
are split into training and test by `dataset.test_fraction`; all defective ones are tested.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pandas as pd

from adrefine.datasets import files, pairing, words
from adrefine.datasets.base import Layout
from adrefine.errors import UserError
from adrefine.manifest import DEFECT, GOOD, UNKNOWN
from adrefine.params import Dataset

_NAMES = {GOOD: "good", DEFECT: "defect"}


class Folder(Layout):
    """A folder of photos, sorted into good and defective or not sorted at all."""

    def scan(self, root: Path, params: Dataset) -> pd.DataFrame:
        """See `Layout.scan`."""
        places = _labelled(root)
        if not places:
            _refuse_hidden_labels(root)
            _refuse_half_said(root)
            photos, _ = pairing.apart(root, files.photos_below(root, ""))
            photos = [source for source in photos if not _surely_mask(source)] or photos
            return files.as_table([files.row(source, "train", UNKNOWN) for source in photos])
        if len(set(places.values())) == 1:
            there = min(places)
            other = _NAMES[DEFECT if places[there] == GOOD else GOOD]
            raise UserError(
                f"{root / other} is missing: add it, or set dataset.root to {root / there} to clean its "
                f"photos without labels{_unclear(root, places)}"
            )
        photos_of, masks = _labelled_photos(root, places)
        for name, photos in photos_of.items():
            if not photos:
                raise UserError(f"{root / name} holds no photo: put some there")
        masked = _masked(root, places, photos_of, masks)
        rows = []
        for name, photos in photos_of.items():
            for source in photos:
                mask = pairing.joined(masked.get(source, []))
                if places[name] == GOOD:
                    split = "test" if files.held_out(source, params) else "train"
                    rows.append(files.row(source, split, GOOD, mask))
                else:
                    kind = "/".join(pairing.key(source, name)[:-1])
                    rows.append(files.row(source, "test", DEFECT, mask, kind or "defect"))
        return files.as_table(rows)

    def arrivals(self, root: Path) -> str:
        """See `Layout.arrivals`."""
        good = [name for name, label in _labelled(root).items() if label == GOOD]
        if good:
            return "good" if "good" in good else min(good)
        return "good" if _labelled(root) else ""

    def warnings(self, root: Path, table: pd.DataFrame) -> list[str]:
        """See `Layout.warnings`: that folders are not taken for labels."""
        inside = sorted({source.partition("/")[0] for source in table["source"] if "/" in source})
        inside = [name for name in inside if not words.holds_pictures(name)]
        if (table["label"] != UNKNOWN).any() or not inside:
            return []
        named = files.listed([f"{name}/" for name in inside])
        return [f"no folder good/ or defect/ in {root}: all photos in {named} are taken as unlabelled"]

    def unused(self, root: Path, source: str) -> str:
        """See `Layout.unused`."""
        places = _labelled(root)
        if not places:
            return "a mask: photos that nobody has labelled need none"
        if _in_masks(source):
            return "a mask that belongs to no photo"
        return f"neither in {files.listed([f'{name}/' for name in sorted(places)])}"


def _labelled(root: Path) -> dict[str, int]:
    """Folders that say what their photos are, below the root or a folder that only says `images`."""
    labelled = {}
    for name in files.folders(root):
        label = words.label_of(name)
        if label is not None:
            labelled[name] = label
        elif words.holds_pictures(name):
            inside = ((f"{name}/{child}", words.label_of(child)) for child in files.folders(root / name))
            labelled |= {path: label for path, label in inside if label is not None}
    return labelled


def _unclear(root: Path, places: dict[str, int]) -> str:
    """Which folders beside those of `places` hold photos, and that their names say nothing."""
    tops = {name.partition("/")[0] for name in places}
    others = [name for name in files.folders(root) if name not in tops and not words.is_mask_folder(name)]
    named = [f"{name}/" for name in others if files.photos_below(root, name)]
    return f" (what {files.listed(named)} holds is not clear: rename it good or defect)" if named else ""


def _refuse_hidden_labels(root: Path) -> None:
    """Labels further down are not lost without a word."""
    for name in _folders_below(root, ""):
        if words.label_of(PurePosixPath(name).name) is not None and files.photos_below(root, name):
            above = root / PurePosixPath(name).parent
            tree = " or dataset.name to mvtec" if "train" in map(str.casefold, files.folders(root)) else ""
            raise UserError(
                f"{root / name} is named like a label, but good/ and defect/ must lie directly in "
                f"dataset.root: set dataset.root to {above}{tree}, or rename the folder to take "
                "all photos as unlabelled"
            )


def _refuse_half_said(root: Path) -> None:
    """Names that may be labels, but not for sure, are not taken for nothing."""
    tops = [
        name
        for name in files.folders(root)
        if not words.is_mask_folder(name) and files.photos_below(root, name)
    ]
    if (len(tops) > 1 and any(map(words.says_a_label, tops))) or words.contrary(tops):
        raise UserError(
            f"{root}: {files.listed([f'{name}/' for name in tops])} may say which photos are good, but not "
            "clearly: rename the folders good and defect; or, to take all photos as unlabelled, so that no "
            "word means good or bad"
        )


def _surely_mask(source: str) -> bool:
    return any(map(words.surely_masks, PurePosixPath(source).parts[:-1]))


def _folders_below(root: Path, folder: str) -> Iterator[str]:
    for name in files.folders(root / folder):
        if not (root / folder / name).is_symlink():
            below = f"{folder}/{name}" if folder else name
            yield below
            yield from _folders_below(root, below)


def _labelled_photos(root: Path, places: dict[str, int]) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Photos by their folder, and the masks that lie beside them."""
    photos: dict[str, list[str]] = {}
    beside: dict[str, str] = {}
    for name in places:
        photos[name], masks = pairing.apart(root, files.photos_below(root, name))
        beside |= masks
    return photos, beside


def _masked(
    root: Path, places: dict[str, int], photos_of: dict[str, list[str]], beside: dict[str, str]
) -> dict[str, list[str]]:
    """Masks by photo: those beside it, and those in the folders for masks."""
    keys: dict[str, list[pairing.Key]] = {}
    loose: set[str] = set()
    for name, photos in photos_of.items():
        for source in photos:
            below = pairing.key(source, name)
            keys[source] = [(_NAMES[places[name]], *below)]
            if places[name] == DEFECT:  # good photos only by their whole path: good/1 is not the defect 1
                keys[source].append(below)
                loose.add(source)
    masks: dict[str, pairing.Key] = {}
    for folder in _mask_folders(root):
        for mask in files.photos_below(root, folder):
            head, *rest = pairing.key(mask, folder)
            label = words.label_of(head) if rest else None
            masks[mask] = (_NAMES[label] if label is not None else head, *rest)
    masked = pairing.match(keys, masks, loose)
    for mask, photo in beside.items():
        if not photo:
            continue
        masked.setdefault(photo, []).append(mask)
    return masked


def _mask_folders(root: Path) -> list[str]:
    inside = [
        f"{name}/{child}"
        for name in files.folders(root)
        if words.holds_pictures(name)
        for child in files.folders(root / name)
        if words.is_mask_folder(child)
    ]
    return [name for name in files.folders(root) if words.is_mask_folder(name)] + inside


def _in_masks(source: str) -> bool:
    return any(words.is_mask_folder(name) for name in PurePosixPath(source).parts[:-1])
