"""An export scores and maps as its model, in every runtime, and its example needs no adrefine."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import venv
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch
from packaging.requirements import Requirement
from PIL import Image

from adrefine import cli, load_model
from adrefine.bundle import contents as bundles
from adrefine.detectors import DETECTORS
from adrefine.errors import UserError
from adrefine.export import formats, int8, parity, photos, scores
from adrefine.export.graph import Graph
from adrefine.export.photo import Given, Prepared
from adrefine.export.run import Order, export
from adrefine.ingestion.decode import Decoded
from adrefine.ingestion.preparation import Preparation
from prediction.made import COUNT, made, middle, values


def pngs(detector: str, fit: str = "stretch", deep: bool = False) -> list[str]:
    """Photos that any decoder reads alike, those with a spot among them."""
    found = made(detector, fit, deep).photos.values()
    return [str(path) for path in sorted(found, key=lambda path: path.name) if path.suffix == ".png"]


def environment(folder: Path, packages: list[str]) -> Path:
    """Python of a new virtual environment that has these packages and what they need, and no other."""
    venv.create(folder, symlinks=True)
    site, waiting, known = next(folder.glob("lib/python*/site-packages")), list(packages), set(packages)
    while waiting:
        package = metadata.distribution(waiting.pop())
        for name in {file.parts[0] for file in package.files or [] if file.parts[0] != ".."}:
            if not (site / name).exists():
                (site / name).symlink_to(Path(str(package.locate_file(name))).resolve())
        needed = {one.name for one in map(Requirement, package.requires or []) if not one.marker}
        waiting += sorted(needed - known)
        known |= needed
    return folder / "bin/python"


def example_says(folder: Path, photo: Path) -> str:
    """What the example of the model card prints of a photo, where there is only what the card says."""
    card = (folder / "README.md").read_text()
    program, packages = (
        re.search(r"```python\n(.*?)```", card, re.DOTALL),
        re.search(r"pip install (.*)`", card),
    )
    assert program is not None
    assert packages is not None
    assert program[1].count("\n") <= 18
    (folder / "example.py").write_text(program[1])
    shutil.copyfile(photo, folder / "photo.png")
    python = environment(folder / "venv", packages[1].split())
    lacks = subprocess.run(
        [python, "-c", "import adrefine"], cwd=folder, capture_output=True, check=False, env={}
    )
    assert b"No module named 'adrefine'" in lacks.stderr
    done = subprocess.run(
        [python, "example.py"], cwd=folder, capture_output=True, text=True, check=False, env={}
    )
    assert not done.returncode, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("detector", "kind"),
    [
        ("padim", "openvino"),
        ("differnet", "onnx"),
        ("mixed", "openvino"),
        ("efficientad", "onnx"),
        ("efficientad instant", "onnx"),
        ("efficientad steps", "openvino"),
        ("glass", "openvino"),
        ("uflow", "onnx"),
    ],
)
def test_the_graph_is_the_model_and_the_example_runs_without_adrefine(
    detector: str, kind: str, tmp_path: Path
) -> None:
    if kind == "onnx":
        pytest.importorskip("onnxscript")
        pytest.importorskip("onnxruntime")
    run, files = made(detector), pngs(detector)
    done = export(Order(run.bundle, kind, tmp_path / "out", files))
    found = done.facts["parity"]
    assert found["photos"] == len(files)
    assert found["score_largest"] < 0.01
    assert found["map_largest"] < 0.05
    assert done.facts["input"]["shape"] == [1, 128, 160]
    said = example_says(tmp_path / "out", Path(files[-1]))
    result = load_model(run.bundle).predict(files[-1])
    assert float(said.split()[0]) == pytest.approx(result.score, rel=0.01)
    assert said.split()[1] == ("defective" if result.defective else "good")


@pytest.mark.parametrize("detector", ["padim", "efficientad steps", "efficientad", "uflow"])
def test_a_region_of_interest_is_in_the_graph(detector: str, tmp_path: Path) -> None:
    """To the bit: nothing outside changes the graph's score, and its map there is 0."""
    run = made(detector, region=True)
    files = [str(path) for path in run.photos.values() if path.suffix == ".png"]
    done = export(Order(run.bundle, "torchscript", tmp_path / "out", files))
    assert done.facts["parity"]["score_largest"] < 0.01
    photo, outside = values(COUNT - 1, turned=False), middle() == 0
    painted = np.where(outside, np.uint8(255), photo)
    graph = formats.opened("torchscript", tmp_path / "out")
    (score, heat), (again, _) = graph(photo[None]), graph(painted[None])
    assert score[0] == again[0]
    assert heat[0][0].max() == 0 < heat.max()


def test_torchscript_of_photos_of_more_than_8_bits_in_a_letterbox(tmp_path: Path) -> None:
    run, files = made("padim", "letterbox", True), pngs("padim", "letterbox", True)
    export(Order(run.bundle, "torchscript", tmp_path / "out", files))
    said = example_says(tmp_path / "out", Path(files[0]))
    assert float(said.split()[0]) == pytest.approx(load_model(run.bundle).predict(files[0]).score, rel=0.01)


def test_a_part_is_turned_by_the_caller(tmp_path: Path) -> None:
    run, files = made("padim", "part"), pngs("padim", "part")
    order = Order(run.bundle, "torchscript", tmp_path / "out", files, maps=False)
    with pytest.raises(UserError, match="--input working"):
        export(order)
    done = export(Order(**{**vars(order), "input": "working"}))
    assert done.facts["input"] == {"name": "photo", "shape": [1, 64, 64], "whole_photo": False}
    assert "turns and crops it to its part" in (tmp_path / "out/README.md").read_text()


def test_a_graph_that_differs_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = Graph.forward
    monkeypatch.setattr(Graph, "forward", lambda self, photo: (right(self, photo)[0] * 1.02,))
    order = Order(made("padim").bundle, "torchscript", tmp_path / "out", pngs("padim")[-4:], maps=False)
    with pytest.raises(UserError, match="differs too much from the model, nothing was written: of 4 photos"):
        export(order)
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_what_it_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["export", "--model", str(made("padim").bundle), "--format", "torchscript", "--no-map"]
    cli.run([*arguments, "--out", str(tmp_path / "out"), "--photos", *pngs("padim")[:3]])
    assert "3 photos: scores differ by at most" in capsys.readouterr().out
    facts = json.loads((tmp_path / "out/export.json").read_text())
    assert set(facts["files"]) == {"README.md", "model.pt"}
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").touch()
    with pytest.raises(UserError, match="holds other files"):
        cli.run([*arguments, "--out", str(tmp_path / "mine"), "--photos", *pngs("padim")[:3]])


def test_without_photos_it_says_which_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    order = Order(made("padim").bundle, "openvino", tmp_path / "out", [])
    with pytest.raises(UserError, match="give --photos FOLDER"):
        export(order)
    with pytest.raises(UserError, match=r"data/refined/manifest\.csv is not here"):
        photos.find(load_model(order.model).contents, [], int8=True)


@pytest.mark.parametrize("kind", ["onnx", "openvino"])
def test_int8_keeps_the_order_of_the_scores(kind: str, tmp_path: Path) -> None:
    """Of a network with little to say; its scores are not those of 32 bits."""
    pytest.importorskip("nncf" if kind == "openvino" else "onnxscript")
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 8, 3), torch.nn.ReLU6(), torch.nn.Conv2d(8, 1, 3))
    torch.manual_seed(0)
    graph = _Small(net).eval().requires_grad_(False)
    inputs = list(np.random.default_rng(0).integers(0, 255, (12, 1, 32, 32), np.uint8))
    formats.write(kind, graph, torch.from_numpy(inputs[0]), tmp_path)  # type: ignore[arg-type]
    before = formats.opened(kind, tmp_path)
    exact = np.array([before(photo)[0][0] for photo in inputs])
    formats.quantize(kind, tmp_path, inputs)
    after = formats.opened(kind, tmp_path)
    rough = np.array([after(photo)[0][0] for photo in inputs])
    assert 0 < np.abs(rough - exact).max() < 0.1 * np.abs(exact).max()


class _Small(torch.nn.Module):
    maps = False

    def __init__(self, net: torch.nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, photo: torch.Tensor) -> tuple[torch.Tensor]:
        return (self.net(photo[:, None].float() / 255).mean(dim=(1, 2, 3)),)


def test_int8_is_refused_where_it_costs_too_much_or_nobody_knows() -> None:
    found = int8.Cost(auroc=0.95, auroc_f32=0.97, test_photos=60, threshold=1.0, held_out_photos=20)
    int8.refuse(found, 0.03)
    with pytest.raises(UserError, match=r"AUROC 0\.9500 instead of 0\.9700 on 60 test photos, 0\.01"):
        int8.refuse(found, 0.01)
    with pytest.raises(UserError, match="its cost is unknown"):
        int8.refuse(int8.Cost(None, None, 60, 1.0, 20), 1.0)


def test_a_verdict_that_changes_is_counted() -> None:
    zero = np.zeros(3)
    both = parity.Both(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.1, 3.0]), zero, zero)
    found = parity.summary(both, 2.05, 2.05, "")
    assert found.verdicts_changed == 1
    assert found.score_largest == pytest.approx(0.1 / 2.05)


@pytest.mark.parametrize("size", [(97, 60), (60, 97), (200, 300), (997, 701)])
@pytest.mark.parametrize("fit", ["stretch", "letterbox", "crop"])
def test_photos_are_prepared_as_in_ingest(size: tuple[int, int], fit: str) -> None:
    """To the grey level."""
    photo = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    preparation = Preparation(64, fit)
    wanted = preparation.of_pixels(Decoded(Image.fromarray(photo), *size)).image
    made_here = Prepared(Given(size[1], size[0], True, True), preparation)(torch.from_numpy(photo)[None])
    assert np.array_equal(made_here[0].permute(1, 2, 0).numpy(), np.asarray(wanted))


def test_another_runtime_prepares_them_so_too(tmp_path: Path) -> None:
    """No product or sum of the graph's resizing has anything to round."""
    photo = np.random.default_rng(1).integers(0, 256, (701, 997), np.uint8)
    preparation = Preparation(64, "letterbox")
    wanted = preparation.of_pixels(Decoded(Image.fromarray(photo), 997, 701)).image
    graph = _Alone(Prepared(Given(701, 997, False, True), preparation)).eval()
    formats.write("openvino", graph, torch.from_numpy(photo[None]), tmp_path)  # type: ignore[arg-type]
    assert np.array_equal(formats.opened("openvino", tmp_path)(photo[None])[0][0, 0], np.asarray(wanted))


class _Alone(torch.nn.Module):
    maps = False

    def __init__(self, net: torch.nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, photo: torch.Tensor) -> tuple[torch.Tensor]:
        return (self.net(photo),)


def test_a_detector_without_a_graph_is_refused(tmp_path: Path) -> None:
    told = bundles.read(made("padim").bundle).model_copy(update={"detector": "ddad"})
    with pytest.raises(UserError, match="this ddad cannot be exported: padim, mixed with preset fast"):
        scores.of(DETECTORS.get("ddad")().create(), tmp_path, told, maps=False)
