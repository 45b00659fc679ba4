"""VisA, BTAD, MPDD, Real-IAD and ISP-AD on trees in the form in which they are published."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import trees
from adrefine import datasets, manifest, noise
from adrefine.datasets import files, isp_ad, mvtec_kin, visa
from adrefine.errors import UserError
from adrefine.ingestion import pipeline
from adrefine.params import Dataset, Noise

Rows = dict[str, dict[str, object]]


def ingest(name: str, root: Path, out: Path, **more: object) -> tuple[pipeline.Summary, Rows]:
    """The summary, and the rows of the manifest by source."""
    given = Dataset.model_validate(
        {"name": name, "root": str(root), "image_size": 32, "val_fraction": 0.0, **more}
    )
    summary = pipeline.ingest(given, out, workers=1)
    return summary, manifest.read(out / "manifest.csv").set_index("source").to_dict("index")


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADREFINE_CACHE_DIR", str(tmp_path / "cache"))


def made_visa(root: Path) -> Path:
    """The class candle: three good photos in training, one in test, two defective ones in either."""
    rows = ["object,split,label,image,mask"]
    for number in range(4):
        name = f"candle/Data/Images/Normal/{number:04d}.JPG"
        trees.save(root / name, trees.pixels(number))
        rows.append(f"candle,{'train' if number < 3 else 'test'},normal,{name},")
    for number in range(4):
        name, mask = (f"candle/Data/{kind}/Anomaly/{number:03d}" for kind in ("Images", "Masks"))
        trees.save(root / f"{name}.JPG", trees.pixels(100 + number))
        trees.save(root / f"{mask}.png", (trees.spot() > 0).astype(np.uint8) * (number + 1))
        rows.append(f"candle,{'train' if number < 2 else 'test'},anomaly,{name}.JPG,{mask}.png")
    (root / "split_csv").mkdir()
    (root / "split_csv/2cls_fewshot.csv").write_text("\n".join([*rows, "pcb1,train,normal,pcb1/x.JPG,"]))
    only = [row for row in rows if ",train,anomaly," not in row]
    (root / "split_csv/1cls.csv").write_text("\n".join(only))
    return root / "candle"


def test_visa(tmp_path: Path) -> None:
    root = made_visa(tmp_path / "VisA")
    summary, rows = ingest("visa", root, tmp_path / "one")
    assert summary.splits == {"train": 3, "val": 0, "test": 3, "pool": 0}
    assert "train good 3 instead of 900" in summary.warnings[0]
    assert summary.files["ignored"] == {"not named in split_csv/1cls.csv": 4}
    _, rows = ingest("visa", root, tmp_path / "two", variant="2cls_fewshot")
    one = rows["Data/Images/Anomaly/000.JPG"]
    assert (one["split"], one["label"], one["mask_area"]) == ("pool", 1, 1 / 16)  # marked with a 1 of 255
    with pytest.raises(UserError, match=r"dataset.variant = 'few'.*1cls, 2cls_highshot"):
        ingest("visa", root, tmp_path / "out", variant="few")
    with pytest.raises(UserError, match=r"2cls_highshot.csv is missing: .* folder of one class"):
        ingest("visa", root, tmp_path / "out", variant="2cls_highshot")
    sums = [sum(column) for column in zip(*visa.OFFICIAL.values(), strict=True)]
    assert sums == [8659, 962, 1200]


def test_btad(tmp_path: Path) -> None:
    root = tmp_path / "BTech_Dataset_transformed/01"
    for number in range(6):
        folder = "train/ok" if number < 4 else "test/ok"
        trees.save(root / f"{folder}/{number:04d}.bmp", trees.pixels(number))
        trees.save(root / f"test/ko/{number:04d}.bmp", trees.pixels(50 + number))
        suffix = "png" if number % 2 else "bmp"
        trees.save(root / f"ground_truth/ko/{number:04d}.{suffix}", trees.spot())
    summary, rows = ingest("btad", root, tmp_path / "out")
    assert summary.splits == {"train": 4, "val": 0, "test": 8, "pool": 0}
    assert all(row["mask_area"] == 1 / 16 for row in rows.values() if row["label"] == 1)
    assert {row["defect_type"] for row in rows.values()} == {"", "ko"}
    assert "train good 4 instead of 400" in summary.warnings[0]
    assert [sum(column) for column in zip(*mvtec_kin.BTAD.counts.values(), strict=True)] == [1799, 451, 290]


def test_mpdd(tmp_path: Path) -> None:
    summary, _ = ingest("mpdd", trees.mvtec(tmp_path / "tubes"), tmp_path / "out")
    assert summary.splits == {"train": 12, "val": 0, "test": 8, "pool": 0}
    assert "train good 12 instead of 122, test good 4 instead of 32" in summary.warnings[0]
    assert [sum(column) for column in zip(*mvtec_kin.MPDD.counts.values(), strict=True)] == [888, 176, 282]


def made_real_iad(root: Path, nested: bool = False) -> Path:
    """Two good parts in training and one in test, a defective part of which one of two sides shows it, and
    in the noisy list a defective part in training."""
    photos = root / "realiad_256/toy"
    good = [f"OK/S000{part}/toy_000{part}_OK_C{side}_2.jpg" for part in (1, 2, 3) for side in (1, 2)]
    bad = [f"NG/HS/S000{part}/toy_000{part}_NG_HS_C{side}_2.jpg" for part in (1, 2) for side in (1, 2)]
    for number, name in enumerate([*good, *bad]):
        trees.save(photos / name, trees.pixels(number))
    masks = {name: f"{name[:-4]}.png" for name in (bad[0], bad[2], bad[3])}
    for mask in masks.values():
        trees.save(photos / mask, trees.spot())

    def items(names: list[str]) -> list[dict[str, object]]:
        return [
            {"category": "toy", "anomaly_class": "OK" if name in good else "HS", "image_path": name}
            | {"mask_path": masks.get(name)}
            for name in names
        ]

    meta = {"normal_class": "OK", "prefix": "toy/"}
    for folder, train, test in (
        ("realiad_jsons", good[:4], [*good[4:], *bad]),
        ("realiad_jsons_fuiad_0.1", [*good[:4], *bad[2:]], [*good[4:], *bad[:2]]),
    ):
        path = root / folder / (folder if nested else "") / "toy.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"meta": meta, "train": items(train), "test": items(test)}))
    return photos


@pytest.mark.parametrize("nested", [False, True])
def test_real_iad(tmp_path: Path, nested: bool) -> None:
    root = made_real_iad(tmp_path / "Real-IAD", nested)
    summary, rows = ingest("real_iad", root, tmp_path / "out")
    assert summary.splits == {"train": 4, "val": 0, "test": 6, "pool": 0}
    hidden = rows["NG/HS/S0001/toy_0001_NG_HS_C2_2.jpg"]
    assert (hidden["label"], hidden["split"]) == (0, "test")
    assert "1 photos of defective parts show no defect" in summary.warnings[0]
    shown = rows["NG/HS/S0001/toy_0001_NG_HS_C1_2.jpg"]
    assert (shown["label"], shown["defect_type"], shown["mask_area"]) == (1, "scratch", 1 / 16)
    assert shown["part"] == hidden["part"] != rows["OK/S0001/toy_0001_OK_C1_2.jpg"]["part"]
    assert summary.parts == {"photos": 10, "parts": 5, "moved": 0}


def test_real_iad_with_defects_in_training(tmp_path: Path) -> None:
    root = made_real_iad(tmp_path / "Real-IAD")
    _, rows = ingest("real_iad", root, tmp_path / "out", variant="fuiad_0.1")
    assert [rows[f"NG/HS/S0002/toy_0002_NG_HS_C{side}_2.jpg"]["split"] for side in (1, 2)] == ["train"] * 2
    with pytest.raises(UserError, match=r"realiad_jsons_sv/toy.json is missing"):
        ingest("real_iad", root, tmp_path / "out", variant="sv")
    (root.parents[1] / "realiad_jsons/toy.json").write_text("{}")
    with pytest.raises(UserError, match=r"toy.json is no list of Real-IAD"):
        ingest("real_iad", root, tmp_path / "out")


def test_isp_ad(tmp_path: Path) -> None:
    root = trees.mvtec(tmp_path / "LSM-1", defects=("area", "points"))
    for number, group in enumerate(("area", "points", "points")):
        trees.save(root / f"real/{group}/{number}.png", trees.pixels(700 + number, 64, 64))
    summary, rows = ingest("isp_ad", root, tmp_path / "out")
    assert summary.splits == {"train": 12, "val": 0, "test": 8, "pool": 3}
    assert rows["real/points/2.png"]["defect_type"] == "points"
    assert rows["real/points/2.png"]["label"] == 1
    assert "1 area instead of 120 and 2 points instead of 52" in " ".join(summary.warnings)
    assert set(isp_ad.ISPAD.counts) == {"LSM-1", "LSM-2", "ASM"}


def made_stream(file: Path, shape: tuple[int, ...] = (256, 256)) -> None:
    """ISP-AD's stream as the document has it, compressed: every other patch has a synthetic defect."""
    h5py = pytest.importorskip("h5py")
    patches = np.stack([trees.pixels(900 + number, 256, 256) for number in range(6)]).reshape(6, *shape)
    masks = np.zeros((6, 256, 256), np.uint8)
    masks[1::2, 10:20, 30:60] = 255
    file.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(file, "w") as made:
        made.create_dataset("train/syn_stream", data=patches, chunks=(1, *shape), compression="gzip")
        made.create_dataset("train/ground_truth", data=masks.reshape(6, *shape))


@pytest.mark.parametrize("shape", [(256, 256), (256, 256, 1), (1, 256, 256)])
def test_isp_ad_streams(tmp_path: Path, shape: tuple[int, ...]) -> None:
    """Good patches of a stream train, its synthetic defects are left out, real ones go to the pool."""
    root = trees.mvtec(tmp_path / "ASM", defects=("area", "points"))
    made_stream(root / "supervised/stream.hdf5", shape)
    h5py = pytest.importorskip("h5py")
    with h5py.File(root / "supervised/real_points.h5", "w") as made:
        made["patches"] = np.stack([trees.pixels(950 + number, 512, 512) for number in range(2)])
    summary, rows = ingest("isp_ad", root, tmp_path / "out")
    assert summary.splits == {"train": 12 + 3, "val": 0, "test": 8, "pool": 2}
    good = [f"supervised/stream.hdf5::train/syn_stream/{row}" for row in (0, 2, 4)]
    real = [f"supervised/real_points.h5::patches/{row}" for row in (0, 1)]
    assert sorted(name for name in rows if "::" in name) == sorted([*good, *real])
    assert {rows[name]["defect_type"] for name in real} == {"points"}
    assert not any("hdf5" in reason for reason in summary.files["ignored"])
    _, few = ingest("isp_ad", root, tmp_path / "few", patches=2)
    assert len([name for name in few if "stream" in name]) == 2


def test_isp_ad_files_that_it_does_not_know(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    h5py = pytest.importorskip("h5py")
    root = trees.mvtec(tmp_path / "ASM", defects=("area", "points"))
    with h5py.File(root / "more.hdf5", "w") as made:
        made["strange"] = np.zeros((2, 64, 64), np.uint8)
    with pytest.raises(UserError, match=r"more\.hdf5 holds strange: known are `syn_stream`"):
        ingest("isp_ad", root, tmp_path / "out")
    (root / "more.hdf5").rename(tmp_path / "away.hdf5")
    (root / "broken.hdf5").write_bytes(b"no HDF5")
    with pytest.raises(UserError, match="cannot be read as HDF5"):
        ingest("isp_ad", root, tmp_path / "out")
    monkeypatch.setitem(sys.modules, "h5py", None)
    (root / "broken.hdf5").rename(root / "other.h5")
    with pytest.raises(UserError, match=r"can only be read with h5py: pip install 'adrefine\[hdf5\]'"):
        ingest("isp_ad", root, tmp_path / "out")


def test_noise_as_given_hides_the_defects_of_the_training_list() -> None:
    rows = [("train", 0, "p"), ("train", 1, "q"), ("pool", 1, "r"), ("test", 1, "s"), ("test", 0, "t")]
    table = pd.DataFrame(rows, columns=["split", "label", "part"])
    table = table.assign(image_id=list("abcde"), defect_type="")
    given = Noise(mode="as_given", level=0.3)
    found = noise.inject(table, given)
    assert found["injected"].tolist() == [0, 1, 0, 0, 0]
    assert found["in_test"].tolist() == [0, 0, 0, 1, 1]
    assert found["split"].tolist() == table["split"].tolist()
    assert noise.summary(found, given)["requested"] == noise.summary(found, given)["realised"] == 0.5
    with pytest.raises(UserError, match="part q is in training and in test"):
        noise.inject(table.assign(part=["p", "q", "r", "q", "t"]), given)
    with pytest.raises(UserError, match="no photo to train on"):
        noise.inject(table[table["split"] != "train"], given)


def test_every_layout_counts_what_it_lists(tmp_path: Path) -> None:
    given = Dataset.model_validate({"name": "visa", "root": str(made_visa(tmp_path / "VisA"))})
    _, table, _, account = datasets.read(given)
    assert files.tally(table)["train good"] == 3
    assert account.total == 12
