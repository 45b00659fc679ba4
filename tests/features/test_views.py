"""Views: the first is the photo itself, turns are exact or nearly so, and every photo gets the same."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from adrefine.features.views import angle_of, transform, turn
from adrefine.params import Embed


@pytest.fixture(scope="module")
def photos() -> torch.Tensor:
    """Smooth, so that interpolation loses little: (3, 1, 48, 48) in .2 to .8, so that none saturates."""
    coarse = torch.rand(3, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(coarse, (48, 48), mode="bicubic").clamp(0, 1) * 0.6 + 0.2


def core(images: torch.Tensor) -> torch.Tensor:
    """The middle, which no turn moves out of the picture."""
    return images[..., 12:36, 12:36]


@pytest.mark.parametrize("rotate", [True, False])
def test_the_first_view_is_the_photo_itself(photos, rotate):
    assert torch.equal(transform(photos, 0, Embed(views=4, rotate=rotate)), photos)


@pytest.mark.parametrize("quarters", [0, 1, 2, 3, 4, -1])
def test_quarter_turns_of_squares_are_exact(photos, quarters):
    assert torch.equal(turn(photos, 90 * quarters), torch.rot90(photos, quarters, (2, 3)))


def test_a_quarter_turn_of_an_oblong_photo_keeps_its_shape(photos):
    oblong = photos[..., :30]
    assert turn(oblong, 90).shape == oblong.shape
    assert torch.equal(turn(oblong, 180), torch.rot90(oblong, 2, (2, 3)))


@settings(max_examples=25, deadline=None)
@given(st.floats(-400, 400))
def test_turning_back_returns_the_middle(photos, degrees):
    back = turn(turn(photos, degrees), -degrees)
    assert (core(back) - core(photos)).abs().max() < 0.06


@pytest.mark.parametrize("degrees", [0.01, 89.99, 90.01, 179.99])
def test_a_turn_has_one_sense_near_and_at_the_exact_angles(photos, degrees):
    exact = turn(photos, round(degrees / 90) * 90)
    assert (core(turn(photos, degrees)) - core(exact)).abs().max() < 0.01


@pytest.mark.parametrize("view", range(1, 5))
def test_every_photo_gets_the_same_transformation_and_stays_in_range(photos, view):
    together = transform(photos, view, Embed(views=5))
    alone = torch.cat([transform(photo[None], view, Embed(views=5)) for photo in photos])
    torch.testing.assert_close(together, alone)
    assert together.min() >= 0
    assert together.max() <= 1
    assert not torch.equal(together, photos)


def test_views_differ_from_each_other_also_without_turns(photos):
    views = torch.stack([transform(photos, view, Embed(views=6, rotate=False)) for view in range(6)])
    distances = torch.cdist(views.flatten(1), views.flatten(1))
    assert distances[~torch.eye(6, dtype=torch.bool)].min() > 0.1


@pytest.mark.parametrize("view", range(4))
def test_without_light_a_view_is_a_turn_and_nothing_else(photos, view):
    assert torch.equal(transform(photos, view, Embed(views=4, light=0)), torch.rot90(photos, view, (2, 3)))


def test_angles_divide_the_circle_or_are_nought():
    assert [angle_of(view, 4, True) for view in range(4)] == [0, 90, 180, 270]
    assert {angle_of(view, 4, False) for view in range(4)} == {0}


def test_gradients_pass_through_every_view(photos):
    seen = photos.clone().requires_grad_()
    transform(seen, 1, Embed(views=3)).sum().backward()
    assert core(seen.grad).abs().min() > 0
