"""What OSR, IRP and META as published would remove, while DifferNet as published learns.

`python -m benchmarks.refinement.paper_flow --noise 0.1 --epochs 400`: DifferNet's flow (8 blocks, 3 × 2048
hidden units, lr 2e-4, no noise, no standardization) on 100 photos of the demo. The features are the mean
alone of EfficientNet-Lite1, for AlexNet's weights need a download. Every few epochs: how the flow scores the
photos that it learns, what is over 1.5 × median (OSR, and the first round of IRP), and over Q3 + 1.5 · IQR
(META's rule, on the flow that is not meta-learned).
"""

from __future__ import annotations

import argparse

import numpy as np

from adrefine import manifest
from adrefine.benchmark import measure, prepared
from adrefine.detectors.base import Images
from adrefine.detectors.differnet.detector import DifferNet
from adrefine.metrics.detection import auroc
from adrefine.params import parse

HEADER = "| epoch | max / median | over 1.5 × median | hidden | over Q3 + 1.5 IQR | hidden | rank AUROC |"


class Watched(DifferNet):
    """It tells of its scores every `every` epochs."""

    def watch(self, images: Images, hidden: np.ndarray, every: int) -> None:
        self.images, self.hidden, self.every, self.number = images, hidden, every, 0

    def _epoch(self, *given):
        loss = super()._epoch(*given)
        self.number += 1
        if self.number % self.every == 0 or self.number == 1:
            print(self._row(), flush=True)
        return loss

    def _row(self) -> str:
        scores = self.score(self.images).image
        first, median, third = np.quantile(scores, [0.25, 0.5, 0.75])
        cells = [str(self.number), f"{scores.max() / median:.3f}"]
        for limit in (1.5 * median, third + 1.5 * (third - first)):
            over = scores > limit
            cells += [str(over.sum()), str((over & self.hidden).sum())]
        return f"| {' | '.join([*cells, f'{auroc(self.hidden, scores):.3f}'])} |"


def main() -> None:
    wanted = argparse.ArgumentParser(description=__doc__)
    wanted.add_argument("--noise", type=float, default=0.1)
    wanted.add_argument("--epochs", type=int, default=400)
    wanted.add_argument("--every", type=int, default=10)
    wanted.add_argument("--hidden", type=int, default=2048, help="units of a hidden layer")
    wanted.add_argument(
        "--views", type=int, default=8, help="that are stored; 4 of them train (DifferNet: 64)"
    )
    asked = wanted.parse_args()
    embed = {"backbone": "efficientnet_lite1", "pool": "mean", "light": 0.0, "views": asked.views}
    params = parse(
        {
            "dataset": {"fit": "stretch"},
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
    model.watch(images, np.array([name not in set(clean) for name in ids]), asked.every)
    print(HEADER)
    print("|" + "---|" * 7)
    model.fit(images)


if __name__ == "__main__":
    main()
