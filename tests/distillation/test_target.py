"""The fixed convolution is PatchCore's pooling; features have the promised shape and normalization."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from adrefine.distillation.target import Target, load_backbone, pooling_kernel
from adrefine.errors import UserError
from adrefine.params import Runtime

HALF = Runtime(engine="torch", precision="bf16")


@pytest.fixture(scope="module")
def target() -> Target:
    return Target(load_backbone("efficientnet_lite0", None))


def patchcore(maps: torch.Tensor, outputs: int) -> torch.Tensor:
    """As PatchCore does it: patches of every position, flattened, pooled to 1024, then to `outputs`."""
    b, _, h, w = maps.shape
    patches = F.unfold(maps, 3, padding=1).transpose(1, 2).reshape(b * h * w, 1, -1)
    pooled = F.adaptive_avg_pool1d(F.adaptive_avg_pool1d(patches, 1024), outputs)
    return pooled.reshape(b, h, w, outputs).permute(0, 3, 1, 2)


@pytest.mark.parametrize("channels", [40, 112, 512])
def test_pooling_is_that_of_patchcore(channels):
    maps = torch.rand(2, channels, 5, 6, generator=torch.Generator().manual_seed(0))
    ours = F.conv2d(maps, pooling_kernel(channels, 192), padding=1)
    torch.testing.assert_close(ours, patchcore(maps, 192), rtol=1e-4, atol=1e-5)


def test_layers_are_pooled_resized_and_joined(target):
    images = torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    found = target.features(images)
    assert found.shape == (1, 384, 16, 16)
    fine, coarse = (patchcore(maps, 192) for maps in target.engine(images))
    coarse = F.interpolate(coarse, (16, 16), mode="bilinear", align_corners=False)
    torch.testing.assert_close(found, torch.cat([fine, coarse], 1), rtol=1e-3, atol=1e-3)
    assert target(torch.rand(1, 3, 512, 512)).shape == (1, 384, 64, 64)


def test_normalization_and_constant_channels():
    target = Target(load_backbone("efficientnet_lite0", None))
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    features = target.features(images)
    target.normalize_by(features.mean((0, 2, 3)), features.std((0, 2, 3)))
    assert target(images).mean((0, 2, 3)).abs().max() < 1e-3
    target.normalize_by(features.mean((0, 2, 3)), torch.zeros(384))
    assert target(images).isfinite().all()
    assert not any(weight.requires_grad for weight in target.parameters())


def test_half_precision_is_close(target):
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    half = Target(load_backbone("efficientnet_lite0", None), HALF).features(images)
    error = (half - target.features(images)).square().mean() / target.features(images).var()
    assert half.dtype == torch.float32
    assert error < 0.01


def test_other_backbones_need_their_weights(tmp_path):
    with pytest.raises(UserError, match=r"^pretrain_pdn\.weights: .* is missing"):
        load_backbone("wide_resnet101_2", str(tmp_path / "none.pth"))


def test_a_resnet_from_a_local_file(tmp_path):
    from torchvision.models import get_model

    torch.save(get_model("resnet18", weights=None).state_dict(), tmp_path / "weights.pth")
    target = Target(load_backbone("resnet18", str(tmp_path / "weights.pth")))
    assert target(torch.rand(1, 3, 128, 128)).shape == (1, 384, 16, 16)
