"""What a detector is: it fits images believed to be good, and scores images. It never sees a label."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from adrefine.io import write_csv

_LOG = "training_log.csv"


@dataclass(frozen=True)
class Images:
    """Images by id, without label, split or file name; `prepared` is the folder data/prepared/<detector>."""

    ids: tuple[str, ...]
    prepared: Path

    def __len__(self) -> int:
        return len(self.ids)

    def only(self, ids: Iterable[str]) -> Images:
        """Those of `ids` that are here, in the order of this set."""
        wanted = set(ids)
        return Images(tuple(image_id for image_id in self.ids if image_id in wanted), self.prepared)


@dataclass(frozen=True)
class Scores:
    """Anomaly scores, higher is worse. image: (n,) float64, positive; maps: (n, h, w) float32 or None."""

    image: np.ndarray
    maps: np.ndarray | None = None


class Detector(ABC):
    """Anything that can score can be refined."""

    @abstractmethod
    def fit(self, images: Images, *, warm_start: bool = False) -> list[dict[str, float]]:
        """Learn what `images` have in common.

        Args:
            images: the training images, at least two.
            warm_start: go on from what the last cold fit learned (a refinement round) instead of starting
                afresh. Rounds do not pile up, or the twentieth would have memorized what the first did not.

        Returns:
            One row per epoch, or per stretch of steps, with its losses, for the training log.
        """

    @abstractmethod
    def score(self, images: Images) -> Scores:
        """Image scores of `images`, in their order."""

    def maps(self, images: Images, files: list[Path]) -> np.ndarray | None:
        """Anomaly maps (n, h, w) float32 of the image `files` of `images`; None if it makes none."""
        return None

    def set_alpha(self, alpha: float) -> None:  # noqa: B027  most detectors have one map
        """Weight of local against global anomaly maps in scores and maps from now on (EAD eq. 4.12)."""

    @abstractmethod
    def clone(self) -> Detector:
        """An independent copy with the same weights, so that folds and rounds do not disturb each other."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write weights and parameters, byte for byte the same for the same detector."""

    @abstractmethod
    def load(self, folder: Path) -> None:
        """Read what `save` wrote, as data (`weights_only`), never as code."""


def write_log(folder: Path, log: list[dict[str, float]]) -> None:
    """Write the training log beside the weights."""
    import pandas as pd

    write_csv(folder / _LOG, pd.DataFrame(log))


def read_log(folder: Path) -> list[dict[str, float]]:
    """The training log as `write_log` wrote it: writing it again gives the same bytes."""
    import pandas as pd

    rows = pd.read_csv(folder / _LOG).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]
