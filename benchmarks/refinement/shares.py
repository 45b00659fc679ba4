"""How many defects hide: the share that `consensus` finds, and what removing so many is worth.

    python -m benchmarks.refinement.shares --mtd ../mtd --ksdd ../ksdd

The final detector is a Gaussian of all dimensions, which behaves like the flow in milliseconds (README.md,
section 5), the ranking that of two voters. Coarse vectors: 128 and 64 pixels, two views. Writes
results/shares.csv, shares.md and shares.png, the two effect sizes of every run.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd

from adrefine.benchmark.summary import figure
from adrefine.benchmark.tables import cell
from adrefine.io import write_csv, write_text
from adrefine.runtime import progress
from adrefine.text import markdown
from benchmarks import common
from benchmarks.refinement import pooled as evidence
from benchmarks.refinement import ranking

matplotlib.use("Agg")
LEVELS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
SETTINGS = {  # as far as there are defects to hide
    "tiles": [(n, level) for n in (380, 200, 100, 50) for level in LEVELS],
    "commutators": [(n, level) for n, most in ((150, 1), (100, 2), (50, 5)) for level in LEVELS[: most + 1]],
}
COARSE = {"scales": [128, 64], "views": 2}
RULES = ("by the share found", "by the true share", "half")
COMMAND = "python -m benchmarks.refinement.shares --mtd ../mtd --ksdd ../ksdd"


def main() -> None:
    """Run every setting and seed, write the tables and the figure."""
    args = ranking.options(__doc__).parse_args()
    rows = []
    for name, layout, root in (("tiles", "mtd", args.mtd), ("commutators", "mvtec", args.ksdd)):
        for kind, embed in (("fine", {}), ("coarse", COARSE)):
            table, prepared = common.prepare(layout, root, twins=True, **embed)
            runs = [(*setting, seed) for setting in SETTINGS[name] for seed in args.seeds]
            for n_train, level, seed in progress.over(runs, label=f"{name}, {kind}", unit="run"):
                what = {"photos": f"{n_train} {name}", "vectors": kind, "noise": level, "seed": seed}
                case = ranking.case(table, prepared, n_train, level, seed)
                rows.append(what | measured(case, seed))
    table = pd.DataFrame(rows)
    write_csv(common.RESULTS / "shares.csv", table)
    write_text(common.RESULTS / "shares.md", report(table))
    plot(table, common.RESULTS / "shares.png")


def measured(case: ranking.Case, seed: int) -> dict[str, float]:
    """The share found and the test AUROC after each removal; the effect sizes that it was found by."""
    looks, foreign = (
        kind(case.photos, case.twins, seed) for kind in (evidence.discriminator, evidence.density)
    )
    voters, n = np.argsort(ranking.voters(looks[0], foreign[0])), len(case.hidden)
    share = evidence.found(looks, foreign)
    paired, excess = evidence.effects(*foreign)
    shares = dict(zip(RULES, (share, case.hidden.mean(), 0.5), strict=True))
    after = {rule: case.after(voters[: n - round(part * n)]) for rule, part in shares.items()}
    removed = case.hidden[voters[n - round(share * n) :]]
    return {
        "share": share,
        "good removed": float((~removed).sum() / (~case.hidden).sum()),
        "vanilla": case.after(np.ones(n, bool)),
        "oracle": case.after(~case.hidden),
        **after,
        "paired": paired,
        "excess": float(excess.mean()),
    }


def report(runs: pd.DataFrame) -> str:
    """Means over the seeds; gaps are of means, not means of ratios."""
    group = runs.groupby(["vectors", "photos", "noise"], sort=False)
    cells = []
    for (vectors, photos, noise), rows in group:
        mean, gap = rows.mean(numeric_only=True), rows["oracle"].mean() - rows["vanilla"].mean()
        won = [mean[rule] - mean["vanilla"] for rule in RULES]
        worth = [f"{each / gap:.2f}" if noise else f"{each:+.3f} AUROC" for each in won]
        share = cell(figure(rows["share"].to_numpy()), len(rows), 2)
        cells.append([photos, vectors, f"{noise:g}", share, f"{mean['good removed']:.2f}", *worth])
    lines = [
        f"`{COMMAND}`", "",
        "Share of hidden defects that is found, mean ± standard deviation over the seeds "
        f"{', '.join(map(str, runs['seed'].unique()))}; share of the good photos among as many of the "
        "voters' highest; gap closed by removing them, by removing as many as hide, by removing half.", "",
        "![How far photos lie over their median, and how evenly synthetic defects move them](shares.png)", "",
    ]  # fmt: skip
    head = ["photos", "vectors", "noise", "share found", "good photos removed", *RULES]
    return "\n".join(lines + markdown(head, cells))


def plot(runs: pd.DataFrame, path: Path) -> None:
    """Excess of the photos over the paired effect, a dot a run, and where clean photos should be."""
    from matplotlib import pyplot as plt

    canvas, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for photos, marker in (("tiles", "o"), ("commutators", "^")):
        rows = runs[runs["photos"].str.endswith(photos)]
        dots = axes.scatter(
            rows["paired"], rows["excess"], c=rows["noise"], marker=marker, s=18, cmap="viridis_r",
            edgecolors="black", linewidths=0.2, vmin=0, vmax=0.5, label=photos,
        )  # fmt: skip
    paired = np.linspace(evidence.SEEN, runs["paired"].max(), 50)
    clean = evidence.CLEAN / paired**evidence.SLOPE
    axes.plot(paired, clean, color="black", label="most of clean photos, but for chance")
    axes.axvline(evidence.SEEN, color="grey", linestyle=":", label="left of it nothing is said")
    axes.set(xscale="log", yscale="log", xlabel="paired effect", ylabel="mean square excess")
    for axis, ticks in ((axes.xaxis, (0.4, 0.6, 0.8, 1, 1.2, 1.5)), (axes.yaxis, (0.05, 0.1, 0.2, 0.4, 0.6))):
        axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.set_ticks([], minor=True)
    axes.legend(frameon=False)
    canvas.colorbar(dots, label="hidden share")
    canvas.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(canvas)


if __name__ == "__main__":
    main()
