"""What a student tells of a backbone's deep layers from its first block: by a matrix, and by a network.

The matrix is a ridge regression, the minimum of EAD eq. 4.3. The network is small, and learns in steps what
the matrix leaves. Ours, no document (docs/methods.md 5).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from adrefine.runtime import progress

_RIDGE = 1e-3  # added to the student's correlations
_SHRUNK = 1e-2  # share of the mean variance that is added to each direction of the error
_TINY = 1e-9
WIDTH = 96  # channels inside the network
_SLOWEST = 0.04  # the rate's share in the first step
_RISES = 0.3  # share of the steps in which the rate rises


@dataclass(frozen=True)
class Student:
    """The matrix, of d = low + deep channels.

    Attributes:
        mean: (d,). turn: (d, deep), of what a position says to the student's whitened error there.
        scale: (low,) deviations of the channels that it sees.
        unexplained: share of the deep layers' variance that the student cannot tell.
    """

    mean: np.ndarray
    turn: np.ndarray
    scale: np.ndarray
    unexplained: float

    @classmethod
    def of(cls, sums: np.ndarray, low: int) -> Student:
        """The minimum of the squared error, with a ridge, from `sums` (1 + d, 1 + d) of (1, x)(1, x)ᵀ."""
        mean = sums[0, 1:] / sums[0, 0]
        covariance = sums[1:, 1:] / sums[0, 0] - np.outer(mean, mean)
        scale = np.sqrt(np.maximum(np.diag(covariance), 1e-6))
        covariance /= np.outer(scale, scale)
        seen, told, both = covariance[:low, :low], covariance[low:, low:], covariance[:low, low:]
        weights = np.linalg.solve(seen + _RIDGE * np.eye(low), both)
        error = told - weights.T @ both - both.T @ weights + weights.T @ seen @ weights
        power = float(np.trace(error)) / len(error)
        turn = np.vstack([-weights, np.eye(len(error))]) / scale[:, None]
        return cls(mean, np.linalg.solve(_lower(error), turn.T).T, scale[:low], power)

    def white(self, values: np.ndarray) -> np.ndarray:
        """(positions, deep) whitened error of `values` (positions, d)."""
        return (values - self.mean) @ self.turn

    def seen(self, values: np.ndarray) -> np.ndarray:
        """(positions, low) what the student sees of `values`, each channel in its deviations."""
        low = len(self.scale)
        return (values[:, :low] - self.mean[:low]) / self.scale


class Rest(nn.Module):
    """A network on the channels that the student sees, for what the matrix leaves.

    Attributes:
        white: (deep, deep), of its error to the whitened one.
    """

    white: torch.Tensor

    def __init__(self, low: int, deep: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(low, WIDTH, 3, padding=1, padding_mode="replicate"),
            nn.ReLU(),
            nn.Conv2d(WIDTH, WIDTH, 3, padding=1, padding_mode="replicate"),
            nn.ReLU(),
            nn.Conv2d(WIDTH, deep, 1),
        )
        self.register_buffer("white", torch.eye(deep))

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        """(b, deep, h, w) of (b, low, h, w)."""
        return self.net(seen)

    def learn(
        self, batch: Callable[[int], tuple[torch.Tensor, torch.Tensor]], steps: int, rate: float
    ) -> None:
        """Steps of Adam on the mean squared error; the rate rises to `rate` and falls (one cycle).

        Args:
            batch: of a step, what is seen and what the matrix leaves: (b, low, h, w) and (b, deep, h, w).
        """
        optimizer = torch.optim.Adam(self.net.parameters(), rate)
        cycle = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, rate, total_steps=max(2, steps), pct_start=_RISES, div_factor=1 / _SLOWEST
        )
        for step in progress.over(range(steps), label="efficientad", unit="step"):
            seen, left = batch(step)
            loss = F.mse_loss(self.net(seen), left)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            cycle.step()

    @torch.no_grad()
    def left(self, seen: np.ndarray, error: np.ndarray) -> np.ndarray:
        """(positions, deep) what is left of the matrix's `error` at what is `seen` (low, h, w)."""
        told = self.net(torch.from_numpy(seen)[None].to(self.white.device))[0].flatten(1).T
        return error - told.double().cpu().numpy()

    def whitened(self, left: np.ndarray) -> np.ndarray:
        """(positions, deep) what is `left`, whitened."""
        return left @ self.white.double().cpu().numpy().T

    def whiten(self, second: np.ndarray) -> None:
        """Take `white` from the mean `second` (deep, deep) of e eᵀ over the training photos' errors."""
        self.white.copy_(torch.from_numpy(np.linalg.inv(_lower(second))))


def _lower(covariance: np.ndarray) -> np.ndarray:
    """Cholesky factor of `covariance` (deep, deep), a share of its mean variance added to each direction."""
    power = float(np.trace(covariance)) / len(covariance)
    return np.linalg.cholesky(covariance + (_SHRUNK * power + _TINY) * np.eye(len(covariance)))


def squares(values: np.ndarray) -> np.ndarray:
    """(positions, d) as maps (d, side, side) of a square photo, float32."""
    side = round(len(values) ** 0.5)
    return np.ascontiguousarray(values.T.reshape(-1, side, side), dtype=np.float32)
