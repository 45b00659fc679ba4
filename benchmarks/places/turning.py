"""Round parts have no axis to turn by: does the angle that agrees best with the mean map help?

    python -m benchmarks.places.turning --product parts=demo: bottles=folder:../bottle

Each photo is turned in steps of 15 degrees and keeps the angle whose map of places has the highest cosine
with the mean map of the training photos, which is made anew from what was turned, three times. Then `padim`'s
Gaussians of places judge the other photos: as they lie and turned. `turned at random first`: every photo,
with its light, by a random angle. 160 good photos and 60 defects of a product, of which 100 and 20 good ones
train, mean of five draws. Writes results/turning.md.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from adrefine import manifest
from adrefine.ingestion.pipeline import ingest
from adrefine.io import write_text
from adrefine.metrics.detection import auroc
from adrefine.params import Params, parse
from adrefine.places.embed import embed_places
from adrefine.places.models import PLACES_SHRINKAGE
from adrefine.places.store import open_places
from adrefine.places.sums import Sums, photo_scores
from adrefine.places.voters import TOP
from adrefine.text import markdown
from benchmarks import common

ANGLES = 24
GOOD, BAD = 160, 60  # photos
PASSES = 3
TRAINED = (100, 20)
DRAWS = 5
Maps = npt.NDArray[np.floating]
HEADS = ["product", "training photos", "as they lie", "turned", "photos turned by 30 degrees or more"]


def main() -> None:
    """Measure on every product; write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--product", nargs="+", required=True, metavar="NAME=LAYOUT:FOLDER")
    args = parser.parse_args()
    rows = [row for given in args.product for row in of_product(given)]
    told = f"Image AUROC, mean and deviation of {DRAWS} draws of the training photos."
    lines = ["`python -m benchmarks.places.turning`", "", told, "", *markdown(HEADS, rows), ""]
    write_text(common.RESULTS / "turning.md", "\n".join(lines))
    print("\n".join(lines))


def of_product(given: str) -> Iterator[list[str]]:
    """Rows of HEADS of the product, as it lies and turned at random first."""
    name, _, where = given.partition("=")
    layout, _, root = where.partition(":")
    rooted = {"root": root} if root else {}
    params = parse({"dataset": {"name": layout, **rooted}})
    with tempfile.TemporaryDirectory() as scratch:
        ingest(params.dataset, Path(scratch))
        table = some_of(manifest.read(Path(scratch) / "manifest.csv"))
        steps = all_turns(table, params, Path(scratch))
    bad = (table["label"] == manifest.DEFECT).to_numpy()
    for title, first in (("", 1), (", turned at random first", ANGLES)):
        offsets = np.random.default_rng(0).integers(0, first, len(steps))
        lying = np.stack([np.roll(one, -offset, axis=0) for one, offset in zip(steps, offsets, strict=True)])
        for trained in TRAINED:
            yield [name + title, str(trained), *compare(lying, bad, trained)]


def some_of(table: pd.DataFrame) -> pd.DataFrame:
    """GOOD good photos and BAD defects, or all there are."""
    mixed = table.sample(frac=1, random_state=0)
    kinds = ((manifest.GOOD, GOOD), (manifest.DEFECT, BAD))
    return pd.concat([mixed[mixed["label"] == label].head(most) for label, most in kinds])


def all_turns(table: pd.DataFrame, params: Params, scratch: Path) -> Maps:
    """(n, ANGLES, places, channels): maps of every photo at every angle."""
    (scratch / "turned").mkdir()
    rows = []
    for image_id, path in zip(table["image_id"], table["path"], strict=True):
        with Image.open(path) as image:
            picture = image.convert("RGB")
        border = np.asarray(picture)[[0, -1]].reshape(-1, 3)
        fill = tuple(int(value) for value in np.median(border, axis=0))
        for step in range(ANGLES):
            target = scratch / "turned" / f"{image_id}-{step}.png"
            turned = picture.rotate(-360 / ANGLES * step, Image.Resampling.BILINEAR, fillcolor=fill)
            turned.save(target, compress_level=1)
            rows.append((f"{image_id}-{step}", str(target)))
    images = pd.DataFrame(rows, columns=["image_id", "path"])
    embed_places(images, params.embed, scratch / "places", scratch / "cache")
    maps = open_places(scratch / "places").maps(images["image_id"])
    return maps.reshape(len(table), ANGLES, *maps.shape[1:])


def compare(lying: Maps, bad: npt.NDArray[np.bool_], trained: int) -> list[str]:
    """AUROC as they lie, AUROC after turning, share of photos that are turned far."""
    before: list[float] = []
    after: list[float] = []
    far = []
    good = np.flatnonzero(~bad)
    for draw in range(DRAWS):
        train = np.random.default_rng(draw).permutation(good)[:trained]
        tested = np.setdiff1d(np.arange(len(bad)), train)
        steps = agreeing(lying, train)
        turned = lying[np.arange(len(lying)), steps]
        far.append(float((np.minimum(steps, ANGLES - steps) * 360 / ANGLES >= 30).mean()))
        for maps, told in ((lying[:, 0], before), (turned, after)):
            distances = Sums.of(maps[train]).model(PLACES_SHRINKAGE).distances(maps[tested])
            told.append(auroc(bad[tested].astype(int), photo_scores(distances, TOP)))
    shown = [f"{np.mean(told):.3f} ± {np.std(told):.3f}" for told in (before, after)]
    return [*shown, f"{np.mean(far):.0%}"]


def agreeing(lying: Maps, train: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """(n,): the step of every photo whose map agrees best with the mean of the training photos' maps."""
    steps = np.zeros(len(lying), dtype=np.int64)
    for _ in range(PASSES):
        mean = lying[train, steps[train]].astype(np.float32).mean(axis=0)
        centre = mean.mean(axis=0)  # what all places share says nothing about the angle
        mean = unit(mean - centre)
        agreed = [[float((unit(turn - centre) * mean).sum()) for turn in photo] for photo in lying]
        steps = np.argmax(agreed, axis=1)
    return steps


def unit(vectors: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """(p, d) of length 1 each."""
    wide = vectors.astype(np.float32)
    return wide / np.maximum(np.linalg.norm(wide, axis=-1, keepdims=True), 1e-12)


if __name__ == "__main__":
    main()
