"""Labels of photos that train, are held out or tested reach neither the detector nor a strategy."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from adrefine import manifest
from adrefine.detectors import initial
from adrefine.detectors.base import Images
from adrefine.params import parse
from adrefine.strategies import refinement
from detectors.mixed import drawn

SPLITS = {"train": [*(f"g{n:02d}" for n in range(40)), "r00", "r01", "r02"], "val": ["g40", "g41", "g42"]}
SPLITS |= {"test": ["g50", "g51", "r30", "r31"], "pool": [f"r{n:02d}" for n in range(10, 16)]}
HIDDEN = ("r00", "r01", "r02")
TOLD = st.tuples(st.sampled_from([-1, 0, 1]), st.sampled_from(["", "area"]), st.sampled_from(["", "m.png"]))


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Images:
    return drawn.write(tmp_path_factory.mktemp("prepared"))


def noisy() -> pd.DataFrame:
    """Photos that train, three of them hidden defects, held-out and tested ones, and six known defects."""
    rows = [(name, split) for split, names in SPLITS.items() for name in names]
    table = pd.DataFrame(rows, columns=["image_id", "split"])
    defect = table["image_id"].str.startswith("r").astype(int)
    table = table.assign(path=table["image_id"], label=defect, defect_type="", mask_path="", mask_area=0.0)
    table = table.assign(
        source=table["image_id"], part="", injected=table["image_id"].isin(HIDDEN).astype(int)
    )
    return table.assign(in_test=(table["split"] == "test").astype(int))


def refined(table: pd.DataFrame, everything: Images, folder: Path, strategy: str) -> pd.DataFrame:
    """What is decided about every training photo, from the noisy manifest on."""
    params = parse({"detector": "mixed", "mixed": {"recycle": "removed"}, "refine": {"strategy": strategy}})
    initial.train(params, table, everything.prepared, folder / "initial", folder / "oracle")
    found = refinement.run(params, manifest.unlabelled(table), everything.prepared, folder / "initial")
    scores = found.model.score(everything.only(SPLITS["test"])).image
    return found.outcome.images.assign(last=float(scores.sum()))


@pytest.mark.parametrize("strategy", ["vanilla", "osr", "irp", "mad", "meta_iqr", "consensus"])
def test_labels_change_nothing(
    strategy: str, everything: Images, tmp_path_factory: pytest.TempPathFactory
) -> None:
    honest = refined(noisy(), everything, tmp_path_factory.mktemp("honest"), strategy)

    @settings(max_examples=5, deadline=None, phases=[Phase.generate])  # shrinking would train for minutes
    @given(st.lists(TOLD, min_size=50, max_size=50))
    def changed(told: list[tuple[int, str, str]]) -> None:
        table = noisy()
        other = (table["split"] != "pool").to_numpy()
        for name, values in zip(("label", "defect_type", "mask_path"), zip(*told, strict=True), strict=True):
            table.loc[other, name] = list(values)
        lied = refined(table, everything, tmp_path_factory.mktemp("lied"), strategy)
        pd.testing.assert_frame_equal(lied, honest)

    changed()


def test_the_known_ones_do_teach(everything: Images, tmp_path: Path) -> None:
    """So the test above looks at a detector that learns from labels where it may."""
    none = noisy().assign(label=0)
    one, other = (refined(t, everything, tmp_path / str(n), "vanilla") for n, t in enumerate((noisy(), none)))
    assert (one["last"] != other["last"]).all()
