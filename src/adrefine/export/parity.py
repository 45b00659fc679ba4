"""How far the exported graph is from the model: measured at every export."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from adrefine.errors import UserError
from adrefine.export.formats import Run
from adrefine.export.photo import Given
from adrefine.export.photos import pixels
from adrefine.prediction.model import Model
from adrefine.text import counted

# Shares of a score, and of the largest value of a map; of the threshold if that is larger.
TOLERANCE, MAP_TOLERANCE = 0.01, 0.05
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Both:
    """Scores of the same photos (n,) by the model and by the graph; of each photo the largest and the mean
    difference of its map, 0 without maps."""

    model: Array
    graph: Array
    largest: Array
    mean: Array


@dataclass(frozen=True)
class Parity:
    """What is in export.json: of scores as a share of them, of maps as a share of the largest value of
    each; or of the threshold, where that is larger."""

    photos: int
    score_largest: float
    score_mean: float
    map_largest: float
    map_mean: float
    verdicts_changed: int
    engine: str

    def as_json(self) -> dict[str, Any]:
        """For export.json."""
        return asdict(self)

    def line(self) -> str:
        """For people."""
        scores = f"scores differ by at most {self.score_largest:.1e} (mean {self.score_mean:.1e})"
        maps = f"maps by {self.map_largest:.1e} (mean {self.map_mean:.1e})"
        return (
            f"{counted(self.photos, 'photo')}: {scores}, {maps}, "
            f"{counted(self.verdicts_changed, 'verdict')} changed"
        )


def measure(model: Model, run: Run, given: Given, paths: Iterable[Path], maps: bool) -> Both:
    """Each photo through both."""
    rows: list[tuple[float, float, float, float]] = []
    for path in paths:
        ready, seen = pixels(path, model.preparation, given)
        scores, heats = model.score([ready.image], maps)
        output = run(seen)
        away = _away(output[1][0], heats[0]) if maps and heats[0] is not None else np.zeros(1)
        rows.append((float(scores[0]), float(output[0][0]), float(away.max()), float(away.mean())))
    return Both(*np.array(rows, dtype=np.float64).reshape(-1, 4).T)


def _away(map_: npt.NDArray[np.float32], wanted: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Differences as a share of the map's largest value, or of 1, its threshold, if that is larger."""
    return np.asarray(np.abs(map_ - wanted) / max(float(wanted.max()), 1.0))


def summary(both: Both, threshold: float, graph_threshold: float, engine: str) -> Parity:
    """The figures of `both`; each side's verdicts are by its own threshold."""
    away = np.abs(both.graph - both.model) / np.maximum(np.abs(both.model), threshold)
    changed = (both.model > threshold) != (both.graph > graph_threshold)
    return Parity(
        photos=len(away),
        score_largest=float(away.max()),
        score_mean=float(away.mean()),
        map_largest=float(both.largest.max()),
        map_mean=float(both.mean.mean()),
        verdicts_changed=int(changed.sum()),
        engine=engine,
    )


def refuse(parity: Parity) -> None:
    """Stop an export that differs.

    Raises:
        UserError: it does; says by how much.
    """
    if not (parity.score_largest <= TOLERANCE and parity.map_largest <= MAP_TOLERANCE):
        raise UserError(
            f"the exported graph differs too much from the model, nothing was written: of {parity.line()}; "
            f"{TOLERANCE:g} and {MAP_TOLERANCE:g} are allowed. Update the runtime, or take another --format"
        )
