"""The normalizing flow of DifferNet (Rudolph et al. 2021; IRP eq. 2-3) on vectors, built on FrEIA."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

CLAMP = 3.0  # α of DifferNet: log scales of a coupling stay within it


def build_flow(
    dim: int, blocks: int, hidden: int, layers: int, seed: int, clamp_slope: float = 1.0
) -> nn.Module:
    """`blocks` GLOW-type affine coupling blocks, a fixed random permutation before each (docs/methods.md 1).

    Args:
        dim: size of the vectors. blocks: coupling blocks. hidden, layers: units and number of each subnet's
            hidden layers (DifferNet: 2048 units, 3 layers).
        seed: decides permutations and weights. clamp_slope: see `soft_clamp`.

    Returns:
        A module: x (n, dim) -> z (n, dim), log|det J| (n,). It starts as the identity up to permutations.
    """
    import FrEIA.framework as Ff
    import FrEIA.modules as Fm

    torch.manual_seed(seed)
    flow = Ff.SequenceINN(dim)
    for block in range(blocks):
        flow.append(Fm.PermuteRandom, seed=seed * 1000 + block)
        flow.append(
            Fm.GLOWCouplingBlock,
            subnet_constructor=_subnet(hidden, layers),
            clamp=CLAMP,
            clamp_activation=soft_clamp(clamp_slope),
        )
    return flow


def soft_clamp(slope: float) -> Callable[[torch.Tensor], torch.Tensor]:
    """σ of DifferNet (Rudolph et al. 2021, eq. 2) over α: 0.636 · atan(slope · s / α).

    With slope 1 it is DifferNet's, α · 0.636 · atan(s / α), where log scales start with slope 0.636. FrEIA's
    own leaves α out of the arctangent: slope 3, for an α of 3.
    """
    factor = slope / CLAMP
    return lambda s: 0.636 * torch.atan(factor * s)


def _subnet(hidden: int, layers: int) -> Callable[[int, int], nn.Module]:
    def construct(inputs: int, outputs: int) -> nn.Module:
        steps: list[nn.Module] = []
        for size in [inputs, *[hidden] * (layers - 1)]:
            steps += [nn.Linear(size, hidden), nn.ReLU()]
        last = nn.Linear(hidden, outputs)
        nn.init.zeros_(last.weight)  # FrEIA's random start gives a first loss of 1e5
        nn.init.zeros_(last.bias)
        return nn.Sequential(*steps, last)

    return construct


def trainable(flow: nn.Module) -> list[nn.Parameter]:
    """The parameters to optimize: FrEIA's permutations are int64 parameters and must be left out."""
    return [p for p in flow.parameters() if p.requires_grad and p.is_floating_point()]


def adam(flow: nn.Module, learning_rate: float, weight_decay: float) -> torch.optim.Optimizer:
    """Adam with DifferNet's constants (docs/methods.md 1)."""
    return torch.optim.Adam(
        trainable(flow),
        lr=learning_rate,
        betas=(0.8, 0.8),
        eps=1e-4,
        weight_decay=weight_decay,
        fused=True,  # the same numbers in a third of the time
    )


def negative_log_likelihood(z: torch.Tensor, log_det: torch.Tensor) -> torch.Tensor:
    """Mean of 0.5·‖z‖² − log|det J| over rows (n, dim), divided by dim (docs/methods.md 1)."""
    return row_nll(z, log_det).mean() / z.shape[1]


def row_nll(z: torch.Tensor, log_det: torch.Tensor) -> torch.Tensor:
    """0.5·‖z‖² − log|det J| of each row: (n, dim), (n,) -> (n,)."""
    return 0.5 * (z**2).sum(dim=1) - log_det


def latent_score(z: torch.Tensor) -> torch.Tensor:
    """Mean of z² over the dimensions: (n, dim) -> (n,), positive and about 1 on the training distribution.

    IRP eq. 1 and 4 write log p; with that sign, or with a likelihood that can be negative, λ × median has no
    meaning, so every threshold that is a multiple of the median uses this score.
    """
    return (z**2).mean(dim=1)
