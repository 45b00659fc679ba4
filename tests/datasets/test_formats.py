"""What a scan finds can be decoded, the same for the user's photos and for those to distil on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adrefine.datasets import files, formats
from adrefine.datasets.formats import FORMATS, SUFFIXES
from adrefine.distillation import images
from adrefine.errors import UserError
from adrefine.ingestion import decode
from adrefine.ingestion.decode import BadPhoto, photo
from trees import pixels, save


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A photo of every suffix, in lower and upper case, and a GIF under two names."""
    formats.make_ready()
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


def test_without_its_extra_heic_is_named_with_the_remedy(tmp_path: Path) -> None:
    """In a process of its own, where the extra `heic` is not installed."""
    save(tmp_path / "a.png", pixels(1))
    (tmp_path / "phone.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    program = (
        "import sys; sys.modules['pillow_heif'] = None\n"
        "from adrefine import datasets, params\n"
        f"found = datasets.read(params.Dataset(name='folder', root={str(tmp_path)!r}))\n"
        "print(*found[1]['source'], found[3].ignored.to_dict('records'), sep='\\n')"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    photos, ignored = said.splitlines()
    assert photos == "a.png"
    reason = ".heic is not read: pip install 'adrefine[heic]', or convert it to PNG"
    assert ignored == repr([{"source": "phone.HEIC", "reason": reason}])


def test_with_its_extra_heic_is_a_photo_like_another(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    colours = np.zeros((48, 64, 3), np.uint8)
    colours[:, 32:] = (200, 30, 30)
    pillow_heif.from_pillow(Image.fromarray(colours)).save(tmp_path / "phone.heic", quality=95)
    found = decode.read((tmp_path / "phone.heic").read_bytes(), 100)
    assert (found.width, found.height) == (64, 48)
    assert np.abs(np.asarray(found.image, int) - colours).mean() < 8
