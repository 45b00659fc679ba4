"""What real defects add: fractions, groups, weights, and what a human confirmed, by part and by seed.

    python -m benchmarks.mixed --data ../data

Tiles (mtd) twice: as DifferNet split them, and with all shots of a part on one side (`dataset.parts: find`);
commutators (ksdd), pills and bottles have no known parts. Half of the test defects are set aside: they are
the known ones, or hide among the training photos. The settings of `mixed` come from seeds 1000 to 1002 of the
same photos, the tables from other seeds; what is tested and what is known differ by seed.
Writes results/mixed.csv and mixed.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from adrefine import manifest, noise
from adrefine.benchmark.prepared import WORK
from adrefine.benchmark.summary import figure
from adrefine.benchmark.tables import cell
from adrefine.detectors.base import Detector, Images
from adrefine.detectors.initial import train
from adrefine.detectors.mixed.settings import Settings
from adrefine.detectors.padim.settings import Settings as Padim
from adrefine.errors import UserError
from adrefine.ingestion import parts
from adrefine.io import write_csv, write_text
from adrefine.metrics import deciding, detection
from adrefine.params import Noise, parse
from adrefine.review import UNDECIDED, Verdicts
from adrefine.runtime import progress
from adrefine.runtime.seeds import drawn
from adrefine.strategies import refinement
from adrefine.text import markdown
from benchmarks.common import RESULTS
from benchmarks.products import cases

SEEDS = range(3)
FRACTIONS = (0.0, 0.0625, 0.125, 0.25, 0.5, 1.0)
GROUPS = {"points": ("blowhole",), "lines": ("break", "crack"), "area": ("uneven", "fray")}
OF_GROUP = 16  # defects that each group may use
RARE, THINNED = 0.05, 20  # share of defects in the thinned test set, draws of it
ASKED = 0.1  # share of the queue that the simulated human answers
TRAINED = 200  # photos that train, where defects hide
FIGURES = ("auroc", "ap", "mcc", "mcc, validation", "mcc, test", "fpr", "mcc, 5 %")
COMMAND = "python -m benchmarks.mixed --data ../data"


@dataclass(frozen=True)
class Data:
    """A dataset: what it is called, its manifest, and the folder that holds its places."""

    name: str
    table: pd.DataFrame
    work: Path


def main() -> None:
    """Run every table, write rows and report."""
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--data", type=Path, default=Path("../data"))
    rows: list[dict[str, Any]] = []
    every = list(datasets(args.parse_args().data))
    for data in every:
        for seed in progress.over(list(SEEDS), label=data.name, unit="seed"):
            rows += [{"data": data.name, "seed": seed, **row} for row in of_seed(data, seed)]
        write_csv(RESULTS / "mixed.csv", pd.DataFrame(rows))
    write_text(RESULTS / "mixed.md", report(pd.DataFrame(rows)))


def datasets(root: Path) -> Iterator[Data]:
    """Tiles in both splits, commutators, pills and bottles; embedded once, quick the second time."""
    for name, layout, folder in (
        ("tiles", "mtd", "mtd"),
        ("commutators", "mvtec", "ksdd"),
        ("pills", "folder", "pill"),
        ("bottles", "folder", "bottle"),
    ):
        table, _ = cases.prepare(layout, str(root / folder))
        work = WORK / f"places-{layout}-{folder}"
        if name == "tiles":
            yield Data("tiles, DifferNet's split", table, work)
            table = by_part(table)
            name = "tiles, by part"
        yield Data(name, table, work)


def by_part(table: pd.DataFrame) -> pd.DataFrame:
    """The manifest as ingest makes it with `dataset.parts: find`."""
    alone = table.assign(file=table["path"], part="", split=table["split"].replace("val", "train"))
    assigned = parts.assign(alone, parts.FIND)
    val = [drawn(0.15, "val", 0, part) for part in manifest.parts(assigned)]
    return assigned.assign(
        split=assigned["split"].mask((assigned["split"] == "train") & np.array(val), "val")
    )


def of_seed(data: Data, seed: int) -> Iterator[dict[str, Any]]:
    """Rows of all tables of one dataset and seed."""
    clean = noise.inject(data.table, Noise(level=0.0, seed=seed))
    yield {"table": "A", "model": "padim", **measured(data, clean, Padim().create())}
    for fraction in FRACTIONS:
        for model, density in (("mixed", 1.0), ("head alone", 0.0)):
            settings = Settings(fraction=fraction, density=density, seed=seed)
            yield {"table": "A", "model": model, "fraction": fraction, **taught(data, clean, settings)}
    for inject in (1 / 32, 1 / 2):
        for fraction in (0.125, 0.5, 1.0):
            settings = Settings(fraction=fraction, inject=inject, seed=seed)
            yield {"table": "E", "inject": inject, "fraction": fraction, **taught(data, clean, settings)}
    for synthetic in (0.0, 0.5):
        settings = Settings(synthetic=synthetic, fraction=0.25, seed=seed)
        yield {"table": "D", "synthetic": synthetic, **taught(data, clean, settings)}
    if "tiles" in data.name:
        for group, kinds in (GROUPS | {"mixed": ()}).items():
            few = Settings(groups=kinds, seed=seed).known(clean)
            share = min((OF_GROUP + 0.5) / max(len(few), 1), 1.0)
            settings = Settings(groups=kinds, fraction=share, seed=seed)
            yield {"table": "C", "group": group, **taught(data, clean, settings)}
    for level in (0.1, 0.2):
        yield from refined(data, level, seed)


def taught(data: Data, noisy: pd.DataFrame, settings: Settings) -> dict[str, Any]:
    """What a `mixed` of these settings reaches, and how many real defects it learned."""
    known, model = settings.known(noisy), settings.create()
    model.know(Images(known, data.work))
    return {"known": len(known), **measured(data, noisy, model)}


def measured(data: Data, noisy: pd.DataFrame, model: Detector, fitted: bool = False) -> dict[str, float]:
    """FIGURES on the test photos, and the recall of each type of defect, of a model fitted on the others."""
    if not fitted:
        model.fit(Images.of(manifest.of_split(noisy, "train"), data.work))
    test, held = noisy[noisy["in_test"] == 1], manifest.of_split(noisy, "val")
    labels, scores = test["label"].to_numpy(), scored(data, model, test["image_id"])
    good = scored(data, model, held["image_id"])
    store = cases.open_places(data.work / "places")
    twins = [name for name in map(manifest.synthetic_id, held["image_id"]) if store.has([name])]
    validation = (np.repeat([0, 1], [len(good), len(twins)]), np.append(good, scored(data, model, twins)))
    limit = detection.conformal_threshold(good, 0.01, manifest.parts(held))
    at = deciding.side_by_side((labels, scores), limit, validation)
    kinds, defects = test["defect_type"].to_numpy(dtype=str)[labels == 1], scores[labels == 1]
    return {
        "auroc": detection.auroc(labels, scores),
        "ap": detection.aupr(labels, scores),
        **{name: at["conformal"][name] for name in ("mcc", "recall", "fpr")},
        "mcc, validation": at["validation_f1"]["mcc"],
        "mcc, test": at["test_f1"]["mcc"],
        "mcc, 5 %": thinned(labels, scores),
        **{f"recall, {k}": v for k, v in deciding.recall_by_type(kinds, defects, limit).items()},
    }


def scored(data: Data, model: Detector, ids: Any) -> np.ndarray:
    """Scores of photos or twins."""
    return model.score(Images(tuple(ids), data.work)).image


def thinned(labels: np.ndarray, scores: np.ndarray) -> float:
    """Mean MCC at the threshold of the best F1 of test sets of which RARE are defects."""
    good, bad = np.flatnonzero(labels == 0), np.flatnonzero(labels == 1)
    count = min(max(round(RARE / (1 - RARE) * len(good)), 1), len(bad))
    values = []
    for draw in range(THINNED):
        rows = np.append(good, np.random.default_rng(draw).choice(bad, count, replace=False))
        limit = deciding.f1_threshold(labels[rows], scores[rows])
        values.append(detection.at_threshold(labels[rows], scores[rows], limit)["mcc"])
    return float(np.mean(values))


def refined(data: Data, level: float, seed: int) -> Iterator[dict[str, Any]]:
    """Table F: the training set holds hidden defects, a human answers for the first of the queue."""
    try:
        noisy = noise.inject(data.table, Noise(level=level, n_train=TRAINED, seed=seed))
    except UserError as error:  # too few defects for this level: told in the table by its absence
        print(f"{data.name}, noise {level}: {error}")
        return
    hidden, folder = set(noisy.loc[noisy["injected"] == 1, "image_id"]), WORK / "mixed-models"
    blind, rows = manifest.unlabelled(noisy), []
    params = {
        recycle: parse({"detector": "mixed", "mixed": {"recycle": recycle, "fraction": 0.0, "seed": seed}})
        for recycle in ("none", "confirmed", "removed")
    }
    train(params["none"], noisy, data.work, folder / "initial", folder / "oracle")
    first = refinement.run(params["none"], blind, data.work, folder / "initial")
    rows.append(("none", 0, first))
    assert first.evidence is not None
    order = np.argsort(-first.evidence.strength, kind="stable")[: round(ASKED * TRAINED)]
    asked = {first.evidence.ids[place] for place in order}
    verdicts = Verdicts(remove=frozenset(asked & hidden), keep=frozenset(asked - hidden))
    rows += [
        (recycle, answers, refinement.run(params[recycle], blind, data.work, folder / "initial", told))
        for recycle, answers, told in (
            ("removed", 0, UNDECIDED),
            *((recycle, len(asked), verdicts) for recycle in params),
        )
    ]
    for recycle, answers, names in rows:
        row = {"table": "F", "noise": level, "recycle": recycle, "answers": answers}
        row |= {"recycled": len(names.recycled), "recycled_wrong": len(names.recycled - hidden)}
        yield row | measured(data, noisy, names.model, fitted=True)


def report(runs: pd.DataFrame) -> str:
    """All tables: mean ± deviation over the seeds."""
    lines = [
        f"`{COMMAND}`", "",
        f"Mean ± standard deviation over the seeds {SEEDS[0]} to {SEEDS[-1]}. MCC and FPR at the threshold "
        "from held-out good photos (1 % asked), MCC also at the best F1 on held-out photos and their "
        "synthetic defects (validation), on the test itself, which looks at its labels (test), and the same "
        "on test sets thinned to 5 % defects.", "",
    ]  # fmt: skip
    titles = {
        "A": ("Fractions of the known defects", ["model", "fraction"]),
        "C": (f"Groups of at most {OF_GROUP} known defects", ["group"]),
        "D": ("Weight of synthetic defects, a quarter of the known ones", ["synthetic"]),
        "E": ("Weight of real defects", ["inject", "fraction"]),
        "F": ("Hidden defects, consensus, what is removed teaches", ["noise", "answers", "recycle"]),
    }
    for name, (title, keys) in titles.items():
        rows = runs[runs["table"] == name].dropna(axis=1, how="all")
        counts = [key for key in ("known", "recycled", "recycled_wrong") if key in rows]
        lines += [f"## {name}. {title}", ""]
        cells = [
            [*map(_short, values if isinstance(values, tuple) else (values,)),
             *(f"{group[key].mean():.0f}" for key in counts),
             *(cell(figure(group[key].to_numpy(dtype=float)), len(group)) for key in FIGURES)]
            for values, group in rows.groupby(["data", *keys], sort=False, dropna=False)
        ]  # fmt: skip
        lines += markdown(["photos", *keys, *counts, *FIGURES], cells)
    return "\n".join(lines)


def _short(value: Any) -> str:
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:.4g}"
    return str(value)


if __name__ == "__main__":
    main()
