"""All detectors on six products: what they reach and take, clean, with hidden defects, and cleaned.

    python -m benchmarks.detectors --data ../data
    python -m benchmarks.detectors --data ../data --detectors efficientad --seeds 0

Tiles (mtd, all shots of a part on one side), commutators (ksdd), pills, bottles, screws (without masks, so
without AU-PRO) and the generated parts of the demo; 100 photos train. Preset `fast`, defaults of params.yaml;
`instant` and `short` are presets of efficientad. Nothing was tuned on these photos, but for efficientad's
`fast` and `instant` what `python -m benchmarks.closed_form` chose on seed 0, the same without each product.
`clean`: no hidden defect; `before`: a tenth are hidden defects; `after`: cleaned by the default rule and
trained again. `mixed` knows the defects that are left over, the others none. Rows that results/detectors.csv
has are not repeated; several processes may share it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from adrefine import manifest
from adrefine.benchmark import measure, prepared
from adrefine.benchmark.summary import figure
from adrefine.benchmark.tables import cell
from adrefine.detectors.base import Detector, Images
from adrefine.evaluation.maps import draw, read_mask
from adrefine.io import write_text
from adrefine.metrics import detection, localization
from adrefine.params import Params, parse
from adrefine.runtime import hardware, progress
from adrefine.strategies import refinement
from adrefine.text import markdown
from benchmarks.common import RESULTS, add_rows, rows_of

PRODUCTS: dict[str, dict[str, Any]] = {
    "tiles, by part": {"name": "mtd", "root": "mtd", "parts": "find"},
    "commutators": {"name": "mvtec", "root": "ksdd"},
    "pills": {"name": "folder", "root": "pill"},
    "bottles": {"name": "folder", "root": "bottle"},
    "screws": {"name": "folder", "root": "screw"},
    "parts": {"name": "demo"},
}
DETECTORS = ("padim", "differnet", "mixed", "glass", "uflow", "efficientad", "instant", "short")
NAMES = {
    "glass": "GLASS on EfficientNet-Lite",
    "uflow": "U-Flow on EfficientNet-Lite",
    "instant": "efficientad, instant",
    "short": "efficientad, short",
}
TRAINED = 100  # photos
LEVEL = 0.1
MAPPED = 16  # test photos whose maps are measured, half of them defective
KEYS = ["product", "detector", "seed", "set"]
FIGURES = {"auroc": "image AUROC", "aupro": "AU-PRO", "mcc": "MCC", "fpr": "FPR"}
COSTS = {"train_s": 1, "score_ms": 1, "known": 0}  # digits
COMMAND = "python -m benchmarks.detectors --data ../data"


def main() -> None:
    """Run what is missing, then write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../data"))
    parser.add_argument("--detectors", nargs="+", default=list(DETECTORS), choices=DETECTORS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    args = parser.parse_args()
    target = RESULTS / "detectors.csv"
    todo = [(s, p, d) for s in args.seeds for p in PRODUCTS for d in args.detectors]
    for seed, product, detector in progress.over(todo, label="detectors", unit="case"):
        done = rows_of(target, KEYS)
        if not (done[KEYS[:3]] == [product, detector, seed]).all(axis=1).any():
            heading = {"product": product, "detector": detector, "seed": seed}
            rows = [heading | row for row in case(args.data, product, detector, seed)]
            add_rows(target, pd.DataFrame(rows), KEYS)
    write_text(target.with_suffix(".md"), report(pd.read_csv(target)))


def case(data: Path, product: str, detector: str, seed: int) -> Iterator[dict[str, Any]]:
    """The rows of one product, detector and seed."""
    section: dict[str, Any] = {"seed": seed} if detector != "padim" else {}
    if detector in ("instant", "short"):
        detector, section = "efficientad", {"preset": detector, "seed": seed}
    for level in (0.0, LEVEL):
        params = params_of(data, product, {"detector": detector, detector: section}, level, seed)
        table, inputs = prepared.prepare(params, twins=True)
        with hardware.one_core_each(), tempfile.TemporaryDirectory() as folder:
            noisy, ids, _ = measure.inject(table, params)
            start = time.perf_counter()
            model = measure.fit(params, ids, noisy, inputs)
            took = {"train_s": time.perf_counter() - start}
            known = len(params.chosen_detector.known(noisy))
            yield (
                {"set": "before" if level else "clean", "known": known}
                | took
                | measured(model, noisy, inputs)
            )
            if level:
                model.save(Path(folder))
                yield {"set": "after", "known": known} | cleaned(params, noisy, inputs, Path(folder))


def params_of(data: Path, product: str, sections: dict[str, Any], level: float, seed: int) -> Params:
    """For TRAINED photos of a product, this share of them hidden defects."""
    own = PRODUCTS[product]
    root = {"root": str(data / own["root"])} if "root" in own else {}
    noise = {"level": level, "n_train": TRAINED, "seed": seed}
    return parse({"dataset": own | root, "noise": noise, **sections})


def cleaned(params: Params, noisy: pd.DataFrame, inputs: Path, initial: Path) -> dict[str, Any]:
    """The refined model; `train_s` is then the whole refinement."""
    start = time.perf_counter()
    outcome = refinement.run(params, manifest.unlabelled(noisy), inputs, initial)
    took = {"train_s": time.perf_counter() - start, "removed": outcome.removed}
    return took | measured(outcome.model, noisy, inputs)


def measured(model: Detector, noisy: pd.DataFrame, inputs: Path) -> dict[str, float]:
    """FIGURES on the test photos, at the threshold from held-out good ones, and milliseconds a photo."""
    test, held = noisy[noisy["in_test"] == 1], manifest.of_split(noisy, "val")
    labels = test["label"].to_numpy()
    start = time.perf_counter()
    scores = model.score(Images(tuple(test["image_id"]), inputs)).image
    took = (time.perf_counter() - start) / len(test)
    good = model.score(Images(tuple(held["image_id"]), inputs)).image
    at = detection.at_threshold(
        labels, scores, detection.conformal_threshold(good, 0.01, manifest.parts(held))
    )
    shown = pd.concat(
        [
            draw(test[(test["label"] == manifest.DEFECT) & (test["mask_path"] != "")], MAPPED // 2),
            draw(test[test["label"] == manifest.GOOD], MAPPED // 2),
        ]
    )
    return {
        "auroc": detection.auroc(labels, scores),
        "aupro": _aupro(model, shown, inputs),
        "mcc": at["mcc"],
        "fpr": at["fpr"],
        "score_ms": 1e3 * took,
    }


def _aupro(model: Detector, shown: pd.DataFrame, inputs: Path) -> float:
    """AU-PRO of the model's own maps; NaN where no photo has a mask."""
    if not (shown["mask_path"] != "").any():
        return float("nan")
    maps = model.maps(Images(tuple(shown["image_id"]), inputs), [Path(path) for path in shown["path"]])
    masks = [read_mask(*paths) for paths in zip(shown["mask_path"], shown["path"], strict=True)]
    assert maps is not None
    return localization.aupro(maps, masks)


def report(runs: pd.DataFrame) -> str:
    """A table for each product: mean ± deviation over the seeds that there are."""
    lines = [
        f"`{COMMAND}`", "",
        f"{TRAINED} photos train; `before` and `after`: {LEVEL:.0%} of them are hidden defects. MCC and FPR "
        f"at the threshold from held-out good photos (1 % asked). AU-PRO on {MAPPED} test photos, of the "
        "detector's own maps. Mean ± standard deviation over the seeds. `train`: seconds of one core on a "
        "machine that was busy with other work, after cleaning those of the whole refinement; `score`: "
        "milliseconds a photo, without what the frozen network takes to see it, which `padim`, `mixed`, "
        "`glass`, `uflow` (places) and `differnet` (features) need. `mixed` knows `known` real defects, the "
        "others none.", "",
    ]  # fmt: skip
    lines += means(runs)
    heads = ["detector", "set", "seeds", *FIGURES.values(), "train, s", "score, ms", "known"]
    for product in PRODUCTS:
        rows = runs[runs["product"] == product]
        cells = [
            [NAMES.get(detector, detector), kind, str(len(chosen)),
             *(cell(figure(chosen[key].to_numpy(dtype=float)), len(chosen)) for key in FIGURES),
             *(f"{chosen[key].mean():.{digits}f}" for key, digits in COSTS.items())]
            for detector in DETECTORS
            for kind in ("clean", "before", "after")
            if len(chosen := rows[(rows["detector"] == detector) & (rows["set"] == kind)])
        ]  # fmt: skip
        if cells:
            lines += [f"## {product[0].upper()}{product[1:]}", "", *markdown(heads, cells)]
    return "\n".join(lines)


def means(runs: pd.DataFrame) -> list[str]:
    """A table of the detectors that every product has: image AUROC and AU-PRO clean, before and after
    cleaning, and the seconds of one training; mean over the products, and its deviation over the seeds."""
    each = runs.groupby(["detector", "set", "seed"])[["auroc", "aupro", "train_s"]].mean()
    rows = []
    for detector in DETECTORS:
        own = runs[runs["detector"] == detector]
        if own["product"].nunique() == len(PRODUCTS):
            of = each.loc[detector]
            parts = [
                " / ".join(
                    cell(figure(of.loc[kind, key].to_numpy()), own["seed"].nunique())
                    for kind in ("clean", "before", "after")
                )
                for key in ("auroc", "aupro")
            ]
            rows.append([NAMES.get(detector, detector), *parts, f"{of.loc['clean', 'train_s'].mean():.1f}"])
    heads = [
        "detector",
        *(f"{name}: clean / before / after" for name in ("image AUROC", "AU-PRO")),
        "train, s",
    ]
    return ["## Mean of the products", "", *markdown(heads, rows)]


if __name__ == "__main__":
    main()
