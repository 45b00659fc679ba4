"""PDN-S and PDN-M are those of EAD tables 5.2 and 5.3, and the bundled weights fit."""

from __future__ import annotations

import pytest
import torch

from adrefine.backbones import pdn
from adrefine.backbones.pdn import Pdn, Weights
from adrefine.errors import UserError


@pytest.mark.parametrize(
    ("size", "channels", "count"),
    [("small", 384, 2_694_144), ("small", 768, 4_267_392), ("medium", 384, 8_026_624)],
)
def test_parameters(size, channels, count):
    with torch.device("meta"):
        assert sum(weight.numel() for weight in Pdn(size, channels).parameters()) == count


@pytest.mark.parametrize("size", ["small", "medium"])
@pytest.mark.parametrize(
    ("padding", "sides"), [(True, {256: 64, 128: 32, 64: 16}), (False, {256: 56, 128: 24, 33: 1})]
)
def test_sides(size, padding, sides):
    with torch.device("meta"):
        net = Pdn(size, padding=padding)
        for before, after in sides.items():
            assert net(torch.empty(2, 3, before, before)).shape == (2, 384, after, after)


@pytest.mark.parametrize("size", ["small", "medium"])
@pytest.mark.parametrize(("padding", "first"), [(True, 4 * 8 - 16), (False, 4 * 8)])
def test_every_vector_sees_33_pixels(size, padding, first):
    """Gradients of the vector at (8, 8): it sees a square of 33 pixels, every one of them."""
    torch.manual_seed(0)
    image = torch.rand(1, 3, 96, 96, requires_grad=True)
    (gradient,) = torch.autograd.grad(Pdn(size, 8, padding)(image)[0, :, 8, 8].sum(), image)
    seen = gradient[0].abs().sum(0) > 0
    inside = slice(first, first + pdn.RECEPTIVE_FIELD)
    assert seen[inside, inside].all()
    assert seen.sum() == pdn.RECEPTIVE_FIELD**2


def test_both_paddings_agree_inside():
    net = pdn.read()
    image = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        padded, bare = net.network(True)(image), net.network(False)(image)
    torch.testing.assert_close(padded[..., 4:20, 4:20], bare[..., :16, :16], rtol=1e-3, atol=1e-3)


def test_bundled_weights_are_small_and_say_more_than_a_mean():
    assert pdn.BUNDLED.stat().st_size < 6e6
    weights = pdn.read()
    assert weights.mean.shape == weights.std.shape == (384,)
    assert weights.std.min() > 0
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert weights.network()(image).std() > 0.1


@pytest.mark.parametrize("size", ["small", "medium"])
def test_saved_and_read(tmp_path, size):
    weights = Weights(Pdn(size, 384).state_dict(), torch.zeros(384), torch.ones(384))
    weights.save(tmp_path / "a.pt")
    weights.save(tmp_path / "b.pt")
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()
    back = pdn.read(tmp_path / "a.pt")
    for name, value in back.network().state_dict().items():
        torch.testing.assert_close(value, weights.state[name], rtol=1e-3, atol=1e-6)


def test_what_holds_no_pdn_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"missing.*dvc repro pretrain_pdn"):
        pdn.read(tmp_path / "none.pt")
    torch.save({"network": 3}, tmp_path / "other.pt")
    (tmp_path / "text.pt").write_text("no weights")
    for name in ("other.pt", "text.pt"):
        with pytest.raises(UserError, match="holds no weights of a PDN"):
            pdn.read(tmp_path / name)
