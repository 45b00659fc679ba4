"""The inbox: a folder where new photos are dropped, and how they get into the dataset without loss.

A photo's name in the dataset holds the hash of its content, so taking it twice is taking it once: a run that
was killed at any moment is simply run again. The original goes only when the copy is safely on the disk.
"""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

from adrefine import io
from adrefine.cells import tame, wild
from adrefine.datasets.files import inbox_name, tame_name
from adrefine.datasets.formats import SUFFIXES, UNREAD
from adrefine.errors import UserError
from adrefine.ingestion import decode, sources
from adrefine.ingestion.damage import OutOfMemory
from adrefine.io import locked, sync_folder, write_durably
from adrefine.serving.folders import check_folders, check_place

REJECTED, REASONS = "rejected", "reasons.csv"
UNFINISHED = (".part", ".partial", ".filepart", ".crdownload", ".download", ".tmp", ".temp", "~")
Seen = dict[str, tuple[int, int, int]]  # photo, relative to the inbox: size, time of change, inode


@dataclass
class Taken:
    """What became of the photos of an inbox; names relative to it."""

    new: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)  # the dataset has the same photo already
    rejected: dict[str, str] = field(default_factory=dict)  # with the reason
    left: dict[str, str] = field(default_factory=dict)  # stays where it is, with the reason

    def lines(self) -> list[str]:
        """For people."""
        counts = f"{len(self.new)} new photos taken, {len(self.known)} were there already"
        rejected = [f"rejected: {tame_name(name)}: {reason}" for name, reason in self.rejected.items()]
        return [counts, *rejected, *(f"left: {tame_name(name)}: {why}" for name, why in self.left.items())]


def look(folder: Path, suffixes: Set[str] | None = None) -> Seen:
    """The files in `folder` and its sub-folders as they are now, photos or not, or those with one of the
    `suffixes`; hidden files, links, unfinished copies and what was rejected are left out."""
    seen: Seen = {}
    for path in _files(folder, REJECTED, suffixes=suffixes):
        try:
            seen[path.relative_to(folder).as_posix()] = _state(path)
        except FileNotFoundError:  # taken back by whoever dropped it
            continue
    return seen


def settled(before: Seen, now: Seen) -> list[str]:
    """The photos that did not change between two looks, sorted: nobody is writing them any more."""
    return sorted(name for name, state in now.items() if before.get(name) == state)


class Watch:
    """Says when the inbox is worth a run: when photos have settled since the last look, once for each state
    of the inbox, so that photos that cannot be dealt with do not start runs forever."""

    def __init__(self) -> None:
        self._before: Seen = {}
        self._found: object = None
        self._tried: object = None

    def due(self, now: Seen, undecided: bool) -> bool:
        """Whether to start a run.

        Args:
            now: the inbox as it is. undecided: whether a run took photos and died before the decision.
        """
        ready = {name: now[name] for name in settled(self._before, now)}
        self._before, self._found = now, (ready, undecided)
        return bool(ready or undecided) and self._found != self._tried

    def started(self) -> None:
        """A run was started for what the last look found."""
        self._tried = self._found


def take(
    inbox: Path, names: list[str], root: Path, arrivals: Path, undecided: Path, max_megapixels: float
) -> Taken:
    """Move photos from the inbox to the dataset; files that are no photo go to `inbox/rejected`.

    Killed at any moment, the next call goes on; nothing is lost or doubled.

    Args:
        inbox: the inbox. names: files in it, of which nobody writes any more.
        root: the whole dataset; a photo that is anywhere in it is not taken again.
        arrivals: folder in it that new photos go to.
        undecided: file that is made before the first photo arrives: a run that dies after that is to be done
            again.
        max_megapixels: larger photos are rejected.

    Raises:
        UserError: another run is at work; the folders overlap, see `check_folders`; that of rejected or
            of new photos is none, or a link that leads elsewhere.
    """
    check_folders(inbox, root)
    check_place(inbox / REJECTED, inbox)
    check_place(arrivals, root)
    done = Taken()
    with locked(undecided.with_name(".inbox.lock"), "another run is taking the photos of this inbox"):
        io.sweep(arrivals, "inbox-")  # of a run that was killed
        io.sweep(inbox / REJECTED, REASONS)
        sizes = _by_size(root)
        for name in sorted(names):
            _take_one(inbox, name, sizes, arrivals, undecided, max_megapixels, done)
    done.left = dict(_left(inbox, inbox))
    return done


def _take_one(
    inbox: Path,
    name: str,
    sizes: dict[int, list[Path]],
    arrivals: Path,
    undecided: Path,
    max_megapixels: float,
    done: Taken,
) -> None:
    source = inbox / name
    try:
        before = _state(source)
    except FileNotFoundError:  # taken back
        return
    try:
        _check_kind(source.suffix)
        data = sources.read_bytes(inbox.resolve(), name, max_megapixels)
        decode.photo(data, max_megapixels)
    except (OutOfMemory, MemoryError) as error:
        why = error if isinstance(error, OutOfMemory) else "not enough memory to read it"
        raise UserError(f"{source} stays where it is: {why}") from None
    except decode.BadPhoto as error:
        if source.exists():
            _reject(inbox, name, str(error))
            done.rejected[name] = str(error)
        return
    digest = hashlib.sha256(data).hexdigest()
    if any(io.sha256_file(path) == digest for path in sizes.get(len(data), [])):
        done.known.append(name)
    else:
        target = arrivals / inbox_name(digest, Path(name).name)
        write_durably(undecided, b"")
        write_durably(target, data)
        sizes.setdefault(len(data), []).append(target)
        done.new.append(name)
    if source.exists() and _state(source) == before:  # else it is another photo now: for the next run
        source.unlink()


def _check_kind(suffix: str) -> None:
    """Raises BadPhoto for a suffix that no photo has here."""
    if remedy := UNREAD.get(suffix.lower()):
        raise decode.BadPhoto(f"{suffix} is not read: {remedy}")
    if suffix.lower() not in SUFFIXES:
        what = f"{suffix} is no photo" if suffix else "a name without a suffix"
        raise decode.BadPhoto(f"{what}: photos end in .png, .jpg, .tif and so on")


def _left(folder: Path, inbox: Path) -> Iterator[tuple[str, str]]:
    """What no run takes or rejects, relative to the inbox, and why."""
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        why = _stays(entry)
        if why:
            yield Path(entry.path).relative_to(inbox).as_posix(), why
        elif entry.is_dir() and Path(entry.path) != inbox / REJECTED:
            yield from _left(Path(entry.path), inbox)


def _stays(entry: os.DirEntry[str]) -> str:
    """Why a run leaves this where it is; empty: it does not."""
    if entry.name.startswith("."):
        return "hidden"
    if entry.is_symlink():
        return "a link: copy the photo itself"
    if entry.name.lower().endswith(UNFINISHED):
        return "an unfinished copy, by its name"
    return "" if entry.is_file() or entry.is_dir() else "no file"


def _reject(inbox: Path, name: str, reason: str) -> None:
    """Move a file within the inbox, so that even a program still writing it loses nothing. The reason comes
    first: it must not be lost either."""
    source, folder = inbox / name, inbox / REJECTED
    target = folder / f"{_fingerprint(source)}-{tame_name(source.name)}"
    reasons = (_read_reasons(folder / REASONS) or {}) | {target.name: reason}
    if _read_reasons(folder / REASONS) is None:  # damaged: kept under another name
        os.rename(folder / REASONS, folder / f"{_fingerprint(folder / REASONS)}-{REASONS}")
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("file", "reason"))
    writer.writerows([tame(cell) for cell in row] for row in sorted(reasons.items()))
    write_durably(folder / REASONS, text.getvalue().encode())
    os.rename(source, target)
    sync_folder(folder)


def _read_reasons(path: Path) -> dict[str, str] | None:
    """Names and reasons; None: the list is damaged; nobody's photo waits for it, or for what somebody else
    put there (a link, a pipe)."""
    if path.is_symlink() or not path.is_file():
        return {}
    try:
        rows = list(csv.reader(StringIO(path.read_bytes().decode(), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error):
        return None
    if rows[:1] != [["file", "reason"]] or any(len(row) != 2 for row in rows):
        return None
    return {wild(row[0]): wild(row[1]) for row in rows[1:]}


def _fingerprint(path: Path) -> str:
    try:
        return io.sha256_file(path)[:16]
    except OSError:  # not readable
        return f"{path.stat().st_ino:016x}"


def _state(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ino


def _by_size(root: Path) -> dict[int, list[Path]]:
    """The photos of a dataset by their size in bytes: only those of the same size can be the same."""
    by_size: dict[int, list[Path]] = {}
    for path in _files(root, suffixes=SUFFIXES):
        by_size.setdefault(path.stat().st_size, []).append(path)
    return by_size


def _files(folder: Path, *without: str, suffixes: Set[str] | None = None) -> Iterator[Path]:
    """Files in `folder` and below, with one of the suffixes where there are some; nothing that stays where it
    is, no folders `without` directly in it."""
    if not folder.is_dir():
        return
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if _stays(entry):
            continue
        if entry.is_dir():
            if entry.name not in without:
                yield from _files(Path(entry.path), suffixes=suffixes)
        elif suffixes is None or Path(entry.name).suffix.lower() in suffixes:
            yield Path(entry.path)
