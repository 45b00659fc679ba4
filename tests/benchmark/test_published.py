from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from adrefine.benchmark import published
from adrefine.benchmark.config import Entry
from adrefine.datasets.mvtec import OFFICIAL

PUBLISHED = published.read()


def test_means_over_the_classes_are_those_published():
    for method in ("irp", "meta_iqr"):
        figures = PUBLISHED.auroc[method].figures
        classes = [values for name, values in figures.items() if name in OFFICIAL]
        assert len(classes) == 10
        # The documents cut or round to four digits.
        np.testing.assert_allclose(np.mean(classes, axis=0), figures[published.MVTEC_MEAN], atol=1.01e-4)


def test_the_published_deviation_is_that_of_the_classes_in_four_of_six_columns():
    figures = PUBLISHED.auroc["meta_iqr"].figures
    classes = [values for name, values in figures.items() if name in OFFICIAL]
    apart = np.abs(np.std(classes, axis=0) - figures[published.MVTEC_DEVIATION])
    assert (apart < 2e-4).sum() == 4


def test_figures_are_those_of_the_documents():
    """Two of each table, typed from the documents once more."""
    assert PUBLISHED.auroc_of("irp", "cable", 0.5) == 0.4604
    assert PUBLISHED.auroc_of("irp", "ksdd2", 0.0) == 0.9403
    assert PUBLISHED.auroc_of("vanilla", "mvtec_mean", 0.3) == 0.7797
    assert PUBLISHED.auroc_of("osr", "ksdd2", 0.5) == 0.67
    assert PUBLISHED.auroc_of("meta_iqr", "carpet", 0.5) == 0.7064
    assert PUBLISHED.auroc_of("osr", "ksdd2", 1.0) == 0.42
    assert PUBLISHED.auroc_of("vanilla", "ksdd2", 0.6) == 0.63
    assert PUBLISHED.removed_of("osr", "ksdd2", 1.0) == (0, 25)
    assert PUBLISHED.removed_of("irp", "zipper", 0.4) == (6, 14)
    assert PUBLISHED.removed_of("osr", "ksdd2", 0.4) == (9, 24)
    assert PUBLISHED.removed_of("meta_iqr", "carpet", 0.4) == (17, 37)


def test_nothing_is_removed_wrongly_from_what_is_not_there():
    for method in PUBLISHED.removed.values():
        for name, counts in method.figures.items():
            assert counts.bad[0] == 0, name
            assert all(
                bad <= 100 * level for bad, level in zip(counts.bad, PUBLISHED.noise_levels, strict=False)
            ), name


def test_every_method_names_its_source_and_known_datasets():
    for kind in (PUBLISHED.auroc, PUBLISHED.removed):
        for name, method in kind.items():
            assert method.source, name
            assert set(method.figures) <= {*OFFICIAL, "mvtec_mean", "mvtec_deviation", "ksdd2", "mtd"}, name


def test_figures_for_a_count_of_photos_are_not_on_the_axis_of_shares():
    """InReaCh's table 3 adds 10 and 40 photos of the test set, which are no shares .1 and .4."""
    of_tiles = {
        name: method.figures["mtd"] for name, method in PUBLISHED.auroc.items() if "mtd" in method.figures
    }
    assert of_tiles
    assert all(values[1:] == [None] * 5 for values in of_tiles.values()), of_tiles
    assert "InReaCh" in PUBLISHED.notes["mtd"]
    assert "ICCV 2023, table 3" in PUBLISHED.notes["mtd"]


@pytest.mark.parametrize(
    ("method", "subject", "noise"),
    [
        ("irp", "cable", 0.25),
        ("mad", "cable", 0.1),
        ("irp", None, 0.1),
        ("irp", "grid", 0.1),
        ("osr", "ksdd2", 0.1),
        ("irp", "ksdd2", 0.6),
    ],
)
def test_what_nobody_published_is_none(method, subject, noise):
    assert PUBLISHED.auroc_of(method, subject, noise) is None
    assert method == "osr" or PUBLISHED.removed_of(method, subject, noise) is None


@pytest.mark.parametrize(
    ("layout", "root", "part", "expected"),
    [
        ("mvtec", "x/mvtec", "cable", "cable"),
        ("mvtec", "x/cable", "", "cable"),
        ("mvtec", "x/ksdd", "", None),
        ("mvtec", "x/mine", "cable2", None),
        ("ksdd2", "x", "", "ksdd2"),
        ("mtd", "x", "", "mtd"),
        ("folder", "x/cable", "", None),
    ],
)
def test_a_dataset_is_compared_only_with_its_like(layout, root, part, expected):
    entry = Entry(name="d", layout=layout, root=root, classes=(part,) if part else ())
    assert published.subject(entry, part) == expected


def test_the_file_is_packaged():
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert '"benchmark/*.yaml"' in text
