"""What a human decided about training images: data/review.csv, which overrides every strategy.

The file belongs to the user. It is read strictly, so that no answer is lost over a typing error, and written
by `adrefine review` alone, whole or not at all, with all answers that were there before.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from adrefine.cells import tame, wild
from adrefine.errors import UserError
from adrefine.io import content

KEEP, REMOVE, UNSURE = "keep", "remove", "unsure"
VERDICTS = (KEEP, REMOVE, UNSURE)
COLUMNS = ("image_id", "verdict", "note", "asked", "reviewer", "time")  # image_id and verdict must be there
_OPTIONAL = COLUMNS[3:]  # written where an answer has them
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?(e-?[0-9]+)?")
ASKED = re.compile(rf"({_NUMBER.pattern})?( ?again)?")  # what the column `asked` may hold
_DELIMITERS = ",;\t"  # a spreadsheet writes the one of its country


@dataclass(frozen=True)
class Answer:
    """A human's decision on one image, in their own words.

    Attributes:
        line: of the file, that it begins on.
        asked: how a live review came to ask: the probability with which it drew the image, `again` if it
            asked a second time; empty: by its rank, or nobody asked.
    """

    verdict: str
    note: str = ""
    line: int = 0
    asked: str = ""
    reviewer: str = ""
    time: str = ""

    def drawn(self) -> float | None:
        """The probability with which the image was drawn; None: it was not."""
        numbers = [float(word) for word in self.asked.split() if _NUMBER.fullmatch(word)]
        return numbers[0] if numbers and 0 < numbers[0] <= 1 else None


@dataclass(frozen=True)
class Verdicts:
    """The images that a human decided on: `keep` must never go, `remove` must never be learned from.

    Where the human was unsure nothing is decided.
    """

    keep: frozenset[str] = frozenset()
    remove: frozenset[str] = frozenset()


UNDECIDED = Verdicts()


def verdicts(answers: Mapping[str, Answer]) -> Verdicts:
    """The answers without their notes."""
    of = {name: frozenset(i for i, answer in answers.items() if answer.verdict == name) for name in VERDICTS}
    return Verdicts(of[KEEP], of[REMOVE])


def read(path: Path) -> dict[str, Answer]:
    """The answers by image id, in the order of the file; none if it is missing or empty.

    Case and spaces around words do not matter; the separator may be comma, semicolon or tab, and a byte order
    mark may come first. The same answer twice is one answer, with the last note.

    Raises:
        UserError: a column is missing or unknown, a verdict is none of `VERDICTS`, two rows contradict
            each other, the file is no text table; names the line.
    """
    answers: dict[str, Answer] = {}
    for line, cells in _rows(path):
        image_id, verdict = cells["image_id"], cells["verdict"].casefold()
        if not image_id:
            raise UserError(f"{path} line {line}: no image_id: name the image, or delete the line")
        if verdict not in VERDICTS:
            raise UserError(
                f"{path} line {line}: verdict {cells['verdict']!r} of image {image_id}: write keep, remove "
                "or unsure"
            )
        before = answers.get(image_id)
        if before and before.verdict != verdict:
            raise UserError(
                f"{path} lines {before.line} and {line}: image {image_id} is to {before.verdict} and to "
                f"{verdict}: delete one of the lines"
            )
        told = {name: cells[name] or (getattr(before, name) if before else "") for name in COLUMNS[2:]}
        answers[image_id] = Answer(verdict, line=line, **told)
    return answers


def warnings(path: Path, answers: Mapping[str, Answer], trained: Set[str]) -> list[str]:
    """A line for each answer on an image that is not among the `trained` ones, as after it left the dataset.

    Such an answer is ignored and stays in the file: the image may come back.
    """
    return [
        f"{path} line {answer.line}: {image_id} is no training image now: its answer is ignored"
        for image_id, answer in answers.items()
        if image_id not in trained
    ]


def write(path: Path, answers: Mapping[str, Answer]) -> None:
    """Write all answers, in their order; the file appears whole or not at all."""
    from adrefine.io import followed, write_text

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    given = [name for name in _OPTIONAL if any(getattr(answer, name) for answer in answers.values())]
    writer.writerow([*COLUMNS[:3], *given])
    for image_id, answer in answers.items():
        cells = (tame(getattr(answer, name)) for name in ("note", *given))
        writer.writerow([image_id, answer.verdict, *cells])
    write_text(followed(path), text.getvalue())


@contextmanager
def changing(path: Path) -> Iterator[dict[str, Answer]]:
    """The answers, to be changed; written when the block ends without an error. Another program that answers
    at the same time waits, so that no answer is lost.

    Raises:
        UserError: as of `read`.
    """
    from adrefine import io as files

    with files.changing(path):
        answers = read(path)
        yield answers
        write(path, answers)


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and cells, by COLUMNS, of each row that is not blank."""
    text = _text(path)
    header = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = next((letter for letter in header if letter in _DELIMITERS), ",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    names: list[str] = []
    line = 1
    try:
        for raw in reader:
            cells = [cell.strip() for cell in raw]
            if any(cells) and not names:
                names = _header(path, line, [cell.casefold() for cell in cells])
            elif any(cells):
                if any(cells[len(names) :]):
                    raise UserError(
                        f"{path} line {line}: more cells than columns: put notes that contain a "
                        f"{delimiter!r} in "
                        "double quotes"
                    )
                row = dict(zip(names, map(wild, cells), strict=False))
                yield line, {**dict.fromkeys(COLUMNS, ""), **row}
            line = reader.line_num + 1
    except csv.Error as error:
        raise UserError(f"{path} line {line}: {error}: is a double quote missing?") from None


def _text(path: Path) -> str:
    try:
        return content(path).decode("utf-8-sig")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text: save it as CSV UTF-8") from None


def _header(path: Path, line: int, names: list[str]) -> list[str]:
    while names and not names[-1]:  # a spreadsheet's empty columns
        names.pop()
    missing = [name for name in COLUMNS[:2] if name not in names]
    unknown = [name for name in names if name not in COLUMNS]
    if missing or unknown or len(set(names)) < len(names):
        wrong = (
            f"no column {missing[0]}"
            if missing
            else f"unknown column {unknown[0]!r}"
            if unknown
            else ("a column appears twice")
        )
        raise UserError(f"{path} line {line}: {wrong}: the first line must be {','.join(COLUMNS[:3])}")
    return names
