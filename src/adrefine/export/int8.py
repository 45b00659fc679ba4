"""Whole numbers of 8 bits: what they cost, and the threshold that goes with them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from adrefine.errors import UserError
from adrefine.export.formats import Run
from adrefine.export.parity import measure
from adrefine.export.photo import Given
from adrefine.export.photos import Photos
from adrefine.metrics.detection import auroc, conformal_threshold
from adrefine.prediction.model import Model


@dataclass(frozen=True)
class Cost:
    """What int8 costs. `auroc`, `auroc_f32`: of test photos, by the graph and by the model; None where
    those have no labels of both kinds. `threshold`: read off the graph's own scores of held-out photos."""

    auroc: float | None
    auroc_f32: float | None
    test_photos: int
    threshold: float
    held_out_photos: int

    def as_json(self) -> dict[str, Any]:
        """For export.json."""
        return asdict(self)

    def line(self) -> str:
        """For people."""
        if self.auroc is None or self.auroc_f32 is None:
            return "int8: the test photos have no labels of both kinds, so its cost is unknown"
        return (
            f"int8: AUROC {self.auroc:.4f} instead of {self.auroc_f32:.4f} on {self.test_photos} test photos"
        )


def cost(model: Model, run: Run, given: Given, photos: Photos) -> Cost:
    """Measure it."""
    scores = measure(model, run, given, photos.held, maps=False).graph
    threshold = conformal_threshold(scores, model.contents.threshold.target_fpr, list(photos.held.values()))
    labels = np.array(list(photos.tested.values()))
    both = measure(model, run, given, photos.tested, maps=False)
    known = len(set(labels.tolist())) == 2
    return Cost(
        auroc=auroc(labels, both.graph) if known else None,
        auroc_f32=auroc(labels, both.model) if known else None,
        test_photos=len(labels),
        threshold=threshold,
        held_out_photos=len(scores),
    )


def refuse(measured: Cost, limit: float) -> None:
    """Stop an export whose int8 costs more than `limit`.

    Raises:
        UserError: it does, or nobody can tell.
    """
    if measured.auroc is None or measured.auroc_f32 is None:
        raise UserError(
            f"{measured.line()}: nothing was written; label test photos, or export without --int8"
        )
    if measured.auroc_f32 - measured.auroc > limit:
        raise UserError(
            f"{measured.line()}, {limit:g} is allowed (--max-loss): nothing was written; "
            "export without --int8"
        )
