"""Sentences that a reader of the report must know."""

from __future__ import annotations

from typing import Any

import pandas as pd

from adrefine import manifest
from adrefine.metrics import finding
from adrefine.review import REMOVE
from adrefine.text import counted


def told(summary: dict[str, Any], train: pd.DataFrame) -> list[str]:
    """What photos and answers tell, how many count for less, and how many held-out photos stand out."""
    if "outcome" not in summary:
        return []
    told = finding.sentence(summary, int((train["kept"] == 0).sum()), len(train))
    answered = (train["reviewed"] != "").any()
    source = "the photos and your answers" if answered else "the photos alone, without any label"
    notes = [f"Estimated from {source}: {told}."]
    if light := int(summary.get("light", 0)):
        stay = "photo stays in the training set" if light == 1 else "photos stay in the training set"
        notes.append(f"{light} more suspicious {stay}, with less than half the usual weight.")
    if count := int(summary.get("variants", 0)):
        notes.append(f"{finding.waiting(count)}.")
    if over := int(summary.get("held_out_standing_out", 0)):
        notes.append(
            f"{counted(over, 'held-out photo')} {'stands' if over == 1 else 'stand'} out like those that are "
            "removed: see held_out in data/refined/evidence.csv."
        )
    return notes


def notes(table: pd.DataFrame, test: pd.DataFrame, metrics: dict[str, Any]) -> list[str]:
    notes = []
    if set(test["label"]) != {manifest.GOOD, manifest.DEFECT}:
        notes.append(
            "The test photos are not labelled good and defective, so detection cannot be measured. "
            "The threshold comes from held-out photos that may hold defects themselves."
        )
    elif "oracle_gap_closed" not in metrics["cleaning"]:
        notes.append(
            "The hidden defects cost the detector less than .002 AUROC. So there is no gain to reach."
        )
    answers = manifest.of_split(table, "train")["reviewed"].value_counts()
    if removed := int(answers.get("remove", 0)):
        notes.append(f"{counted(removed, 'photo')} removed by you, before the first round.")
    if kept := int(answers.get("keep", 0)):
        notes.append(f"{counted(kept, 'photo')} kept by you, whatever the score.")
    if taught := metrics.get("supervision"):
        notes.append(
            f"Real defects: {taught['available']} known, {taught['used']} of them used in training, plus "
            f"{counted(taught['recycled'], 'removed photo')}"
            + (f", {taught['recycled_wrong']} of them good." if taught["recycled_wrong"] else ".")
        )
    held = manifest.of_split(table, "val")
    if called := int((held["reviewed"] == REMOVE).sum()):
        notes.append(f"The threshold ignores {counted(called, 'held-out photo')} that you called defective.")
    if (held["label"] == manifest.UNKNOWN).any():
        notes.append("Held-out photos are unlabelled and count as good for the threshold.")
    return notes
