"""README.md of an export: what is in the graph, what its caller does, an example without adrefine."""

from __future__ import annotations

from typing import Any

from adrefine.bundle.contents import Contents
from adrefine.export.formats import FILES
from adrefine.export.photo import Given
from adrefine.ingestion import scales
from adrefine.ingestion.preparation import Preparation
from adrefine.paths import FEATURES

_TEXT = """# Model of `{dataset}` for {runtime}

The graph in `{file}` is what adrefine {version} made of the anomaly detector `{detector}`{int8}.

## Use

```python
{example}```

It needs `pip install {packages} numpy pillow`.

## What the graph takes and gives

| | | |
|---|---|---|
| input | `photo` | uint8 {shape}: {what} |
| output | `score` | float32 (1,): over **{threshold:.6g}** the photo is called defective |
{map}

{inside}

## What its caller does

{caller}

## What was measured

{measured}

`export.json` has all figures and the SHA-256 of each file.
"""
_MAP = (
    "| output | `map` | float32 (1, {size}, {size}): over the picture at the working size, 1 is the "
    "threshold of maps; the verdict comes from the score |"
)
_OPEN = {
    "onnx": (
        'import onnxruntime\n\nsession = onnxruntime.InferenceSession("model.onnx")\n',
        'found = session.run(None, {"photo": pixels})\n',
    ),
    "openvino": (
        "import openvino\n\n"
        'session = openvino.Core().compile_model("model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})\n',
        "found = list(session([pixels]).values())\n",
    ),
    "torchscript": (
        'import torch\n\nsession = torch.jit.load("model.pt")\n',
        "found = [one.numpy() for one in session(torch.from_numpy(pixels))]\n",
    ),
}
CARD = "README.md"
PACKAGES = {"onnx": "onnxruntime", "openvino": "openvino", "torchscript": "torch"}


def text(contents: Contents, kind: str, given: Given, facts: dict[str, Any], lines: list[str]) -> str:
    """The card in Markdown.

    Args:
        facts: export.json. lines: what was measured, for people.
    """
    preparation = Preparation(**contents.preparation)
    size = preparation.size
    return _TEXT.format(
        dataset=contents.dataset["name"],
        runtime={"onnx": "ONNX Runtime", "openvino": "OpenVINO", "torchscript": "TorchScript"}[kind],
        file=FILES[kind],
        version=contents.adrefine,
        detector=contents.detector,
        int8=", its convolutions in int8" if facts["int8"] else "",
        example=example(kind, given, preparation),
        packages=PACKAGES[kind],
        shape=given.shape,
        what=_what(given),
        threshold=facts["threshold"],
        map=_MAP.format(size=size) if facts["maps"] else "",
        inside=_inside(contents, given, facts["maps"]),
        caller=_caller(given, preparation),
        measured="\n".join(f"- {line}" for line in lines),
    )


def example(kind: str, given: Given, preparation: Preparation) -> str:
    """A program that scores photo.png in the folder of the export."""
    begin, run = _OPEN[kind]
    return (
        "import json\n\nimport numpy as np\n"
        + begin.replace("\n\n", f"\nfrom PIL import Image, ImageOps\n\n{_FACTS}", 1)
        + _decoded(given, preparation)
        + "pixels = np.asarray(photo)[None]\n"
        + run
        + 'score = float(found[0][0])\nprint(score, "defective" if score > facts["threshold"] else "good")\n'
    )


_FACTS = 'facts = json.load(open("export.json"))\n'


def _decoded(given: Given, preparation: Preparation) -> str:
    """From the file to a picture of Pillow as the graph takes it."""
    mode, opened = given.mode, 'ImageOps.exif_transpose(Image.open("photo.png"))'
    if preparation.scales:
        scale = scales.parse(next(iter(preparation.scales.values())))
        values = f"(np.asarray({opened}, np.float32) - {scale.low:g}) * {255 / (scale.high - scale.low):.9g}"
        first = (
            f"values = {values}\nphoto = Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))\n"
        )
    else:
        first = f'photo = {opened}.convert("{mode}")\n'
    if given.whole:
        return first
    size = preparation.size
    box = ""
    if preparation.fit == "crop":
        box = ", box=(left, top, left + side, top + side)"
        first += "side = min(photo.size)\nleft, top = (photo.width - side) // 2, (photo.height - side) // 2\n"
    elif preparation.fit != "stretch":
        return (
            first + f"# here: bring the photo to the picture of {size} x {size} pixels that the graph takes\n"
        )
    shrinks = f"max(photo.size) > {size}"
    return (
        f"{first}kernel = Image.Resampling.LANCZOS if {shrinks} else Image.Resampling.BICUBIC\n"
        f"photo = photo.resize(({size}, {size}), kernel{box}, reducing_gap=3.0)\n"
    )


def _what(given: Given) -> str:
    colours = "red, green, blue" if given.colour else "grey"
    return f"the whole photo, {colours}" if given.whole else f"the photo at the working size, {colours}"


def _inside(contents: Contents, given: Given, maps: bool) -> str:
    steps = [f"`{contents.preparation['fit']}` to the working size"] if given.whole else []
    steps += [
        *(["one shade outside the region of interest"] if contents.region else []),
        "normalization",
        "views and scales" if FEATURES in contents.inputs else "resizing for the networks",
    ]
    steps += ["the frozen network", f"the detector `{contents.detector}` to its score"]
    if maps:
        steps.append("the map on the scale of the set")
    return "In the graph: " + ", ".join(steps) + "."


def _caller(given: Given, preparation: Preparation) -> str:
    rows = ["decodes the file, turns it upright (EXIF) and gives 8 bits"]
    if preparation.scales:
        scale = next(iter(preparation.scales.values()))
        rows.append(f"brings values of more than 8 bits to 8: {scale} become 0 to 255, rounded")
    if not given.whole:
        how = {
            "stretch": "resizes it as the example does",
            "crop": "crops and resizes it as the example does",
            "letterbox": "resizes it and pads it with the median shade of its border",
            "part": "turns and crops it to its part as `adrefine predict` does: no graph can",
        }[preparation.fit]
        rows.append(how)
    rows.append("compares the score with the threshold")
    return "\n".join(f"- {row};" for row in rows[:-1]) + f"\n- {rows[-1]}."
