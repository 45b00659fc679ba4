"""How many test photos of tiles show a part that also trained, where photos were split one by one.

    python -m benchmarks.parts --data ../data

The magnetic tiles (mtd) as DifferNet split them; shots of one part are found as `dataset.parts: find` does.
Beside the shares stands what `padim` reaches on that split and with all shots of a part on one side, from
results/mixed.csv (`python -m benchmarks.mixed`). Writes results/parts.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from adrefine import manifest
from adrefine.io import write_text
from adrefine.text import markdown
from benchmarks.common import RESULTS
from benchmarks.mixed import TILES, by_part
from benchmarks.products import cases

SPLITS = ("tiles, DifferNet's split", TILES)


def main() -> None:
    """Print and write the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../data"))
    table, _ = cases.prepare("mtd", str(parser.parse_args().data / "mtd"))
    text = report(table, pd.read_csv(RESULTS / "mixed.csv"))
    write_text(RESULTS / "parts.md", text)
    print(text)


def shared(table: pd.DataFrame) -> dict[str, float]:
    """Share of the good and of the defective test photos with another shot of their part in training."""
    found = by_part(table).set_index("image_id")["part"]
    parts = table["image_id"].map(found)
    trained = set(parts[table["split"].isin(["train", "val"])]) - {""}
    test = table["split"] == "test"
    return {
        kind: float(parts[test & (table["label"] == label)].isin(trained).mean())
        for kind, label in (("good", manifest.GOOD), ("defective", manifest.DEFECT))
    }


def report(table: pd.DataFrame, runs: pd.DataFrame) -> str:
    """Both tables in Markdown."""
    shares = [[kind, f"{share:.0%}"] for kind, share in shared(table).items()]
    plain = runs[(runs["model"] == "padim") & runs["data"].isin(SPLITS) & (runs["table"] == "A")]
    figures = plain.groupby("data")["auroc"].agg(["mean", "std"])
    rows = [
        [name, f"{figures.loc[name, 'mean']:.3f} ± {figures.loc[name, 'std']:.3f}"]
        for name in SPLITS
        if name in figures.index
    ]
    lines = ["`python -m benchmarks.parts --data ../data`", ""]
    lines += markdown(["test photos", "another shot of the part trained"], shares)
    lines += markdown(["split", "padim, image AUROC"], rows)
    return "\n".join(lines)


if __name__ == "__main__":
    main()
