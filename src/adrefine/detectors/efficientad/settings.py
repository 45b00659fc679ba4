"""Settings of EfficientAD: a preset with the explicit keys of params.yaml laid over it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from adrefine.detectors.base import over_preset
from adrefine.params import EfficientAD as Params

# `paper`: the document's; steps, rate and batch, which it does not name, are the original EfficientAD's.
# `fast`: a CPU trains it in minutes; half the size, few steps of a higher rate,
# low layers that need not be learned.
PRESETS: dict[str, dict[str, Any]] = {
    "paper": {
        "side": 256,
        "init": "scratch",
        "steps": 70000,
        "batch_size": 1,
        "learning_rate": 1e-4,
        "decay": 0.05,
        "augment": 1.0,
        "finetune_steps": 7000,
    },
    "fast": {
        "side": 128,
        "init": "teacher",
        "steps": 200,
        "batch_size": 4,
        "learning_rate": 1e-3,
        "decay": 0.3,
        "augment": 0.5,
        "finetune_steps": 10,
    },
}


@dataclass(frozen=True)
class Settings:
    """See params.yaml for each of them."""

    side: int
    padding: bool
    tiles: bool
    overlap: float
    init: str
    steps: int
    batch_size: int
    learning_rate: float
    decay: float
    weight_decay: float
    augment: float
    synthetic: float
    p_hard: float
    gamma: float
    coeff_hard: float
    coeff_ood: float
    coeff_ae: float
    coeff_stae: float
    coeff_cdo: float
    q_a: float
    q_b: float
    holdout: float
    finetune_steps: int
    alpha: float
    seed: int

    @staticmethod
    def of(params: Params) -> Settings:
        """Preset values, replaced by those keys of `params` that are not null."""
        return Settings(**over_preset(params, PRESETS))
