"""The worked examples of docs/extending.md do what it says; in pipeline/ the graph runs on them."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from adrefine.errors import UserError
from adrefine.manifest import DEFECT, GOOD
from adrefine.params import Dataset
from fakes import vector_store

EXAMPLES = Path(__file__).parents[1] / "docs/examples"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))

    def load(name: str) -> ModuleType:
        sys.modules.pop(name, None)
        return import_module(name)

    return load


def test_the_strategy_drops_the_worst_share_once(example):
    scores = pd.Series(np.arange(1.0, 11.0), index=[f"p{number}" for number in range(10)])
    removal = example("worst_share").Settings(share=0.2).create(10).step(scores, floor=2)
    assert removal.ids == ("p9", "p8")
    assert removal.threshold == pytest.approx(8.2)
    assert removal.stop


def test_the_detector_scores_by_the_nearest_photos_and_comes_back_from_disk(example, tmp_path):
    module, images = example("knn"), vector_store(tmp_path / "prepared", count=20, outliers=1)
    model = module.Settings(neighbours=2).create()
    model.fit(images)
    scores = model.score(images).image
    assert scores.argmax() == 19
    mean = model.vectors(images).mean(axis=1).astype(float)
    distances = np.sort(np.linalg.norm(mean[:, None] - mean, axis=2), axis=1)
    np.testing.assert_allclose(scores, distances[:, 1:3].mean(axis=1))
    model.save(tmp_path / "model")
    loaded = module.Settings(neighbours=2).create()
    loaded.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.score(images).image, scores)
    with pytest.raises(UserError, match="run `dvc repro train`"):
        loaded.load(tmp_path)


def test_the_layout_reads_its_list(example, tmp_path):
    layout, params = example("listed").Listed(), Dataset(test_fraction=0.5)
    with pytest.raises(UserError, match=r"photos\.csv is missing"):
        layout.scan(tmp_path, params)
    rows = "".join(f"a/{number}.png,good\n" for number in range(40))
    (tmp_path / "photos.csv").write_text(f"file,label\nb.png,defect\n{rows}")
    table = layout.scan(tmp_path, params).set_index("source")
    assert table.loc["b.png", ["split", "label", "defect_type"]].tolist() == ["test", DEFECT, "defect"]
    good = table[table["label"] == GOOD]
    assert len(good) == 40
    assert 10 < (good["split"] == "test").sum() < 30


def test_the_backbone_gives_the_maps_that_it_promises(example):
    import torch

    net = example("edges").Edges("edges", None).freeze()
    ramp = torch.arange(8.0).expand(1, 3, 8, 8)
    first, second = net.maps(ramp)
    assert (first.shape, second.shape) == ((1, 4, 6, 6), (1, 4, 2, 2))
    assert tuple(found.shape[1] for found in (first, second)) == net.channels
    assert first[0, :, 0, 0].tolist() == [1, 0, 1, 1]  # right, down, both diagonals
    assert second[0, :, 0, 0].tolist() == [2, 0, 2, 2]


def test_the_dot_has_an_exact_mask_on_the_part(example):
    image = np.full((64, 48, 3), 128 / 255, np.float32)
    foreground = np.zeros((64, 48), bool)
    foreground[10:50, 10:40] = True
    for seed in range(5):
        changed, mask = example("dot").Dot(radius=0.1).apply(image, foreground, np.random.default_rng(seed))
        np.testing.assert_array_equal((changed != image).any(axis=2), mask)
        assert mask.any()
        assert not (mask & ~foreground).any()
        assert mask.sum() <= 3 * np.pi * (0.1 * 48) ** 2
