"""The worked examples of docs/extending.md in a project: one file and one registry line, or installed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pipeline.project import PHOTOS, REPOSITORY, Project, Run

pytestmark = pytest.mark.pipeline

EXAMPLES = REPOSITORY / "docs/examples"
ENTRY_POINTS = """\
[adrefine.detectors]
knn = knn:Settings
thumbnail = thumbnail:Settings
[adrefine.strategies]
worst_share = worst_share:Settings
[adrefine.layouts]
listed = listed:Listed
[adrefine.backbones]
edges = edges:Edges
[adrefine.defects]
dot = dot:Dot
"""
KNN = {"detector": "knn", "knn": {"neighbours": 2}, "refine.folds": 2}


@pytest.fixture
def copied(first: tuple[Project, Run, str], tmp_path: Path) -> Project:
    """A project that has run, to change as one likes."""
    first[0].reset()
    shutil.copytree(first[0].root, tmp_path / "copy", symlinks=True)
    return Project(tmp_path / "copy", first[0].warm)


def register(project: Project, module: str, name: str, attribute: str) -> None:
    """Add a file of the examples and its registry line, the last of its package."""
    package = project.root / "src/adrefine/detectors"
    shutil.copyfile(EXAMPLES / f"{module}.py", package / f"{module}.py")
    registry = package / "__init__.py"
    line = f'        "{name}": "adrefine.detectors.{module}:{attribute}",\n'
    registry.write_text(registry.read_text().replace("    },\n)", f"{line}    }},\n)"))


def install(project: Project, folder: Path) -> None:
    """The examples as an installed package."""
    info = folder / "adrefine_examples-0.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: adrefine-examples\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    for file in EXAMPLES.glob("*.py"):
        shutil.copyfile(file, folder / file.name)
    project.paths = (folder,)


def report_of(project: Project) -> tuple[dict, str]:
    metrics = json.loads((project.root / "reports/metrics.json").read_text())
    return metrics, (project.root / "reports/report.html").read_text()


def test_a_detector_is_one_file_and_one_registry_line(copied: Project) -> None:
    register(copied, "knn", "knn", "Settings")
    copied.set({"detector": "knn"})
    check = copied.run("adrefine", "check")
    assert "has no section `knn`, which the stages read: add `knn: {}`" in check.err
    copied.set(KNN)
    assert copied.run("adrefine", "check").out.splitlines()[0] == "params.yaml is correct: mvtec, knn, irp"
    assert {"select", "train", "refine", "evaluate"} <= copied.repro().ran
    metrics, report = report_of(copied)
    assert set(metrics["detection"]) == {"initial", "refined", "oracle"}
    assert metrics["detection"]["initial"]["auroc"] > 0.7
    assert "knn" in report
    copied.set(KNN | {"refine.strategy": "consensus"})
    assert copied.repro().ran == {"select", "refine", "evaluate"}
    assert "consensus" in report_of(copied)[1]
    copied.set(KNN | {"knn": {"neighbours": 1}})
    assert "train" in copied.repro().ran


def test_a_detector_on_pixels_has_its_own_maps_in_the_report_and_in_the_bundle(copied: Project) -> None:
    register(copied, "thumbnail", "thumbnail", "Settings")
    copied.set({"detector": "thumbnail", "thumbnail": {"side": 16}, "refine.folds": 2})
    assert {"pretrain_pdn", "select", "train", "refine", "evaluate"} <= copied.repro().ran
    metrics, report = report_of(copied)
    assert 0 <= metrics["localization"]["refined"]["pixel_auroc"] <= 1
    assert "thumbnail" in report
    card = json.loads((copied.root / "models/bundle/bundle.json").read_text())
    assert (card["detector"], card["map"]["of"]) == ("thumbnail", "detector")
    predicted = copied.run("adrefine", "predict", PHOTOS + "/test", "--model", "models/bundle")
    assert not predicted.code, predicted.err


def test_five_kinds_of_an_installed_package_run_together(fresh: Project, tmp_path: Path) -> None:
    install(fresh, tmp_path / "installed")
    photos = fresh.root / PHOTOS
    labels = {path: "good" if path.parent.name == "good" else "defect" for path in photos.glob("t*/*/*.png")}
    rows = [f"{path.relative_to(photos).as_posix()},{label}\n" for path, label in sorted(labels.items())]
    (photos / "photos.csv").write_text("file,label\n" + "".join(rows))
    kinds = {"noise_patch": 0.0, "random_walk": 0.0, "cutpaste": 0.0, "perlin": 0.0, "dot": 1.0}
    fresh.set(
        KNN
        | {"dataset.name": "listed", "embed.backbone": "edges", "synthesize.kinds": kinds}
        | {"refine.strategy": "worst_share", "worst_share": {"share": 0.2}}
    )
    assert fresh.run("adrefine", "check").out.startswith("params.yaml is correct: listed, knn, worst_share\n")
    run = fresh.repro()
    assert "defects on" in run.out
    assert "(dot " in run.out
    metrics, report = report_of(fresh)
    trained = metrics["noise"]["n_train"]
    assert metrics["cleaning"]["removed"] == pytest.approx(0.2 * trained, abs=1)
    assert "worst_share" in report
    selected = json.loads((fresh.root / "data/prepared/selected.json").read_text())
    assert selected["package"] == "adrefine-examples 0.1"
    assert set(selected["reads"]) == {"features"}
    pixels = fresh.root / "data/prepared/pixels"
    assert [path.name for path in pixels.iterdir()] == ["unused.json"]
