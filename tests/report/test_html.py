from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from adrefine.report import html, plots

VOID = {"meta", "img", "link", "br", "input"}


class Page(HTMLParser):
    """Collects text, tags and attributes, and refuses tags closed in the wrong order."""

    def __init__(self, content):
        super().__init__()
        self.open, self.text, self.tags = [], [], []
        self.feed(content)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def has(self, text):
        return " ".join(text.split()) in " ".join(" ".join(self.text).split())

    def of(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def _scripts(content):
    """Digests of the scripts that a browser would run."""
    found = re.findall(r"<script>(.*?)</script>", content, re.DOTALL)
    return [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in found]


def _allowed(content):
    return re.search(r"script-src 'sha256-([^']+)'", content)[1]


@pytest.fixture
def drawn(data, tmp_path):
    plots.write_all(data, tmp_path / "plots")
    return tmp_path / "plots"


def test_the_page_tells_the_whole_story(data, drawn):
    page = Page(html.render(data, drawn))
    for text in (
        "Removed 2 of 3 hidden defects and 1 good photo.",
        "Detection AUROC 0.812 → 0.938 (better); ceiling 1.000.",
        "Hidden defects found",
        "Good photos removed",
        "Most suspicious photos that stayed",
        "Test defects missed",
        "False alarms in the test",
        "Only three defects could be hidden.",
        "no score was over the limit.",
        "448, 224",
        "18 %",
    ):
        assert page.has(text), text
    assert len([image for image in page.of("img") if image["src"].startswith("data:image/png")]) == 4


def test_it_says_which_types_of_defect_are_caught(data, drawn):
    assert not Page(html.render(data, drawn)).has("Which defects are caught")
    data.test.loc[data.test["label"] == 1, "defect_type"] = ["scratch", "scratch", "scratch", ""]
    data.metrics["recall_by_type"] = {
        "initial": {"scratch": 1 / 3, "unnamed": 1.0},
        "refined": {"scratch": 2 / 3, "unnamed": 0.0},
    }
    page = Page(html.render(data, drawn))
    assert page.has("scratch 3 0.333 0.667 unnamed 1 1.000 0.000")


def test_it_says_how_the_hidden_defects_rank_where_they_are_known(data, drawn):
    assert not Page(html.render(data, drawn)).has("Ranking of the hidden defects")
    ranking = {"auroc": 0.9371, "ap": 0.5, "depth_90": 0.25, "depth_100": 1.0}
    page = Page(html.render(replace(data, metrics={"ranking": ranking}), drawn))
    assert page.has("Ranking of the hidden defects Depth: read the training photos")
    assert page.has("of the training photos 0.937 0.500 25 % 100 %")


def test_the_page_needs_nothing_from_outside_and_links_only_to_itself(data, drawn):
    content = html.render(data, drawn)
    page = Page(content)
    assert all(image["src"].startswith("data:image/") for image in page.of("img"))
    assert all(image["alt"] for image in page.of("img"))
    targets = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    links = [link["href"] for link in page.of("a")]
    assert {link.removeprefix("#") for link in links if link.startswith("#")} <= targets
    assert all(link.startswith(("#", "..")) for link in links)  # the photos themselves, and nothing else
    assert "script-src 'sha256-" in content
    assert _scripts(content) == [_allowed(content)]
    assert not page.of("link")
    assert "http" not in content.replace("http-equiv", "")


def test_the_page_is_the_same_bytes_every_time(data, drawn):
    assert html.render(data, drawn) == html.render(
        replace(data, maps=dict(reversed(data.maps.items()))), drawn
    )


def test_file_names_and_notes_cannot_inject_anything(data, drawn):
    evil = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
    train = data.train.assign(source=evil, defect_type=evil)
    nasty = replace(data, train=train, notes=[evil], stop_reason=evil, settings={evil: evil, "dataset": evil})
    page = Page(html.render(nasty, drawn))
    assert len(page.of("script")) == 2
    assert _scripts(html.render(nasty, drawn)) == [_allowed(html.render(nasty, drawn))]
    assert all(image["src"].startswith("data:image/") and "onerror" not in image for image in page.of("img"))
    assert page.has(evil)


def test_without_labels_every_part_that_needs_them_is_gone(unlabelled, tmp_path):
    plots.write_all(unlabelled, tmp_path / "plots")
    page = Page(html.render(unlabelled, tmp_path / "plots"))
    assert page.has("Removed 3 of 12 training photos as suspicious.")
    assert page.has("Removed photos 3")
    labelled_only = ("AUROC", "hidden defect", "false removal", "False alarms", "Ceiling", "true defect")
    for text in (*labelled_only, "nan", "None"):
        assert not page.has(text), text


def test_the_queue_is_measured_where_labels_are_known(data, unlabelled, drawn):
    shares = {f"{name}_at_{share}pct": 0.25 for name in ("found", "plain_found") for share in (5, 10, 20)}
    page = Page(html.render(replace(data, metrics={**data.metrics, "review": shares}), drawn))
    assert page.has("hidden defects, in the order of the queue 25 % 25 % 25 %")
    assert page.has("in the order of the first detector's score 25 %")
    assert not page.has("wrong decisions")
    assert page.has("adrefine review train02 remove")
    page = Page(html.render(unlabelled, drawn))
    assert page.has("adrefine review train02 remove")
    assert not page.has("in this order")


def test_a_distillation_tells_its_throughput(data, tmp_path):
    curve = pd.DataFrame({"step": [1, 2], "loss": [0.9, 0.8]})
    distilled = replace(data, distillation=curve, throughput=12.5)
    plots.write_all(distilled, tmp_path)
    assert Page(html.render(distilled, tmp_path)).has("It was done at 12.5 images a second.")
    unknown = Page(html.render(replace(distilled, throughput=None), tmp_path))
    assert unknown.has("If the curve still falls, more steps help.")
    assert not unknown.has("images a second")


def test_an_empty_run_still_makes_a_page(data, tmp_path):
    empty = replace(
        data, metrics={}, train=data.train.iloc[:0], history=data.history.iloc[:0],
        rounds=data.rounds.iloc[:0], test=data.test.iloc[:0], thresholds={}, maps={}, notes=[],
        settings={}, stop_reason="", queue=data.queue.iloc[:0],
    )  # fmt: skip
    assert Page(html.render(empty, tmp_path)).has("Removed 0 of 0 training photos")


def test_missing_photos_and_broken_numbers_leave_placeholders(data, drawn):
    for path in data.train["path"]:
        Path(path).unlink()
    odd = replace(data, metrics={"detection": {"initial": {"auroc": np.nan}, "refined": {"auroc": 0.9}}})
    page = Page(html.render(odd, drawn))
    assert page.has("photo not found")
    assert page.has("Detection AUROC 0.900.")
    assert not page.has("Ceiling")
    assert not page.has("nan")


def test_the_limit_holds_for_each_section_and_the_page_says_what_is_not_shown(data, drawn):
    page = Page(html.render(data, drawn, limit=1))
    assert len(page.of("article")) == 6
    assert page.has("The first 1 of 2 are shown.")
    assert not Page(html.render(data, drawn, limit=0)).of("article")


def test_making_the_page_does_not_import_torch():
    code = "import sys, adrefine.report.html, adrefine.report.plots; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
