"""Hide a known share of defects among the training photos (docs/methods.md 7; IRP sect. 4.1).

Every choice ranks images by a seed made of their own id, so it depends neither on the order of rows nor on
the level: the defects hidden at .1 are among those hidden at .2, and the test set is the same at every level.
Shots of one part stay together: no photo that is tested has another shot among the hidden defects.
"""

from __future__ import annotations

import math

import pandas as pd

from adrefine.errors import UserError
from adrefine.manifest import DEFECT, GOOD, UNKNOWN, parts
from adrefine.params import Noise
from adrefine.runtime.seeds import derived_seed

_FEWEST = 10  # training photos: no smaller set is proposed, no detector learns anything from it


def inject(manifest: pd.DataFrame, params: Noise) -> pd.DataFrame:
    """Choose the training set: n photos, of which round(level * n) are hidden defects.

    Args:
        manifest: ingested manifest, one row per image; it is not changed.
        params: the `noise` section. `n_train` null: as many as there are good or unlabelled training photos.

    Returns:
        All rows in the given order with new `split`s and two columns: `injected` (1: a defect hidden in the
        training set) and `in_test` (1: tested on; with mode overlap a hidden defect may be both). Photos and
        defects that are not used have split `pool`; test photos over `n_test` keep theirs, with `in_test` 0.

    Raises:
        UserError: no training photo, no test defect left, too few defects or good photos for level and n, or
            for `n_test`.
    """
    if params.mode == "as_given":
        return _as_given(manifest, params)
    table = _set_defects_aside(manifest, params)
    table["injected"], table["in_test"] = 0, _tested(table, params).astype(int)
    defects = _candidates(table, params)
    goods = (table["split"] == "train") & (table["label"] != DEFECT)
    n = size(manifest, params)
    k = round(params.level * n)
    _check(table, params, n, int(goods.sum()), int(defects.sum()))
    hidden = _first(table[defects], k, params.seed, "hidden")
    kept = _first(table[goods], n - k, params.seed, "good")
    table.loc[table["split"] == "train", "split"] = "pool"
    table.loc[hidden.union(kept), "split"] = "train"
    table.loc[hidden, "injected"] = 1
    return table


def size(manifest: pd.DataFrame, params: Noise) -> int:
    """How many photos train, hidden defects among them: see `inject`."""
    train = manifest["split"] == "train"
    if params.mode == "as_given":
        return int(train.sum())
    return params.n_train or int((train & (manifest["label"] != DEFECT)).sum())


def _as_given(manifest: pd.DataFrame, params: Noise) -> pd.DataFrame:
    """The training list as it is: the defects in it, such as FUIAD's (Real-IAD), are the hidden ones.

    Raises:
        UserError: it has no photo, or a photo that is tested has another shot in training.
    """
    train, test = manifest["split"] == "train", manifest["split"] == "test"
    if not train.any():
        raise UserError("no photo to train on: the manifest has no row in split train")
    names = parts(manifest)
    both = sorted(set(names[train]) & set(names[test]))
    if both:
        raise UserError(
            f"noise.mode=as_given: part {both[0]} is in training and in test: set noise.mode=no_overlap"
        )
    hidden = train & (manifest["label"] == DEFECT)
    tested = _tested(manifest, params)
    return manifest.assign(injected=hidden.astype(int), in_test=tested.astype(int))


def summary(noisy: pd.DataFrame, params: Noise) -> dict[str, float | int | str]:
    """What was asked for and what came out; counts are photos, `realised` a share of the training set."""
    train, test = noisy["split"] == "train", noisy["in_test"] == 1
    injected = int(noisy["injected"].sum())
    realised = round(injected / int(train.sum()), 6)
    return {
        "requested": realised if params.mode == "as_given" else params.level,
        "realised": realised,
        "mode": params.mode,
        "seed": params.seed,
        "n_train": int(train.sum()),
        "injected": injected,
        "pool_left": int((_candidates(noisy, params) & (noisy["injected"] == 0)).sum()),
        "test_good": int((test & (noisy["label"] == GOOD)).sum()),
        "test_defect": int((test & (noisy["label"] == DEFECT)).sum()),
    }


def _set_defects_aside(manifest: pd.DataFrame, params: Noise) -> pd.DataFrame:
    """A copy with labelled training defects in the pool; without overlap, some test defects if empty."""
    table = manifest.copy()
    defect = table["label"] == DEFECT
    table.loc[defect & (table["split"] == "train"), "split"] = "pool"
    if params.mode == "no_overlap" and not (defect & (table["split"] == "pool")).any():
        tested = table[defect & (table["split"] == "test")]
        count = round(params.pool_fraction * len(tested))
        if count and count == len(tested):
            raise UserError(
                f"noise.pool_fraction={params.pool_fraction:g} sets all {count} test defects "
                "aside and leaves none to test on: lower it, or set noise.mode=overlap"
            )
        aside = _whole_parts(tested, _stratified(tested, params.seed), count)
        table.loc[(table["split"] == "test") & parts(table).isin(aside), "split"] = "pool"
    return table


def _whole_parts(tested: pd.DataFrame, order: pd.Index, count: int) -> set[str]:
    """The parts of the first defects in `order` that have `count` tested defects or a few more; never all."""
    names = parts(tested)
    sizes, chosen = names.value_counts(), dict[str, int]()
    for name in names[order]:
        if sum(chosen.values()) >= count or len(chosen | {name: 0}) == len(sizes):
            break
        chosen[name] = int(sizes[name])
    return set(chosen)


def _stratified(defects: pd.DataFrame, seed: int) -> pd.Index:
    """Rows in an order whose every beginning holds the defect types in their proportions."""
    shuffled = defects.loc[_first(defects, len(defects), seed, "pool")]
    types = shuffled.groupby("defect_type")["image_id"]
    position = (types.cumcount() + 0.5) / types.transform("size")
    return position.sort_values(kind="stable").index


def _tested(table: pd.DataFrame, params: Noise) -> pd.Series:
    """Which rows are tested on: those of split test; with `n_test` half as many good ones and defects."""
    tested = table["split"] == "test"
    if params.n_test is None:
        return tested
    chosen, half = table.index[:0], params.n_test // 2
    for label, kind in ((GOOD, "good photos"), (DEFECT, "defects")):
        rows = table[tested & (table["label"] == label)]
        if len(rows) < half:
            raise UserError(
                f"noise.n_test={params.n_test} needs {half} test {kind}, there are {len(rows)}: "
                f"set it to at most {2 * len(rows)}, or to null for all"
            )
        chosen = chosen.union(_first(rows, half, params.seed, "tested"))
    return pd.Series(table.index.isin(chosen), index=table.index)


def _candidates(table: pd.DataFrame, params: Noise) -> pd.Series:
    """Which rows may be hidden: the pool's defects; with overlap the test defects as well."""
    free = (table["split"] == "pool") | (table["injected"] == 1)
    names = parts(table)
    if params.mode == "overlap":
        free |= table["split"] == "test"
    else:
        free &= ~names.isin(set(names[table["split"] == "test"]))
    return (table["label"] == DEFECT) & free


def _first(table: pd.DataFrame, count: int, seed: int, purpose: str) -> pd.Index:
    """The `count` rows that come first in an order which depends on seed, purpose and each row's id alone."""
    ranks = {row: derived_seed("noise", purpose, seed, name) for row, name in table["image_id"].items()}
    return pd.Index(sorted(ranks, key=lambda row: ranks[row])[:count], dtype=table.index.dtype)


def _check(table: pd.DataFrame, params: Noise, n: int, goods: int, defects: int) -> None:
    """Refuse what these photos cannot make; no photo is ever used twice (docs/methods.md 7)."""
    if not goods:
        raise UserError("no photo to train on: the manifest has no good or unlabelled row in split train")
    k = round(params.level * n)
    if k and not (table["label"] == DEFECT).any():
        unknown = (table["label"] == UNKNOWN).any()
        why = "the photos are not labelled" if unknown else "no photo is labelled a defect"
        raise UserError(
            f"noise.level={params.level:g} needs known defects to hide, but {why}: set noise.level=0"
        )
    if k > defects:
        raise UserError(
            f"noise.level={params.level:g} at {n} training photos needs {k} defects to hide, "
            f"there are {defects}: " + _remedies(table, params, n, goods, defects)
        )
    if n - k > goods:
        level = math.ceil((1 - goods / n) * 1e4) / 1e4
        largest = _largest_n(params.level, goods, defects)
        enough = level <= 1 and round(level * n) <= defects
        raise UserError(
            f"noise.n_train={n} at noise.level={params.level:g} needs {n - k} good training "
            f"photos, there are {goods}: "
            + (f"set noise.n_train to at most {largest}" if largest >= _FEWEST else "add good photos")
            + (f", or set noise.level to at least {level:g}" if enough else "")
        )


def _remedies(table: pd.DataFrame, params: Noise, n: int, goods: int, defects: int) -> str:
    level = math.floor(defects / n * 1e4) / 1e4
    largest = _largest_n(params.level, goods, defects)
    options = [f"set noise.level to at most {level:g}"] if n - round(level * n) <= goods else []
    if largest >= _FEWEST and round(params.level * largest):
        options += [f"set noise.n_train to at most {largest}"]
    tested = int(((table["label"] == DEFECT) & (table["split"] == "test")).sum())
    if params.mode == "no_overlap" and defects + tested >= round(params.level * n):
        options += ["set noise.mode=overlap (tested defects are hidden too)"]
    return ", or ".join(options or ["add labelled defects, or set noise.level=0"])


def _largest_n(level: float, goods: int, defects: int) -> int:
    """The largest training set that `goods` and `defects` can make at `level`; 0 if none."""
    n = goods + defects
    while n and (round(level * n) > defects or n - round(level * n) > goods):
        n -= 1
    return n
