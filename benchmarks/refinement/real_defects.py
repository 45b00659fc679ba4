"""How far the voters would come if they knew real defects: a limit for what synthetic ones can do.

    python -m benchmarks.refinement.real_defects --mtd ../mtd --ksdd ../ksdd

`consensus` learns what a defect looks like from synthetic ones. Here its discriminator is given, instead,
every *real* defect that is not hidden in the training set, with its label, except those of the part that is
judged; all else is as in `consensus`. No strategy can know that: it is the most that better synthetic defects
could win. The final detector is a Gaussian of all dimensions (README.md, section 5). Writes
results/real_defects.csv and real_defects.md.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.svm import SVC

from adrefine.benchmark.summary import figure
from adrefine.benchmark.tables import cell
from adrefine.io import write_csv, write_text
from adrefine.manifest import DEFECT
from adrefine.runtime import progress
from adrefine.text import markdown
from benchmarks import common
from benchmarks.refinement import pooled as evidence
from benchmarks.refinement import ranking, repeats

BY = ("synthetic", "real", "ceiling")
COMMAND = "python -m benchmarks.refinement.real_defects --mtd ../mtd --ksdd ../ksdd"


def main() -> None:
    """Run every setting and seed, write the tables."""
    args = ranking.options(__doc__).parse_args()
    rows = []
    for name, layout, root in (("tiles", "mtd", args.mtd), ("commutators", "mvtec", args.ksdd)):
        table, prepared = common.prepare(layout, root, twins=True)
        details = dict(zip(table["image_id"], map(repeats.detail, table["path"]), strict=True))
        defects = table.loc[table["label"] == DEFECT, "image_id"]
        runs = [(*setting, seed) for setting in repeats.SETTINGS[name] for seed in args.seeds]
        for n_train, level, seed in progress.over(runs, label=name, unit="run"):
            case = ranking.case(table, prepared, n_train, level, seed)
            known = tuple(defects[~defects.isin(case.ids)])
            parts = repeats.parts_of(np.stack([details[image_id] for image_id in case.ids + known]))
            what = {"photos": f"{n_train} {name}", "noise": level, "seed": seed, "defects": len(known)}
            rows.append(what | measured(case, ranking.vectors(prepared, known), parts, seed))
    runs = pd.DataFrame(rows)
    write_csv(common.RESULTS / "real_defects.csv", runs)
    write_text(common.RESULTS / "real_defects.md", report(runs))


def measured(case: ranking.Case, known: np.ndarray, parts: np.ndarray, seed: int) -> dict[str, float]:
    """What `ranking.followed` says of each ranking.

    Args:
        known: vectors (m, d) of the real defects.
        parts: the part (n + m,) that each training photo and each real defect shows.
    """
    photos = case.photos
    foreign = evidence.density(photos, case.twins, seed)[0]
    rankings = (
        ranking.voters(evidence.discriminator(photos, case.twins, seed)[0], foreign),
        ranking.voters(discriminator(photos, known, parts, seed), foreign),
        ranking.ceiling(photos, ~case.hidden, ranking.random_folds(len(photos), seed)),
    )
    return ranking.followed(case, dict(zip(BY, rankings, strict=True)))


def discriminator(photos: np.ndarray, known: np.ndarray, parts: np.ndarray, seed: int) -> np.ndarray:
    """`evidence.discriminator` of the photos (n,), trained on real defects of other parts."""
    n, scores = len(photos), np.zeros(len(photos))
    for draw, width in enumerate(evidence.WIDTHS):
        folds = ranking.random_folds(parts.max(), seed + draw)[parts - 1]
        for fold in np.unique(folds[:n]):
            out, of_others = folds[:n] == fold, folds[n:] != fold
            rows = np.concatenate([photos[~out], known[of_others]])
            centre, spread = rows.mean(axis=0), rows.std(axis=0) + 1e-3
            model = SVC(C=1.0, gamma=width / photos.shape[1], class_weight="balanced")
            model.fit((rows - centre) / spread, np.repeat([0, 1], [int((~out).sum()), int(of_others.sum())]))
            scores[out] += model.decision_function((photos[out] - centre) / spread)
    return scores


def report(runs: pd.DataFrame) -> str:
    """Means over the seeds; gaps and efficiencies are of means, not means of ratios."""
    cells = []
    for (photos, noise), rows in runs.groupby(["photos", "noise"], sort=False):
        mean = rows.mean(numeric_only=True)
        rank = [cell(figure(rows[f"rank, {by}"].to_numpy()), len(rows), 3) for by in BY]
        share = [(mean[f"rank, {by}"] - 0.5) / (mean["rank, ceiling"] - 0.5) for by in BY[:2]]
        ratio = [mean[f"precision, {by}"] / mean["precision, ceiling"] for by in BY[:2]]
        gap = [ranking.gap_closed(mean, by) for by in BY]
        figures = [f"{value:.2f}" for value in (*share, *ratio, *gap)]
        cells.append([photos, f"{noise:g}", f"{mean['defects']:.0f}", *rank, *figures])
    lines = [
        f"`{COMMAND}`", "",
        "The voters of `consensus` with synthetic defects, as they are, and with so many real, labelled ones "
        "of other parts instead, which no strategy can know; the ceiling knows the labels of the training "
        "photos. AUROC of ranking the hidden defects, mean ± standard deviation over the seeds "
        f"{', '.join(map(str, runs['seed'].unique()))}; efficiency (AUROC − .5) and precision as shares of "
        "the ceiling's; gap closed by removing as many as hide.", "",
    ]  # fmt: skip
    head = ["photos", "noise", "real defects", *BY]
    head += [f"{what}, {by}" for what in ("efficiency", "precision") for by in BY[:2]]
    head += [f"gap, {by}" for by in BY]
    return "\n".join(lines + markdown(head, cells))


if __name__ == "__main__":
    main()
