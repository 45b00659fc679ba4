"""The whole of ingest on trees on disk: outputs, side cache, quarantine, leaks, errors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import adrefine
import trees
from adrefine import manifest
from adrefine.errors import UserError
from adrefine.ingestion import pipeline, prepare
from adrefine.io import sha256_file
from adrefine.params import Dataset

OUT = Path("data/ingested")


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ADREFINE_CACHE_DIR", raising=False)


def ingest(name: str = "mvtec", workers: int = 1, **more: object) -> tuple[pipeline.Summary, pd.DataFrame]:
    given = {"name": name, "root": "raw", "image_size": 32, **more}
    summary = pipeline.ingest(Dataset.model_validate(given), OUT, workers)
    return summary, manifest.read(OUT / "manifest.csv")


def contents(folder: Path = OUT) -> dict[str, str]:
    return {str(path): sha256_file(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def test_manifest_and_files() -> None:
    trees.mvtec(Path("raw"))
    summary, table = ingest()
    assert tuple(table.columns) == manifest.COLUMNS
    assert table["image_id"].is_monotonic_increasing
    assert summary.splits["train"] + summary.splits["val"] == 12
    assert summary.splits["test"] == 8
    row = table[table["source"] == "test/bent/001.png"].iloc[0]
    assert row["image_id"] == sha256_file(Path("raw") / row["source"])[:16]
    assert (row["width"], row["height"], row["label"], row["mask_area"]) == (40, 32, 1, 1 / 16)
    with Image.open(row["path"]) as image, Image.open(row["mask_path"]) as mask:
        assert (image.mode, image.size, mask.mode, mask.size) == ("L", (32, 32), "L", (32, 32))
        assert set(np.unique(np.asarray(mask))) == {0, 255}
    assert (table.loc[table["label"] == 0, "mask_path"] == "").all()
    assert (OUT / "quarantine.csv").read_text() == "source,reason\n"
    assert json.loads((OUT / "summary.json").read_text())["splits"] == summary.splits


@pytest.mark.parametrize(
    ("name", "tree"), [("ksdd2", trees.ksdd2), ("mtd", trees.mtd), ("folder", trees.folder)]
)
def test_every_layout_goes_through(name: str, tree: object) -> None:
    tree(Path("raw"))  # type: ignore[operator]
    summary, table = ingest(name)
    assert summary.quarantined == 0
    assert summary.exact == 0
    assert (table.loc[table["label"] == 1, "mask_area"] > 0).all()
    assert summary.splits["pool"] == (2 if name == "ksdd2" else 0)


def test_unlabelled_photos_get_a_val_split_and_no_test() -> None:
    for number in range(40):
        trees.save(Path(f"raw/{number}.png"), trees.pixels(number))
    summary, table = ingest("folder", val_fraction=0.3)
    assert set(table["label"]) == {-1}
    assert summary.splits["test"] == 0
    assert 3 <= summary.splits["val"] <= 25


def test_again_reuses_everything_and_gives_the_same_bytes() -> None:
    trees.mvtec(Path("raw"))
    first, _ = ingest()
    before = contents()
    second, _ = ingest()
    assert (first.decoded, first.reused, second.decoded, second.reused) == (20, 0, 0, 20)
    assert contents() == before


def test_a_wrong_root_costs_nothing_that_is_there() -> None:
    trees.mvtec(Path("raw"))
    ingest()
    before = contents()
    with pytest.raises(UserError):
        ingest(root="nowhere")
    assert contents() == before


def test_without_the_side_cache_and_in_many_processes_the_bytes_are_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trees.mvtec(Path("raw"))
    ingest()
    before = contents()
    monkeypatch.setenv("ADREFINE_CACHE_DIR", "elsewhere")
    monkeypatch.setattr(prepare, "BATCH", 3)
    summary, _ = ingest(workers=2)
    assert summary.decoded == 20
    assert contents() == before


def test_adding_a_photo_decodes_that_photo_and_moves_no_other() -> None:
    trees.mvtec(Path("raw"))
    _, before = ingest()
    trees.save(Path("raw/train/good/größe, neu.png"), trees.pixels(77))
    summary, after = ingest()
    assert (summary.decoded, summary.reused) == (1, 20)
    new = after["source"] == "train/good/größe, neu.png"
    assert new.sum() == 1
    assert after[~new].reset_index(drop=True).equals(before)


def test_an_image_edited_in_place_is_not_taken_from_the_side_cache() -> None:
    trees.mvtec(Path("raw"))
    _, table = ingest()
    before = contents()
    _edit(Path(table["path"].iloc[0]))  # the side cache has a link to the same file
    summary, _ = ingest()
    assert summary.decoded == 1
    assert contents() == before


def test_another_size_is_another_side_cache() -> None:
    trees.mvtec(Path("raw"))
    ingest()
    assert ingest(image_size=48)[0].decoded == 20
    assert ingest(fit="crop")[0].decoded == 20
    assert ingest()[0].decoded == 0


def test_bad_photos_go_to_quarantine() -> None:
    root = trees.mvtec(Path("raw"))
    whole = (root / "train/good/000.png").read_bytes()
    outside = trees.save(Path("outside.png"), trees.pixels(99))
    (root / "train/good/empty.png").write_bytes(b"")
    (root / "train/good/cut.png").write_bytes(whole[: len(whole) // 2])
    (root / "train/good/text.png").write_text("sorry")
    Image.new("1", (15000, 8000)).save(root / "train/good/bomb.png")
    (root / "train/good/link.png").symlink_to(outside.absolute())
    (root / "train/good/loop.png").symlink_to("loop.png")
    os.mkfifo(root / "train/good/pipe.png")
    (root / "ground_truth/bent/000_mask.png").write_bytes(b"broken")
    summary, table = ingest(max_quarantined=0.5)
    reasons = pd.read_csv(OUT / "quarantine.csv").set_index("source")["reason"].to_dict()
    expected = {
        "empty": "0 bytes",
        "cut": "damaged",
        "text": "not an image",
        "bomb": "max_megapixels",
        "link": "leaves",
        "loop": "link",
        "pipe": "not a regular file",
    }
    assert summary.quarantined == len(reasons) == 8
    assert len(table) == 19
    for name, text in expected.items():
        assert text in reasons[f"train/good/{name}.png"]
    assert "its mask ground_truth/bent/000_mask.png: not an image" in reasons["test/bent/000.png"]


def test_a_link_inside_the_root_is_followed_and_is_a_duplicate() -> None:
    root = trees.mvtec(Path("raw"))
    (root / "train/good/again.png").symlink_to("000.png")
    summary, table = ingest()
    assert summary.exact == 1
    assert len(table) == 20


def test_a_linked_folder_is_not_followed_but_listed() -> None:
    for number in range(30):
        trees.save(Path(f"raw/{number}.png"), trees.pixels(number))
    trees.save(Path("other/a.png"), trees.pixels(99))
    Path("raw/more").symlink_to(Path("other").absolute())
    ingest("folder", max_quarantined=0.1)
    assert 'more,"a symbolic link' in (OUT / "quarantine.csv").read_text()


def test_too_many_bad_photos_stop_the_run_and_leave_nothing_that_looks_complete() -> None:
    root = trees.mvtec(Path("raw"))
    ingest()
    for number in range(3):
        (root / f"train/good/{number:03d}.png").write_bytes(b"")
    with pytest.raises(
        UserError, match=r"3 of 20 photos \(15\.0%\).*train/good/000\.png.*quarantine\.csv: repair"
    ) as error:
        ingest(max_quarantined=0.1)
    assert "\n" not in str(error.value)
    assert [path.name for path in OUT.iterdir()] == ["quarantine.csv"]


def test_masks_of_another_size_are_named() -> None:
    root = trees.mvtec(Path("raw"), each=7)
    for path in (root / "ground_truth").rglob("*.png"):
        trees.save(path, trees.spot(32, 40))
    with pytest.raises(UserError) as error:
        ingest()
    assert str(error.value).startswith(
        "14 masks are of another size than their photo: test/bent/000.png is 40x32 "
        "pixels, its mask ground_truth/bent/000_mask.png 32x40; "
    )
    assert "and 9 more" in str(error.value)
    assert not (OUT / "manifest.csv").exists()


def test_a_leak_is_taken_out_of_training_and_contradicting_labels_are_named() -> None:
    root = trees.mvtec(Path("raw"))
    for source, target in (("test/good/000", "train/good/leak"), ("test/bent/001", "test/good/wrong")):
        (root / f"{target}.png").write_bytes((root / f"{source}.png").read_bytes())
    summary, table = ingest()
    twice = pd.read_csv(OUT / "duplicates.csv")
    exact = twice[twice["kind"] == "exact"].set_index("source")
    assert exact.loc["train/good/leak.png", ["other_source", "leak"]].tolist() == ["test/good/000.png", 1]
    assert exact.loc["test/good/wrong.png", ["other_source", "label_conflict"]].tolist() == [
        "test/bent/001.png",
        1,
    ]
    assert summary.exact == 2
    assert not {"train/good/leak.png", "test/good/wrong.png"} & set(table["source"])
    assert any("as good and as defective" in text for text in summary.warnings)


def test_a_defect_with_an_empty_mask_stays_a_defect_without_mask() -> None:
    root = trees.mvtec(Path("raw"))
    trees.save(root / "ground_truth/bent/000_mask.png", np.zeros((32, 40), np.uint8))
    summary, table = ingest()
    row = table[table["source"] == "test/bent/000.png"].iloc[0]
    assert (row["label"], row["mask_path"], row["mask_area"]) == (1, "", 0)
    assert "1 defective photos have a mask that marks nothing" in summary.warnings[0]


def test_a_lower_limit_holds_for_photos_in_the_side_cache_too() -> None:
    root = trees.mvtec(Path("raw"))
    trees.save(root / "train/good/large.png", trees.pixels(50, 60, 60))
    ingest()
    summary, _ = ingest(max_megapixels=0.0015)
    assert summary.quarantined == 1


def test_nothing_left_to_train_on() -> None:
    trees.folder(Path("raw"), good=3)
    with pytest.raises(UserError, match="no photo is left for training"):
        ingest(
            "folder",
            test_fraction=0.9,
            val_fraction=0.5,
            seed=next(seed for seed in range(200) if _all_tested(seed)),
        )


def _all_tested(seed: int) -> bool:
    from adrefine.datasets import files

    params = Dataset(test_fraction=0.9, seed=seed)
    return all(files.held_out(f"good/day {number % 2}/part {number}.png", params) for number in range(3))


def test_the_stage_prints_a_summary_and_one_line_for_a_mistake() -> None:
    trees.mvtec(Path("raw"))
    Path("params.yaml").write_text("dataset: {name: mvtec, root: raw, image_size: 32}\n")
    done = _run_stage()
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("ingest: 20 images (train ")
    assert "20 decoded, 0 reused" in done.stdout
    assert json.loads(Path("reports/timing.json").read_text())["ingest"]["decoded"] == 20
    Path("params.yaml").write_text("dataset: {name: mvtec, root: nowhere}\n")
    failed = _run_stage()
    assert failed.returncode == 2
    assert failed.stderr.count("\n") == 1
    assert failed.stderr.startswith("adrefine: error: dataset.root = nowhere is missing")


def _run_stage() -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(adrefine.__file__).parents[1])}
    command = [sys.executable, "-m", "adrefine.stages.ingest"]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def _edit(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"edited")


def _deep(name: str, seed: int, top: int = 4000) -> None:
    values = trees.pixels(seed).astype(np.float64)
    values = (values - values.min()) / (values.max() - values.min()) * top
    trees.save(Path(f"raw/{name}.png"), np.rint(values).astype(np.uint16))


def test_a_set_of_twelve_bits_gets_one_scale_and_a_dark_photo_stays_dark() -> None:
    for number in range(30):
        _deep(f"{number:02}", number)
    _deep("dark", 90, top=300)
    summary, table = ingest("folder", val_fraction=0.2)
    assert summary.scales == {"0..4095": 31}
    assert set(table["scale"]) == {"0..4095"}
    assert "photos of more than 8 bits, values from black to white: 0..4095 (31)" in "\n".join(
        summary.lines()
    )
    reach = {row.source: np.asarray(Image.open(row.path)).max() for row in table.itertuples()}
    assert reach["dark.png"] < 25
    assert min(top for name, top in reach.items() if name != "dark.png") > 200
    assert "1 of 31 photos use at most a quarter of their grey scale, such as dark.png" in summary.warnings[0]
    levels = pd.read_csv(OUT / "levels.csv").set_index("source")
    assert levels.loc["dark.png", "grey_levels"] < 25
    assert levels.drop("dark.png")["grey_levels"].min() > 150


def test_values_that_say_nothing_was_measured_are_told_and_do_not_squeeze_the_others() -> None:
    for number in range(20):
        _deep(f"{number:02}", number)
    lost = np.asarray(Image.open("raw/07.png")).copy()
    lost[4:10, 4:10] = 65535
    trees.save(Path("raw/07.png"), lost)
    summary, _ = ingest("folder", val_fraction=0.2)
    assert summary.scales == {"0..4095": 20}
    (told,) = [line for line in summary.warnings if "nothing measured" in line]
    assert told.startswith("1 photo with pixels of 65535, far from all other values, such as 07.png")
    assert "dataset.bit_depth" in told
    again, _ = ingest("folder", val_fraction=0.2)
    assert again.reused == 20
    assert again.warnings == summary.warnings
    levels = pd.read_csv(OUT / "levels.csv").set_index("source")
    assert levels["grey_levels"].min() > 150


def test_a_set_of_eight_bits_that_uses_six_of_them_is_told() -> None:
    for number in range(12):
        trees.save(Path(f"raw/{number:02}.png"), np.minimum(trees.pixels(number), 252) // 4)
    summary, _ = ingest("folder", val_fraction=0)
    (told,) = [line for line in summary.warnings if "of 255" in line]
    assert told.startswith("no photo of 8 bits is brighter than ")
    trees.save(Path("raw/bright.png"), trees.pixels(50))
    assert not [line for line in ingest("folder", val_fraction=0)[0].warnings if "of 255" in line]


def test_photos_are_done_again_only_when_the_scale_of_their_set_changes() -> None:
    for number in range(12):
        _deep(f"{number:02}", number)
    assert ingest("folder", val_fraction=0)[0].decoded == 12
    _deep("more", 50, top=3500)
    summary, _ = ingest("folder", val_fraction=0)
    assert (summary.decoded, summary.reused) == (1, 12)
    _deep("brighter", 51, top=60000)
    summary, table = ingest("folder", val_fraction=0)
    assert summary.decoded == 14
    assert set(table["scale"]) == {"0..65535"}
    Path("raw/brighter.png").unlink()
    summary, table = ingest("folder", val_fraction=0)
    assert (summary.decoded, set(table["scale"])) == (0, {"0..4095"})
    summary, table = ingest("folder", val_fraction=0, bit_depth=14)
    assert (summary.decoded, set(table["scale"])) == (13, {"0..16383"})
    with pytest.raises(UserError, match=r"dataset\.bit_depth = 10: .*\.png reaches"):
        ingest("folder", val_fraction=0, bit_depth=10)


def test_deep_photos_of_good_and_defective_with_masks() -> None:
    root = trees.folder(Path("raw"))
    for path in sorted((root / "defect").rglob("*.jpg")):
        _deep(path.relative_to("raw").with_suffix("").as_posix(), len(path.name) + int(path.stem))
        path.unlink()
    _, table = ingest("folder")
    assert (table.loc[table["label"] == 1, "mask_area"] > 0).all()
    assert set(table.loc[table["label"] == 1, "scale"]) == {"0..4095"}
    assert set(table.loc[table["label"] == 0, "scale"]) == {"0..255"}


def test_several_masks_of_a_photo_are_laid_together_and_an_empty_one_says_nothing() -> None:
    root = trees.mvtec(Path("raw"), defects=("bent",), each=3)
    for number in range(3):
        (root / f"ground_truth/bent/{number:03}_mask.png").unlink()
    low = trees.spot()[::-1].copy()
    trees.save(root / "ground_truth/bent/000/000.png", trees.spot())  # as MVTec LOCO has them
    trees.save(root / "ground_truth/bent/000/001.png", low)
    trees.save(root / "ground_truth/bent/001_mask.png", trees.spot())
    trees.save(root / "ground_truth/bent/001_GT.png", np.zeros_like(low))
    trees.save(root / "ground_truth/bent/002_mask_1.png", trees.spot())
    trees.save(root / "ground_truth/bent/002_mask_2.png", low)
    summary, table = ingest()
    assert table[table["label"] == 1].set_index("source")["mask_area"].to_dict() == {
        "test/bent/000.png": 1 / 8,
        "test/bent/001.png": 1 / 16,
        "test/bent/002.png": 1 / 8,
    }
    assert summary.files["masks"] == 6
    trees.save(root / "ground_truth/bent/001_GT.png", low)
    with pytest.raises(
        UserError, match=r"test/bent/001\.png: its masks .*001_GT\.png and .*001_mask\.png mark"
    ):
        ingest()


def test_the_summary_accounts_for_every_file() -> None:
    root = trees.mvtec(Path("raw"))
    (root / "train/good/again.png").write_bytes((root / "train/good/000.png").read_bytes())
    (root / "train/good/cut.png").write_bytes(b"")
    (root / "train/good/phone.avif").write_bytes(b"")
    summary, _ = ingest(max_quarantined=0.5)
    files = summary.files
    assert files["ignored"] == {".avif is not read: convert it to PNG": 1, "not a photo (.txt)": 1}
    counted = sum(files[name] for name in ("photos", "masks", "duplicates", "quarantined"))
    assert files["total"] == counted + 2 == len([path for path in root.rglob("*") if path.is_file()])
    assert (files["photos"], files["masks"], files["duplicates"], files["quarantined"]) == (20, 4, 1, 1)
    assert summary.lines()[-1].startswith(
        "files under the root: 28, of which 20 photos, 4 masks, 1 duplicates"
    )
    assert pd.read_csv(OUT / "ignored.csv")["source"].tolist() == ["license.txt", "train/good/phone.avif"]
