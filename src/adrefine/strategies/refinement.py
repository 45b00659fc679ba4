"""A refinement of the noisy training set, from tables to tables. No label comes in here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from adrefine import detectors, manifest, strategies
from adrefine.detectors.base import Detector, Images
from adrefine.errors import UserError
from adrefine.metrics import finding, history
from adrefine.params import Params, Refine
from adrefine.paths import PLACES
from adrefine.places import evidence
from adrefine.places.evidence import Evidence
from adrefine.places.store import open_places
from adrefine.review import KEEP, REMOVE, UNDECIDED, Verdicts
from adrefine.strategies import engine, share, teaching, weighing
from adrefine.strategies.base import Strategy
from adrefine.strategies.recycling import Recycling
from adrefine.strategies.scorers import Scorer


@dataclass(frozen=True)
class Refinement:
    """What `run` found.

    Attributes:
        outcome: the decisions. model: the refined one.
        round_scores: image_id and a column per round of scores of the test images, for evaluate to measure
            with.
        evidence: what the voters say of each photo, whatever the strategy; None: there are no maps of them.
        verdicts: a human's.
        recycled: training photos that teach the refined model what a defect is.
        taught: a model beside it that a human's answers teach, see `teaching`.
    """

    outcome: engine.Outcome
    model: Detector
    round_scores: pd.DataFrame
    evidence: Evidence | None = None
    verdicts: Verdicts = UNDECIDED
    recycled: frozenset[str] = frozenset()
    taught: Detector | None = None

    @property
    def removed(self) -> int:
        """Training photos that are out."""
        return int((self.outcome.images["kept"] == 0).sum())

    @property
    def waiting(self) -> frozenset[str]:
        """Photos that may be a rare but good variant, and that no human answered for."""
        variants = self.evidence.variants if self.evidence else frozenset()
        return variants - self.verdicts.keep - self.verdicts.remove

    def summary(self) -> dict[str, Any]:
        """Why it ended, its rounds, what can be said of the set (see `finding`), how many `held_out` photos
        stand out as what is removed does, how many may be `variants`, and where photos weigh how many are
        `light`."""
        told: dict[str, Any] = {"stop_reason": self.outcome.stop_reason, "rounds": self.outcome.rounds}
        if self.waiting:
            told["variants"] = len(self.waiting)
        if "weight" in self.outcome.images:
            told["light"] = weighing.count_light(self.outcome.images["weight"])
        if self.evidence is None:
            return told | finding.figures(self.removed, None)
        over = int((self.evidence.held_strength > share.limit(self.evidence)).sum())
        known, cleared = (self.evidence.among(ids) for ids in (self.verdicts.remove, self.verdicts.keep))
        estimated = share.answered_share(self.evidence, known, cleared)
        return told | finding.figures(self.removed, estimated) | {"held_out_standing_out": over}

    def reasons(self, strategy: str) -> list[str]:
        """Why each training photo is out: `you`, the voter that says most against it (consensus), or else the
        strategy; empty for those that stay."""
        images = self.outcome.images
        says = [strategy] * len(images)
        if strategy == "consensus" and self.evidence is not None:
            says = self.evidence.loudest()  # both are in the order of the ids
        rows = zip(images["kept"], images["reviewed"], says, strict=True)
        return ["" if kept else "you" if by_hand == REMOVE else said for kept, by_hand, said in rows]


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
    images, held = training_images(noisy, prepared)
    watched = Images.of(noisy[noisy["in_test"] == 1], prepared)
    model = detectors.create(params)
    model.load(initial)
    recycling = Recycling(params.chosen_detector, model, images, verdicts)
    chosen = params.chosen_strategy
    strategy, learning = strategies.create(params, len(images)), chosen.training(params.refine)
    gathered = evidence.of(images, held, verdicts, params.refine.seed)
    scorer = chosen.scorer(params.refine, model, images, verdicts, learning, gathered)
    columns: dict[str, object] = {"image_id": list(watched.ids)}

    def watch(number: int, current: Detector) -> None:
        columns[f"round_{number:03d}"] = current.score(watched).image if len(watched) else []

    if params.weighs and gathered is not None:
        out = _decided(strategy, scorer, model, images, params.refine, verdicts)
        rounds = weighing.weigh(
            open_places(prepared / PLACES), images, gathered, verdicts, params.refine, out
        )
        outcome = weighing.refine(model, images, rounds, params.refine, watch, verdicts)
    else:
        outcome = engine.refine(
            model, images, strategy, scorer, params.refine, watch, verdicts, learning, recycling
        )
    taught = teaching.taught(model, images, outcome.images, verdicts)
    return Refinement(outcome, model, pd.DataFrame(columns), gathered, verdicts, recycling.ids, taught)


def training_images(noisy: pd.DataFrame, prepared: Path) -> tuple[Images, tuple[str, ...]]:
    """The training images, and the ids of the held-out ones, both sorted."""
    images = Images.of(manifest.of_split(noisy, "train"), prepared)
    return images, tuple(sorted(manifest.of_split(noisy, "val")["image_id"]))


def foreseen(
    params: Params, noisy: pd.DataFrame, prepared: Path, verdicts: Verdicts
) -> frozenset[str] | None:
    """The training images that `run` will leave out; None where that takes a detector to say: with another
    strategy than consensus.

    Raises:
        UserError: as of `run`.
    """
    if params.refine.strategy != "consensus":
        return None
    images, held = training_images(noisy, prepared)
    gathered = evidence.of(images, held, verdicts, params.refine.seed)
    chosen, unused = params.chosen_strategy, detectors.create(params)
    scorer = chosen.scorer(params.refine, unused, images, verdicts, chosen.training(params.refine), gathered)
    engine.start(images, verdicts)
    strategy = strategies.create(params, len(images))
    out = _decided(strategy, scorer, unused, images, params.refine, verdicts)
    return out | (verdicts.remove & set(images.ids))


def _decided(
    strategy: Strategy, scorer: Scorer, model: Detector, images: Images, params: Refine, verdicts: Verdicts
) -> frozenset[str]:
    """What the rule takes in its first round, beside what a human removed."""
    scores = scorer.scores(model, images)
    return frozenset(engine.decide(strategy, scores, verdicts, engine.fewest(params, images))[1].ids)


def with_held_out(refined: pd.DataFrame, verdicts: Verdicts) -> pd.DataFrame:
    """The manifest with a human's verdicts on held-out photos in `reviewed`: a defect sets no threshold."""
    held = refined["split"] == "val"
    answers = pd.Series({**dict.fromkeys(verdicts.keep, KEEP), **dict.fromkeys(verdicts.remove, REMOVE)})
    given = refined["image_id"].map(answers.astype(object))
    return refined.assign(reviewed=refined["reviewed"].where(~held, given))


def cleaned_versions(noisy: pd.DataFrame, outcome: engine.Outcome) -> dict[int, pd.DataFrame]:
    """The training set as it stood after each round that changed it, as manifests; round 0 is the start: all
    but what a human removed. Where photos weigh, a version has all of them, with their `weight`."""
    rows, before = manifest.of_split(noisy, "train"), None
    if "weight" in outcome.history:
        return weighing.versions(rows, outcome.history)
    versions: dict[int, pd.DataFrame] = {}
    for number, out in history.out_after(outcome.history).items():
        if out != before:
            versions[number] = rows[~rows["image_id"].isin(out)]
        before = out
    return versions
