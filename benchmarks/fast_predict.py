"""What fewer views and scales cost differnet in AUROC, and what they save, on several products.

    python -m benchmarks.fast_predict --data ../data

Each product: 80 good training photos, 30 good and 30 defective test photos, drawn by their id. The features
of four views at three scales are made once; fewer views and scales are parts of them (of two views the light
differs a little from what `embed.views: 2` makes). The choice: the quickest setting whose mean AUROC over the
*other* products is at most .01 under the best one's there. To results/fast_predict.csv and fast_predict.md.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import torch

from adrefine import manifest
from adrefine.detectors.base import Images
from adrefine.detectors.differnet.settings import Settings
from adrefine.features.embed import embed
from adrefine.features.extract import Extractor
from adrefine.features.store import Store, write_store
from adrefine.ingestion.pipeline import ingest
from adrefine.io import write_csv, write_text
from adrefine.metrics.detection import auroc
from adrefine.params import Dataset, Embed, Runtime
from adrefine.paths import FEATURES, MANIFEST
from adrefine.text import markdown
from benchmarks.common import RESULTS
from benchmarks.predict_speed import in_turns

PRODUCTS = {"commutators": ("mvtec", "ksdd"), "bottles": ("folder", "bottle"), "pills": ("folder", "pill")}
VIEWS, SCALES = (1, 2, 4), ((448, 224, 112), (448, 224), (448,), (224,))
TRAIN, TEST, SEEDS, ALLOWED = 80, 30, (0, 1), 0.01
Setting = tuple[int, tuple[int, ...]]


def main() -> None:
    """Embed, learn, time, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with ksdd, bottle and pill")
    parser.add_argument(
        "--work", type=Path, default=Path(".adrefine/fast_predict"), help="features are kept here"
    )
    chosen = parser.parse_args()
    settings = list(itertools.product(VIEWS, SCALES))
    cost = milliseconds(settings)
    rows = []
    for name, (layout, folder) in PRODUCTS.items():
        table = prepared(layout, chosen.data / folder, chosen.work / name)
        for setting in settings:
            value = np.mean([measured(table, chosen.work / name, setting, seed) for seed in SEEDS])
            rows.append(
                (name, setting[0], " ".join(map(str, setting[1])), cost[setting], round(float(value), 4))
            )
            print(*rows[-1], flush=True)
    found = pd.DataFrame(rows, columns=["product", "views", "scales", "milliseconds", "auroc"])
    write_csv(RESULTS / "fast_predict.csv", found)
    write_text(RESULTS / "fast_predict.md", rendered(found))


def milliseconds(settings: Sequence[Setting]) -> dict[Setting, float]:
    """Of the processor, for the features of one photo of 448², the quickest of rounds in turns."""
    torch.set_num_threads(1)
    photo = torch.rand(1, 3, 448, 448, generator=torch.Generator().manual_seed(0))
    extractors = [Extractor(Embed(views=views, scales=list(scales)), Runtime()) for views, scales in settings]
    jobs = {
        f"{number} x1": lambda one=extractor: one.extract(photo)
        for number, extractor in enumerate(extractors)
    }
    return dict(zip(settings, in_turns(jobs).values(), strict=True))


def prepared(layout: str, root: Path, work: Path) -> pd.DataFrame:
    """The chosen photos of a product, with all their features in `work`."""
    if not (work / "ingested" / MANIFEST).exists():
        ingest(Dataset(name=layout, root=str(root), fit="stretch"), work / "ingested")
    table = manifest.read(work / "ingested" / MANIFEST).sort_values("image_id")
    good, test = table["label"] == manifest.GOOD, table["split"] == "test"
    parts = [table[good & ~test][:TRAIN], table[good & test][:TEST], table[~good & test][:TEST]]
    chosen = pd.concat(parts)
    embed(chosen[["image_id", "path"]], Embed(), work / "all" / FEATURES, work / "cache")
    return chosen


def measured(table: pd.DataFrame, work: Path, setting: Setting, seed: int) -> float:
    """Test AUROC of a flow that learned the good photos by these views and scales."""
    store, whole = Store(work / "all" / FEATURES), Embed()
    views, scales = setting
    vectors = store.vectors(store.ids)[:, :: whole.views // views]
    wide = vectors.shape[-1] // len(whole.scales)
    starts = [whole.scales.index(scale) * wide for scale in scales]
    vectors = np.concatenate([vectors[..., start : start + wide] for start in starts], axis=-1)
    with TemporaryDirectory() as name:
        folder = Path(name)
        meta = {**store.meta, "views": views, "scales": list(scales), "dim": vectors.shape[-1]}
        write_store(folder / FEATURES, store.ids, vectors.astype(np.float16), vectors.shape[1:], meta)
        detector = Settings(seed=seed).create()
        train, test = table[table["split"] != "test"], table[table["split"] == "test"]
        detector.fit(Images.of(train, folder))
        images = Images.of(test, folder)
        labels = test.set_index("image_id")["label"].loc[list(images.ids)] == manifest.DEFECT
        return auroc(labels.to_numpy(), detector.score(images).image)


def rendered(found: pd.DataFrame) -> str:
    """The table in Markdown, and what is chosen with each product left out."""
    wide = found.pivot_table(index=["views", "scales", "milliseconds"], columns="product", values="auroc")
    wide = wide.assign(mean=wide.mean(axis=1)).sort_index(level="milliseconds").round(3)
    names = ("views", "scales", "milliseconds", *map(str, wide.columns))
    rows = [
        (*map(str, index), *(f"{value:.3f}" for value in line))
        for index, line in zip(wide.index, wide.to_numpy(), strict=True)
    ]
    lines = [
        f"`python -m benchmarks.fast_predict`: AUROC of differnet, mean of {len(SEEDS)} seeds,",
        "and milliseconds of the processor for the features of one photo of 448 pixels.",
        "",
        *markdown(names, rows, names[2:]),
        "",
    ]
    for product in PRODUCTS:
        others = wide.drop(columns=["mean", product]).mean(axis=1)
        best = others[others >= others.max() - ALLOWED].index[0]  # the quickest: they are sorted by time
        full = wide[product].loc[wide.index[-1]]
        lines.append(
            f"- {product} left out: {best[0]} views at {best[1]} ({best[2]:g} ms) are chosen, and reach "
            f"{wide[product].loc[best]:.3f} there, all of them {full:.3f}."
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
