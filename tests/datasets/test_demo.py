"""The demo depends on its parameters alone, appears whole or not at all, and its masks tell the truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import binary_dilation

from adrefine.datasets import demo, flange_defects
from adrefine.errors import UserError
from adrefine.io import sha256_file, write_text
from adrefine.runtime import parallel

SIZE = 64


def files(root: Path) -> dict[str, str]:
    found = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): sha256_file(path) for path in found}


def small(root: Path, seed: int = 0) -> dict[str, str]:
    demo.generate(root, SIZE, seed, n_good=6, n_defect=4)
    return files(root)


def test_default_split_and_kinds() -> None:
    names = [name for name, _ in demo.plan(300, 100)]
    assert len(names) == len(set(names)) == 400
    assert sum(name.startswith("train/good/") for name in names) == 220
    assert sum(name.startswith("test/good/") for name in names) == 80
    for kind in ("scratch", "pit", "contamination", "missing_part"):
        assert sum(name.startswith(f"test/{kind}/") for name in names) == 25


def test_layout_is_mvtec(tmp_path: Path) -> None:
    kinds = ("scratch", "pit", "contamination", "missing_part")
    assert set(small(tmp_path / "demo")) == {
        demo.MARKER,
        *(f"train/good/{i:03d}.png" for i in range(4)),
        *(f"test/good/{i:03d}.png" for i in range(2)),
        *(f"test/{kind}/000.png" for kind in kinds),
        *(f"ground_truth/{kind}/000_mask.png" for kind in kinds),
    }
    for photo in (tmp_path / "demo").rglob("*.png"):
        with Image.open(photo) as image:
            assert (image.mode, image.size) == ("L", (SIZE, SIZE))


def test_depends_on_the_seed_alone(tmp_path: Path) -> None:
    first = small(tmp_path / "a")
    assert small(tmp_path / "b") == first
    other = small(tmp_path / "c", seed=1)
    assert not {first[name] for name in first} & {other[name] for name in first}


def test_workers_and_order_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = small(tmp_path / "alone")
    monkeypatch.setattr(demo, "POOL_PIXELS", 0)
    monkeypatch.setattr(demo, "BATCH", 1)
    monkeypatch.setattr(parallel, "cores", lambda: 2)
    monkeypatch.setattr(demo, "plan", lambda *counts, plan=demo.plan: plan(*counts)[::-1])
    assert small(tmp_path / "pool") == alone


@pytest.mark.parametrize("kind", demo.DEFECTS)
def test_a_defect_changes_what_its_mask_covers_and_nothing_far_from_it(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "SEVERITY", 1.0)  # the bounds below are grey values at this severity
    size = 112
    for number in range(6):
        name = f"test/{kind}/{number:03d}"
        harmed, mask = demo.render(size, 0, name, kind)
        sound, nothing = demo.render(size, 0, name, "good")
        change = np.abs(harmed.astype(int) - sound)
        near = binary_dilation(mask > 0, iterations=6)  # blur, and the shadow of a missing piece
        assert mask.shape == harmed.shape == (size, size)
        assert set(np.unique(mask)) == {0, 255}
        assert not nothing.any()
        assert change[mask > 0].max() >= 5
        assert change[~near].max() <= 5  # glare of the lens, the faint end of a scratch
        assert change[mask > 0].mean() > 10 * change[~near].mean()


@pytest.mark.parametrize("kind", demo.DEFECTS)
@pytest.mark.parametrize("size", [16, 61])
def test_masks_are_never_empty(kind: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "SEVERITY", 0.2)
    for number in range(8):
        assert demo.render(size, 0, f"test/{kind}/{number:03d}", kind)[1].any()


def test_a_fault_recurs_at_one_place_of_the_photo(monkeypatch: pytest.MonkeyPatch) -> None:
    def most_often(kind: str) -> float:
        """The largest share of the photos that have the defect at the same pixel."""
        masks = [demo.render(SIZE, 0, f"test/{kind}/{i:03d}", kind)[1] > 0 for i in range(24)]
        return float(np.mean(masks, axis=0).max())

    recurring = {kind: most_often(kind) for kind in demo.DEFECTS}
    monkeypatch.setattr(flange_defects, "RECURS", 0.0)
    for kind, share in recurring.items():
        assert share > 2 * most_often(kind), kind


def test_severity_makes_defects_clearer(monkeypatch: pytest.MonkeyPatch) -> None:
    def change(kind: str, severity: float) -> int:
        monkeypatch.setattr(demo, "SEVERITY", severity)
        pair = [
            demo.render(2 * SIZE, 0, f"test/{kind}/000", shown)[0].astype(int) for shown in (kind, "good")
        ]
        return int(np.abs(pair[0] - pair[1]).sum())

    for kind in demo.DEFECTS:
        assert change(kind, 0.5) < change(kind, 1.5)


def test_a_complete_demo_is_left_alone_and_other_parameters_replace_it(tmp_path: Path) -> None:
    root = tmp_path / "demo"
    first = small(root)
    inode = root.stat().st_ino
    assert small(root) == first
    assert root.stat().st_ino == inode
    demo.generate(root, SIZE, 0, n_good=3, n_defect=1)
    assert len(files(root)) == 1 + 3 + 2
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_a_failed_run_leaves_nothing_and_spares_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = small(tmp_path / "old")
    render = demo.render

    def failing(size: int, seed: int, name: str, kind: str) -> object:
        if kind == "pit":
            raise KeyboardInterrupt
        return render(size, seed, name, kind)

    monkeypatch.setattr(demo, "render", failing)
    for name in ("old", "new"):
        with pytest.raises(KeyboardInterrupt):
            small(tmp_path / name, seed=1)
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert files(tmp_path / "old") == before


def test_photos_of_others_are_never_deleted(tmp_path: Path) -> None:
    mine = tmp_path / "raw" / "good" / "mine.png"
    write_text(mine, "precious")
    with pytest.raises(UserError, match=r"good/mine\.png"):
        small(tmp_path / "raw")
    small(tmp_path / "demo")
    write_text(tmp_path / "demo" / "train" / "good" / "mine.png", "precious")
    with pytest.raises(UserError, match=r"mine\.png"):
        small(tmp_path / "demo", seed=1)
    assert mine.read_text() == "precious"


def test_a_run_that_was_faster_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, write = tmp_path / "demo", demo._write_photos

    def overtaken(*args: object) -> None:
        monkeypatch.setattr(demo, "_write_photos", write)
        small(root)
        write(*args)  # type: ignore[arg-type]
        monkeypatch.setattr(Path, "exists", lambda path: False)  # as seen before the other run ended

    monkeypatch.setattr(demo, "_write_photos", overtaken)
    demo.generate(root, SIZE, 0, n_good=6, n_defect=4)
    assert (root / demo.MARKER).is_file()
