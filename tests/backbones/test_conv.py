"""The quick convolution is PyTorch's, its gradients too."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from adrefine.backbones.conv import Conv2d


def _pair(padding):
    torch.manual_seed(0)
    theirs, ours = nn.Conv2d(3, 5, 4, padding=padding), Conv2d(3, 5, 4, padding=padding)
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


@pytest.mark.parametrize("padding", [0, 3, (1, 2)])
@pytest.mark.parametrize("half", [False, True])
def test_same_as_pytorch(padding, half):
    found = []
    for layer in _pair(padding):
        x = torch.rand(2, 3, 9, 11, generator=torch.Generator().manual_seed(1)).requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
            out = layer(x)
        loss = (out.float() * torch.arange(out.numel()).view(out.shape) / out.numel()).sum()
        found.append((out, *torch.autograd.grad(loss, [x, layer.weight, layer.bias])))
    for theirs, ours in zip(*found, strict=True):
        assert theirs.dtype == ours.dtype
        torch.testing.assert_close(ours, theirs, rtol=2e-2 if half else 1e-5, atol=1e-1 if half else 1e-5)


def test_only_what_is_asked_for():
    _, layer = _pair(3)
    layer.bias.requires_grad_(False)
    x = torch.rand(1, 3, 9, 9)
    layer(x).sum().backward()
    assert layer.weight.grad is not None
    assert layer.bias.grad is None
    assert x.grad is None


def test_against_differences():
    _, layer = _pair(2)
    layer = layer.double()
    x = torch.rand(1, 3, 5, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (x,))
