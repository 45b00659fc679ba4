"""Strategies by name: one file and one line here each, see docs/extending.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adrefine.registry import Registry
from adrefine.strategies.base import Removal, Strategy, StrategySettings, WorstShare

if TYPE_CHECKING:
    from adrefine.params import Params

__all__ = ["STRATEGIES", "Removal", "Strategy", "StrategySettings", "create"]

STRATEGIES = Registry(
    "refine.strategy",
    "adrefine.strategies",
    {
        "vanilla": "adrefine.strategies.vanilla:Settings",
        "osr": "adrefine.strategies.osr:Osr",
        "irp": "adrefine.strategies.irp:Irp",
        "meta_iqr": "adrefine.strategies.meta_iqr:MetaIqr",
        "mad": "adrefine.strategies.mad:Mad",
        "consensus": "adrefine.strategies.consensus:Consensus",
    },
)


def create(params: Params, images: int) -> Strategy:
    """The strategy that `refine.strategy` names, for a training set of `images` images."""
    known = params.refine.known()
    if isinstance(known, float) and params.chosen_strategy.KNOWS == "share":
        return WorstShare(known, images)
    return params.chosen_strategy.create(images)
