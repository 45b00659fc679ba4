"""GLASS against its equations, on tiny cases."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from adrefine.detectors.glass.detector import GlassNet, ascended, changed_places, hard_focal, on_shell


def test_the_shell_is_between_r_and_2r_along_the_ray() -> None:
    centre = torch.tensor([[1.0, 1.0]] * 3)
    g = centre + torch.tensor([[0.1, 0.0], [0.0, 1.5], [3.0, 4.0]])
    found = on_shell(g, centre, 1.0) - centre
    torch.testing.assert_close(found, torch.tensor([[1.0, 0.0], [0.0, 1.5], [1.2, 1.6]]))


def test_the_ascent_makes_the_discriminator_more_wrong_and_stays_in_the_shell() -> None:
    """BCE(D(g), 1) rises with every step, along the gradient over its length (here −w / ‖w‖)."""
    line = nn.Linear(2, 1, bias=False)
    line.weight.data = torch.tensor([[3.0, 4.0]])
    u = torch.zeros(1, 2)
    noise = torch.tensor([[1.0, 0.0]])
    one = ascended(line, u, noise, 1, 0.1, 1.0)
    torch.testing.assert_close(one, on_shell(torch.tensor([[1 - 0.06, -0.08]]), u, 1.0))
    lengths = [ascended(line, u, noise, steps, 0.3, 1.0).norm() for steps in (0, 4, 20)]
    assert all(0.999 <= length <= 2.001 for length in lengths)
    logits = [float(line(ascended(line, u, noise, steps, 0.3, 1.0))) for steps in (0, 1, 2, 3)]
    assert logits == sorted(logits, reverse=True)


def test_focal_loss_of_the_harder_half() -> None:
    """(1 − p_t)^γ · −log p_t, mean over the pairs with squared error at least the median."""
    chance = torch.tensor([0.9, 0.2, 0.6, 0.4])
    target = torch.tensor([1.0, 0.0, 0.0, 1.0])
    wanted = (0.6**2 * -math.log(0.4) + 0.6**2 * -math.log(0.4)) / 2  # errors .1 and .2 are under the median
    assert float(hard_focal(chance.logit(), target, 2.0, 0.5)) == pytest.approx(wanted, rel=1e-5)
    every = [-(0.1**2) * math.log(0.9), -(0.2**2) * math.log(0.8), wanted, wanted]
    assert float(hard_focal(chance.logit(), target, 2.0, 0.0)) == pytest.approx(sum(every) / 4, rel=1e-5)


def test_a_place_is_defective_where_its_features_changed_or_changed_most() -> None:
    good = torch.zeros(2, 3, 4)
    twins = good.clone()
    twins[0, 1], twins[0, 2], twins[1, 0] = 1.0, 0.6, 0.1
    assert changed_places(good, twins, 0.25).tolist() == [[0, 1, 1], [1, 0, 0]]


def test_the_network_has_an_adaptor_and_a_discriminator_without_last_bias() -> None:
    net = GlassNet(6, 5).eval()
    maps = torch.randn(2, 3, 6, generator=torch.Generator().manual_seed(0))
    first, _, _, last = net.discriminator
    normed = net.discriminator[1](first(net.adaptor(maps.flatten(0, 1))))
    wanted = (torch.where(normed > 0, normed, 0.2 * normed) @ last.weight.T).view(2, 3)
    torch.testing.assert_close(net.values(maps), wanted)
    assert last.bias is None
