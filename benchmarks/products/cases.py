"""Contaminated training sets of a product: their evidence, and what removing photos does to detection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from adrefine import manifest
from adrefine.benchmark.measure import inject
from adrefine.benchmark.prepared import WORK
from adrefine.defects.pipeline import make_all, sources
from adrefine.errors import UserError
from adrefine.ingestion.pipeline import ingest
from adrefine.io import write_csv
from adrefine.metrics.detection import auroc
from adrefine.params import Params, parse
from adrefine.paths import MANIFEST
from adrefine.places import evidence, models, voters
from adrefine.places.embed import embed_places
from adrefine.places.evidence import Evidence
from adrefine.places.store import Places, open_places
from adrefine.places.sums import Sums, photo_scores
from adrefine.runtime import progress

Array = np.ndarray
TWINS = "twins.csv"  # the synthetic defects of the photos, written last


@dataclass
class Case:
    """One training set; `hidden` (n,) tells its defects, to measure with alone."""

    product: str
    photos: str
    level: float
    seed: int
    found: Evidence
    hidden: Array
    test: pd.DataFrame
    store: Places
    _known: dict[bytes, float] = field(default_factory=dict)

    def ordered(self) -> Array:
        """Places (n,) of the photos, the strongest first."""
        return np.argsort(-self.found.strength, kind="stable")

    def without(self, out: Array) -> float:
        """Test AUROC of places and pooled vectors together, as the voters weigh, without the photos `out`."""
        kept = np.setdiff1d(np.arange(len(self.hidden)), out)
        key = kept.tobytes()
        if key not in self._known:
            self._known[key] = self._auroc([self.found.ids[place] for place in kept])
        return self._known[key]

    def weighted(self, weights: Array) -> float:
        """As `without`, of all photos by their weights (n,)."""
        return self._auroc(list(self.found.ids), weights)

    def _auroc(self, ids: list[str], weights: Array | None = None) -> float:
        test = list(self.test["image_id"])
        maps = Sums.of(self.store.maps(ids), weights).model(models.PLACES_SHRINKAGE)
        whole = Sums.of(self.store.pooled(ids)[:, None], weights).model(models.POOLED_SHRINKAGE)
        scores = (
            photo_scores(maps.distances(self.store.maps(test)), voters.TOP),
            np.log(whole.distances(self.store.pooled(test)[:, None])[:, 0]),
        )
        both = self.found.voters[:2]
        return auroc(self.test["label"], voters.together(both, voters.earned(both), scores))


def prepare(layout: str, root: str) -> tuple[pd.DataFrame, Places]:
    """Manifest of the dataset at `root`, and maps of its photos and their twins; quick the second time."""
    params = parse({"dataset": {"name": layout, "root": root}})
    work = WORK / f"places-{layout}-{Path(root).name}"
    if not (work / TWINS).exists():
        ingest(params.dataset, work / "ingested")
        table = manifest.read(work / "ingested" / MANIFEST)
        made = make_all(sources(table), work / "synthetic", params.synthesize)
        images = pd.concat([table, made])[["image_id", "path", "kind"]]
        embed_places(images, params.embed, work / "places", WORK / "places")
        write_csv(work / TWINS, made)
    return manifest.read(work / "ingested" / MANIFEST), open_places(work / "places")


def of_product(
    given: str, photos: Sequence[int | None], levels: Sequence[float], seeds: Sequence[int]
) -> Iterator[Case]:
    """The training sets of one product that can be made.

    Args:
        given: NAME=LAYOUT:FOLDER. photos: numbers of training photos, None: all there are.
    """
    name, _, where = given.partition("=")
    layout, _, root = where.partition(":")
    table, store = prepare(layout, root)
    for count, level, seed in progress.over(list(product(photos, levels, seeds)), label=name, unit="set"):
        try:
            one = case(name, table, store, count, level, seed)
        except UserError:  # too few defects for this level
            continue
        yield one


def case(
    product: str, table: pd.DataFrame, store: Places, photos: int | None, level: float, seed: int
) -> Case:
    """What noise injection makes of the dataset: `photos` training photos (None: all), no overlap."""
    params: Params = parse({"noise": {"level": level, "n_train": photos, "seed": seed}})
    noisy, ids, clean = inject(table, params)
    gathered = evidence.gather(store, ids, seed=seed)
    hidden = np.array([image_id not in clean for image_id in ids])
    name = "all" if photos is None else str(photos)
    return Case(product, name, level, seed, gathered, hidden, noisy[noisy["in_test"] == 1], store)
