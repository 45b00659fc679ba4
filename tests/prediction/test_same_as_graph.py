"""A photo gets from a bundle the score that the graph gave it, to the bit, alone or among others."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from adrefine import load_model
from adrefine.bundle import contents
from adrefine.io import sha256_file
from backbones.random_nets import file_of
from prediction.made import made


@pytest.mark.parametrize(
    ("detector", "fit", "deep"),
    [
        ("padim", "stretch", False),
        ("mixed", "stretch", False),
        ("glass", "stretch", False),
        ("uflow", "stretch", False),
        ("differnet", "stretch", False),
        ("ddad", "stretch", False),
        ("efficientad", "stretch", False),
        ("efficientad instant", "stretch", False),
        ("efficientad steps", "stretch", False),
        ("padim", "part", False),
        ("padim", "letterbox", True),
    ],
)
def test_scores_are_those_of_the_graph(detector: str, fit: str, deep: bool) -> None:
    run = made(detector, fit, deep)
    assert run.preparation["fit"] == fit
    model, scores = load_model(run.bundle), run.scores()
    assert len(set(scores.values())) > 15, "the scores are all alike: the test shows nothing"
    paths = [run.photos[name] for name in sorted(run.photos)]
    found = model.predict(list(paths), maps=False)
    assert [result.score for result in found] == [scores[name] for name in sorted(run.photos)]
    alone = [model.predict(path).score for path in paths[:3]]
    assert alone == [result.score for result in found[:3]]
    from_bytes = model.predict(paths[0].read_bytes())
    assert from_bytes.score == alone[0]


@pytest.mark.parametrize(
    ("detector", "name"),
    [
        ("padim", "timm/test_vit"),
        ("differnet", "torchvision/mobilenet_v3_small"),
        ("differnet", "transformers/dinov2"),
    ],
)
def test_a_network_of_another_library_is_in_the_bundle(detector: str, name: str, tmp_path: Path) -> None:
    """The user's file of weights is not needed any more; its hash is told."""
    file = file_of(name, tmp_path)
    run, digest = made(detector, network=(name, str(file))), sha256_file(file)
    shutil.rmtree(tmp_path)
    weights = contents.check(run.bundle).backbones["places"]
    assert weights.sha256 == digest == sha256_file(run.bundle / weights.file)
    assert f"for {name.partition('/')[0]} " in (run.bundle / "README.md").read_text()
    model, scores = load_model(run.bundle), run.scores()
    assert len(set(scores.values())) > 15, "the scores are all alike: the test shows nothing"
    found = model.predict([run.photos[name] for name in sorted(run.photos)])
    assert [result.score for result in found] == [scores[name] for name in sorted(run.photos)]
    assert all(np.ptp(result.map) > 0 for result in found)


@pytest.mark.parametrize("detector", ["padim", "mixed", "glass", "uflow", "differnet", "ddad", "efficientad"])
def test_maps_point_at_the_spot(detector: str) -> None:
    """In the photo's own pixels."""
    run = made(detector)
    result = load_model(run.bundle).predict(run.photos[max(run.photos, key=lambda n: run.photos[n].name)])
    assert result.map.shape == (128, 160)
    assert result.map.dtype == np.float32
    if detector not in ("efficientad", "ddad"):  # so few steps teach them nothing
        row, column = np.unravel_index(result.map.argmax(), result.map.shape)
        assert 40 < row < 90
        assert 55 < column < 105
        x, y, width, height = result.box or (0, 0, 0, 0)
        assert x <= column < x + width
        assert y <= row < y + height
