"""Which constants and which student EfficientAD's preset `fast` should have, with the product left out.

    python -m benchmarks.closed_form --data ../data
    python -m benchmarks.closed_form --data ../data --variants "closed form" "trained student" --seeds 0

The six products and their 100 training photos are those of `python -m benchmarks.detectors`, clean and with a
tenth hidden; nothing is removed. `closed form` is where the search began: an image scores its largest
deviation from what nine tenths of the errors at a place say. A variant changes a constant of the modules in
detectors/efficientad, who says what is usual at a place (other errors of the training photos, those out of
fold, or held-out good photos, which the rest of the benchmark does not use), how many deviations an image's
score is the mean of, or the steps of the network that learns what the regression leaves. Each product is
then measured by the variant that is the best of the other products by mean image AUROC. AU-PRO: up to 60 test
photos, half of them defective. Rows that results/closed_form.csv has are not repeated.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from adrefine import manifest
from adrefine.benchmark import measure, prepared
from adrefine.benchmark.summary import figure
from adrefine.benchmark.tables import cell
from adrefine.detectors.base import Images
from adrefine.detectors.efficientad import instant, student
from adrefine.detectors.efficientad.instant import Instant
from adrefine.detectors.efficientad.maps import image_scores
from adrefine.detectors.efficientad.settings import Settings
from adrefine.io import write_text
from adrefine.metrics import detection
from adrefine.runtime import hardware, progress
from adrefine.text import markdown
from benchmarks.common import RESULTS, add_rows, rows_of
from benchmarks.detectors import LEVEL, PRODUCTS, params_of

Errors = np.ndarray  # (photos, side, side)


def without(share: float) -> Callable[[Errors], Errors]:
    """Without this share of the photos: those whose largest deviation from the mean of a place is largest."""
    return partial(instant.calmest, share=1 - share)


def at_each_place(share: float) -> Callable[[Errors], Errors]:
    """This share at each place, the smallest errors."""
    return lambda errors: np.sort(errors, axis=0)[: max(2, round(share * len(errors)))]


def clipped(errors: Errors) -> Errors:
    """The oddest tenth at each place counts as the next."""
    return np.minimum(errors, np.quantile(errors, 0.9, axis=0))


_OF_PLACES = at_each_place(0.9)


@dataclass(frozen=True)
class Variant:
    """What is changed.

    Attributes:
        constants: of `student.py`. usual: which errors of the training photos say what is usual at a place.
            held: of held-out photos. out_of_fold: of models without a fold. even: see `maps.usual`. steps: of
            the network that learns the rest. top: share of the positions, the most unusual ones, whose
            mean is the image's score; 0: only the most unusual one.
    """

    constants: Mapping[str, float] = field(default_factory=dict)
    usual: Callable[[Errors], Errors] = _OF_PLACES
    held: bool = False
    out_of_fold: bool = False
    even: float = 0.1
    steps: int = 0
    top: float = 0.0


CLOSED, NETWORK = "closed form", "trained student"
WAYS = {
    "all photos calm": Variant(usual=at_each_place(1.0)),
    "without the oddest tenth of the photos": Variant(usual=without(0.1)),
    "without the oddest fifth of the photos": Variant(usual=without(0.2)),
    "usual by held-out photos": Variant(held=True),
    "mean of the top half percent": Variant(top=0.005),
    "mean of the top 2 %": Variant(top=0.02),
    "mean of the top 5 %": Variant(top=0.05),
    "even × 10": Variant(even=1.0),
    "without the oddest fifth, top half percent": Variant(usual=without(0.2), top=0.005),
    "without the oddest fifth, top 2 %": Variant(usual=without(0.2), top=0.02),
    "without the oddest fifth, even × 10": Variant(usual=without(0.2), even=1.0),
    "without the oddest fifth, even × 10, top 2 %": Variant(usual=without(0.2), even=1.0, top=0.02),
    "without the oddest fifth, even × 10, top half percent": Variant(usual=without(0.2), even=1.0, top=0.005),
}
VARIANTS = {
    CLOSED: Variant(),
    "ridge / 10": Variant({"_RIDGE": 1e-4}),
    "ridge × 10": Variant({"_RIDGE": 1e-2}),
    "ridge × 100": Variant({"_RIDGE": 1e-1}),
    "shrunk / 10": Variant({"_SHRUNK": 1e-3}),
    "shrunk × 10": Variant({"_SHRUNK": 1e-1}),
    "four fifths calm": Variant(usual=at_each_place(0.8)),
    "even / 10": Variant(even=0.01),
    "the oddest tenth counts as the next": Variant(usual=clipped),
    "usual out of fold": Variant(out_of_fold=True),
    **WAYS,
    f"{NETWORK}, 100 steps": Variant(steps=100),
    NETWORK: Variant(steps=300),
    **{f"{NETWORK}, {name}": replace(way, steps=300) for name, way in WAYS.items()},
}
FOLDS = 5
MAPPED = 60
KEYS = ["product", "level", "seed", "variant"]
COMMAND = "python -m benchmarks.closed_form --data ../data"


def main() -> None:
    """Run what is missing, then write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../data"))
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=VARIANTS, metavar="NAME")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    args = parser.parse_args()
    target = RESULTS / "closed_form.csv"
    todo = [(s, p, level) for s in args.seeds for p in PRODUCTS for level in (0.0, LEVEL)]
    for seed, product, level in progress.over(todo, label="closed_form", unit="case"):
        done = rows_of(target, KEYS)
        there = set(done.loc[(done[KEYS[:3]] == [product, level, seed]).all(axis=1), "variant"])
        if missing := [one for one in args.variants if one not in there]:
            heading = {"product": product, "level": level, "seed": seed}
            rows = [heading | row for row in case(args.data, product, level, seed, missing)]
            add_rows(target, pd.DataFrame(rows), KEYS)
    write_text(target.with_suffix(".md"), report(pd.read_csv(target)))


def case(data: Path, product: str, level: float, seed: int, variants: list[str]) -> Iterator[dict[str, Any]]:
    """A row for each variant."""
    params = params_of(data, product, {"detector": "efficientad"}, level, seed)
    table, inputs = prepared.prepare(params, twins=True)
    noisy, ids, _ = measure.inject(table, params)
    test, held = noisy[noisy["in_test"] == 1], manifest.of_split(noisy, "val")
    of = (ids, held["image_id"], test["image_id"])
    images, held_out, tested = (Images(tuple(one), inputs) for one in of)
    models: dict[Any, Fitted] = {}  # variants that differ in what is usual share one
    with hardware.one_core_each():
        for name in variants:
            variant = VARIANTS[name]
            of_student = (variant.steps, *variant.constants.items())
            with constants(variant):
                if of_student not in models:
                    models[of_student] = Fitted(
                        images, Settings(preset="instant", steps=variant.steps, seed=seed)
                    )
                fitted = models[of_student]
                say_usual(fitted, variant, images, held_out)
                model, errors = fitted.model, fitted.errors(tested)
                scores = image_scores((errors - model.usual) / model.spread, variant.top, None)
                yield {
                    "variant": name,
                    "auroc": detection.auroc(test["label"], scores),
                    "cpu_seconds": fitted.seconds,
                } | measure.localized(model, None, noisy, inputs, MAPPED)


class Fitted:
    """A model, the processor's seconds of its fit, and its errors of photos, made once."""

    def __init__(self, images: Images, settings: Settings) -> None:
        start = time.process_time()
        self.model = Instant(settings)
        self.model.fit(images)
        self.seconds = time.process_time() - start
        self._errors: dict[tuple[str, ...], Errors] = {}

    def errors(self, images: Images) -> Errors:
        """(photos, side, side) mean square of the whitened error around each position."""
        if images.ids not in self._errors:
            self._errors[images.ids] = np.stack(list(self.model._errors(images)))
        return self._errors[images.ids]


@contextmanager
def constants(variant: Variant) -> Iterator[None]:
    """Within the block `student.py` has the variant's constants."""
    before = {name: getattr(student, name) for name in variant.constants}
    for name, value in variant.constants.items():
        setattr(student, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(student, name, value)


def say_usual(fitted: Fitted, variant: Variant, images: Images, held: Images) -> None:
    """What is usual at each place, as the variant has it."""
    if variant.out_of_fold:
        errors = out_of_fold(fitted.model, images)
    else:
        errors = fitted.errors(held if variant.held else images)
    fitted.model.take_usual(variant.usual(errors), variant.even)


def out_of_fold(model: Instant, images: Images) -> Errors:
    """Errors of each photo by a student that has not learned its fold."""
    errors: list[np.ndarray] = []
    for fold in range(FOLDS):
        left, rest = images.ids[fold::FOLDS], [i for i in images.ids if i not in images.ids[fold::FOLDS]]
        other = Instant(model.settings)
        other.fit(images.only(rest))
        errors += list(other._errors(images.only(left)))
    return np.stack(errors)


def report(runs: pd.DataFrame) -> str:
    """Mean over the products, and what the choice without each product gives."""
    lines = [f"`{COMMAND}`", "", " ".join(str(__doc__).split("\n\n")[2].split()), ""]
    lines += ["± is the standard deviation over the seeds.", ""]
    each = runs.groupby(["variant", "level", "seed"])[["auroc", "aupro", "cpu_seconds"]].mean()
    cells = []
    for variant in [one for one in VARIANTS if one in set(runs["variant"])]:
        of = each.loc[variant].reset_index()
        seeds = of["seed"].nunique()
        row = [
            cell(figure(of.loc[of["level"] == level, key].to_numpy()), seeds)
            for key in ("auroc", "aupro")
            for level in (0.0, LEVEL)
        ]
        cells.append([variant, str(seeds), *row, f"{of['cpu_seconds'].mean():.1f}"])
    heads = ["variant", "seeds", "image AUROC, clean", "a tenth hidden", "AU-PRO, clean", "a tenth hidden"]
    lines += ["## Mean of the products", "", *markdown([*heads, "CPU seconds of a fit"], cells), ""]
    return "\n".join([*lines, "## Chosen without the product", "", *markdown(*left_out(runs))])


def left_out(runs: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Heads and rows: what is best on the other products, and what it gives on this one, of the seeds for
    which all variants were run."""
    variants = runs.groupby("seed")["variant"].nunique()
    runs = runs[runs["seed"].isin(variants.index[variants == variants.max()])]
    means = runs.groupby(["product", "variant"])["auroc"].mean().unstack()
    rows, gains = [], []
    for product in [one for one in PRODUCTS if one in means.index]:
        best = str(means.drop(index=product).mean().idxmax())
        found, usual = (float(means[variant][product]) for variant in (best, CLOSED))
        gains.append(found - usual)
        rows.append([product, best, f"{found:.3f}", f"{usual:.3f}"])
    rows.append(["mean gain", "", f"{np.mean(gains):+.4f}", ""])
    return ["product", "best on the others", "its image AUROC", CLOSED], rows


if __name__ == "__main__":
    main()
