"""Makes the bundled PDN-S: EfficientNet-Lite0 distilled on generic photos (EAD Algorithm 1, shortened).

    nice -n 15 python -m benchmarks.distil_pdn --images ../natural_images --steps 1300

Killed, it goes on where it was. With more --steps it goes on from where the learning rate began to fall.
Compared with Algorithm 1: crops of 128² instead of whole images at 256² (four times as many images for the
work) and a learning rate of 1e-3 that falls to 0 over the last quarter instead of 1e-4 throughout. Every 100
steps the loss on held-out images, whole at 256², goes to results/distil_pdn.csv. The weights go into the
package.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import matplotlib
import pandas as pd

from adrefine.backbones import pdn
from adrefine.distillation import moments
from adrefine.distillation.checkpoint import Checkpoints
from adrefine.distillation.images import Sampler, find
from adrefine.distillation.loop import Distillation, held_out_loss
from adrefine.distillation.target import Target, load_backbone
from adrefine.io import write_csv
from adrefine.params import PretrainPdn
from adrefine.runtime import hardware
from adrefine.runtime.seeds import seed_everything

matplotlib.use("Agg")
RESULTS = Path(__file__).parent / "results"
EVERY = 100  # steps between measurements


def main() -> None:
    """Distil, write the weights and the curve."""
    parser = argparse.ArgumentParser(description="Distil the bundled PDN-S")
    parser.add_argument("--images", type=Path, required=True, help="folder of generic photos")
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--held-out", type=int, default=100, help="images that are only measured on")
    parser.add_argument("--work", type=Path, default=Path(".adrefine/pdn"), help="checkpoints")
    parser.add_argument("--out", type=Path, default=pdn.BUNDLED)
    args = parser.parse_args()
    params = PretrainPdn(
        init="scratch",
        steps=args.steps,
        images=str(args.images),
        side=128,
        learning_rate=args.learning_rate,
        decay=0.25,
        grayscale=0.3,
        min_crop=0.3,
        norm_images=500,
    )
    images = find(args.images)
    names = [path.relative_to(args.images).as_posix() for path in images]
    paths = moments.sample(images, names, len(images), params.seed)  # all, shuffled
    curve = distil(params, paths[args.held_out :], paths[: args.held_out], args.work, args.out)
    print(curve.tail(3).to_string(index=False))


def distil(
    params: PretrainPdn, paths: list[Path], held_out: list[Path], work: Path, out: Path
) -> pd.DataFrame:
    """Bring the run in `work` to `params.steps`; returns the curve."""
    seed_everything(params.seed)
    target = Target(load_backbone(params.teacher, params.weights))
    run = Distillation(pdn.Pdn(params.size), target, params)
    checkpoints = Checkpoints(work, params.steps, params.decay)
    state = checkpoints.load(hardware.device())
    if state:
        run.resume(state)
    else:
        target.normalize_by(*moments.of_images(target.features, paths[: params.norm_images], 512))
    table = RESULTS / "distil_pdn.csv"
    rows = [row for row in _known(table) if row["step"] <= run.step]
    began, first = time.perf_counter(), run.step

    def watch(run: Distillation) -> None:
        seconds = (time.perf_counter() - began) / (run.step - first)
        loss = sum(run.losses[-EVERY:]) / len(run.losses[-EVERY:])
        measured = held_out_loss(run, held_out, 256)
        rows.append({"step": run.step, "loss": loss, "held_out": measured, "seconds_per_step": seconds})
        write_csv(table, pd.DataFrame(rows))
        print(rows[-1], flush=True)

    sampler = Sampler(paths, params.side, params.min_crop, params.grayscale, params.seed)
    run.run(sampler, checkpoints, EVERY, watch)
    pdn.Weights(run.net.state_dict(), target.mean, target.std).save(out)
    curve = pd.read_csv(table)
    plot(curve, table.with_suffix(".png"))
    return curve


def plot(curve: pd.DataFrame, path: Path) -> None:
    """Loss over steps, training crops and held-out images."""
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    axes.plot(curve["step"], curve["loss"], label="training crops, 128²")
    axes.plot(curve["step"], curve["held_out"], label="held-out images, 256²")
    axes.set(xlabel="step of 16 images", ylabel="normalized MSE (1: each channel's mean)")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def _known(path: Path) -> list[dict[str, float]]:
    return pd.read_csv(path).to_dict("records") if path.exists() else []  # type: ignore[return-value]


if __name__ == "__main__":
    main()
