"""What a run is measured by. Labels come in here and nowhere else; no strategy sees any of this."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from adrefine import detectors, manifest, noise
from adrefine.benchmark import lists, prepared
from adrefine.detectors.base import Detector, Images
from adrefine.detectors.initial import known_defects
from adrefine.metrics import cleaning, detection, ranking
from adrefine.params import Params
from adrefine.strategies.engine import Outcome
from adrefine.strategies.scorers import OutOfFold


def inject(
    table: pd.DataFrame, params: Params, listed: Path | None = None
) -> tuple[pd.DataFrame, tuple[str, ...], tuple[str, ...]]:
    """The noisy manifest, the ids that train, and those of them that are no hidden defect.

    Args:
        listed: a published list of the training photos; None: `params.noise` draws them.
    """
    if listed is None:
        noisy = noise.inject(table, params.noise)
    else:
        noisy = lists.inject(table, listed, Path(params.dataset.root))
    train = manifest.of_split(noisy, "train").sort_values("image_id")
    return noisy, tuple(train["image_id"]), tuple(train.loc[train["injected"] == 0, "image_id"])


def fit(params: Params, ids: tuple[str, ...], noisy: pd.DataFrame, inputs: Path) -> Detector:
    """A detector of `params` trained from scratch on the images `ids`; if it learns from real defects, those
    that the `noisy` manifest leaves over."""
    model = detectors.create(params)
    model.know(known_defects(params, noisy, inputs))
    model.fit(Images(ids, inputs))
    return model


def tested(model: Detector, noisy: pd.DataFrame, inputs: Path) -> dict[str, float]:
    """Image `auroc` and `aupr` on the labelled test photos; nothing where they are of one kind."""
    test = _test(noisy)
    if test.empty:
        return {}
    scores = model.score(Images(tuple(test["image_id"]), inputs)).image
    return {
        "auroc": detection.auroc(test["label"], scores),
        "aupr": detection.aupr(test["label"], scores),
    }


def localized(
    model: Detector, learned: Sequence[str] | None, noisy: pd.DataFrame, inputs: Path, count: int
) -> dict[str, float]:
    """`aupro` of the maps of at most `count` test photos, half of them with the mask of a defect, as evaluate
    measures it; nothing without masks or maps.

    Args:
        learned: photos that the model learned, whose maps of places count; None: the model draws its own.
    """
    from adrefine.evaluation import maps
    from adrefine.places.maps import of_photos

    chosen = maps.to_locate(_test(noisy), count)
    if chosen.empty:
        return {}
    photos, files = Images(tuple(chosen["image_id"]), inputs), [Path(path) for path in chosen["path"]]
    mapper, region = (None if learned is None else of_photos), prepared.region(inputs)
    found = maps.drawn(model, mapper, learned or (), photos, files, region)
    figures = {} if found is None else maps.located(found, maps.masks_of(chosen), region)
    return {"aupro": figures["aupro"]} if figures else {}


def _test(noisy: pd.DataFrame) -> pd.DataFrame:
    """The labelled test photos; none where they are of one kind."""
    test = noisy[(noisy["in_test"] == 1) & (noisy["label"] != manifest.UNKNOWN)]
    return test if test["label"].nunique() > 1 else test.iloc[:0]


def cleaned(noisy: pd.DataFrame, outcome: Outcome) -> dict[str, Any]:
    """What was removed (see `cleaning_metrics`), and how the last scores rank the hidden defects."""
    train = noisy.merge(outcome.images, on="image_id")
    scores = train["relative_score"]
    metrics = cleaning.cleaning_metrics(train["injected"], train["kept"], scores, outcome.rounds)
    metrics.pop("residual_noise", None)
    if train["injected"].any() and scores.notna().any():
        metrics["precision_at_defects"] = precision_at_defects(train["injected"], scores)
    ranked = ranking.ranking_metrics(train["injected"], scores)
    metrics |= {f"rank_{name}": value for name, value in ranked.items()}
    return {**metrics, "stop_reason": outcome.stop_reason}


def precision_at_defects(hidden: ArrayLike, scores: ArrayLike) -> float:
    """Share of hidden defects among the k highest scores, k being their true number (R-precision).

    Args:
        hidden: (n,) 1 for a hidden defect, at least one.
        scores: (n,) higher is more suspicious; of equal scores those at the border count in proportion.
    """
    flags, values = np.asarray(hidden, dtype=float), np.asarray(scores, dtype=float)
    k = int(flags.sum())
    border = np.sort(values)[-k]
    over, tied = values > border, values == border
    return float((flags[over].sum() + (k - over.sum()) * flags[tied].mean()) / k)


def ceiling_scores(
    oracle: Detector, ids: tuple[str, ...], clean: tuple[str, ...], inputs: Path, folds: int, seed: int
) -> pd.Series:
    """Scores of `ids` by models of the clean photos: no label-free ranking can hope to be better.

    Clones of `oracle` learn the clean photos without one fold each. A good photo is scored by the model that
    did not see it, a hidden defect by the mean of all models: labels choose who learns, to measure only.

    Returns:
        By image id; empty without hidden defects or with fewer than four clean photos.
    """
    hidden = tuple(sorted(set(ids) - set(clean)))
    folds = min(folds, len(clean) // 2)
    if not hidden or folds < 2:
        return pd.Series(dtype=float)
    scorer = OutOfFold(oracle, clean, folds, seed)
    good = scorer.scores(oracle, Images(clean, inputs))
    bad = np.mean([model.score(Images(hidden, inputs)).image for model in scorer.models], axis=0)
    return pd.concat([good, pd.Series(bad, index=list(hidden))])


def ceiling(scores: pd.Series, clean: tuple[str, ...]) -> dict[str, float]:
    """How well the `ceiling_scores` rank the hidden defects; nothing if there are none."""
    if scores.empty:
        return {}
    flags = ~scores.index.isin(clean)
    return {
        "ceiling_rank_auroc": detection.auroc(flags, scores),
        "ceiling_precision_at_defects": precision_at_defects(flags, scores),
    }


def limit(
    params: Params, scores: pd.Series, clean: tuple[str, ...], noisy: pd.DataFrame, inputs: Path
) -> dict[str, float]:
    """Test AUROC after the `ceiling_scores` removed as many photos as are hidden defects; nothing without."""
    if scores.empty:
        return {}
    kept = scores.sort_values(kind="stable").index[: len(clean)]
    after = tested(fit(params, tuple(sorted(kept)), noisy, inputs), noisy, inputs)
    return {"ceiling_auroc": after["auroc"]} if after else {}
