"""Everything of stage pretrain_pdn but its files' places: start, distil, describe, write."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import pandas as pd
import torch

from adrefine.backbones import engine, pdn
from adrefine.distillation import moments
from adrefine.distillation.checkpoint import Checkpoints
from adrefine.distillation.images import Sampler, find
from adrefine.distillation.loop import Distillation
from adrefine.distillation.target import Target, load_backbone
from adrefine.errors import UserError
from adrefine.io import sha256_file, write_csv, write_json
from adrefine.params import PretrainPdn, Runtime
from adrefine.runtime import hardware
from adrefine.runtime.seeds import seed_everything

CODE_VERSION = 1  # raise it when a change to this package changes weights: old checkpoints are then not used
SIDE = 256  # pixels at which the statistics are taken (EAD sect. 4.3)
_DESCRIBED = 100  # photos of 4,096 features each: enough for a mean and a deviation
_POINTS = 500  # most rows of the loss curve


def sources(manifest: pd.DataFrame) -> pd.DataFrame:
    """Photos to learn from, without labels: all but the test photos."""
    return manifest.loc[manifest["split"] != "test", ["image_id", "path"]].sort_values("image_id")


def pretrain(
    photos: pd.DataFrame, params: PretrainPdn, out: Path, cache: Path, runtime: Runtime | None = None
) -> dict[str, float]:
    """Write `pdn.pt`, `loss.csv` and, last, `meta.json` to `out`.

    Args:
        photos: training photos, columns image_id and path.
        cache: folder of checkpoints; a killed run goes on from the last one.

    Returns:
        Number of `photos`, `generic` images and `steps`; `images_per_second` of the steps done now, 0: none.

    Raises:
        UserError: no photo, no folder of generic images, or weights that cannot be had.
    """
    if photos.empty:
        raise UserError("there is no photo to train on: data/ingested/manifest.csv has test photos alone")
    runtime, own = runtime or Runtime(), [Path(path) for path in photos["path"]]
    generic = find(Path(params.images))
    seed_everything(params.seed)
    weights, losses, throughput = distil(photos, generic, params, cache, runtime)
    weights.save(out / "pdn.pt")
    seen = moments.sample(own, photos["image_id"].tolist(), _DESCRIBED, params.seed)
    mean, std = describe(pdn.read(out / "pdn.pt"), seen, runtime)
    write_csv(out / "loss.csv", curve(losses))
    chosen = ("size", "init", "teacher", "steps", "seed")
    counts = {"photos": len(own), "generic": len(generic) if params.steps else 0}
    meta = {key: getattr(params, key) for key in chosen} | counts | {"statistics_of": len(seen), "side": SIDE}
    meta["runtime"] = runtime.model_dump(exclude={"cluster"})  # of the teacher, wherever it is asked
    write_json(out / "meta.json", meta | {"channel_mean": _listed(mean), "channel_std": _listed(std)})
    return counts | {"steps": params.steps, "images_per_second": round(throughput, 2)}


def distil(
    photos: pd.DataFrame, generic: list[Path], params: PretrainPdn, cache: Path, runtime: Runtime
) -> tuple[pdn.Weights, list[float], float]:
    """Weights after `params.steps` steps, from the bundled weights or from scratch; the loss of each step;
    images a second."""
    bundled = pdn.read() if params.init == "bundled" else None
    if bundled and not params.steps:
        return bundled, [], 0.0
    paths = [*(Path(path) for path in photos["path"]), *generic]
    names = [*photos["image_id"], *(_name(path, params) for path in generic)]
    target = Target(load_backbone(params.teacher, params.weights), runtime)
    key = _key(photos, generic, params, target.engine.name)
    checkpoints = Checkpoints(cache / key, params.steps, params.decay)
    run = Distillation(bundled.network() if bundled else pdn.Pdn(params.size), target, params)
    state = checkpoints.load(hardware.device())
    if state:
        run.resume(state)
    elif bundled:  # their own normalization, or the last layer would have to be learned again
        target.normalize_by(bundled.mean, bundled.std)
    else:
        seen = moments.sample(paths, names, params.norm_images, params.seed)
        target.normalize_by(*moments.of_images(target.features, seen, 2 * SIDE))
    run.run(Sampler(paths, params.side, params.min_crop, params.grayscale, params.seed), checkpoints)
    return pdn.Weights(run.net.state_dict(), target.mean, target.std), run.losses, run.images_per_second


def describe(weights: pdn.Weights, paths: list[Path], runtime: Runtime) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and deviation (384,) of the PDN's features of whole photos at 256², with padding."""
    net = engine.start(weights.network().eval().requires_grad_(False), runtime)

    def features(images: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return net(images)[0]

    return moments.of_images(features, paths, SIDE)


def curve(losses: list[float]) -> pd.DataFrame:
    """Columns step and loss: the mean loss of equal stretches, at most _POINTS of them."""
    table = pd.DataFrame({"step": range(1, len(losses) + 1), "loss": losses}, dtype=float)
    stretch = max(1, math.ceil(len(losses) / _POINTS))
    grouped = table.groupby((table["step"] - 1) // stretch)
    return grouped.agg({"step": "last", "loss": "mean"}).astype({"step": int})


def _key(photos: pd.DataFrame, generic: list[Path], params: PretrainPdn, engine_name: str) -> str:
    """Name of the checkpoints' folder: all that decides the weights, but the number of steps."""
    settings = params.model_dump(exclude={"steps", "images", "weights"})
    parts = [str(CODE_VERSION), str(settings), str(hardware.device().type), engine_name]
    parts.append(sha256_file(Path(params.weights)) if params.weights else "packaged")
    parts.append(sha256_file(pdn.BUNDLED) if params.init == "bundled" else "scratch")
    digest = hashlib.sha256("\n".join([*parts, *photos["image_id"]]).encode())
    for path in generic:
        digest.update(f"\n{_name(path, params)} {path.stat().st_size}".encode())
    return digest.hexdigest()[:16]


def _name(path: Path, params: PretrainPdn) -> str:
    """Path of a generic image within their folder, wherever that is."""
    return path.relative_to(params.images).as_posix()


def _listed(values: torch.Tensor) -> list[float]:
    return [float(f"{value:.6g}") for value in values.tolist()]
