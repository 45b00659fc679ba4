"""The stage: same bytes whatever order and workers, every photo that could train, labels never looked at."""

from pathlib import Path

import numpy as np
import pandas as pd
import PIL.Image
import pytest

from adrefine import manifest
from adrefine.areas.region import Region
from adrefine.defects import pipeline
from adrefine.errors import UserError
from adrefine.io import sha256_file
from adrefine.params import Kinds, Synthesize
from adrefine.stages import synthesize


def rows(folder, count=6, mode="L") -> pd.DataFrame:
    folder.mkdir(parents=True, exist_ok=True)
    table = []
    for i in range(count):
        rng = np.random.default_rng(i)
        pixels = rng.integers(90, 160, (64, 64) if mode == "L" else (64, 64, 3), dtype=np.uint8)
        PIL.Image.fromarray(pixels).save(folder / f"{i:02d}.png")
        table.append((f"{i:02d}", str(folder / f"{i:02d}.png")))
    return pd.DataFrame(table, columns=["image_id", "path"])


def content(made: pd.DataFrame) -> dict[str, tuple]:
    return {
        row.image_id: (row.kind, row.mask_area, *(sha256_file(Path(p)) for p in row[2:4]))
        for row in made.itertuples()
    }


def test_order_workers_and_company_do_not_matter(tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "BATCH", 1)
    photos, params = rows(tmp_path / "in"), Synthesize(per_image=2)
    alone = content(pipeline.make_all(photos, tmp_path / "a", params, workers=1))
    parallel = content(pipeline.make_all(photos[::-1], tmp_path / "b", params, workers=2))
    one = content(pipeline.make_all(photos[3:4], tmp_path / "c", Synthesize(), workers=1))
    assert len(alone) == 12
    assert alone == parallel
    assert one == {"03_0": alone["03_0"]}


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_files_match_the_manifest_and_keep_the_mode(tmp_path, mode):
    photos = rows(tmp_path / "in", mode=mode)
    made = pipeline.make_all(photos, tmp_path / "out", Synthesize(), workers=1)
    assert tuple(made.columns) == pipeline.COLUMNS
    both = made.merge(photos, left_on="source_id", right_on="image_id", suffixes=("", "_source"))
    for row in both.itertuples():
        assert row.image_id == f"{row.source_id}_0"
        image, source = PIL.Image.open(row.path), PIL.Image.open(row.path_source)
        mask = np.asarray(PIL.Image.open(row.mask_path))
        assert image.mode == mode
        assert set(np.unique(mask)) == {0, 255}
        differs = (np.asarray(image) != np.asarray(source)).reshape(64, 64, -1).any(axis=2)
        np.testing.assert_array_equal(differs, mask == 255)
        assert row.mask_area == pytest.approx((mask == 255).mean())


def test_no_defect_lies_outside_the_region_of_interest(tmp_path):
    inside = np.zeros((64, 64), bool)
    inside[10:30, 20:50] = True
    photos = rows(tmp_path / "in")
    made = pipeline.make_all(photos, tmp_path / "out", Synthesize(per_image=4), 1, Region(inside))
    masks = [np.asarray(PIL.Image.open(path)) > 0 for path in made["mask_path"]]
    assert len(masks) == 24
    assert all(mask.any() and not mask[~inside].any() for mask in masks)
    assert set(made["kind"]) == set(Kinds().model_dump())


def test_seed_and_frequencies_decide(tmp_path):
    image = np.full((64, 64, 3), 0.5, np.float32)
    first, second = (pipeline.synthesize(image, "a", 0, Synthesize(seed=seed))[0] for seed in (0, 1))
    assert (first != second).any()
    only = Synthesize(kinds=Kinds(noise_patch=0, random_walk=0, cutpaste=0, perlin=0.2))
    assert {pipeline.synthesize(image, str(i), 0, only)[2] for i in range(5)} == {"perlin"}
    kinds = [pipeline.synthesize(image, str(i), 0, Synthesize())[2] for i in range(80)]
    assert len(set(kinds)) == 4


def test_whatever_could_train_or_is_held_out_is_a_source_and_so_is_every_test_defect():
    table = pd.DataFrame(
        {
            "image_id": list("fedcba"),
            "path": list("FEDCBA"),
            "label": [0, 1, 1, 0, 0, 1],
            "split": ["train", "pool", "test", "test", "val", "train"],
        }
    )
    assert list(pipeline.sources(table)["image_id"]) == ["a", "b", "d", "e", "f"]


@pytest.mark.parametrize("workers", [1, 2])
def test_unreadable_photo_is_named(tmp_path, monkeypatch, workers):
    monkeypatch.setattr(pipeline, "BATCH", 1)
    photos = rows(tmp_path / "in")
    (tmp_path / "in" / "04.png").write_bytes(b"not a picture")
    with pytest.raises(UserError, match=r"04\.png cannot be read"):
        pipeline.make_all(photos, tmp_path / "out", Synthesize(), workers=workers)


def test_stage_with_none_per_image_writes_an_empty_manifest(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    table = rows(tmp_path / "in").assign(split="train", label=0)
    manifest.write(tmp_path / "data/ingested/manifest.csv", table)
    (tmp_path / "params.yaml").write_text("synthesize: {per_image: 0}\n")
    synthesize.main()
    assert (tmp_path / "data/synthetic/manifest.csv").read_text() == ",".join(pipeline.COLUMNS) + "\n"
    assert len(manifest.read(tmp_path / "data/synthetic/manifest.csv")) == 0
    assert "0 defects" in capsys.readouterr().out


def test_stage_paths_are_relative_and_stale_files_go(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    manifest.write(
        tmp_path / "data/ingested/manifest.csv", rows(tmp_path / "in", 2).assign(split="train", label=0)
    )
    (tmp_path / "params.yaml").write_text("synthesize: {seed: 4}\n")
    stale = tmp_path / "data/synthetic/images/old_0.png"
    stale.parent.mkdir(parents=True)
    stale.touch()
    synthesize.main()
    made = manifest.read(tmp_path / "data/synthetic/manifest.csv")
    assert list(made["path"]) == ["data/synthetic/images/00_0.png", "data/synthetic/images/01_0.png"]
    assert sorted(p.name for p in stale.parent.iterdir()) == ["00_0.png", "01_0.png"]


def test_a_sample_is_drawn_by_id_and_seed_alone_and_grows_by_adding():
    photos = pd.DataFrame({"image_id": [f"{number:02d}" for number in range(40)], "path": "x"})
    few, more = (list(pipeline.drawn(photos, most, 0)["image_id"]) for most in (10, 20))
    assert len(few) == 10
    assert few == sorted(few)
    assert set(few) < set(more)
    assert few != list(photos["image_id"][:10])
    assert set(pipeline.drawn(photos[::-1], 10, 0)["image_id"]) == set(few)
    assert set(pipeline.drawn(photos, 10, 1)["image_id"]) != set(few)
    assert len(pipeline.drawn(photos, None, 0)) == len(pipeline.drawn(photos, 40, 0)) == 40
