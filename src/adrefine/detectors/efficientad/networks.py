"""Student and autoencoder.

Source: EAD tables 5.2 and 5.3 (student: the PDN with 768 channels in its last layers), 5.4 (autoencoder).
The small student has 4,267,392 parameters, the medium one 11,615,488, the autoencoder 1,096,320. (The last
two are what EAD table 5.7 gives for the medium and the small PDN.)
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from adrefine.backbones.base import Backbone
from adrefine.backbones.pdn import CHANNELS, Pdn

BOTTLENECK = 64  # values that the autoencoder keeps of an image
DROPOUT = 0.2
STRIDE = 4  # pixels between two positions of a PDN
REACH = 16  # pixels that a position sees on each side of its centre: 33 x 33 (EAD sect. 4.2)
LOW = ("conv1", "conv2")  # layers that say nothing yet of what a good photo looks like


def student(size: str, padding: bool) -> Pdn:
    """PDN whose first 384 channels imitate the teacher, the other 384 the autoencoder (EAD eq. 4.2, 4.4)."""
    return Pdn(size, 2 * CHANNELS, padding)


def start_low(student: Pdn, teacher: Pdn) -> None:
    """Let the `LOW` layers of `student` start as those of `teacher`; ours, no document."""
    for name in LOW:
        student.get_submodule(name).load_state_dict(teacher.get_submodule(name).state_dict())


def positions(side: int, padding: bool) -> int:
    """Height and width of a PDN's map of an image of `side` pixels, a multiple of 4."""
    return side // STRIDE - (0 if padding else 8)


class Autoencoder(nn.Module):
    """Images (b, 3, side, side) in 0..1 to an imitation of the teacher's map (b, 384, h', w').

    The table is for 256²; for other sides, multiples of 32, kernel 6 and the resized maps shrink alike.

    Args:
        side: pixels of the input.
        padding: as that of the PDN, whose map decides h' = w' = `positions(side, padding)`.
    """

    def __init__(self, side: int = 256, padding: bool = True) -> None:
        super().__init__()
        widths = [3, 32, 32, 64, 64, 64]
        self.encoder = nn.ModuleList(
            nn.Conv2d(before, after, 4, stride=2, padding=1) for before, after in pairwise(widths)
        )
        self.bottleneck = nn.Conv2d(64, BOTTLENECK, side // 32)
        self.decoder = nn.ModuleList(nn.Conv2d(64, 64, 4, padding=2) for _ in range(6))
        self.last = nn.ModuleList([nn.Conv2d(64, 64, 3, padding=1), nn.Conv2d(64, CHANNELS, 3, padding=1)])
        resized = (side // 64 - 1, side // 32, side // 16 - 1, side // 8, side // 4 - 1, side // 2 - 1)
        self.resized = [max(1, size) for size in resized]  # Bilinear-1 to 6
        self.out = positions(side, padding)  # Bilinear-7

    def forward(self, images: torch.Tensor, rng: torch.Generator | None = None) -> torch.Tensor:
        """See the class; `rng` draws what drops out in training, None: nothing does."""
        mean = images.new_tensor(Backbone.mean).view(1, 3, 1, 1)
        std = images.new_tensor(Backbone.std).view(1, 3, 1, 1)
        x = (images - mean) / std
        for layer in self.encoder:
            x = F.relu(layer(x))
        x = self.bottleneck(x)
        for layer, size in zip(self.decoder, self.resized, strict=True):
            x = F.interpolate(x, (size, size), mode="bilinear", align_corners=False)
            x = dropout(F.relu(layer(x)), rng)
        x = F.interpolate(x, (self.out, self.out), mode="bilinear", align_corners=False)
        return self.last[1](F.relu(self.last[0](x)))


def dropout(x: torch.Tensor, rng: torch.Generator | None) -> torch.Tensor:
    """Dropout whose draws come from `rng` alone: torch's own draw from one generator that threads share."""
    if rng is None:
        return x
    stays = torch.empty(x.shape, device=x.device).bernoulli_(1 - DROPOUT, generator=rng)
    return x * (stays / (1 - DROPOUT)).to(x.dtype)
