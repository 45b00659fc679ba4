"""Logistic regression with weights, to convergence: no draw, no order, no learning rate."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_STEPS, _ENOUGH = 50, 1e-12  # Newton steps at most; fall of the loss under which another one is idle
_OPEN = 1e-6  # penalty on the intercept, so that it stays finite where one class is missing


def fit(x: Array, defect: Array, weight: Array, penalty: float) -> tuple[Array, float]:
    """Coefficients (d,) and intercept that minimize Σ w · loss(x b + c) + penalty / 2 · |b|².

    Args:
        x: (n, d).
        defect: (n,) 1 for a defect, 0 for a good one.
        weight: (n,), together 1.
    """
    design = np.column_stack([x, np.ones(len(x))])
    ridge = np.append(np.full(x.shape[1], penalty), _OPEN)
    sign = 2 * defect - 1

    def loss(b: Array) -> float:
        return float(weight @ np.logaddexp(0, -sign * (design @ b)) + 0.5 * ridge @ b**2)

    coefficients = np.zeros(design.shape[1])
    value = loss(coefficients)
    for _ in range(_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(design @ coefficients, -500, 500)))
        slope = design.T @ (weight * (chance - defect)) + ridge * coefficients
        curve = (design.T * (weight * chance * (1 - chance))) @ design + np.diag(ridge)
        step, length = np.linalg.solve(curve, slope), 1.0
        while length > _ENOUGH and loss(coefficients - length * step) > value:
            length /= 2
        coefficients = coefficients - length * step
        before, value = value, loss(coefficients)
        if before - value < _ENOUGH:
            break
    return coefficients[:-1], float(coefficients[-1])
