"""EfficientAD with collaborative discrepancy optimization (docs/methods.md 5; EAD, Khanjani 2025)."""

from adrefine.detectors.efficientad.detector import EfficientAD

__all__ = ["EfficientAD"]
