"""Stage inject_noise: choose the training photos and the defects hidden among them."""

from adrefine import manifest, noise, params
from adrefine.io import timed, write_json
from adrefine.paths import INGESTED, MANIFEST, NOISY, REPORTS
from adrefine.runtime import steady


def main() -> None:
    section = params.load().noise
    with timed(REPORTS / "timing.json", "inject_noise"):
        noisy = noise.inject(manifest.read(INGESTED / MANIFEST), section)
        result = noise.summary(noisy, section)
        manifest.write(NOISY / MANIFEST, noisy)
        write_json(NOISY / "summary.json", result)
    print(
        f"inject_noise: {result['n_train']} training photos, {result['injected']} of them hidden defects "
        f"({result['realised']:.1%}, asked for {section.level:.1%}); "
        f"test set {result['test_good']} good, {result['test_defect']} defective"
    )


if __name__ == "__main__":
    steady.run("inject_noise", main)
