"""The list of photos for a detector: no label in it, and it changes with every file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from adrefine.distillation import index
from trees import pixels, save


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_photos_twins_and_generic_images_are_listed_without_labels(photos, generic, tmp_path):
    paths = [save(tmp_path / name, pixels(7)) for name in ("t.png", "m.png")]
    twins = pd.DataFrame(
        {"image_id": ["p03_0"], "path": [str(paths[0])], "mask_path": [str(paths[1])], "kind": ["perlin"]}
    ).assign(source_id="p03", mask_area=0.1)
    given = sorted(path for path in generic.rglob("*") if path.suffix in (".png", ".jpg"))
    labelled = photos[::-1].assign(label=1, split="test", source="bad/1.png", mask_path="m.png")
    out = tmp_path / "out"
    index.write(out, labelled, twins, given)
    images, synthetic, other = (pd.read_csv(out / f"{n}.csv") for n in ("images", "synthetic", "generic"))
    assert images.columns.tolist() == ["image_id", "path", "digest"]
    assert images["image_id"].tolist() == photos["image_id"].tolist()
    assert images["digest"].nunique() == len(photos)
    assert synthetic.columns.tolist() == ["image_id", "path", "mask_path", "source_id", "digest"]
    assert other["path"].tolist() == [str(path) for path in given]
    before = files(out)
    index.write(out, photos, twins, given)
    assert files(out) == before
    for changed, name in ((Path(photos["path"][2]), "images.csv"), (paths[1], "synthetic.csv"),
                          (given[0], "generic.csv")):  # fmt: skip
        save(changed, np.zeros((40, 40), np.uint8))
        index.write(out, photos, twins, given)
        after = files(out)
        assert {key for key in after if after[key] != before[key]} == {name}
        before = after


def test_nothing_to_list_still_has_its_columns(photos, tmp_path):
    none = pd.DataFrame(columns=["image_id", "path", "mask_path", "source_id"], dtype=str)
    index.write(tmp_path / "out", photos, none, [])
    assert pd.read_csv(tmp_path / "out/generic.csv").columns.tolist() == ["path", "digest"]
    assert pd.read_csv(tmp_path / "out/synthetic.csv").empty
