"""Meta-learning driven refinement (META, Aqeel et al. 2025): the rule. `MetaTraining` is the learning."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from adrefine.runtime.seeds import derived_seed
from adrefine.sections import FROM_PRESET, AtLeastOne, NotNegative, Positive, UnderOne
from adrefine.strategies.base import Removal, Strategy, StrategySettings
from adrefine.strategies.learning import MetaTraining

if TYPE_CHECKING:
    import pandas as pd

    from adrefine.params import Refine


class MetaIqr(StrategySettings):
    """Section `meta_iqr` of params.yaml, which explains each key. `refine.preset` chooses the preset."""

    PRESETS: ClassVar = {
        "adrefine": {"epochs": 10, "outer_lr": 2e-3},
        "paper": {"epochs": 240, "outer_lr": 2e-4},
    }

    k: NotNegative = 1.5
    scope: Literal["batch", "dataset"] = "batch"
    batch_size: AtLeastOne = 24
    epochs: AtLeastOne = FROM_PRESET
    finetune_epochs: AtLeastOne = 1
    optimizer: Literal["adam", "sgd"] = "adam"
    outer_lr: Positive = FROM_PRESET
    inner_lr: NotNegative = 0.1
    inner_steps: AtLeastOne = 1
    first_order: bool = False
    tasks: AtLeastOne = 2
    support: AtLeastOne = 6
    query: AtLeastOne = 6
    support_noise: NotNegative = 0.5
    holdout: UnderOne = 0.15
    seed: int = 0

    def create(self, images: int) -> QuartileRefinement:
        return QuartileRefinement(self)

    def training(self, refine: Refine) -> MetaTraining:
        return MetaTraining(self)


class QuartileRefinement(Strategy):
    """Drop what is over Q3 + k · (Q3 − Q1) (eq. 5), retrain, repeat until nothing is.

    `scope: batch` takes the quartiles of every mini-batch (Algorithm 1), `dataset` those of all scores. All
    mini-batches of a round are scored by the same model, where Algorithm 1 updates it after each of them:
    otherwise the order of the images would decide.
    """

    def __init__(self, params: MetaIqr) -> None:
        self.params, self.rounds = params, 0

    def step(self, scores: pd.Series, floor: int) -> Removal:
        self.rounds += 1
        batches = (
            [list(scores.index)]
            if self.params.scope == "dataset"
            else mini_batches(list(scores.index), self.params, self.rounds)
        )
        threshold = scores.astype(float) * np.nan
        for batch in batches:
            first, third = np.quantile(scores[batch], [0.25, 0.75])
            threshold[batch] = third + self.params.k * (third - first)
        ids = tuple(scores.index[scores > threshold])
        return Removal(ids, threshold, None if ids else "converged: no score over the threshold")


def mini_batches(ids: list[str], params: MetaIqr, number: int) -> list[list[str]]:
    """A shuffle of `ids`, drawn for round `number`, in equal parts of at most `params.batch_size`."""
    order = np.random.default_rng(derived_seed("meta batches", params.seed, number)).permutation(len(ids))
    parts = np.array_split(order, ceil(len(ids) / params.batch_size))
    return [[ids[place] for place in part] for part in parts]
