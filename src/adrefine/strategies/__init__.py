"""Strategies by name."""

from __future__ import annotations

from collections.abc import Callable

from adrefine.params import Params
from adrefine.strategies.base import Removal, Strategy
from adrefine.strategies.consensus import ConsensusRemoval
from adrefine.strategies.irp import IterativeRefinement
from adrefine.strategies.mad import AnnealedDeviation
from adrefine.strategies.meta_iqr import QuartileRefinement
from adrefine.strategies.osr import OneShotRemoval, RemovalUntilSize
from adrefine.strategies.vanilla import Vanilla

__all__ = ["Removal", "Strategy", "create"]


def create(params: Params, images: int) -> Strategy:
    """The strategy that `refine.strategy` names, for a training set of `images` images."""
    registry: dict[str, Callable[[], Strategy]] = {
        "vanilla": Vanilla,
        "osr": lambda: (
            OneShotRemoval(params.osr)
            if params.osr.mode == "threshold"
            else RemovalUntilSize(params.osr, images)
        ),
        "irp": lambda: IterativeRefinement(params.irp),
        "meta_iqr": lambda: QuartileRefinement(params.meta_iqr),
        "consensus": lambda: ConsensusRemoval(),
        "mad": lambda: AnnealedDeviation(params.mad),
    }
    return registry[params.refine.strategy]()
