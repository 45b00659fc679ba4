"""The end of a review: the defects that a person confirmed teach one more model what a defect looks like."""

from __future__ import annotations

import pandas as pd

from adrefine.detectors.base import Detector, Images
from adrefine.detectors.mixed.head import MixedHead
from adrefine.detectors.mixed.settings import Settings
from adrefine.detectors.padim.detector import Padim
from adrefine.review import Verdicts

FEWEST = 5  # confirmed defects: fewer tell little


def taught(model: Detector, images: Images, decided: pd.DataFrame, verdicts: Verdicts) -> MixedHead | None:
    """What `detector: mixed` makes of the photos that the refined `model` learned and of the training photos
    that a person called defective; None of fewer than FEWEST of these, or where `model` is no padim of places
    and whole photos.

    Args:
        images: the training images.
        decided: image_id, kept and, where photos weigh, weight of each.
    """
    confirmed = images.only(verdicts.remove)
    if len(confirmed) < FEWEST or not isinstance(model, Padim) or not model.settings.pooled:
        return None
    head = MixedHead(Settings())
    head.gaussians = Padim(model.settings)
    head.know(confirmed)
    head.fit(_learned(images, decided))
    return head


def _learned(images: Images, decided: pd.DataFrame) -> Images:
    rows = decided[decided["kept"] == 1]
    if "weight" not in decided:
        return images.only(rows["image_id"])
    weights = dict(zip(decided["image_id"], decided["weight"].astype(float), strict=True))
    return images.weighing(weights)
