"""Checkpoints of a distillation: resuming gives the bytes of a run that was never interrupted.

While the learning rate is constant, a run of any length goes the same way: the file `trunk.pt` of a short run
starts a longer one. While it falls, the way depends on `steps`: that part has a file of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from adrefine.io import atomic_open


def constant_steps(steps: int, decay: float) -> int:
    """Steps of constant learning rate, before the last `decay` share over which it falls to 0."""
    return steps - round(decay * steps)


class Checkpoints:
    """The checkpoints of one configuration in `folder`, for a run of `steps`."""

    def __init__(self, folder: Path, steps: int, decay: float) -> None:
        self.folder, self.steps, self.constant = folder, steps, constant_steps(steps, decay)

    def save(self, content: dict[str, Any]) -> None:
        """Write the state after `content["step"]` steps atomically."""
        with atomic_open(self._path(content["step"])) as file:
            torch.save(content, file)

    def load(self, device: torch.device) -> dict[str, Any] | None:
        """The latest state that this run would reach too; None if there is none (or it is unreadable)."""
        for path, most in ((self._path(self.steps), self.steps), (self._path(0), self.constant)):
            try:
                content: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
            except Exception:  # missing, or damaged by the disk: start earlier
                continue
            if content["step"] <= most:
                return content
        return None

    def _path(self, step: int) -> Path:
        return self.folder / ("trunk.pt" if step <= self.constant else f"decay-{self.steps}.pt")
