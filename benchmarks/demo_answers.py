"""What 20 right answers are worth in the demo, given as a person gives them: by `adrefine review`.

    make demo
    . .venv/bin/activate
    python -m benchmarks.demo_answers           # or --answers 40
    adrefine run

Run it in a clone whose demo ran. It asks what comes next, looks up the truth that the demo alone knows, and
answers; `data/review.csv` then has the answers. `git checkout data/review.csv` takes them back.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json

from adrefine import cli, manifest, paths
from adrefine.review import KEEP, REMOVE
from adrefine.runtime import progress


def main() -> None:
    """Give the answers; print how many were defects."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--answers", type=int, default=20)
    args = parser.parse_args()
    hidden = manifest.read(paths.NOISY / paths.MANIFEST).set_index("image_id")["injected"] == 1
    confirmed = 0
    for _ in progress.over(range(args.answers), label="answers", unit="photo"):
        asked = json.loads(said("review", "--next", "1", "--json"))["next"][0]
        defect = bool(hidden[asked["image_id"]])
        said("review", asked["image_id"], REMOVE if defect else KEEP, "--asked", str(asked["asked"]))
        confirmed += defect
    print(f"{args.answers} answers, {confirmed} of them hidden defects: `adrefine run` shows what they gain")


def said(*arguments: str) -> str:
    """What `adrefine` prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        cli.run(list(arguments))
    return out.getvalue()


if __name__ == "__main__":
    main()
