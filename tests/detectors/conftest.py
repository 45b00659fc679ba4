"""What the tests of DifferNet share."""

from __future__ import annotations

import pytest

from adrefine.detectors.base import Images
from fakes import vector_store


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Images:
    """Images with made-up features, in a store of their own."""
    return vector_store(tmp_path_factory.mktemp("vectors"))
