"""EfficientAD: what each part brings (EAD tables 5.6, 5.8), and what a prediction costs.

    python benchmarks/efficientad.py --root ../ksdd --generic ../photos --out efficientad_ksdd
    python benchmarks/efficientad.py --latency

One row per variant and seed in results/<out>.csv, means in results/<out>.md. Rows that the CSV has are not
repeated: a run that was killed goes on. Variants that differ in α alone share a training.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from tqdm import tqdm

import common
from adrefine import manifest, runtime
from adrefine.defects.pipeline import make_all, sources
from adrefine.detectors.base import Images
from adrefine.detectors.efficientad import EfficientAD
from adrefine.detectors.efficientad.maps import raw
from adrefine.detectors.efficientad.settings import Settings
from adrefine.detectors.efficientad.training import Networks
from adrefine.distillation import images, index, pretrain
from adrefine.evaluation import _mask
from adrefine.ingestion.pipeline import ingest
from adrefine.io import write_csv, write_json, write_text
from adrefine.metrics import detection, localization
from adrefine.params import EfficientAD as Params
from adrefine.params import parse

NO_CDO = {"coeff_cdo": 0.0}
# training: losses; (name in the table, α of the fused map)
VARIANTS: list[tuple[dict[str, float], list[tuple[str, float]]]] = [
    ({"coeff_ae": 0.0, "coeff_stae": 0.0, **NO_CDO}, [("student alone", 1.0)]),
    ({"coeff_hard": 0.0, **NO_CDO}, [("autoencoder alone", 0.0)]),
    (NO_CDO, [("student + autoencoder", 0.5)]),
    ({**NO_CDO, "coeff_ood": 1.0}, [("student + autoencoder, OOD", 0.5)]),
    ({}, [("student + autoencoder, CDO", 0.5), ("the same, α 1", 1.0), ("the same, α 0", 0.0)]),
    ({"coeff_ood": 1.0}, [("student + autoencoder, CDO, OOD", 0.5)]),
]
KEYS = ["seed", "side", "steps"]
NAMES = [name for _, named in VARIANTS for name, _ in named]


def main() -> None:
    """Run what is missing, then write the table; or measure the latency."""
    args = arguments()
    if args.latency:
        found = latency(args.side or 256)
        write_json(common.RESULTS / "efficientad_latency.json", found)
        print(found)
        return
    table, prepared = prepare(args)
    target, s = common.RESULTS / f"{args.out}.csv", settings(args, {}, 0)
    done = pd.read_csv(target) if target.exists() else pd.DataFrame(columns=["variant", *KEYS])
    todo = [(changes, named, seed) for seed in args.seeds for changes, named in VARIANTS]
    for changes, named, seed in tqdm(todo, desc=args.out, unit="training"):
        same = (done[KEYS] == [seed, s.side, s.steps]).all(axis=1)
        names = [name for name, _ in named]
        if not set(names) <= set(done.loc[same, "variant"]):
            rows = run(table, prepared, args, changes, named, seed)
            done = pd.concat([done[~(same & done["variant"].isin(names))], pd.DataFrame(rows)])
            write_csv(target, done)
    write_text(common.RESULTS / f"{args.out}.md", report(pd.read_csv(target), args))


def arguments() -> argparse.Namespace:
    """The command line."""
    raw_text = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw_text)
    parser.add_argument("--name", default="mvtec", help="dataset layout: mvtec, mtd, ksdd2, folder")
    parser.add_argument("--root", default="data/raw", help="folder of the dataset")
    parser.add_argument("--generic", help="folder of generic images, for the variants with OOD")
    parser.add_argument("--size", type=int, default=256, help="working size of the photos, pixels")
    parser.add_argument("--side", type=int, help="input of the networks, pixels; default: the preset's")
    parser.add_argument("--steps", type=int, help="steps of a training; default: the preset's")
    parser.add_argument("--preset", default="fast", choices=["fast", "paper"])
    parser.add_argument("--n-train", type=int, help="size of the training set; all good photos by default")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", default="efficientad", help="name of the result files")
    parser.add_argument("--latency", action="store_true", help="measure a prediction and nothing else")
    return parser.parse_args()


def prepare(args: argparse.Namespace) -> tuple[pd.DataFrame, Path]:
    """Manifest of the dataset and what pretrain_pdn makes of it; quick the second time."""
    params = parse({"dataset": {"name": args.name, "root": args.root, "image_size": args.size}})
    work = common.WORK / f"{args.name}-{Path(args.root).name}-{args.size}"
    ingest(params.dataset, work / "ingested")
    table = manifest.read(work / "ingested" / "manifest.csv")
    if not (work / "synthetic" / "manifest.csv").exists():
        made = make_all(sources(table), work / "synthetic", params.synthesize)
        manifest.write(work / "synthetic" / "manifest.csv", made)
    twins = manifest.read(work / "synthetic" / "manifest.csv")
    generic = images.find(Path(args.generic)) if args.generic else []
    index.write(work / "prepared", table, twins, generic)
    pretrain.pretrain(pretrain.sources(table), params.pretrain_pdn, work / "prepared", work / "pdn")
    return table, work / "prepared"


def settings(args: argparse.Namespace, changes: dict[str, float], seed: int) -> Settings:
    """Those of one training."""
    return Settings.of(detector_params(args, changes, seed))


def detector_params(args: argparse.Namespace, changes: dict[str, float], seed: int) -> Params:
    """The section `efficientad` of one training."""
    given = {"preset": args.preset, "side": args.side, "steps": args.steps, "seed": seed}
    return Params.model_validate({**given, **changes})


def run(
    table: pd.DataFrame,
    prepared: Path,
    args: argparse.Namespace,
    changes: dict[str, float],
    named: list[tuple[str, float]],
    seed: int,
) -> list[dict[str, Any]]:
    """The rows of one training: image and pixel metrics on all test photos."""
    train = manifest.of_split(table, "train").sort_values("image_id")
    ids = tuple(train["image_id"])[: args.n_train]
    detector = EfficientAD(detector_params(args, changes, seed))
    start = time.perf_counter()
    detector.fit(Images(ids, prepared))
    seconds = time.perf_counter() - start
    test = manifest.of_split(table, "test").sort_values("image_id")
    seen, files = Images(tuple(test["image_id"]), prepared), [Path(path) for path in test["path"]]
    masks = [_mask(*paths) for paths in zip(test["mask_path"], test["path"], strict=True)]
    rows = []
    for name, alpha in named:
        detector.set_alpha(alpha)
        found = {"auroc": detection.auroc(test["label"], detector.score(seen).image)}
        maps = detector.maps(seen, files)
        found |= {} if maps is None else localization.localization_metrics(maps, masks)
        keys = {"seed": seed, "side": detector.settings.side, "steps": detector.settings.steps}
        rows.append({"variant": name, **keys, **found, "seconds": round(seconds, 1)})
    return rows


def report(done: pd.DataFrame, args: argparse.Namespace) -> str:
    """Mean ± standard deviation over the seeds, as Markdown."""
    columns = {"auroc": "image AUROC", "pixel_auroc": "pixel AUROC", "aupro": "AU-PRO"}
    s = settings(args, {}, 0)
    done = done[(done[["side", "steps"]] == [s.side, s.steps]).all(axis=1)]
    lines = [
        f"{s.steps} steps of {s.batch_size} images at {s.side}², photos at {args.size}², "
        f"seeds {', '.join(map(str, sorted(done['seed'].unique())))}.", "",
        "| variant | " + " | ".join(columns.values()) + " | seconds |", "|---" * (len(columns) + 2) + "|",
    ]  # fmt: skip
    for name in NAMES:
        rows = done[done["variant"] == name]
        cells = [f"{rows[column].mean():.3f} ± {rows[column].std(ddof=0):.3f}" for column in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {rows['seconds'].mean():.0f} |")
    return "\n".join(lines) + "\n"


def latency(side: int, repeats: int = 30) -> dict[str, Any]:
    """Milliseconds per photo of `side`², one at a time: teacher, student, autoencoder and both raw maps."""
    from adrefine.backbones.pdn import read

    device, dtype = runtime.device(), runtime.inference_dtype()
    networks, teacher = Networks("small", Settings.of(Params(side=side))), read().network()
    networks, teacher = (net.eval().to(device, dtype) for net in (networks, teacher))  # type: ignore[assignment]
    networks, teacher = (net.to(memory_format=torch.channels_last) for net in (networks, teacher))  # type: ignore[assignment,call-overload]
    photo = torch.rand(1, 3, side, side).to(device, dtype).contiguous(memory_format=torch.channels_last)

    def predict(image: torch.Tensor) -> torch.Tensor:
        return raw(teacher(image), networks.student(image), networks.autoencoder(image))

    found: dict[str, Any] = {"side": side, "device": str(device), "dtype": str(dtype)}
    found |= {"size": "small", "threads": torch.get_num_threads(), "repeats": repeats}
    with torch.inference_mode():
        return found | _milliseconds({"eager": predict, "compiled": torch.compile(predict)}, photo, repeats)


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
    return {f"{name}_ms": round(1000 * min(found[2:]), 1) for name, found in seconds.items()}


if __name__ == "__main__":
    main()
