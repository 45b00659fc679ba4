"""A review as it goes: what to look at next, what the answers tell, and when it is enough.

Most photos come from the top of the ranking, where defects are found. Some are drawn at random over all of
it, with known probabilities, so that there is an estimate of what hides that rests on no model (Des Raj,
"Some estimators in sampling with varying probabilities without replacement", JASA 51, 1956, eq. 2.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil, floor

import numpy as np

from adrefine.review import KEEP, REMOVE, UNSURE, Answer
from adrefine.reviewing.belief import Belief, Hidden
from adrefine.reviewing.ranking import Ranking
from adrefine.runtime.seeds import derived_seed
from adrefine.strategies import share

EVERY = 10  # of so many photos one is drawn; what that costs and tells: benchmarks/results/review.md
EVENLY = 0.2  # share of the draw that is the same for every photo; the rest favours suspicious ones
DOUBTFUL = 0.3  # chance that an answer is wrong from which the photo is shown again
TWINS = 0.6  # how alike two photos are odd (`Alike`) from which one answer cannot be right for both
SETTLED = 0.02  # of the photos: hardly more hide, by the upper bound, when it is enough
AGAIN = "again"  # in the column `asked` of data/review.csv: it was shown a second time


@dataclass(frozen=True)
class Asked:
    """A photo to look at.

    Attributes:
        strength: how far it stands out, in robust deviations. chance: that it is defective.
        drawn: probability with which it was drawn; None: it comes next in the ranking.
        again: it was answered, and the other answers speak against that answer.
    """

    image_id: str
    strength: float
    chance: float
    drawn: float | None = None
    again: bool = False

    @property
    def asked(self) -> str:
        """What data/review.csv keeps of it."""
        drawn = "" if self.drawn is None else f"{self.drawn:.6g}"
        return f"{drawn} {AGAIN if self.again else ''}".strip()


@dataclass(frozen=True)
class Estimate:
    """What hides, in photos.

    Attributes:
        photos, answered, found: training photos, those with an answer, confirmed defects.
        hidden: among the others, by `Belief`; before there are answers enough for that, as many as the photos
            alone tell (`share.estimate_share`), None where they cannot. after: that, had `more` others been
            answered; None before there are answers enough.
        unbiased: all defects, found ones too, by the drawn photos alone; None without any.
    """

    photos: int
    answered: int
    found: int
    hidden: Hidden | None
    more: int
    after: Hidden | None
    unbiased: float | None


class Session:
    """What a person has answered so far, and what to ask next.

    Args:
        photos: the training photos' ranking, which follows the answers.
        answers: those given before, in their order; a photo that is not ranked does not matter.
        seed: decides the draws, with how many answers there are.
    """

    def __init__(self, photos: Ranking, answers: Mapping[str, Answer] | None = None, seed: int = 0) -> None:
        self.photos, self.seed = photos, seed
        self.place = {image_id: place for place, image_id in enumerate(photos.evidence.ids)}
        self.answers: dict[str, Answer] = {}
        self.before: list[tuple[str, Answer | None]] = []
        self._belief: Belief | None = None  # until the next answer
        self._told: tuple[Belief, Estimate] | None = None  # of that belief
        self.twins: dict[str, set[str]] = {}  # of cleared photos, the confirmed ones that are odd alike
        for image_id, answer in (answers or {}).items():
            if image_id in self.place:
                self._take(image_id, answer)

    def next(self, count: int = 1) -> list[Asked]:
        """The photos to look at next, at most `count`."""
        belief = self.belief()
        asked = self._again(belief)[:count]
        free = np.array([image_id not in self.answers for image_id in self.place])
        if not free.any() and not asked:  # what nobody was sure of
            free = np.array([self.answers[image_id].verdict == UNSURE for image_id in self.place])
        while len(asked) < count and free.any():
            drawn = self._draw(belief, free, len(self.answers) + len(asked))
            place, chance = drawn or (self._first(free), None)
            free[place] = False
            asked.append(self._asked(belief, place, chance))
        return asked

    def answer(self, asked: Asked, verdict: str, note: str = "") -> None:
        """Take an answer (keep, remove, unsure) on a photo, also one on which there was another answer."""
        answer = self.worded(asked, verdict, note)
        self.before.append((asked.image_id, self.answers.get(asked.image_id)))
        self._take(asked.image_id, answer)

    def worded(self, asked: Asked, verdict: str, note: str = "") -> Answer:
        """The answer as data/review.csv has it; taken by nobody yet."""
        before = self.answers.get(asked.image_id)
        how = " ".join(word for word in (self._how(asked.image_id), asked.asked) if word)
        return Answer(verdict, note or (before.note if before else ""), asked=how)

    def follow(self, answers: Mapping[str, Answer]) -> list[str]:
        """Have the answers of the file instead, in its order; the photos whose answer that changed."""
        changed = self.note(answers)
        for place in self.behind():
            self.photos.turn(place)
        self._belief = None
        return changed

    def note(self, answers: Mapping[str, Answer]) -> list[str]:
        """As `follow`, but the ranking is left `behind`, for another thread to bring up."""
        there = {name: one for name, one in answers.items() if name in self.place}
        changed = [name for name in self.answers | there if not same(self.answers.get(name), there.get(name))]
        self.answers, self._belief = there, None
        for name in changed:
            self._compare(name)
        return changed

    def behind(self) -> list[int]:
        """Places of the photos that the ranking does not yet take for what their answers say."""
        return [int(place) for place in np.flatnonzero(self.photos.good == self._are(REMOVE))]

    def ranked(self) -> None:
        """The ranking has changed: what it tells is to be reckoned anew."""
        self._belief = None

    def undo(self) -> str | None:
        """Take back the last answer of this session; its photo, None if there is none."""
        if not self.before:
            return None
        image_id, before = self.before.pop()
        self._take(image_id, before)
        return image_id

    def belief(self) -> Belief:
        """What the answers tell of each photo."""
        if self._belief is None:
            apart = self.photos.evidence.among(self.photos.evidence.variants)
            self._belief = Belief(self.photos.strength, self._are(REMOVE), self._are(KEEP), apart)
        return self._belief

    @property
    def telling(self) -> bool:
        """Whether there are answers enough to tell of the other photos."""
        return share.enough(self.belief())

    def estimate(self, more: int = 10) -> Estimate:
        """What still hides, and what `more` answers would make of it."""
        belief = self.belief()
        if self._told is None or self._told[0] is not belief or self._told[1].more != more:
            self._told = (belief, self._estimated(belief, more))
        return self._told[1]

    def _estimated(self, belief: Belief, more: int) -> Estimate:
        removed = int(self._are(REMOVE).sum())
        hidden = belief.hidden() if self.telling else self._by_the_photos(removed)
        after = belief.after(more) if self.telling else None
        drawn = unbiased(self.answers)
        return Estimate(len(self.place), len(self.answers), removed, hidden, more, after, drawn)

    def enough(self, more: int = 10) -> str | None:
        """Why it is not worth going on; None while it is."""
        if len(self.answers) == len(self.place):
            return "every photo has an answer"
        told = self.estimate(more)
        if told.after is None or told.hidden is None or told.answered < more:
            return None
        few = told.hidden.high <= max(1, SETTLED * told.photos)
        return f"at most {told.hidden.high} hidden defects remain" if few else None

    def _first(self, free: np.ndarray) -> int:
        """The photo that comes next by the ranking; what may be a variant comes before all others."""
        evidence = self.photos.evidence
        variant = evidence.among(evidence.variants)
        among = free & variant if (free & variant).any() else free
        return int(np.argmax(np.where(among, self.photos.strength, -np.inf)))

    def _by_the_photos(self, removed: int) -> Hidden | None:
        """What hides beside `removed` defects as far as the photos alone tell, None where they cannot."""
        told, n = share.estimate_share(self.photos.evidence), len(self.place)
        if told is None:
            return None
        expected, low, high = (max(part * n - removed, 0.0) for part in (told.estimate, told.low, told.high))
        return Hidden(expected, floor(low), ceil(high))

    def _take(self, image_id: str, answer: Answer | None) -> None:
        self._belief = None
        if answer is None:
            self.answers.pop(image_id, None)
        else:
            self.answers[image_id] = answer
        if answer is not None and answer.verdict == REMOVE:
            self.photos.confirm(self.place[image_id])
        else:
            self.photos.restore(self.place[image_id])
        self._compare(image_id)

    def _compare(self, image_id: str) -> None:
        """Note which answers contradict the one on this photo: of two that are odd alike one is cleared."""
        self.twins.pop(image_id, None)
        for odd in self.twins.values():
            odd.discard(image_id)
        verdict = self.answers[image_id].verdict if image_id in self.answers else UNSURE
        other = {KEEP: REMOVE, REMOVE: KEEP}.get(verdict)
        names = [name for name, one in self.answers.items() if one.verdict == other]
        alike = self.photos.alike(self.place[image_id], [self.place[name] for name in names])
        for name in (one for one, like in zip(names, alike, strict=True) if like > TWINS):
            cleared, confirmed = (image_id, name) if verdict == KEEP else (name, image_id)
            self.twins.setdefault(cleared, set()).add(confirmed)

    def _are(self, verdict: str) -> np.ndarray:
        """(n,) bool: photos with this answer."""
        flags = np.zeros(len(self.place), bool)
        flags[[self.place[name] for name, one in self.answers.items() if one.verdict == verdict]] = True
        return flags

    def _again(self, belief: Belief) -> list[Asked]:
        """Photos whose answer the others speak against, the most doubtful first, each once."""
        slips = belief.slips()
        for name, odd in self.twins.items():
            if odd:
                slips[self.place[name]] = max(slips[self.place[name]], 0.5)  # one of the two is wrong
        open_ = [place for name, place in self.place.items() if AGAIN not in self._how(name)]
        doubtful = sorted((p for p in open_ if slips[p] > DOUBTFUL), key=lambda place: -slips[place])
        return [replace(self._asked(belief, place, None), again=True) for place in doubtful]

    def _how(self, image_id: str) -> str:
        answer = self.answers.get(image_id)
        return answer.asked if answer else ""

    def _draw(self, belief: Belief, free: np.ndarray, number: int) -> tuple[int, float] | None:
        """The photo that is answer `number`, and its probability, if that one is to be drawn."""
        if number % EVERY < EVERY - 1:
            return None
        favour = np.where(free, np.sqrt(belief.fitted), 0.0)
        chance = EVENLY * free / free.sum() + (1 - EVENLY) * favour / favour.sum()
        rng = np.random.default_rng(derived_seed("drawn to review", self.seed, number))
        place = int(rng.choice(len(chance), p=chance / chance.sum()))
        return place, float(chance[place])

    def _asked(self, belief: Belief, place: int, drawn: float | None) -> Asked:
        name = self.photos.evidence.ids[place]
        return Asked(name, float(self.photos.strength[place]), float(belief.fitted[place]), drawn)


def same(one: Answer | None, other: Answer | None) -> bool:
    """Whether two answers say the same, wherever they stand in the file."""
    if one is None or other is None:
        return one is other
    return replace(one, line=0) == replace(other, line=0)


def unbiased(answers: Mapping[str, Answer]) -> float | None:
    """All defects, by the drawn photos alone: for each, the defects found before it and its own part (1 / its
    probability if it is one), their mean; None without a drawn photo.

    Args:
        answers: in the order in which they were given.
    """
    defects, parts = 0, []
    for answer in answers.values():
        defect = answer.verdict == REMOVE
        if (drawn := answer.drawn()) is not None:
            parts.append(defects + defect / drawn)
        defects += defect
    return float(np.mean(parts)) if parts else None
