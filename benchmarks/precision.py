"""What bfloat16 costs or gains on this CPU, on one core: the networks in it and in float32, in turns.

    python -m benchmarks.precision

Vectors of one photo (default settings), the small PDN as a teacher (one image of 256²) and as a student
(forward and backward of one image of 128²); medians of the rounds, to results/precision.json.
`runtime.inference_dtype` chooses by `amx`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

from adrefine.backbones.pdn import Pdn
from adrefine.features.extract import Extractor
from adrefine.io import write_json
from adrefine.params import parse
from benchmarks import common
from benchmarks.conv_gradients import step

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def main() -> None:
    """Time every network, write and print the result."""
    torch.set_num_threads(1)
    kinds = {"vectors": _vectors, "teacher": _teacher, "student": _student}
    result = {
        "amx": torch.cpu._is_amx_tile_supported(),
        "milliseconds per image": {kind: _times(make) for kind, make in kinds.items()},
    }
    write_json(common.RESULTS / "precision.json", result)
    print(result)


def _times(make: Callable[[torch.dtype], Callable[[], object]]) -> dict[str, float]:
    found = common.milliseconds({name: make(dtype) for name, dtype in DTYPES.items()})
    return found | {"ratio": round(found["bfloat16"] / found["float32"], 2)}


def _vectors(dtype: torch.dtype) -> Callable[[], object]:
    extractor, photo = Extractor(parse({}).embed, dtype), torch.rand(1, 1, 448, 448)
    return lambda: extractor.extract(photo)


def _teacher(dtype: torch.dtype) -> Callable[[], object]:
    net, image = Pdn("small").to(dtype, memory_format=torch.channels_last).eval(), _image(256).to(dtype)
    return torch.inference_mode()(lambda: net(image))


def _student(dtype: torch.dtype) -> Callable[[], object]:
    net, image = Pdn("small", 768).to(memory_format=torch.channels_last).train(), _image(128)
    return partial(step, net, image, dtype)


def _image(side: int) -> torch.Tensor:
    return torch.rand(1, 3, side, side).contiguous(memory_format=torch.channels_last)


if __name__ == "__main__":
    main()
