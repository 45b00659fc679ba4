"""What is taken for a rare but good variant: hidden defects, usual photos, mirrored ones.

    python -m benchmarks.places.variants --product tiles=mtd:../mtd commutators=mvtec:../ksdd \\
        screws=folder:../screw bottles=folder:../bottle pills=folder:../pill

100 training photos with a tenth and three tenths of hidden defects, and clean ones of which `MIRRORED` are
replaced by themselves, mirrored: parts that are all right and lie the other way. Where parts are symmetric
that changes nothing, and nothing stands out. Writes results/variants.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd
from PIL import Image, ImageOps

from adrefine.benchmark.prepared import WORK
from adrefine.errors import UserError
from adrefine.io import write_text
from adrefine.params import parse
from adrefine.places.embed import embed_places
from adrefine.places.evidence import gather
from adrefine.places.sharded import Store
from adrefine.places.store import Places, open_places
from adrefine.text import markdown
from benchmarks import common
from benchmarks.products.cases import case, prepare

LEVELS = (0.1, 0.3)
MIRRORED = 6
HEADS = ["product", "set", "photos", "stand out", "taken for a variant"]


def main() -> None:
    """Count on every product; write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--product", nargs="+", required=True, metavar="NAME=LAYOUT:FOLDER")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    args = parser.parse_args()
    rows = [row for given in args.product for row in of_product(given, args.seeds)]
    table = pd.DataFrame(rows, columns=HEADS).groupby(HEADS[:2], sort=False).sum().reset_index()
    told = f"Sums over {len(args.seeds)} seeds of 100 training photos; over 3 robust deviations stands out."
    lines = ["`python -m benchmarks.places.variants`", "", told, "", *markdown(HEADS, table.values.tolist())]
    write_text(common.RESULTS / "variants.md", "\n".join(lines))


def of_product(given: str, seeds: list[int]) -> Iterator[list[object]]:
    """Rows of HEADS of the product."""
    name, _, where = given.partition("=")
    layout, _, root = where.partition(":")
    table, store = prepare(layout, root)
    for seed in seeds:
        for level in LEVELS:
            try:
                one = case(name, table, store, 100, level, seed)
            except UserError:  # too few defects for this level
                continue
            marked, over = one.found.among(one.found.variants), one.found.strength > 3
            for kind, them in ((f"hidden at {level:g}", one.hidden), (f"good at {level:g}", ~one.hidden)):
                yield [name, kind, int(them.sum()), int((them & over).sum()), int((them & marked).sum())]
        yield [
            name,
            "mirrored",
            *of_mirrored(case(name, table, store, 100, 0.0, seed).found.ids, table, store, seed),
        ]


def of_mirrored(ids: tuple[str, ...], table: pd.DataFrame, store: Places, seed: int) -> list[int]:
    """How many photos are mirrored, stand out, and are taken for a variant."""
    chosen = np.random.default_rng(seed).choice(ids, MIRRORED, replace=False).tolist()
    folder = WORK / "mirrored" / f"{store.folder.parent.name}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    files = table.set_index("image_id")["path"]
    made = {name: folder / f"{name}.png" for name in chosen}
    for name, file in made.items():
        with Image.open(files[name]) as photo:
            ImageOps.mirror(photo).save(file)
    rows = pd.DataFrame({"image_id": chosen, "path": [str(file) for file in made.values()]})
    embed_places(rows, parse({}).embed, folder / "places", WORK / "places")
    gathered = gather(_Mirrored(store, open_places(folder / "places")), ids, seed=seed)
    them = np.isin(ids, chosen)
    return [
        MIRRORED,
        int((them & (gathered.strength > 3)).sum()),
        int((them & gathered.among(gathered.variants)).sum()),
    ]


class _Mirrored(Store):
    """A store in which some photos are mirrored; their twins are not."""

    def __init__(self, store: Places, mirrored: Places) -> None:
        self.store, self.mirrored = store, mirrored

    def maps(self, ids: Iterable[str]) -> np.ndarray:
        return self._read("maps", list(ids))

    def pooled(self, ids: Iterable[str]) -> np.ndarray:
        return self._read("pooled", list(ids))

    def has(self, ids: Iterable[str]) -> bool:
        return self.store.has(ids)

    def kinds(self, ids: Iterable[str]) -> list[str]:
        return self.store.kinds(ids)

    def _read(self, name: str, ids: list[str]) -> np.ndarray:
        rows = np.array(self.store.read(name, ids))
        for row, image_id in enumerate(ids):
            if self.mirrored.has([image_id]):
                rows[row] = self.mirrored.read(name, [image_id])[0]
        return rows


if __name__ == "__main__":
    main()
