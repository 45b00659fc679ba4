"""Model-agnostic meta-learning of a flow (MAML, Finn et al. 2017; META, Aqeel et al. 2025, sect. 3.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

import torch
from torch.func import functional_call, grad, grad_and_value

from adrefine.detectors.flow import adam, negative_log_likelihood, trainable
from adrefine.detectors.on_features import some_views

if TYPE_CHECKING:
    from adrefine.strategies.meta_iqr import MetaIqr

Weights = dict[str, torch.Tensor]
Loss = Callable[[Weights, torch.Tensor], torch.Tensor]


def loss_of(flow: torch.nn.Module) -> Loss:
    """L(rows, θ): negative log-likelihood of rows (n, dim) under `flow` with weights θ for its own."""

    def loss(weights: Weights, rows: torch.Tensor) -> torch.Tensor:
        return negative_log_likelihood(*functional_call(flow, weights, (rows,)))

    return loss


def adapted(loss: Loss, weights: Weights, support: torch.Tensor, params: MetaIqr) -> Weights:
    """θ' = θ − α ∇L(S, θ), `inner_steps` times (eq. 1).

    `first_order` takes the gradient as a constant, so that what is learned through θ' leaves out ∇².
    """
    for _ in range(params.inner_steps):
        slope = grad(loss)(weights, support)
        if params.first_order:
            slope = {name: value.detach() for name, value in slope.items()}
        weights = {name: value - params.inner_lr * slope[name] for name, value in weights.items()}
    return weights


def meta_gradient(
    loss: Loss, weights: Weights, tasks: list[tuple[torch.Tensor, torch.Tensor]], params: MetaIqr
) -> tuple[Weights, float]:
    """∇θ of the mean of L(Q, θ') over the tasks (S, Q), and that mean (eq. 2)."""
    total = {name: torch.zeros_like(value) for name, value in weights.items()}
    value = 0.0
    for support, query in tasks:

        def outer(
            weights: Weights, support: torch.Tensor = support, query: torch.Tensor = query
        ) -> torch.Tensor:
            return loss(adapted(loss, weights, support, params), query)

        slope, mean_loss = grad_and_value(outer)(weights)
        for name in total:
            total[name] += slope[name] / len(tasks)
        value += float(mean_loss) / len(tasks)
    return total, value


def outer_optimizer(flow: torch.nn.Module, params: MetaIqr, weight_decay: float) -> torch.optim.Optimizer:
    """What turns β ∇ of eq. 2 into a step: that itself (sgd), or Adam, as DifferNet and MAML's authors use.

    The loss is one per dimension: with META's β alone it hardly moves.
    """
    if params.optimizer == "sgd":
        return torch.optim.SGD(trainable(flow), params.outer_lr)
    return adam(flow, params.outer_lr, weight_decay)


@dataclass
class MetaLearner:
    """Moves a flow's weights along the meta-gradient; every step draws new tasks. It can stop and go on.

    feature_noise: deviation of the detector's own noise, on support and query; `params.support_noise`
        distorts the support on top of it. views: of each photo, drawn anew for every task; 0: all.
    """

    flow: torch.nn.Module
    optimizer: torch.optim.Optimizer
    generator: torch.Generator
    feature_noise: float
    params: MetaIqr
    views: int = 0

    def learn(self, inputs: torch.Tensor, epochs: int) -> list[dict[str, float]]:
        """Learn (n, views, dim) flow inputs of n photos, two or more.

        An epoch is as many steps as it takes to draw n photos.

        Returns:
            One row per epoch: the mean of L(Q, θ') as train_nll.
        """
        drawn = self.params.tasks * sum(_sizes(len(inputs), self.params))
        log = []
        for epoch in range(epochs):
            values = [self._step(inputs) for _ in range(ceil(len(inputs) / drawn))]
            log.append({"epoch": epoch, "train_nll": sum(values) / len(values), "holdout_nll": float("nan")})
        self.optimizer.zero_grad()
        return log

    def _step(self, inputs: torch.Tensor) -> float:
        """θ ← θ − β ∇ of the mean of L(Q, θ') (eq. 2), β ∇ as the optimizer makes it; that mean before it."""
        tasks = [
            draw_task(seen, self.params, self.feature_noise, self.generator)
            for seen in (some_views(inputs, self.views, self.generator) for _ in range(self.params.tasks))
        ]
        weights = {name: value for name, value in self.flow.named_parameters() if value.is_floating_point()}
        here = {name: value.detach() for name, value in weights.items()}
        slope, value = meta_gradient(loss_of(self.flow), here, tasks, self.params)
        for name, weight in weights.items():
            weight.grad = slope[name]
        self.optimizer.step()
        return value


def draw_task(
    inputs: torch.Tensor, params: MetaIqr, feature_noise: float, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """One task (S, Q): the rows (photos · views, dim) of different photos of (n, views, dim) `inputs`."""
    support, query = _sizes(len(inputs), params)
    chosen = torch.randperm(len(inputs), generator=generator).to(inputs.device)
    distortion = (feature_noise**2 + params.support_noise**2) ** 0.5  # of two independent noises
    return (
        _with_noise(inputs[chosen[:support]].flatten(0, 1), distortion, generator),
        _with_noise(inputs[chosen[support : support + query]].flatten(0, 1), feature_noise, generator),
    )


def _sizes(photos: int, params: MetaIqr) -> tuple[int, int]:
    """Photos in support and query: as asked, or what a small training set can give to both."""
    support = min(params.support, max(1, photos // 2))
    return support, min(params.query, photos - support)


def _with_noise(rows: torch.Tensor, deviation: float, generator: torch.Generator) -> torch.Tensor:
    if not deviation:
        return rows
    return rows + deviation * torch.randn(rows.shape, generator=generator).to(rows.device)
