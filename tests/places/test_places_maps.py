"""Maps of places: bright where a photo differs from the photos that trained, at the size of its file."""

import numpy as np
from PIL import Image

from adrefine.detectors.differnet.settings import Settings as DifferNet
from adrefine.detectors.padim.settings import Settings as Padim
from adrefine.features.store import write_rows
from adrefine.places.maps import of_photos

GRID, CHANNELS = 4, 3


def _prepared(folder, odd):
    """Thirty alike photos, and one that differs at the place `odd` (row, column)."""
    maps = np.random.default_rng(0).standard_normal((31, GRID**2, CHANNELS)).astype(np.float16)
    maps[30, GRID * odd[0] + odd[1]] += 9
    ids = [f"p{number:02d}" for number in range(31)]
    rows = ((one, one[0]) for one in maps)
    write_rows(folder / "places", ids, rows, {"maps": maps.shape[1:], "pooled": (CHANNELS,)}, {})
    return ids


def test_the_odd_place_is_the_brightest_whatever_the_photos_shape(tmp_path):
    ids, file = _prepared(tmp_path, odd=(1, 2)), tmp_path / "photo.png"
    Image.new("L", (80, 60)).save(file)

    usual, odd = of_photos(tmp_path, ids[:30], ids[29:], [file, file])

    assert odd.shape == (60, 80)
    assert odd.dtype == np.float32
    assert usual.min() >= 0
    assert usual.max() < odd.max() / 3
    row, column = np.unravel_index(odd.argmax(), odd.shape)
    assert (row // 15, column // 20) == (1, 2)
    assert of_photos(tmp_path, ids[:30], [], []).shape[0] == 0


def test_what_trained_is_what_is_usual(tmp_path):
    ids, file = _prepared(tmp_path, odd=(0, 0)), tmp_path / "photo.png"
    Image.new("L", (16, 16)).save(file)

    (foreign,) = of_photos(tmp_path, ids[:30], ids[30:], [file])
    (learned,) = of_photos(tmp_path, ids, ids[30:], [file])

    assert learned.max() < foreign.max() / 2


def test_published_detectors_show_their_own_maps():
    assert DifferNet(preset="paper").own_maps
    assert not DifferNet().own_maps
    assert Padim().own_maps
