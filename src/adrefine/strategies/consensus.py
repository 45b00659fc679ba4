"""Consensus: what the voters of `evidence` find odd together goes, no more than `share` allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from adrefine.errors import UserError
from adrefine.places.evidence import FEWEST, Evidence
from adrefine.strategies import share
from adrefine.strategies.base import Removal, Strategy, StrategySettings, over
from adrefine.strategies.scorers import Scorer

if TYPE_CHECKING:
    import pandas as pd

    from adrefine.detectors.base import Detector, Images
    from adrefine.params import Refine
    from adrefine.review import Verdicts
    from adrefine.strategies.learning import Training


class Consensus(StrategySettings):
    """Section `consensus` of params.yaml: it has no key, `refine.contamination` says what is known."""

    FEWEST: ClassVar = FEWEST
    TWINS: ClassVar = True
    SCORER: ClassVar = False
    KNOWS: ClassVar = "bounds"

    def create(self, images: int) -> ConsensusRemoval:
        return ConsensusRemoval()

    def scorer(
        self,
        refine: Refine,
        model: Detector,
        images: Images,
        verdicts: Verdicts,
        training: Training,
        evidence: Evidence | None = None,
    ) -> ConsensusScorer:
        if len(images) < FEWEST:  # validate says it first in a project
            raise UserError(f"consensus needs {FEWEST} training images or more, there are {len(images)}")
        if evidence is None:
            raise UserError(
                f"{images.prepared / 'places'} is missing, which refine.strategy = consensus reads: run "
                "`dvc repro embed`"
            )
        if evidence.voters[0].twins is None:
            raise UserError(
                "refine.strategy = consensus compares photos with synthetic defects, and there are none: set "
                "synthesize.per_image to 1"
            )
        return ConsensusScorer(evidence, verdicts, refine.known())


class ConsensusScorer(Scorer):
    """How far every photo stands out, also one that a human removed, in multiples of the border; over 1 goes.

    What may be a rare but good variant (`places.variants`) scores 1 at most: it stays until a human decides.
    The detector being refined has no part in it.

    Args:
        evidence: the evidence on all training photos.
        verdicts: a human's: photos that they decided on are none of those that may go.
        contamination: see `share.number`.
    """

    def __init__(
        self, evidence: Evidence, verdicts: Verdicts, contamination: share.Contamination = None
    ) -> None:
        super().__init__()
        self.evidence = evidence
        decided = verdicts.keep | verdicts.remove
        self.waiting = evidence.among(evidence.variants - decided)  # only a human can say what they are
        free = ~(evidence.among(decided) | self.waiting)
        self.border = share.limit(evidence)
        if free.any():
            known, cleared = (evidence.among(chosen) for chosen in (verdicts.remove, verdicts.keep))
            count = share.number(evidence, free, known, contamination, cleared)
            self.border = share.border(evidence.strength[free], count, self.border)

    def scores(self, model: Detector, kept: Images) -> pd.Series:
        import pandas as pd

        scores = share.multiple(self.evidence.strength, self.border)
        scores = np.where(self.waiting, np.minimum(scores, 1.0), scores)
        return pd.Series(scores, index=list(self.evidence.ids))


class ConsensusRemoval(Strategy):
    """Remove at once what scores over 1."""

    def step(self, scores: pd.Series, floor: int) -> Removal:
        ids = over(scores, 1.0)
        stop = (
            "one shot: all evidence was weighed at once"
            if ids
            else "converged: no photo goes by the evidence"
        )
        return Removal(ids, 1.0, stop)
