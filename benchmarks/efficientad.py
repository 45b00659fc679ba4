"""EfficientAD: what each part brings (EAD tables 5.5 to 5.8), and what a prediction costs.

    python -m benchmarks.efficientad --root ../ksdd --generic ../photos --out efficientad_ksdd
    python -m benchmarks.efficientad --root ../ksdd --trainings both --n-train 50 100 \\
        --out efficientad_ksdd
    python -m benchmarks.efficientad --root ../ksdd --trainings both --pdn small medium --pdn-steps 200 \\
        --generic ../photos --out efficientad_ksdd
    python -m benchmarks.efficientad --latency

A training has the losses that its name says: of the student alone, of the autoencoder alone, of both, with
CDO, with the penalty on generic images (OOD), with another weight of one loss. Its maps are those of the
networks that it trains. The quantiles that normalize them come from held-out good photos, as in the document.
Besides an image scores the largest deviation of its map from the held-out good ones' at each place.
One row per map in results/<out>.csv, a table for each setting in results/<out>.md. Rows that the CSV has are
not repeated: a run that was killed goes on.
"""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import nn

from adrefine import manifest
from adrefine.backbones import engine
from adrefine.benchmark import prepared
from adrefine.benchmark.summary import figure
from adrefine.benchmark.tables import cell
from adrefine.detectors.base import Images
from adrefine.detectors.efficientad.detector import EfficientAD
from adrefine.detectors.efficientad.maps import raw
from adrefine.detectors.efficientad.settings import Settings
from adrefine.detectors.efficientad.teacher import Standardized
from adrefine.detectors.efficientad.trainer import Networks
from adrefine.evaluation.maps import draw, read_mask
from adrefine.io import write_json, write_text
from adrefine.metrics import detection, localization
from adrefine.params import Evaluate, Runtime, parse
from adrefine.runtime import hardware, progress
from adrefine.text import markdown
from benchmarks import common

OOD, NO_CDO = {"coeff_ood": 1.0}, {"coeff_cdo": 0.0}
STUDENT = {"coeff_ae": 0.0, "coeff_stae": 0.0}
AUTOENCODER = {"coeff_hard": 0.0, "coeff_stae": 0.0} | NO_CDO
LOSSES: dict[str, dict[str, float]] = {
    "autoencoder": AUTOENCODER,
    "student": STUDENT | NO_CDO,
    "student, OOD": STUDENT | NO_CDO | OOD,
    "student, CDO": STUDENT,
    "both": NO_CDO,
    "both, OOD": NO_CDO | OOD,
    "both, CDO": {},
    "both, CDO, OOD": OOD,
}
WEIGHTS = [(loss, value) for loss in ("hard", "ae", "stae", "cdo") for value in (0.3, 3)] + [("ood", 0.1)]
SWEPT = {f"both, CDO, {loss} × {value:g}": {f"coeff_{loss}": value} for loss, value in WEIGHTS}
RING = {"both, CDO, ring learned": {"ring": False}}  # also what sees a synthetic defect beside it
TRAININGS = LOSSES | SWEPT | RING
OF_SETTINGS = ["preset", "side", "tiles", "init", "steps", "batch_size", "learning_rate"]
SETTING = ["root", "size", "precision", "pdn", "pdn_steps", "n_train", "n_test", *OF_SETTINGS]
KEYS = [*SETTING, "training", "seed"]
FIGURES = {
    "auroc": "image AUROC",
    "placed_auroc": "image AUROC in deviations of each place",
    "pixel_auroc": "pixel AUROC",
    "aupro": "AU-PRO",
}
EVEN = 0.1  # share of the mean deviation that is added to that of each place, as `instant.py` does


def main() -> None:
    """Run what is missing, then write the table; or measure the latency."""
    args = arguments()
    if args.latency:
        times = latency(args.side or 256)
        write_json(common.RESULTS / "efficientad_latency.json", times)
        print(times)
        return
    target = common.RESULTS / f"{args.out}.csv"
    done = common.rows_of(target, KEYS)
    for pdn in args.pdn:
        data = prepare(args, pdn)
        todo = list(itertools.product(args.seeds, args.n_train, args.trainings))
        for seed, n_train, training in progress.over(todo, label=args.out, unit="training"):
            settings, data_of = settings_of(args, training, seed), drawn(data, n_train, args.n_test)
            keys = {"root": Path(args.root).name, "size": args.size, "precision": args.precision}
            keys |= {"pdn": pdn, "pdn_steps": args.pdn_steps}
            keys |= {"n_train": len(data_of.train), "n_test": len(data_of.test)}
            keys |= {name: getattr(settings, name) for name in OF_SETTINGS}
            keys |= {"training": training, "seed": seed}
            if not (done[KEYS] == list(keys.values())).all(axis=1).any():
                rows = [keys | row for row in run(EfficientAD(settings), training, data_of)]
                done = common.add_rows(target, pd.DataFrame(rows), [*KEYS, "map"])
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
    parser.add_argument("--trainings", nargs="+", default=list(LOSSES), choices=TRAININGS, metavar="NAME")
    parser.add_argument("--precision", default="f32", choices=["f32", "bf16"], help="of the trainings, too")
    parser.add_argument("--pdn", nargs="+", default=["small"], choices=["small", "medium"])
    parser.add_argument(
        "--pdn-steps", type=int, default=0, help="steps that distil it; 0: the bundled weights"
    )
    parser.add_argument(
        "--n-train", type=int, nargs="+", default=[0], help="training photos; 0: all good ones"
    )
    parser.add_argument("--n-test", type=int, default=0, help="test photos, half of them defective; 0: all")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--out", default="efficientad", help="name of the result files")
    parser.add_argument("--latency", action="store_true", help="measure a prediction and nothing else")
    return parser.parse_args()


class Data(NamedTuple):
    """Photos of one training: what it learns, what normalizes its maps, what it is tested on."""

    train: pd.DataFrame
    held: pd.DataFrame
    test: pd.DataFrame
    folder: Path

    def images(self, rows: pd.DataFrame) -> Images:
        return Images(tuple(rows["image_id"]), self.folder)


def prepare(args: argparse.Namespace, pdn: str) -> prepared.Prepared:
    """Manifest of the dataset and what EfficientAD reads; quick the second time."""
    teacher: dict[str, Any] = {"images": args.generic}
    if args.pdn_steps:  # as `distil_pdn` does it
        teacher |= {"size": pdn, "init": "scratch", "steps": args.pdn_steps, "side": 128}
        teacher |= {"learning_rate": 1e-3, "decay": 0.25, "norm_images": 500}
    dataset = {"name": args.name, "root": args.root, "image_size": args.size}
    sections = {"dataset": dataset, "pretrain_pdn": teacher, "detector": "efficientad"}
    sections |= {"efficientad": {"preset": args.preset}, "runtime": {"precision": args.precision}}
    return prepared.prepare(parse(sections))


def drawn(data: prepared.Prepared, n_train: int, n_test: int) -> Data:
    """The first `n_train` training photos, and `n_test` test photos, half of them defective; 0: all."""
    train, held, test = (
        manifest.of_split(data.table, split).sort_values("image_id") for split in ("train", "val", "test")
    )
    if n_test:
        halves = [draw(rows, n_test // 2) for _, rows in test.groupby("label")]
        test = pd.concat(halves).sort_values("image_id")
    return Data(train[: n_train or None], held, test, data.inputs)


def settings_of(args: argparse.Namespace, training: str, seed: int) -> Settings:
    """The section `efficientad` of one training."""
    given = {name: getattr(args, name) for name in ("preset", "side", "tiles", "init", "steps")}
    fixed = {"holdout": 0.0, "normalize": "photo", "seed": seed}
    return Settings.model_validate({**given, **fixed, **TRAININGS[training]})


class Copied(nn.Module):
    """The teacher in the student's place: an autoencoder trained alone is compared with the teacher."""

    def __init__(self, teacher: Standardized) -> None:
        super().__init__()
        self.teacher = teacher

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(b, 768, h', w'): the teacher's features as both halves."""
        return self.teacher(images).repeat(1, 2, 1, 1)


def run(detector: EfficientAD, training: str, data: Data) -> list[dict[str, Any]]:
    """One training: image and pixel metrics of its maps on the test photos; an image scores its maximum."""
    start = time.process_time()
    detector.fit(data.images(data.train))
    seconds = time.process_time() - start
    if training == "autoencoder":
        assert detector.networks is not None
        detector.networks.add_module("student", Copied(detector._teacher(data.images(data.train))))
    detector.calibrate(data.images(data.held))
    files, of_held = ([Path(path) for path in rows["path"]] for rows in (data.test, data.held))
    good = maps_of(detector, training, data.images(data.held), of_held)
    masks = [read_mask(*paths) for paths in zip(data.test["mask_path"], data.test["path"], strict=True)]
    rows = []
    for name, maps in maps_of(detector, training, data.images(data.test), files).items():
        measures = {"auroc": detection.auroc(data.test["label"], maps.max(axis=(1, 2)))}
        measures["placed_auroc"] = detection.auroc(data.test["label"], placed(maps, good[name]))
        measures |= localization.localization_metrics(maps, masks)
        told = {key: round(value, 4) for key, value in measures.items()}
        rows.append({"map": name, **told, "cpu_seconds": round(seconds, 1)})
    return rows


def maps_of(detector: EfficientAD, training: str, seen: Images, files: list[Path]) -> dict[str, np.ndarray]:
    """Maps of the networks that were trained; of both together for two α (EAD eq. 4.12)."""
    trained = training.split(",")[0]
    of = {}
    for name, alpha in (("student", 1.0), ("autoencoder", 0.0)):
        if trained in ("both", name):
            detector.apply(Evaluate(alpha=alpha))
            of[name] = np.asarray(detector.maps(seen, files))
    if trained == "both":
        for alpha in (0.5, 0.9):
            of[f"both, α = {alpha}"] = alpha * of["student"] + (1 - alpha) * of["autoencoder"]
    return of


def placed(maps: np.ndarray, good: np.ndarray) -> np.ndarray:
    """(n,) largest deviation of each map (n, h, w) from the maps of good photos, at each place."""
    spread = good.std(axis=0)
    return ((maps - good.mean(axis=0)) / (spread + EVEN * spread.mean())).max(axis=(1, 2))


def report(done: pd.DataFrame) -> str:
    """A Markdown table for each setting; of several seeds mean ± standard deviation."""
    lines = []
    for setting, rows in done.groupby(SETTING):
        of = dict(zip(SETTING, setting, strict=True))
        minutes = f"{rows['cpu_seconds'].mean() / 60:.1f} minutes of one core a training"
        seen = f"tiles of {of['side']}²" if of["tiles"] else f"whole photos at {of['side']}²"
        seeds = ", ".join(map(str, sorted(rows["seed"].unique())))
        teacher = f"distilled in {of['pdn_steps']} steps" if of["pdn_steps"] else "as bundled"
        lines += [
            f"{of['n_train']} training photos, {of['n_test']} test photos; {of['pdn']} PDN {teacher}; "
            f"{of['steps']} steps of {of['batch_size']} images, {seen}, init {of['init']}, "
            f"{of['precision']}, rate {of['learning_rate']:g}; {minutes}; seeds {seeds}.", "",
        ]  # fmt: skip
        order = [(training, name) for training in TRAININGS for name in rows["map"].unique()]
        groups = dict(list(rows.groupby(["training", "map"])))
        cells = [
            [*key, *(_cell(groups[key][column].dropna().to_numpy()) for column in FIGURES)]
            for key in order
            if key in groups
        ]
        lines += markdown(["training", "map", *FIGURES.values()], cells)
    return "\n".join(lines)


def _cell(values: np.ndarray) -> str:
    """Of the seeds that have the figure."""
    return cell(figure(values), len(values)) if len(values) else ""


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
