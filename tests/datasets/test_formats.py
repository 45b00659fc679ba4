"""What a scan finds can be decoded, the same for the user's photos and for those to distil on."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from adrefine.datasets import files
from adrefine.datasets.formats import FORMATS, SUFFIXES
from adrefine.distillation import images
from adrefine.errors import UserError
from adrefine.ingestion.decode import BadPhoto, photo
from trees import pixels


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A photo of every suffix, in lower and upper case, and a GIF under two names."""
    picture = Image.fromarray(pixels(0, 32, 32))
    for suffix in SUFFIXES:
        picture.save(tmp_path / f"a{suffix}")
        picture.save(tmp_path / f"b{suffix.upper()}")
    picture.save(tmp_path / "c.gif")
    return tmp_path


def test_both_scans_find_the_same_files_and_every_one_is_read(folder: Path) -> None:
    found = images.find(folder)
    assert sorted(path.name for path in found) == sorted(
        f"{name}{ending}" for suffix in SUFFIXES for name, ending in (("a", suffix), ("b", suffix.upper()))
    )
    assert files.photos_below(folder, "") == sorted(path.name for path in found)
    for path in found:
        assert photo(path.read_bytes(), 1).image.size == images.read(path).size == (32, 32)
        assert Image.open(path).format in FORMATS


def test_a_gif_is_refused_whatever_its_suffix(folder: Path) -> None:
    disguised = (folder / "c.gif").rename(folder / "c.png")
    with pytest.raises(BadPhoto, match="a GIF, which is not read"):
        photo(disguised.read_bytes(), 1)
    with pytest.raises(UserError, match="remove it"):
        images.read(disguised)
