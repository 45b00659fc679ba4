"""`adrefine list`: the table, JSON, COCO, and links that the reader of MVTec's layout takes."""

from __future__ import annotations

import csv
import io
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from adrefine import cli, manifest, paths, review
from adrefine.datasets.mvtec import MVTec
from adrefine.errors import UserError
from adrefine.listing.photos import COLUMNS
from adrefine.params import Dataset
from adrefine.places import votes
from adrefine.reviewing import tags

NAN = float("nan")


def row(name: str, split: str, **cells: Any) -> dict[str, Any]:
    usual = {"width": 40, "height": 30, "label": -1, "defect_type": "", "mask_path": "", "in_test": 0}
    usual |= {"kept": NAN, "weight": NAN, "score": NAN, "threshold": NAN, "removed_round": NAN}
    usual |= {"relative_score": NAN, "reviewed": "", "review_note": "", "reason": ""}
    path = f"data/ingested/images/{name}.png"
    return {**usual, "image_id": name, "split": split, "source": f"{split}/{name}.jpg", "path": path, **cells}


TRAIN = {"kept": 1, "weight": 1.0, "score": 0.5, "threshold": 1.25}
OUT = {"kept": 0, "weight": 0.0, "score": 3.0, "removed_round": 2}
ROWS = [
    row("aa", "train", **TRAIN),
    row("bb", "train", **TRAIN | OUT | {"reason": "places", "label": 1}),
    row("cc", "train", **TRAIN | OUT, reviewed="remove", review_note="=1+1, a scratch", reason="you"),
    row("dd", "val"),
    row("ee", "test", label=0, in_test=1),
    row("ff", "test", label=1, in_test=1, defect_type="../hole", mask_path="data/ingested/masks/ff.png"),
    row("gg", "test", in_test=1),
]


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("dataset: {name: folder, root: photos}\n")
    manifest.write(paths.REFINED / paths.MANIFEST, pd.DataFrame(ROWS))
    review.write(paths.REVIEW, {"cc": review.Answer("remove", "", reviewer="Ada", time="2026-11-26")})
    for one in ROWS:
        for name in filter(None, (one["path"], one["mask_path"])):
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (8, 8), 255).save(name)
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    cli.run(["list", *arguments])
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("which", "ids"),
    [([], ["aa"]), (["--kept"], ["aa"]), (["--removed"], ["bb", "cc"]), (["--all"], ["aa", "bb", "cc"])],
)
def test_which(capsys: pytest.CaptureFixture[str], which: list[str], ids: list[str]) -> None:
    rows = list(csv.DictReader(io.StringIO(said(capsys, *which))))
    assert [one["image_id"] for one in rows] == ids
    assert tuple(rows[0]) == COLUMNS


def test_every_cell(capsys: pytest.CaptureFixture[str], project: Path) -> None:
    found = {one["image_id"]: one for one in json.loads(said(capsys, "--all", "--format", "json"))}
    assert found["cc"] == {
        "image_id": "cc",
        "photo": str(project / "photos/train/cc.jpg"),
        "image": str(project / "data/ingested/images/cc.png"),
        "width": 40,
        "height": 30,
        "kept": False,
        "weight": 0.0,
        "score": 3.0,
        "limit": 1.25,
        "round": 2,
        "reason": "you",
        "verdict": "remove",
        "note": "=1+1, a scratch",
        "reviewer": "Ada",
        "time": "2026-11-26",
        "label": "",
        **dict.fromkeys(votes.COLUMNS),
    }
    assert (found["bb"]["reason"], found["bb"]["label"], found["bb"]["reviewer"]) == (
        "one place",
        "defective",
        "",
    )
    assert (found["aa"]["round"], found["aa"]["kept"]) == (None, True)
    table = said(capsys, "--removed")
    assert "'=1+1, a scratch" in table
    assert table.splitlines()[1].split(",")[5] == "0"


def test_what_each_voter_says_is_in_every_format(capsys: pytest.CaptureFixture[str]) -> None:
    (paths.REFINED / paths.EVIDENCE).write_text(
        "image_id,held_out,voter,weight,rank,score,row,column\n"
        "bb,0,places,0.75,1,8.5,4,7\nbb,0,pooled,0.25,2,1.5,,\nbb,0,together,1,1,7,,\n"
    )
    told = {
        **{"places_score": 8.5, "places_weight": 0.75, "places_rank": 1, "places_row": 4, "places_column": 7},
        **{"pooled_score": 1.5, "pooled_weight": 0.25, "pooled_rank": 2},
    }
    found = {one["image_id"]: one for one in json.loads(said(capsys, "--all", "--format", "json"))}
    assert {name: found["bb"][name] for name in told} == told
    assert {found["bb"][name] for name in votes.COLUMNS if name not in told} == {None}  # who did not vote
    assert {found["cc"][name] for name in votes.COLUMNS} == {None}
    rows = list(csv.DictReader(io.StringIO(said(capsys, "--removed"))))
    assert {name: float(rows[0][name]) for name in told} == told
    assert {rows[1][name] for name in votes.COLUMNS} == {""}
    coco = json.loads(said(capsys, "--removed", "--format", "coco"))
    assert coco["annotations"][0]["attributes"]["places_rank"] == 1


def test_an_answer_that_was_changed_since_is_not_told_as_theirs(capsys: pytest.CaptureFixture[str]) -> None:
    review.write(paths.REVIEW, {"cc": review.Answer("keep", reviewer="Bob", time="2026-11-27")})
    found = json.loads(said(capsys, "--removed", "--format", "json"))[1]
    assert (found["verdict"], found["reviewer"]) == ("remove", "")


def test_coco_has_an_annotation_for_each_photo(capsys: pytest.CaptureFixture[str], project: Path) -> None:
    assert said(capsys, "--all", "--format", "coco", "--out", "coco.json") == "coco.json: 3 photos\n"
    found = json.loads(Path("coco.json").read_text())
    names = {one["id"]: one["name"] for one in found["categories"]}
    files = {one["id"]: one["file_name"] for one in found["images"]}
    marks = {files[one["image_id"]]: names[one["category_id"]] for one in found["annotations"]}
    folder = project / "photos/train"
    assert marks == {
        str(folder / "aa.jpg"): "kept",
        str(folder / "bb.jpg"): "removed",
        str(folder / "cc.jpg"): "removed",
    }
    assert found["annotations"][0]["bbox"] == [0, 0, 40, 30]
    assert found["annotations"][1]["attributes"]["limit"] == 1.25


def samples(project: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    said(capsys, "--all", "--format", "fiftyone", "--out", "fiftyone/samples.json")
    content: dict[str, Any] = json.loads((project / "fiftyone/samples.json").read_text())
    return content


def test_fiftyone_has_tags_and_fields(capsys: pytest.CaptureFixture[str], project: Path) -> None:
    found = {one["image_id"]: one for one in samples(project, capsys)["samples"]}
    assert found["cc"]["filepath"] == str(project / "photos/train/cc.jpg")
    assert {name: one["tags"] for name, one in found.items()} == {
        "aa": ["kept"],
        "bb": ["removed"],
        "cc": ["removed", "remove"],
    }
    assert (found["bb"]["score"], found["bb"]["limit"], found["bb"]["round"]) == (3.0, 1.25, 2)


@pytest.mark.skipif(find_spec("fiftyone") is None, reason="fiftyone is not installed")
def test_fiftyones_own_code_reads_the_list_and_gives_it_back(
    capsys: pytest.CaptureFixture[str], project: Path
) -> None:
    """Without its database: what reads and writes its files."""
    from fiftyone.utils.data.exporters import LegacyFiftyOneDatasetExporter
    from fiftyone.utils.data.importers import LegacyFiftyOneDatasetImporter

    samples(project, capsys)
    given = LegacyFiftyOneDatasetImporter(str(project / "fiftyone"))
    given.setup()
    back = LegacyFiftyOneDatasetExporter(str(project / "tagged"), export_media=False)
    back.setup()
    for sample in given:
        assert Path(sample.filepath).is_absolute()
        if sample["image_id"] == "aa":
            sample.tags.append("remove")
        back.export_sample(sample)
    (project / "tagged").mkdir()
    (project / "tagged/samples.json").write_text(json.dumps({"samples": back._samples}))
    told = tags.read(project / "tagged/samples.json")
    assert told == {"aa": ("remove", ""), "bb": ("", ""), "cc": ("remove", "=1+1, a scratch")}


def test_tags_become_answers(capsys: pytest.CaptureFixture[str], project: Path) -> None:
    manifest.write(paths.NOISY / paths.MANIFEST, pd.DataFrame(ROWS))
    content = samples(project, capsys)
    by_id = {one["image_id"]: one for one in content["samples"]}
    by_id["aa"]["tags"].append("Keep")
    by_id["bb"].update(tags=["nice", "remove"], note="a  hole,\nat the rim")
    by_id["cc"]["tags"].remove("remove")
    content["samples"].append({"image_id": "gone", "tags": ["keep"]})
    Path("samples.json").write_text(json.dumps(content))
    cli.run(["review", "--tags", "samples.json"])
    assert capsys.readouterr().out.splitlines() == [
        "data/review.csv: 2 new answers, 0 changed. `dvc repro` applies them.",
        "1 answered photos have no such tag there: their answers stay",
        "1 photos there do not train: ignored",
    ]
    answers = review.read(paths.REVIEW)
    assert {name: (one.verdict, one.note, one.reviewer) for name, one in answers.items()} == {
        "cc": ("remove", "", "Ada"),
        "aa": ("keep", "", "FiftyOne"),
        "bb": ("remove", "a hole, at the rim", "FiftyOne"),
    }
    by_id["aa"]["tags"] = ["unsure"]
    Path("samples.json").write_text(json.dumps(content))
    cli.run(["review", "--tags", "samples.json", "--json"])
    assert json.loads(capsys.readouterr().out) == {"new": 0, "changed": 1, "untagged": 1, "unknown": 1}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"samples": [{"image_id": "aa", "tags": ["keep", "remove"]}]}', "aa has the tags keep and remove"),
        ('{"samples": [{"tags": []}]}', "each sample needs `image_id`"),
        ('{"samples": 3}', "each sample needs `image_id`"),
        ("[]", "each sample needs `image_id`"),
        ("no JSON", "each sample needs `image_id`"),
        (None, "give the samples.json"),
    ],
)
def test_tags_that_cannot_be_read(text: str | None, said: str) -> None:
    if text:
        Path("samples.json").write_text(text)
    with pytest.raises(UserError, match=said):
        cli.run(["review", "--tags", "samples.json"])


def test_links_are_a_dataset_in_mvtecs_layout(capsys: pytest.CaptureFixture[str], project: Path) -> None:
    assert "4 photos and masks, 1 of them in train/good" in said(
        capsys, "--format", "anomalib", "--out", "out/clean"
    )
    table = MVTec().scan(project / "out/clean", Dataset(name="mvtec", root="out/clean"))
    told = {(one.source, one.split, one.label) for one in table.itertuples()}
    assert told == {
        ("train/good/aa.png", "train", 0),
        ("test/good/ee.png", "test", 0),
        ("test/_hole/ff.png", "test", 1),
    }
    images, masks = project / "data/ingested/images", project / "data/ingested/masks"
    for name, target in {
        "train/good/aa.png": images / "aa.png",
        "test/good/ee.png": images / "ee.png",
        "test/_hole/ff.png": images / "ff.png",
        "ground_truth/_hole/ff_mask.png": masks / "ff.png",
    }.items():
        assert (project / "out/clean" / name).samefile(target)
        assert not (project / "out/clean" / name).is_symlink()  # anomalib refuses those
    assert not [path for path in project.iterdir() if path.name == "hole"]
    with pytest.raises(UserError, match="out/clean is there already"):
        said(capsys, "--format", "anomalib", "--out", "out/clean")
    assert "3 of them in train/good" in said(capsys, "--all", "--format", "anomalib", "--out", "out/all")


def test_what_cannot_be_linked_leaves_nothing(capsys: pytest.CaptureFixture[str], project: Path) -> None:
    for arguments in (["--removed", "--out", "x"], []):
        with pytest.raises(UserError, match="give --out FOLDER, and --kept or --all"):
            said(capsys, "--format", "anomalib", *arguments)
    (project / "data/ingested/images/ff.png").unlink()
    with pytest.raises(UserError, match=r"ff\.png is missing: `dvc checkout`"):
        said(capsys, "--format", "anomalib", "--out", "x")
    assert not [path for path in project.iterdir() if "x" in path.name.split(".")]


def test_where_nothing_can_be_linked_photos_are_copied(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("adrefine.listing.links.os.link", refuse)
    said(capsys, "--format", "anomalib", "--out", "x")
    assert Path("x/train/good/aa.png").read_bytes() == Path("data/ingested/images/aa.png").read_bytes()


def test_a_version_is_what_diff_takes(capsys: pytest.CaptureFixture[str], project: Path) -> None:
    assert said(capsys, "data/refined/manifest.csv", "--removed").count("\n") == 3
    with pytest.raises(UserError, match="no git revision"):
        said(capsys, "nothing")
