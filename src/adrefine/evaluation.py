"""What refinement gained: the initial, the refined and the oracle model measured on the same test images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from adrefine import history, manifest
from adrefine.detectors.base import Detector, Images
from adrefine.errors import UserError
from adrefine.io import read_csv, read_json
from adrefine.metrics import cleaning, deciding, detection, localization, ranking, reviewing
from adrefine.params import Evaluate
from adrefine.paths import PIXELS, PLACES
from adrefine.places.store import open_places
from adrefine.report import gallery, notes, words
from adrefine.report.data import ReportData
from adrefine.report.turned import NONE, Turned
from adrefine.review import REMOVE
from adrefine.runtime.seeds import derived_seed

MODELS = tuple(words.MODELS)  # initial, refined, oracle
# Anomaly maps (n, h, w) from data/prepared, the photos that trained, and the ids and files of those to show.
Mapper = Callable[[Path, Sequence[str], Sequence[str], Sequence[Path]], np.ndarray]


@dataclass(frozen=True)
class Inputs:
    """Everything evaluate reads.

    `models`: by name, `oracle` only where there is a ceiling; `refined`: the refined manifest with labels;
    `summary`, `history`, `round_scores`, `queue`: as the refine stage wrote them; `prepared`: data/prepared,
    of which the detector `reads` these folders; `mapper`: what makes the maps of any detector's photos
    (`places.maps.of_photos`), None: the detector itself; `throughput`: images a second of the distillation;
    `turned`: examples of turned photos; `supervision`: how many real defects there are to learn,
    and how many of them the detector learned.
    """

    models: dict[str, Detector]
    refined: pd.DataFrame
    history: pd.DataFrame
    round_scores: pd.DataFrame
    queue: pd.DataFrame
    summary: dict[str, Any]
    noise: dict[str, Any]
    prepared: Path
    reads: tuple[str, ...]
    mapper: Mapper | None = None
    throughput: float | None = None
    turned: Turned = NONE
    supervision: dict[str, int] = field(default_factory=dict)


def evaluate(inputs: Inputs, params: Evaluate, settings: dict[str, Any]) -> ReportData:
    """Score test and held-out images with every model and gather metrics, tables and maps for the report."""
    for model in inputs.models.values():
        model.set_alpha(params.alpha)
    table = inputs.refined
    test = table[table["in_test"] == 1].sort_values("image_id", ignore_index=True)
    train = manifest.of_split(table, "train").sort_values("image_id", ignore_index=True)
    scores = {name: _scores(model, test, inputs.prepared) for name, model in inputs.models.items()}
    held = _held_out(table)
    good = {name: _scores(model, held, inputs.prepared) for name, model in inputs.models.items()}
    thresholds = {
        name: detection.conformal_threshold(found, params.target_fpr, manifest.parts(held))
        for name, found in good.items()
    }
    metrics = _metrics(inputs, params, train, test, scores, thresholds)
    if _labelled(test):
        metrics |= _rounded(_decisions(inputs, test, scores, thresholds, (held, good)))
    if known := inputs.supervision:
        metrics["supervision"] = known | _recycled(train)
    data = ReportData(
        settings=settings | _of_inputs(inputs),
        metrics=metrics,
        train=train,
        history=inputs.history,
        rounds=_rounds(inputs, train, test),
        test=test.assign(**scores),
        thresholds=thresholds,
        stop_reason=inputs.summary["stop_reason"],
        queue=inputs.queue,
        notes=[*notes.told(inputs.summary, train), *notes.notes(table, test, metrics, settings)],
        distillation=_distillation(inputs.prepared / PIXELS),
        throughput=inputs.throughput,
        turned=inputs.turned,
    )
    return replace(data, maps=_gallery_maps(inputs, data, params.gallery))


def _labelled(test: pd.DataFrame) -> bool:
    return set(test["label"]) == {manifest.GOOD, manifest.DEFECT}


def _scores(model: Detector, rows: pd.DataFrame, prepared: Path) -> np.ndarray:
    return model.score(Images(tuple(rows["image_id"]), prepared)).image if len(rows) else np.zeros(0)


def _held_out(table: pd.DataFrame) -> pd.DataFrame:
    """Held-out photos that nobody called defective; thresholds come from them, never from test images."""
    held = table[(table["split"] == "val") & (table["label"] != manifest.DEFECT)]
    held = held[held["reviewed"] != REMOVE]
    if held.empty:
        raise UserError("there is no held-out good photo to set the threshold: raise dataset.val_fraction")
    return held


def _decisions(
    inputs: Inputs,
    test: pd.DataFrame,
    scores: dict[str, np.ndarray],
    thresholds: dict[str, float],
    held_out: tuple[pd.DataFrame, dict[str, np.ndarray]],
) -> dict[str, Any]:
    """What each model decides at three thresholds, and which types of defect it catches at the first.

    Args:
        held_out: photos, and their scores by each model.
    """
    held, good = held_out
    twins, defect = _twins(inputs, held), (test["label"] == manifest.DEFECT).to_numpy()
    found: dict[str, Any] = {"thresholds": {}, "recall_by_type": {}}
    for name, model in inputs.models.items():
        validation = None
        if len(twins):
            both = np.concatenate([good[name], _scores(model, twins, inputs.prepared)])
            validation = (np.repeat([0, 1], [len(held), len(twins)]), both)
        at, kinds = thresholds[name], test["defect_type"].to_numpy(dtype=str)[defect]
        found["thresholds"][name] = deciding.side_by_side((test["label"], scores[name]), at, validation)
        found["recall_by_type"][name] = deciding.recall_by_type(kinds, scores[name][defect], at)
    return found


def _twins(inputs: Inputs, held: pd.DataFrame) -> pd.DataFrame:
    """The synthetic defects of held-out photos that the detector can score."""
    places = inputs.prepared / PLACES
    if PIXELS in inputs.reads or not (places / "meta.json").exists():
        return held[:0]
    twins, store = held.assign(image_id=held["image_id"].map(manifest.synthetic_id)), open_places(places)
    return twins[[store.has([name]) for name in twins["image_id"]]]


def _recycled(train: pd.DataFrame) -> dict[str, int]:
    """How many training photos taught as real defects, and how many of them are known to be good."""
    taught = train[train["recycled"] == 1]
    return {"recycled": len(taught), "recycled_wrong": int((taught["label"] == manifest.GOOD).sum())}


def _metrics(
    inputs: Inputs,
    params: Evaluate,
    train: pd.DataFrame,
    test: pd.DataFrame,
    scores: dict[str, np.ndarray],
    thresholds: dict[str, float],
) -> dict[str, Any]:
    """The content of reports/metrics.json: numbers only, undefined ones left out (docs/design.md)."""
    found: dict[str, Any] = {}
    if _labelled(test):
        found["detection"] = {
            name: detection.detection_metrics(test["label"], scores[name], thresholds[name])
            for name in scores
        }
        found["localization"] = _localization(inputs, params, test)
    injected = train["injected"]
    labelled = bool((train["label"] != manifest.UNKNOWN).all())
    found["cleaning"] = cleaning.cleaning_metrics(
        injected, train["kept"], train["relative_score"], inputs.summary["rounds"]
    )
    if not labelled:  # nobody knows which removed photos were defects
        found["cleaning"] = {name: found["cleaning"][name] for name in ("removed", "rounds")}
    found["cleaning"] |= {
        name: inputs.summary[name] for name in ("outcome", "share", "light") if name in inputs.summary
    }
    if labelled:
        found["ranking"] = ranking.ranking_metrics(injected, train["relative_score"])
        found["review"] = _reviewing(inputs, train)
    if "oracle" in scores and "detection" in found:
        values = [found["detection"][name]["auroc"] for name in MODELS]
        gap = cleaning.oracle_gap_closed(*values)
        found["cleaning"] |= {} if gap is None else {"oracle_gap_closed": gap}
    found["noise"] = {name: inputs.noise[name] for name in ("requested", "realised", "n_train")}
    return {name: _rounded(part) for name, part in found.items() if part}


def _reviewing(inputs: Inputs, train: pd.DataFrame) -> dict[str, float]:
    """How good the review queue is, and how good the initial detector's scores alone would be."""
    rows = inputs.queue[["image_id"]].merge(train, on="image_id", validate="1:1")
    wrong = rows["injected"] == rows["kept"]  # a defect that stayed, a good photo that went
    plain = np.argsort(-_scores(inputs.models["initial"], rows, inputs.prepared), kind="stable")
    shares = {"found": rows["injected"] == 1, "wrong": wrong}
    result: dict[str, float] = {}
    for name, sought in shares.items():
        result |= reviewing.found_at(sought, name)
        result |= reviewing.found_at(sought.to_numpy()[plain], f"plain_{name}")
    return result


def _rounded(part: Any) -> Any:
    if isinstance(part, dict):
        return {name: _rounded(value) for name, value in part.items()}
    return round(float(part), 6) if isinstance(part, float | np.floating) else int(part)


def _localization(inputs: Inputs, params: Evaluate, test: pd.DataFrame) -> dict[str, Any]:
    """Pixel metrics over `params.localize` test photos, half of them defective, drawn by their id."""
    masked = test[(test["label"] == manifest.DEFECT) & (test["mask_path"] != "")]
    half = (params.localize + 1) // 2
    chosen = pd.concat(
        [draw(masked, half), draw(test[test["label"] == manifest.GOOD], params.localize - half)]
    )
    if not params.localize or masked.empty:
        return {}
    masks = [read_mask(*paths) for paths in zip(chosen["mask_path"], chosen["path"], strict=True)]
    result = {}
    for name in inputs.models:
        maps = maps_of(inputs, name, chosen["image_id"].tolist(), [Path(path) for path in chosen["path"]])
        if maps is not None:
            result[name] = localization.localization_metrics(maps, masks)
    return result


def draw(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    """`count` photos, or all, chosen by their id alone."""
    order = rows["image_id"].map(lambda image_id: derived_seed("localize", image_id) >> 1)
    return rows.loc[order.sort_values().index[:count]]


def read_mask(mask_path: str, path: str) -> np.ndarray:
    """Mask (h, w) of a photo, all False without a file."""
    with Image.open(mask_path or path) as image:
        return np.asarray(image.convert("L")) > 0 if mask_path else np.zeros(image.size[::-1], dtype=bool)


def _rounds(inputs: Inputs, train: pd.DataFrame, test: pd.DataFrame) -> pd.DataFrame:
    """One row per model of the refinement, round 0 being the initial one."""
    rows = []
    scores = inputs.round_scores.set_index("image_id").reindex(test["image_id"])
    out_after, before = history.out_after(inputs.history), frozenset[str]()
    unknown = bool((train["label"] == manifest.UNKNOWN).any())
    for column in scores.columns:
        number = int(column.removeprefix("round_"))
        out = out_after[number]
        kept = ~train["image_id"].isin(out)
        rows.append(
            {
                "round": number,
                "kept": int(kept.sum()),
                "removed": len(out - before),
                "residual_noise": float("nan") if unknown else float(train["injected"][kept].mean()),
                "auroc": detection.auroc(test["label"], scores[column]) if _labelled(test) else float("nan"),
            }
        )
        before = out
    return pd.DataFrame(rows, columns=["round", "kept", "removed", "residual_noise", "auroc"])


def _gallery_maps(inputs: Inputs, data: ReportData, limit: int) -> dict[str, np.ndarray]:
    """Maps of the photos in the report, by the refined model, which never learned what was removed."""
    ids = gallery.needed_maps(data, limit)
    files = inputs.refined.set_index("image_id")["path"].loc[ids].map(Path).tolist()
    maps = maps_of(inputs, "refined", ids, files)
    return {} if maps is None else dict(zip(ids, maps, strict=True))


def maps_of(inputs: Inputs, name: str, ids: Sequence[str], files: list[Path]) -> np.ndarray | None:
    """Maps (n, h, w) of photos by the model `name`; None if its detector makes none.

    Of places they show what is unusual beside the photos that the model has learned.
    """
    if inputs.mapper is None:
        return inputs.models[name].maps(Images(tuple(ids), inputs.prepared), files)
    train = manifest.of_split(inputs.refined, "train")
    if name != "initial":
        train = train[train["kept"] == 1] if name == "refined" else train[train["injected"] == 0]
    return inputs.mapper(inputs.prepared, train["image_id"].tolist(), ids, files)


def _of_inputs(inputs: Inputs) -> dict[str, Any]:
    """What the report says of the detector's inputs."""
    files = [inputs.prepared / name / "meta.json" for name in inputs.reads]
    meta = {key: value for file in files if file.exists() for key, value in read_json(file).items()}
    titles = {"backbone": "backbone", "views": "views", "size": "PDN", "teacher": "distilled from"}
    titles |= {"init": "PDN starts from", "steps": "distillation steps"}
    found = {title: meta[name] for name, title in titles.items() if name in meta}
    return {**found, "maps": "places" if inputs.mapper else "the detector's own"}


def _distillation(pixels: Path) -> pd.DataFrame | None:
    """The loss curve of pretrain_pdn; None if it did no step or the detector needs none."""
    if not (pixels / "loss.csv").exists():
        return None
    curve = read_csv(pixels / "loss.csv")
    return None if curve.empty else curve
