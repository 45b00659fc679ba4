"""What the page shows of one photo, and why."""

from __future__ import annotations

from typing import Any

import numpy as np

from adrefine import paths
from adrefine.ingestion.affine import Affine
from adrefine.io import read_csv
from adrefine.places import votes
from adrefine.places.out_of_fold import Flags
from adrefine.places.store import open_places
from adrefine.review_page import listing
from adrefine.review_page.listing import Now, Photos
from adrefine.review_page.similar import Similar
from adrefine.reviewing.project import Review
from adrefine.reviewing.session import Asked

ALIKE = 4  # similar photos beside one
NEAR = 0.3  # robust deviations: so close to the limit the rule is hardly surer of one side than of the other
_LOUDEST = {
    "places": "one place differs from that place of other photos",
    "pooled": "it is unusual as a whole",
    "families": "one place differs from that place of photos of other families",
    "own": "one place differs from that place of other photos, although its model has learned it",
    "discriminator": "it resembles photos with a synthetic defect",
}


class Cards:
    """Of the photos of a review."""

    def __init__(self, review: Review, photos: Photos) -> None:
        self.review, self.photos = review, photos
        evidence = review.session.photos.evidence
        self.trained = len(evidence.ids)
        self.similar = Similar(open_places(paths.PREPARED / paths.PLACES), evidence.ids)
        self.ways = _transforms()
        sizes = review.noisy[["width", "height"]].to_numpy(float)
        self.sizes = dict(zip(review.noisy["image_id"], sizes.tolist(), strict=True))

    def of_training(self, asked: Asked, now: Now) -> dict[str, Any]:
        """All that is shown of a training photo."""
        row = self.photos.rows[asked.image_id]
        told = self.review.session.photos.votes(row)
        alike = [self.photos.ids[place] for place in self.similar.to(row, self._normal(), ALIKE)]
        return {
            **listing.cell(self.photos, now, row),
            "asked": asked.asked,
            "why": self._why(asked, row, told.loudest()),
            "votes": _table(told),
            "alike": [{"id": name, "name": self.photos.names[self.photos.rows[name]]} for name in alike],
            "map": True,
            "spot": self._spot(asked.image_id, row),
        }

    def _normal(self) -> Flags:
        """The calmer half (n,) of the photos that stay; just under the limit defects still hide."""
        photos = self.review.session.photos
        stay = (photos.strength <= self.review.limit) & photos.good & (self.photos.kept[: self.trained] != 0)
        return stay & (photos.strength <= np.median(photos.strength[stay])) if stay.any() else stay

    def of_held_out(self, row: int, now: Now) -> dict[str, Any]:
        """All that is shown of a held-out photo."""
        cell = listing.cell(self.photos, now, row)
        told = votes.of_held_out(self.review.session.photos.evidence, row - self.trained)
        why = [
            f"Score {now.strength[row]:.1f}, limit {self.review.limit:.1f}.",
            f"Oddest at row {told.row}, column {told.column}.",
            "Held-out photo: it helps to set the alarm threshold, unless you say that it is defective.",
        ]
        said = {"why": why, "votes": _table(told)}
        return {**cell, **said, "asked": "", "alike": [], "map": False, "spot": None}

    def _spot(self, image_id: str, row: int) -> list[float] | None:
        """Where the photo is oddest: shares of its own width and height; None where that is not known."""
        photos, way = self.review.session.photos, self.ways.get(image_id)
        side, size = round(len(photos.map(row)) ** 0.5), self.review.settings.dataset.image_size
        if way is None:
            return None
        at_row, column = photos.cell(row)
        (x, y), *_ = way.apply([((column + 0.5) / side * size, (at_row + 0.5) / side * size)])
        width, height = self.sizes[image_id]
        return [round(float(x) / width, 4), round(float(y) / height, 4)]

    def _why(self, asked: Asked, row: int, loudest: str) -> list[str]:
        """Why a photo is shown, a sentence each; `loudest` is the voter that says most against it."""
        facts = self.review.facts(asked)
        lines = [f"{facts['why'][0].upper()}{facts['why'][1:]}."] if facts["why"] else []
        over = asked.strength - self.review.limit
        side, near = "over" if over > 0 else "under", ", and close to it" if abs(over) < NEAR else ""
        lines.append(f"Score {asked.strength:.1f}, {side} the limit {self.review.limit:.1f}{near}.")
        if self.review.session.telling:
            lines.append(f"{asked.chance:.0%} likely to be defective, judging by your answers so far.")
        lines.append(f"{facts['reason'].capitalize()}; {_LOUDEST[loudest]}.")
        if self.photos.kept[row] == 0:
            lines.append("The last run left it out.")
        return lines


def _table(told: votes.Votes) -> list[list[str]]:
    """What each voter says; the first row has the heads."""
    return [told.heads(), *told.rows()]


def _transforms() -> dict[str, Affine]:
    """By photo, the way from its working image to its own pixels (data/ingested/transforms.csv)."""
    file = paths.INGESTED / "transforms.csv"
    if not file.exists():
        return {}
    table = read_csv(file, ("image_id", *Affine._fields), dtype={"image_id": str})
    rows = table[list(Affine._fields)].to_numpy(float)
    return {name: Affine(*row) for name, row in zip(table["image_id"], rows.tolist(), strict=True)}
