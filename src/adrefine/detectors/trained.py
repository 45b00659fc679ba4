"""What detectors share that train a network in steps: cold and warm fits, the unit of scores, files."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from adrefine.detectors.base import Detector, Images, Scores, read_log, reading, write_log
from adrefine.errors import UserError
from adrefine.io import atomic_open, read_json, write_json
from adrefine.places.evidence import robust
from adrefine.runtime import hardware
from adrefine.runtime.seeds import derived_seed, drawn, seed_everything

Array = npt.NDArray[np.float64]
Log = list[dict[str, float]]

_STATE = "network.pt"
SHARE = 0.25  # exponent of a score, a robust deviation: a usual photo scores 0.8 to 1.3
LARGEST = 50.0  # exponent of a score
_ROWS = 50  # most rows of a training log


class Learns(Protocol):
    """What a section says of its training.

    Attributes:
        steps: of a cold fit. finetune_steps: of a warm one. holdout: share of the photos that set the unit of
            scores. seed: of all that is random.
    """

    @property
    def steps(self) -> int: ...
    @property
    def finetune_steps(self) -> int: ...
    @property
    def holdout(self) -> float: ...
    @property
    def seed(self) -> int: ...
    def stored(self) -> dict[str, Any]: ...


class Trained(Detector):
    """A network that is given a value of each photo, and learns it in steps.

    The first cold fit learns a part of the images and takes the unit of scores from the others, held out by
    id; then it learns all: an image that was not learned would stand out among those that were. Later cold
    fits, also of clones, start afresh and keep the unit, so that scores of folds and rounds compare. A warm
    fit goes on from the last cold one.

    Attributes:
        title: what messages call it. settings: its section, of the class `kind`.
        net: the network; None: not trained. shape: the numbers that it was built with.
        steps: of a cold fit. unit: median and robust deviation of the values of held-out photos.
    """

    title: ClassVar[str]
    kind: ClassVar[Any]

    def __init__(self, settings: Learns) -> None:
        self.settings: Any = settings
        self.net: nn.Module | None = None
        self.shape: dict[str, int] = {}
        self.cold: dict[str, torch.Tensor] = {}  # state that the last cold fit ended with
        self.steps = settings.steps
        self.unit: tuple[float, float] | None = None
        self.log: Log = []
        self.device = hardware.device()

    @abstractmethod
    def measure(self, images: Images) -> dict[str, int]:
        """The numbers that the network for `images` is built with."""

    @abstractmethod
    def build(self, shape: dict[str, int]) -> nn.Module:
        """A new network; torch's generator is seeded."""

    @abstractmethod
    def learn(self, images: Images, steps: int, first: int = 0) -> Log:
        """Train `net` for `steps` steps, numbered from `first`; the training log."""

    @abstractmethod
    def values(self, images: Images) -> Array:
        """(n,) how odd each image is, on a scale on which differences count; of that image alone."""

    def settle(self, images: Images) -> None:
        """Before a cold training: put into `net` what the images tell at once, such as their scale."""

    def watch(self, learned: Images, held: Images) -> None:
        """Train on `learned` while `held` out ones tell when to stop; here for as long as is set."""
        self.learn(learned, self.steps)

    def extra(self) -> dict[str, Any]:
        """What else is saved: numbers, text and containers of them."""
        return {}

    def take(self, extra: dict[str, Any]) -> None:
        """What `extra` gave."""

    def fit(self, images: Images, *, warm_start: bool = False) -> Log:
        if len(images) < 2:
            raise UserError(f"{self.title} needs at least 2 training images, got {len(images)}")
        if warm_start and self.net is not None:
            self.net.load_state_dict(self.cold)
            self.log = self.learn(images, self.settings.finetune_steps, first=self.steps)
            return self.log
        if self.unit is None:
            learned, held = held_out(images, self.settings.holdout, self.settings.seed)
            if len(held):
                self._start(learned)
                self.watch(learned, held)
                self.unit = robust(self.values(held))
        self._start(images)
        self.log = self.learn(images, self.steps)
        self.cold = copy.deepcopy(self.ready().state_dict())
        if self.unit is None:
            self.unit = robust(self.values(images))
        return self.log

    def score(self, images: Images) -> Scores:
        """exp of the values in units, about 1 for a usual photo: a multiple of the median means something."""
        self.ready()
        units = self.in_units(self.values(images))
        return Scores(np.exp(np.clip(SHARE * units, -LARGEST, LARGEST)))

    def in_units(self, values: Array) -> Array:
        """Values over the usual one, in robust deviations of held-out photos."""
        assert self.unit is not None
        return (values - self.unit[0]) / self.unit[1]

    def clone(self) -> Trained:
        return copy.deepcopy(self)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        state = {key: value.cpu() for key, value in self.ready().state_dict().items()}
        with atomic_open(folder / _STATE) as file:
            numbers = {"shape": self.shape, "steps": self.steps, "unit": self.unit}
            torch.save({"net": state, **numbers, "extra": self.extra()}, file)
        write_json(folder / "settings.json", self.settings.stored())
        write_log(folder, self.log)

    def load(self, folder: Path) -> None:
        with reading(folder, _STATE, self.title):
            self.settings = self.kind.restored(read_json(folder / "settings.json"))
            state = torch.load(folder / _STATE, map_location=self.device, weights_only=True)
            self.shape, self.steps = dict(state["shape"]), int(state["steps"])
            self.unit = (float(state["unit"][0]), float(state["unit"][1]))
            self.net = self._new()
            self.net.load_state_dict(state["net"])
            self.net.eval()
            self.cold = state["net"]
            self.take(state["extra"])
            self.log = read_log(folder)

    def ready(self) -> Any:
        """The network.

        Raises:
            UserError: it is not trained.
        """
        if self.net is None:
            raise UserError(f"this {self.title} is not trained: call fit or load first")
        return self.net

    def _start(self, images: Images) -> None:
        self.shape = self.measure(images)
        self.net = self._new()
        self.settle(images)

    def _new(self) -> nn.Module:
        seed_everything(self.settings.seed)
        return self.build(self.shape).to(self.device)


def held_out(images: Images, share: float, seed: int) -> tuple[Images, Images]:
    """Those to learn and those held out; by id or part, so that no other image decides."""
    held = images.only(i for i in images.ids if drawn(share, "holdout", seed, images.part(i)))
    learned = images.only(set(images.ids) - set(held.ids))
    return (learned, held) if len(learned) > 1 else (images, images.only(()))


def batches(ids: Sequence[str], size: int, steps: int, *seed: object) -> Iterator[tuple[str, ...]]:
    """Ids of each step, epoch after epoch; a removed image changes nobody's place but by its gap."""
    queue: list[str] = []
    epoch = 0
    for _ in range(steps):
        while len(queue) < size:
            order = sorted(ids, key=lambda image_id: derived_seed("order", *seed, epoch, image_id))
            queue, epoch = queue + order, epoch + 1
        yield tuple(queue[:size])
        queue = queue[size:]


def log_of(log: Log) -> Log:
    """At most 50 rows: the step after which, and the mean of each loss since the row before."""
    stretch = max(1, -(-len(log) // _ROWS))
    rows = []
    for start in range(0, len(log), stretch):
        part = log[start : start + stretch]
        means = {name: sum(row[name] for row in part) / len(part) for name in part[0]}
        rows.append({"step": float(start + len(part)), **means})
    return rows
