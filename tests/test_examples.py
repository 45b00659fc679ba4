"""The worked examples of docs/extending.md do what it says; in pipeline/ the graph runs on them."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from adrefine.areas.region import Region
from adrefine.errors import UserError
from adrefine.manifest import DEFECT, GOOD
from adrefine.params import Dataset
from fakes import pixel_store, vector_store
from trees import save

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "docs/examples"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))

    def load(name: str) -> ModuleType:
        sys.modules.pop(name, None)
        return import_module(name)

    return load


def test_settings_of_strategies_and_detectors_import_no_heavy_package():
    """Every command imports them; test_registry.py asks the same of those in src/."""
    code = "import knn, thumbnail, worst_share, sys; print({'torch', 'pandas', 'scipy'} & sys.modules.keys())"
    there = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, [ROOT / "src", EXAMPLES]))}
    done = subprocess.run([sys.executable, "-c", code], env=there, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


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


def dark_spot(folder: Path, region: Region | None = None):
    """Six photos of 64 x 48 pixels, one with a dark spot; and their files."""
    photos = {}
    for number in range(6):
        values = np.full((48, 64, 3), 100 + 10 * number, np.uint8)
        values[12:24, 32:48] -= 100 * (number == 4)
        photos[f"p{number}"] = save(folder / f"{number}.png", values)
    return pixel_store(folder / "prepared", photos, region=region), list(photos.values())


def test_the_detector_on_pixels_scores_and_maps_what_differs_from_the_mean(example, tmp_path):
    images, files = dark_spot(tmp_path)
    settings = example("thumbnail").Settings(side=16)  # a pixel of 4 x 3 of the photo's
    model = settings.create()
    model.fit(images.only(["p0", "p1", "p2"]))  # 100, 110, 120
    np.testing.assert_allclose(model.mean, 110 / 255)
    scores = model.score(images).image
    np.testing.assert_allclose(scores, [10 / 255, 1e-6, 10 / 255, 20 / 255, 70 / 255, 40 / 255], atol=1e-6)
    assert settings.own_maps
    maps = model.maps(images, files)
    assert (maps.shape, maps.dtype) == ((6, 48, 64), np.float32)
    np.testing.assert_allclose(maps[4, 14:22, 36:44], 70 / 255, atol=0.03)  # cubic between the pixels
    np.testing.assert_allclose(maps[4, 36:], 30 / 255, atol=1e-3)
    assert model.maps(images.only(()), []).shape[0] == 0
    np.testing.assert_array_equal(model.score(images.only(["p4"])).image, scores[4:5])


def test_the_detector_on_pixels_comes_back_from_disk(example, tmp_path):
    images, _ = dark_spot(tmp_path)
    model, loaded = (example("thumbnail").Settings(side=16).create() for _ in range(2))
    model.fit(images)
    model.save(tmp_path / "model")
    loaded.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.score(images).image, model.clone().score(images).image)
    with pytest.raises(UserError, match="run `dvc repro train`"):
        loaded.load(tmp_path)


def test_the_detector_on_pixels_sees_the_region_of_interest_alone(example, tmp_path):
    inside = np.zeros((48, 64), bool)
    inside[:, :24] = True
    images, files = dark_spot(tmp_path, Region(inside))
    model = example("thumbnail").Settings(side=16).create()
    model.fit(images.only(["p0", "p1", "p2"]))
    assert model.score(images).image[4] == pytest.approx(30 / 255)
    maps = model.maps(images, files)
    assert maps[4, :, :20].min() > 0
    assert not maps[:, :, 40:].any()


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
    assert layout.unused(tmp_path, "c.png") == "not listed in photos.csv"


def test_the_layout_reads_what_excel_and_people_write(example, tmp_path):
    (tmp_path / "photos.csv").write_bytes(b"\xef\xbb\xbffile,label\r\na.png,Good \r\nb.png, DEFECT\r\n")
    table = example("listed").Listed().scan(tmp_path, Dataset())
    assert table[["source", "label"]].values.tolist() == [["a.png", GOOD], ["b.png", DEFECT]]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"file,label\nM\xfcller.png,good\n", "is no text in UTF-8"),
        ("file,label\na.png,good\nb.png,defective\n", r"row 3: the label 'defective' is unknown: write good"),
        ("file,label\na.png\n", r"row 2: the label '' is unknown: write good or defect"),
        ("file;label\na.png;good\n", r"row 1: write `file,label` there, and commas"),
        ("", r"row 1: write `file,label` there, and commas"),
    ],
)
def test_the_layout_takes_no_label_by_guess(example, tmp_path, text, says):
    (tmp_path / "photos.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match=rf"photos\.csv,? {says}"):
        example("listed").Listed().scan(tmp_path, Dataset())


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
