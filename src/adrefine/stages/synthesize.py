"""Stage synthesize: photos with synthetic defects, and the masks of those."""

import shutil

from adrefine import manifest, params
from adrefine.areas import region
from adrefine.defects import pipeline
from adrefine.io import timed
from adrefine.paths import INGESTED, MANIFEST, REPORTS, SYNTHETIC
from adrefine.runtime import steady


def main() -> None:
    settings = params.load()
    section, learned = settings.synthesize, settings.chosen_detector.learns_twins
    sources = pipeline.sources(manifest.read(INGESTED / MANIFEST))
    photos = pipeline.drawn(sources, None if learned else section.photos, section.seed)
    with timed(REPORTS / "timing.json", "synthesize"):
        shutil.rmtree(SYNTHETIC, ignore_errors=True)
        made = pipeline.make_all(photos, SYNTHETIC, section, region=region.find(INGESTED))
        manifest.write(SYNTHETIC / MANIFEST, made)
    kinds = ", ".join(f"{kind} {count}" for kind, count in made["kind"].value_counts().sort_index().items())
    print(
        f"synthesize: {len(made)} defects on {len(photos)} of {len(sources)} photos"
        + (f" ({kinds})" if kinds else "")
    )


if __name__ == "__main__":
    steady.run("synthesize", main)
