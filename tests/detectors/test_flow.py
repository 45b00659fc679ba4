"""The flow is invertible, its log-determinant is that of its Jacobian, and it starts as a permutation."""

from __future__ import annotations

import math

import pytest
import torch
from FrEIA.modules import GLOWCouplingBlock, PermuteRandom

from adrefine.detectors.flow import build_flow, latent_score, negative_log_likelihood, trainable

DIM, BLOCKS = 5, 3


@pytest.fixture
def flow() -> torch.nn.Module:
    """With weights far from the start, in float64."""
    made = build_flow(DIM, BLOCKS, hidden=8, layers=2, seed=1).double()
    generator = torch.Generator().manual_seed(0)
    for parameter in trainable(made):
        parameter.data = 0.5 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return made


@pytest.fixture
def rows() -> torch.Tensor:
    return torch.randn(6, DIM, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def test_log_det_is_that_of_the_jacobian(flow, rows):
    _, log_det = flow(rows)
    for row, value in zip(rows, log_det, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda x: flow(x[None])[0][0], row)
        torch.testing.assert_close(torch.linalg.slogdet(jacobian).logabsdet, value)
    assert log_det.abs().min() > 0.01


def test_the_flow_is_invertible(flow, rows):
    z, log_det = flow(rows)
    back, back_det = flow(z, rev=True)
    torch.testing.assert_close(back, rows)
    torch.testing.assert_close(back_det, -log_det)
    assert not torch.allclose(z.sort().values, rows.sort().values)


@torch.no_grad()
def test_a_new_flow_only_permutes(rows):
    z, log_det = build_flow(DIM, BLOCKS, hidden=8, layers=1, seed=0)(rows.float())
    torch.testing.assert_close(z.sort().values, rows.float().sort().values)
    assert not torch.equal(z, rows.float())
    assert log_det.tolist() == [0] * 6


def test_the_architecture_is_that_of_differnet():
    flow = build_flow(DIM, BLOCKS, hidden=16, layers=3, seed=0)
    kinds = [type(module) for module in flow.module_list]
    assert kinds == [PermuteRandom, GLOWCouplingBlock] * BLOCKS
    widths = [m.out_features for m in flow.module_list[1].subnet1 if isinstance(m, torch.nn.Linear)]
    assert widths[:3] == [16, 16, 16]
    assert len(widths) == 4
    assert {module.clamp for module in flow.module_list[1::2]} == {3.0}
    permutations = {tuple(module.perm.tolist()) for module in flow.module_list[::2]}
    assert len(permutations) > 1


def test_the_seed_decides_weights_and_permutations(rows):
    def state(seed: int) -> torch.Tensor:
        made = build_flow(DIM, BLOCKS, hidden=4, layers=1, seed=seed).state_dict()
        return torch.cat([value.flatten().double() for value in made.values()])

    first = state(3)
    torch.rand(7)
    assert torch.equal(state(3), first)
    assert not torch.equal(state(4), first)


def test_permutations_are_not_trained(flow):
    assert trainable(flow)
    assert all(parameter.is_floating_point() for parameter in trainable(flow))


def test_the_likelihood_is_that_of_a_gaussian_up_to_a_constant(rows):
    log_det = torch.arange(6, dtype=torch.float64)
    normal = torch.distributions.Normal(torch.zeros(()).double(), torch.ones(()).double())
    log_p = normal.log_prob(rows).sum(dim=1) + 0.5 * DIM * math.log(2 * math.pi) + log_det
    torch.testing.assert_close(negative_log_likelihood(rows, log_det), -log_p.mean() / DIM)


def test_the_latent_score_is_positive_and_one_on_the_training_distribution():
    z = torch.randn(4000, 8, generator=torch.Generator().manual_seed(0))
    scores = latent_score(z)
    assert scores.shape == (4000,)
    assert scores.min() > 0
    assert scores.mean() == pytest.approx(1, abs=0.05)
    torch.testing.assert_close(latent_score(3 * z), 9 * scores)
