"""When a set is turned, and what it says otherwise."""

from __future__ import annotations

from math import pi

import numpy as np
import pytest

from adrefine.ingestion import decision
from adrefine.ingestion.decision import AUTO, PART, STRETCH, Decision, decide
from adrefine.ingestion.pose import CUT, NOTHING, Pose

ANGLES = np.linspace(-pi, pi, 21)[1:]


def parts(
    angles: np.ndarray = ANGLES, ratio: float = 4.0, length: float = 0.8, width: float = 0.2
) -> list[Pose]:
    return [Pose("", 0.5, 0.5, float(angle), length, width, ratio) for angle in angles]


def thumbnails(n: int, alike: float, seed: int = 0) -> np.ndarray:
    """(n, 256) unit vectors of mean 0 whose mean correlation is about `alike`."""
    rng = np.random.default_rng(seed)
    rows = np.sqrt(alike) * rng.standard_normal(256) + np.sqrt(1 - alike) * rng.standard_normal((n, 256))
    rows -= rows.mean(axis=1, keepdims=True)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def auto(poses: list[Pose], before: float = 0.2, after: float = 0.9) -> Decision:
    return decide(AUTO, poses, thumbnails(len(poses), before), thumbnails(len(poses), after))


def test_parts_at_any_angle_are_turned() -> None:
    found = auto(parts())
    assert (found.fit, found.aspect) == (PART, 0)
    assert found.reason.startswith(
        "the parts lie at different angles (circular variance 1.00), and turned photos agree better "
        "(correlation 0."
    )
    assert found.figures["found"] == 1
    assert found.figures["agreement_after"] == pytest.approx(0.9, abs=0.05)


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (
            auto([*parts()[:17], Pose(NOTHING), Pose(NOTHING), Pose(CUT)]),
            "a part was found in 17 of 20 training",
        ),
        (auto([Pose(NOTHING)] * 20), "no part was found in any photo"),
        (auto([]), "no part was found in any photo"),
        (auto(parts()[:7]), "7 training photos are too few to tell, 8 are needed"),
        (auto(parts(ratio=1.2)), "the parts have no clear axis (ratio 1.20)"),
        (auto(parts(ANGLES / 20)), "the parts lie alike (circular variance 0.02)"),
        (auto(parts(np.where(ANGLES > 0, 0.3, 0.3 - pi))), "the parts lie alike (circular variance 0.00)"),
        (auto(parts(), 0.9, 0.9), "turned photos would not agree better (correlation 0.9"),
        (auto(parts(), 0.9, 0.5), "turned photos would not agree better (correlation 0.9"),
    ],
)
def test_everything_else_is_left_alone_with_a_reason(found: Decision, says: str) -> None:
    assert found.fit == STRETCH
    assert found.reason.startswith(says)


def test_a_few_photos_without_part_or_axis_change_nothing() -> None:
    poses = [*parts()[:18], Pose(NOTHING), Pose(CUT)]
    assert auto(poses).fit == PART
    assert auto(parts()[:19] + parts(ANGLES[:1], ratio=1.1)).fit == PART


def test_part_turns_whatever_the_angles_where_there_is_a_part() -> None:
    alike = [*parts(ANGLES * 0, ratio=1.1), Pose(NOTHING)]
    assert decide(PART, alike, thumbnails(21, 0.9), thumbnails(21, 0.5)).fit == PART
    assert decide(PART, [Pose(CUT)], thumbnails(1, 0), thumbnails(1, 0)).fit == STRETCH


def test_agreement_is_the_mean_correlation_of_two_photos() -> None:
    rows = thumbnails(6, 0.5)
    pairs = [float(rows[i] @ rows[j]) for i in range(6) for j in range(6) if i != j]
    assert decision.agreement(rows) == pytest.approx(np.mean(pairs))
    assert decision.agreement(rows[:1]) == 0


def test_circular_variance_by_hand() -> None:
    quarter = decision.measure(parts(np.array([0.0, pi / 2])))
    assert quarter["circular_variance"] == 1
    half = decision.measure(parts(np.array([0.0, 0.0, 0.0, pi / 2])))
    assert half["circular_variance"] == 0.5


def test_parts_of_different_proportions_share_a_box_in_steps() -> None:
    assert decision.common_aspect(parts()) == 0
    mixed = parts(ANGLES[:10], length=0.8, width=0.25) + parts(ANGLES[10:], length=0.8, width=0.2)
    assert decision.common_aspect(mixed) == 4
    assert decision.common_aspect(parts(length=0.8, width=0.25)[:9] + mixed) == pytest.approx(2 * 2**0.5)
