"""The refinement loop: score, let the strategy remove, retrain, repeat. It refines any detector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

import numpy as np
import pandas as pd
from tqdm import tqdm

from adrefine.detectors.base import Detector, Images
from adrefine.errors import UserError
from adrefine.params import Refine
from adrefine.strategies.base import Removal, Strategy
from adrefine.strategies.scorers import Scorer
from adrefine.strategies.training import Training

_UNCHANGED = "converged: the set did not change"


@dataclass(frozen=True)
class Outcome:
    """What a refinement decided.

    Attributes:
        images: one row per training image: image_id, kept (0/1), removed_round (NaN if kept; the round since
            which it is out), score and threshold of the last round that scored it, relative_score (score /
            median of that round, so that rounds compare).
        history: one row per round and scored image: round, image_id, score, threshold, removed (0/1).
        stop_reason: why it stopped, as a sentence.
        rounds: rounds that changed the set.
    """

    images: pd.DataFrame
    history: pd.DataFrame
    stop_reason: str
    rounds: int


def refine(
    model: Detector,
    images: Images,
    strategy: Strategy,
    scorer: Scorer,
    params: Refine,
    after_round: Callable[[int, Detector], None] = lambda number, model: None,
    training: Training | None = None,
) -> Outcome:
    """Refine the training set `images` of `model`, which is retrained in place from a warm start.

    Args:
        model: trained on all of `images`.
        strategy, scorer: see there. params: `max_rounds`, `min_keep`, `final_fit`.
        after_round: called with a round's number and model: (0, initial model), (1, retrained model) ...
            and once more for the last round after the final fit.
        training: how models learn until the final fit; None: as their detector does.
    """
    if not len(images):
        raise UserError("there is no training image to refine")
    floor = max(2, ceil(params.min_keep * len(images)))
    training = training or Training()
    kept, history, done = images, [], 0
    stop: str | None = None
    after_round(0, model)
    changed_model = training.start(model, images)
    limit = params.max_rounds if strategy.bounded_by_rounds else len(images)
    with tqdm(desc="refine", unit="round", total=limit) as bar:
        for number in range(1, limit + 1):
            scores = _checked(scorer.scores(model, kept))
            removal = _at_least(floor, scores, strategy.step(scores, floor))
            history.append(_record(number, scores, removal))
            left = images.only(set(scores.index) - set(removal.ids))
            changed = left != kept
            if changed:
                kept, done = left, number
                training.fit(model, kept, warm_start=True)
                after_round(number, model)
                bar.update()
            stop = removal.stop or (training.converged(kept) if changed else _UNCHANGED)
            if stop:
                break
    if (done or changed_model) and params.final_fit == "scratch":
        model.fit(kept)
        after_round(done, model)
    stop = stop or f"refine.max_rounds = {params.max_rounds} reached"
    table = pd.concat(history, ignore_index=True) if history else _nothing_scored()
    return Outcome(_summary(images, table), table, stop, done)


def _checked(scores: pd.Series) -> pd.Series:
    bad = scores.index[~np.isfinite(scores)]
    if len(bad):
        raise UserError(
            f"the detector gave image {bad[0]} no finite score: its training diverged, lower its "
            "learning rate"
        )
    return scores


def _at_least(floor: int, scores: pd.Series, removal: Removal) -> Removal:
    """Keep `floor` images: of those to remove, the least anomalous stay."""
    allowed = len(scores) - floor
    if len(removal.ids) <= allowed:
        return removal
    worst = scores[list(removal.ids)].sort_values(ascending=False, kind="stable").index[: max(allowed, 0)]
    return Removal(tuple(worst), removal.threshold, f"refine.min_keep reached: {floor} images must stay")


def _record(number: int, scores: pd.Series, removal: Removal) -> pd.DataFrame:
    threshold = removal.threshold
    return pd.DataFrame(
        {
            "round": number,
            "image_id": scores.index,
            "score": scores.to_numpy(),
            "threshold": threshold if isinstance(threshold, float) else threshold[scores.index].to_numpy(),
            "removed": scores.index.isin(removal.ids).astype(int),
        }
    ).sort_values("image_id", ignore_index=True)


def _nothing_scored() -> pd.DataFrame:
    empty: dict[str, list[float]] = {
        name: [] for name in ("round", "image_id", "score", "threshold", "removed")
    }
    return pd.DataFrame(empty)


def _summary(images: Images, history: pd.DataFrame) -> pd.DataFrame:
    median = history.groupby("round")["score"].median()
    last = history.assign(relative_score=history["score"] / history["round"].map(median))
    last = last.sort_values("round", kind="stable").groupby("image_id").last()
    last_in = history[history["removed"] == 0].groupby("image_id")["round"].max()
    out = history[history["round"] > history["image_id"].map(last_in).fillna(0)]
    removed = out.groupby("image_id")["round"].min()
    table = pd.DataFrame({"image_id": sorted(images.ids)})
    table["kept"] = (~table["image_id"].isin(removed.index)).astype(int)
    table["removed_round"] = table["image_id"].map(removed).astype("Int64")
    return table.join(last[["score", "threshold", "relative_score"]], on="image_id")
