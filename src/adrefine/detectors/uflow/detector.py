"""U-Flow: a normalizing flow over two scales, the coarse one first; written from the paper's equations."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from adrefine.detectors.base import Images
from adrefine.detectors.flow import trainable
from adrefine.detectors.on_places import OnPlaces, Standardized
from adrefine.detectors.trained import Log, batches, log_of
from adrefine.detectors.uflow.settings import Settings
from adrefine.errors import UserError
from adrefine.runtime import hardware, progress

_END = 0.4  # of the learning rate, at the last step (U-Flow)
_SPLIT = 8  # channels of the coarse scale are a multiple: halved, then four make one of twice the side
_WATCH = 25  # steps between two looks at the held-out likelihood
Latents = tuple[torch.Tensor, torch.Tensor]


class UFlowNet(Standardized):
    """Maps as two scales: the first half of the channels at the side of the grid, the others at half of it.

    The coarse flow's output is halved: one half is latent z2, the other goes up to twice the side and joins
    the fine maps; what the fine flow makes of both is latent z1.
    """

    def __init__(self, side: int, channels: int, blocks: int, clamp: float, seed: int) -> None:
        super().__init__(channels)
        self.side, self.fine = side // 2 * 2, channels // 2
        self.coarse = (channels - self.fine) // _SPLIT * _SPLIT
        if not self.coarse:
            raise UserError(
                f"uflow needs at least {2 * _SPLIT} channels of places, not {channels}: raise "
                "embed.places.components"
            )
        joined = self.fine + self.coarse // _SPLIT
        self.first = flow(self.coarse, self.side // 2, blocks, clamp, 2 * seed)
        self.second = flow(joined, self.side, blocks, clamp, 2 * seed + 1)

    def scales(self, maps: torch.Tensor) -> Latents:
        """Fine (b, c1, s, s) and coarse (b, c2, s / 2, s / 2) maps of stored ones (b, places, channels)."""
        grid = _grid(maps)
        planes = self.standard(maps).transpose(1, 2).unflatten(2, (grid, grid))
        planes = planes if grid == self.side else F.adaptive_avg_pool2d(planes, self.side)
        coarse = F.avg_pool2d(planes[:, self.fine : self.fine + self.coarse], 2)
        return planes[:, : self.fine], coarse

    def forward(self, maps: torch.Tensor) -> tuple[Latents, torch.Tensor]:
        """Latents z1 (b, c, s, s), z2 (b, c2 / 2, s / 2, s / 2), and log|det J| (b,)."""
        fine, coarse = self.scales(maps)
        deep, log_deep = self.first(coarse)
        z2, up = deep.chunk(2, dim=1)
        z1, log_fine = self.second(torch.cat([fine, F.pixel_shuffle(up, 2)], dim=1))
        return (z1, z2), log_deep + log_fine

    def values(self, maps: torch.Tensor) -> torch.Tensor:
        """−log of the mean over the scales of exp(−½ mean z²): as odd as 1 − that mean, which cannot tell
        what is far over 0 apart. At the places as they are stored."""
        latents, _ = self(maps)
        grid = _grid(maps)
        likely = [likelihood(z, grid) for z in latents]
        return -torch.stack(likely).mean(dim=0).clamp(min=1e-38).log().flatten(1)


class UFlow(OnPlaces):
    """U-Flow on the maps that `embed` keeps, with GLOW coupling blocks; not a reproduction.

    How long it learns is found by the likelihood of held-out photos: a flow that trains on learns its
    outliers.
    """

    title: ClassVar = "U-Flow"
    kind: ClassVar = Settings

    def build(self, shape: dict[str, int]) -> UFlowNet:
        s = self.settings
        return UFlowNet(shape["side"], shape["channels"], s.blocks, s.clamp, s.seed)

    def watch(self, learned: Images, held: Images) -> None:
        seen: list[float] = []
        best: dict[str, torch.Tensor] = {}
        maps = self.tensor(held, held.ids)

        def look() -> None:
            with torch.no_grad():
                seen.append(float(negative_log_likelihood(*self.ready()(maps))))
            if seen[-1] == min(seen):
                best.update(copy.deepcopy(self.ready().state_dict()))

        self._train(learned, self.steps, 0, look)
        if seen:
            self.ready().load_state_dict(best)
            self.steps = min(self.steps, _WATCH * (int(np.argmin(seen)) + 1))

    def learn(self, images: Images, steps: int, first: int = 0) -> Log:
        return self._train(images, steps, first)

    def _train(self, images: Images, steps: int, first: int, look: Callable[[], None] | None = None) -> Log:
        s, net = self.settings, self.ready()
        optimizer = torch.optim.Adam(trainable(net), lr=s.learning_rate, weight_decay=s.weight_decay)
        log: Log = []
        bar = progress.bar(total=steps, label="uflow", unit="step", transient=True)
        net.train()
        with bar, hardware.one_core_each():
            for ids in batches(images.ids, s.batch_size, steps, s.seed, first):
                for group in optimizer.param_groups:
                    group["lr"] = s.learning_rate * rate(first + len(log), s.steps)
                loss = negative_log_likelihood(*net(self.tensor(images, ids)))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                log.append({"nll": float(loss.detach())})
                bar.update()
                if look is not None and len(log) % _WATCH == 0:
                    look()
        net.eval()
        return log_of(log)


def _grid(maps: torch.Tensor) -> int:
    """Places a side of maps (b, places, channels); a number also where torch traces what happens to them."""
    return round(int(maps.shape[1]) ** 0.5)


def rate(step: int, steps: int) -> float:
    """Factor of the learning rate: from 1 down in a line to _END at `steps`, then that."""
    return max(_END, 1 - (1 - _END) * step / steps)


def negative_log_likelihood(latents: Latents, log_det: torch.Tensor) -> torch.Tensor:
    """Mean over the photos of Σ over scales of ½‖z‖² − log|det J|, divided by the number of dimensions.

    The sum is of each photo: anomalib 2.7's adds the squares of the whole batch.
    """
    squares = torch.stack([0.5 * z.square().flatten(1).sum(dim=1) for z in latents]).sum(dim=0)
    return (squares - log_det).mean() / sum(z[0].numel() for z in latents)


def likelihood(z: torch.Tensor, grid: int) -> torch.Tensor:
    """exp(−½ mean over the channels of z²) (b, grid, grid) of a latent (b, c, h, w)."""
    likely = torch.exp(-0.5 * z.square().mean(dim=1, keepdim=True))
    return F.interpolate(likely, (grid, grid), mode="bilinear", align_corners=False)[:, 0]


def flow(channels: int, side: int, blocks: int, clamp: float, seed: int) -> Any:
    """`blocks` GLOW coupling blocks on maps (b, channels, side, side), channels permuted at random before
    each; their subnets look at 3 x 3 places and at single ones in turn. It starts as the identity."""
    import FrEIA.framework as Ff
    import FrEIA.modules as Fm

    made = Ff.SequenceINN(channels, side, side)
    for block in range(blocks):
        made.append(Fm.PermuteRandom, seed=seed * 1000 + block)
        size = 1 if block % 2 else 3
        made.append(Fm.GLOWCouplingBlock, subnet_constructor=_subnet(size), clamp=clamp)
    return made


def _subnet(size: int) -> Callable[[int, int], nn.Module]:
    def construct(inputs: int, outputs: int) -> nn.Module:
        last = nn.Conv2d(inputs, outputs, size, padding=size // 2)
        nn.init.zeros_(last.weight)  # FrEIA's random start gives a huge first loss
        assert last.bias is not None
        nn.init.zeros_(last.bias)
        return nn.Sequential(nn.Conv2d(inputs, inputs, size, padding=size // 2), nn.ReLU(), last)

    return construct
