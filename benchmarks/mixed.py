"""What real defects add: fractions, groups, weights, and what a human confirmed, by part and by seed.

    python -m benchmarks.mixed --data ../data

Tiles (mtd) twice: as DifferNet split them, and with all shots of a part on one side (`dataset.parts: find`);
commutators (ksdd), pills and bottles have no known parts. Half of the test defects are set aside: they are
the known ones, or hide among the training photos. The settings of `mixed` come from seeds 1000 to 1002 of the
same photos, the tables from other seeds; what is tested and what is known differ by seed.
Rows that results/mixed.csv has are not repeated. Writes it and mixed.md (benchmarks/mixed_tables.py).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from adrefine import manifest, noise
from adrefine.benchmark.prepared import WORK
from adrefine.defects.pipeline import drawn as some
from adrefine.defects.pipeline import make_all
from adrefine.detectors.base import Detector, Images
from adrefine.detectors.differnet.settings import Settings as DifferNet
from adrefine.detectors.initial import train
from adrefine.detectors.mixed.settings import Settings
from adrefine.detectors.padim.settings import Settings as Padim
from adrefine.errors import UserError
from adrefine.features.embed import embed
from adrefine.ingestion import parts
from adrefine.io import write_csv, write_text
from adrefine.metrics import deciding, detection
from adrefine.params import Embed, Noise, parse
from adrefine.paths import FEATURES, PLACES
from adrefine.places.embed import embed_places
from adrefine.review import UNDECIDED, Verdicts
from adrefine.runtime import progress
from adrefine.runtime.seeds import drawn
from adrefine.strategies import refinement
from benchmarks import mixed_tables
from benchmarks.common import RESULTS
from benchmarks.products import cases

PRODUCTS = {  # layout and folder
    "tiles": ("mtd", "mtd"),
    "commutators": ("mvtec", "ksdd"),
    "pills": ("folder", "pill"),
    "bottles": ("folder", "bottle"),
}
SEEDS = range(3)
FRACTIONS = (0.0, 0.0625, 0.125, 0.25, 0.5, 1.0)
GROUPS = {"points": ("blowhole",), "lines": ("break", "crack"), "area": ("uneven", "fray")}
OF_GROUP = 16  # defects that each group may use
KINDS = {
    "random walks": ("random_walk",),
    "noise patches": ("noise_patch",),
    "cut and paste": ("cutpaste",),
    "all four": ("noise_patch", "random_walk", "cutpaste", "perlin"),
}
PER_IMAGE = (1, 4)
WITH_TWINS = 200  # photos that get synthetic defects of one kind, of those that train or are held out
FEW = 31  # real defects that teach beside them
RARE, THINNED = 0.05, 20  # share of defects in the thinned test set, draws of it
ASKED = 0.1  # share of the queue that the simulated human answers
TRAINED = 200  # photos that train, where defects hide
TILES = "tiles, by part"
ROWS = RESULTS / "mixed.csv"


@dataclass(frozen=True)
class Data:
    """A dataset: what it is called, its manifest, and the folder that holds its places."""

    name: str
    table: pd.DataFrame
    work: Path


def main() -> None:
    """Run what is missing, write rows and report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../data"))
    parser.add_argument("--products", nargs="+", default=list(PRODUCTS), choices=PRODUCTS)
    args = parser.parse_args()
    runs = pd.read_csv(ROWS) if ROWS.exists() else pd.DataFrame(columns=["data", "seed", "table"])
    for data in datasets(args.data, args.products):
        for seed in progress.over(list(SEEDS), label=data.name, unit="seed"):
            done = set(runs.loc[(runs["data"] == data.name) & (runs["seed"] == seed), "table"])
            for table in (name for name in TABLES if name not in done):
                heading = {"data": data.name, "seed": seed, "table": table}
                if rows := [heading | row for row in TABLES[table](data, seed)]:
                    runs = pd.concat([runs, pd.DataFrame(rows)], ignore_index=True)
                    write_csv(ROWS, runs)
    write_text(ROWS.with_suffix(".md"), mixed_tables.report(runs))


def datasets(root: Path, products: Iterable[str]) -> Iterator[Data]:
    """The products, tiles in both splits; embedded once, quick the second time."""
    for name in products:
        layout, folder = PRODUCTS[name]
        table, _ = cases.prepare(layout, str(root / folder))
        work = WORK / f"places-{layout}-{folder}"
        if name == "tiles":
            yield Data("tiles, DifferNet's split", table, work)
            yield Data(TILES, by_part(table), work)
        else:
            yield Data(name, table, work)


def by_part(table: pd.DataFrame) -> pd.DataFrame:
    """The manifest as ingest makes it with `dataset.parts: find`."""
    alone = table.assign(file=table["path"], part="", split=table["split"].replace("val", "train"))
    assigned = parts.assign(alone, parts.FIND)
    val = [drawn(0.15, "val", 0, part) for part in manifest.parts(assigned)]
    return assigned.assign(
        split=assigned["split"].mask((assigned["split"] == "train") & np.array(val), "val")
    )


def fractions(data: Data, seed: int) -> Iterator[dict[str, Any]]:
    """Table A: shares of the known defects."""
    clean = noise.inject(data.table, Noise(level=0.0, seed=seed))
    yield {"model": "padim", **measured(data, clean, Padim().create())}
    for fraction in FRACTIONS:
        for model, density in MODELS.items():
            settings = Settings(fraction=fraction, density=density, seed=seed)
            yield {"model": model, "fraction": fraction, **taught(data, clean, settings)}


def flow(data: Data, seed: int) -> Iterator[dict[str, Any]]:
    """Beside table A: DifferNet, whose features take longer than all else here."""
    if data.name not in (TILES, "commutators"):
        return
    clean = noise.inject(data.table, Noise(level=0.0, seed=seed))
    if not (data.work / FEATURES / "meta.json").exists():
        held = with_twins(data, clean.loc[clean["split"] == "val", "image_id"])
        photos = [clean[["image_id", "path"]]]
        photos += [
            pd.DataFrame({"image_id": held, "path": [f"{data.work}/synthetic/images/{n}.png" for n in held]})
        ]
        embed(pd.concat(photos), Embed(), data.work / FEATURES, WORK / FEATURES)
    yield {"model": "differnet", **measured(data, clean, DifferNet(seed=seed).create())}


def groups(data: Data, seed: int) -> Iterator[dict[str, Any]]:
    """Table C: types of defect that teach."""
    clean = noise.inject(data.table, Noise(level=0.0, seed=seed))
    for group, kinds in (GROUPS | {"mixed": ()}).items() if "tiles" in data.name else ():
        settings = few(Settings(groups=kinds, seed=seed), clean, OF_GROUP)
        yield {"group": group, **taught(data, clean, settings)}


def generators(data: Data, seed: int) -> Iterator[dict[str, Any]]:
    """Table D: kinds of synthetic defects and how many of each photo, without and with real ones."""
    if data.name != TILES:
        return
    clean = noise.inject(data.table, Noise(level=0.0, seed=seed))
    for kinds in KINDS:
        for per_image in PER_IMAGE:
            other = drawn_anew(data, kinds, per_image)
            for most in (0, FEW):
                for model, density in MODELS.items():
                    settings = few(Settings(density=density, seed=seed), clean, most)
                    row = {"kinds": kinds, "per_image": per_image, "model": model}
                    yield row | taught(other, clean, settings)


def synthetic_weights(data: Data, seed: int) -> Iterator[dict[str, Any]]:
    """Table D, weights: of synthetic defects."""
    clean = noise.inject(data.table, Noise(level=0.0, seed=seed))
    for synthetic in (0.0, 0.5):
        settings = Settings(synthetic=synthetic, fraction=0.25, seed=seed)
        yield {"synthetic": synthetic, **taught(data, clean, settings)}


def real_weights(data: Data, seed: int) -> Iterator[dict[str, Any]]:
    """Table E: weights of real defects."""
    clean = noise.inject(data.table, Noise(level=0.0, seed=seed))
    for inject in (1 / 32, 1 / 2):
        for fraction in (0.125, 0.5, 1.0):
            settings = Settings(fraction=fraction, inject=inject, seed=seed)
            yield {"inject": inject, "fraction": fraction, **taught(data, clean, settings)}


def cleaning(data: Data, seed: int) -> Iterator[dict[str, Any]]:
    """Table F: at three levels of hidden defects."""
    for level in (0.1, 0.2, 0.3):
        yield from refined(data, level, seed)


MODELS = {"mixed": 1.0, "head alone": 0.0}  # and their density
TABLES: dict[str, Callable[[Data, int], Iterator[dict[str, Any]]]] = {
    "A": fractions,
    "A, flow": flow,
    "C": groups,
    "D, kinds": generators,
    "D": synthetic_weights,
    "E": real_weights,
    "F": cleaning,
}


def few(settings: Settings, noisy: pd.DataFrame, most: int) -> Settings:
    """The settings with a fraction of at most `most` real defects."""
    there = len(settings.known(noisy))
    share = min((most + 0.5) / max(there, 1), 1.0) if most else 0.0
    return settings.model_copy(update={"fraction": share})


def drawn_anew(data: Data, kinds: str, per_image: int) -> Data:
    """The dataset with other synthetic defects, of WITH_TWINS photos; embedded once."""
    work = data.work.with_name(f"{data.work.name}-{kinds.replace(' ', '-')}-{per_image}")
    if not (work / PLACES / "meta.json").exists():
        shares = {name: float(name in KINDS[kinds]) for name in KINDS["all four"]}
        params = parse({"synthesize": {"kinds": shares, "per_image": per_image}})
        used = data.table[data.table["split"].isin(["train", "val"])].sort_values("image_id")
        made = make_all(some(used, WITH_TWINS, 0), work / "synthetic", params.synthesize)
        images = pd.concat([rows[["image_id", "path"]] for rows in (data.table, made)])
        embed_places(images, params.embed, work / PLACES, WORK / "places")
    return replace(data, work=work)


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
    good, twins = scored(data, model, held["image_id"]), with_twins(data, held["image_id"])
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


def with_twins(data: Data, ids: Any) -> list[str]:
    """The first synthetic defects of those photos that have one."""
    store = cases.open_places(data.work / PLACES)
    return [name for name in map(manifest.synthetic_id, ids) if store.has([name])]


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
        row = {"noise": level, "recycle": recycle, "answers": answers}
        row |= {"recycled": len(names.recycled), "recycled_wrong": len(names.recycled - hidden)}
        yield row | measured(data, noisy, names.model, fitted=True)


if __name__ == "__main__":
    main()
