"""Photos prepared once, also by two benchmarks that run at once."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pandas as pd
import pytest

from adrefine.benchmark import prepared
from adrefine.io import write_csv
from adrefine.params import parse
from adrefine.paths import MANIFEST


def test_the_second_of_two_waits_for_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    params = parse({"dataset": {"name": "folder", "root": "photos"}})
    made: list[Path] = []

    def slowly(params: object, work: Path, twins: bool) -> None:
        made.append(work)
        time.sleep(0.3)
        (work / "ingested").mkdir(parents=True)
        write_csv(work / "ingested" / MANIFEST, pd.DataFrame({"image_id": ["a"], "path": ["a.png"]}))

    monkeypatch.setattr(prepared, "_make", slowly)
    found: list[prepared.Prepared] = []
    threads = [threading.Thread(target=lambda: found.append(prepared.prepare(params))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [prepared.folder(params)]
    assert [each.table["image_id"].tolist() for each in found] == [["a"], ["a"]]
