"""Stage pretrain_pdn: a patch description network, distilled from a frozen backbone, and what it will see."""

from pathlib import Path

from adrefine import manifest, params
from adrefine.distillation import images, index, pretrain
from adrefine.errors import exit_cleanly
from adrefine.io import timed
from adrefine.paths import INGESTED, MANIFEST, PREPARED, REPORTS, SYNTHETIC, side_cache


def main() -> None:
    section, out = params.load().pretrain_pdn, PREPARED / "efficientad"
    ingested, seen = manifest.read(INGESTED / MANIFEST), dict[str, float]()
    with timed(REPORTS / "timing.json", "pretrain_pdn", lambda: seen):
        generic = images.find(Path(section.images))
        index.write(out, ingested, manifest.read(SYNTHETIC / MANIFEST), generic)
        done = pretrain.pretrain(pretrain.sources(ingested), section, out, side_cache("pdn"))
        seen.update(steps=done["steps"], images_per_second=done["images_per_second"])
    learned = f"{done['photos']} photos and {done['generic']} generic images"
    print(f"pretrain_pdn: {done['steps']} steps on {learned}, {done['images_per_second']:g} images a second")


if __name__ == "__main__":
    exit_cleanly(main)
