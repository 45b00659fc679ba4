"""Which packaged backbone ranks the hidden defects better, for the voters of `consensus` and for anybody.

    python -m benchmarks.refinement.backbones --mtd ../mtd --ksdd ../ksdd

The final detector is a Gaussian of all dimensions, which behaves like the flow in milliseconds (README.md,
section 5). Gaps closed are by removing exactly as many photos as hide: by the voters, and by the ceiling, out
of fold models of the clean photos. Writes results/backbones.csv and backbones.md.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from adrefine.io import write_csv, write_text
from adrefine.metrics.detection import auroc
from adrefine.runtime import progress
from adrefine.text import markdown
from benchmarks import common
from benchmarks.refinement import pooled as evidence
from benchmarks.refinement import ranking

BACKBONES = ("efficientnet_lite0", "efficientnet_lite1")
SETTINGS = {"tiles": ranking.SETTINGS["mtd"], "commutators": ranking.SETTINGS["ksdd"]}
COMMAND = "python -m benchmarks.refinement.backbones --mtd ../mtd --ksdd ../ksdd"


def main() -> None:
    """Run every backbone, setting and seed, write the tables."""
    args = ranking.options(__doc__).parse_args()
    rows = []
    for name, layout, root in (("tiles", "mtd", args.mtd), ("commutators", "mvtec", args.ksdd)):
        for backbone in BACKBONES:
            table, prepared = common.prepare(layout, root, twins=True, backbone=backbone)
            runs = [(*setting, seed) for setting in SETTINGS[name] for seed in args.seeds]
            for n_train, level, seed in progress.over(runs, label=f"{name} {backbone}", unit="run"):
                row = measured(table, prepared, n_train, level, seed)
                what = {"photos": f"{n_train} {name}", "backbone": backbone, "noise": level, "seed": seed}
                rows.append(what | row)
    table = pd.DataFrame(rows)
    write_csv(common.RESULTS / "backbones.csv", table)
    write_text(common.RESULTS / "backbones.md", report(table))


def measured(table: pd.DataFrame, prepared: Path, n_train: int, level: float, seed: int) -> dict[str, float]:
    """AUROC of the rankings over the training photos; AUROC on the test photos after each removal."""
    case = ranking.case(table, prepared, n_train, level, seed)
    photos, twins, hidden = case.photos, case.twins, case.hidden
    looks, foreign = (kind(photos, twins, seed)[0] for kind in (evidence.discriminator, evidence.density))
    folds = ranking.random_folds(len(photos), seed)
    voters, ceiling = ranking.voters(looks, foreign), ranking.ceiling(photos, ~hidden, folds)
    stays = len(hidden) - hidden.sum()
    return {
        "discriminator": auroc(hidden, looks),
        "density": auroc(hidden, foreign),
        "both": auroc(hidden, voters),
        "ceiling": auroc(hidden, ceiling),
        "vanilla": case.after(np.ones(len(hidden), bool)),
        "without both's": case.after(np.argsort(voters)[:stays]),
        "without the ceiling's": case.after(np.argsort(ceiling)[:stays]),
        "oracle": case.after(~hidden),
    }


def report(runs: pd.DataFrame) -> str:
    """Means over the seeds; gaps are of means, not means of ratios."""
    means = runs.groupby(["photos", "noise", "backbone"], sort=False).mean(numeric_only=True).reset_index()
    gap = means["oracle"] - means["vanilla"]
    lines = [
        f"`{COMMAND}`", "",
        f"AUROC of ranking the hidden defects; test AUROC (of a Gaussian); gap closed by removing as many "
        f"photos as hide. Mean over the seeds {', '.join(map(str, runs['seed'].unique()))}.", "",
    ]  # fmt: skip
    ranks, tests = ("discriminator", "density", "both", "ceiling"), ("vanilla", "oracle")
    cells = []
    for row, whole in zip(means.to_dict("records"), gap, strict=True):
        figures = [f"{row[name]:.3f}" for name in (*ranks, *tests)]
        won = [f"{(row[f'without {by}'] - row['vanilla']) / whole:.2f}" for by in ("both's", "the ceiling's")]
        cells.append([row["photos"], f"{row['noise']:g}", row["backbone"], *figures, *won])
    head = ["photos", "noise", "backbone", *ranks, *tests, "gap closed by both", "by the ceiling"]
    return "\n".join(lines + markdown(head, cells))


if __name__ == "__main__":
    main()
