"""An export from a bundle: built, compared with the model on photos, and only then put in its place."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adrefine import __version__
from adrefine.errors import UserError
from adrefine.export import card, formats, int8, parity, photos
from adrefine.export.graph import build
from adrefine.export.photo import Given, given
from adrefine.io import fresh_folder, sha256_file, write_json, write_text
from adrefine.prediction.model import Model, load

SCHEMA = 1
FILE = "export.json"


@dataclass(frozen=True)
class Order:
    """What was asked for.

    Attributes:
        model: folder of the bundle. kind: `onnx`, `openvino` or `torchscript`. out: where to.
        photos: files, folders or patterns; empty: the project's. input: see `photo.given`.
        maps: whether the graph also gives a map. int8: whether convolutions are in int8, `max_loss` the
            AUROC that this may cost.
    """

    model: Path
    kind: str
    out: Path
    photos: list[str]
    input: str | None = None
    maps: bool = True
    int8: bool = False
    max_loss: float = 0.01


@dataclass(frozen=True)
class Done:
    """The folder, export.json, and what was measured in words."""

    out: Path
    facts: dict[str, Any]
    lines: list[str]


def export(order: Order) -> Done:
    """Export the model of a bundle.

    Raises:
        UserError: a package, the photos or a graph are wanting; or the graph differs from the model, or its
            int8 costs too much: then nothing is written.
    """
    formats.check(order.kind, order.int8)
    model = load(order.model)
    start = given(model.preparation, model.contents.seen, order.input)
    held = photos.find(model.contents, order.photos, order.int8)
    _refuse_strangers(order.out)
    order.out.parent.mkdir(parents=True, exist_ok=True)
    graph, example = build(model, start, order.maps)
    with tempfile.TemporaryDirectory(dir=order.out.parent, prefix=".export-") as name:
        folder = Path(name) / "made"
        folder.mkdir()
        formats.write(order.kind, graph, example, folder)
        measured, lines = _measured(order, model, start, held, folder)
        facts = _facts(order, model, start, held) | measured
        write_text(folder / card.CARD, card.text(model.contents, order.kind, start, facts, lines))
        names = sorted(path.name for path in folder.iterdir())
        facts["files"] = {name: sha256_file(folder / name) for name in names}
        write_json(folder / FILE, facts)
        fresh_folder(order.out).rmdir()
        folder.rename(order.out)
    return Done(order.out, facts, lines)


def _measured(
    order: Order, model: Model, start: Given, held: photos.Photos, folder: Path
) -> tuple[dict[str, Any], list[str]]:
    """Parity, and what int8 costs, once it was made; for export.json and in words."""
    threshold, engine = model.threshold, f"{formats.runtime(order.kind)}, one thread"
    run = formats.opened(order.kind, folder)
    both = parity.measure(model, run, start, held.compared, order.maps)
    exact = parity.summary(both, threshold, threshold, engine)
    parity.refuse(exact)
    lines = [f"{exact.line()}."]
    if not order.int8:
        return {"threshold": threshold, "parity": exact.as_json()}, lines
    seen = (photos.pixels(path, model.preparation, start)[1] for path in held.kept)
    formats.quantize(order.kind, folder, seen)
    run = formats.opened(order.kind, folder)
    cost = int8.cost(model, run, start, held)
    int8.refuse(cost, order.max_loss)
    again = parity.measure(model, run, start, held.compared, order.maps)
    rounded = parity.summary(again, threshold, cost.threshold, engine)
    lines = [f"Before int8, {lines[0]}", f"{cost.line()}.", f"With int8, {rounded.line()}."]
    measured = {"threshold": cost.threshold, "parity": rounded.as_json(), "before_int8": exact.as_json()}
    return measured | {"cost_of_int8": cost.as_json()}, lines


def _facts(order: Order, model: Model, start: Given, held: photos.Photos) -> dict[str, Any]:
    contents = model.contents
    return {
        "schema_version": SCHEMA,
        "adrefine": __version__,
        "format": order.kind,
        "runtime": formats.runtime(order.kind),
        "int8": order.int8,
        "detector": contents.detector,
        "dataset": contents.dataset,
        "input": {"name": formats.INPUT, "shape": list(start.shape), "whole_photo": start.whole},
        "maps": order.maps,
        "preparation": contents.preparation,
        "tolerance": {"score": parity.TOLERANCE, "map": parity.MAP_TOLERANCE},
        "compared_on": held.where,
    }


def _refuse_strangers(out: Path) -> None:
    if out.exists() and not ((out / FILE).is_file() or (out.is_dir() and not any(out.iterdir()))):
        raise UserError(f"{out} holds other files: give another folder to --out")
