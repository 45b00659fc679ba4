"""EfficientAD: what each part brings (EAD tables 5.5 to 5.8), and what a prediction costs.

    python -m benchmarks.efficientad --root ../ksdd --generic ../photos --out efficientad_ksdd
    python -m benchmarks.efficientad --latency

Four trainings, with and without CDO, with and without OOD; three maps of each: the student's, the
autoencoder's and both. The quantiles that normalize the maps come from held-out good photos, as in the
document. One row per map in results/<out>.csv, a table in results/<out>.md. Rows that the CSV has are not
repeated: a run that was killed goes on.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from adrefine import manifest
from adrefine.backbones import engine
from adrefine.benchmark import prepared
from adrefine.benchmark.summary import figure
from adrefine.benchmark.tables import cell
from adrefine.detectors.base import Images
from adrefine.detectors.efficientad.detector import EfficientAD
from adrefine.detectors.efficientad.maps import raw
from adrefine.detectors.efficientad.settings import Settings
from adrefine.detectors.efficientad.trainer import Networks
from adrefine.evaluation.maps import draw, read_mask
from adrefine.io import write_csv, write_json, write_text
from adrefine.metrics import detection, localization
from adrefine.params import Evaluate, Runtime, parse
from adrefine.runtime import hardware, progress
from adrefine.text import markdown
from benchmarks import common

TRAININGS: dict[str, dict[str, float]] = {
    "hard, AE": {"coeff_cdo": 0.0},
    "hard, AE, CDO": {},
    "hard, AE, OOD": {"coeff_cdo": 0.0, "coeff_ood": 1.0},
    "hard, AE, CDO, OOD": {"coeff_ood": 1.0},
}
KEYS = ["losses", "seed", "side", "tiles", "init", "steps", "batch_size"]
FIGURES = {"auroc": "image AUROC", "pixel_auroc": "pixel AUROC", "aupro": "AU-PRO"}


def main() -> None:
    """Run what is missing, then write the table; or measure the latency."""
    args = arguments()
    if args.latency:
        times = latency(args.side or 256)
        write_json(common.RESULTS / "efficientad_latency.json", times)
        print(times)
        return
    table, folder = prepare(args)
    target = common.RESULTS / f"{args.out}.csv"
    done = pd.read_csv(target) if target.exists() else pd.DataFrame(columns=KEYS)
    todo = [(losses, seed) for seed in args.seeds for losses in args.losses]
    for losses, seed in progress.over(todo, label=args.out, unit="training"):
        detector = EfficientAD(detector_params(args, losses, seed))
        keys = {name: getattr(detector.settings, name) for name in KEYS[1:]}
        wanted = [losses, *keys.values()]
        if not (done[KEYS] == wanted).all(axis=1).any():
            rows = run(detector, table, folder, args)
            made = pd.DataFrame([{"losses": losses, **keys, **row} for row in rows])
            done = pd.concat([done, made]) if len(done) else made
            write_csv(target, done)
    write_text(target.with_suffix(".md"), report(pd.read_csv(target)))


def arguments() -> argparse.Namespace:
    """The command line."""
    raw_text = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw_text)
    parser.add_argument("--name", default="mvtec", help="dataset layout: mvtec, mtd, ksdd2, folder")
    parser.add_argument("--root", default="data/raw", help="folder of the dataset")
    parser.add_argument("--generic", default="data/generic", help="folder of generic images, for OOD")
    parser.add_argument("--size", type=int, default=256, help="working size of the photos, pixels")
    parser.add_argument("--side", type=int, help="input of the networks, pixels; default: the preset's")
    parser.add_argument("--tiles", action="store_true", help="cut photos larger than that, not shrink them")
    parser.add_argument("--init", choices=["teacher", "scratch"], help="default: the preset's")
    parser.add_argument("--steps", type=int, help="steps of a training; default: the preset's")
    parser.add_argument("--preset", default="short", choices=["short", "paper"])
    parser.add_argument("--losses", nargs="+", default=list(TRAININGS), choices=TRAININGS, metavar="LOSSES")
    parser.add_argument("--n-train", type=int, help="size of the training set; all good photos by default")
    parser.add_argument("--n-test", type=int, help="test photos, half of them defective; all by default")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--out", default="efficientad", help="name of the result files")
    parser.add_argument("--latency", action="store_true", help="measure a prediction and nothing else")
    return parser.parse_args()


def prepare(args: argparse.Namespace) -> prepared.Prepared:
    """Manifest of the dataset and what EfficientAD reads; quick the second time."""
    return prepared.prepare(
        parse(
            {
                "dataset": {"name": args.name, "root": args.root, "image_size": args.size},
                "pretrain_pdn": {"images": args.generic},
                "detector": "efficientad",
            }
        )
    )


def detector_params(args: argparse.Namespace, losses: str, seed: int) -> Settings:
    """The section `efficientad` of one training."""
    given = {name: getattr(args, name) for name in ("preset", "side", "tiles", "init", "steps")}
    return Settings.model_validate({**given, "holdout": 0.0, "seed": seed, **TRAININGS[losses]})


def run(
    detector: EfficientAD, table: pd.DataFrame, folder: Path, args: argparse.Namespace
) -> list[dict[str, Any]]:
    """One training: image and pixel metrics of its maps on the test photos; an image scores its maximum."""
    train, held, test = (
        manifest.of_split(table, split).sort_values("image_id") for split in ("train", "val", "test")
    )
    start = time.process_time()
    detector.fit(Images(tuple(train["image_id"])[: args.n_train], folder))
    seconds = time.process_time() - start
    detector.calibrate(Images(tuple(held["image_id"]), folder))
    if args.n_test:
        halves = [draw(rows, args.n_test // 2) for _, rows in test.groupby("label")]
        test = pd.concat(halves).sort_values("image_id")
    seen, files = Images(tuple(test["image_id"]), folder), [Path(path) for path in test["path"]]
    masks = [read_mask(*paths) for paths in zip(test["mask_path"], test["path"], strict=True)]
    rows, of = [], {}
    for name, alpha in (("student", 1.0), ("autoencoder", 0.0)):
        detector.apply(Evaluate(alpha=alpha))
        of[name] = np.asarray(detector.maps(seen, files))
    for alpha in (0.5, 0.9):  # EAD eq. 4.12
        of[f"both, α = {alpha}"] = alpha * of["student"] + (1 - alpha) * of["autoencoder"]
    for name, maps in of.items():
        measures = {"auroc": detection.auroc(test["label"], maps.max(axis=(1, 2)))}
        measures |= localization.localization_metrics(maps, masks)
        counts = {"photos": len(test), "cpu_seconds": round(seconds, 1)}
        rows.append({"map": name, **{key: round(value, 4) for key, value in measures.items()}, **counts})
    return rows


def report(done: pd.DataFrame) -> str:
    """A Markdown table for each size and length of training; of several seeds mean ± standard deviation."""
    lines = []
    for (side, tiles, init, steps, size), rows in done.groupby(KEYS[2:]):
        minutes = rows["cpu_seconds"].mean() / 60
        seen = f"tiles of {side}²" if tiles else f"whole photos at {side}²"
        seeds = ", ".join(map(str, sorted(rows["seed"].unique())))
        lines += [
            f"{steps} steps of {size} images, {seen}, init {init}; {minutes:.1f} minutes of one core a "
            f"training; {rows['photos'].iloc[0]} test photos; seeds {seeds}.", "",
        ]  # fmt: skip
        cells = [
            [losses, name, *(cell(figure(group[column].to_numpy()), len(group)) for column in FIGURES)]
            for (losses, name), group in rows.groupby(["losses", "map"], sort=False)
        ]
        lines += markdown(["losses", "map", *FIGURES.values()], cells)
    return "\n".join(lines)


def latency(side: int, repeats: int = 30) -> dict[str, Any]:
    """Milliseconds per photo of `side`², one at a time: teacher, student, autoencoder and both raw maps."""
    from adrefine.backbones.pdn import read

    device, dtype = hardware.device(), engine.precision(Runtime())
    networks, teacher = Networks("small", Settings(preset="short", side=side)), read().network()
    networks, teacher = (net.eval().to(device, dtype) for net in (networks, teacher))  # type: ignore[assignment]
    networks, teacher = (net.to(memory_format=torch.channels_last) for net in (networks, teacher))  # type: ignore[assignment,call-overload]
    photo = torch.rand(1, 3, side, side).to(device, dtype).contiguous(memory_format=torch.channels_last)

    def predict(image: torch.Tensor) -> torch.Tensor:
        return raw(teacher(image), networks.student(image), networks.autoencoder(image))

    record: dict[str, Any] = {"side": side, "device": str(device), "dtype": str(dtype)}
    record |= {"size": "small", "threads": torch.get_num_threads(), "repeats": repeats}
    with torch.inference_mode():
        return record | _milliseconds({"eager": predict, "compiled": torch.compile(predict)}, photo, repeats)


def _milliseconds(functions: dict[str, Any], photo: torch.Tensor, repeats: int) -> dict[str, float]:
    """The fastest call of each after two to warm up; in turns, so that a busy machine is unfair to none."""
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats + 2):
        for name, function in functions.items():
            start = time.perf_counter()
            function(photo)
            if photo.is_cuda:
                torch.cuda.synchronize()
            seconds[name].append(time.perf_counter() - start)
    return {f"{name}_ms": round(1000 * min(times[2:]), 1) for name, times in seconds.items()}


if __name__ == "__main__":
    main()
