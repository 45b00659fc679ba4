"""The protocols of MeDS and SoftPatch: the shipped files, on small trees in the exact form of the data."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import yaml

from adrefine import datasets, manifest
from adrefine.benchmark import figures, lists
from adrefine.benchmark.command import benchmark
from adrefine.errors import UserError
from adrefine.params import parse
from benchmark.made_up import written
from trees import mvtec, pixels, save, spot

SHIPPED = Path(__file__).resolve().parents[2] / "benchmarks"
SMALL = {
    "dataset": {"image_size": 32, "val_fraction": 0.1},
    "embed": {"places": {"side": 64, "grid": 4, "components": 8}},
}
LISTED = ["train/good/000.png", "train/good/003.png", "test/bent/001.png", "test/scratch/000.png"]


def scanned(root: Path) -> pd.DataFrame:
    """The dataset's rows, with ids as ingest would give."""
    table = datasets.read(parse({"dataset": {"name": "mvtec", "root": str(root)}}).dataset)[1]
    return table.assign(image_id=[f"{place:016x}" for place in range(len(table))])


def meds(path: Path, classes: dict[str, list[str]]) -> Path:
    """A list as MeDS has them: all classes in one file."""
    lines = [f"{name}/{photo},{name}" for name, photos in classes.items() for photo in photos]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["filename,clsname", *lines]) + "\n")
    return path


def test_what_is_listed_trains_and_its_defects_hide_and_are_tested(tmp_path):
    root = mvtec(tmp_path / "mvtec/leather")
    path = meds(tmp_path / "lists/train.csv", {"bottle": ["train/good/999.png"], "leather": LISTED})
    table = scanned(root)
    noisy = lists.inject(table, path, root).set_index("source")
    assert set(noisy.index[noisy["split"] == "train"]) == set(LISTED)
    assert set(noisy.index[noisy["injected"] == 1]) == {"test/bent/001.png", "test/scratch/000.png"}
    assert set(noisy.index[noisy["in_test"] == 1]) == set(table.loc[table["split"] == "test", "source"])
    assert (noisy.loc[noisy["split"] == "pool", "label"] == manifest.GOOD).all()


def test_a_list_of_other_photos_is_refused(tmp_path):
    root = mvtec(tmp_path / "mvtec/leather")
    table = scanned(root)
    with pytest.raises(UserError, match=r"train\.csv lists no photo of leather/"):
        lists.inject(table, meds(tmp_path / "train.csv", {"bottle": LISTED}), root)
    with pytest.raises(UserError, match=r"leather/test/hole/000\.png is not in .*: is the dataset complete"):
        lists.inject(table, meds(tmp_path / "train.csv", {"leather": ["test/hole/000.png"]}), root)


def test_the_file_of_a_level(tmp_path):
    meds(tmp_path / "nr10_seed_20.csv", {"leather": LISTED})
    pattern = str(tmp_path / "nr{percent}_seed_{seed}.csv")
    assert lists.file_of(pattern, 0.1, 20) == tmp_path / "nr10_seed_20.csv"
    assert lists.file_of(pattern, 0.0, 20) is None
    assert lists.file_of(None, 0.1, 20) is None
    with pytest.raises(UserError, match=r"nr20_seed_20\.csv is missing"):
        lists.file_of(pattern, 0.2, 20)


def visa(root: Path, train: int = 20, good: int = 6, bad: int = 8) -> Path:
    """A class of VisA in MVTec AD's layout, with the names that amazon-science/spot-diff gives its files."""
    for number in range(train):
        save(root / f"train/good/{number:04d}.JPG", pixels(number))
    for number in range(good):
        save(root / f"test/good/{train + number:04d}.JPG", pixels(1000 + number))
    for number in range(bad):
        save(root / f"test/bad/{number:03d}.JPG", pixels(2000 + number))
        save(root / f"ground_truth/bad/{number:03d}.png", spot())
    return root


def test_the_file_for_visa_runs(tmp_path, monkeypatch):
    """With lists named and headed as MeDS has them for VisA."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ADREFINE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(figures, "draw", lambda groups, config: {})
    visa(tmp_path / "VisA/cashew")
    content = yaml.safe_load((SHIPPED / "meds_visa.yaml").read_text())
    content["datasets"][0] |= {"root": "VisA", "classes": ["cashew"]}
    content |= {"seeds": [0], "levels": content["levels"][:2], "params": SMALL}
    content["lists"] = "lists/" + Path(content["lists"]).name
    listed = [*(f"train/good/{number:04d}.JPG" for number in range(20)), "test/bad/003.JPG"]
    lines = ["filename,class", "pcb1/train/good/0313.JPG,pcb1", *(f"cashew/{name},cashew" for name in listed)]
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/train_visa_nr2_seed_0.csv").write_text("\n".join(lines) + "\n")
    benchmark(written(tmp_path, content, "meds_visa"), workers=1)
    rows = pd.read_csv(tmp_path / "results/meds_visa.csv")
    assert set(rows["strategy"]) == {"vanilla", "mad out of fold", "consensus", "oracle"}
    assert rows["auroc"].between(0, 1).all()
    realised = rows[rows["strategy"] == "vanilla"].set_index("noise")["realised"].to_dict()
    assert realised == pytest.approx({0: 0, 0.02: 1 / 21}, abs=1e-6)


@pytest.mark.parametrize("name", ["meds", "softpatch"])
def test_the_shipped_file_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ADREFINE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(figures, "draw", lambda groups, config: {})
    mvtec(tmp_path / "AD/leather", train=20, good=6, each=4)
    content = yaml.safe_load((SHIPPED / f"{name}.yaml").read_text())
    content["datasets"][0] |= {"root": "AD", "classes": ["leather"]}
    content |= {"seeds": [0], "levels": content["levels"][:2], "params": SMALL}
    good = [f"train/good/{number:03d}.png" for number in range(20)]
    if name == "meds":
        hidden = ["test/bent/001.png", "test/scratch/000.png"]
        content["lists"] = "lists/" + Path(content["lists"]).name
        meds(tmp_path / "lists/train_mvtec_nr10_seed_0.csv", {"leather": good + hidden})
    benchmark(written(tmp_path, content, name), workers=1)
    rows = pd.read_csv(tmp_path / f"results/{name}.csv")
    assert set(rows["strategy"]) == {"vanilla", "mad out of fold", "consensus", "oracle"}
    assert rows["auroc"].between(0, 1).all()
    dirty = rows[rows["noise"] > 0]
    realised = 2 / 22 if name == "meds" else 2 / 18  # two photos are held out for the threshold
    assert dirty["realised"].tolist() == pytest.approx([realised] * len(dirty), abs=1e-6)
    assert dirty.loc[dirty["strategy"] == "consensus", "rank_ap"].notna().all()
