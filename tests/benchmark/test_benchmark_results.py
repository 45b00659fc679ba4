from __future__ import annotations

import random

import pandas as pd
import pytest

from adrefine.benchmark.results import LATER
from adrefine.errors import UserError
from benchmark.made_up import filled, results, row, written

CONTENT = {
    "datasets": [{"name": "one", "layout": "mvtec", "classes": ["007", "NA"]}],
    "levels": [0.0, 0.1],
    "seeds": [0, 1],
    "strategies": {"s, t": {"refine": {"strategy": "irp"}}},
}


def all_runs(found):
    return [run for members in found.cells.values() for run in members]


def test_the_file_is_the_same_whatever_the_order_and_however_often_it_was_read(tmp_path):
    _, found = filled(written(tmp_path, CONTENT))
    expected = found.path.read_bytes()
    found.path.unlink()
    order = all_runs(found)
    random.Random(0).shuffle(order)
    for run in order:
        _, again = results(tmp_path / "made.yaml")
        again.add(row(run))
    assert found.path.read_bytes() == expected
    assert expected.count(b"\n") == 1 + len(order)


def test_rows_are_what_they_were_after_reading(tmp_path):
    _, found = filled(written(tmp_path, CONTENT))
    found.add({**row(all_runs(found)[0]), "auroc": 1 / 3})
    _, again = results(tmp_path / "made.yaml")
    pd.testing.assert_frame_equal(again.valid(), found.valid(), check_exact=True)
    assert list(again.valid()["class"].unique()) == ["007", "NA"]
    assert {again.state(run) for run in all_runs(again)} == {"done"}


def test_states(tmp_path):
    path = written(tmp_path, CONTENT)
    _, found = results(path)
    first, second, third, fourth = list(found.cells.values())[:4]
    for run in first:
        found.add(row(run))
    found.add(row(second[0]))
    found.add({**row(second[1]), "digest": "0123456789"})
    found.add({**row(third[0]), "auroc": None, "unreachable": "too few"})
    found.add({**row(fourth[0]), "auroc": None, "unreachable": "too few", "digest": "0123456789"})
    _, found = results(path)
    assert [found.state(run) for run in first] == ["done"] * 3
    assert [found.state(run) for run in second] == ["done", "stale", "missing"]
    assert [found.state(run) for run in third] == ["unreachable"] * 3
    assert [found.state(run) for run in fourth] == ["stale", "missing", "missing"]
    assert found.pending()[second[0].cell] == second[1:]
    assert third[0].cell not in found.pending()
    assert list(found.valid()["strategy"]) == ["vanilla", "s, t", "oracle", "vanilla", "vanilla"]


def test_rows_of_runs_that_nobody_asks_for_stay_last_in_the_file_and_out_of_the_tables(tmp_path):
    filled(written(tmp_path, CONTENT))
    path = written(tmp_path, {**CONTENT, "levels": [0.1]})
    _, found = results(path)
    assert set(found.valid()["noise"]) == {0.1}
    found.add(row(all_runs(found)[0]))
    kept = pd.read_csv(found.path)["noise"].tolist()
    assert kept == [0.1] * 12 + [0.0] * 12


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", 'not,"a'])
def test_a_file_that_is_no_table_of_results_is_refused_and_kept(tmp_path, content):
    path = written(tmp_path, CONTENT)
    (tmp_path / "results").mkdir()
    (tmp_path / "results/made.csv").write_text(content)
    with pytest.raises(UserError, match="move it away to start anew"):
        results(path)
    assert (tmp_path / "results/made.csv").read_text() == content


def test_a_file_from_before_a_column_came_is_read_without_it(tmp_path):
    path = written(tmp_path, {"datasets": [{"name": "t", "layout": "mtd"}], "levels": [0.1], "seeds": [0]})
    _, found = filled(path)
    older = pd.read_csv(found.path).drop(columns=list(LATER), errors="ignore")
    older.to_csv(found.path, index=False)
    rows = results(path)[1].valid()
    assert len(rows) == 2
    assert rows[list(LATER)].isna().all(axis=None)


def test_au_pro_is_a_column_once_a_row_has_it(tmp_path):
    path = written(tmp_path, {"datasets": [{"name": "t", "layout": "mtd"}], "levels": [0.1], "seeds": [0]})
    _, found = filled(path)
    assert "aupro" not in pd.read_csv(found.path)
    found.add({**row(all_runs(found)[0]), "aupro": 0.75})
    table = pd.read_csv(found.path)
    assert table["aupro"].tolist()[0] == 0.75
    assert table["aupro"].isna().sum() == 1
    assert list(table.columns)[11:14] == ["auroc", "aupr", "aupro"]
    assert results(path)[1].valid()["aupro"].tolist()[0] == 0.75
