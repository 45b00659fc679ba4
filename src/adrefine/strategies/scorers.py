"""How the scores that a strategy sees are obtained."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from adrefine.detectors.base import Detector, Images
from adrefine.errors import UserError
from adrefine.runtime.seeds import derived_seed
from adrefine.strategies.learning import Training

if TYPE_CHECKING:
    import pandas as pd

    from adrefine.params import Refine

_FEWEST = 2  # images that a detector can learn from


class Scorer(ABC):
    """Scores the images still kept, without labels. `training` says how models learn; None: as their detector
    does. What a model has scored is not scored again while training leaves it as it is."""

    def __init__(self, training: Training | None = None) -> None:
        self.training = training or Training()
        self._known: WeakKeyDictionary[Detector, pd.Series] = WeakKeyDictionary()

    @abstractmethod
    def scores(self, model: Detector, kept: Images) -> pd.Series:
        """Image score by image_id; `model` is the detector trained on `kept`."""

    def _by(self, model: Detector, images: Images) -> pd.Series:
        """Scores of `images` by `model`, by image_id."""
        import pandas as pd

        known = self._known.get(model)
        if known is None or model not in self.training.idle or set(images.ids) - set(known.index):
            known = pd.Series(model.score(images).image, index=list(images.ids))
            self._known[model] = known
        return known[list(images.ids)]


class InSample(Scorer):
    """The model scores the images that it has learned, as OSR, IRP and META do.

    A flow that trains long enough memorizes its outliers, and then this ranks defects no better than chance
    (docs/methods.md 8); early stopping or `OutOfFold` help.
    """

    def scores(self, model: Detector, kept: Images) -> pd.Series:
        return self._by(model, kept)


class OutOfFold(Scorer):
    """Every image is scored by a model that never saw it: k models, each trained without one fold.

    The models are clones of `model` that learn afresh: they keep what it found out about how long to train.
    Folds follow from the image id, or its part, and the seed. From the second round on the fold models start
    warm. Where removals leave a model fewer than two images to learn, it keeps what it learned before.
    """

    def __init__(
        self,
        model: Detector,
        ids: tuple[str, ...],
        folds: int,
        seed: int,
        training: Training | None = None,
        parts: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(training)
        if len(ids) < 2 * _FEWEST:
            raise UserError(
                f"refine.scorer = out_of_fold needs {2 * _FEWEST} training images or more, there are "
                f"{len(ids)}: set refine.scorer to in_sample"
            )
        if folds > len(ids) // 2:
            raise UserError(
                f"refine.folds = {folds} is too many for {len(ids)} training images: at most {len(ids) // 2}"
            )
        part_of = {image_id: parts.get(image_id, image_id) for image_id in ids}
        order = sorted(set(part_of.values()), key=lambda part: derived_seed("fold", seed, part))
        fold_of = {part: rank % folds for rank, part in enumerate(order)}
        self.fold_of = {image_id: fold_of[part] for image_id, part in part_of.items()}
        self.models = [model.clone() for _ in range(folds)]
        self.started = False

    def scores(self, model: Detector, kept: Images) -> pd.Series:
        import pandas as pd

        result = pd.Series(float("nan"), index=list(kept.ids))
        for fold, fold_model in enumerate(self.models):
            inside = kept.only(i for i in kept.ids if self.fold_of[i] == fold)
            outside = kept.only(i for i in kept.ids if self.fold_of[i] != fold)
            if not len(inside):
                continue
            if len(outside) >= _FEWEST or not self.started:
                self.training.fit(fold_model, outside, warm_start=self.started)
            result[list(inside.ids)] = self._by(fold_model, inside)
        self.started = True
        return result


def create(
    params: Refine,
    model: Detector,
    ids: tuple[str, ...],
    training: Training | None = None,
    parts: Mapping[str, str] = MappingProxyType({}),
) -> Scorer:
    """The scorer policy that `refine.scorer` names, for the images `ids` that `model` was trained on; `parts`
    as in Images."""
    if params.scorer == "in_sample":
        return InSample(training)
    return OutOfFold(model, ids, params.folds, params.seed, training, parts)
