"""Where photos lie on the map: principal components, or UMAP where it is installed."""

from __future__ import annotations

import importlib.machinery
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from adrefine.review_page import similar
from adrefine.review_page.similar import FEWEST, Similar
from fakes import MapStore


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What a stand-in for umap-learn was asked for; it lays the photos out as they begin, moved."""
    asked: list[dict[str, Any]] = []

    class UMAP:
        def __init__(self, **settings: Any) -> None:
            asked.append(settings)

        def fit_transform(self, vectors: np.ndarray) -> np.ndarray:
            assert np.isfinite(vectors).all()
            return asked[-1]["init"] + 50

    module = ModuleType("umap")
    module.UMAP = UMAP  # type: ignore[attr-defined]
    module.__spec__ = importlib.machinery.ModuleSpec("umap", None)
    monkeypatch.setitem(sys.modules, "umap", module)
    return asked


def test_umap_lays_the_photos_out_where_it_is_installed(asked: list[dict[str, Any]]) -> None:
    store = MapStore(8, count=FEWEST)
    points, axes = Similar(store, store.ids).plane()
    assert axes == "UMAP"
    assert asked[0]["random_state"] == 0
    np.testing.assert_allclose([points.min(axis=0), points.max(axis=0)], [[-1, -1], [1, 1]], atol=1e-6)


def test_few_photos_are_laid_out_by_principal_components(asked: list[dict[str, Any]]) -> None:
    store = MapStore(8, count=FEWEST)
    few = Similar(store, store.ids[: FEWEST - 1])
    points, axes = few.plane()
    assert axes == "two principal components"
    assert not asked
    np.testing.assert_array_equal(points, few.principal())


def test_without_umap_it_is_principal_components(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similar, "find_spec", lambda name: None)
    store = MapStore(8, count=FEWEST)
    points, axes = Similar(store, store.ids).plane()
    assert axes == "two principal components"
    assert np.abs(points).max() <= 1
