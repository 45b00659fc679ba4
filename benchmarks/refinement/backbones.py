"""Which packaged backbone ranks the hidden defects better, for the voters of `consensus` and for anybody.

    python benchmarks/refinement/backbones.py --mtd ../mtd --ksdd ../ksdd

The final detector is a Gaussian of all dimensions, which behaves like the flow in milliseconds (README.md,
section 5). Gaps closed are by removing exactly as many photos as hide: by the voters, and by the ceiling, out
of fold models of the clean photos. Writes results/backbones.csv and backbones.md.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).parent.parent))
import common
from adrefine import manifest
from adrefine.features.store import open_store
from adrefine.io import write_csv, write_text
from adrefine.metrics.detection import auroc
from adrefine.params import parse
from adrefine.strategies import evidence

BACKBONES = ("efficientnet_lite0", "efficientnet_lite1")
SETTINGS = {
    "tiles": [(n, level) for n in (100, 380) for level in (0.1, 0.3, 0.5)],
    "commutators": [(100, 0.1), (100, 0.2)],
}
FOLDS = 5
COMMAND = "python benchmarks/refinement/backbones.py --mtd ../mtd --ksdd ../ksdd"


def main() -> None:
    """Run every backbone, setting and seed, write the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mtd", required=True, help="folder of the magnetic tiles")
    parser.add_argument("--ksdd", required=True, help="folder of the commutators, MVTec layout")
    parser.add_argument("--seeds", type=int, nargs="+", default=[10, 11, 12])
    args = parser.parse_args()
    rows = []
    for name, layout, root in (("tiles", "mtd", args.mtd), ("commutators", "mvtec", args.ksdd)):
        for backbone in BACKBONES:
            table, prepared = common.prepare(layout, root, twins=True, backbone=backbone)
            runs = [(*setting, seed) for setting in SETTINGS[name] for seed in args.seeds]
            for n_train, level, seed in tqdm(runs, desc=f"{name} {backbone}", unit="run"):
                found = measured(table, prepared, n_train, level, seed)
                what = {"photos": f"{n_train} {name}", "backbone": backbone, "noise": level, "seed": seed}
                rows.append(what | found)
    table = pd.DataFrame(rows)
    write_csv(common.RESULTS / "backbones.csv", table)
    write_text(common.RESULTS / "backbones.md", report(table))


def measured(table: pd.DataFrame, prepared: Path, n_train: int, level: float, seed: int) -> dict[str, float]:
    """AUROC of the rankings over the training photos; AUROC on the test photos after each removal."""
    params = parse({"noise": {"level": level, "n_train": n_train, "seed": seed}})
    noisy, ids, clean = common.inject(table, params)
    hidden = np.array([image_id not in clean for image_id in ids])
    store, tested = open_store(prepared), noisy[noisy["in_test"] == 1]

    def vectors(wanted: list[str]) -> np.ndarray:
        return np.asarray(store.vectors(wanted).mean(axis=1), dtype=np.float64)

    photos, twins = vectors(list(ids)), vectors([manifest.synthetic_id(image_id) for image_id in ids])
    test, labels = vectors(list(tested["image_id"])), tested["label"].to_numpy()

    def after(kept: np.ndarray) -> float:
        return auroc(labels, evidence.Gaussian(photos[kept]).distance(test))

    looks, foreign = (kind(photos, twins, seed)[0] for kind in (evidence.discriminator, evidence.density))
    voters, ceiling = rankdata(looks) + rankdata(foreign), out_of_fold(photos, ~hidden, seed)
    stays = len(hidden) - hidden.sum()
    return {
        "discriminator": auroc(hidden, looks),
        "density": auroc(hidden, foreign),
        "both": auroc(hidden, voters),
        "ceiling": auroc(hidden, ceiling),
        "vanilla": after(np.ones(len(hidden), bool)),
        "without both's": after(np.argsort(voters)[:stays]),
        "without the ceiling's": after(np.argsort(ceiling)[:stays]),
        "oracle": after(~hidden),
    }


def out_of_fold(photos: np.ndarray, clean: np.ndarray, seed: int) -> np.ndarray:
    """Distances (n,) to Gaussians of the clean photos of the other folds."""
    folds = np.random.default_rng(seed).permutation(np.arange(len(photos)) % FOLDS)
    scores = np.zeros(len(photos))
    for fold in range(FOLDS):
        inside = folds == fold
        scores[inside] = evidence.Gaussian(photos[~inside & clean]).distance(photos[inside])
    return scores


def report(runs: pd.DataFrame) -> str:
    """Means over the seeds; gaps are of means, not means of ratios."""
    means = runs.groupby(["photos", "noise", "backbone"], sort=False).mean(numeric_only=True).reset_index()
    gap = means["oracle"] - means["vanilla"]
    lines = [
        f"`{COMMAND}`", "",
        f"AUROC of ranking the hidden defects; test AUROC (of a Gaussian); gap closed by removing as many "
        f"photos as hide. Mean over the seeds {', '.join(map(str, runs['seed'].unique()))}.", "",
        "| photos | noise | backbone | discriminator | density | both | ceiling | vanilla | oracle "
        "| gap closed by both | by the ceiling |",
        "|---" * 11 + "|",
    ]  # fmt: skip
    for row, whole in zip(means.to_dict("records"), gap, strict=True):
        ranked = [f"{row[name]:.3f}" for name in ("discriminator", "density", "both", "ceiling")]
        tested = [f"{row[name]:.3f}" for name in ("vanilla", "oracle")]
        won = [f"{(row[f'without {by}'] - row['vanilla']) / whole:.2f}" for by in ("both's", "the ceiling's")]
        cells = [row["photos"], f"{row['noise']:g}", row["backbone"], *ranked, *tested, *won]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
