"""Stage refine: find and remove the hidden defects in rounds, version every cleaned dataset."""

from __future__ import annotations

import sys

from adrefine import manifest, params, paths, review
from adrefine.io import timed, write_csv, write_json
from adrefine.metrics import finding
from adrefine.runtime import cluster, steady
from adrefine.text import counted
from adrefine.validation import needs


def main() -> None:
    """Read models/initial/, the noisy manifest and the user's data/review.csv; write data/refined/ and
    models/refined/."""
    from adrefine.strategies import refinement
    from adrefine.strategies.queue import review_queue

    settings = params.load()
    noisy = manifest.read(paths.NOISY / paths.MANIFEST)
    needs.check(len(manifest.of_split(noisy, "train")), settings)
    answers = review.read(paths.REVIEW)
    asked = set(noisy.loc[noisy["split"].isin(["train", "val"]), "image_id"])
    for line in review.warnings(paths.REVIEW, answers, asked):
        print(f"refine: warning: {line}", file=sys.stderr)
    with timed(paths.REPORTS / "timing.json", "refine"):
        result = refinement.run(
            settings,
            manifest.unlabelled(noisy),
            paths.PREPARED,
            paths.MODELS / "initial",
            review.verdicts(answers),
        )
    outcome = result.outcome
    notes = [answers[name].note if name in answers else "" for name in outcome.images["image_id"]]
    images = outcome.images.assign(review_note=notes, reason=result.reasons(settings.refine.strategy))
    images["recycled"] = images["image_id"].isin(result.recycled).astype(int)
    refined = refinement.with_held_out(noisy.merge(images, on="image_id", how="left"), result.verdicts)
    manifest.write(paths.REFINED / paths.MANIFEST, refined)
    for number, rows in refinement.cleaned_versions(noisy, outcome).items():
        manifest.write(paths.REFINED / "rounds" / f"{number:02d}.csv", rows)
    write_csv(paths.REFINED / "history.csv", outcome.history)
    write_csv(paths.REFINED / "round_scores.csv", result.round_scores)
    asked_for = images.assign(variant=images["image_id"].isin(result.waiting).astype(int))
    write_csv(paths.REVIEW_QUEUE, review_queue(asked_for.merge(noisy[["image_id", "path"]], on="image_id")))
    if result.evidence is not None:
        write_csv(paths.REFINED / paths.EVIDENCE, result.evidence.table())
    summary = result.summary()
    write_json(paths.REFINED / "summary.json", summary)
    result.model.save(paths.MODELS / "refined")
    if result.taught is not None:
        result.taught.save(paths.MODELS / "refined" / paths.TAUGHT)
        print("refine: one more model learned your confirmed defects; `detector: mixed` puts it to use")
    by_hand = int(((images["kept"] == 0) & (images["reviewed"] == review.REMOVE)).sum())
    print(
        f"refine: {result.removed} of {len(images)} training images removed"
        + (f", {by_hand} of them by you," if by_hand else "")
        + f" in {counted(outcome.rounds, 'round')}; {outcome.stop_reason}"
    )
    if result.recycled:
        print(f"refine: the model learned {counted(len(result.recycled), 'removed photo')} as known defects")
    if result.waiting:
        print(f"refine: {finding.waiting(len(result.waiting))}")
    print(f"refine: {finding.sentence(summary, result.removed, len(images))}")


if __name__ == "__main__":
    steady.run("refine", lambda: cluster.run(params.load().runtime.cluster, "refine", main))
