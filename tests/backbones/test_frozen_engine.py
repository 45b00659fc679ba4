"""Every engine computes the maps of the network: the same as torch to rounding, to the byte each time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision.models import get_model

from adrefine import backbones
from adrefine.backbones import engine, pdn
from adrefine.distillation.target import load_backbone
from adrefine.errors import UserError
from adrefine.params import Embed, Runtime
from adrefine.runtime import hardware

F32 = Runtime(engine="openvino", precision="f32")
NETWORKS = {  # all that a stage runs, with the blocks it takes
    "lite1 pooled": ("efficientnet_lite1", ""),
    "lite1 deep": ("efficientnet_lite1", "deep"),
    "lite1 early": ("efficientnet_lite1", "early"),
    "lite0 pooled": ("efficientnet_lite0", ""),
    "lite0 deep": ("efficientnet_lite0", "deep"),
    "lite0 early": ("efficientnet_lite0", "early"),
    "alexnet": ("alexnet", ""),
    "resnet18 deep": ("resnet18", "deep"),
    "resnet18 early": ("resnet18", "early"),
    "wide_resnet50_2": ("wide_resnet50_2", "early"),
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("weights")


@pytest.fixture(autouse=True)
def _cache(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("ADREFINE_CACHE_DIR", str(tmp_path / "cache"))


def images(count: int = 2, side: int = 96) -> torch.Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(3))


def network(name: str, blocks: str, folder: Path) -> nn.Module:
    """A backbone of `embed.backbone`; those that would be downloaded have random weights, from a file."""
    file = folder / f"{name}.pth"
    if not name.startswith("efficientnet") and not file.exists():
        torch.manual_seed(0)
        torch.save(get_model(name, weights=None).state_dict(), file)
    net = backbones.load(Embed(backbone=name, weights=str(file)))
    if blocks:
        net.choose(getattr(net, blocks))
    return net


@torch.no_grad()
def assert_parity(net: nn.Module, photos: torch.Tensor, tolerance: float = 2e-5) -> None:
    """Differences of a map are under `tolerance` of its largest value: docs/limits.md states it."""
    wanted = engine.Torch(net, torch.device("cpu"), torch.float32)(photos)
    found = engine.OpenVino(net, torch.float32)(photos)
    assert len(found) == len(wanted)
    for got, maps in zip(found, wanted, strict=True):
        assert got.dtype == torch.float32
        assert got.shape == maps.shape
        assert (got - maps).abs().max() < tolerance * maps.abs().max()


@pytest.mark.parametrize("name", NETWORKS)
def test_openvino_computes_what_torch_computes(name, weights):
    assert_parity(network(*NETWORKS[name], weights), images())


@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_lite1"])
def test_every_block(name):
    net = backbones.load(Embed(backbone=name))
    net.choose(tuple(range(len(net.widths))))
    assert_parity(net, images(1, 64))


@pytest.mark.parametrize(("size", "padding"), [("small", True), ("small", False), ("medium", True)])
def test_the_patch_network(size, padding):
    torch.manual_seed(0)
    net = pdn.read().network(padding) if size == "small" else pdn.Pdn(size, padding=padding)
    assert_parity(net.eval().requires_grad_(False), images())


def test_what_a_patch_network_learns_from():
    assert_parity(load_backbone("efficientnet_lite0", None), images(1, 128))


def test_photos_of_every_shape_and_the_same_alone_as_among_others(weights):
    net = engine.start(network("efficientnet_lite0", "deep", weights), F32)
    wide = torch.rand(3, 3, 64, 96, generator=torch.Generator().manual_seed(4))
    together, flipped = net(wide), net(wide.flip(0))
    assert [tuple(maps.shape) for maps in together] == [(3, 112, 4, 6), (3, 192, 2, 3)]
    for number in range(3):
        for maps, alone in zip(together, net(wide[number : number + 1]), strict=True):
            assert torch.equal(maps[number], alone[0])
    assert all(torch.equal(maps.flip(0), others) for maps, others in zip(together, flipped, strict=True))
    assert [len(maps) for maps in net(images(2, 64))] == [2, 2]


PROGRAM = """
import sys, torch
from adrefine import backbones
from adrefine.backbones import engine
from adrefine.params import Embed, Runtime
net = engine.start(backbones.load(Embed(backbone="efficientnet_lite0")), Runtime(engine="openvino"))
photos = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(3))
sys.stdout.buffer.write(net(photos)[0].numpy().tobytes())
"""


def test_another_process_with_other_threads_gives_the_same_bytes(tmp_path):
    found = set()
    for threads in ("1", "2"):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": threads}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], check=True, env=environment, cwd=tmp_path, capture_output=True
        )
        found.add(done.stdout)
    assert len(found) == 1
    assert len(found.pop()) == 2 * 192 * 3 * 3 * 4
    assert len(list((tmp_path / "cache" / "engines").iterdir())) == 1


def test_a_converted_network_is_converted_once_and_anew_when_it_changes(weights, monkeypatch, tmp_path):
    traced, calls = engine.traced, []
    monkeypatch.setattr(engine, "traced", lambda *args: calls.append(1) or traced(*args))
    net, photos = network("efficientnet_lite0", "", weights), images(1, 64)
    first = engine.OpenVino(net, torch.float32)(photos)[0]
    again = engine.OpenVino(network("efficientnet_lite0", "", weights), torch.float32)(photos)[0]
    assert torch.equal(first, again)
    assert len(calls) == 1
    (weights_file,) = (tmp_path / "cache/engines").rglob("*.bin")
    content = bytearray(weights_file.read_bytes())
    content[1000] ^= 1  # the disk turned a bit: it is converted again
    weights_file.unlink()
    weights_file.write_bytes(content)
    assert torch.equal(engine.OpenVino(net, torch.float32)(photos)[0], first)
    assert calls.pop(0)
    assert len(calls) == 1
    net.stem.weight.data *= 1.5
    assert not torch.allclose(engine.OpenVino(net, torch.float32)(photos)[0], first, rtol=0.1)
    assert len(calls) == 2
    net.choose((9,))
    assert engine.OpenVino(net, torch.float32)(photos)[0].shape[1] == 112
    names = {path.name for path in (tmp_path / "cache" / "engines").iterdir()}
    assert len(names) == 3
    assert not [name for name in names if name.startswith(".")]


def test_a_cpu_takes_openvino_where_it_is_and_float32_whatever_it_could(monkeypatch):
    monkeypatch.setattr(hardware, "device", lambda: torch.device("cpu"))
    assert engine.chosen(Runtime()) == "openvino"
    assert engine.precision(Runtime()) == torch.float32
    assert engine.precision(Runtime(precision="bf16")) == torch.bfloat16
    monkeypatch.setattr(engine.importlib.util, "find_spec", lambda name: None)
    assert engine.chosen(Runtime()) == "torch"
    with pytest.raises(UserError, match=r"^runtime\.engine = openvino: it is not installed: set it to auto$"):
        engine.chosen(F32)


def test_a_gpu_takes_torch_and_half_precision_where_it_can(monkeypatch):
    monkeypatch.setattr(hardware, "device", lambda: torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    assert engine.chosen(Runtime()) == "torch"
    assert engine.precision(Runtime()) == torch.bfloat16
    assert engine.precision(Runtime(precision="f32")) == torch.float32
    with pytest.raises(UserError, match="would leave cuda idle"):
        engine.chosen(F32)


@torch.no_grad()
def test_half_precision_is_near_or_refused(weights, monkeypatch):
    net = network("efficientnet_lite0", "", weights)
    exact = engine.start(net, F32)
    capable = "BF16" in exact._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if not capable or os.environ.get("ONEDNN_MAX_CPU_ISA") == "AVX2":
        with pytest.raises(UserError, match=r"^runtime\.precision = bf16: this processor has no units"):
            engine.start(net, Runtime(precision="bf16"))(images())
        return
    half = engine.start(net, Runtime(precision="bf16"))
    wanted, found = (each(images())[0] for each in (exact, half))
    assert 0 < (found - wanted).square().mean() < 0.02 * wanted.var()


def test_engine_version_and_precision_are_in_its_name(weights):
    net = network("efficientnet_lite0", "", weights)
    names = {engine.start(net, F32).name, engine.start(net, Runtime(engine="torch")).name}
    names |= {engine.start(net, Runtime(engine="torch", precision="bf16")).name}
    assert len(names) == 3
    assert all(torch.__version__ in name or engine.metadata.version("openvino") in name for name in names)


def test_nothing_imports_openvino_before_a_network_runs():
    code = (
        "import sys, adrefine, adrefine.params, adrefine.cli, adrefine.features.embed, adrefine.places.embed;"
        "assert not [name for name in sys.modules if name.startswith('openvino')]"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
