"""Photos that are there twice, byte for byte (exact) or nearly so (near), and leaks from training to test.

Near duplicates are found on 16 x 16 thumbnails (512 bytes a photo, all that is held in memory). What all
photos of a part have in common is subtracted first, so the correlation of two thumbnails is about what sets
them apart from the others: photos of the same part do not count as near duplicates, re-encoded, resized or
brightened copies and repeated shots do.

Calibration of the threshold, .995: in 399 commutators (KSDD) 23 pairs exceed it, 16 of them the same file,
and only one more exceeds .9; in 1,344 magnetic tiles (MTD) 375 pairs do, the eight looked at each one tile
under two exposures; in 400 demo parts none exceeds .97. JPEG at quality 50, half the size, a brightness of 80
% and noise of 5 grey levels stay over it (40 photos each of KSDD and MTD); a shift by 2 pixels does not.
Photos that differ in little but light and position need a higher threshold. Near duplicates are listed, never
removed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from adrefine import manifest

COLUMNS = manifest.DUPLICATE_COLUMNS
# Of photos that are the same the first of these stays: a leak leaves the training set, never the test set.
PREFERENCE = {"test": 0, "val": 1, "pool": 2, "train": 3}
LEARNING = ("train", "val")
_BLOCK = 4_000_000  # similarities held at once (16 MB)


def drop_exact(photos: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Keep one row of every image.

    Args:
        photos: image_id, source, split, label, mask_area, one row per file.

    Returns:
        The rows that stay, sorted by image_id, and COLUMNS with a row for each that does not (`other_*`: what
        stays).
    """
    order = photos.assign(
        _rank=photos["split"].map(PREFERENCE), _label=-photos["label"], _mask=photos["mask_area"] == 0
    )
    order = order.sort_values(["image_id", "_rank", "_label", "_mask", "source"])
    kept = photos.loc[order.index[~order["image_id"].duplicated()]]
    dropped = photos.loc[order.index[order["image_id"].duplicated()]]
    stays = kept.set_index("image_id").loc[dropped["image_id"]].reset_index()
    return kept, _rows("exact", dropped, stays, np.ones(len(dropped)))


def find_near(photos: pd.DataFrame, thumbnails: npt.NDArray[np.float16], threshold: float) -> pd.DataFrame:
    """List near duplicates: for each photo the one most like it, and for each test photo also the training
    photo.

    Args:
        photos: image_id, source, split, label, one row per image.
        thumbnails: (n, 256), as `decode.thumbnail` makes them, in the order of `photos`.
        threshold: correlation of the residuals over which two photos count as near duplicates.

    Returns:
        COLUMNS; at most two rows per photo, however many copies of it there are. A pair is listed once;
        `other_*` is the one that would stay.
    """
    split = photos["split"].to_numpy()
    pairs, similarity = near_pairs(thumbnails, np.isin(split, LEARNING), split == "test", threshold)
    rank = photos["split"].map(PREFERENCE).to_numpy()
    swap = rank[pairs[:, 0]] < rank[pairs[:, 1]]
    pairs[swap] = pairs[swap][:, ::-1]
    return _rows("near", photos.iloc[pairs[:, 0]], photos.iloc[pairs[:, 1]], similarity)


def near_pairs(
    thumbnails: npt.NDArray[np.float16],
    learning: npt.NDArray[np.bool_],
    test: npt.NDArray[np.bool_],
    threshold: float,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Pairs of rows whose residuals correlate by more than `threshold`; see `find_near`. Memory is linear in
    n.

    Args:
        thumbnails: (n, 256); rows of zeros (flat photos) are like no other.
        learning, test: (n,), which rows a model learns from and which it is tested on.

    Returns:
        (m, 2) row numbers, sorted, and (m,) correlations rounded to 4 digits.
    """
    n = len(thumbnails)
    if n < 3:  # the residuals of two photos are each other's opposite
        return np.zeros((0, 2), np.int64), np.zeros(0)
    residuals = _residuals(thumbnails)
    near: set[tuple[int, int]] = set()
    learns = np.flatnonzero(learning)
    for start in range(0, n, block := max(1, _BLOCK // n)):
        rows = np.arange(start, min(start + block, n))
        like = residuals[rows] @ residuals.T
        like[np.arange(len(rows)), rows] = -1
        near |= _best(like, rows, np.arange(n), threshold)
        if len(learns):
            tested = test[rows]
            near |= _best(like[tested][:, learns], rows[tested], learns, threshold)
    pairs = np.array(sorted(near), dtype=np.int64).reshape(-1, 2)
    exact = residuals.astype(np.float64)
    return pairs, np.round((exact[pairs[:, 0]] * exact[pairs[:, 1]]).sum(axis=1), 4)


def _residuals(thumbnails: npt.NDArray[np.float16]) -> npt.NDArray[np.float32]:
    values = thumbnails.astype(np.float32)
    flat = ~values.any(axis=1)
    values -= values.mean(axis=0, dtype=np.float64).astype(np.float32)
    values[flat] = 0
    norms = np.linalg.norm(values, axis=1, keepdims=True)
    return np.divide(values, norms, out=np.zeros_like(values), where=norms > 1e-6)


def _best(
    like: npt.NDArray[np.float32],
    rows: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int64],
    threshold: float,
) -> set[tuple[int, int]]:
    """The best column of each row, as pairs (smaller, larger), if over the threshold."""
    if not len(rows):
        return set()
    best = like.argmax(axis=1)
    over = like[np.arange(len(rows)), best] > threshold
    return {(int(min(pair)), int(max(pair))) for pair in zip(rows[over], columns[best[over]], strict=True)}


def _rows(
    kind: str, these: pd.DataFrame, others: pd.DataFrame, similarity: npt.NDArray[np.float64]
) -> pd.DataFrame:
    split, other = these["split"].to_numpy(), others["split"].to_numpy()
    label, other_label = these["label"].to_numpy(), others["label"].to_numpy()
    leak = (np.isin(split, LEARNING) & (other == "test")) | (np.isin(other, LEARNING) & (split == "test"))
    conflict = (label != other_label) & (label != manifest.UNKNOWN) & (other_label != manifest.UNKNOWN)
    table = pd.DataFrame(
        {
            "kind": kind,
            "image_id": these["image_id"].to_numpy(),
            "source": these["source"].to_numpy(),
            "split": split,
            "other_image_id": others["image_id"].to_numpy(),
            "other_source": others["source"].to_numpy(),
            "other_split": other,
            "leak": leak.astype(int),
            "label_conflict": conflict.astype(int),
            "similarity": similarity,
        },
        columns=list(COLUMNS),
    )
    return table.sort_values(["image_id", "source", "other_image_id"], kind="stable", ignore_index=True)
