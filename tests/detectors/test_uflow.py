"""U-Flow against its equations, on tiny cases."""

from __future__ import annotations

import math

import pytest
import torch

from adrefine.detectors.uflow.detector import UFlowNet, likelihood, negative_log_likelihood, rate

SIDE, CHANNELS = 4, 24


@pytest.fixture
def net() -> UFlowNet:
    """With weights that are not zero: at the start it is the identity but for permutations."""
    torch.manual_seed(0)
    made = UFlowNet(SIDE, CHANNELS, 2, 2.0, 0).double()
    for parameter in made.parameters():
        if parameter.is_floating_point() and parameter.requires_grad:
            parameter.data += 0.2 * torch.randn_like(parameter)
    return made


def maps(count: int) -> torch.Tensor:
    return torch.randn(count, SIDE**2, CHANNELS, generator=torch.Generator().manual_seed(1)).double()


def test_the_jacobian_is_that_of_the_whole(net: UFlowNet) -> None:
    """log|det J| against the determinant of the derivative of (z1, z2) by (fine, coarse)."""
    fine, coarse = net.scales(maps(1))
    sizes = fine.numel(), coarse.numel()

    def latents(x: torch.Tensor) -> torch.Tensor:
        parts = x.split(sizes)
        deep, _ = net.first(parts[1].view_as(coarse))
        z2, up = deep.chunk(2, dim=1)
        joined = torch.cat([parts[0].view_as(fine), torch.nn.functional.pixel_shuffle(up, 2)], dim=1)
        return torch.cat([net.second(joined)[0].flatten(), z2.flatten()])

    x = torch.cat([fine.flatten(), coarse.flatten()])
    _, log_det = net(maps(1))
    jacobian = torch.autograd.functional.jacobian(latents, x)
    assert jacobian.shape == (sum(sizes), sum(sizes)), "no dimension may be lost"
    assert float(torch.linalg.slogdet(jacobian)[1]) == pytest.approx(float(log_det), rel=1e-8)


def test_the_scales_are_halves_of_the_channels_the_coarse_one_at_half_the_side(net: UFlowNet) -> None:
    x = maps(2)
    fine, coarse = net.scales(x)
    assert (fine.shape, coarse.shape) == ((2, 12, 4, 4), (2, 8, 2, 2))
    assert torch.equal(fine[1, 3, 2, 1], x[1, 2 * SIDE + 1, 3])
    torch.testing.assert_close(coarse[0, 5, 1, 0], x[0, [8, 9, 12, 13], 12 + 5].mean())
    (z1, z2), _ = net(x)
    assert (z1.shape, z2.shape) == ((2, 12 + 1, 4, 4), (2, 4, 2, 2))


def test_the_loss_is_of_each_photo_not_of_the_batch(net: UFlowNet) -> None:
    """½‖z1‖² + ½‖z2‖² − log|det J|, mean over photos, over the number of dimensions."""
    latents, log_det = net(maps(3))
    total = 0.0
    for photo in range(3):
        squares = sum(float(z[photo].square().sum()) for z in latents)
        total += 0.5 * squares - float(log_det[photo])
    wanted = total / 3 / (13 * 16 + 4 * 4)
    assert float(negative_log_likelihood(latents, log_det)) == pytest.approx(wanted)
    alone = [float(negative_log_likelihood(*net(maps(3)[[photo]]))) for photo in range(3)]
    assert sum(alone) / 3 == pytest.approx(wanted)


def test_the_value_of_a_place_is_minus_log_of_the_mean_likelihood_of_both_scales(net: UFlowNet) -> None:
    x = maps(1)
    (z1, z2), _ = net(x)
    fine = math.exp(-0.5 * float(z1[0, :, 0, 0].square().mean()))
    coarse = math.exp(-0.5 * float(z2[0, :, 0, 0].square().mean()))  # a corner: nothing to interpolate
    assert float(net.values(x)[0, 0]) == pytest.approx(-math.log((fine + coarse) / 2))
    assert likelihood(torch.zeros(1, 2, 2, 2), 6).tolist() == torch.ones(1, 6, 6).tolist()


def test_the_rate_falls_in_a_line_to_four_tenths() -> None:
    assert [rate(step, 100) for step in (0, 50, 100, 130)] == pytest.approx([1, 0.7, 0.4, 0.4])
