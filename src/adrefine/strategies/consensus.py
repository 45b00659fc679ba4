"""Consensus: what the kinds of evidence agree on goes, as much as synthetic defects tell. No document."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from adrefine.detectors.base import Detector, Images
from adrefine.errors import UserError
from adrefine.sections import Share
from adrefine.strategies import evidence
from adrefine.strategies.base import Removal, Strategy, StrategySettings, over
from adrefine.strategies.scorers import Scorer

if TYPE_CHECKING:
    import pandas as pd

    from adrefine.params import Refine
    from adrefine.review import Verdicts
    from adrefine.strategies.training import Training

_FEWEST = 10  # photos for two folds of evidence to mean something


class Consensus(StrategySettings):
    """Section `consensus` of params.yaml, which explains each key."""

    share: Share | None = None

    def create(self, images: int) -> ConsensusRemoval:
        return ConsensusRemoval()

    def scorer(
        self, refine: Refine, model: Detector, images: Images, verdicts: Verdicts, training: Training
    ) -> ConsensusScorer:
        return ConsensusScorer(self, images, refine.seed, verdicts.remove)


class ConsensusScorer(Scorer):
    """Scores every training photo, also a removed one, against its synthetic twins; see `evidence`.

    Over 1 is the share of the photos that is taken for hidden defects, or `consensus.share`; λ × median has
    no part in it. The detector being refined gives the vectors and its scores of what it has learned; no
    model is retrained for it. The images that a human removed, `known`, teach what a defect looks like.
    """

    def __init__(
        self, params: Consensus, images: Images, seed: int, known: frozenset[str] = frozenset()
    ) -> None:
        if len(images) < _FEWEST:
            raise UserError(
                f"refine.strategy = consensus needs {_FEWEST} training images or more, there are "
                f"{len(images)}: choose another strategy"
            )
        self.params, self.images, self.seed, self.known = params, images, seed, known

    def scores(self, model: Detector, kept: Images) -> pd.Series:
        import pandas as pd

        photos, twins = (model.describe(self.images, twins=twins) for twins in (False, True))
        learned = model.score(self.images).image
        known = np.array([image_id in self.known for image_id in self.images.ids])
        ranks, share = evidence.consensus(photos, twins, learned, self.seed, self.params.share, known)
        return pd.Series(ranks / _limit(ranks, share), index=list(self.images.ids))


class ConsensusRemoval(Strategy):
    """Remove at once what scores over 1."""

    def step(self, scores: pd.Series, floor: int) -> Removal:
        ids = over(scores, 1.0)
        stop = (
            "one shot: all evidence was weighed at once" if ids else "converged: no score over the threshold"
        )
        return Removal(ids, 1.0, stop)


def _limit(ranks: evidence.Array, share: float) -> float:
    """The rank that the worst `share` of the photos exceed; of equal ones at the border none does.

    Half a photo stays: half of an odd number leaves the half that `refine.min_keep` wants kept.
    """
    ranked = np.sort(ranks)[::-1]
    return float(ranked[min(ceil(share * len(ranks) - 0.5), len(ranks) - 1)])
