"""Answers given as tags in FiftyOne: samples.json of its dataset formats, in which samples have tags.

`adrefine list --format fiftyone` writes one; FiftyOne's `export` gives it back. Of its two JSON formats both
are read: `LegacyFiftyOneDataset` and `FiftyOneDataset`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adrefine.errors import UserError
from adrefine.review import VERDICTS, Answer

_FROM = "FiftyOne"  # reviewer of answers whose giver the file does not name


@dataclass(frozen=True)
class Taken:
    """What a file of tags changes.

    Attributes:
        answers: all that there are now. new, changed: how many of them the tags brought. untagged: answers of
            photos that are in the file and have no such tag. unknown: photos of it that do not train.
    """

    answers: dict[str, Answer]
    new: int
    changed: int
    untagged: int
    unknown: int


def read(path: Path) -> dict[str, tuple[str, str]]:
    """Verdict, "" where there is none, and note of each photo by its id.

    Raises:
        UserError: the file is no such list, a photo has no `image_id`, or two verdicts.
    """
    try:
        samples = json.loads(path.read_text(encoding="utf-8"))["samples"]
        found = [(str(sample["image_id"]), _verdicts(sample), _note(sample)) for sample in samples]
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}: give the samples.json of FiftyOne's export") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(
            f"{path} is not a samples.json made from `adrefine list --format fiftyone`: each sample "
            "needs `image_id` and `tags`"
        ) from None
    for image_id, verdicts, _ in found:
        if len(verdicts) > 1:
            raise UserError(f"{path}: {image_id} has the tags {' and '.join(verdicts)}: remove all but one")
    return {image_id: ("".join(verdicts), note) for image_id, verdicts, note in found}


def taken(told: Mapping[str, tuple[str, str]], before: Mapping[str, Answer], trained: Set[str]) -> Taken:
    """The answers `before` with those that tags tell of `trained` photos. No answer is withdrawn."""
    tagged = {name: one for name, one in told.items() if name in trained and one[0]}
    changes = {
        name: Answer(verdict, note, reviewer=_FROM)
        for name, (verdict, note) in tagged.items()
        if name not in before or before[name].verdict != verdict
    }
    new = sum(name not in before for name in changes)
    untagged = sum(name in before and not verdict for name, (verdict, _) in told.items())
    unknown = sum(name not in trained for name in told)
    return Taken({**before, **changes}, new, len(changes) - new, untagged, unknown)


def _verdicts(sample: Mapping[str, Any]) -> list[str]:
    tags = {str(tag).strip().casefold() for tag in sample["tags"] or ()}
    return [verdict for verdict in VERDICTS if verdict in tags]


def _note(sample: Mapping[str, Any]) -> str:
    note = sample.get("note")
    return " ".join(note.split()) if isinstance(note, str) else ""
