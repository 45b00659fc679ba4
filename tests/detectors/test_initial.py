"""Initial and oracle: which images each of them learns, and when there is no oracle."""

from __future__ import annotations

import pandas as pd
import pytest

from adrefine import detectors
from adrefine.detectors import initial as models
from adrefine.detectors.differnet.detector import DifferNet
from adrefine.params import Params
from fakes import vector_store

SMALL = {
    "detector": "differnet",
    "differnet": {"hidden": 4, "layers": 1, "blocks": 1, "epochs": 2, "holdout": 0},
}


def table(ids: tuple[str, ...], label: int, hidden: int) -> pd.DataFrame:
    """The last `hidden` images are injected defects, the first two are for validation."""
    rows = pd.DataFrame(
        {"image_id": ids[::-1], "split": "train", "label": label, "injected": 0, "mask_path": ""}
    )
    rows.loc[rows.index[:hidden], ["label", "injected"]] = 1
    rows.loc[rows.index[-2:], "split"] = "val"
    return rows


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Train on a table; returns the ids of each fit and the folders of the two models."""
    images, params, fits = vector_store(tmp_path / "vectors", 12), Params.model_validate(SMALL), []
    fit = DifferNet.fit
    monkeypatch.setattr(
        DifferNet, "fit", lambda self, images: (fits.append(images.ids), fit(self, images))[1]
    )

    def train(label: int, hidden: int):
        folders = tmp_path / "initial", tmp_path / "oracle"
        epochs = models.train(params, table(images.ids, label, hidden), images.prepared, *folders)
        return fits, *folders, epochs, images.ids

    return train


def test_the_oracle_learns_all_but_the_hidden_defects(run):
    fits, initial, oracle, epochs, ids = run(label=0, hidden=3)
    assert fits == [ids[2:], ids[2:-3]]
    assert epochs == {"initial": 2, "oracle": 2}
    assert (initial / "differnet.pt").read_bytes() != (oracle / "differnet.pt").read_bytes()
    assert isinstance(models.load(Params(detector="differnet"), oracle), detectors.Detector)


def test_without_hidden_defects_the_oracle_is_the_initial_model(run):
    fits, initial, oracle, epochs, _ = run(label=0, hidden=0)
    assert len(fits) == 1
    assert epochs == {"initial": 2}
    files = sorted(path.name for path in initial.iterdir())
    assert files == sorted(path.name for path in oracle.iterdir())
    assert all((initial / name).read_bytes() == (oracle / name).read_bytes() for name in files)


@pytest.mark.parametrize("good", [0, 1])
def test_where_fewer_than_two_good_photos_train_there_is_no_oracle(run, good):
    fits, _, oracle, epochs, _ = run(label=0, hidden=10 - good)
    assert len(fits) == 1
    assert epochs == {"initial": 2}
    assert models.load(Params(detector="differnet"), oracle) is None


def test_unlabelled_images_have_no_oracle(run):
    fits, initial, oracle, _, _ = run(label=-1, hidden=0)
    assert len(fits) == 1
    assert models.load(Params(detector="differnet"), oracle) is None
    assert models.load(Params(detector="differnet"), initial) is not None
