"""What a detector is: it fits images believed to be good, and scores images. It never sees a label."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any, ClassVar, Self

from adrefine.errors import UserError
from adrefine.io import read_csv, write_csv
from adrefine.sections import Section

if TYPE_CHECKING:  # a section of params.yaml is read without the detector's imports
    import numpy as np
    import pandas as pd

    from adrefine.params import Evaluate
    from adrefine.strategies.meta_iqr import MetaIqr

_LOG = "training_log.csv"
# What reading a file cut short, of another version or of another network raises.
_BROKEN = (OSError, EOFError, UnpicklingError, ValueError, TypeError, KeyError, IndexError, RuntimeError)


@dataclass(frozen=True)
class Images:
    """Images by id, without label, split or file name.

    Attributes:
        prepared: the folder data/prepared.
        parts: of images whose part is known; shots of one part share its name.
        weights: of images that count for less than 1 when a detector learns them, over 0.
        masks: files of the masks of real defects that a detector is told of, where there are any.
    """

    ids: tuple[str, ...]
    prepared: Path
    parts: Mapping[str, str] = field(default_factory=dict, compare=False)
    weights: Mapping[str, float] = field(default_factory=dict, compare=False)
    masks: Mapping[str, str] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, table: pd.DataFrame, prepared: Path) -> Images:
        """The rows of a manifest, sorted by id."""
        known = table[table["part"] != ""] if "part" in table.columns else table[:0]
        parts = dict(zip(known["image_id"], known["part"], strict=True)) if len(known) else {}
        return cls(tuple(sorted(table["image_id"])), prepared, parts)

    def __len__(self) -> int:
        return len(self.ids)

    def only(self, ids: Iterable[str]) -> Images:
        """Those of `ids` that are here, in the order of this set."""
        wanted = set(ids)
        ids = tuple(image_id for image_id in self.ids if image_id in wanted)
        return replace(self, ids=ids)

    def weighing(self, weights: Mapping[str, float]) -> Images:
        """The same images with other weights; those that weigh nothing are left out."""
        return replace(self.only(i for i in self.ids if weights[i] > 0), weights=dict(weights))

    def part(self, image_id: str) -> str:
        """What stays with the image when some are held out: its part; the image itself if that is unknown."""
        return self.parts.get(image_id, image_id)


@dataclass(frozen=True)
class Scores:
    """Anomaly scores, higher is worse. image: (n,) float64, positive; maps: (n, h, w) float32 or None."""

    image: np.ndarray
    maps: np.ndarray | None = None


class DetectorSettings(Section):
    """A detector's section of params.yaml, registered by its name.

    Attributes:
        reads: folders of data/prepared that the detector opens: features, pixels.
        FEWEST: training images that it needs.
        learns_twins: whether it learns from photos with a synthetic defect, and so needs one of every photo.
        CHOOSING: keys that decide which of the others count.
        BEFORE: keys that came later, with the values that a model has that was kept before.
    """

    if TYPE_CHECKING:  # a class says it once, or a property for each preset

        @property
        def reads(self) -> tuple[str, ...]: ...

    @property
    def learns_twins(self) -> bool:
        return False

    FEWEST: ClassVar[int] = 2
    WEIGHS: ClassVar[bool] = False  # as its detector's `weighs`
    CHOOSING: ClassVar[tuple[str, ...]] = ("preset",)
    BEFORE: ClassVar[Mapping[str, Any]] = {}

    @abstractmethod
    def create(self) -> Detector:
        """The detector with these settings, untrained. Its module is imported here, not before."""

    @property
    def weights_file(self) -> str | None:
        """A file of weights in data/weights that the section names by its key `weights`."""
        return getattr(self, "weights", None)

    @property
    def backbone(self) -> str | None:
        """A frozen network of a package that the detector has beside what it reads, by its name."""
        return None

    @property
    def package(self) -> str | None:
        """An installed package that the detector computes with, whose version decides what it learns."""
        return None

    def check_needs(self) -> None:
        """Look before any stage runs at what only the detector can tell.

        Raises:
            UserError: a package, a model or one of its arguments is not there.
        """

    @property
    def unread(self) -> Mapping[str, str]:
        """Keys that have no effect with these settings, and for each what to set so that it has one."""
        return {}

    def without_effect(self) -> dict[str, str]:
        """Those of `unread` whose value is not that of the preset: somebody set it in vain."""
        if not self.unread:
            return {}
        plain = type(self)(**{key: getattr(self, key) for key in self.CHOOSING})
        return {key: by for key, by in self.unread.items() if getattr(self, key) != getattr(plain, key)}

    @property
    def own_maps(self) -> bool:
        """Whether the report shows the detector's own maps, as published, and not those of places."""
        return getattr(self, "preset", None) == "paper"

    def known(self, table: pd.DataFrame) -> tuple[str, ...]:
        """Real defects of the noisy manifest that this detector learns as such; most learn from none."""
        return ()

    def supervision(self, table: pd.DataFrame) -> dict[str, int]:
        """How many real defects are `available` in the noisy manifest, and how many are `used`; nothing where
        the detector learns from good photos alone."""
        return {}

    @property
    def confirmed_teach(self) -> bool:
        """Whether photos that a human removed teach as real defects."""
        return False

    @property
    def removed_teach(self) -> float:
        """Weight of photos that a strategy removed as real defects of the final model; 0: they teach none."""
        return 0.0

    def headline(self, evaluate: Evaluate) -> dict[str, Any]:
        """Which of the settings the report's header shows, by title: the preset, if there is one."""
        return {name: getattr(self, name) for name in type(self).model_fields if name == "preset"}

    def remarks(self, evaluate: Evaluate) -> list[str]:
        """What a reader of the report is to know of how section `evaluate` differs from this one."""
        return []

    def stored(self) -> dict[str, Any]:
        """What a trained detector keeps of its settings: all but the preset's name."""
        return self.model_dump(exclude={"preset"})

    @classmethod
    def restored(cls, content: dict[str, Any]) -> Self:
        """The settings that `stored` gave.

        Raises:
            KeyError, ValueError: one is missing, or is none of this detector's.
        """
        content = {**cls.BEFORE, **content}
        missing = set(cls.model_fields) - {"preset"} - set(content)
        if missing:
            raise KeyError(*sorted(missing))
        return cls(**content)


class Detector(ABC):
    """Anything that can score can be refined.

    Attributes:
        weighs: whether a cold `fit` heeds `Images.weights`; what does not learns a sample drawn by them.
    """

    weighs: ClassVar[bool] = False

    @property
    def learns_warm(self) -> bool:
        """Whether a warm fit learns; false: it leaves the model as the last fit from scratch made it."""
        return True

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

    def meta_fit(
        self, images: Images, params: MetaIqr, *, warm_start: bool = False
    ) -> list[dict[str, float]]:
        """As `fit`, by meta-learning (META sect. 3.1).

        A warm start goes on where the last meta-fit ended, with its optimizer and its draws: META's rounds
        are one long training, and an optimizer that starts anew each round makes the flow diverge.

        Raises:
            UserError: this detector cannot be meta-learned.
        """
        raise self._no_meta_learning()

    def log_likelihood(self, images: Images) -> np.ndarray:
        """(n,) float64: how likely each image is, up to a constant that all models of this detector share.

        Raises:
            UserError: this detector has no likelihood.
        """
        raise self._no_meta_learning()

    def _no_meta_learning(self) -> UserError:
        return UserError(
            f"refine.strategy = meta_iqr needs a detector that can meta-learn, which {type(self).__name__} "
            "cannot: set detector to padim, mixed or differnet, or refine.strategy to irp, osr or mad"
        )

    def maps(self, images: Images, files: list[Path]) -> np.ndarray | None:
        """Anomaly maps (n, h, w) float32 of the image `files` of `images`; None if it makes none."""
        return None

    def layers(self, images: Images, files: list[Path]) -> dict[str, np.ndarray]:
        """The maps (n, h, w) that `maps` adds up, by their names; none if it has no such parts."""
        return {}

    def apply(self, evaluate: Evaluate) -> None:  # noqa: B027  most detectors have nothing to choose then
        """Score and map from now on as section `evaluate` of params.yaml says."""

    def know(self, defects: Images, weight: float = 1.0) -> None:  # noqa: B027  most learn from good ones
        """Real defects that every fit from now on learns as such, beside those known before; their ids are in
        no set that it is fitted on. A `weight` under 1: they may be none."""

    @abstractmethod
    def clone(self) -> Detector:
        """An independent copy with the same weights, so that folds and rounds do not disturb each other."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write weights and parameters, byte for byte the same for the same detector."""

    @abstractmethod
    def load(self, folder: Path) -> None:
        """Read what `save` wrote, as data (`weights_only`), never as code."""


@contextmanager
def reading(folder: Path, state: str, name: str) -> Iterator[None]:
    """While a detector called `name` reads its file `state` in `folder`: say what is wrong with the files.

    Raises:
        UserError: `state` is missing, or what is in it is not a whole model of this network.
    """
    if not (folder / state).exists():
        raise UserError(f"{folder} holds no {name} model: run `dvc repro train`")
    try:
        yield
    except _BROKEN as error:
        raise UserError(
            f"{folder} holds a broken {name} model ({type(error).__name__}): delete it and run "
            "`dvc repro train`"
        ) from None


def write_log(folder: Path, log: list[dict[str, float]]) -> None:
    """Write the training log beside the weights."""
    import pandas as pd

    write_csv(folder / _LOG, pd.DataFrame(log))


def read_log(folder: Path) -> list[dict[str, float]]:
    """The training log as `write_log` wrote it: writing it again gives the same bytes."""
    if not (folder / _LOG).exists():
        raise FileNotFoundError(folder / _LOG)  # a part of the model, see `reading`
    rows = read_csv(folder / _LOG).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]
