"""MAML against its equations written out by hand: with autograd, with differences, and as a plain loop."""

from __future__ import annotations

import pytest
import torch

from adrefine.detectors.flow import build_flow, negative_log_likelihood, trainable
from adrefine.detectors.maml import MetaLearner, adapted, draw_task, loss_of, meta_gradient
from adrefine.strategies.meta_iqr import MetaIqr

DIM, VIEWS = 5, 2
Weights = dict[str, torch.Tensor]


def settings(**changes) -> MetaIqr:
    return MetaIqr(**{"inner_lr": 0.2, "tasks": 2, "support": 3, "query": 4, **changes})


@pytest.fixture
def flow() -> torch.nn.Module:
    """With weights far from the start, in float64."""
    made = build_flow(DIM, 2, hidden=6, layers=2, seed=1).double()
    generator = torch.Generator().manual_seed(0)
    for parameter in trainable(made):
        parameter.data = 0.2 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return made


def rows(seed: int, count: int = 6) -> torch.Tensor:
    return torch.randn(count, DIM, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


TASKS = [(rows(1), rows(2)), (rows(3), rows(4))]


def weights_of(flow: torch.nn.Module) -> Weights:
    return {name: p.detach() for name, p in flow.named_parameters() if p.is_floating_point()}


def by_hand(flow: torch.nn.Module, params: MetaIqr) -> list[torch.Tensor]:
    """Eq. 1 and 2 on the flow's own parameters, without torch.func: the copy of the flow is θ'."""
    total = [torch.zeros_like(p) for p in trainable(flow)]
    for support, query in TASKS:
        names = [name for name, p in flow.named_parameters() if p.is_floating_point()]
        start = [p.detach().clone().requires_grad_() for p in trainable(flow)]
        theta = start
        for _ in range(params.inner_steps):
            slope = torch.autograd.grad(value(flow, names, theta, support), theta, create_graph=True)
            if params.first_order:
                slope = [s.detach() for s in slope]
            theta = [t - params.inner_lr * s for t, s in zip(theta, slope, strict=True)]
        outer = torch.autograd.grad(value(flow, names, theta, query), start)
        total = [t + s / len(TASKS) for t, s in zip(total, outer, strict=True)]
    return total


def value(
    flow: torch.nn.Module, names: list[str], theta: list[torch.Tensor], x: torch.Tensor
) -> torch.Tensor:
    """The loss of a 2-block flow, block by block as docs/methods.md 1 says."""
    w, log_det = dict(zip(names, theta, strict=True)), torch.zeros(len(x), dtype=x.dtype)
    for block in (0, 2):
        x = x[:, flow.module_list[block].perm]
        half = DIM // 2 if DIM % 2 == 0 else flow.module_list[block + 1].split_len1
        first, second = x[:, :half], x[:, half:]
        first, add = affine(w, f"module_list.{block + 1}.subnet2", second, first)
        second, more = affine(w, f"module_list.{block + 1}.subnet1", first, second)
        x, log_det = torch.cat([first, second], dim=1), log_det + add + more
    return (0.5 * x.square().sum(dim=1) - log_det).mean() / DIM


def affine(
    w: Weights, net: str, given: torch.Tensor, moved: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """An affine coupling with soft clamp 3: `moved` scaled and shifted as the subnet of `given` says."""
    hidden = given
    for layer in (0, 2):
        hidden = torch.relu(hidden @ w[f"{net}.{layer}.weight"].T + w[f"{net}.{layer}.bias"])
    out = hidden @ w[f"{net}.4.weight"].T + w[f"{net}.4.bias"]
    s, t = out.split(moved.shape[1], dim=1)
    s = 3.0 * 0.636 * torch.atan(s / 3.0)  # DifferNet eq. 2
    return moved * s.exp() + t, s.sum(dim=1)


@pytest.mark.parametrize("inner_steps", [1, 3])
@pytest.mark.parametrize("first_order", [False, True])
def test_the_meta_gradient_is_that_of_the_equations(flow, inner_steps, first_order):
    params = settings(inner_steps=inner_steps, first_order=first_order)
    found, loss = meta_gradient(loss_of(flow), weights_of(flow), TASKS, params)
    for name, expected in zip(weights_of(flow), by_hand(flow, params), strict=True):
        torch.testing.assert_close(found[name], expected)
    adapted_losses = [
        loss_of(flow)(adapted(loss_of(flow), weights_of(flow), support, params), query)
        for support, query in TASKS
    ]
    assert loss == pytest.approx(float(sum(adapted_losses)) / 2)


def test_the_second_order_gradient_is_the_slope_of_the_adapted_loss(flow):
    """By finite differences; the first-order one is not."""
    loss, weights = loss_of(flow), weights_of(flow)
    direction = {name: torch.randn_like(v) for name, v in weights.items()}

    def at(step: float, params: MetaIqr) -> float:
        moved = {name: v + step * direction[name] for name, v in weights.items()}
        return sum(float(loss(adapted(loss, moved, s, params), q)) for s, q in TASKS) / len(TASKS)

    def along(params: MetaIqr) -> float:
        slope, _ = meta_gradient(loss, weights, TASKS, params)
        return sum(float((slope[name] * direction[name]).sum()) for name in slope)

    second, first = settings(), settings(first_order=True)
    expected = (at(1e-6, second) - at(-1e-6, second)) / 2e-6
    assert along(second) == pytest.approx(expected, rel=1e-5)
    assert along(first) != pytest.approx(expected, rel=1e-2)


def test_without_an_inner_step_it_is_the_ordinary_gradient(flow):
    found, loss = meta_gradient(loss_of(flow), weights_of(flow), TASKS, settings(inner_lr=0))
    expected = sum(negative_log_likelihood(*flow(query)) for _, query in TASKS) / 2
    assert loss == pytest.approx(float(expected))
    for name, slope in zip(found, torch.autograd.grad(expected, trainable(flow)), strict=True):
        torch.testing.assert_close(found[name], slope)


def test_training_by_sgd_is_equation_1_and_2_step_by_step(flow):
    params = settings(optimizer="sgd", outer_lr=0.1, support_noise=0.3)
    inputs = rows(7, 14 * VIEWS).view(14, VIEWS, DIM)
    loss, theta, draws = loss_of(flow), weights_of(flow), torch.Generator().manual_seed(5)
    losses = []
    for _ in range(3):  # a step draws two tasks of 3 + 4 photos, as many as there are: an epoch
        tasks = [draw_task(inputs, params, 0.0, draws) for _ in range(2)]
        leaf = {name: v.clone().requires_grad_() for name, v in theta.items()}
        value = torch.zeros((), dtype=torch.float64)
        for support, query in tasks:
            slope = torch.autograd.grad(loss(leaf, support), list(leaf.values()), create_graph=True)
            after = {n: v - 0.2 * s for (n, v), s in zip(leaf.items(), slope, strict=True)}
            value = value + loss(after, query) / 2
        outer = torch.autograd.grad(value, list(leaf.values()))
        theta = {n: (v - 0.1 * s).detach() for (n, v), s in zip(leaf.items(), outer, strict=True)}
        losses.append(float(value.detach()))
    fixed = [p.clone() for p in flow.parameters() if not p.is_floating_point()]
    optimizer = torch.optim.SGD(trainable(flow), 0.1)
    learner = MetaLearner(flow, optimizer, torch.Generator().manual_seed(5), 0.0, params)
    log = learner.learn(inputs, 2) + learner.learn(inputs, 1)
    assert [row["train_nll"] for row in log] == pytest.approx(losses)
    for name, value in weights_of(flow).items():
        torch.testing.assert_close(value, theta[name])
    assert fixed
    for before, after in zip(fixed, (p for p in flow.parameters() if not p.is_floating_point()), strict=True):
        assert torch.equal(before, after)


def test_meta_learning_lowers_the_adapted_loss():
    flow = build_flow(DIM, 4, hidden=16, layers=1, seed=0)
    inputs = (rows(0, 40 * VIEWS) @ rows(1, DIM)).float().view(40, VIEWS, DIM)
    optimizer = torch.optim.Adam(trainable(flow), 1e-2)
    log = MetaLearner(flow, optimizer, torch.Generator().manual_seed(0), 0.0, settings()).learn(inputs, 15)
    assert log[-1]["train_nll"] < log[0]["train_nll"] - 0.3


@pytest.mark.parametrize(
    ("photos", "support", "query"), [(20, 3, 4), (7, 3, 4), (6, 3, 3), (4, 2, 2), (3, 1, 2), (2, 1, 1)]
)
def test_a_task_holds_different_photos_with_all_their_views(photos, support, query):
    inputs = torch.arange(photos).view(photos, 1, 1).expand(photos, VIEWS, DIM).double()
    s, q = draw_task(inputs, settings(support_noise=0), 0.0, torch.Generator().manual_seed(1))
    assert (len(s), len(q)) == (support * VIEWS, query * VIEWS)
    drawn = [*s[::VIEWS, 0].tolist(), *q[::VIEWS, 0].tolist()]
    assert len(set(drawn)) == support + query


@pytest.mark.parametrize(("own", "support_noise"), [(0.0, 0.0), (0.0, 0.5), (0.3, 0.4)])
def test_only_the_support_is_distorted_on_top_of_the_detectors_own_noise(own, support_noise):
    params = settings(support=500, query=500, support_noise=support_noise)
    inputs = torch.zeros(1000, VIEWS, DIM)
    s, q = draw_task(inputs, params, own, torch.Generator().manual_seed(0))
    assert q.std().item() == pytest.approx(own, rel=0.05)
    assert s.std().item() == pytest.approx((own**2 + support_noise**2) ** 0.5, rel=0.05)


def test_every_task_draws_its_views_anew(flow, monkeypatch):
    """META: a batch is 96 views, 4 of each photo, of all that are stored."""
    seen = []

    def spied(inputs, *rest):
        seen.append(inputs)
        return draw_task(inputs, *rest)

    monkeypatch.setattr("adrefine.detectors.maml.draw_task", spied)
    inputs = rows(3, 14 * 6).view(14, 6, DIM)
    learner = MetaLearner(
        flow, torch.optim.SGD(trainable(flow), 1e-3), torch.Generator().manual_seed(0), 0.0, settings(), 4
    )
    learner.learn(inputs, 2)
    assert {tuple(drawn.shape) for drawn in seen} == {(14, 4, DIM)}
    assert not torch.equal(seen[0], seen[1])
