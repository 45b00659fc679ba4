"""Makes `tests/` importable, for the modules that several tests share (`trees`, `fakes`)."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest
from hypothesis import settings

from adrefine.params import Embed
from adrefine.paths import FEATURES
from trees import pixels, save

# The same examples at every run, so that a change is blamed only for what it broke; new ones with
# `pytest --hypothesis-profile=explore`.
settings.register_profile("repeatable", derandomize=True)
settings.register_profile("explore", max_examples=1000)
settings.load_profile("repeatable")


# Files of minutes, longest first: started last, one would keep a single process busy at the end.
_LONG = (
    "rerun",
    "inbox_real",
    "prefect_flow",
    "bad_input",
    "reproducible",
    "sweep_resume",
    "browser",
    "outputs",
    "efficientad_graph",
    "deployments",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files for processes that take one file at a time; the tests of a file stay in theirs."""
    ranks = {f"test_{name}": place for place, name in enumerate(_LONG)}
    items.sort(key=lambda item: ranks.get(item.path.stem, len(ranks)))


class Embedded(NamedTuple):
    """Eight grey photos of 32 × 32 pixels and their features."""

    images: pd.DataFrame
    params: Embed
    store: Path
    cache: Path


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Embedded:
    from adrefine.features.embed import embed  # imports torch, which most tests do not need

    folder = tmp_path_factory.mktemp("embedded")
    names = [f"p{number}" for number in range(8)]
    paths = [str(save(folder / f"{name}.png", pixels(seed, 32, 32))) for seed, name in enumerate(names)]
    images = pd.DataFrame({"image_id": names, "path": paths})
    params = Embed(scales=[32], views=2)
    store = folder / "prepared" / FEATURES
    embed(images, params, store, folder / "cache")
    return Embedded(images, params, store, folder / "cache")
