"""EfficientAD with collaborative discrepancy optimization (docs/methods.md 5; EAD, Khanjani 2025)."""
