"""What the stage leaves: the same bytes every time, weights that say where they come from, clear refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import torch

from adrefine.backbones import pdn
from adrefine.distillation import loop
from adrefine.distillation.pretrain import curve, describe, pretrain, sources
from adrefine.errors import UserError
from adrefine.params import PretrainPdn, Runtime, parse
from distillation.tiny import settings

FILES = {"pdn.pt", "meta.json", "loss.csv"}


@pytest.fixture
def photos(photos: pd.DataFrame) -> pd.DataFrame:
    """Four of them: whatever is measured of photos is measured at 256 pixels."""
    return photos[:4]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_bundled_weights_as_they_are(photos, generic, tmp_path):
    params = PretrainPdn(images=str(generic))
    counts = pretrain(photos, params, tmp_path / "a", tmp_path / "cache")
    assert counts == {"photos": 4, "generic": 0, "steps": 0, "images_per_second": 0}
    assert not (tmp_path / "cache").exists()
    assert (tmp_path / "a/pdn.pt").read_bytes() == pdn.BUNDLED.read_bytes()
    meta = json.loads((tmp_path / "a/meta.json").read_text())
    assert meta["teacher"] == "efficientnet_lite0"
    assert (meta["size"], meta["steps"], meta["photos"], meta["statistics_of"]) == ("small", 0, 4, 4)
    assert len(meta["channel_mean"]) == len(meta["channel_std"]) == 384
    assert min(meta["channel_std"]) > 0
    pretrain(photos, params, tmp_path / "b", tmp_path / "other")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert set(contents(tmp_path / "a")) == FILES


def test_statistics_are_those_of_the_features(photos):
    paths = [Path(path) for path in photos["path"][:2]]
    mean, std = describe(pdn.read(), paths, Runtime())
    from adrefine.distillation.images import whole

    images = torch.stack([whole(path, 256) for path in paths]) / 255
    with torch.inference_mode():
        maps = pdn.read().network()(images)
    torch.testing.assert_close(mean, maps.mean((0, 2, 3)), rtol=0.1, atol=0.02)
    torch.testing.assert_close(std, maps.std((0, 2, 3)), rtol=0.1, atol=0.02)


@pytest.mark.parametrize("start", ["scratch", "bundled"])
def test_distilled_twice_and_after_a_kill(photos, generic, tmp_path, monkeypatch, start):
    monkeypatch.setattr(loop.Distillation.run, "__defaults__", (1, None))
    params = settings(generic, init=start, steps=2)
    counts = pretrain(photos, params, tmp_path / "a", tmp_path / "cache")
    assert counts.pop("images_per_second") > 0
    assert counts == {"photos": 4, "generic": 2, "steps": 2}
    assert len(pd.read_csv(tmp_path / "a/loss.csv")) == 2
    assert (tmp_path / "a/pdn.pt").read_bytes() != pdn.BUNDLED.read_bytes()

    learn, done = loop.Distillation._learn, []

    def dying(self, pair, pool):
        if len(done) == 1:
            raise KeyboardInterrupt
        done.append(1)
        return learn(self, pair, pool)

    monkeypatch.setattr(loop.Distillation, "_learn", dying)
    with pytest.raises(KeyboardInterrupt):
        pretrain(photos, params, tmp_path / "b", tmp_path / "killed")
    assert not (tmp_path / "b").exists()
    monkeypatch.setattr(loop.Distillation, "_learn", learn)
    pretrain(photos, params, tmp_path / "b", tmp_path / "killed")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_other_images_start_anew(photos, generic, tmp_path):
    params = settings(generic, steps=1)
    for number in (1, 2, 2):
        pretrain(photos[:-number], params, tmp_path / "out", tmp_path / "cache")
        assert len(list((tmp_path / "cache").iterdir())) == number


def test_medium(photos, generic, tmp_path):
    pretrain(photos, settings(generic, size="medium", steps=1), tmp_path / "out", tmp_path / "cache")
    assert "conv6.weight" in pdn.read(tmp_path / "out/pdn.pt").state


def test_test_photos_and_labels_are_left_out():
    splits = ["train", "val", "pool", "test"]
    table = pd.DataFrame({"image_id": list("abcd"), "path": list("abcd"), "split": splits, "label": 0})
    assert sources(table)["image_id"].tolist() == ["a", "b", "c"]
    assert sources(table).columns.tolist() == ["image_id", "path"]


def test_curve_is_short_and_keeps_the_mean():
    assert curve([]).empty
    assert curve([3.0, 1.0]).to_dict("list") == {"step": [1, 2], "loss": [3.0, 1.0]}
    long = curve([1.0, 3.0] * 1000)
    assert len(long) == 500
    assert set(long["loss"]) == {2.0}
    assert long["step"].iloc[-1] == 2000


@pytest.mark.parametrize(
    ("section", "named"),
    [
        ({"size": "medium"}, "size small and teacher efficientnet_lite0.*set init to scratch"),
        ({"teacher": "wide_resnet101_2"}, "size small and teacher efficientnet_lite0.*set init to scratch"),
        ({"init": "scratch"}, "untrained network: set steps"),
        ({"side": 100}, r"`pretrain_pdn\.side` = 100"),
        ({"images": None}, r"`pretrain_pdn\.images` = None"),
        ({"step": 5}, "did you mean `steps`"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_settings_that_cannot_be(section, named):
    with pytest.raises(UserError, match=named):
        parse({"pretrain_pdn": section})


def test_refusals(photos, generic, tmp_path):
    with pytest.raises(UserError, match="no photo to train on"):
        pretrain(photos[:0], settings(generic), tmp_path, tmp_path)
    with pytest.raises(UserError, match=r"pretrain_pdn\.images: .*none is no folder"):
        pretrain(photos, settings(generic / "none"), tmp_path, tmp_path)
    Path(photos["path"][0]).write_bytes(b"")
    with pytest.raises(UserError, match=r"p00\.png cannot be read"):
        pretrain(photos, PretrainPdn(images=str(generic)), tmp_path, tmp_path)
