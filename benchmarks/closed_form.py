"""Which constants and which student EfficientAD's preset `fast` should have, with the product left out.

    python -m benchmarks.closed_form --data ../data
    python -m benchmarks.closed_form --data ../data --variants "as it is" "trained student" --seeds 0

The six products and their 100 training photos are those of `python -m benchmarks.detectors`, clean and with a
tenth hidden; nothing is removed. A variant changes one thing: a constant of
`detectors/efficientad/instant.py`, who says what is usual at a place (held-out good photos, which the rest of
the benchmark does not use), or the student: a small network on the same first block, trained for 300 steps of
8 photos, one-cycle, on the same deep layers. Each product is then measured by the variant that is the best of
the other products by mean image AUROC. AU-PRO: up to 60 test photos, half of them defective. Rows that
results/closed_form.csv has are not repeated.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from adrefine import manifest
from adrefine.benchmark import measure, prepared
from adrefine.benchmark.summary import figure
from adrefine.benchmark.tables import cell
from adrefine.detectors.base import Images
from adrefine.detectors.efficientad import instant
from adrefine.detectors.efficientad.instant import Instant, Student
from adrefine.detectors.efficientad.settings import Settings
from adrefine.io import write_text
from adrefine.metrics import detection
from adrefine.params import parse
from adrefine.runtime import hardware, progress
from adrefine.runtime.seeds import seed_everything
from adrefine.text import markdown
from benchmarks.common import RESULTS, add_rows
from benchmarks.detectors import LEVEL, PRODUCTS, TRAINED

AS_IT_IS, HELD, TRAINED_STUDENT = "as it is", "usual by held-out photos", "trained student"
CONSTANTS: dict[str, dict[str, float]] = {
    "ridge / 10": {"_RIDGE": 1e-4},
    "ridge × 10": {"_RIDGE": 1e-2},
    "ridge × 100": {"_RIDGE": 1e-1},
    "shrunk / 10": {"_SHRUNK": 1e-3},
    "shrunk × 10": {"_SHRUNK": 1e-1},
    "all photos calm": {"_CALM": 1.0},
    "four fifths calm": {"_CALM": 0.8},
    "even / 10": {"_EVEN": 0.01},
    "even × 10": {"_EVEN": 1.0},
}
VARIANTS = [AS_IT_IS, *CONSTANTS, HELD, TRAINED_STUDENT]
STEPS, BATCH, RATE, WIDTH = 300, 8, 3e-3, 96
MAPPED = 60
KEYS = ["product", "level", "seed", "variant"]
COMMAND = "python -m benchmarks.closed_form --data ../data"


def main() -> None:
    """Run what is missing, then write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../data"))
    parser.add_argument("--variants", nargs="+", default=VARIANTS, choices=VARIANTS, metavar="NAME")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    args = parser.parse_args()
    target = RESULTS / "closed_form.csv"
    todo = [(s, p, level) for s in args.seeds for p in PRODUCTS for level in (0.0, LEVEL)]
    for seed, product, level in progress.over(todo, label="closed_form", unit="case"):
        done = pd.read_csv(target) if target.exists() else pd.DataFrame(columns=KEYS)
        there = set(done.loc[(done[KEYS[:3]] == [product, level, seed]).all(axis=1), "variant"])
        if missing := [one for one in args.variants if one not in there]:
            heading = {"product": product, "level": level, "seed": seed}
            rows = [heading | row for row in case(args.data, product, level, seed, missing)]
            add_rows(target, pd.DataFrame(rows), KEYS)
    write_text(target.with_suffix(".md"), report(pd.read_csv(target)))


def case(data: Path, product: str, level: float, seed: int, variants: list[str]) -> Iterator[dict[str, Any]]:
    """A row for each variant."""
    settings = PRODUCTS[product]
    root = {"root": str(data / settings["root"])} if "root" in settings else {}
    noise = {"level": level, "n_train": TRAINED, "seed": seed}
    params = parse({"dataset": settings | root, "detector": "efficientad", "noise": noise})
    table, inputs = prepared.prepare(params, twins=True)
    noisy, ids, _ = measure.inject(table, params)
    test, held = noisy[noisy["in_test"] == 1], manifest.of_split(noisy, "val")
    with hardware.one_core_each():
        for variant in variants:
            with constants(CONSTANTS.get(variant, {})):
                start = time.process_time()
                model = fitted(variant, Images(ids, inputs), Images(tuple(held["image_id"]), inputs), seed)
                seconds = time.process_time() - start
                scores = model.score(Images(tuple(test["image_id"]), inputs)).image
                yield {
                    "variant": variant,
                    "auroc": detection.auroc(test["label"], scores),
                    "cpu_seconds": seconds,
                } | measure.localized(model, None, noisy, inputs, MAPPED)


@contextmanager
def constants(values: dict[str, float]) -> Iterator[None]:
    """Within the block `instant.py` has these constants."""
    before = {name: getattr(instant, name) for name in values}
    for name, value in values.items():
        setattr(instant, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(instant, name, value)


def fitted(variant: str, images: Images, held: Images, seed: int) -> Instant:
    """The closed form, or what stands in its place."""
    model = Instant(Settings(preset="fast"))
    model.fit(images)
    if variant == HELD:
        model.calibrate(held)
    if variant == TRAINED_STUDENT:
        assert model.student is not None
        backbone = instant._backbone(images.prepared)
        values = np.stack(list(model._values(images.prepared, images.ids)))
        model.student = Network.trained(values, backbone.low, model.student, seed)
        model.calibrate(images)
    return model


@dataclass(frozen=True)
class Network(Student):
    """A student with a convolutional network, of the same standardized channels; its error is whitened by its
    own covariance, as that of the closed form.

    Attributes:
        scale: (d,) deviations of the channels. net: from the first `low` of them to the others.
        lower: Cholesky factor of the covariance of its error on the training photos.
    """

    scale: np.ndarray
    low: int
    net: nn.Module
    lower: np.ndarray

    @classmethod
    def trained(cls, values: np.ndarray, low: int, closed: Student, seed: int) -> Network:
        """Of `values` (photos, positions, low + deep): mean squared error of standardized channels."""
        seed_everything(seed)
        flat = values.reshape(-1, values.shape[2])
        scale = np.sqrt(np.maximum(flat.var(axis=0), 1e-6))
        maps = torch.from_numpy(((values - closed.mean) / scale).astype(np.float32))
        maps = maps.transpose(1, 2).unflatten(2, [round(values.shape[1] ** 0.5)] * 2)
        net = nn.Sequential(
            nn.Conv2d(low, WIDTH, 3, padding=1, padding_mode="replicate"), nn.ReLU(),
            nn.Conv2d(WIDTH, WIDTH, 3, padding=1, padding_mode="replicate"), nn.ReLU(),
            nn.Conv2d(WIDTH, maps.shape[1] - low, 1),
        )  # fmt: skip
        optimizer = torch.optim.Adam(net.parameters(), RATE)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=STEPS)
        order = np.random.default_rng(seed)
        for _ in range(STEPS):
            batch = maps[order.choice(len(maps), BATCH, replace=False)]
            loss = (net(batch[:, :low]) - batch[:, low:]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        with torch.no_grad():
            errors = np.concatenate(
                [(one[:, low:] - net(one[:, :low])).flatten(2).mT.flatten(0, 1) for one in maps.split(BATCH)]
            ).astype(np.float64)
        power = float(np.square(errors).mean())
        covariance = errors.T @ errors / len(errors)
        covariance += instant._SHRUNK * power * np.eye(len(covariance))
        return cls(closed.mean, closed.turn, power, scale, low, net, np.linalg.cholesky(covariance))

    def errors(self, values: np.ndarray) -> np.ndarray:
        """See `Student.errors`."""
        side = round(len(values) ** 0.5)
        maps = torch.from_numpy(((values - self.mean) / self.scale).astype(np.float32)).T
        maps = maps.unflatten(1, (side, side))[None]
        with torch.no_grad():
            error = (maps[:, self.low :] - self.net(maps[:, : self.low]))[0].flatten(1).double().numpy()
        whitened = np.square(np.linalg.solve(self.lower, error)).mean(axis=0)
        return instant._smooth(whitened.reshape(side, side))


def report(runs: pd.DataFrame) -> str:
    """Mean over the products, and what the choice without each product gives."""
    seeds = sorted(runs["seed"].unique())
    lines = [f"`{COMMAND}`", "", " ".join(str(__doc__).split("\n\n")[2].split()), ""]
    lines += [f"Seeds {', '.join(map(str, seeds))}; ± is their standard deviation.", ""]
    each = runs.groupby(["variant", "level", "seed"])[["auroc", "aupro", "cpu_seconds"]].mean()
    cells = []
    for variant in [one for one in VARIANTS if one in set(runs["variant"])]:
        of = each.loc[variant].reset_index()
        row = [
            cell(figure(of.loc[of["level"] == level, key].to_numpy()), len(seeds))
            for key in ("auroc", "aupro")
            for level in (0.0, LEVEL)
        ]
        cells.append([variant, *row, f"{of['cpu_seconds'].mean():.1f}"])
    heads = ["variant", "image AUROC, clean", "a tenth hidden", "AU-PRO, clean", "a tenth hidden"]
    lines += ["## Mean of the products", "", *markdown([*heads, "CPU seconds of a fit"], cells), ""]
    return "\n".join([*lines, "## Chosen without the product", "", *markdown(*left_out(runs))])


def left_out(runs: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Heads and rows: what is best on the other products, and what it gives on this one."""
    means = runs.groupby(["product", "variant"])["auroc"].mean().unstack()
    rows, gains = [], []
    for product in [one for one in PRODUCTS if one in means.index]:
        best = str(means.drop(index=product).mean().idxmax())
        found, usual = (float(means[variant][product]) for variant in (best, AS_IT_IS))
        gains.append(found - usual)
        rows.append([product, best, f"{found:.3f}", f"{usual:.3f}"])
    rows.append(["mean gain", "", f"{np.mean(gains):+.4f}", ""])
    return ["product", "best on the others", "its image AUROC", AS_IT_IS], rows


if __name__ == "__main__":
    main()
