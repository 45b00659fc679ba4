"""Which real defects teach: nested, by group, and none that is tested, hidden or held out."""

from __future__ import annotations

from itertools import pairwise
from math import floor

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adrefine import manifest, noise
from adrefine.detectors.mixed.known import available, chosen
from adrefine.detectors.mixed.settings import Settings
from adrefine.params import Noise

ROW = st.tuples(
    st.sampled_from(["train", "val", "test", "pool"]),
    st.sampled_from([0, 1, -1]),
    st.sampled_from(["", "p", "q", "r", "s"]),
    st.sampled_from(["points", "area"]),
)


def table(rows: list[tuple[str, int, str, str]]) -> pd.DataFrame:
    made = pd.DataFrame(rows, columns=["split", "label", "part", "defect_type"])
    return made.assign(image_id=[f"im{place:03d}" for place in range(len(rows))])


def noisy(rows: list[tuple[str, int, str, str]], level: float, mode: str) -> pd.DataFrame:
    """What noise injection makes of the rows; it needs 20 good training photos and eight defects."""
    plenty = [("train", 0, "", "")] * 20 + [("pool", 1, "", "area")] * 8 + [("test", 1, "", "area")] * 4
    return noise.inject(table([*plenty, *rows]), Noise(level=level, n_train=20, mode=mode))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(ROW, max_size=25),
    st.sampled_from([0.0, 0.1, 0.3]),
    st.sampled_from(["no_overlap", "overlap"]),
    st.sampled_from([0.0, 0.5, 1.0]),
)
def test_no_photo_that_is_tested_hidden_or_held_out_teaches_nor_another_shot_of_its_part(
    rows: list[tuple[str, int, str, str]], level: float, mode: str, fraction: float
) -> None:
    made = noisy(rows, level, mode)
    known = set(Settings(fraction=fraction).known(made))
    names = dict(zip(made["image_id"], manifest.parts(made), strict=True))
    barred = (made["in_test"] == 1) | (made["injected"] == 1) | made["split"].isin(["train", "val", "test"])
    assert not {names[i] for i in known} & set(manifest.parts(made)[barred])
    assert (made.set_index("image_id").loc[sorted(known), "label"] == 1).all()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 40), st.integers(0, 5))
def test_fractions_are_nested_and_round_down(count: int, seed: int) -> None:
    made = table([("pool", 1, "", "area")] * count).assign(injected=0, in_test=0)
    shares = [0, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1]
    sets = [chosen(made, share, (), seed) for share in shares]
    assert [len(ids) for ids in sets] == [floor(share * count) for share in shares]
    assert all(set(one) <= set(other) for one, other in pairwise(sets))


def test_groups_are_types_of_defect_and_the_seed_decides_the_order() -> None:
    made = table([("pool", 1, "", kind) for kind in ["points"] * 20 + ["area"] * 20])
    made = made.assign(injected=0, in_test=0)
    assert len(available(made, ("area",))) == 20
    assert set(made.set_index("image_id").loc[list(chosen(made, 0.5, ("points",), 0)), "defect_type"]) == {
        "points"
    }
    assert chosen(made, 0.5, (), 0) != chosen(made, 0.5, (), 1)
    assert Settings(groups=("area",), fraction=0.25).supervision(made) == {"available": 40, "used": 5}


@pytest.mark.parametrize("detector", ["padim", "differnet", "efficientad"])
def test_other_detectors_know_no_defect(detector: str) -> None:
    from adrefine.params import parse

    made = table([("pool", 1, "", "area")]).assign(injected=0, in_test=0)
    section = parse({"detector": detector}).chosen_detector
    assert (section.known(made), section.supervision(made)) == ((), {})
    assert (section.confirmed_teach, section.removed_teach) == (False, 0.0)
