"""What the source documents published, from published.yaml, and which of our datasets it can stand beside."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Annotated

from pydantic import Field

from adrefine import strict_yaml
from adrefine.benchmark.config import Entry
from adrefine.datasets.mvtec import OFFICIAL
from adrefine.params import checked
from adrefine.sections import Count, Section, Share

MVTEC_MEAN = "mvtec_mean"
MVTEC_DEVIATION = "mvtec_deviation"  # over the classes
_LEVELS = Field(min_length=6, max_length=11)  # figures for the first of the file's noise levels


class Deleted(Section):
    """Good photos and hidden defects removed, by noise level."""

    good: Annotated[list[Count], _LEVELS]
    bad: Annotated[list[Count], _LEVELS]


class Auroc(Section):
    """AUROC by dataset or class, and noise level."""

    label: str
    source: str
    figures: dict[str, Annotated[list[Share | None], _LEVELS]]


class Removed(Section):
    """Photos removed, by dataset or class."""

    label: str
    source: str
    figures: dict[str, Deleted]


class Supervised(Section):
    """A row of ISP tables 2 and 3: real defects in training, and what the detector decides on the test at the
    threshold of its best F1 there; rates in percent."""

    group: str
    real: Count
    mcc: float
    recall: float
    fpr: float
    tn: Count
    tp: Count
    fn: Count
    fp: Count


class Unsupervised(Section):
    """A row of ISP tables 4 to 6, on as many test patches as table 7 names; counts follow from the rates."""

    method: str
    auroc: float
    mcc: float
    recall: float
    precision: float
    fpr: float
    pixel_auroc: float
    pro: float
    tp: Count
    fn: Count
    fp: Count


class Published(Section):
    """The whole file; methods are named as strategies in params.yaml, where there is one."""

    noise_levels: Annotated[list[Share], _LEVELS]
    auroc: dict[str, Auroc]
    removed: dict[str, Removed]
    mixed: dict[str, list[Supervised]] = Field(default_factory=dict)
    unsupervised: dict[str, list[Unsupervised]] = Field(default_factory=dict)
    notes: dict[str, str] = Field(default_factory=dict)

    def auroc_of(self, method: str, subject: str | None, noise: float) -> float | None:
        """AUROC of `method` on `subject` at one noise level; None where nobody published it."""
        place = self._place(noise)
        if method not in self.auroc or subject is None or place is None:
            return None
        values = self.auroc[method].figures.get(subject)
        return values[place] if values and place < len(values) else None

    def removed_of(self, method: str, subject: str | None, noise: float) -> tuple[int, int] | None:
        """Good and defective photos that `method` removed; None where nobody published it."""
        place = self._place(noise)
        if method not in self.removed or subject is None or place is None:
            return None
        counts = self.removed[method].figures.get(subject)
        return (counts.good[place], counts.bad[place]) if counts and place < len(counts.good) else None

    def _place(self, noise: float) -> int | None:
        near = (place for place, level in enumerate(self.noise_levels) if abs(level - noise) < 1e-9)
        return next(near, None)

    def classes(self) -> tuple[str, ...]:
        """The MVTec AD classes that the documents' tables have, in their order."""
        return tuple(name for name in self.auroc["irp"].figures if name in OFFICIAL)


@lru_cache(maxsize=1)
def read() -> Published:
    """The packaged figures."""
    with resources.as_file(resources.files("adrefine.benchmark") / "published.yaml") as path:
        return checked(Published, strict_yaml.read(path), path.name)


def subject(entry: Entry, part: str) -> str | None:
    """Our dataset's name in published.yaml: a class of MVTec AD, ksdd2 or mtd; None: not among them."""
    if entry.layout == "mvtec":
        name = part or Path(entry.root).name
        return name if name in OFFICIAL else None
    return entry.layout if entry.layout in ("ksdd2", "mtd") else None
