"""Would more voters rank the hidden defects better? Each weighs what it earns, as in `places.evidence`.

    python -m benchmarks.products.voters --product tiles=mtd:../mtd commutators=mvtec:../ksdd \\
        screws=folder:../screw bottles=folder:../bottle pills=folder:../pill parts=demo:data/raw

100 training photos. Beside the voters of `consensus`, places and pooled, both out of random folds:

- families: places, out of families (k-means of the pooled vectors) instead of random folds;
- discriminator: logistic regression of photos against twins on the pooled vector, out of fold; what it earns
  is how well it tells photos from twins of a kind of synthetic defect that it did not learn;
- own: places of a model that has learned the photo, as the detector itself scores it.

Nothing is chosen from a product's own answers. *Exact number*: what is gained if as many photos go as defects
are hidden, by that ranking (AUROC of places and pooled vectors together on the test photos). Writes
results/products_voters.csv and .md.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from adrefine.benchmark.prepared import WORK
from adrefine.io import write_csv, write_text
from adrefine.manifest import synthetic_id
from adrefine.metrics.detection import auroc
from adrefine.metrics.ranking import ranking_metrics
from adrefine.places import evidence
from adrefine.places.evidence import Voter
from adrefine.places.out_of_fold import FOLDS, Asked, OutOfFold, folds_of
from adrefine.places.sharded import Read
from adrefine.places.sums import Sums, photo_scores
from adrefine.text import markdown
from benchmarks import common
from benchmarks.products.cases import TWINS, Array, Case, of_product

LEVELS = (0.1, 0.2, 0.3)
PENALTY = 0.01  # C of the logistic regression: few photos, many numbers
FAMILIES, DISCRIMINATOR, OWN = "families", "discriminator", "own"
TODAY = (evidence.PLACES, evidence.POOLED)
SETS = (
    (evidence.PLACES,),
    (evidence.POOLED,),
    TODAY,
    (*TODAY, FAMILIES),
    (*TODAY, DISCRIMINATOR),
    (*TODAY, OWN),
    (*TODAY, FAMILIES, DISCRIMINATOR, OWN),
)


def main() -> None:
    """Rank on every product, level and seed by every set of voters; write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--product", nargs="+", required=True, metavar="NAME=LAYOUT:FOLDER")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    args = parser.parse_args()
    rows = [
        row
        for given in args.product
        for one in of_product(given, [100], LEVELS, args.seeds)
        for row in judged(one, _kinds(given))
    ]
    runs = pd.DataFrame(rows)
    write_csv(common.RESULTS / "products_voters.csv", runs)
    write_text(common.RESULTS / "products_voters.md", report(runs))


def _kinds(given: str) -> dict[str, str]:
    """Kind of every synthetic defect of a product, by its id."""
    layout, _, root = given.partition("=")[2].partition(":")
    table = pd.read_csv(WORK / f"places-{layout}-{Path(root).name}" / TWINS)
    return dict(zip(table["image_id"], table["kind"], strict=True))


def judged(one: Case, kinds: dict[str, str]) -> Iterator[dict[str, object]]:
    """How each of SETS ranks the hidden defects of a training set."""
    before, oracle = one.without(np.array([], int)), one.without(np.flatnonzero(one.hidden))
    told = {voter.name: (voter, voter.telling) for voter in one.found.voters}
    told[FAMILIES] = _with_telling(families(one))
    told[DISCRIMINATOR] = discriminator(one, kinds)
    told[OWN] = _with_telling(own(one))
    for names in SETS:
        voters = [told[name][0] for name in names]
        earned = np.array([max(told[name][1] - 0.5, 1e-3) ** 2 for name in names])
        scores = evidence.together(voters, earned / earned.sum(), [voter.photos for voter in voters])
        out = np.argsort(-scores, kind="stable")[: int(one.hidden.sum())]
        yield {
            "gain": one.without(out) - before,
            "gap": oracle - before,
            "product": one.product,
            "level": one.level,
            "seed": one.seed,
            "voters": " + ".join(names),
            "telling": told[names[-1]][1],
            **ranking_metrics(one.hidden, scores),
        }


def _with_telling(voter: Voter) -> tuple[Voter, float]:
    return voter, voter.telling


def families(one: Case) -> Voter:
    """Places, each family of similar photos by a model without it."""
    ids = one.found.ids
    pooled = StandardScaler().fit_transform(one.store.pooled(ids))
    folds = KMeans(FOLDS, n_init=5, random_state=one.seed).fit_predict(pooled).astype(np.int64)
    model = OutOfFold(Read(one.store), ids, folds, np.ones(len(ids)), evidence.PLACES_SHRINKAGE)
    found = model.distances(Asked(ids, [synthetic_id(name) for name in ids], ()))
    assert found.twins is not None
    return _voter(FAMILIES, photo_scores(found.photos, evidence.TOP), photo_scores(found.twins, evidence.TOP))


def own(one: Case) -> Voter:
    """Places of the model of all photos: what the detector says of those that it learned."""
    ids = list(one.found.ids)
    model = Sums.of(one.store.maps(ids)).model(evidence.PLACES_SHRINKAGE)
    twins = [synthetic_id(name) for name in ids]
    photos, others = (
        photo_scores(model.distances(one.store.maps(names)), evidence.TOP) for names in (ids, twins)
    )
    return _voter(OWN, photos, others)


def discriminator(one: Case, kinds: dict[str, str]) -> tuple[Voter, float]:
    """Its log odds of a synthetic defect, out of fold; what it earns is of kinds it did not learn."""
    ids = list(one.found.ids)
    twins = [synthetic_id(name) for name in ids]
    kind = np.array([kinds[name] for name in twins])
    photos, others = one.store.pooled(ids), one.store.pooled(twins)
    folds = folds_of(ids, one.seed)
    scores, judged_twins = np.zeros(len(ids)), np.zeros(len(ids))
    unseen, against = [], []
    for fold in range(FOLDS):
        away, inside = folds != fold, folds == fold
        model = _learned(photos[away], others[away])
        scores[inside] = model.decision_function(photos[inside])
        judged_twins[inside] = model.decision_function(others[inside])
        for left in np.unique(kind):
            test = inside & (kind == left)
            if not test.any() or not (away & (kind != left)).any():
                continue
            without = _learned(photos[away], others[away & (kind != left)])
            unseen.append(without.decision_function(others[test]))
            against.append(without.decision_function(photos[inside]))
    values = [
        auroc(np.r_[np.zeros(len(good)), np.ones(len(bad))], np.r_[good, bad])
        for good, bad in zip(against, unseen, strict=True)
    ]
    sizes = [len(bad) for bad in unseen]
    return _voter(DISCRIMINATOR, scores, judged_twins), float(np.average(values, weights=sizes))


def _learned(photos: Array, twins: Array) -> LogisticRegression:
    learner = make_pipeline(
        StandardScaler(), LogisticRegression(C=PENALTY, class_weight="balanced", max_iter=1000)
    )
    return learner.fit(np.concatenate([photos, twins]), np.r_[np.zeros(len(photos)), np.ones(len(twins))])


def _voter(name: str, photos: Array, twins: Array) -> Voter:
    return Voter(name, photos, twins, np.array([]), np.ones(len(photos), bool))


def report(runs: pd.DataFrame) -> str:
    """Means over the products, and each product at a tenth."""
    lines = ["`python -m benchmarks.products.voters`", ""]
    lines += ["Ranking of the hidden defects: AUROC / depth 90 %, mean of the products.", ""]
    lines += _table(runs, "level")
    lines += ["Share of the gap that the exact number closes (sum of gains over sum of gaps).", ""]
    closed = runs.groupby(["voters", "level"])[["gain", "gap"]].sum()
    shares = (closed["gain"] / closed["gap"]).map("{:.2f}".format).unstack("level")
    heads = ["voters", *(f"{level}" for level in shares.columns)]
    lines += markdown(heads, [[name, *row] for name, row in _ordered(shares)])
    lines += ["At a tenth hidden, by product. *Earns*: how well the last one tells twins from photos.", ""]
    tenth = runs[np.isclose(runs["level"], 0.1)]
    lines += _table(tenth, "product")
    earned = tenth.groupby(["voters", "product"], sort=False)["telling"].mean().unstack("product")
    heads = ["earns", *earned.columns]
    shown = earned.map("{:.2f}".format)
    last = [[name.split(" + ")[-1], *row] for name, row in _ordered(shown)]
    lines += markdown(heads, [row for place, row in enumerate(last) if place in (0, 1, 3, 4, 5)])
    return "\n".join(lines)


def _table(runs: pd.DataFrame, by: str) -> list[str]:
    keys = ["voters", by]
    means = runs.groupby([*keys, *({"product", "level"} - {by})])[["auroc", "depth_90"]].mean()
    means = means.groupby(keys).mean()
    cells = means.apply(lambda row: f"{row['auroc']:.3f} / {row['depth_90']:.2f}", axis=1).unstack(by)
    return markdown(["voters", *(f"{name}" for name in cells.columns)], [[n, *r] for n, r in _ordered(cells)])


def _ordered(table: pd.DataFrame) -> list[tuple[str, list[object]]]:
    """Rows of `table` in the order of SETS."""
    rows = table.to_dict("index")
    return [(name, list(rows[name].values())) for name in (" + ".join(names) for names in SETS)]


if __name__ == "__main__":
    main()
