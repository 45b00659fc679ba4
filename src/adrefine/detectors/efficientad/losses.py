"""Losses of EfficientAD (EAD sect. 4.4 to 4.6). Each is that of one image, averaged over the batch.

All maps are (b, c, h, w); `mask` (b, h, w) is True where a synthetic defect lies. No network may learn what a
defect looks like, so all losses but CDO leave these positions out. `ring` (b, h, w): positions around
it, which see the defect and hold none of it, that count for no loss; the other losses get them in `mask`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F

_FLATTEST = 1e-2  # smallest ratio of a discrepancy to the mean: one position must not outweigh all others


def hard_feature(
    teacher: torch.Tensor, student: torch.Tensor, mask: torch.Tensor, p_hard: float
) -> torch.Tensor:
    """Mean of the squared differences in the top quantile, the share 1 − `p_hard` of them (eq. 4.2)."""
    difference = (teacher - student).square().masked_fill(mask[:, None], -1.0)  # below all that count

    def hardest(index: int) -> torch.Tensor:
        positions = int((~mask[index]).sum())
        if not positions:
            return difference.sum() * 0
        count = max(1, round((1 - p_hard) * positions * difference.shape[1]))
        return difference[index].flatten().topk(count).values.mean()

    return _mean(hardest, len(mask))


def squared_error(first: torch.Tensor, second: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of two maps: L_AE of teacher and autoencoder (eq. 4.3), L_STAE of autoencoder
    and the student's second half (eq. 4.4)."""
    difference = (first - second).square() * ~mask[:, None]
    counted = (~mask).sum(dim=(1, 2)) * difference.shape[1]
    return (difference.sum(dim=(1, 2, 3)) / counted.clamp(min=1)).mean()


def out_of_distribution(student: torch.Tensor) -> torch.Tensor:
    """Mean square of the student's first half on generic images: it must not imitate the teacher there
    (original EfficientAD; the document found it harmful)."""
    return student.square().mean()


def discrepancy(teacher: torch.Tensor, student: torch.Tensor) -> torch.Tensor:
    """Squared distance (b, h, w) of the feature vectors, each of length 1: 0 to 4 (eq. 4.5)."""
    return (F.normalize(teacher, dim=1) - F.normalize(student, dim=1)).square().sum(dim=1)


def collaborative_discrepancy(
    teacher: torch.Tensor,
    student: torch.Tensor,
    mask: torch.Tensor,
    gamma: float,
    ring: torch.Tensor | None = None,
) -> torch.Tensor:
    """CDO: pull discrepancies of normal positions down, push those of synthetic defects up (eq. 4.6 to 4.9).

    Normal positions weigh (d / mean d)^γ, defective ones (d / mean d)^−γ: the tails count. The weights are
    constants to the gradient, as those of a focal loss; the ratio counts as 0.01 at least.
    """
    discrepancies = discrepancy(teacher, student)
    usual = ~mask if ring is None else ~(mask | ring)

    def of_image(index: int) -> torch.Tensor:
        normal, defective = discrepancies[index][usual[index]], discrepancies[index][mask[index]]
        pull, push = _weights(normal, gamma), _weights(defective, -gamma)
        total = (pull * normal).sum() - (push * defective).sum()
        return total / (pull.sum() + push.sum())

    return _mean(of_image, len(mask))


def _weights(values: torch.Tensor, exponent: float) -> torch.Tensor:
    fixed = values.detach()
    if not len(fixed):
        return fixed
    return (fixed / fixed.mean().clamp(min=1e-12)).clamp(min=_FLATTEST) ** exponent


def _mean(of_image: Callable[[int], torch.Tensor], count: int) -> torch.Tensor:
    return torch.stack([of_image(index) for index in range(count)]).mean()
