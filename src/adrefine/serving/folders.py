"""Which folder may be an inbox: one that nothing else of the project is in."""

from __future__ import annotations

import configparser
import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from adrefine.errors import UserError
from adrefine.paths import side_cache

# Of a project, beside the dataset; a path that is missing counts as well.
_OURS = (
    *(".dvc", ".git", "benchmarks", "data/generic", "data/ingested", "data/noisy", "data/prepared"),
    *("data/refined", "data/review.csv", "data/roi", "data/synthetic", "data/weights", "docs", "dvc_plots"),
    *("exports", "flows", "models", "promoted", "reports", "src", "tests"),
)
_APART = "use a separate folder for the inbox, such as data/inbox"


def check_folders(inbox: Path, root: Path, project: Path = Path(), images: Path | None = None) -> None:
    """Refuse an inbox inside the dataset, whose photos would be in it before they are taken, and the reverse;
    and one that holds, or is in, anything else of the project or a home: what lies there is no new photo.

    Args:
        inbox: `inbox.folder`. root: the dataset. project: its folder. images: `pretrain_pdn.images`.

    Raises:
        UserError: so it is; or the inbox is a file, or cannot be a folder.
    """
    as_dvc_reads("inbox.folder", str(inbox))
    one, other, here = _resolved(inbox), _resolved(root), _resolved(project)
    if not str(inbox).strip() or _holds(one, here):
        raise UserError(f"inbox.folder = {str(inbox)!r} contains the whole project: {_APART}")
    if _holds(one, Path(os.path.expanduser("~")).absolute()):
        raise UserError(f"inbox.folder = {inbox} contains a whole home folder: {_APART}")
    if _overlap(one, other):
        raise UserError(f"inbox.folder = {inbox} and dataset.root = {root} overlap: {_APART}")
    for name, path in _others(here, images):
        if _overlap(one, path):
            raise UserError(
                f"inbox.folder = {inbox} and {name}, which is not for new photos, overlap: {_APART}"
            )
    if _holds(here, one) and any(part.startswith(".") for part in one.parts[len(here.parts) :]):
        raise UserError(f"inbox.folder = {inbox} is hidden: programs keep their own files there: {_APART}")
    if not one.is_dir() and (one.exists() or inbox.is_symlink()):
        what = "leads nowhere" if inbox.is_symlink() and not one.exists() else "is no folder"
        raise UserError(f"inbox.folder = {inbox} {what}: {_APART}")


def check_place(folder: Path, within: Path) -> None:
    """Refuse to move files into `folder`, if something else stands there, or a link takes them out of
    `within`: whoever may write there could have put it there.

    Raises:
        UserError: so it is.
    """
    if not _resolved(folder).is_relative_to(_resolved(within)):
        raise UserError(
            f"{folder} is a link that leads out of {within}: no file is moved there: take it away"
        )
    if not folder.is_dir() and (folder.exists() or folder.is_symlink()):
        raise UserError(f"{folder} is no folder: take it away")


def as_dvc_reads(key: str, name: str) -> None:
    """Refuse a path with `~` or environment variables: to DVC they are folders of that name.

    Raises:
        UserError: it has some; `key` of params.yaml holds it.
    """
    there = os.path.expandvars(Path(name).expanduser())
    if name.startswith("~") or there != str(Path(name)):
        sign = "`~`" if name.startswith("~") else "variables"
        raise UserError(f"params.yaml: `{key}` = {name!r}: DVC does not know {sign}: write {there!r}")


def _resolved(path: Path) -> Path:
    """Without links.

    Raises:
        UserError: a link that leads to itself, or a name that no file can have.
    """
    try:
        there = path.resolve()
        there.exists()
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: a link to itself, before Python 3.13
        text = str(path)
        shown = text if len(text) <= 60 else f"{text[:60]}…"
        why = getattr(error, "strerror", None) or str(error)
        raise UserError(f"inbox.folder or dataset.root = {shown!r} cannot be a folder ({why})") from None
    return there


def _others(here: Path, images: Path | None) -> Iterator[tuple[str, Path]]:
    """Name and place of everything of the project in `here` that is not the dataset."""
    for name in (*_OURS, side_cache("").as_posix()):
        yield name, (here / name).resolve()
    if images is not None and str(images).strip():
        yield f"pretrain_pdn.images = {images}", _resolved(here / images)
    for place in _kept_by_dvc(here / ".dvc"):
        yield f"DVC's store {place}", place.resolve()


def _kept_by_dvc(folder: Path) -> Iterator[Path]:
    """Folders of this machine that DVC's settings name: its cache and its remotes."""
    config = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        config.read([folder / "config", folder / "config.local"])
    except (configparser.Error, UnicodeDecodeError):  # DVC says so itself
        return
    for section in config.sections():
        place = config[section].get("dir" if section == "cache" else "url", "")
        if place and "://" not in place:
            yield folder / place


def _holds(one: Path, other: Path) -> bool:
    """Whether `other` is `one`, or in it; letter case decides nothing, for on some disks it does not."""
    parts = _folded(one)
    return _folded(other)[: len(parts)] == parts


def _overlap(one: Path, other: Path) -> bool:
    return _holds(one, other) or _holds(other, one)


def _folded(path: Path) -> tuple[str, ...]:
    return tuple(unicodedata.normalize("NFC", part).casefold() for part in path.parts)
