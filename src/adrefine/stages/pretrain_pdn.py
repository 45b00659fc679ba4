"""Stage pretrain_pdn: a patch description network, distilled from a frozen backbone, and what it will see."""

from __future__ import annotations

from pathlib import Path

from adrefine import inputs, params, paths
from adrefine.io import timed
from adrefine.runtime import steady


def main() -> None:
    """Read both manifests and the generic photos, write data/prepared/pixels/, if the detector reads that."""
    settings, out = params.load(), paths.PREPARED / paths.PIXELS
    if paths.PIXELS not in settings.chosen_detector.reads:
        inputs.leave_unused(out)
        print(f"pretrain_pdn: nothing to do, {settings.detector} reads no pixels")
        return
    from adrefine import manifest
    from adrefine.areas import region
    from adrefine.distillation import images, index, pretrain

    section, seen = settings.pretrain_pdn, dict[str, float]()
    paths.watched_weights("pretrain_pdn.weights", section.weights)
    ingested, synthetic = (
        manifest.read(folder / paths.MANIFEST) for folder in (paths.INGESTED, paths.SYNTHETIC)
    )
    with timed(paths.REPORTS / "timing.json", "pretrain_pdn", lambda: seen):
        roi = region.find(paths.INGESTED)
        index.write(out, ingested, synthetic, images.find(Path(section.images)), roi)
        photos, cache = pretrain.sources(ingested), paths.side_cache("pdn")
        done = pretrain.pretrain(photos, section, out, cache, settings.runtime)
        seen.update(steps=done["steps"], images_per_second=done["images_per_second"])
    learned = f"{done['photos']} photos and {done['generic']} generic images"
    print(f"pretrain_pdn: {done['steps']} steps on {learned}, {done['images_per_second']:g} images a second")


if __name__ == "__main__":
    steady.run("pretrain_pdn", main)
