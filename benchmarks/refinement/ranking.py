"""How well label-free evidence ranks the hidden defects of a training set: AUROC over its photos.

    python -m benchmarks.refinement.ranking --mtd ../mtd --ksdd ../ksdd

No flow is trained: every kind of evidence is closed-form or a small classifier on the cached vectors (mean
over views), so that a lab of many variants runs in minutes. `ceiling` is a Gaussian fitted, out of fold, on
the clean photos only. Writes results/ranking.csv and ranking.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import rankdata, spearmanr
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from adrefine import manifest
from adrefine.features.store import open_store
from adrefine.io import write_csv, write_text
from adrefine.metrics import detection
from adrefine.params import parse
from adrefine.runtime import progress
from adrefine.text import markdown
from benchmarks import common
from benchmarks.refinement.pooled import Gaussian

Array = np.ndarray
SETTINGS = {
    "mtd": [(n, level) for n in (100, 380) for level in (0.1, 0.3, 0.5)],
    "ksdd": [(100, 0.1), (100, 0.2)],
}
FOLDS = 5
DIMENSIONS = (64, 192)  # principal components that the densities see
SHRINKAGE = 0.3


def main() -> None:
    """Run every setting and seed, write the tables."""
    parser = options(__doc__)
    parser.add_argument("--backbone", default="efficientnet_lite0", help="of the vectors, as in params.yaml")
    args = parser.parse_args()
    rows = []
    for name, layout, root in (("mtd", "mtd", args.mtd), ("ksdd", "mvtec", args.ksdd)):
        table, prepared = common.prepare(layout, root, twins=True, backbone=args.backbone)
        for n_train, level in SETTINGS[name]:
            for seed in progress.over(args.seeds, label=f"{name} {n_train} at {level}", unit="seed"):
                one = case(table, prepared, n_train, level, seed)
                scores = evidence(one.photos, one.twins, one.hidden, seed)
                aurocs = {kind: detection.auroc(one.hidden, score) for kind, score in scores.items()}
                rows.append({"setting": f"{name} {n_train} at {level}", "seed": seed, **aurocs})
    runs = pd.DataFrame(rows)
    write_csv(common.RESULTS / "ranking.csv", runs)
    write_text(common.RESULTS / "ranking.md", report(runs, args.backbone))


def options(text: str | None) -> argparse.ArgumentParser:
    """What the scripts of this folder ask for."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mtd", required=True, help="folder of the magnetic tiles")
    parser.add_argument("--ksdd", required=True, help="folder of the commutators, MVTec layout")
    parser.add_argument("--seeds", type=int, nargs="+", default=[10, 11, 12])
    return parser


def vectors(prepared: Path, ids: Iterable[str]) -> Array:
    """(n, d) vectors, mean over views."""
    return np.asarray(open_store(prepared).vectors(ids).mean(axis=1), dtype=np.float64)


def with_twins(prepared: Path, ids: tuple[str, ...]) -> tuple[Array, Array]:
    """(n, d) vectors of the photos and of their synthetic twins."""
    return vectors(prepared, ids), vectors(prepared, map(manifest.synthetic_id, ids))


@dataclass(frozen=True)
class Case:
    """A contaminated training set as vectors (n, d), and the test photos."""

    photos: Array
    twins: Array
    hidden: Array  # (n,) bool
    test: Array
    labels: Array
    ids: tuple[str, ...]  # of the photos

    def after(self, kept: Array) -> float:
        """Test AUROC of a Gaussian of the kept photos, which behaves like the flow (README.md, section 5)."""
        return detection.auroc(self.labels, Gaussian(self.photos[kept]).distance(self.test))


def case(table: pd.DataFrame, prepared: Path, n_train: int, level: float, seed: int) -> Case:
    """What noise injection makes of the dataset."""
    params = parse({"noise": {"level": level, "n_train": n_train, "seed": seed}})
    noisy, ids, clean = common.inject(table, params)
    tested = noisy[noisy["in_test"] == 1]
    return Case(
        *with_twins(prepared, ids),
        np.array([image_id not in clean for image_id in ids]),
        vectors(prepared, tested["image_id"]),
        tested["label"].to_numpy(),
        ids,
    )


def voters(looks: Array, foreign: Array) -> Array:
    """Order (n,) of the two voters of `consensus` together: the sum of their ranks."""
    together: Array = rankdata(looks) + rankdata(foreign)
    return together


def followed(case: Case, rankings: dict[str, Array]) -> dict[str, float]:
    """AUROC and precision of each ranking (n,) over the training photos, test AUROC after it was followed.

    As many go as hide. `vanilla` and `oracle` are the test AUROC with every photo and with the clean ones.
    """
    figures = {"vanilla": case.after(np.ones(len(case.hidden), bool)), "oracle": case.after(~case.hidden)}
    for by, scores in rankings.items():
        keep, gone = np.split(np.argsort(scores), [len(scores) - case.hidden.sum()])
        figures[f"rank, {by}"] = detection.auroc(case.hidden, scores)
        figures |= {f"precision, {by}": case.hidden[gone].mean(), f"after, {by}": case.after(keep)}
    return figures


def gap_closed(mean: pd.Series, by: str) -> float:
    """Share of the gap from `vanilla` to `oracle` that `after, <by>` closes."""
    return float((mean[f"after, {by}"] - mean["vanilla"]) / (mean["oracle"] - mean["vanilla"]))


def ceiling(photos: Array, clean: Array, groups: Array) -> Array:
    """Distances (n,) to Gaussians of the clean photos of the other groups."""
    scores = np.zeros(len(photos))
    for group in np.unique(groups):
        inside = groups == group
        scores[inside] = Gaussian(photos[~inside & clean]).distance(photos[inside])
    return scores


def evidence(photos: Array, twins: Array, hidden: Array, seed: int) -> dict[str, Array]:
    """Scores (n,) by kind of evidence; `hidden` is used for the ceiling alone."""
    n = len(photos)
    folds = random_folds(n, seed)
    points = principal(photos, max(DIMENSIONS))
    families = {
        "out of fold": [folds],
        "without 20 families": [clusters(points[:, :64], 20, seed + k) for k in (0, 1)],
        "without n/4 families": [clusters(points[:, :64], n // 4, seed + k) for k in (0, 1)],
    }
    densities = {
        f"density {dim} {name}": np.mean(
            [ranks(gaussian(points[:, :dim], groups)) for groups in draws], axis=0
        )
        for dim in DIMENSIONS
        for name, draws in families.items()
    }
    linear = discriminator(photos, twins, folds, lambda: LogisticRegression(C=1e-3, max_iter=200))
    kernel = np.mean(
        [
            ranks(discriminator(photos, twins, random_folds(n, seed + k), lambda gamma=gamma: rbf(gamma)))
            for k, gamma in enumerate((0.3 / photos.shape[1], 1 / photos.shape[1]))
        ],
        axis=0,
    )
    agreement = {name: spearmanr(score, kernel)[0] for name, score in densities.items()}
    weights = np.exp(30 * np.array(list(agreement.values())))
    agreed = np.average([ranks(score) for score in densities.values()], axis=0, weights=weights)
    return {
        **densities,
        "discriminator, linear": linear,
        "discriminator, kernel": kernel,
        "densities that agree with the kernel": agreed,
        "both": ranks(agreed) + ranks(kernel),
        "ceiling": gaussian(points, folds, (~hidden).astype(float) + 1e-6),
    }


def principal(photos: Array, most: int) -> Array:
    """Scores of the first principal components of the standardized vectors."""
    scaled = (photos - photos.mean(axis=0)) / (photos.std(axis=0) + 1e-3)
    left, values, _ = np.linalg.svd(scaled, full_matrices=False)
    return (left * values)[:, :most]


def gaussian(points: Array, groups: Array, weights: Array | None = None) -> Array:
    """Squared Mahalanobis distance of every point to a shrunken Gaussian of the other groups."""
    weights = np.ones(len(points)) if weights is None else weights
    scores, dim = np.zeros(len(points)), points.shape[1]
    for group in np.unique(groups):
        inside = groups == group
        share = weights[~inside] / weights[~inside].sum()
        centre = share @ points[~inside]
        centred = points[~inside] - centre
        cov = (centred * share[:, None]).T @ centred
        cov = (1 - SHRINKAGE) * cov + SHRINKAGE * np.trace(cov) / dim * np.eye(dim)
        away = points[inside] - centre
        scores[inside] = (away * np.linalg.solve(cov, away.T).T).sum(axis=1)
    return scores


def discriminator(photos: Array, twins: Array, folds: Array, make: Callable[[], SVC]) -> Array:
    """Out-of-fold decision values of a classifier of photos against their twins with a synthetic defect."""
    scores = np.zeros(len(photos))
    for fold in np.unique(folds):
        train = folds != fold
        rows = np.concatenate([photos[train], twins[train]])
        centre, spread = rows.mean(axis=0), rows.std(axis=0) + 1e-3
        is_twin = np.repeat([0, 1], train.sum())
        model = make().fit((rows - centre) / spread, is_twin)
        scores[~train] = model.decision_function((photos[~train] - centre) / spread)
    return scores


def rbf(gamma: float) -> SVC:
    """Support-vector classifier with a Gaussian kernel."""
    return SVC(C=1.0, gamma=gamma)


def random_folds(n: int, seed: int) -> Array:
    """Fold (n,) of each photo."""
    return np.random.default_rng(seed).permutation(np.arange(n) % FOLDS)


def clusters(points: Array, count: int, seed: int) -> Array:
    """Family (n,) of each point: k-means."""
    return KMeans(count, n_init=1, random_state=seed).fit_predict(points)


def ranks(scores: Array) -> Array:
    """Ranks, 0 to 1."""
    return (rankdata(scores) - 0.5) / len(scores)


def report(runs: pd.DataFrame, backbone: str) -> str:
    """Mean AUROC by setting, and the share of the way from guessing to the ceiling, as Markdown."""
    kinds = [name for name in runs.columns if name not in ("setting", "seed")]
    means = runs.groupby("setting", sort=False)[kinds].mean().T
    reached = ((means - 0.5) / (means.loc["ceiling"] - 0.5)).mean(axis=1)
    lines = [
        "`python -m benchmarks.refinement.ranking --mtd mtd --ksdd ksdd`", "",
        f"AUROC of ranking the hidden defects, vectors of {backbone}, mean over the seeds "
        f"{_listed(runs['seed'].unique())}; "
        "efficiency: (AUROC − .5) / (ceiling − .5), mean over the settings.", "",
    ]  # fmt: skip
    rows = [[kind, *(f"{value:.3f}" for value in means.loc[kind]), f"{reached[kind]:.2f}"] for kind in kinds]
    return "\n".join(lines + markdown(["evidence", *means.columns, "efficiency"], rows))


def _listed(items: Iterable[object]) -> str:
    return ", ".join(str(item) for item in items)


if __name__ == "__main__":
    main()
