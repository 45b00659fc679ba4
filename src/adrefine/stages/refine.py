"""Stage refine: find and remove the hidden defects in rounds, version every cleaned dataset."""

from __future__ import annotations

from adrefine import manifest, params, paths
from adrefine.errors import exit_cleanly
from adrefine.io import timed, write_csv, write_json


def main() -> None:
    """Read models/initial/ and the noisy manifest, write data/refined/ and models/refined/."""
    from adrefine.strategies import refinement

    settings = params.load()
    noisy = manifest.read(paths.NOISY / paths.MANIFEST)
    with timed(paths.REPORTS / "timing.json", "refine"):
        found = refinement.run(
            settings, manifest.unlabelled(noisy), paths.PREPARED / settings.detector, paths.MODELS / "initial"
        )
    decided = noisy.merge(found.outcome.images, on="image_id", how="left")
    manifest.write(paths.REFINED / paths.MANIFEST, decided)
    for number, rows in refinement.cleaned_versions(noisy, found.outcome).items():
        manifest.write(paths.REFINED / "rounds" / f"{number:02d}.csv", rows)
    write_csv(paths.REFINED / "history.csv", found.outcome.history)
    write_csv(paths.REFINED / "round_scores.csv", found.round_scores)
    summary = {"stop_reason": found.outcome.stop_reason, "rounds": found.outcome.rounds}
    write_json(paths.REFINED / "summary.json", summary)
    found.model.save(paths.MODELS / "refined")
    removed = int((found.outcome.images["kept"] == 0).sum())
    print(
        f"refine: {removed} of {len(found.outcome.images)} training images removed in {found.outcome.rounds} "
        f"rounds; {found.outcome.stop_reason}"
    )


if __name__ == "__main__":
    exit_cleanly(main)
