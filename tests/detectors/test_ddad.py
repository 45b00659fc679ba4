"""DDAD against its equations: the diffusion, the pull to the photo, what the network learns."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from adrefine.bundle.write import learned
from adrefine.detectors import Images
from adrefine.detectors.ddad import diffusion
from adrefine.detectors.ddad.detector import Ddad
from adrefine.detectors.ddad.settings import Settings
from adrefine.detectors.ddad.unet import UNet, embedded
from adrefine.errors import UserError
from adrefine.params import parse
from prediction.made import TINY, made


def test_the_share_that_is_kept_is_the_product_of_the_variances() -> None:
    left, wanted = diffusion.kept(), 1.0
    for step in range(1, 1001):
        wanted *= 1 - (1e-4 + (0.02 - 1e-4) * (step - 1) / 999)
        assert left[step] == pytest.approx(wanted, rel=1e-9)
    assert left[0] == 1


def test_noise_is_added_by_its_share() -> None:
    photos, noise = torch.full((2, 3, 2, 2), 0.5), torch.ones(2, 3, 2, 2)
    seen = diffusion.noisy(photos, torch.tensor([0, 1000]), noise)
    left = float(diffusion.kept()[1000])
    assert torch.equal(seen[0], photos[0])
    assert seen[1].unique().item() == pytest.approx(math.sqrt(left) * 0.5 + math.sqrt(1 - left), rel=1e-6)


def test_who_knows_the_noise_gets_the_photo_back() -> None:
    """A network that tells the noise of a photo z brings z back, whatever the noise, if nothing pulls."""
    hidden, target = torch.full((1, 3, 4, 4), 0.3), torch.zeros(1, 3, 4, 4)

    def knows(x: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
        a = float(diffusion.kept()[int(steps[0])])
        return (x - a**0.5 * hidden) / (1 - a) ** 0.5

    generator = torch.Generator().manual_seed(0)
    made = diffusion.reconstructed(knows, target, 250, 25, 0.0, generator)
    torch.testing.assert_close(made, hidden, atol=1e-5, rtol=0)


def test_a_pull_brings_it_to_the_target() -> None:
    """One step of 25 by hand: ε' = ε − w √(1 − ᾱ) (√ᾱ y + √(1 − ᾱ) ε − x)."""
    target = torch.full((1, 3, 1, 1), 0.8)
    a, w = float(diffusion.kept()[25]), 3.0
    draws = torch.Generator().manual_seed(5)
    x = a**0.5 * target + (1 - a) ** 0.5 * torch.randn(3, 1, 1, generator=draws)
    noise = 0.1 * x
    pulled = noise - w * (1 - a) ** 0.5 * (a**0.5 * target + (1 - a) ** 0.5 * noise - x)
    wanted = (x - (1 - a) ** 0.5 * pulled) / a**0.5
    made = diffusion.reconstructed(lambda x, _: 0.1 * x, target, 25, 25, w, torch.Generator().manual_seed(5))
    torch.testing.assert_close(made, wanted)


def test_the_network_knows_the_time_and_keeps_the_shape() -> None:
    torch.manual_seed(0)
    net = UNet(8, [1, 2, 2], [8], 32, 0.0).eval()
    photos = torch.randn(2, 3, 32, 32)
    early, late = (net(photos, torch.tensor([step, step])) for step in (1, 900))
    assert early.shape == photos.shape
    assert not torch.allclose(early, late)
    assert embedded(torch.tensor([0]), 4).tolist() == [[0, 0, 1, 1]]


def test_the_authors_network_is_as_large_as_counted() -> None:
    """33 million weights, its attention counted; ours joins and halves more simply."""
    paper = Settings(preset="paper")
    with torch.device("meta"):
        net = UNet(paper.channels, paper.levels, paper.attention, paper.side, paper.dropout)
    assert 25e6 < sum(weights.numel() for weights in net.parameters()) < 41e6


def test_it_learns_the_noise_and_a_fit_again_gives_the_same() -> None:
    run = made("ddad")
    assert isinstance(run.detector, Ddad)
    losses = [row["loss"] for row in run.detector.log]
    assert np.mean(losses[-5:]) < 0.7 * losses[0]
    again = Settings(**TINY["ddad"]).create()
    again.fit(Images.of(learned(run.run.refined), run.run.prepared))
    images = Images(tuple(sorted(run.photos))[:4], run.run.prepared)
    assert np.array_equal(again.score(images).image, run.detector.score(images).image)


@pytest.mark.parametrize(
    ("section", "named"),
    [
        ({"side": 48}, r"`ddad\.side` = 48"),
        ({"side": 32, "levels": [1] * 6 + [2]}, r"`ddad\.levels`"),
        ({"start": 1000}, r"`ddad\.start` = 1000"),
        ({"channels": 12}, r"`ddad\.channels` = 12"),
    ],
)
def test_settings_that_cannot_be(section: dict[str, object], named: str) -> None:
    with pytest.raises(UserError, match=named):
        parse({"ddad": section})
