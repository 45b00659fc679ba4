"""A refinement of the noisy training set, from tables to tables. No label comes in here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from adrefine import detectors, history, manifest
from adrefine.detectors.base import Detector, Images
from adrefine.errors import UserError
from adrefine.params import Params
from adrefine.review import UNDECIDED, Verdicts
from adrefine.strategies import engine


@dataclass(frozen=True)
class Refinement:
    """What `run` found: the decisions (see engine.Outcome), the refined model, and every round's scores.

    round_scores: image_id and a column per round of scores of the test images, for evaluate to measure with.
    """

    outcome: engine.Outcome
    model: Detector
    round_scores: pd.DataFrame


def run(
    params: Params, noisy: pd.DataFrame, prepared: Path, initial: Path, verdicts: Verdicts = UNDECIDED
) -> Refinement:
    """Refine the training rows of `noisy`, starting from the model in `initial`; `verdicts` of a human hold.

    Raises:
        UserError: `noisy` still has a column that tells good from defective.
    """
    told = [name for name in manifest.MEASURING_ONLY if name in noisy.columns]
    if told:
        raise UserError(f"refinement must not see the column {told[0]}: pass manifest.unlabelled(table)")
    images = Images(tuple(sorted(manifest.of_split(noisy, "train")["image_id"])), prepared)
    watched = Images(tuple(sorted(noisy.loc[noisy["in_test"] == 1, "image_id"])), prepared)
    model = detectors.create(params)
    model.load(initial)
    chosen = params.chosen_strategy
    strategy, learning = chosen.create(len(images)), chosen.training(params.refine)
    scorer = chosen.scorer(params.refine, model, images, verdicts, learning)
    columns: dict[str, object] = {"image_id": list(watched.ids)}

    def watch(number: int, current: Detector) -> None:
        columns[f"round_{number:03d}"] = current.score(watched).image if len(watched) else []

    outcome = engine.refine(model, images, strategy, scorer, params.refine, watch, verdicts, learning)
    return Refinement(outcome, model, pd.DataFrame(columns))


def cleaned_versions(noisy: pd.DataFrame, outcome: engine.Outcome) -> dict[int, pd.DataFrame]:
    """The training set as it stood after each round that changed it, as manifests; round 0 is the start: all
    but what a human removed."""
    rows, before = manifest.of_split(noisy, "train"), None
    versions: dict[int, pd.DataFrame] = {}
    for number, out in history.out_after(outcome.history).items():
        if out != before:
            versions[number] = rows[~rows["image_id"].isin(out)]
        before = out
    return versions
