"""Stage validate: stop here if the ingested photos are not fit to learn from."""

import shutil
from pathlib import Path

from adrefine import manifest, noise, params
from adrefine.io import timed, write_json
from adrefine.paths import INGESTED, MANIFEST, REPORTS, VALIDATION
from adrefine.runtime import steady
from adrefine.validation import checks, needs, run, tables


def main() -> None:
    settings = params.load()
    with timed(REPORTS / "timing.json", "validate"):
        shutil.rmtree(VALIDATION, ignore_errors=True)
        photos = manifest.read(INGESTED / MANIFEST)
        pairs = tables.read_duplicates(INGESTED / "duplicates.csv")
        data = tables.derive(photos, pairs, tables.read_levels(INGESTED / "levels.csv"), Path())
        outcomes = run.run(data, checks.suite(data, settings.validate_), docs=VALIDATION / "data_docs")
        result = run.summary(data, outcomes)
        write_json(VALIDATION / ("summary.json" if result["success"] else "failed.json"), result)
        if not result["success"]:
            raise run.explain(outcomes)
        needs.check(noise.size(photos, settings.noise), settings)
    print(f"validate: {result['checks']} checks passed")


if __name__ == "__main__":
    steady.run("validate", main)
