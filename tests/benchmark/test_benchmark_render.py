from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adrefine.benchmark import figures, published, render, tables
from adrefine.benchmark.curves import line_of, styles_of
from adrefine.benchmark.summary import groups
from benchmark.made_up import filled, results, row, written

TEN = list(published.read().classes())
STRATEGIES = {
    "osr paper": {"refine": {"strategy": "osr", "scorer": "in_sample"}},
    "irp": {"refine": {"strategy": "irp"}},
    "mad": {"refine": {"strategy": "mad"}},
}


def rendered(tmp_path, dataset, unreachable=(), **changes):
    """The Markdown of made-up results of one dataset."""
    content = {"datasets": [dataset], "levels": [0.0, 0.1, 0.5], "seeds": [0, 1], "strategies": STRATEGIES}
    path = written(tmp_path, {**content, **changes})
    config, found = filled(path, unreachable)
    files = render.write(found, config, Path("benchmarks/made.yaml"))
    return files, (tmp_path / "results/made.md").read_text()


def cells(text, *start):
    """Cells of the only table row that starts with `start`."""
    (line,) = (line for line in text.splitlines() if line.startswith("| " + " | ".join(start) + " |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_same_rows_give_the_same_bytes(tmp_path):
    dataset = {"name": "tiles", "layout": "mtd"}
    files, _ = rendered(tmp_path, dataset)
    before = {file: file.read_bytes() for file in files}
    assert [file.name for file in files] == [
        "made_auroc.png", "made_gap.png", "made_removed.png", "made_removal.png", "made.md"
    ]  # fmt: skip
    config, again = results(tmp_path / "made.yaml")
    render.write(again, config, Path("benchmarks/made.yaml"))
    assert {file: file.read_bytes() for file in files} == before
    for file in files[:-1]:
        assert np.asarray(Image.open(file).convert("L")).std() > 5


def test_a_figure_without_content_is_deleted(tmp_path):
    dataset = {"name": "tiles", "layout": "mtd"}
    rendered(tmp_path, dataset)
    files, text = rendered(tmp_path, dataset, levels=[0.0])
    assert [file.name for file in files] == ["made_auroc.png", "made_removed.png", "made.md"]
    assert not (tmp_path / "results/made_gap.png").exists()
    assert "made_gap" not in text


def test_classes_have_a_figure_of_their_own_and_the_others_show_their_mean(tmp_path):
    dataset = {"name": "parts", "layout": "mvtec", "root": "x", "classes": ["left", "right"]}
    files, _ = rendered(tmp_path, dataset, seeds=[0])
    sizes = {file.stem: Image.open(file).size for file in files[:-1]}
    assert set(sizes) == {"made_auroc", "made_classes", "made_gap", "made_removed", "made_removal"}
    assert sizes["made_auroc"] == sizes["made_gap"]
    assert sizes["made_classes"][0] > sizes["made_auroc"][0]


@pytest.fixture
def undrawn(monkeypatch):
    """No figures: tables alone are quick."""
    monkeypatch.setattr(figures, "draw", lambda groups, config: {})


def test_the_table_has_means_spreads_and_what_follows_from_the_means(tmp_path, undrawn):
    _, text = rendered(tmp_path, {"name": "tiles", "layout": "mtd"})
    main, ranking = text.split("Ranking of the hidden defects:")
    vanilla, irp, oracle = (cells(main, "0.1", name)[2:] for name in ("vanilla", "irp", "oracle"))
    assert vanilla[0] == "0.855 ± 0.005"  # .95 − .1, and .01 more at seed 1
    better = 0.2 + 0.6 * 3 / 5
    assert irp[0] == f"{0.855 + 0.09 * better:.3f} ± 0.005"
    assert (vanilla[2], irp[2], oracle[2]) == ("", f"{better:.2f}", "")
    limit = cells(main, "0.1", "limit")[2:]
    assert limit[:6] == ["0.935 ± 0.005", "", f"{8 / 9:.2f}", "", "0.800 ± 0.000", "0.800 ± 0.000"]
    assert irp[3:6] == ["8.0 ± 0.0", "0.750 ± 0.000", "0.600 ± 0.000"]
    efficiency = f"{(0.1 + better / 4) / 0.4:.2f}"
    assert cells(ranking, "0.1", "irp")[2:4] == [f"{0.6 + better / 4:.3f} ± 0.000", efficiency]
    assert cells(ranking, "0.1", "ceiling")[2:] == ["0.900 ± 0.000", *[""] * 4, "0.800 ± 0.000"]
    assert cells(ranking, "0.1", "irp")[4:7] == ["0.400 ± 0.000", "0.300 ± 0.000", "0.700 ± 0.000"]
    assert "adrefine benchmark benchmarks/made.yaml" in text


def test_au_pro_stands_beside_the_others_where_it_was_measured(tmp_path, undrawn):
    _, before = rendered(tmp_path, {"name": "tiles", "layout": "mtd"}, seeds=[0])
    assert "AU-PRO" not in before
    config, found = results(tmp_path / "made.yaml")
    runs = [run for members in found.cells.values() for run in members]
    found.add(*({**row(run), "aupro": {"vanilla": 0.25, "oracle": 0.75}.get(run.strategy)} for run in runs))
    render.write(found, config, Path("benchmarks/made.yaml"))
    text = (tmp_path / "results/made.md").read_text()
    assert "AU-PRO: how well the maps show where the defect is" in text
    main = text.split("Ranking")[0]
    place = cells(main, "noise", "strategy").index("AU-PRO")
    told = [cells(main, "0.1", name)[place] for name in ("vanilla", "irp", "oracle", "limit")]
    assert told == ["0.250", "", "0.750", ""]


def test_a_gap_of_nothing_has_no_sign(tmp_path, undrawn):
    config, found = filled(written(tmp_path, {"datasets": [{"name": "t", "layout": "mtd"}], "levels": [0.1]}))
    (group,) = groups(found.valid(), config)
    line = replace(group.lines[0], gap_closed=-0.001)
    shown = "\n".join(tables.of_group(replace(group, lines=[line]), config))
    assert cells(shown.split("Ranking")[0], "0.1", "vanilla")[4] == "0.00"


def test_one_seed_has_no_spread(tmp_path, undrawn):
    _, text = rendered(tmp_path, {"name": "tiles", "layout": "mtd"}, seeds=[0])
    assert cells(text.split("Ranking")[0], "0.1", "vanilla")[2] == "0.850"


def test_published_figures_stand_beside_ours_where_dataset_method_and_noise_are_the_same(tmp_path, undrawn):
    _, text = rendered(tmp_path, {"name": "K", "layout": "ksdd2"})
    assert cells(text, "0.1", "*IRP, published*")[2] == "*0.9238*"
    assert cells(text, "0.5", "*OSR, published*")[2] == "*0.6700*"
    assert "| 0.1 | *OSR, published*" not in text
    assert "META, published" not in text  # not among the strategies, but in the table of what is published
    assert cells(text, "META")[1:3] == ["0.9428", "0.934"]
    table_1 = text.split("### Table 1")[1]
    assert cells(table_1, "models", "irp on KSDD2")[3].endswith("± 0.005 (0.9238)")
    table_2 = text.split("### Table 2")[1].split("\nirp:")[1].split("\nmad:")[0]
    assert cells(table_2, "KSDD2")[1:] == ["8.0 / 0.0 (11 / 0)", "2.0 / 6.0 (3 / 5)", "2.0 / 6.0 (4 / 13)"]


def test_photos_of_ones_own_stand_alone(tmp_path, undrawn):
    _, text = rendered(tmp_path, {"name": "mine", "layout": "folder"})
    assert "ublished" not in text.replace("as published", "")


def test_mvtec_is_laid_out_as_in_the_documents(tmp_path, undrawn):
    dataset = {"name": "MVTec AD", "layout": "mvtec", "root": "x", "classes": [*TEN, "grid"]}
    _, text = rendered(tmp_path, dataset, unreachable=(("bottle", 0.5),), seeds=[0])
    table = text.split("### Table 1")[1].split("### Table 2")[0].split("\nirp:")[1].split("\nmad:")[0]
    named = [line.split("|")[2].strip() for line in table.splitlines() if line.startswith("| classes")]
    assert named == [*TEN, "grid"]
    assert cells(table, "classes", "bottle")[2:] == [
        f"{0.95 - 6 / 200:.3f} (0.9386)",
        f"{0.95 - 6 / 200 - 0.1 * (1 - 0.9 * 0.56):.3f} (0.9495)",
        "unreachable (0.9340)",
    ]
    assert "(" not in "".join(cells(table, "classes", "grid"))
    mean = cells(table, "models", "irp on MVTec AD")[2:]
    clean = {name: 0.95 - len(name) / 200 for name in TEN}
    assert mean[0] == f"{np.mean(list(clean.values())):.3f} (0.9118)"
    spread = cells(table, "deviation", "irp, over the classes")[2:]
    assert spread[0] == f"{np.std(list(clean.values())):.3f}"
    reached = [value - 0.5 * (1 - 0.9 * 0.56) for name, value in clean.items() if name != "bottle"]
    assert mean[2] == f"{np.mean(reached):.3f}"  # of nine classes: nothing published to compare with
    assert "classes that went in: {'0%': 10, '10%': 10, '50%': 9}" in text
    assert "at noise 0.5 10 of 11 classes" in text
    removed = text.split("### Table 2")[1].split("\nirp:")[1].split("\nmad:")[0]
    assert cells(removed, "cable")[1:3] == ["8.0 / 0.0 (6 / 0)", "2.0 / 6.0 (5 / 7)"]


def test_classes_of_ones_own_get_tables_of_their_own(tmp_path, undrawn):
    dataset = {"name": "parts", "layout": "mvtec", "root": "x", "classes": ["left", "right"]}
    _, text = rendered(tmp_path, dataset)
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## parts, mean of the classes", "## parts left", "## parts right"
    ]  # fmt: skip


@pytest.mark.parametrize("modes", [["overlap"], ["no_overlap", "overlap"]])
def test_noise_modes_have_tables_of_their_own(tmp_path, undrawn, modes):
    _, text = rendered(tmp_path, {"name": "tiles", "layout": "mtd"}, modes=modes, seeds=[0])
    assert text.count("## tiles") == len(modes)
    assert text.count("padim, overlap; 100 training photos.") == 1


def test_the_share_of_a_tiny_gap_does_not_squeeze_the_others(tmp_path):
    content = {"datasets": [{"name": "t", "layout": "mtd"}], "levels": [0.1, 0.3], "strategies": STRATEGIES}
    config, found = filled(written(tmp_path, content))
    (group,) = groups(found.valid(), config)
    lines = [
        replace(line, gap_closed=-40.0) if (line.strategy, line.noise) == ("mad", 0.1) else line
        for line in group.lines
    ]
    drawn = []
    for shown in (group, replace(group, lines=lines)):
        panel = figures._panels([shown], figures.styles_of(config), figures._gap, "gap").axes[0]
        drawn.append(panel.get_ylim())
    assert drawn[0][0] > -0.2
    assert drawn[1] == (-1.1, drawn[1][1])
    assert drawn[1][1] <= 1.6


def test_no_mark_of_a_curve_is_as_white_as_the_paper(tmp_path):
    from matplotlib.colors import to_rgb
    from matplotlib.figure import Figure

    content = {"datasets": [{"name": "a", "layout": "demo"}], "levels": [0.1], "seeds": [0]}
    config, _ = filled(written(tmp_path, {**content, "strategies": STRATEGIES}))
    for style in styles_of(config).values():
        (line,) = Figure().subplots().plot([0], [0], **line_of(style))
        cross = line.get_marker() in ("x", "+")
        shown = line.get_markeredgecolor() if cross else line.get_markerfacecolor()
        assert to_rgb(shown) == to_rgb(style["color"])
