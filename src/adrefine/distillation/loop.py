"""The training loop (EAD Algorithm 1, lines 12-31)."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from adrefine.backbones.pdn import Pdn
from adrefine.distillation.checkpoint import Checkpoints, constant_steps
from adrefine.distillation.images import Pair, Sampler, whole
from adrefine.distillation.target import Target
from adrefine.params import PretrainPdn
from adrefine.runtime import hardware, progress
from adrefine.runtime.gradients import accumulate
from adrefine.runtime.threads import in_order, workers

CHECKPOINT_EVERY = 50  # steps
# On a CPU the activations of two images stay in the cache: twice the throughput of sixteen.
_CHUNK = {"cpu": 2, "cuda": 4096}


def learning_rate(step: int, params: PretrainPdn) -> float:
    """Constant, then a straight line to 0 over the last `decay` share of the steps (EAD: constant)."""
    constant = constant_steps(params.steps, params.decay)
    return params.learning_rate * (
        1.0 if step < constant else (params.steps - step) / (params.steps - constant)
    )


class Distillation:
    """A PDN on its way: network, optimizer, loss of every step; `run` brings it to `params.steps`."""

    def __init__(self, net: Pdn, target: Target, params: PretrainPdn) -> None:
        self.device, self.dtype = target.engine.device, target.engine.dtype
        self.net = net.to(self.device).to(memory_format=torch.channels_last).train()
        self.target, self.params = target.to(self.device), params
        self.weights = list(self.net.parameters())
        self.optimizer = torch.optim.Adam(
            self.weights, lr=params.learning_rate, weight_decay=params.weight_decay
        )
        self.losses: list[float] = []
        self.images_per_second = 0.0  # of the steps that this process did; 0: none

    @property
    def step(self) -> int:
        """Steps done."""
        return len(self.losses)

    def run(
        self,
        sampler: Sampler,
        checkpoints: Checkpoints,
        every: int = CHECKPOINT_EVERY,
        watch: Callable[[Distillation], None] | None = None,
    ) -> None:
        """Do the steps that are left; a checkpoint (and a call of `watch`) after each `every` of them."""
        size, left = self.params.batch_size, range(self.step, self.params.steps)
        start = time.perf_counter()
        bar = progress.bar(total=self.params.steps, done=self.step, label="pretrain_pdn", unit="step")
        with bar, workers() as pool, ThreadPoolExecutor(hardware.cores()) as readers:
            for pair in in_order(readers, lambda step: sampler.batch(step, size), left, hardware.cores() + 1):
                self.losses.append(self._learn(pair, pool))
                bar.update()
                bar.set_postfix(loss=f"{self.losses[-1]:.3f}", refresh=False)
                if self.step % every == 0 or self.step == self.params.steps:
                    checkpoints.save(self.state())
                    if watch:
                        watch(self)
        if left:
            self.images_per_second = len(left) * size / (time.perf_counter() - start)

    def state(self) -> dict[str, Any]:
        """All that the next step depends on."""
        return {
            "step": self.step,
            "net": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "losses": torch.tensor(self.losses, dtype=torch.float64),
            "mean": self.target.mean,
            "std": self.target.std,
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.losses = state["losses"].tolist()
        self.target.normalize_by(state["mean"], state["std"])

    def loss(self, small: torch.Tensor, large: torch.Tensor) -> torch.Tensor:
        """Mean squared difference of the network's map and the normalized features (lines 19-24)."""
        small, large = (
            images.to(self.device, non_blocking=True).float().div(255) for images in (small, large)
        )
        wanted = self.target(large)
        small = small.contiguous(memory_format=torch.channels_last)
        # Without the cache, which threads would share.
        half = self.dtype != torch.float32
        with torch.autocast(self.device.type, dtype=self.dtype, enabled=half, cache_enabled=False):
            output = self.net(small)
        return F.mse_loss(output.float(), wanted)

    def _learn(self, pair: Pair, pool: ThreadPoolExecutor) -> float:
        """One step of Adam."""

        def loss(chunk: Pair) -> tuple[torch.Tensor, float]:
            part = self.loss(*chunk) * (len(chunk[0]) / size)
            return part, part.item()

        size, most = len(pair[0]), _CHUNK[self.device.type]
        chunks = zip(pair[0].split(most), pair[1].split(most), strict=True)
        told = accumulate(self.weights, chunks, loss, pool)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, self.params)
        self.optimizer.step()
        return sum(told)


@torch.no_grad()
def held_out_loss(run: Distillation, paths: list[Path], side: int) -> float:
    """Mean loss on whole images that are not trained on; 1: no better than each channel's mean."""

    def one(path: Path) -> float:
        with torch.no_grad():  # of this thread
            return run.loss(whole(path, side)[None], whole(path, 2 * side)[None]).item()

    with workers() as pool:
        return sum(in_order(pool, one, paths)) / len(paths)
