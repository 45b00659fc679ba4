"""What evaluate reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from adrefine.areas.region import Region
from adrefine.detectors.base import Detector
from adrefine.report.interest import WHOLE, Interest
from adrefine.report.turned import NONE, Turned

# Anomaly maps (n, h, w) from data/prepared, the photos that trained, and the ids and files of those to show.
Mapper = Callable[[Path, Sequence[str], Sequence[str], Sequence[Path]], np.ndarray]


@dataclass(frozen=True)
class Inputs:
    """Everything evaluate reads.

    `models`: by name, `oracle` only where there is a ceiling, `taught` where answers taught one; `refined`:
    the refined manifest with labels; `summary`, `history`, `round_scores`, `queue`: as the refine stage
    wrote them; `prepared`: data/prepared, of which the detector `reads` these folders; `mapper`: what makes
    the maps of any detector's photos (`places.maps.of_photos`), None: the detector itself; `throughput`:
    images a second of the distillation; `turned`: examples of turned photos; `region`: what counts of the
    photos, None: all, and `interest`: what the report shows of it; `supervision`: how many real defects
    there are to learn, and how many of them the detector learned; `remarks`: its own.
    """

    models: dict[str, Detector]
    refined: pd.DataFrame
    history: pd.DataFrame
    round_scores: pd.DataFrame
    queue: pd.DataFrame
    summary: dict[str, Any]
    noise: dict[str, Any]
    prepared: Path
    reads: tuple[str, ...]
    mapper: Mapper | None = None
    throughput: float | None = None
    turned: Turned = NONE
    region: Region | None = None
    interest: Interest = WHOLE
    supervision: dict[str, int] = field(default_factory=dict)
    remarks: Sequence[str] = ()
