"""Maps that point: is the brightest pixel at the defect, and what do finer places cost and give?

    python -m benchmarks.places.pointing --data ../data

The generated parts and four real products with masks, 100 good training photos, nothing hidden; up to 60
photos with a mask and as many good ones are shown, 12 and 12 for `gradient`, whose maps take seconds each.
`points`: share of the defects whose brightest pixel lies within 8 pixels of the mask, the photo taken as
224 x 224. `gradient` is DifferNet's own map; the others are maps of places: side of the photo and places a
side. Writes results/pointing.{csv,md}.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from adrefine import manifest
from adrefine.benchmark import measure
from adrefine.benchmark.prepared import WORK
from adrefine.detectors.base import Images
from adrefine.evaluation.maps import draw, read_mask
from adrefine.features.embed import embed
from adrefine.ingestion.pipeline import ingest
from adrefine.io import write_csv, write_text
from adrefine.metrics import localization
from adrefine.metrics.detection import auroc
from adrefine.params import Params, parse
from adrefine.paths import FEATURES, MANIFEST, PLACES
from adrefine.places import maps as of_places
from adrefine.places.embed import embed_places
from adrefine.places.sums import photo_scores
from adrefine.runtime import hardware, progress
from adrefine.text import markdown
from benchmarks.common import RESULTS

PRODUCTS: dict[str, dict[str, str]] = {
    "parts": {"name": "demo"},
    "tiles": {"name": "mtd", "root": "mtd"},
    "commutators": {"name": "mvtec", "root": "ksdd"},
    "bottles": {"name": "folder", "root": "bottle"},
    "pills": {"name": "folder", "root": "pill"},
}
GRIDS = {"320 px, 10 × 10": (320, 10), "320 px, 20 × 20": (320, 20), "448 px, 28 × 28": (448, 28)}
TRAINED, SHOWN, OF_GRADIENT = 100, 60, 12
REACH, SIDE = 8.0, 224.0  # pixels, of a photo of that side
HEADS = {"points": "points", "aupro": "AU-PRO", "auroc": "image AUROC", "kB": "kB a photo"}


def main() -> None:
    """Measure every product; write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../data"))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rows = []
    for name, given in progress.over(PRODUCTS.items(), label="pointing", unit="product"):
        root = {"root": str((args.data / given["root"]).resolve())} if "root" in given else {}
        rows += [{"product": name} | row for row in of_product({**given, **root}, args.seed)]
        write_csv(RESULTS / "pointing.csv", pd.DataFrame(rows))
    write_text(RESULTS / "pointing.md", report(pd.DataFrame(rows)))


def of_product(dataset: dict[str, str], seed: int) -> Iterator[dict[str, Any]]:
    """A row of figures for each kind of map."""
    params = parse(
        {
            "dataset": dataset,
            "noise": {"level": 0.0, "n_train": TRAINED, "seed": seed},
            "detector": "differnet",
            "differnet": {"seed": seed},
        }
    )
    with tempfile.TemporaryDirectory() as scratch, hardware.one_core_each():
        ingest(params.dataset, Path(scratch) / "ingested")
        noisy, ids, _ = measure.inject(manifest.read(Path(scratch) / "ingested" / MANIFEST), params)
        test = noisy[noisy["in_test"] == 1]
        shown, few = (chosen(test, count) for count in (SHOWN, OF_GRADIENT))
        images = pd.concat([noisy[noisy["image_id"].isin(ids)], shown])
        yield {"map": "gradient"} | gradient(params, noisy, ids, few, images, Path(scratch))
        for name, (side, grid) in GRIDS.items():
            yield {"map": name} | places(side, grid, ids, shown, images, Path(scratch) / name)


def chosen(test: pd.DataFrame, count: int) -> pd.DataFrame:
    """`count` photos with a mask and as many good ones, or all; fewer are among more."""
    masked = test[(test["label"] == manifest.DEFECT) & (test["mask_path"] != "")]
    return pd.concat([draw(masked, count), draw(test[test["label"] == manifest.GOOD], count)])


def gradient(
    params: Params,
    noisy: pd.DataFrame,
    ids: tuple[str, ...],
    shown: pd.DataFrame,
    images: pd.DataFrame,
    folder: Path,
) -> dict[str, float]:
    """DifferNet's map and score."""
    embed(images, params.embed, folder / FEATURES, WORK / "features", params.runtime)
    model = measure.fit(params, ids, noisy, folder)
    asked = Images(tuple(shown["image_id"]), folder)
    maps = model.maps(asked, [Path(path) for path in shown["path"]])
    assert maps is not None
    return figures(maps, shown) | {"auroc": auroc(shown["label"], model.score(asked).image)}


def places(
    side: int, grid: int, ids: tuple[str, ...], shown: pd.DataFrame, images: pd.DataFrame, folder: Path
) -> dict[str, float]:
    """The maps of every detector's photos, and what the largest twentieth of their places tells."""
    params = parse({"embed": {"places": {"side": side, "grid": grid}}})
    embed_places(images, params.embed, folder / PLACES, WORK / "places", params.runtime)
    usual = of_places.gaussians(of_places.usual(folder, ids))
    seen = of_places.open_places(folder / PLACES).maps(list(shown["image_id"]))
    maps = of_places.drawn(usual, seen, [Path(path) for path in shown["path"]])
    told = photo_scores(usual.distances(seen), top=0.05)
    size = {"auroc": auroc(shown["label"], told), "kB": seen[0].size * 2 / 1000}
    return figures(maps, shown) | size


def figures(maps: np.ndarray, shown: pd.DataFrame) -> dict[str, float]:
    """`points` and `aupro` of the maps of the photos `shown`."""
    masks = [read_mask(*paths) for paths in zip(shown["mask_path"], shown["path"], strict=True)]
    hits = [points(one, mask) for one, mask in zip(maps, masks, strict=True) if mask.any()]
    return {
        "points": float(np.mean(hits)),
        "aupro": localization.aupro(list(maps), masks),
        "masks": len(hits),
    }


def points(one: np.ndarray, mask: np.ndarray) -> bool:
    """Whether the brightest pixel of a map (h, w) lies within REACH of the mask (h, w), not empty."""
    from scipy.ndimage import distance_transform_edt

    away = distance_transform_edt(~mask, sampling=(SIDE / mask.shape[0], SIDE / mask.shape[1]))
    return bool(away[np.unravel_index(int(one.argmax()), one.shape)] <= REACH)


def report(rows: pd.DataFrame) -> str:
    """A line for each product and kind of map, and the means over the products."""
    mean = rows.groupby("map", sort=False)[["points", "aupro", "auroc", "kB"]].mean().reset_index()
    lines = pd.concat([rows, mean.assign(product="mean")])
    cells = [
        [
            row["product"],
            row["map"],
            f"{row['points']:.0%}",
            f"{row['aupro']:.3f}",
            f"{row['auroc']:.3f}",
            "" if pd.isna(row["kB"]) else f"{row['kB']:.0f}",
        ]
        for _, row in lines.iterrows()
    ]
    told = (
        f"{TRAINED} good training photos; up to {SHOWN} photos with a mask and as many good ones, "
        f"{OF_GRADIENT} and {OF_GRADIENT} for `gradient`. `points`: share of the defects whose brightest "
        f"pixel lies within {REACH:.0f} pixels of {SIDE:.0f} of the mask. `gradient`: DifferNet's own map. "
        "The others: maps of places, by side of the photo and places a side; image AUROC is of the worst "
        "5 % of these places alone."
    )
    return "\n".join(["`python -m benchmarks.places.pointing --data ../data`", "", told, "",
                      *markdown(["product", "map", *HEADS.values()], cells)])  # fmt: skip


if __name__ == "__main__":
    main()
