"""Section `differnet` of params.yaml, which explains each key."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from adrefine.detectors.base import DetectorSettings
from adrefine.paths import FEATURES
from adrefine.sections import FROM_PRESET, AtLeastOne, Count, NotNegative, Positive, UnderOne

if TYPE_CHECKING:
    from adrefine.detectors.differnet.detector import DifferNet


class Settings(DetectorSettings):
    """A preset with the explicit keys of params.yaml laid over it.

    `paper`: DifferNet as published, 400 epochs as IRP sect. 4.2. `fast`: a small training set needs noise on
    the features and an early stop (benchmarks/results/regularization_*.md): a flow that trains on learns its
    outliers.
    """

    PRESETS: ClassVar = {
        "fast": {
            "standardize": True,
            "hidden": 128,
            "layers": 1,
            "blocks": 4,
            "clamp_slope": 3.0,  # as FrEIA's coupling block has it
            "train_views": 0,
            "epochs": 20,
            "learning_rate": 2e-3,
            "weight_decay": 1e-5,
            "feature_noise": 0.5,
            "holdout": 0.15,
            "patience": 6,
            "finetune_epochs": 0,  # a warm epoch only adds noise to the scores
            "warm_from": "cold",
        },
        "paper": {
            "standardize": False,
            "hidden": 2048,
            "layers": 3,
            "blocks": 8,
            "clamp_slope": 1.0,
            "train_views": 4,
            "epochs": 400,
            "learning_rate": 2e-4,
            "weight_decay": 1e-5,
            "feature_noise": 0.0,
            "holdout": 0.0,
            "patience": 400,
            "finetune_epochs": 400,
            "warm_from": "last",
        },
    }
    reads: ClassVar = (FEATURES,)
    BEFORE: ClassVar = {"clamp_slope": 3.0, "train_views": 0, "warm_from": "cold"}

    preset: Literal["fast", "paper"] = "fast"
    standardize: bool = FROM_PRESET
    hidden: AtLeastOne = FROM_PRESET
    layers: AtLeastOne = FROM_PRESET
    blocks: AtLeastOne = FROM_PRESET
    clamp_slope: Positive = FROM_PRESET
    train_views: Count = FROM_PRESET
    epochs: AtLeastOne = FROM_PRESET
    learning_rate: Positive = FROM_PRESET
    weight_decay: NotNegative = FROM_PRESET
    feature_noise: NotNegative = FROM_PRESET
    holdout: UnderOne = FROM_PRESET
    patience: AtLeastOne = FROM_PRESET
    finetune_epochs: Count = FROM_PRESET
    warm_from: Literal["cold", "last"] = FROM_PRESET
    batch_size: AtLeastOne = 96
    seed: int = 0

    def create(self) -> DifferNet:
        from adrefine.detectors.differnet.detector import DifferNet

        return DifferNet(self)
