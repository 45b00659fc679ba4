"""adrefine: find the defects hidden among good training images, version every cleaned set, prove the gain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adrefine.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from adrefine.prediction.model import Model
    from adrefine.prediction.photo import Result

__all__ = ["Model", "Result", "UserError", "__version__", "load_model"]
__version__ = "0.1.0"


def load_model(path: str | Path = "promoted/current") -> Model:
    """The model of the bundle in the folder `path`: `load_model(...).predict(photo)`; docs/use.md.

    Raises:
        UserError: there is no bundle, a damaged one, or one of a newer adrefine.
    """
    from adrefine.prediction import model

    return model.load(path)
