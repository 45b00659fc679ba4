"""What would hang or stop DVC before a stage can say a word: looked for first, and within a time limit.

DVC reads everything below a dependency to hash it. On a pipe it waits for ever, on `/dev/zero` it reads for
ever, a link that leads nowhere stops it with a traceback; ingest, which would set such a file aside, never
starts.
"""

from __future__ import annotations

import os
import shutil
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adrefine import io, strict_yaml
from adrefine.errors import UserError
from adrefine.paths import FEATURES, PIXELS, PLACES, REVIEW, ROI, WEIGHTS, watched_weights

if TYPE_CHECKING:
    from adrefine.params import Params

PATIENCE = 20.0  # seconds in which a folder must give its next name
ROOM = 200 * 2**20  # bytes: a run of the smallest data set writes about half of that
_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_FILES = ("params.yaml", "dvc.yaml", "dvc.lock", str(REVIEW))  # that DVC reads
_SYSTEM = ("proc", "sys", "dev")
_LINKS = 40  # to folders, in each other
_DEPTH = 100  # of folders in each other
_SHOWN = 80  # characters of so long a path


def check(project: Path = Path()) -> None:
    """Look at the folders that the stages of `project` read, and at the disk that they write to.

    Raises:
        UserError: something there would stop or hang DVC; says what and where.
    """
    check_disk(project)
    for name in _FILES:
        _check_file(project / name)
    for root in _roots(project):
        _check_place(root, project)
        check_folder(root)


def check_settings(settings: Params) -> None:
    """Look at the files and folders that the settings name.

    Raises:
        UserError: one is not there, not what it must be, or where DVC does not see it.
    """
    from adrefine.serving.folders import as_dvc_reads, check_folders

    _check_strategy(settings)
    root, images = settings.dataset.root, settings.pretrain_pdn.images
    as_dvc_reads("dataset.root", root)
    check_folders(Path(settings.inbox.folder), Path(root), images=Path(images))
    if settings.dataset.roi is not None:
        from adrefine.ingestion import roi

        roi.drawn(settings.dataset.roi)
    named = {"embed": settings.embed.weights, "pretrain_pdn": settings.pretrain_pdn.weights}
    for section, weights in (named | {settings.detector: settings.chosen_detector.weights_file}).items():
        watched_weights(f"{section}.weights", weights)
    _check_reads(settings)
    settings.chosen_detector.check_needs()


def _check_reads(settings: Params) -> None:
    """A detector says what stages make for it; one that does not would fail in `select`, after them all."""
    said, known = getattr(settings.chosen_detector, "reads", ()), (FEATURES, PLACES, PIXELS)
    if isinstance(said, str) or not said or set(said) - set(known):
        raise UserError(
            f"the detector {settings.detector} reads {said!r}: its Settings.reads must be a tuple of some of "
            f"{', '.join(known)} (docs/extending.md)"
        )


def _check_strategy(settings: Params) -> None:
    """Tell before the first training what the strategy would say after it."""
    rule, name, count = settings.chosen_strategy, settings.refine.strategy, settings.noise.n_train
    if count is not None and count < rule.FEWEST:
        raise UserError(
            f"params.yaml: `noise.n_train` = {count}: refine.strategy = {name} needs {rule.FEWEST} training "
            "images or more: raise it, or choose another strategy"
        )
    if rule.TWINS and not settings.synthesize.per_image:
        raise UserError(
            f"params.yaml: `synthesize.per_image` = 0: refine.strategy = {name} compares photos with "
            "synthetic defects: set it to 1, or choose another strategy"
        )


def check_disk(project: Path) -> None:
    """Refuse a folder that cannot be written, or a disk that is all but full."""
    folder = project.resolve()
    check_writable(project)
    free = shutil.disk_usage(folder).free
    if free < ROOM:
        raise UserError(f"{folder}: {free / 2**20:.0f} MB left on its disk: make room first")


def check_writable(project: Path = Path()) -> None:
    """Refuse a folder that cannot be written."""
    folder = project.resolve()
    if not os.access(folder, os.W_OK):
        raise UserError(f"{folder} cannot be written: the results are written there")


def _check_file(path: Path) -> None:
    """Refuse a pipe, folder or link that leads nowhere where DVC reads a file."""
    if not path.is_file() and (path.is_symlink() or path.exists()):
        raise UserError(f"{path} is not a file: remove it, and restore the file that was there")


def _check_place(root: Path, project: Path) -> None:
    """Refuse to go through a whole disk, or what the system only shows as files."""
    there = root.resolve()
    if project.resolve().is_relative_to(there):
        raise UserError(f"{root} holds the project itself: put the photos into a folder of their own")
    if there.parts[1:2] and there.parts[1] in _SYSTEM:
        raise UserError(f"{root} is a system folder: set dataset.root to a folder of photos")


def check_folder(root: Path, patience: float = PATIENCE) -> None:
    """Look at every name below `root`; no file is opened.

    Raises:
        UserError: a pipe, socket, device, a link that leads nowhere or to itself, a file that may not be
            read, a name that is no text; or the disk does not answer.
    """
    seen, problems, done = [0], list[str](), threading.Event()
    failed: list[Exception] = []

    def look() -> None:
        try:
            problems.extend(_problems(root, seen))
        except Exception as error:
            failed.append(error)
        finally:
            done.set()

    threading.Thread(target=look, daemon=True).start()
    before = -1
    while not done.wait(patience):
        if seen[0] == before:
            raise UserError(f"{root} does not answer for {patience:.0f} seconds: is its disk connected?")
        before = seen[0]
    if failed:
        raise UserError(f"{root} cannot be searched ({type(failed[0]).__name__}: {failed[0]})")
    if problems:
        more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
        raise UserError(f"{problems[0]}{more}: DVC cannot read it: move it out of {root}")


def _problems(folder: Path, seen: list[int], links: int = 0, depth: int = 0) -> Iterator[str]:
    """Of everything in `folder` and below, as DVC goes through it: links are followed."""
    if depth > _DEPTH:
        yield f"{_shown(str(folder)[:_SHOWN])}…: folders in each other, over {_DEPTH} deep"
        return
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except FileNotFoundError:
        return  # said elsewhere, with the remedy
    except OSError as error:
        yield f"{_shown(str(folder))}: {error.strerror}"
        return
    for entry in entries:
        seen[0] += 1
        path = Path(entry.path)
        if problem := _problem(entry):
            yield f"{_shown(entry.path)}: {problem}"
        elif entry.is_dir():
            if not entry.is_symlink():
                yield from _problems(path, seen, links, depth + 1)
            elif folder.resolve().is_relative_to(path.resolve()) or links > _LINKS:
                yield f"{_shown(entry.path)}: a link to a folder that it lies in"
            else:
                yield from _problems(path, seen, links + 1, depth + 1)


def _problem(entry: os.DirEntry[str]) -> str:
    try:
        entry.name.encode()
        kind = stat.S_IFMT(entry.stat().st_mode)
    except UnicodeEncodeError:
        return "a name that is not UTF-8"
    except FileNotFoundError:
        return "a link that leads nowhere" if entry.is_symlink() else ""
    except OSError as error:
        return (
            f"a link that leads to itself ({error.strerror})" if entry.is_symlink() else str(error.strerror)
        )
    if kind in _KINDS:
        return _KINDS[kind]
    return "" if os.access(entry.path, os.R_OK) else "may not be read by this user"


def _shown(path: str) -> str:
    return path.encode(errors="backslashreplace").decode()


def _roots(project: Path) -> list[Path]:
    """The folders outside the graph that its stages read; what is wrong with params.yaml others tell."""
    try:
        content = strict_yaml.mapping(io.content(project / "params.yaml"))
    except OSError:
        return []
    named = [
        *(_setting(content, "dataset", "root"), _setting(content, "pretrain_pdn", "images")),
        *(str(ROI), str(WEIGHTS)),
    ]
    return [root for name in named if name and (root := project / name).is_dir()]


def _setting(content: dict[str, Any], section: str, key: str) -> str:
    inner = content.get(section)
    value = inner.get(key) if isinstance(inner, dict) else None
    return value if isinstance(value, str) and "\0" not in value else ""
