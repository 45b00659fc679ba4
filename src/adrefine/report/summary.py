"""The result of a run in a few lines of text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adrefine.evaluation.models import COMPARED
from adrefine.metrics.finding import sentence
from adrefine.text import counted


def summary_lines(
    metrics: dict[str, Any], report: Path, timing: dict[str, Any] | None = None
) -> Sequence[str]:
    """The short result that `make demo` prints.

    Args:
        timing: reports/timing.json. Its figures differ from run to run; the report has only this throughput.
    """
    noise, cleaned = metrics["noise"], metrics["cleaning"]
    known = "removed_defects" in cleaned  # without labels nobody knows how many hide
    hidden = round(noise["realised"] * noise["n_train"]) if known else "unknown"
    lines = [f"training photos     {noise['n_train']}, hidden defects {hidden}"]
    hits = f", {cleaned['removed_defects']} of them hidden defects" if "removed_defects" in cleaned else ""
    rounds = counted(cleaned["rounds"], "round")
    lines.append(f"removed             {cleaned['removed']}{hits}, in {rounds}")
    if cleaned.get("light"):
        lines.append(f"count for less      {cleaned['light']} more suspicious photos, less than half")
    if "outcome" in cleaned:
        lines.append(f"outcome             {sentence(cleaned, cleaned['removed'], noise['n_train'])}")
    if "detection" in metrics:
        values = " / ".join(
            f"{metrics['detection'][name]['auroc']:.3f}" for name in COMPARED if name in metrics["detection"]
        )
        lines.append(f"test AUROC          {values} (before / after / ceiling)")
        if "taught" in metrics["detection"]:
            auroc = metrics["detection"]["taught"]["auroc"]
            lines.append(
                f"taught by you       {auroc:.3f}, with the defects that you confirmed as examples "
                "(detector: mixed)"
            )
    if "oracle_gap_closed" in cleaned:
        chance = (
            " (over 100%: better than the ceiling, by chance)" if cleaned["oracle_gap_closed"] > 1 else ""
        )
        lines.append(f"of the possible gain {cleaned['oracle_gap_closed']:.0%} was reached{chance}")
    if (speed := throughput(timing or {})) is not None:
        lines.append(f"distillation        {speed:g} images a second")
    return [*lines, f"report              {report}"]


def throughput(timing: dict[str, Any]) -> float | None:
    """Images a second of the distillation that was done here; none if its result came from a cache.

    Args:
        timing: reports/timing.json.
    """
    return timing.get("pretrain_pdn", {}).get("images_per_second") or None
