"""The results as tables: same keys in every row, no NaN, no label where there is none."""

from __future__ import annotations

import json
from pathlib import Path

from adrefine.dvc_driver import tables

HEAD = "image_id,path,label,injected,kept,removed_round,reviewed,score,threshold\n"


def removed(folder: Path, *rows: str) -> list[tables.Row]:
    path = folder / "manifest.csv"
    path.write_text(HEAD + "".join(row + "\n" for row in rows))
    return tables.removed(path)


def test_removed_images_come_in_the_order_of_removal(tmp_path: Path) -> None:
    found = removed(
        tmp_path,
        "0a,x/0a.png,0,0,0,2,,1.5,1.25",
        "0b,x/0b.png,0,0,1,,,0.5,1.25",
        "0c,x/0c.png,1,1,0,1,,2.123456,1.5",
        "0d,x/0d.png,0,0,0,1,,2.5,1.5",
        "0e,x/0e.png,1,0,0,0,remove,,",
        "0f,x/0f.png,1,0,,,,,",
    )
    assert [row["image_id"] for row in found] == ["0e", "0d", "0c", "0a"]
    assert found[2] == {
        **{"image_id": "0c", "path": "x/0c.png", "score": 2.1235, "threshold": 1.5, "round": 1},
        **{"by": "strategy", "hidden defect": "yes"},
    }
    assert (found[0]["by"], found[0]["score"], found[0]["threshold"]) == ("you", None, None)
    assert [row["hidden defect"] for row in found] == ["yes", "no", "yes", "no"]
    assert len({tuple(row) for row in found}) == 1


def test_where_a_label_is_unknown_no_column_needs_it(tmp_path: Path) -> None:
    found = removed(tmp_path, "0a,x/0a.png,-1,0,0,2,,1.5,1.25", "0b,x/0b.png,0,0,0,1,,1.5,1.25")
    assert all("hidden defect" not in row for row in found)


def test_no_removed_image_no_row(tmp_path: Path) -> None:
    assert removed(tmp_path, "0b,x/0b.png,0,0,1,,,0.5,1.25") == []


def test_figures_before_after_and_ceiling() -> None:
    measured = {
        "detection": {
            "initial": {"auroc": 0.9, "f1_max": 0.8},
            "refined": {"auroc": 0.95, "f1_max": float("nan")},
        },
        "localization": {"initial": {"aupro": 0.5}, "refined": {"aupro": 0.625}, "oracle": {"aupro": 0.75}},
        "cleaning": {"removed": 3},
    }
    found = tables.metrics(measured)
    assert found == [
        {"figure": "auroc", "before cleaning": 0.9, "after cleaning": 0.95, "ceiling": None},
        {"figure": "f1_max", "before cleaning": 0.8, "after cleaning": None, "ceiling": None},
        {"figure": "aupro", "before cleaning": 0.5, "after cleaning": 0.625, "ceiling": 0.75},
    ]
    json.dumps(found, allow_nan=False)


def test_without_labels_no_figures() -> None:
    assert tables.metrics({"cleaning": {"removed": 3}}) == []
    no_ceiling = tables.metrics({"detection": {"initial": {"auroc": 0.9}, "refined": {"auroc": 0.95}}})
    assert no_ceiling == [{"figure": "auroc", "before cleaning": 0.9, "after cleaning": 0.95}]
