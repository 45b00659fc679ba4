"""The Python interface: what it takes, what it gives, several threads at once."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adrefine import load_model
from adrefine.errors import UserError
from adrefine.prediction.model import Model
from prediction.made import made


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model(made("padim").bundle)


@pytest.fixture(scope="module")
def path() -> Path:
    """A PNG: decoded by whoever, it has the same pixels."""
    return next(path for path in sorted(made("padim").photos.values()) if path.suffix == ".png")


def test_the_same_photo_in_any_form_has_the_same_score(model: Model, path: Path) -> None:
    with Image.open(path) as image:
        values = np.asarray(image)
        forms = [path, str(path), path.read_bytes(), image.copy(), values, np.stack([values] * 3, axis=-1)]
    results = model.predict(forms)
    assert len({result.score for result in results}) == 1
    assert [bool(result.sha256) for result in results] == [True, True, True, False, False, False]


def test_values_of_more_than_8_bits_are_on_the_scale_of_their_set() -> None:
    run = made("padim", "letterbox", True)
    model = load_model(run.bundle)
    path = next(iter(run.photos.values()))
    with Image.open(path) as image:
        values = np.asarray(image)
    assert values.dtype == np.uint16
    assert model.predict(values).score == model.predict(path).score
    assert model.predict(values).notes == ()
    note = load_model(made("padim").bundle).predict(values).notes
    assert note == ("holds more than 8 bits, others did not: taken as 0..4080",)


def test_a_colour_photo_is_scored_with_a_warning(model: Model) -> None:
    values = np.random.default_rng(0).integers(0, 255, (128, 160, 3), np.uint8)
    assert model.predict(values).notes == ("in colour, those that trained are grey",)
    small = model.predict(values[:64, :64, 0])
    assert small.notes == ("64x64 pixels, those that trained have 160x128",)


def test_the_map_is_divided_by_the_one_limit_of_the_set(model: Model, path: Path) -> None:
    run = made("padim").run
    name = next(name for name, file in made("padim").photos.items() if file == path)
    from adrefine.detectors import Images

    own = made("padim").detector.maps(
        Images((name,), run.prepared), [run.ingested / "images" / f"{name}.png"]
    )
    assert own is not None
    assert model.predict(path).map.max() == pytest.approx(own.max() / run.map_limit, rel=0.05)


def test_without_a_map_it_says_so(model: Model, path: Path) -> None:
    result = model.predict(path, maps=False)
    assert result.box is None
    with pytest.raises(UserError, match="maps=True"):
        _ = result.map


@pytest.mark.parametrize("detector", ["padim", "efficientad"])
def test_threads_get_what_one_gets(detector: str) -> None:
    """Scores and maps to the bit, though all threads share the detector and what it has read."""
    run = made(detector)
    model, paths = load_model(run.bundle), sorted(run.photos.values())[:8]
    alone = [model.predict(path) for path in paths]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(model.predict, paths * 2))
    assert [one.score for one in together] == [one.score for one in alone] * 2
    assert all(np.array_equal(one.map, alone[n % 8].map) for n, one in enumerate(together))
    assert len({one.score for one in alone}) == len(paths)


@pytest.mark.parametrize(
    ("photo", "reason"),
    [
        ("nowhere.png", "nowhere.png: cannot be read: No such file"),
        (b"", "the photo: the file is empty"),
        (np.zeros((4, 4), np.uint8), "4x4 pixels: too small"),
        (np.zeros((32, 32, 2), np.uint8), r"shape \(32, 32, 2\)"),
        (np.zeros((32, 32), np.int64), "an array of int64"),
        (np.full((32, 32), np.nan), "infinite or not a number"),
        (7, "int is no path"),
    ],
)
def test_what_is_no_photo_is_named(model: Model, photo: object, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        model.predict(photo)  # type: ignore[call-overload]


def test_the_package_is_light_until_it_loads_a_model() -> None:
    script = "import sys, adrefine; assert adrefine.load_model; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_run_made_for_a_test_leaves_nothing_where_the_tests_were_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made.__wrapped__("padim")
    assert list(tmp_path.iterdir()) == []
