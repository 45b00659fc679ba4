"""anomalib's image models: by name, built, and trained by its engine. Its package is imported here alone."""

from __future__ import annotations

import inspect
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from adrefine.detectors.anomalib.mends import mended
from adrefine.detectors.anomalib.settings import Settings
from adrefine.errors import UserError
from adrefine.registry import hint
from adrefine.runtime import progress

Row = dict[str, float]
_PARTS = ("pre_processor", "post_processor", "evaluator", "visualizer")  # of anomalib's models
_NO_USE = {"CFM", "VlmAd"}  # point clouds; an answer in words, no score
_WATCHED = 32  # training photos that a model which measures its maps' scale measures it on


def check(settings: Settings) -> None:
    """Refuse a model or an argument that anomalib does not have.

    Raises:
        UserError: says which there are.
    """
    allowed = _arguments(_kind(settings.model))
    for name in settings.args:
        if name not in allowed:
            raise UserError(
                f"params.yaml: `anomalib.args`: {settings.model} has no argument {name!r}: "
                f"it has {', '.join(allowed)}"
            )


def build(settings: Settings, filled: bool) -> Any:
    """A new network, its weights random or as downloaded, or of the file that the section names.

    Args:
        filled: all its weights are about to be filled in: none are fetched.

    Raises:
        UserError: there is no such model or argument; the model cannot be built with them.
    """
    check(settings)
    kind, given = _kind(settings.model), dict(settings.args)
    known = inspect.signature(kind.__init__).parameters
    given |= {name: False for name in _PARTS[1:] if name in known}
    if settings.side and "pre_processor" in known:
        given["pre_processor"] = kind.configure_pre_processor(image_size=(settings.side, settings.side))
    file = None if filled else settings.weights
    with _said(settings.model, "cannot be built"), _local(filled, file) as asked:
        net = mended(kind(**given))
    if file and not asked:
        raise UserError(
            f"anomalib.weights: {settings.model} with these anomalib.args takes no weights of timm: "
            "leave anomalib.weights empty"
        )
    return net


def at_once(net: Any) -> bool:
    """Whether it stores what it sees instead of learning in steps: it cannot go on from an earlier fit."""
    return isinstance(net, _module("anomalib.models.components").MemoryBankMixin)


def train(
    net: Any, files: Sequence[Path], settings: Settings, epochs: int, device: torch.device
) -> list[Row]:
    """Train on the photos in `files` by anomalib's engine; a row of losses for each epoch.

    Raises:
        UserError: anomalib cannot train it; says why.
    """
    with TemporaryDirectory(prefix="adrefine-") as name, _said(settings.model, "cannot be trained"):
        work = Path(name)
        _link(files, work / "good")
        _link(files[:: -(-len(files) // _WATCHED)], work / "watched")
        batch = min(settings.batch_size, len(files))
        data = _module("anomalib.data").Folder(
            name="photos",
            root=work,
            normal_dir="good",
            normal_test_dir="watched",
            val_split_mode="same_as_test",
            train_batch_size=batch,
            eval_batch_size=batch,
            num_workers=0,
            seed=settings.seed % 2**32,
        )
        with progress.bar(total=epochs, label=settings.model, unit="epoch", transient=True) as bar:
            rows = list[Row]()
            engine = _module("anomalib.engine").Engine(
                callbacks=[_listener(rows, bar.update)],
                max_epochs=epochs,
                check_val_every_n_epoch=epochs,
                accelerator="gpu" if device.type == "cuda" else "cpu",
                devices=[device.index or 0] if device.type == "cuda" else 1,
                inference_mode=False,  # what it stores then could not be changed later
                enable_progress_bar=False,
                enable_model_summary=False,
                default_root_dir=work / "out",
            )
            engine.fit(model=net, datamodule=data)
        net.trainer = None
        return rows


def version() -> str:
    """Of anomalib."""
    return str(_module("anomalib").__version__)


def _kind(model: str) -> Any:
    there = _module("anomalib.models.image")
    names = [name for name in there.__all__ if name not in _NO_USE]
    if model not in names:
        raise UserError(f"params.yaml: `anomalib.model` = {model!r} is unknown: {hint(model, names)}")
    return getattr(there, model)


def _arguments(kind: Any) -> list[str]:
    known = inspect.signature(kind.__init__).parameters
    return [name for name in known if name not in ("self", "args", "kwargs", *_PARTS)]


def _module(name: str) -> Any:
    try:
        with _quiet():
            return import_module(name)
    except ImportError as error:
        raise UserError(
            f"detector: anomalib needs the package ({error}): pip install 'adrefine[anomalib]'"
        ) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Within the block nobody logs or warns; lightning has tips at every training."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(before)


@contextmanager
def _said(model: str, what: str) -> Iterator[None]:
    """Turn whatever anomalib raises into one line."""
    try:
        with _quiet():
            yield
    except UserError:
        raise
    except Exception as error:
        reason = " ".join((str(error) or type(error).__name__).split())[:300]
        raise UserError(
            f"anomalib's {model} {what} ({type(error).__name__}: {reason}): see docs/detectors.md, anomalib"
        ) from None


@contextmanager
def _local(filled: bool, file: str | None) -> Iterator[list[str]]:
    """Within the block timm fetches nothing if the network is `filled` later, and reads `file` if one is
    given: not every model of anomalib has an argument for that.

    Yields:
        The networks that were asked for with weights.
    """
    timm, asked = _module("timm"), list[str]()
    create = timm.create_model

    def local(name: str, pretrained: bool = False, **given: Any) -> Any:
        if pretrained:
            asked.append(name)
        if pretrained and file:
            given["pretrained_cfg_overlay"] = {"file": file}
        return create(name, pretrained=pretrained and not filled, **given)

    timm.create_model = local if filled or file else create
    try:
        yield asked
    finally:
        timm.create_model = create


def _listener(rows: list[Row], moved: Callable[[], object]) -> Any:
    """A callback that keeps what an epoch's losses were."""

    class Listener(_module("lightning.pytorch").Callback):  # type: ignore[misc]
        def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
            losses = {name: float(value) for name, value in sorted(trainer.callback_metrics.items())}
            rows.append({"epoch": float(trainer.current_epoch + 1), **losses})
            moved()

    return Listener()


def _link(files: Sequence[Path], folder: Path) -> None:
    folder.mkdir()
    for number, file in enumerate(files):
        (folder / f"{number:06d}{file.suffix}").symlink_to(file.resolve())
