"""GLASS: a discriminator of features, of noise pushed away from them, and of synthetic defects."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from adrefine.detectors.base import Images
from adrefine.detectors.glass.settings import Settings
from adrefine.detectors.on_places import OnPlaces, Standardized
from adrefine.detectors.trained import Log, batches, log_of
from adrefine.manifest import synthetic_id
from adrefine.runtime import hardware, progress
from adrefine.runtime.seeds import derived_seed

_EVERY = 5  # steps of the ascent between two projections (GLASS)
_TINY = 1e-12


class GlassNet(Standardized):
    """Adaptor A, one linear layer; discriminator D, two: its logit is over 0 where a place looks odd."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__(channels)
        self.adaptor = nn.Linear(channels, channels)
        nn.init.xavier_normal_(self.adaptor.weight)
        last = nn.Linear(hidden, 1, bias=False)
        layers = (nn.Linear(channels, hidden), nn.BatchNorm1d(hidden), nn.LeakyReLU(0.2), last)
        self.discriminator = nn.Sequential(*layers)

    def adapted(self, maps: torch.Tensor) -> torch.Tensor:
        """u (b · places, channels) of maps (b, places, channels)."""
        adapted: torch.Tensor = self.adaptor(self.standard(maps).flatten(0, 1))
        return adapted

    def values(self, maps: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.discriminator(self.adapted(maps)).view(maps.shape[:2])
        return logits


class Glass(OnPlaces):
    """GLASS in its manifold form, on the maps that `embed` keeps; not a reproduction.

    Synthetic defects are those of `synthesize`, not textures of DTD. A place counts as defective where the
    defect changed what the backbone sees there: maps are kept, masks are not.
    """

    title: ClassVar = "GLASS"
    kind: ClassVar = Settings

    def build(self, shape: dict[str, int]) -> GlassNet:
        return GlassNet(shape["channels"], self.settings.hidden)

    def learn(self, images: Images, steps: int, first: int = 0) -> Log:
        s, net = self.settings, self.ready()
        optimizer = torch.optim.AdamW(
            [
                {"params": net.discriminator.parameters(), "lr": s.learning_rate},
                {"params": net.adaptor.parameters(), "lr": s.learning_rate / 2},  # GLASS: 2e-4 and 1e-4
            ],
            weight_decay=s.weight_decay,
        )
        log: Log = []
        bar = progress.bar(total=steps, label="glass", unit="step", transient=True)
        with bar, hardware.one_core_each():
            for ids in batches(images.ids, s.batch_size, steps, s.seed, first):
                generator = _generator(s.seed, first + len(log), self.device)
                parts = self.losses(images, ids, generator)
                optimizer.zero_grad()
                torch.stack(list(parts.values())).sum().backward()
                optimizer.step()
                log.append({name: float(value.detach()) for name, value in parts.items()})
                bar.update()
        net.eval()
        return log_of(log)

    def losses(
        self, images: Images, ids: tuple[str, ...], generator: torch.Generator
    ) -> dict[str, torch.Tensor]:
        """The three branches: normal places, global anomalies (GAS), local ones (LAS)."""
        s, net = self.settings, self.ready()
        maps = self.tensor(images, ids)
        u = net.adapted(maps)
        noise = s.noise * torch.randn(u.shape, generator=generator, device=u.device)
        pushed = ascended(net.discriminator.eval(), u.detach(), noise, s.ascent, s.stride, s.radius)
        net.train()
        good, odd = net.discriminator(u)[:, 0], net.discriminator(pushed)[:, 0]
        zero, one = torch.zeros_like(good), torch.ones_like(odd)
        parts = {
            "normal": F.binary_cross_entropy_with_logits(good, zero),
            "global": F.binary_cross_entropy_with_logits(odd, one),
        }
        store = self.store(images)
        paired = [place for place, name in enumerate(ids) if store.has([synthetic_id(name)])]
        if paired:
            twins = self.tensor(images, [synthetic_id(ids[place]) for place in paired])
            target = changed_places(net.standard(maps[paired]), net.standard(twins), s.changed).flatten()
            logits = net.discriminator(net.adapted(twins))[:, 0]
            parts["local"] = hard_focal(logits, target, s.gamma, s.hardest)
        return parts


def ascended(
    discriminator: nn.Module, u: torch.Tensor, noise: torch.Tensor, steps: int, stride: float, radius: float
) -> torch.Tensor:
    """Global anomalies g (n, c): u plus noise, pushed by gradient ascent to where D is most wrong about them.

    Every _EVERY steps, and at the end, each g is brought to the shell between `radius` and twice that about
    its u (GLASS, manifold hypothesis).
    """
    g = u + noise
    for step in range(steps):
        g = g.detach().requires_grad_()
        logits = discriminator(g)[:, 0]
        wrong = F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits), reduction="sum")
        (slope,) = torch.autograd.grad(wrong, g)
        g = g.detach() + stride * slope / slope.norm(dim=1, keepdim=True).clamp(min=_TINY)
        if (step + 1) % _EVERY == 0:
            g = on_shell(g, u, radius)
    return on_shell(g, u, radius).detach()


def on_shell(g: torch.Tensor, centre: torch.Tensor, radius: float) -> torch.Tensor:
    """Each g (n, c) moved along its ray from `centre` to a distance between `radius` and twice that."""
    away = g - centre
    length = away.norm(dim=1, keepdim=True).clamp(min=_TINY)
    return centre + away / length * length.clamp(radius, 2 * radius)


def changed_places(good: torch.Tensor, twins: torch.Tensor, least: float) -> torch.Tensor:
    """Where a twin is defective (b, places), 1 or 0: the mean squared difference over the channels of the
    standardized maps is over `least`, or is its largest."""
    away = (twins - good).square().mean(dim=2)
    return ((away > least) | (away == away.amax(dim=1, keepdim=True))).float()


def hard_focal(logits: torch.Tensor, target: torch.Tensor, gamma: float, hardest: float) -> torch.Tensor:
    """Focal loss of the places whose squared error is at least the quantile `hardest` of all (n,)."""
    chance = torch.sigmoid(logits)
    wrong = (chance - target).square()
    picked = wrong >= torch.quantile(wrong.detach(), hardest)
    right = torch.where(target > 0, chance, 1 - chance)
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return ((1 - right) ** gamma * entropy)[picked].mean()


def _generator(seed: int, step: int, device: torch.device) -> torch.Generator:
    return torch.Generator(device).manual_seed(derived_seed("glass", seed, step) % 2**63)
