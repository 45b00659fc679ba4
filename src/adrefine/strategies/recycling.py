"""What leaves the training set teaches what a defect is, where the detector learns from real defects."""

from __future__ import annotations

from adrefine.detectors.base import Detector, DetectorSettings, Images
from adrefine.review import Verdicts


class Recycling:
    """Removed photos as real defects of the model.

    Those that a human removed are real defects and teach from the start, folds included: they are out before
    anything is scored. Those that a strategy removed teach the final fit alone: a model that learned a photo
    as defective would score it as defective, and a removal would confirm itself.

    Attributes:
        ids: training photos that teach.
    """

    def __init__(
        self, detector: DetectorSettings, model: Detector, images: Images, verdicts: Verdicts
    ) -> None:
        self.model, self.weight = model, detector.removed_teach
        confirmed = images.only(verdicts.remove if detector.confirmed_teach else ())
        model.know(confirmed)
        self.ids = frozenset(confirmed.ids)

    def __call__(self, removed: Images) -> bool:
        """Before the final fit: let the model know all photos that left, `removed`.

        Returns:
            Whether it knows more than before, so that it has to learn again.
        """
        new = removed.only(set(removed.ids) - self.ids)
        if not self.weight or not len(new):
            return False
        self.model.know(new, self.weight)
        self.ids |= set(new.ids)
        return True
