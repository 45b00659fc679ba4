"""torchvision's networks from a local file: read as data, checked, and refused in words."""

from __future__ import annotations

import pickle
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from torchvision.models import get_model

from adrefine import backbones
from adrefine.backbones import vision
from adrefine.errors import UserError
from adrefine.params import Embed


def on_meta(name: str) -> torch.nn.Module:
    with torch.device("meta"):
        return get_model(name, weights=None)


def weights_file(path: Path, name: str, value: float = 0.01) -> Path:
    """Weights of network `name`, all alike: a few kilobytes, for a file stores what repeats once."""
    state = {
        key: torch.full((1,), value).expand(item.shape)
        if item.is_floating_point()
        else torch.zeros(item.shape, dtype=item.dtype)
        for key, item in on_meta(name).state_dict().items()
    }
    torch.save(state, path)
    return path


def load(name: str, path: Path) -> backbones.Backbone:
    return backbones.load(Embed(backbone=name, weights=str(path)))


@pytest.mark.parametrize("name", sorted(vision.LAYERS))
def test_layers_have_the_documented_channels(monkeypatch, name):
    monkeypatch.setattr(vision, "network", lambda name, *_: on_meta(name))
    net = vision.Vision(name, None)
    found = net.maps(torch.empty(2, 3, 64, 64, device="meta"))
    assert tuple(maps.shape[1] for maps in found) == net.channels == vision.LAYERS[name][1]
    assert all(maps.ndim == 4 for maps in found)


@pytest.mark.parametrize("name", ["alexnet", "resnet18"])
def test_weights_come_from_the_file_and_are_frozen(tmp_path, name):
    net = load(name, weights_file(tmp_path / "weights.pth", name, 0.25))
    values = torch.cat([parameter.flatten() for parameter in net.parameters()])
    assert values.unique().tolist() == [0.25]
    assert not net.training
    assert not any(parameter.requires_grad for parameter in net.parameters())


def test_maps_equal_those_of_torchvisions_own_network(tmp_path):
    torch.manual_seed(0)
    net = get_model("resnet18", weights=None).eval()
    torch.save({"state_dict": net.state_dict()}, tmp_path / "checkpoint.pth")
    photos = torch.rand(1, 3, 32, 32)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    found: dict[str, torch.Tensor] = {}
    for layer in ("layer2", "layer3"):
        net.get_submodule(layer).register_forward_hook(
            lambda _, __, out, name=layer: found.update({name: out})
        )
    with torch.no_grad():
        net((photos - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1))
        ours = load("resnet18", tmp_path / "checkpoint.pth")(photos)
    for mine, theirs in zip(ours, found.values(), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_a_file_of_another_network_is_refused(tmp_path):
    path = weights_file(tmp_path / "weights.pth", "alexnet")
    with pytest.raises(UserError, match=r"weights\.pth does not fit resnet18"):
        load("resnet18", path)


class Bomb:
    """Creates a file when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


@pytest.mark.parametrize(
    "write", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content, 2))]
)
def test_a_malicious_file_is_refused_unexecuted(tmp_path, write):
    write({"features.0.weight": Bomb(tmp_path / "owned")}, tmp_path / "weights.pth")
    with pytest.raises(UserError, match="is not a weights file"):
        load("alexnet", tmp_path / "weights.pth")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("content", [b"", b"not a weights file", b"\x80\x02]q\x00."])
def test_a_file_that_holds_no_weights_is_refused_in_one_line(tmp_path, content):
    (tmp_path / "weights.pth").write_bytes(content)
    with pytest.raises(UserError, match=r"^embed\.weights: .*weights\.pth") as caught:
        load("resnet18", tmp_path / "weights.pth")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", ["missing.pth", "."])
def test_a_missing_file_is_refused(tmp_path, path):
    with pytest.raises(UserError, match=r"embed\.weights: .* is missing"):
        load("resnet18", tmp_path / path)


def test_without_file_and_network_the_way_out_is_named(monkeypatch):
    def offline(*args: object, **kwargs: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(UserError, match=r"no route to host.*embed\.weights.*efficientnet_lite0"):
        backbones.load(Embed(backbone="resnet18"))
