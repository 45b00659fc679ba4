"""Consensus: what two kinds of evidence agree on goes, and synthetic defects set the limit. No document."""

from __future__ import annotations

import numpy as np
import pandas as pd

from adrefine.detectors.base import Detector, Images
from adrefine.errors import UserError
from adrefine.params import Consensus
from adrefine.strategies import evidence
from adrefine.strategies.base import Removal, Strategy, over
from adrefine.strategies.scorers import Scorer

_FEWEST = 10  # photos for two folds of evidence to mean something


class ConsensusScorer(Scorer):
    """Scores every training photo, also a removed one, against its synthetic twins; see `evidence`.

    A score of 1 is where the share `consensus.twins` of the synthetic defects looks better than the photo, so
    that λ × median has no part in it. The detector being refined gives the vectors, nothing else: no model is
    retrained for it.
    """

    def __init__(self, params: Consensus, images: Images, seed: int) -> None:
        if len(images) < _FEWEST:
            raise UserError(
                f"refine.strategy = consensus needs {_FEWEST} training images or more, there are "
                f"{len(images)}: choose another strategy"
            )
        self.params, self.images, self.seed = params, images, seed

    def scores(self, model: Detector, kept: Images) -> pd.Series:
        photos, twins = (model.describe(self.images, twins=twins) for twins in (False, True))
        of_photos, of_twins = evidence.consensus(photos, twins, self.seed)
        limit = max(float(np.quantile(of_twins, self.params.twins)), 1e-6)
        return pd.Series(of_photos / limit, index=list(self.images.ids))


class ConsensusRemoval(Strategy):
    """Remove, at once, what looks worse than a share of the synthetic defects; or the share given."""

    def __init__(self, params: Consensus) -> None:
        self.share = params.share

    def step(self, scores: pd.Series, floor: int) -> Removal:
        threshold = 1.0 if self.share is None else _cut(scores, self.share)
        ids = over(scores, threshold)
        stop = (
            "one shot: all evidence was weighed at once" if ids else "converged: no score over the threshold"
        )
        return Removal(ids, threshold, stop)


def _cut(scores: pd.Series, share: float) -> float:
    """The score that the worst `share` of the photos exceed."""
    count = round(share * len(scores))
    ranked = np.sort(scores.to_numpy())[::-1]
    return float(ranked[min(count, len(ranked) - 1)])
