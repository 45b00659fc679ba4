"""The refinement loop: score, let the strategy remove, retrain, repeat. It refines any detector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
import pandas as pd

from adrefine.detectors.base import Detector, Images
from adrefine.errors import UserError
from adrefine.params import Refine
from adrefine.review import KEEP, REMOVE, UNDECIDED, Verdicts
from adrefine.runtime import progress
from adrefine.strategies.base import Removal, Strategy
from adrefine.strategies.learning import Training
from adrefine.strategies.scorers import Scorer

_UNCHANGED = "converged: the set did not change"


@dataclass(frozen=True)
class Outcome:
    """What a refinement decided.

    Attributes:
        images: one row per training image: image_id, kept (0/1), removed_round (NaN if kept; the round since
            which it is out), score and threshold of the last round that scored it, relative_score (score /
            median of that round, so that rounds compare), reviewed (a human's verdict: keep, remove, empty).
        history: one row per round and scored image: round, image_id, score, threshold, removed (0/1),
            reviewed; before them, as round 0 and without score, what a human removed.
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
    verdicts: Verdicts = UNDECIDED,
    training: Training | None = None,
    recycle: Callable[[Images], bool] = lambda removed: False,
) -> Outcome:
    """Refine the training set `images` of `model`, which is retrained in place from a warm start.

    A human's verdicts hold whatever the strategy says: what they removed is out before the first scoring, and
    the model then starts anew without it; what they keep is scored and learned, and to the strategy looks
    usual (`_seen`), so that it neither goes nor stops a rule that drops the worst.

    Args:
        model: trained on all of `images`.
        strategy, scorer: see there. params: `max_rounds`, `min_keep`, `final_fit`.
        after_round: called with a round's number and model: (0, initial model), (1, retrained model) ...
            and once more for the last round after the final fit, unless that round was one already.
        verdicts: a human's; ids that are not in `images` are ignored.
        training: how models learn until the final fit; None: as their detector does.
        recycle: called once before the final fit with all images that are out; true: it takes one.
    """
    if not len(images):
        raise UserError("there is no training image to refine")
    training, first = training or Training(), by_hand(images.only(verdicts.remove))
    kept = start(images, verdicts)
    if len(kept) < len(images):
        model.fit(kept)
    after_round(0, model)
    ran = _rounds(model, images, kept, (strategy, scorer, training), params, after_round, verdicts)
    taught = recycle(images.only(set(images.ids) - set(ran.kept.ids)))
    if taught or (ran.changed and params.final_fit == "scratch" and not ran.anew):
        model.fit(ran.kept)
        after_round(ran.done, model)
    stop = ran.stop
    if training.replaced:
        stop += "; every round trained from scratch: a warm start of this detector learns nothing"
    if len(images) - len(first) < fewest(params, images):
        stop += f"; you removed {len(first)} images, more than refine.min_keep lets a strategy remove"
    tables = [first, *ran.history]
    table = pd.concat([rows for rows in tables if len(rows)] or tables, ignore_index=True)
    return Outcome(summary(images, table, verdicts), table, stop, ran.done)


@dataclass(frozen=True)
class _Ran:
    """What the rounds left.

    Attributes:
        kept: images that stay. done: the last round that changed the set. stop: why they ended.
        changed: whether the model is another one than before. anew: whether it last learned from scratch.
    """

    kept: Images
    history: list[pd.DataFrame]
    done: int
    changed: bool
    anew: bool
    stop: str


def _rounds(
    model: Detector,
    images: Images,
    kept: Images,
    how: tuple[Strategy, Scorer, Training],
    params: Refine,
    after_round: Callable[[int, Detector], None],
    verdicts: Verdicts,
) -> _Ran:
    """Score, remove and retrain until nothing goes; the arguments are those of `refine`."""
    strategy, scorer, training = how
    floor, history, done, anew = fewest(params, images), [], 0, False
    changed_model = training.start(model, kept)
    limit = params.max_rounds if strategy.bounded_by_rounds else len(images)
    stop: str | None = None
    with progress.bar(total=limit, label="refine", unit="round") as bar:
        for number in range(1, limit + 1):
            scores, removal = decide(strategy, scorer.scores(model, kept), verdicts, floor)
            history.append(record(number, scores, removal, verdicts))
            left = images.only(set(scores.index) - set(removal.ids))
            changed = left != kept
            if changed:
                kept, done = left, number
                anew = training.fit(model, kept, warm_start=True)
                after_round(number, model)
                bar.update()
            stop = removal.stop or (training.converged(kept) if changed else _UNCHANGED)
            if stop:
                break
    stop = stop or f"refine.max_rounds = {params.max_rounds} reached"
    return _Ran(kept, history, done, bool(done) or changed_model, anew, stop)


def fewest(params: Refine, images: Images) -> int:
    """How many of the training images must stay."""
    return max(2, ceil(params.min_keep * len(images)))


def decide(
    strategy: Strategy, scores: pd.Series, verdicts: Verdicts, floor: int
) -> tuple[pd.Series, Removal]:
    """One round's decision, a human's verdicts and the fewest that must stay respected.

    Returns:
        The scores of the images that were asked about, and what goes of them.
    """
    scores = _checked(scores).drop(list(verdicts.remove), errors="ignore")
    removal = _spare(verdicts.keep, strategy.step(_seen(scores, verdicts.keep), floor))
    return scores, _at_least(floor, scores, removal)


def start(images: Images, verdicts: Verdicts) -> Images:
    """The images before the first round: all but those that a human removed.

    Raises:
        UserError: fewer than two are left.
    """
    left = images.only(set(images.ids) - verdicts.remove)
    if len(left) < min(2, len(images)):
        raise UserError(
            f"data/review.csv removes {len(images) - len(left)} of {len(images)} training images: a detector "
            "needs at least two"
        )
    return left


def _checked(scores: pd.Series) -> pd.Series:
    bad = scores.index[~np.isfinite(scores)]
    if len(bad):
        raise UserError(
            f"the detector gave image {bad[0]} no finite score: its training diverged, lower its "
            "learning rate"
        )
    return scores


def _seen(scores: pd.Series, keep: frozenset[str]) -> pd.Series:
    """The scores as the strategy sees them: what a human keeps has at most the median score."""
    return scores.mask(scores.index.isin(keep), scores.clip(upper=float(scores.median())))


def _spare(keep: frozenset[str], removal: Removal) -> Removal:
    """The removal without what a human keeps."""
    return replace(removal, ids=tuple(image_id for image_id in removal.ids if image_id not in keep))


def _at_least(floor: int, scores: pd.Series, removal: Removal) -> Removal:
    """Keep `floor` images: of those to remove, the least anomalous stay."""
    allowed = max(len(scores) - floor, 0)
    if len(removal.ids) <= allowed:
        return removal
    worst = scores[list(removal.ids)].sort_values(ascending=False, kind="stable").index[:allowed]
    return Removal(tuple(worst), removal.threshold, f"refine.min_keep reached: {floor} images must stay")


def by_hand(removed: Images) -> pd.DataFrame:
    """Rows of the history of what a human removed, see `Outcome`."""
    return pd.DataFrame(
        {
            "round": 0,
            "image_id": sorted(removed.ids),
            "score": np.nan,
            "threshold": np.nan,
            "removed": 1,
            "reviewed": REMOVE,
        }
    )


def record(number: int, scores: pd.Series, removal: Removal, verdicts: Verdicts) -> pd.DataFrame:
    """Rows of the history of one round, see `Outcome`."""
    threshold = removal.threshold
    return pd.DataFrame(
        {
            "round": number,
            "image_id": scores.index,
            "score": scores.to_numpy(),
            "threshold": threshold if isinstance(threshold, float) else threshold[scores.index].to_numpy(),
            "removed": scores.index.isin(removal.ids).astype(int),
            "reviewed": _reviewed(scores.index, verdicts),
        }
    ).sort_values("image_id", ignore_index=True)


def _reviewed(ids: pd.Index, verdicts: Verdicts) -> np.ndarray:
    return np.where(ids.isin(verdicts.keep), KEEP, np.where(ids.isin(verdicts.remove), REMOVE, ""))


def summary(images: Images, history: pd.DataFrame, verdicts: Verdicts) -> pd.DataFrame:
    """`Outcome.images`, from the history."""
    median = history.groupby("round")["score"].median()
    last = history.assign(relative_score=history["score"] / history["round"].map(median))
    last = last.sort_values("round", kind="stable").groupby("image_id").last()
    last_in = history[history["removed"] == 0].groupby("image_id")["round"].max()
    out = history[history["round"] > history["image_id"].map(last_in).fillna(-1)]
    removed = out.groupby("image_id")["round"].min()
    table = pd.DataFrame({"image_id": sorted(images.ids)})
    table["kept"] = (~table["image_id"].isin(removed.index)).astype(int)
    table["removed_round"] = table["image_id"].map(removed).astype("Int64")
    table["reviewed"] = _reviewed(pd.Index(table["image_id"]), verdicts)
    return table.join(last[["score", "threshold", "relative_score"]], on="image_id")
