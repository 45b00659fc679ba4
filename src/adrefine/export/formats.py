"""Writing the graph for other runtimes, and running what was written, as whoever has it will."""

from __future__ import annotations

import errno
import importlib.util
import os
import shutil
import warnings
from collections.abc import Callable, Iterable
from importlib import metadata
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from adrefine.backbones.engine import openvino_package, traced
from adrefine.errors import UserError
from adrefine.export.graph import Graph
from adrefine.io import write_bytes

Run = Callable[
    [npt.NDArray[np.uint8]], list[npt.NDArray[np.float32]]
]  # input to score and, if it has one, map
INPUT, OUTPUTS = "photo", ("score", "map")
FILES = {"onnx": "model.onnx", "openvino": "model.xml", "torchscript": "model.pt"}
_OPSET = 18
_ROOM = 2**20  # bytes; where fewer are left, the disk is full
_AFTER = ("Clip", "Relu", "Add", "AveragePool", "MaxPool")  # between the convolutions of a network
_NEEDS = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "openvino": ("openvino",), "torchscript": ()}


def check(kind: str, int8: bool) -> None:
    """That the packages that a format needs are here.

    Raises:
        UserError: one is not; or int8 was asked of a format that has none.
    """
    if int8 and kind == "torchscript":
        raise UserError("--int8 needs --format onnx or openvino: there is no useful int8 for TorchScript")
    needed = [*_NEEDS[kind], *(["nncf"] if int8 and kind == "openvino" else [])]
    if missing := [name for name in needed if importlib.util.find_spec(name) is None]:
        raise UserError(f"--format {kind} needs {' and '.join(missing)}: pip install 'adrefine[{kind}]'")


def runtime(kind: str) -> str:
    """What executes a format here, with its version."""
    name = {"onnx": "onnxruntime", "openvino": "openvino", "torchscript": "torch"}[kind]
    return f"{name} {metadata.version(name)}"


def write(kind: str, graph: Graph, example: torch.Tensor, folder: Path) -> None:
    """Write the graph to `folder`, in float32."""
    names = list(OUTPUTS[: 1 + graph.maps])
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of constants, and of a newer way to trace
        if kind == "onnx":
            made = torch.onnx.export(
                graph,
                (example,),
                dynamo=True,
                opset_version=_OPSET,
                input_names=[INPUT],
                output_names=names,
                verbose=False,
            )
            assert made is not None
            made.save(folder / FILES[kind], external_data=False)
        elif kind == "openvino":
            _save(_openvino(graph, example, names), folder / FILES[kind])
        else:
            script: Any = torch.jit.trace(graph, example, check_trace=False, strict=False)
            held = BytesIO()  # torch itself aborts on a full disk
            torch.jit.save(script, held)
            write_bytes(folder / FILES[kind], held.getvalue())


def _save(made: Any, file: Path) -> None:
    """As OpenVINO's two files, whose writer has no words of its own for a full disk."""
    try:
        openvino_package().save_model(made, file, False)
    except RuntimeError as error:
        if shutil.disk_usage(file.parent).free < _ROOM:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file.parent)) from error
        raise


def quantize(kind: str, folder: Path, inputs: Iterable[npt.NDArray[np.uint8]]) -> None:
    """Turn the convolutions of what `write` left into int8, by what passes them of `inputs`."""
    (_quantize_onnx if kind == "onnx" else _quantize_openvino)(folder / FILES[kind], list(inputs))


def opened(kind: str, folder: Path) -> Run:
    """What was written, on one thread of this CPU and in its own precision."""
    file = folder / FILES[kind]
    if kind == "onnx":
        return _onnx(file)
    if kind == "openvino":
        options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
        compiled = openvino_package().Core().compile_model(file, "CPU", options)
        return lambda pixels: [np.array(one) for one in compiled([pixels]).values()]
    script: Any = torch.jit.load(file, map_location="cpu")

    def run(pixels: npt.NDArray[np.uint8]) -> list[npt.NDArray[np.float32]]:
        with torch.inference_mode():
            return [one.numpy() for one in script(torch.from_numpy(pixels))]

    return run


def _openvino(graph: Graph, example: torch.Tensor, names: list[str]) -> Any:
    script = traced(graph, example)
    script.inputs[0].get_tensor().set_names({INPUT})
    for output, name in zip(script.outputs, names, strict=True):
        output.get_tensor().set_names({name})
    return script


def _onnx(file: Path) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    return lambda pixels: session.run(None, {INPUT: pixels})


def _quantize_onnx(file: Path, inputs: list[npt.NDArray[np.uint8]]) -> None:
    from onnxruntime import quantization

    waiting = iter(inputs)

    class Reader(quantization.CalibrationDataReader):
        def get_next(self) -> dict[str, npt.NDArray[np.uint8]] | None:
            pixels = next(waiting, None)
            return None if pixels is None else {INPUT: pixels}

    ready, made = file.with_name("ready.onnx"), file.with_name("int8.onnx")
    quantization.quant_pre_process(str(file), str(ready), skip_symbolic_shape=True)
    quantization.quantize_static(
        str(ready),
        str(made),
        Reader(),
        op_types_to_quantize=["Conv", *_AFTER],
        nodes_to_quantize=_convolutional(ready),
        per_channel=True,
    )
    made.replace(file)
    ready.unlink()


def _convolutional(file: Path) -> list[str]:
    """Names of the convolutions of an ONNX graph, and of what follows them within the network: an activation
    that stays in 32 bits would make the convolution before it waste its 8 on values that are cut off."""
    import onnx

    deep: set[str] = set()
    names = []
    graph = onnx.load(str(file)).graph
    fixed = {one.name for one in graph.initializer} | {""}
    for node in graph.node:
        inside = node.op_type in _AFTER and all(name in deep | fixed for name in node.input)
        if node.op_type == "Conv" or inside:
            names.append(node.name)
            deep.update(node.output)
    return names


def _quantize_openvino(file: Path, inputs: list[npt.NDArray[np.uint8]]) -> None:
    openvino = openvino_package()
    import logging

    import nncf

    logging.getLogger("nncf").setLevel(logging.ERROR)
    model = openvino.Core().read_model(file)
    made = nncf.quantize(
        model,
        nncf.Dataset(inputs),
        subset_size=len(inputs),
        ignored_scope=nncf.IgnoredScope(types=["MatMul"], validate=False),
    )
    scratch = file.with_name("int8.xml")
    _save(made, scratch)
    del model, made
    scratch.with_suffix(".bin").replace(file.with_suffix(".bin"))
    scratch.replace(file)
