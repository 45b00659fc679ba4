"""Stage train: the chosen detector on the noisy training set, and its ceiling without the hidden defects."""

from __future__ import annotations

from adrefine import manifest, params, paths
from adrefine.io import timed
from adrefine.runtime import cluster, steady
from adrefine.validation import needs


def main() -> None:
    """Read the noisy manifest and the prepared inputs, write models/initial/ and models/oracle/."""
    from adrefine.detectors.initial import train

    settings = params.load()
    noisy = manifest.read(paths.NOISY / paths.MANIFEST)
    needs.check(len(manifest.of_split(noisy, "train")), settings)
    with timed(paths.REPORTS / "timing.json", "train"):
        epochs = train(
            settings,
            noisy,
            paths.PREPARED,
            paths.MODELS / "initial",
            paths.MODELS / "oracle",
        )
    print("train: " + ", ".join(f"{name} model {count} epochs" for name, count in epochs.items()))


if __name__ == "__main__":
    steady.run("train", lambda: cluster.run(params.load().runtime.cluster, "train", main))
