"""Frozen networks as engines: the one place that decides what computes their maps, and how precisely.

On a CPU that is OpenVINO, several times as fast as torch; on a GPU, and where OpenVINO has no wheel, torch.
What needs gradients asks for torch.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import shutil
import sys
import tempfile
import threading
import warnings
from collections import defaultdict
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import nn

from adrefine import paths
from adrefine.backbones.positions import resized_positions
from adrefine.errors import UserError
from adrefine.io import read_json, sha256_file, write_json
from adrefine.runtime import hardware

if TYPE_CHECKING:
    from adrefine.params import Runtime

CODE_VERSION = 1  # raise it when a change to this module changes maps: converted networks are then made anew
_NO_HALVES = "runtime.precision = bf16: this processor has no units for it: set it to f32"
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}
_FILE = "net.xml"  # and net.bin
_SUMS = "sums.json"  # of both
_TELEMETRY = "openvino_telemetry"


class Engine(Protocol):
    """Computes the maps of a frozen network.

    Attributes:
        name: engine, its version and its precision, as keys of caches have it.
        device: where images are wanted and maps are.
        dtype: the precision of its arithmetic.
    """

    name: str
    device: torch.device
    dtype: torch.dtype

    def __call__(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Maps [(b, c_i, h_i, w_i)], float32 or finer, of images (b, 3, h, w) in 0..1."""


def start(net: nn.Module, runtime: Runtime) -> Engine:
    """The engine that `runtime` chooses, with the frozen network `net`.

    Raises:
        UserError: OpenVINO was asked for and is not installed or finds a GPU; or bf16, without units for it.
    """
    device, dtype = hardware.device(), precision(runtime)
    return OpenVino(net, dtype) if chosen(runtime) == "openvino" else Torch(net, device, dtype)


def chosen(runtime: Runtime) -> str:
    """`openvino` or `torch`; see `start`."""
    on_cpu, there = hardware.device().type == "cpu", importlib.util.find_spec("openvino") is not None
    if runtime.engine == "auto":
        return "openvino" if on_cpu and there else "torch"
    if runtime.engine == "openvino" and not (on_cpu and there):
        why = "it is not installed" if on_cpu else f"here it would leave {hardware.device()} idle"
        raise UserError(f"runtime.engine = openvino: {why}: set it to auto")
    return runtime.engine


def precision(runtime: Runtime) -> torch.dtype:
    """float32 or bfloat16. `auto` is float32 on every CPU, so that two machines agree; bfloat16 on a GPU."""
    if runtime.precision != "auto":
        return DTYPES[runtime.precision]
    halves = hardware.device().type == "cuda" and torch.cuda.is_bf16_supported()
    return torch.bfloat16 if halves else torch.float32


class Torch:
    """The network as it is, weights and all in `dtype`; differentiable in the images."""

    def __init__(self, net: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
        self.device, self.dtype = device, dtype
        self.name = f"torch {torch.__version__} {device.type} {dtype}"
        self.net = net.to(device, dtype).to(memory_format=torch.channels_last)

    def __call__(self, images: torch.Tensor) -> list[torch.Tensor]:
        """See `Engine`."""
        seen = images.to(self.device, self.dtype, non_blocking=True)
        precise = torch.promote_types(self.dtype, torch.float32)
        output = self.net(seen.contiguous(memory_format=torch.channels_last))
        return [maps.to(precise) for maps in _listed(output)]


class OpenVino:
    """The network compiled for this CPU, once for each shape of image.

    Images go through one by one, each on one thread, so neither the batch nor the number of cores changes a
    bit. Any number of threads may call it: each takes an idle request, so there are as many as threads that
    ever called at once. One of its own for every thread that comes and goes would let the memory grow.
    """

    def __init__(self, net: nn.Module, dtype: torch.dtype) -> None:
        self.device, self.dtype = torch.device("cpu"), dtype
        self._core = openvino_package().Core()
        self._hint = next(name for name, kind in DTYPES.items() if kind == dtype)
        if self._hint.upper() not in {"F32", *self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")}:
            raise UserError(_NO_HALVES)
        self.name = f"openvino {metadata.version('openvino')} {dtype}"
        self._net, self._digest = net, _digest(net)
        self._compiled: dict[tuple[int, ...], Any] = {}
        self._lock = threading.Lock()
        self._idle: defaultdict[tuple[int, ...], list[Any]] = defaultdict(list)  # requests, by shape

    def __call__(self, images: torch.Tensor) -> list[torch.Tensor]:
        """See `Engine`."""
        each = [self._infer(image) for image in images.float().contiguous().split(1)]
        return [torch.cat(maps) for maps in zip(*each, strict=True)]

    def _infer(self, image: torch.Tensor) -> list[torch.Tensor]:
        shape = tuple(image.shape)
        model = self._model(shape)
        with self._lock:
            idle = self._idle[shape]
            request = idle.pop() if idle else model.create_infer_request()
        outputs = request.infer([image.numpy()], share_inputs=True)
        maps = [torch.from_numpy(one.copy()) for one in outputs.values()]
        with self._lock:
            idle.append(request)
        return maps

    def _model(self, shape: tuple[int, ...]) -> Any:
        """The network compiled for images of `shape`: a stream for each thread that this process may use."""
        with self._lock:
            if shape not in self._compiled:
                streams = hardware.threads()
                options = {
                    "INFERENCE_PRECISION_HINT": self._hint,
                    "NUM_STREAMS": streams,
                    "INFERENCE_NUM_THREADS": streams,
                    "ENABLE_CPU_PINNING": False,  # or two processes would share a core while another is idle
                }
                graph = self._core.read_model(self._converted(shape))
                try:
                    self._compiled[shape] = self._core.compile_model(graph, "CPU", options)
                except RuntimeError:
                    if self._hint == "f32":
                        raise
                    raise UserError(_NO_HALVES) from None  # it has them, and ONEDNN_MAX_CPU_ISA forbids them
            return self._compiled[shape]

    def _converted(self, shape: tuple[int, ...]) -> Path:
        """The network for images of `shape` in OpenVINO's format: from the cache, or made and left there."""
        folder = paths.shared_cache("engines") / f"{self._digest}-{'x'.join(map(str, shape))}"
        if not _is_whole(folder):
            shutil.rmtree(folder, ignore_errors=True)
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as name:
                scratch = Path(name) / "whole"
                graph = traced(self._net, torch.zeros(shape))
                openvino_package().save_model(graph, scratch / _FILE, compress_to_fp16=False)
                write_json(scratch / _SUMS, _sums(scratch))
                with suppress(OSError):  # another process was first
                    scratch.rename(folder)
        return folder / _FILE


def _is_whole(folder: Path) -> bool:
    """Whether every file there is as it was written: one that was damaged would give other features."""
    try:
        return bool(read_json(folder / _SUMS) == _sums(folder))
    except (OSError, ValueError):
        return False


def _sums(folder: Path) -> dict[str, str]:
    return {path.name: sha256_file(path) for path in sorted(folder.iterdir()) if path.name != _SUMS}


def traced(net: nn.Module, example: torch.Tensor) -> Any:
    """OpenVINO's graph of what `net` does to images of the shape of `example`."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of constants, and of a newer way that takes longer
        with resized_positions(net, example):
            script = torch.jit.trace(net, example, check_trace=False, strict=False)
        return openvino_package().convert_model(script, example_input=example, input=list(example.shape))


def _digest(net: nn.Module) -> str:
    """Name of a network by all that decides its graph: weights, settings, code, packages that trace it."""
    versions = (CODE_VERSION, torch.__version__, metadata.version("openvino"))
    plain = {key: value for key, value in vars(net).items() if isinstance(value, int | str | tuple | list)}
    digest = hashlib.sha256(f"{versions} {type(net)} {sorted(plain.items())} {net}".encode())
    with suppress(OSError, TypeError):  # made at a prompt
        digest.update(Path(inspect.getfile(type(net))).read_bytes())
    for name, values in net.state_dict().items():
        digest.update(name.encode())
        digest.update(values.contiguous().numpy())
    return digest.hexdigest()[:16]


def _listed(output: torch.Tensor | list[torch.Tensor]) -> list[torch.Tensor]:
    return [output] if isinstance(output, torch.Tensor) else output


def openvino_package() -> Any:
    """The package, kept from reporting its use to a host."""
    if _TELEMETRY not in sys.modules:
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # its import fails, and OpenVINO does without
    import openvino

    return openvino
