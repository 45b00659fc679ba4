"""Every loss against its equation, written as loops over images, channels and positions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from adrefine.detectors.efficientad import losses

B, C, H, W = 2, 3, 4, 5


def maps(seed: int, spread: float = 1.0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Two random maps and a mask with a few True in the first image, none in the second."""
    rng = torch.Generator().manual_seed(seed)
    first, second = (spread * torch.randn(B, C, H, W, generator=rng, dtype=torch.float64) for _ in "ab")
    mask = torch.zeros(B, H, W, dtype=torch.bool)
    mask[0, 1:3, 2:4] = True
    return first, second, mask


def places(mask: torch.Tensor, image: int, defective: bool) -> list[tuple[int, int]]:
    return [(y, x) for y in range(H) for x in range(W) if bool(mask[image, y, x]) == defective]


@pytest.mark.parametrize("p_hard", [0.0, 0.5, 0.9, 0.999])
def test_hard_feature_is_the_mean_of_the_largest(p_hard):
    teacher, student, mask = maps(0)
    of_images = []
    for i in range(B):
        squares = [
            float((teacher[i, c, y, x] - student[i, c, y, x]) ** 2)
            for c in range(C)
            for y, x in places(mask, i, False)
        ]
        squares.sort(reverse=True)
        count = max(1, round((1 - p_hard) * len(squares)))
        of_images.append(sum(squares[:count]) / count)
    found = losses.hard_feature(teacher, student, mask, p_hard)
    assert float(found) == pytest.approx(sum(of_images) / B)


def test_squared_error_is_the_mean_over_channels_and_normal_positions():
    first, second, mask = maps(1)
    of_images = []
    for i in range(B):
        total, count = 0.0, 0
        for c in range(C):
            for y, x in places(mask, i, False):
                total += float((first[i, c, y, x] - second[i, c, y, x]) ** 2)
                count += 1
        of_images.append(total / count)
    assert float(losses.squared_error(first, second, mask)) == pytest.approx(sum(of_images) / B)


def test_out_of_distribution_is_the_mean_square():
    student = maps(2)[0]
    total = sum(float(value) ** 2 for value in student.flatten())
    assert float(losses.out_of_distribution(student)) == pytest.approx(total / student.numel())


def unit(values: torch.Tensor) -> list[float]:
    length = math.sqrt(sum(float(value) ** 2 for value in values))
    return [float(value) / length for value in values]


def distance(teacher: torch.Tensor, student: torch.Tensor, i: int, y: int, x: int) -> float:
    """Equation 4.5."""
    pairs = zip(unit(teacher[i, :, y, x]), unit(student[i, :, y, x]), strict=True)
    return sum((a - b) ** 2 for a, b in pairs)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_collaborative_discrepancy_is_equation_4_9(gamma):
    teacher, student, mask = maps(3)
    of_images = []
    for i in range(B):
        normal = [distance(teacher, student, i, y, x) for y, x in places(mask, i, False)]
        defective = [distance(teacher, student, i, y, x) for y, x in places(mask, i, True)]
        above, below = 0.0, 0.0
        for d in normal:
            weight = (d / (sum(normal) / len(normal))) ** gamma
            above, below = above + weight * d, below + weight
        for d in defective:
            weight = (d / (sum(defective) / len(defective))) ** -gamma
            above, below = above - weight * d, below + weight
        of_images.append(above / below)
    found = losses.collaborative_discrepancy(teacher, student, mask, gamma)
    assert float(found) == pytest.approx(sum(of_images) / B)


def test_the_ring_counts_neither_as_normal_nor_as_defective():
    teacher, student, mask = maps(3)
    ring = torch.zeros_like(mask)
    ring[0, 0, 2:4] = ring[0, 3, 2] = True
    plain = losses.collaborative_discrepancy(teacher, student, mask, 2.0, torch.zeros_like(mask))
    assert float(plain) == float(losses.collaborative_discrepancy(teacher, student, mask, 2.0))
    found = losses.collaborative_discrepancy(teacher, student, mask, 2.0, ring)
    changed = torch.where(ring[:, None], student + 5, student)
    assert float(losses.collaborative_discrepancy(teacher, changed, mask, 2.0, ring)) == float(found)
    assert float(found) != float(plain)


def test_its_gradient_pulls_normal_positions_and_pushes_defective_ones():
    teacher, student, mask = maps(4)
    student.requires_grad_()
    losses.collaborative_discrepancy(teacher, student, mask, 2.0).backward()
    with torch.no_grad():
        before = losses.discrepancy(teacher, student)
        after = losses.discrepancy(teacher, student - 0.01 * student.grad)
    assert (after[0][mask[0]] > before[0][mask[0]]).all()
    assert (after[0][~mask[0]] < before[0][~mask[0]]).all()


@given(st.integers(0, 10**6), st.floats(1e-6, 1e6), st.floats(0, 4))
@settings(max_examples=20, deadline=None)
def test_cdo_stays_between_its_bounds_whatever_the_features(seed, spread, gamma):
    teacher, student, mask = maps(seed, spread)
    found = float(losses.collaborative_discrepancy(teacher, student, mask, gamma))
    assert -4 <= found <= 4
    alike = float(losses.collaborative_discrepancy(teacher, teacher, mask, gamma))
    assert np.isfinite(alike)
    assert alike == pytest.approx(0, abs=1e-9)


def test_an_image_that_is_all_defect_teaches_only_to_stay_away():
    teacher, student, _ = maps(5)
    student.requires_grad_()
    mask = torch.ones(B, H, W, dtype=torch.bool)
    for found in (
        losses.hard_feature(teacher, student, mask, 0.9),
        losses.squared_error(teacher, student, mask),
    ):
        assert float(found.detach()) == 0
        (gradient,) = torch.autograd.grad(found, student)
        assert not gradient.any()
    assert float(losses.collaborative_discrepancy(teacher, student, mask, 1.0).detach()) < 0


def test_a_defect_does_not_count_in_what_is_imitated():
    teacher, student, mask = maps(6)
    other = student.clone()
    other[0][:, mask[0]] += 100
    assert losses.hard_feature(teacher, student, mask, 0.9) == losses.hard_feature(teacher, other, mask, 0.9)
    assert losses.squared_error(teacher, student, mask) == losses.squared_error(teacher, other, mask)
