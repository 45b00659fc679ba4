"""Milliseconds a photo of anomalib's models at 256², torch and OpenVINO, in an environment of its own.

    python speed_of_anomalib.py

`benchmarks.predict_speed` calls it. The networks have random weights, PaDiM's and PatchCore's memories are
of 40 random photos. Prints a line of JSON.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import warnings
from typing import Any

import torch

SIDE, PHOTOS, ROUNDS = 256, 40, 8


def main() -> None:
    """Fit on noise, time, print."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    from anomalib.models import Padim, Patchcore
    from anomalib.models.image.efficient_ad.torch_model import EfficientAdModel

    torch.manual_seed(0)
    photos = torch.rand(PHOTOS, 3, SIDE, SIDE)
    nets = {
        "anomalib PaDiM": Padim(backbone="resnet18", pre_trained=False).model,
        "anomalib PatchCore": Patchcore(pre_trained=False).model,
        "anomalib EfficientAD-S": EfficientAdModel(),
    }
    times = {}
    for name, net in nets.items():
        if not name.endswith("-S"):
            _fit(net, photos, patchcore="Patch" in name)
        times[name] = _times(Plain(net).eval(), photos[:1])
    print(json.dumps(times))


class Plain(torch.nn.Module):
    """The network, with score and map as a tuple that can be traced."""

    def __init__(self, net: torch.nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, photo: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See the class."""
        output = self.net(photo)
        return output.pred_score, output.anomaly_map


def _fit(net: torch.nn.Module, photos: torch.Tensor, patchcore: bool) -> None:
    """As the library's training step and end of training do."""
    net.train()
    with torch.no_grad():
        for batch in photos.split(20):
            net(batch)
    if patchcore:
        net.subsample_embedding(0.1)
    else:
        net.fit()


def _times(net: torch.nn.Module, photo: torch.Tensor) -> dict[str, float]:
    import openvino

    jobs = {}
    with torch.no_grad():
        for threads in (1, 2):
            jobs[f"torch x{threads}"] = lambda threads=threads: (torch.set_num_threads(threads), net(photo))
        try:
            script = torch.jit.trace(net, photo, check_trace=False, strict=False)
            graph = openvino.convert_model(script, example_input=photo, input=list(photo.shape))
        except Exception as error:
            print(f"no OpenVINO graph: {error}", file=sys.stderr)
        else:
            graphs = {"f32": graph, "bf16": graph} | _in_8_bits(graph, photo)
            for precision, one in graphs.items():
                hint = "bf16" if precision == "bf16" else "f32"
                for threads in (1, 2):
                    options = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": threads}
                    compiled = openvino.Core().compile_model(one, "CPU", options)
                    jobs[f"openvino {precision} x{threads}"] = lambda one=compiled: one([photo.numpy()])
        seconds: dict[str, list[float]] = {name: [] for name in jobs}
        for _ in range(ROUNDS + 1):
            for name, job in jobs.items():
                clock = time.process_time if name.endswith(" x1") else time.perf_counter
                start = clock()
                job()
                seconds[name].append(clock() - start)
    return {name: round(1e3 * min(times[1:]), 1) for name, times in seconds.items()}


def _in_8_bits(graph: Any, photo: torch.Tensor) -> dict[str, Any]:
    """The graph as anomalib's own export compresses it, by nncf, where that is installed."""
    try:
        import nncf
    except ImportError:
        return {}
    return {"int8": nncf.quantize(graph, nncf.Dataset([photo.numpy()]), subset_size=1)}


if __name__ == "__main__":
    main()
