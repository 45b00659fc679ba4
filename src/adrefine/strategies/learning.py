"""How models learn while a training set is refined. Nothing in here sees a score or a label."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, WeakSet

from adrefine.detectors.base import Detector, Images
from adrefine.runtime.seeds import drawn

if TYPE_CHECKING:
    from adrefine.strategies.meta_iqr import MetaIqr


class Training:
    """As the detector itself learns; a strategy that trains otherwise has a subclass of its own.

    A model starts warm until its images are by the share `refit` fewer or more than when it last learned from
    scratch: warm, it still knows what was removed since.

    Args:
        lasting: a round's model may be the final one (`refine.final_fit: warm`) and must have learned what is
            kept: one that learns nothing warm learns from scratch instead.

    Attributes:
        replaced: whether that happened.
    """

    def __init__(self, refit: float = 1.0, lasting: bool = False) -> None:
        self.refit, self.lasting = refit, lasting
        self.replaced = False
        self.learned: WeakKeyDictionary[Detector, int] = WeakKeyDictionary()  # images, from scratch
        self.idle: WeakSet[Detector] = WeakSet()  # whose last warm start left them as they were

    def start(self, model: Detector, images: Images) -> bool:
        """Before the first round: let `model` learn `images` anew if need be, and say whether it did."""
        self.learned[model] = len(images)
        return False

    def fit(self, model: Detector, images: Images, *, warm_start: bool) -> bool:
        """Let `model`, the one being refined or one of a scorer, learn `images`.

        Returns:
            Whether it did so from scratch, as its detector does: to do that again would change nothing.
        """
        before = self.learned.get(model, len(images))
        warm_start = warm_start and abs(before - len(images)) < self.refit * before
        if warm_start and self.lasting and not model.learns_warm:
            warm_start, self.replaced = False, True
        if not warm_start:
            self.learned[model] = len(images)
        model.fit(images, warm_start=warm_start)
        if warm_start and not model.learns_warm:
            self.idle.add(model)
        else:
            self.idle.discard(model)
        return not warm_start

    def converged(self, kept: Images) -> str | None:
        """After a round that left `kept`: why another round would not help; None: it may."""
        return None


class MetaTraining(Training):
    """MAML instead of ordinary training (META Algorithm 1).

    It ends where META evaluates a validation set, without a label: a watching model learns what is kept but
    for a part held out by id, and goes on learning after every round; when the likelihood of the held-out
    images that are still kept does not rise by that, another round would not help.
    """

    def __init__(self, params: MetaIqr) -> None:
        super().__init__()
        self.params = params
        self.watching: Detector | None = None

    def start(self, model: Detector, images: Images) -> bool:
        self.fit(model, images, warm_start=False)
        learned, held = self._parts(images)
        if len(learned) >= 2 and len(held):
            self.watching = model.clone()
            self.fit(self.watching, learned, warm_start=False)
        return True

    def fit(self, model: Detector, images: Images, *, warm_start: bool) -> bool:
        model.meta_fit(images, self.params, warm_start=warm_start)
        return False

    def converged(self, kept: Images) -> str | None:
        learned, held = self._parts(kept)
        if self.watching is None or len(learned) < 2 or not len(held):
            return None
        before = self.watching.log_likelihood(held).mean()
        self.fit(self.watching, learned, warm_start=True)
        if self.watching.log_likelihood(held).mean() > before:
            return None
        return "converged: the likelihood of held-out images stopped rising"

    def _parts(self, images: Images) -> tuple[Images, Images]:
        """What the watching model learns and what it is measured on; by id, so no other image decides."""
        held = {
            image_id
            for image_id in images.ids
            if drawn(self.params.holdout, "meta holdout", self.params.seed, images.part(image_id))
        }
        return images.only(set(images.ids) - held), images.only(held)
