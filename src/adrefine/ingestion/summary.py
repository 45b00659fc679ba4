"""What ingest did, counted and in words."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import pandas as pd

from adrefine import manifest
from adrefine.datasets import account
from adrefine.datasets.account import Account
from adrefine.ingestion import scales
from adrefine.ingestion.decision import Decision
from adrefine.text import counted, region_words

_DARK = 63  # of 255: a quarter of the scale


@dataclass(frozen=True)
class Summary:
    """What ingest did. `decoded` and `reused` (from the side cache) differ from run to run, the rest does
    not. `fit`: what was done with the photos; `not_turned`: where they were turned, how many were stretched
    all the same, by the reason; `roi`: where the region of interest comes from, its share of a photo, how
    many masks of defects reach out of it and how many are lost; empty: the whole photo counts."""

    photos: int
    splits: dict[str, int]
    decoded: int
    reused: int
    quarantined: int
    exact: int
    near: int
    leaks: int
    parts: dict[str, int]
    scales: dict[str, int]
    files: dict[str, Any]
    fit: str
    fit_reason: str
    fit_figures: dict[str, float]
    not_turned: dict[str, int]
    roi: dict[str, Any]
    warnings: list[str]

    def lines(self) -> list[str]:
        """For people."""
        splits = ", ".join(f"{name} {count}" for name, count in self.splits.items())
        return [
            f"{self.photos} images ({splits}); {self.decoded} decoded, {self.reused} reused, "
            f"{self.quarantined} in quarantine",
            f"duplicates: {self.exact} exact (left out), {self.near} near; between training and test: "
            f"{self.leaks}",
            *self._part_line(),
            *self._scale_line(),
            *self._fit_lines(),
            *self._roi_line(),
            self._file_line(),
        ]

    def _part_line(self) -> list[str]:
        if not self.parts["photos"]:
            return []
        shots, parts = counted(self.parts["photos"], "photo"), counted(self.parts["parts"], "part")
        return [f"parts: {shots} of {parts}; {self.parts['moved']} moved to keep a part on one side"]

    def _fit_lines(self) -> list[str]:
        decided = [f"fit: {self.fit}: {self.fit_reason}"] if self.fit_reason else []
        return decided + [
            f"fit: {counted(count, 'photo')}: {problem}, stretched"
            for problem, count in self.not_turned.items()
        ]

    def _roi_line(self) -> list[str]:
        return [f"region of interest: {region_words(self.roi)}"] if self.roi else []

    def _file_line(self) -> str:
        ignored = ", ".join(f"{count} {reason}" for reason, count in self.files["ignored"].items())
        counts = ", ".join(
            f"{count} {name}" for name, count in self.files.items() if name not in ("ignored", "total")
        )
        return f"files under the root: {self.files['total']}, of which {counts}; ignored: {ignored or 'none'}"

    def _scale_line(self) -> list[str]:
        deep = {scale: count for scale, count in self.scales.items() if scale != str(scales.EIGHT_BIT)}
        named = ", ".join(f"{scale} ({count})" for scale, count in deep.items())
        return [f"photos of more than 8 bits, values from black to white: {named}"] if deep else []


def of(
    photos: pd.DataFrame,
    kept: pd.DataFrame,
    twice: pd.DataFrame,
    accounts: Account,
    decision: Decision,
    roi: dict[str, Any],
    warnings: list[str],
) -> Summary:
    """Count what ingest made of `photos`, all that were found: `kept`, `twice` (duplicates.csv)."""
    usable = photos[photos["problem"] == ""]
    told = [
        *_scale_warnings(kept),
        *_void_warnings(kept),
        *_dark_warnings(kept),
        *_stack_warnings(kept),
        *_mask_warnings(kept),
    ]
    exact = twice[twice["kind"] == "exact"]
    return Summary(
        photos=len(kept),
        splits={name: int((kept["split"] == name).sum()) for name in manifest.SPLITS},
        decoded=int((~usable["reused"]).sum()),
        reused=int(usable["reused"].sum()),
        quarantined=len(photos) - len(usable),
        exact=len(exact),
        near=int((twice["kind"] == "near").sum()),
        leaks=int(twice["leak"].sum()),
        parts=_parts(kept),
        files=_files(photos, kept, accounts),
        scales={str(name): int(count) for name, count in sorted(Counter(kept["scale"]).items())},
        fit=decision.fit,
        fit_reason=decision.reason,
        fit_figures=decision.figures,
        not_turned=dict(sorted(Counter(filter(None, kept["not_turned"])).items())),
        roi=roi,
        warnings=[*warnings, *told, *_label_warnings(exact)],
    )


def _files(photos: pd.DataFrame, kept: pd.DataFrame, accounts: Account) -> dict[str, Any]:
    """Every file under the root once: what it is, or why it was left out."""
    bad = int((photos["problem"] != "").sum())
    return {
        "total": accounts.total,
        "photos": len(kept),
        "masks": accounts.masks,
        "duplicates": len(photos) - bad - len(kept),
        "quarantined": bad,
        "ignored": account.reasons(accounts.ignored["reason"]),
    }


def _parts(kept: pd.DataFrame) -> dict[str, int]:
    """How many photos are of a known part, of how many parts, and how many moved to another split."""
    known = kept[kept["part"] != ""]
    moved = int((known["moved_from"] != "").sum())
    return {"photos": len(known), "parts": known["part"].nunique(), "moved": moved}


def _scale_warnings(kept: pd.DataFrame) -> list[str]:
    """Photos that use a small part of the scale of their set: of another camera, most likely."""
    dim = [
        levels is not None and scales.dims(levels, scales.parse(scale))
        for levels, scale in zip(kept["levels"], kept["scale"], strict=True)
    ]
    if not any(dim):
        return []
    first = kept[dim].sort_values("source").iloc[0]
    return [
        f"{sum(dim)} of {len(kept)} photos use at most a quarter of their grey scale, such as "
        f"{first['source']}, which reaches {first['levels'].high:g} of {first['scale']}: if they come from "
        "another camera or software, bring them to the same range; see dataset.bit_depth"
    ]


def _void_warnings(kept: pd.DataFrame) -> list[str]:
    """Pixels that say nothing was measured."""
    ends = [
        [] if levels is None else scales.apart(levels, scales.parse(scale))
        for levels, scale in zip(kept["levels"], kept["scale"], strict=True)
    ]
    with_them = kept[[bool(one) for one in ends]].sort_values("source")
    if with_them.empty:
        return []
    values = ", ".join(f"{value:g}" for value in sorted({value for one in ends for value in one}))
    return [
        f"{counted(len(with_them), 'photo')} with pixels of {values}, far from all other values, such as "
        f"{with_them['source'].iloc[0]}: taken as 'nothing measured', they do not stretch the grey scale "
        f"{with_them['scale'].iloc[0]} and are black or white; if they are measured, set dataset.bit_depth"
    ]


def _dark_warnings(kept: pd.DataFrame) -> list[str]:
    """A set of 8-bit files that uses a small part of them, as of a camera of fewer bits."""
    plain = kept[kept["scale"] == str(scales.EIGHT_BIT)]
    if plain.empty or plain["brightest"].max() > _DARK:
        return []
    most = plain["brightest"].max()
    return [
        f"no photo of 8 bits is brighter than {most} of 255: if the camera delivers fewer bits, spread them "
        "over 0 to 255 when you save them (dataset.bit_depth is for files of more than 8 bits); if it is "
        "dark, give more light"
    ]


def _stack_warnings(kept: pd.DataFrame) -> list[str]:
    """Files that hold more pictures than the one that is used."""
    stacks = kept[kept["pictures"] > 1].sort_values("source")
    if stacks.empty:
        return []
    first = stacks.iloc[0]
    return [
        f"{counted(len(stacks), 'file')} with several pictures, such as {first['source']} with "
        f"{first['pictures']}: the first is used; save each picture as a file of its own to use all"
    ]


def _mask_warnings(kept: pd.DataFrame) -> list[str]:
    lost = kept[(kept["label"] == manifest.DEFECT) & (kept["mask_sha256"] != "") & (kept["mask_area"] == 0)]
    if lost.empty:
        return []
    return [
        f"{len(lost)} defective photos have a mask that marks nothing (dataset.fit = crop or dataset.roi can "
        f"cut a defect off), such as {lost['source'].min()}: kept as defective photos without mask"
    ]


def _label_warnings(exact: pd.DataFrame) -> list[str]:
    torn = exact[exact["label_conflict"] == 1]
    if torn.empty:
        return []
    row = torn.iloc[0]
    return [
        f"{len(torn)} photos are there as good and as defective, such as {row['source']} and "
        f"{row['other_source']}: the second was kept"
    ]
