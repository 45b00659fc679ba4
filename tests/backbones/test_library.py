"""Networks of timm, torchvision and transformers: maps as their libraries give them, errors in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from adrefine import backbones
from adrefine.backbones import engine
from adrefine.backbones.library import LibraryNet, _deep
from adrefine.errors import UserError
from adrefine.features.embed import configuration
from adrefine.features.extract import Extractor
from adrefine.params import Embed, Runtime, parse
from backbones.random_nets import NAMES, file_of


def load(name: str, weights: Path | None) -> LibraryNet:
    net = backbones.load(Embed(backbone=name, weights=str(weights) if weights else None))
    assert isinstance(net, LibraryNet)
    return net


def photos(side: int = 112) -> torch.Tensor:
    return torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(1))


Made = tuple[str, Path, LibraryNet]


@pytest.fixture(scope="module", params=NAMES)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    file = file_of(request.param, tmp_path_factory.mktemp("weights"))
    return request.param, file, load(request.param, file)


def test_maps_have_the_channels_and_strides_that_are_said(made: Made) -> None:
    _, _, net = made
    net.choose(tuple(range(len(net.levels))))
    found = net(photos(224))
    assert [maps.shape[1] for maps in found] == [level.channels for level in net.levels]
    assert [224 // maps.shape[-1] for maps in found] == [level.stride for level in net.levels]
    net.choose(net.deep)
    assert net.channels == tuple(net.levels[level].channels for level in net.deep)
    torch.testing.assert_close(net(photos(224)), [found[level] for level in net.deep])
    with pytest.raises(UserError, match=r"embed\.places\.blocks = \[99\]: the blocks of .* are 0 to"):
        net.choose((99,))


def test_openvino_computes_what_torch_does(
    made: Made, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """At a size of image for which positions are resized, and one that the patch does not divide."""
    monkeypatch.setenv("ADREFINE_CACHE_DIR", str(tmp_path))
    net = made[2]
    start = engine.start(net, Runtime(engine="openvino"))
    for side in (112, 90):
        for mine, theirs in zip(net(photos(side)), start(photos(side)), strict=True):
            assert (mine - theirs).abs().max() < 1e-4 * mine.abs().max()


def test_a_gradient_comes_back_to_the_pixels(made: Made) -> None:
    image = photos().requires_grad_()
    sum(maps.square().mean() for maps in made[2](image)).backward()  # type: ignore[union-attr]
    assert image.grad is not None
    assert image.grad.abs().sum() > 0


def test_what_is_written_is_the_same_network(made: Made, tmp_path: Path) -> None:
    """As a bundle has it, of weights that the library downloaded; twice the same bytes."""
    name, _, net = made
    first = net.write(tmp_path)
    torch.testing.assert_close(load(name, first)(photos()), net(photos()), rtol=0, atol=0)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    net.write(tmp_path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_maps_are_those_of_the_libraries(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    net = load("timm/test_vit", file_of("timm/test_vit", tmp_path))
    whole = timm.create_model("test_vit", checkpoint_path=str(tmp_path / "model.safetensors")).eval()
    seen = (torch.nn.functional.interpolate(photos(), 160) - 0.5) / 0.5
    tokens = whole.forward_features(seen)[:, whole.num_prefix_tokens :]
    last = net(torch.nn.functional.interpolate(photos(), 160))[-1]
    torch.testing.assert_close(last.flatten(2).transpose(1, 2), tokens)


def test_patch_tokens_are_those_of_dinov2(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    file = file_of("transformers/dinov2", tmp_path)
    net = load("transformers/dinov2", file)
    whole = transformers.AutoModel.from_pretrained(tmp_path).eval()
    assert (net.mean, net.multiple) == ((0.4, 0.5, 0.6), 14)
    seen = (photos() - torch.tensor(net.mean).view(1, 3, 1, 1)) / 0.2
    tokens = whole(pixel_values=seen).last_hidden_state[:, 1:]
    torch.testing.assert_close(net(photos())[-1].flatten(2).transpose(1, 2), tokens)


class Branches(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = (torch.nn.Conv2d(3, 4, 1, stride=4) for _ in range(2))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.one(images) + self.other(images)


def test_a_network_that_is_no_chain_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchvision.models.get_model", lambda *_, **__: Branches())
    with pytest.raises(UserError, match="resnet18 is no chain of blocks: take a network of timm/"):
        load("torchvision/resnet18", None)


@pytest.mark.parametrize(
    ("strides", "deep", "early"),
    [
        ([2, 4, 8, 16, 32], (3, 4), (1, 2, 3)),
        ([2, 4, 4, 8, 16, 16, 32, 32], (5, 7), (2, 3, 5)),
        ([16] * 12, (7, 11), (3, 7, 11)),
        ([14] * 4, (2, 3), (0, 2, 3)),
        ([4, 8], (0, 1), (0, 1)),
        ([14], (0,), (0,)),
    ],
)
def test_deep_and_early_follow_from_the_strides(
    strides: list[int], deep: tuple[int, ...], early: tuple[int, ...]
) -> None:
    assert _deep(strides) == (deep, early)


def test_another_networks_weights_are_refused(tmp_path: Path) -> None:
    file = file_of("timm/test_resnet", tmp_path)
    with pytest.raises(UserError, match=r"^embed\.weights: .* does not fit timm/test_vit: it has no "):
        load("timm/test_vit", file)
    with pytest.raises(UserError, match=r"does not fit torchvision/resnet18: "):
        load("torchvision/resnet18", file)


def test_a_deeper_transformer_is_refused_not_cut(tmp_path: Path) -> None:
    file = file_of("transformers/dinov2", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config = {key: value for key, value in config.items() if key[:3] not in ("out", "sta")}  # of 4 layers
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    with pytest.raises(UserError, match=r"does not fit transformers/dinov2: it has encoder\.layer\.3"):
        load("transformers/dinov2", file)
    (tmp_path / "config.json").write_text(json.dumps(config | {"hidden_size": 64}))
    with pytest.raises(UserError, match="has another shape"):
        load("transformers/dinov2", file)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(UserError):
        load("transformers/dinov2", file)
    (tmp_path / "config.json").unlink()
    with pytest.raises(UserError, match=r"config\.json is missing: put the model's config\.json there"):
        load("transformers/dinov2", file)


def test_offline_without_a_file_the_remedy_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    timm, transformers = pytest.importorskip("timm"), pytest.importorskip("transformers")

    def offline(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(timm, "create_model", offline)
    monkeypatch.setattr(transformers.AutoModel, "from_pretrained", offline)
    monkeypatch.setattr("torchvision.models.get_model", offline)
    for name in ("timm/resnet18", "torchvision/resnet18", "transformers/facebook/dinov2-small"):
        with pytest.raises(UserError, match=r"no route to host.*Set embed\.weights to a local file"):
            load(name, None)


def test_a_name_that_nobody_has(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("timm")
    with pytest.raises(UserError, match=r"timm has no such network: did you mean `timm/resnet18`\?"):
        load("timm/resnet_18", None)
    with pytest.raises(UserError, match=r"did you mean `torchvision/resnet18`\?"):
        load("torchvision/resnet-18", None)
    with pytest.raises(UserError, match=r"`embed\.backbone` = 'time/resnet18': use one of|did you mean"):
        parse({"embed": {"backbone": "time/resnet18"}})
    with pytest.raises(UserError, match="did you mean `efficientnet_lite1`"):
        parse({"embed": {"backbone": "eficientnet_lite1"}})


def test_a_library_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    with pytest.raises(UserError, match=r"timm/resnet18 needs timm .*: pip install 'adrefine\[timm\]'"):
        load("timm/resnet18", None)


def test_caches_know_the_files_beside_the_weights(tmp_path: Path) -> None:
    file = file_of("transformers/dinov2", tmp_path)
    params = Embed(backbone="transformers/dinov2", weights=str(file), scales=[28])

    def key(settings: dict[str, Any]) -> str:
        return configuration(1, settings, params, Extractor(params, Runtime(engine="torch")))

    before = key({})
    assert key({}) == before
    processor = tmp_path / "preprocessor_config.json"
    processor.write_text(processor.read_text().replace("0.4", "0.3"))
    assert key({}) != before
