"""Hidden defects: exact rate, nested sets, a test set that never changes, and clear refusals."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adrefine import manifest, noise, params
from adrefine.errors import UserError
from adrefine.io import read_json
from adrefine.params import Noise
from adrefine.stages import inject_noise

quick = settings(max_examples=25, deadline=None)
MODES, SEEDS = st.sampled_from(["overlap", "no_overlap"]), st.integers(0, 9)
LEVELS = st.floats(0, 0.5).map(lambda value: round(value, 3))


def make(goods=40, test_defects=60, pool_defects=0, label=0, types=("pit", "scratch", "stain")):
    parts = [
        ("train", label, goods),
        ("val", label, 6),
        ("test", 0 if label == 0 else -1, 9),
        ("test", 1, test_defects),
        ("pool", 1, pool_defects),
        ("pool", label, 3),
    ]
    rows = [
        (f"{split}{kind}{i:03d}", split, kind, types[i % len(types)] if kind == 1 else "")
        for split, kind, count in parts
        for i in range(count)
    ]
    table = pd.DataFrame(rows, columns=["image_id", "split", "label", "defect_type"])
    return table.assign(
        path="images/" + table["image_id"],
        mask_path="",
        width=8,
        height=8,
        mask_area=0.0,
        scale="0..255",
        part="",
        source=table["image_id"],
    )[list(manifest.COLUMNS)]


def ids(table: pd.DataFrame, **values) -> set[str]:
    for name, value in values.items():
        table = table[table[name] == value]
    return set(table["image_id"])


@quick
@given(level=LEVELS, n=st.integers(1, 40), mode=MODES, seed=SEEDS)
def test_rate_is_exact_and_every_row_is_kept(level, n, mode, seed):
    source = make()
    table = noise.inject(source, Noise(level=level, n_train=n, mode=mode, seed=seed))
    train = table[table["split"] == "train"]
    assert len(train) == n
    assert train["injected"].sum() == table["injected"].sum() == round(level * n)
    assert set(train.loc[train["label"] == 1, "image_id"]) == ids(table, injected=1)
    assert list(table["image_id"]) == list(source["image_id"])
    assert ids(table, split="val") == ids(source, split="val")
    unchanged = source.columns.drop("split")
    pd.testing.assert_frame_equal(table[unchanged], source[unchanged])


@quick
@given(levels=st.tuples(LEVELS, LEVELS), mode=MODES, seed=SEEDS)
def test_rising_levels_are_nested_and_share_the_test_set(levels, mode, seed):
    low, high = (noise.inject(make(), Noise(level=level, mode=mode, seed=seed)) for level in sorted(levels))
    assert ids(low, injected=1) <= ids(high, injected=1)
    assert ids(high, split="train", injected=0) <= ids(low, split="train", injected=0)
    assert ids(low, in_test=1) == ids(high, in_test=1)


@quick
@given(level=LEVELS, pool=st.sampled_from([0, 30]), seed=SEEDS)
def test_without_overlap_no_trained_photo_is_tested(level, pool, seed):
    table = noise.inject(make(pool_defects=pool), Noise(level=level, seed=seed))
    assert not ids(table, split="train") & ids(table, in_test=1)
    assert ids(table, in_test=1) == ids(table, split="test")
    assert len(ids(table, in_test=1, label=1)) == (60 if pool else 30)  # a given pool is used alone


def test_overlap_hides_tested_defects_and_still_tests_them():
    table = noise.inject(make(), Noise(level=0.5, mode="overlap"))
    assert len(ids(table, in_test=1, label=1)) == 60
    assert len(ids(table, in_test=1, split="train", injected=1)) == 20


def test_test_defects_set_aside_keep_the_mix_of_types():
    source = make(types=("pit", "pit", "scratch"))
    left = noise.inject(source, Noise(level=0)).query("in_test == 1 and label == 1")
    assert dict(left["defect_type"].value_counts()) == {"pit": 20, "scratch": 10}


@quick
@given(order=st.randoms(use_true_random=False), mode=MODES)
def test_order_of_rows_does_not_matter(order, mode):
    source, section = make(), Noise(level=0.3, mode=mode)
    rows = list(source.index)
    order.shuffle(rows)
    shuffled = noise.inject(source.loc[rows], section).sort_index()
    pd.testing.assert_frame_equal(shuffled, noise.inject(source, section))


def test_seed_decides_which_defects_hide_and_which_are_tested():
    first, second = (noise.inject(make(), Noise(level=0.3, seed=seed)) for seed in (0, 1))
    assert ids(first, injected=1) != ids(second, injected=1)
    assert ids(first, in_test=1) != ids(second, in_test=1)


def test_labelled_training_defects_are_never_trained_on_unless_hidden():
    source = make()
    source.loc[source["image_id"] == "test1000", "split"] = "train"
    table = noise.inject(source, Noise(level=0))
    assert ids(table, image_id="test1000", split="pool")


@pytest.mark.parametrize(
    ("table", "section", "words"),
    [
        (
            make(goods=99),
            Noise(level=0.5, n_train=78),
            [
                "39 defects",
                "there are 30",
                "level to at most 0.3846",
                "n_train to at most 61",
                "noise.mode=overlap",
            ],
        ),
        (make(), Noise(level=0.1, n_train=60), ["54 good", "there are 40", "at most 44", "at least 0.3334"]),
        (make(label=-1, test_defects=0), Noise(level=0.1), ["not labelled", "noise.level=0"]),
        (make(test_defects=0), Noise(level=0.1), ["no photo is labelled a defect", "noise.level=0"]),
        (make(goods=0), Noise(level=0.1), ["no photo to train on"]),
        (make(), Noise(pool_fraction=1.0), ["all 60 test defects", "noise.pool_fraction"]),
        (make(), Noise(level=0.5, pool_fraction=0.0), ["there are 0", "noise.level to at most 0", "overlap"]),
    ],
)
def test_impossible_wishes_are_refused_with_the_remedy(table, section, words):
    with pytest.raises(UserError) as error:
        noise.inject(table, section)
    for word in words:
        assert word in str(error.value), str(error.value)


@quick
@given(level=LEVELS.filter(bool), n=st.integers(1, 300), defects=st.integers(2, 30))
def test_remedies_work(level, n, defects):
    """Whatever a refusal proposes must succeed."""
    source = make(goods=30, pool_defects=defects)
    try:
        noise.inject(source, Noise(level=level, n_train=n))
    except UserError as error:
        for key in ("level", "n_train"):
            for bound in ("at most", "at least"):
                _, found, rest = str(error).partition(f"noise.{key} to {bound} ")
                if found:
                    value = float(rest.split(",")[0].split(" ")[0])
                    wish = {"level": level, "n_train": n, key: int(value) if key == "n_train" else value}
                    noise.inject(source, Noise(**wish))


def test_nothing_but_defects_can_train():
    table = noise.inject(make(pool_defects=40), Noise(level=1.0, n_train=30))
    train = table[table["split"] == "train"]
    assert len(train) == 30
    assert (train["label"] == 1).all()
    assert train["injected"].all()


@quick
@given(levels=st.tuples(LEVELS, LEVELS), mode=MODES, seed=SEEDS, half=st.integers(1, 9))
def test_a_balanced_test_has_half_of_each_kind_and_is_the_same_at_every_level(levels, mode, seed, half):
    low, high, whole = (
        noise.inject(make(), Noise(level=level, mode=mode, seed=seed, n_test=size))
        for level, size in ((levels[0], 2 * half), (levels[1], 2 * half), (levels[0], None))
    )
    assert low.loc[low["in_test"] == 1, "label"].value_counts().to_dict() == {0: half, 1: half}
    assert ids(low, in_test=1) == ids(high, in_test=1) < ids(whole, in_test=1) or half == 9
    assert ids(low, split="train") == ids(whole, split="train"), "who trains does not depend on it"


def test_a_balanced_test_that_the_photos_cannot_make_is_refused():
    with pytest.raises(UserError, match=r"needs 10 test good photos, there are 9: set it to at most 18"):
        noise.inject(make(), Noise(n_test=20))


def test_unlabelled_photos_train_at_level_zero():
    table = noise.inject(make(label=-1, test_defects=0), Noise(level=0))
    assert len(ids(table, split="train")) == 40
    assert not table["injected"].any()


def test_stage_writes_manifest_and_summary(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    manifest.write(tmp_path / "data/ingested/manifest.csv", make())
    (tmp_path / "params.yaml").write_text("noise: {level: 0.25, n_train: 20, seed: 3}\n")
    inject_noise.main()
    written = manifest.read(tmp_path / "data/noisy/manifest.csv")
    expected = noise.inject(make(), params.load().noise).sort_values("image_id", ignore_index=True)
    pd.testing.assert_frame_equal(written, expected, check_dtype=False)
    assert read_json(tmp_path / "data/noisy/summary.json") == {
        "requested": 0.25,
        "realised": 0.25,
        "mode": "no_overlap",
        "seed": 3,
        "n_train": 20,
        "injected": 5,
        "pool_left": 25,
        "test_good": 9,
        "test_defect": 30,
    }
    assert "20 training photos, 5 of them hidden" in capsys.readouterr().out


@quick
@given(level=st.sampled_from([0.0, 0.1, 0.3]), seed=SEEDS, shots=st.integers(1, 6))
def test_no_tested_photo_has_another_shot_among_the_hidden_or_the_pool(level, seed, shots):
    """Defects of the test set in parts of several shots, some of them with a good shot as well."""
    source = make(goods=30, test_defects=48)
    tested = source["split"] == "test"
    defect = (source["label"] == 1) & tested
    names = pd.Series([f"p{n // shots}" for n in range(defect.sum())], source.index[defect])
    goods = source.index[tested & ~defect]
    source["part"] = names.reindex(source.index).fillna("")
    source.loc[goods, "part"] = [f"p{n}" for n in range(len(goods))]
    table = noise.inject(source, Noise(level=level, n_train=30, seed=seed))
    known = table[table["part"] != ""]
    in_test = set(known.loc[known["in_test"] == 1, "part"])
    out = set(known.loc[(known["split"] == "pool") | (known["injected"] == 1), "part"])
    assert in_test
    assert not in_test & out


def test_defects_of_tested_parts_are_never_hidden():
    source = make(goods=20, test_defects=10, pool_defects=6)
    pool = source.index[(source["split"] == "pool") & (source["label"] == 1)]
    source.loc[[pool[0], source.index[source["split"] == "test"][0]], "part"] = "one"
    table = noise.inject(source, Noise(level=0.2, n_train=20))
    assert table.loc[pool[0], "injected"] == 0
    assert noise.summary(table, Noise(level=0.2))["pool_left"] == 6 - 1 - 4
