"""What a few answers are worth: as decisions alone, and as defects that `consensus` learns from.

    python -m benchmarks.refinement.answers --mtd ../mtd --ksdd ../ksdd

Somebody answers, rightly, for a tenth of the photos: for the first of the review queue (those nearest the
limit) or for those that score highest (which confirms what was removed). *Alone*: the answers override the
first decisions, nothing else moves; *left out*: `consensus` runs again without the defects that were found,
as a detector does; *taught*: it learns from them. Model and final detector are a Gaussian of all dimensions,
which behaves like the flow in milliseconds (README.md, section 5). Writes results/answers.csv and answers.md.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from adrefine.benchmark.summary import figure
from adrefine.benchmark.tables import cell
from adrefine.io import write_csv, write_text
from adrefine.metrics.detection import auroc
from adrefine.runtime import progress
from adrefine.text import markdown
from benchmarks import common
from benchmarks.refinement import ranking
from benchmarks.refinement.pooled import Gaussian, consensus

ANSWERED = 0.1  # share of the photos
PHOTOS = {"mtd": "tiles", "ksdd": "commutators"}
FIRST = ("queue", "highest")
HOW = ("alone", "left out", "taught")
COMMAND = "python -m benchmarks.refinement.answers --mtd ../mtd --ksdd ../ksdd"


def main() -> None:
    """Run every setting and seed, write the tables."""
    args = ranking.options(__doc__).parse_args()
    rows = []
    for name, layout, root in (("mtd", "mtd", args.mtd), ("ksdd", "mvtec", args.ksdd)):
        table, prepared = common.prepare(layout, root, twins=True)
        runs = [(*setting, seed) for setting in ranking.SETTINGS[name] for seed in args.seeds]
        for n_train, level, seed in progress.over(runs, label=name, unit="run"):
            case = ranking.case(table, prepared, n_train, level, seed)
            for first, found in zip(FIRST, measured(case, seed), strict=True):
                what = {
                    "answered": first,
                    "photos": f"{n_train} {PHOTOS[name]}",
                    "noise": level,
                    "seed": seed,
                }
                rows.append(what | found)
    runs = pd.DataFrame(rows)
    write_csv(common.RESULTS / "answers.csv", runs)
    write_text(common.RESULTS / "answers.md", report(runs))


def measured(case: ranking.Case, seed: int) -> list[dict[str, float]]:
    """What ranking and removal are without answers and with them, as HOW says, for each of FIRST."""
    n, hidden = len(case.hidden), case.hidden
    everyone = np.ones(n, bool)
    ranks, gone = decided(case, everyone, ~everyone, seed)
    limit = np.sort(ranks)[max(n - gone.sum() - 1, 0)]
    without = {"vanilla": case.after(everyone), "oracle": case.after(~hidden)}
    without |= {"after, none": case.after(~gone), "good lost, none": (gone & ~hidden).mean()}
    found = []
    for order in (np.argsort(np.abs(np.log(ranks / limit)), kind="stable"), np.argsort(-ranks)):
        answered = np.isin(np.arange(n), order[: round(ANSWERED * n)])
        known = answered & hidden
        again = (decided(case, ~known, ~everyone, seed), decided(case, everyone, known, seed))
        row = without | {"defects": float(known.sum())}
        for by, (scores, out) in zip(HOW, ((ranks, gone), *again), strict=True):
            out = np.where(answered, hidden, out)
            row[f"rank, {by}"] = auroc(hidden[~answered], scores[~answered])
            row |= {f"after, {by}": case.after(~out), f"good lost, {by}": (out & ~hidden).mean()}
        found.append(row)
    return found


def decided(
    case: ranking.Case, among: np.ndarray, known: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """What `consensus` makes of the photos `among` (n,), some known defects: ranks (n,), and who goes (n,).

    Photos that are not among them have rank 1 and do not go.
    """
    photos, twins, known = case.photos[among], case.twins[among], known[among]
    learned = Gaussian(photos[~known]).distance(photos)
    ranks, gone = np.ones(len(among)), np.zeros(len(among), bool)
    ranks[among], share = consensus(photos, twins, learned, seed, known=known)
    gone[np.flatnonzero(among)[np.argsort(-ranks[among])[: round(share * len(photos))]]] = True
    return ranks, gone


def report(runs: pd.DataFrame) -> str:
    """Means over the seeds; gaps are of means, not means of ratios."""
    cells = []
    for (first, photos, noise), rows in runs.groupby(["answered", "photos", "noise"], sort=False):
        mean = rows.mean(numeric_only=True)
        rank = [cell(figure(rows[f"rank, {by}"].to_numpy()), len(rows), 3) for by in HOW]
        gaps = [ranking.gap_closed(mean, by) for by in ("none", *HOW)]
        lost = [mean[f"good lost, {by}"] for by in ("none", *HOW)]
        figures = [f"{value:.2f}" for value in (*gaps, *lost)]
        cells.append([first, photos, f"{noise:g}", f"{mean['defects']:.1f}", *rank, *figures])
    cells.sort(key=lambda row: FIRST.index(row[0]))
    lines = [
        f"`{COMMAND}`", "",
        f"Right answers for {ANSWERED:.0%} of the photos: for the first of the review queue, or for those "
        "that score highest. *Alone*: they override the first decisions; *left out*: `consensus` runs again "
        "without the defects among them; *taught*: it learns from those. AUROC of ranking the hidden defects "
        "among the photos without an answer, mean ± standard deviation over the seeds "
        f"{', '.join(map(str, runs['seed'].unique()))}; gap closed; good photos lost, as a share of all.", "",
    ]  # fmt: skip
    head = ["answered first", "photos", "noise", "defects answered", *(f"rank, {by}" for by in HOW)]
    head += [f"{what}, {by}" for what in ("gap", "good lost") for by in ("none", *HOW)]
    return "\n".join(lines + markdown(head, cells))


if __name__ == "__main__":
    main()
