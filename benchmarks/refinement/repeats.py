"""How much of the ceiling is other shots of the same part: no method without labels has that.

    python -m benchmarks.refinement.repeats --mtd ../mtd --ksdd ../ksdd

The ceiling scores a photo by models of the clean photos of the other folds. If a part was photographed more
than once, its other shots are among those if it is good, and are not if it is defective: that tells its
label. Here the folds also keep the shots of one part together (found by correlation, without labels), or
leave out whole families of photos that resemble each other, as `consensus` does. The final detector is a
Gaussian of all dimensions, which behaves like the flow in milliseconds (README.md, section 5). Writes
results/repeats.csv and repeats.md.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import PIL.Image
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import squareform

from adrefine.benchmark.summary import figure
from adrefine.benchmark.tables import cell
from adrefine.io import write_csv, write_text
from adrefine.runtime import progress
from adrefine.text import markdown
from benchmarks import common
from benchmarks.refinement import pooled as evidence
from benchmarks.refinement import ranking

SETTINGS = {  # as far as there are defects to hide
    "tiles": [(n, level) for n in (380, 100) for level in (0.1, 0.2, 0.3, 0.4, 0.5)],
    "commutators": ranking.SETTINGS["ksdd"],
}
SIDE = 64  # pixels of the thumbnails in which shots of one part are sought
GRAIN = 3.0  # sigma up to which something is a detail
LIGHT = 5.0  # sigma of the contrast in whose units details are measured
SAME = 0.6  # correlation over which two photos are of one part; 96 % of such pairs of tiles have one label
BY = ("voters", "ceiling", "without its shots", "without its family")
COMMAND = "python -m benchmarks.refinement.repeats --mtd ../mtd --ksdd ../ksdd"


def main() -> None:
    """Run every setting and seed, write the tables."""
    args = ranking.options(__doc__).parse_args()
    rows = []
    for name, layout, root in (("tiles", "mtd", args.mtd), ("commutators", "mvtec", args.ksdd)):
        table, prepared = common.prepare(layout, root, twins=True)
        details = dict(zip(table["image_id"], map(detail, table["path"]), strict=True))
        runs = [(*setting, seed) for setting in SETTINGS[name] for seed in args.seeds]
        for n_train, level, seed in progress.over(runs, label=name, unit="run"):
            case = ranking.case(table, prepared, n_train, level, seed)
            parts = parts_of(np.stack([details[image_id] for image_id in case.ids]))
            what = {"photos": f"{n_train} {name}", "noise": level, "seed": seed, "parts": parts.max()}
            rows.append(what | measured(case, parts, seed))
    table = pd.DataFrame(rows)
    write_csv(common.RESULTS / "repeats.csv", table)
    write_text(common.RESULTS / "repeats.md", report(table))


def detail(path: str) -> np.ndarray:
    """Details (SIDE²,) of a photo whatever its light: mean 0, length 1."""
    with PIL.Image.open(path) as file:
        grey = np.asarray(file.convert("L").resize((SIDE, SIDE), PIL.Image.Resampling.BOX), float)
    fine = grey - gaussian_filter(grey, GRAIN)
    fine /= np.sqrt(gaussian_filter(fine**2, LIGHT)) + 0.5
    fine -= fine.mean()
    return (fine / np.linalg.norm(fine)).ravel()


def parts_of(details: np.ndarray) -> np.ndarray:
    """Number (n,) of the part that each photo (n, d) shows, from 1: average linkage of their correlations."""
    apart = 1 - details @ details.T
    np.fill_diagonal(apart, 0)
    parts: np.ndarray = fcluster(linkage(squareform(apart, checks=False), "average"), 1 - SAME, "distance")
    return parts


def measured(case: ranking.Case, parts: np.ndarray, seed: int) -> dict[str, float]:
    """What `ranking.followed` says of each ranking."""
    photos, hidden = case.photos, case.hidden
    looks, foreign = (
        kind(photos, case.twins, seed)[0] for kind in (evidence.discriminator, evidence.density)
    )
    random = ranking.random_folds(len(photos), seed)
    together = ranking.random_folds(parts.max(), seed)[parts - 1]
    points = ranking.principal(photos, evidence.DIMENSIONS)
    families = [
        ranking.clusters(points, len(photos) // evidence.FAMILY, seed + draw)
        for draw in range(evidence.DRAWS)
    ]
    rankings = (
        ranking.voters(looks, foreign),
        ranking.ceiling(photos, ~hidden, random),
        ranking.ceiling(photos, ~hidden, together),
        np.sum([np.log(ranking.ceiling(photos, ~hidden, groups)) for groups in families], axis=0),
    )
    return ranking.followed(case, dict(zip(BY, rankings, strict=True)))


def report(runs: pd.DataFrame) -> str:
    """Means over the seeds; gaps and efficiencies are of means, not means of ratios."""
    cells = []
    for (photos, noise), rows in runs.groupby(["photos", "noise"], sort=False):
        mean = rows.mean(numeric_only=True)
        rank = [cell(figure(rows[f"rank, {by}"].to_numpy()), len(rows), 3) for by in BY]
        share = [(mean["rank, voters"] - 0.5) / (mean[f"rank, {by}"] - 0.5) for by in BY[1:]]
        ratio = [mean["precision, voters"] / mean[f"precision, {by}"] for by in BY[1:]]
        gap = [ranking.gap_closed(mean, by) for by in BY]
        figures = [f"{value:.2f}" for value in (*share, *ratio, *gap)]
        cells.append([photos, f"{noise:g}", f"{mean['parts']:.0f}", *rank, *figures])
    lines = [
        f"`{COMMAND}`", "",
        "The ceiling knows the labels: models of the clean photos of other folds. *Without its shots*: folds "
        "keep the shots of one part together; *without its family*: as in `consensus`, a model for each "
        "cluster of photos, of all clean ones outside it. AUROC of ranking the hidden defects, mean ± "
        "standard deviation over the seeds "
        f"{', '.join(map(str, runs['seed'].unique()))}; efficiency (AUROC − .5) and precision of the voters "
        "as shares of each ceiling's; gap closed by removing as many as hide.", "",
    ]  # fmt: skip
    of = ("ceiling", "shots", "family")
    head = ["photos", "noise", "parts", *BY]
    head += [f"{what} / {one}" for what in ("efficiency", "precision") for one in of]
    head += [f"gap, {by}" for by in BY]
    return "\n".join(lines + markdown(head, cells))


if __name__ == "__main__":
    main()
