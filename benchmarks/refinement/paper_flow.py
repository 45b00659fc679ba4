"""What OSR, IRP and META as published would remove, while DifferNet as published learns.

    python -m benchmarks.refinement.paper_flow --noise 0.1                    # the demo's parts
    python -m benchmarks.refinement.paper_flow --noise 0.1 --mtd ../data/mtd  # magnetic tiles

DifferNet's flow (8 blocks, 3 × 2048 hidden units, lr 2e-4, no noise, no standardization) on 100 photos. The
features are the mean alone of EfficientNet-Lite1, for AlexNet's weights need a download. Every few epochs:
how the flow scores the photos that it learns, what is over 1.5 × median (OSR, and the first round of IRP),
and over Q3 + 1.5 · IQR (META's rule, on the flow that is not meta-learned). Each row goes at once to
results/paper_flow.csv and paper_flow.md: a run that is stopped keeps what it saw.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from adrefine import manifest
from adrefine.benchmark import measure, prepared
from adrefine.detectors.base import Images
from adrefine.detectors.differnet.detector import DifferNet
from adrefine.io import write_text
from adrefine.metrics.detection import auroc
from adrefine.params import parse
from adrefine.text import markdown
from benchmarks.common import RESULTS, add_rows

TARGET = RESULTS / "paper_flow.csv"
RUN = ["photos", "noise", "units", "epochs"]
SEEN = {
    "epoch": "epoch",
    "spread": "max / median",
    "osr": "over 1.5 × median",
    "osr_hidden": "hidden",
    "iqr": "over Q3 + 1.5 IQR",
    "iqr_hidden": "hidden",
    "rank_auroc": "rank AUROC",
}


class Watched(DifferNet):
    """It notes its scores every `every` epochs."""

    def watch(self, images: Images, hidden: np.ndarray, every: int, run: dict[str, Any]) -> None:
        self.images, self.hidden, self.every, self.run = images, hidden, every, run
        self.number = 0

    def _epoch(self, *given: Any) -> Any:
        loss = super()._epoch(*given)
        self.number += 1
        if self.number % self.every == 0 or self.number == 1:
            rows = add_rows(TARGET, pd.DataFrame([self.run | self._row()]), [*RUN, "epoch"])
            write_text(TARGET.with_suffix(".md"), report(rows))
        return loss

    def _row(self) -> dict[str, Any]:
        scores = self.score(self.images).image
        first, median, third = np.quantile(scores, [0.25, 0.5, 0.75])
        row: dict[str, Any] = {"epoch": self.number, "spread": round(scores.max() / median, 3)}
        for name, limit in (("osr", 1.5 * median), ("iqr", third + 1.5 * (third - first))):
            over = scores > limit
            row |= {name: int(over.sum()), f"{name}_hidden": int((over & self.hidden).sum())}
        return row | {"rank_auroc": round(auroc(self.hidden, scores), 3)}


def report(rows: pd.DataFrame) -> str:
    """A table for each run."""
    lines = ["`python -m benchmarks.refinement.paper_flow`: 100 training photos, seed 0.", ""]
    for (photos, noise, units, epochs), run in rows.groupby(RUN):
        lines += [f"## {photos}, {noise:.0%} hidden defects", ""]
        lines += [f"3 × {units} hidden units; {epochs} epochs were asked for.", ""]
        cells = [[f"{value:g}" for value in row] for row in run[list(SEEN)].to_numpy()]
        lines += markdown(list(SEEN.values()), cells)
    return "\n".join(lines)


def main() -> None:
    wanted = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    wanted.add_argument("--noise", type=float, default=0.1)
    wanted.add_argument("--epochs", type=int, default=400)
    wanted.add_argument("--every", type=int, default=10)
    wanted.add_argument("--hidden", type=int, default=2048, help="units of a hidden layer")
    wanted.add_argument(
        "--views", type=int, default=8, help="that are stored; 4 of them train (DifferNet: 64)"
    )
    wanted.add_argument("--mtd", type=Path, help="folder of the magnetic tiles; the demo without it")
    asked = wanted.parse_args()
    photos = {"name": "mtd", "root": str(asked.mtd)} if asked.mtd else {"name": "demo"}
    embed = {"backbone": "efficientnet_lite1", "pool": "mean", "light": 0.0, "views": asked.views}
    params = parse(
        {
            "dataset": {**photos, "fit": "stretch"},
            "noise": {"level": asked.noise, "n_train": 100},
            "embed": embed,
            "detector": "differnet",
            "differnet": {"preset": "paper", "hidden": asked.hidden, "epochs": asked.epochs},
        }
    )
    prepared.prepare(params, False)
    table, inputs = prepared.read(prepared.folder(params, False))
    noisy, ids, clean = measure.inject(table, params)
    assert set(ids) == set(manifest.of_split(noisy, "train")["image_id"])
    model, images = Watched(params.chosen_detector), Images(ids, inputs)
    run = {"photos": "magnetic tiles" if asked.mtd else "demo", "noise": asked.noise}
    run |= {"units": asked.hidden, "epochs": asked.epochs}
    model.watch(images, np.array([name not in set(clean) for name in ids]), asked.every, run)
    model.fit(images)


if __name__ == "__main__":
    main()
