"""Stage pretrain_pdn: a patch description network, distilled from a frozen backbone."""

from adrefine import manifest, params
from adrefine.distillation import pretrain
from adrefine.errors import exit_cleanly
from adrefine.io import timed
from adrefine.paths import INGESTED, MANIFEST, PREPARED, REPORTS, side_cache


def main() -> None:
    section = params.load().pretrain_pdn
    photos = pretrain.sources(manifest.read(INGESTED / MANIFEST))
    with timed(REPORTS / "timing.json", "pretrain_pdn"):
        done = pretrain.pretrain(photos, section, PREPARED / "efficientad", side_cache("pdn"))
    print(
        f"pretrain_pdn: {done['steps']} steps on {done['photos']} photos and {done['generic']} generic images"
    )


if __name__ == "__main__":
    exit_cleanly(main)
