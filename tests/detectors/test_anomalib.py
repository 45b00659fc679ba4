"""Models of anomalib as detectors: with a stand-in of its names, and with the package where there is one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from torch import nn

from adrefine import load_model
from adrefine.bundle.write import learned
from adrefine.detectors import Images
from adrefine.detectors.anomalib import library
from adrefine.detectors.anomalib.detector import Anomalib, _uncropped
from adrefine.detectors.anomalib.mends import PerPhoto, mended
from adrefine.detectors.anomalib.settings import Settings
from adrefine.dvc_driver import preflight
from adrefine.errors import UserError
from adrefine.io import read_json, write_json
from adrefine.params import parse
from adrefine.registry import installed
from detectors import anomalib_stand_in as stand_in
from prediction.made import Made, made

OFFLINE: dict[str, Any] = {"args": {"pre_trained": False}, "epochs": 1, "side": 64}
REAL = pytest.mark.skipif(find_spec("anomalib") is None, reason="anomalib is not installed")


@pytest.fixture(scope="module", params=["stand-in", pytest.param("anomalib", marks=REAL)])
def package(request: pytest.FixtureRequest) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "stand-in":
            stand_in.install(patch)
        yield request.param


@pytest.fixture(scope="module")
def run(package: str) -> Made:
    return made.__wrapped__("anomalib")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in, whatever is installed."""
    stand_in.install(monkeypatch)


def taught(run: Made, **section: Any) -> tuple[Anomalib, Images]:
    detector = Settings(**(OFFLINE | section)).create()
    images = Images.of(learned(run.run.refined), run.run.prepared)
    detector.fit(images)
    return detector, images


def test_a_bundle_scores_as_the_graph_and_its_maps_point_at_the_spot(run: Made) -> None:
    model, scores = load_model(run.bundle), run.scores()
    found = model.predict([run.photos[name] for name in sorted(run.photos)])
    assert [result.score for result in found] == [scores[name] for name in sorted(run.photos)]
    assert (
        f"computes with `anomalib` {library.version()}: install it" in (run.bundle / "README.md").read_text()
    )
    spotted = sorted(run.photos, key=lambda name: run.photos[name].name)[-2:]
    assert min(scores[name] for name in spotted) > max(scores[name] for name in set(scores) - {*spotted})
    result = model.predict(run.photos[spotted[-1]])
    row, column = np.unravel_index(result.map.argmax(), result.map.shape)
    assert result.map.min() > 0
    assert 40 < row < 90
    assert 55 < column < 105


def test_clones_and_fits_again_score_the_same(run: Made) -> None:
    images = Images(tuple(sorted(run.photos)), run.run.prepared)
    clone, (again, _) = run.detector.clone(), taught(run)
    for other in (clone, again):
        assert np.array_equal(other.score(images).image, run.detector.score(images).image)


def test_what_stores_photos_starts_afresh_at_a_warm_start(run: Made) -> None:
    detector, images = taught(run)
    few = images.only(images.ids[:4])
    detector.fit(few, warm_start=True)
    cold = run.detector.clone()
    cold.fit(few)
    assert np.array_equal(detector.score(images).image, cold.score(images).image)


def test_what_learns_goes_on_at_a_warm_start(small: None, run: Made) -> None:
    detector, images = taught(run, model="Fastflow", args={}, epochs=3, finetune_epochs=1)
    cold = [row["train_loss"] for row in detector.log]
    warm = detector.fit(images, warm_start=True)
    assert cold == sorted(cold, reverse=True)
    assert [row["train_loss"] for row in warm] == [pytest.approx(cold[-1] / 2)]


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"model": "Padimm"}, r"`anomalib.model` = 'Padimm' is unknown: did you mean `Padim`\?"),
        ({"model": "CFM"}, r"`anomalib.model` = 'CFM' is unknown: use one of .*Padim"),
        (
            {"args": {"bakbone": "resnet18"}},
            r"Padim has no argument 'bakbone': it has backbone, .*",
        ),
    ],
)
def test_what_anomalib_does_not_have_is_said_before_a_stage_runs(
    package: str, section: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=said) as raised:
        preflight.check_settings(parse({"detector": "anomalib", "anomalib": section}))
    assert "\n" not in str(raised.value)


def test_what_anomalib_says_is_one_line(small: None, run: Made) -> None:
    said = r"anomalib's Fastflow cannot be trained \(ValueError: one photo is no batch\)"
    with pytest.raises(UserError, match=said):
        taught(run, model="Fastflow", args={}, batch_size=1)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "anomalib.models.image", None)
    monkeypatch.setitem(sys.modules, "anomalib", None)
    with pytest.raises(UserError, match=r"pip install 'adrefine\[anomalib\]'"):
        Settings().check_needs()
    with pytest.raises(UserError, match=r"pip install 'adrefine\[nowhere\]'"):
        installed("nowhere")


def test_weights_are_read_from_the_file_and_never_fetched_for_a_bundle(
    small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = list[tuple[bool, Any]]()

    def create(name: str, pretrained: bool = False, pretrained_cfg_overlay: Any = None) -> nn.Module:
        calls.append((pretrained, pretrained_cfg_overlay))
        return nn.Identity()

    monkeypatch.setattr(timm, "create_model", create)
    library.build(Settings(), filled=False)
    library.build(Settings(weights="data/weights/r18.pth"), filled=False)
    library.build(Settings(weights="data/weights/r18.pth"), filled=True)
    assert calls == [(True, None), (True, {"file": "data/weights/r18.pth"}), (False, None)]
    assert timm.create_model is create
    with pytest.raises(UserError, match=r"anomalib\.weights: Padim with these .* takes no weights"):
        library.build(Settings(weights="r18.pth", args={"pre_trained": False}), filled=False)


def test_a_model_of_another_anomalib_is_refused(small: None, run: Made, tmp_path: Path) -> None:
    run.detector.save(tmp_path)
    write_json(tmp_path / "anomalib.json", {"anomalib": "2.9.1"})
    with pytest.raises(UserError, match=r"trained by anomalib 2\.9\.1, 2\.7\.0 is installed: pip install"):
        Settings().create().load(tmp_path)
    assert read_json(run.bundle / "model" / "anomalib.json") == {"anomalib": library.version()}


def test_a_map_of_the_middle_becomes_one_of_the_whole_photo() -> None:
    net = nn.Module()
    net.pre_processor = stand_in.PreProcessor(8, 4)
    plane = torch.full((2, 2), 3.0)
    plane[0, 0] = 1
    wanted = torch.ones(4, 4)
    wanted[1:3, 1:3] = plane
    assert torch.equal(_uncropped(net, plane), wanted)


def test_the_loss_of_uflow_is_the_mean_of_the_photos_losses() -> None:
    generator = torch.Generator().manual_seed(3)
    hidden = [torch.randn(4, 2, side, side, generator=generator) for side in (2, 4)]
    jacobians = torch.randn(4, generator=generator)
    alone = [PerPhoto()([z[i : i + 1] for z in hidden], jacobians[i : i + 1]) for i in range(4)]
    assert PerPhoto()(hidden, jacobians).item() == pytest.approx(torch.stack(alone).mean().item())


def test_the_mends_are_put_where_the_faults_are() -> None:
    uflow = type("Uflow", (nn.Module,), {})()
    assert isinstance(mended(uflow).loss, PerPhoto)
    glass = type("Glass", (nn.Module,), {})()
    aggregator, glass.model = nn.Module(), nn.Module()
    aggregator.feature_extractor, aggregator.backbone = nn.Linear(2, 2), "resnet18"
    glass.model.forward_modules = nn.ModuleDict({"feature_aggregator": aggregator})
    assert [*mended(glass).model.forward_modules["feature_aggregator"].backbone.parameters()]


@REAL
@pytest.mark.parametrize("model", ["Uflow", "Glass"])
def test_anomalib_still_has_the_faults_that_are_mended(model: str) -> None:
    """If this fails anomalib has mended one: take ours out."""
    import inspect

    from anomalib.models.image.glass.lightning_model import Glass
    from anomalib.models.image.uflow.loss import UFlowLoss

    faults = {
        "Uflow": (UFlowLoss.forward, "dim=0))"),
        "Glass": (Glass.configure_optimizers, ".backbone.parameters()"),
    }
    where, text = faults[model]
    assert text in inspect.getsource(where)
