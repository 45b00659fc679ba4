"""Train the initial model, and the oracle: the same detector without the hidden defects."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd

from adrefine import detectors, manifest
from adrefine.detectors.base import Images
from adrefine.io import write_json
from adrefine.params import Params

ABSENT = "absent.json"  # stands in models/oracle where there is nothing to train a ceiling on, or none known
_FEWEST = 2  # images that a detector can learn from


def train(params: Params, noisy: pd.DataFrame, prepared: Path, initial: Path, oracle: Path) -> dict[str, int]:
    """Fit on the noisy training set, and on it without the injected defects: the ceiling of any strategy.

    The `injected` column chooses the oracle's images and nothing else. Without injected defects the oracle is
    the initial model; with unlabelled images or fewer than two good ones there is none. Both know the same
    real defects, if their detector learns from any.

    Returns:
        Epochs of each model.
    """
    rows = manifest.of_split(noisy, "train")
    everything = Images.of(rows, prepared)
    known = known_defects(params, noisy, prepared)
    epochs = {"initial": _fit(params, everything, known, initial)}
    clean = Images.of(rows[rows["injected"] == 0], prepared)
    if len(clean) < _FEWEST:
        write_json(oracle / ABSENT, {"reason": "fewer than two good photos train: there is no ceiling"})
    elif len(clean) < len(everything):
        epochs["oracle"] = _fit(params, clean, known, oracle)
    elif (rows["label"] == manifest.UNKNOWN).any():
        write_json(
            oracle / ABSENT, {"reason": "the training images have no labels: there is no ceiling to measure"}
        )
    else:
        shutil.copytree(initial, oracle, dirs_exist_ok=True)
    return epochs


def known_defects(params: Params, noisy: pd.DataFrame, prepared: Path) -> Images:
    """The real defects that the chosen detector learns as such, with the files of their masks."""
    ids = params.chosen_detector.known(noisy)
    rows = noisy[noisy["image_id"].isin(ids) & (noisy["mask_path"] != "")] if ids else noisy[:0]
    return Images(ids, prepared, masks=dict(zip(rows["image_id"], rows["mask_path"], strict=True)))


def _fit(params: Params, images: Images, known: Images, folder: Path) -> int:
    detector = detectors.create(params)
    detector.know(known)
    log = detector.fit(images)
    detector.save(folder)
    return len(log)


def load(params: Params, folder: Path) -> detectors.Detector | None:
    """The detector in `folder`; None where `train` wrote that there is none."""
    if (folder / ABSENT).exists():
        return None
    detector = detectors.create(params)
    detector.load(folder)
    return detector
