"""The model card of a bundle: README.md, for whoever meets the folder without its project."""

from __future__ import annotations

from adrefine.bundle.contents import MODEL, Contents
from adrefine.detectors import DETECTORS
from adrefine.registry import installed
from adrefine.text import counted

_TEXT = """# Model of `{dataset}`

An anomaly detector (`{detector}`) that adrefine {version} trained on {trained} of good products.
{removed} had been removed before, believed to hide a defect.

## Use

```python
from adrefine import load_model

model = load_model("path/of/this/folder")
result = model.predict("photo.png")
print(result.score, result.defective, result.box)
```

or `adrefine predict --model path/of/this/folder photo.png`.

## What a result means

- A photo is called defective if its score is over **{threshold:.6g}**.
- {rate}
- `result.map` has a value for each pixel of the photo. 1 is the threshold of maps, one for all photos, read
  off {map_photos} by the same rule. The verdict comes from the score, not from the map.

## What it expects

- Photos like those that trained: {width} × {height} pixels, {modes}. Others are scored with a warning.
- {fit}
- {region} Another camera, light or product needs another model.

## What it reached

{metrics}

## Files

`bundle.json` has all settings and the SHA-256 of every file: `adrefine bundle check path/of/this/folder`.
{backbones}
Nothing in this folder is code, and loading it runs none.
Dataset version: SHA-256 of its manifest `{manifest}`.
"""
_WHOLE = "What is scored is the whole photo."
_PART = "What is scored is the part of the photo that is white in `{file}`: the rest counts for nothing."
_FIT = {
    "stretch": "Each photo is resized to {size} × {size} pixels.",
    "letterbox": "Each photo is resized to {size} × {size} pixels, with a border where it is not square.",
    "crop": "The centre square of each photo is resized to {size} × {size} pixels.",
    "part": "The part is found, turned upright and cropped to {size} × {size} pixels.",
}


def text(contents: Contents) -> str:
    """The card in Markdown."""
    seen, data = contents.seen, contents.dataset
    return _TEXT.format(
        dataset=data["name"],
        detector=contents.detector,
        version=contents.adrefine,
        trained=counted(data["training_photos"], "photo"),
        removed=counted(data["removed"], "photo"),
        threshold=contents.threshold.value,
        rate=_rate(contents),
        map_photos=f"{counted(contents.map.photos, 'held-out photo')}",
        width=_span(seen["width"]),
        height=_span(seen["height"]),
        modes=" and ".join({"L": "grey", "RGB": "colour"}.get(mode, mode) for mode in seen["modes"]),
        fit=_FIT[contents.preparation["fit"]].format(size=contents.preparation["size"]),
        region=_WHOLE if not contents.region else _PART.format(file=contents.region),
        metrics=_metrics(contents),
        backbones="\n".join(_backbones(contents)),
        manifest=data["manifest_sha256"],
    )


def _rate(contents: Contents) -> str:
    threshold = contents.threshold
    photos = counted(threshold.photos, "held-out photo")
    unknown = (
        f" ({threshold.unlabelled} of them without a label, taken as good)" if threshold.unlabelled else ""
    )
    if threshold.kept:
        return (
            f"At most {threshold.target_fpr:.3g} of good photos are expected over it: "
            f"it was read off {photos} that trained nothing{unknown}."
        )
    return (
        f"It is the largest score of {photos} that trained nothing{unknown}: too few to promise a "
        f"false-alarm rate of {threshold.target_fpr:.3g}. "
        f"About 1 in {threshold.parts + 1} good photos is over it."
    )


def _span(ends: list[int]) -> str:
    low, high = ends
    return str(low) if low == high else f"{low} to {high}"


def _metrics(contents: Contents) -> str:
    if not contents.metrics:
        return "Its test photos have no labels, so nothing could be measured."
    rows = [f"| {name} | {value:.4f} |" for name, value in sorted(contents.metrics.items())]
    return "\n".join(["| on test photos | |", "|---|---|", *rows])


def _backbones(contents: Contents) -> list[str]:
    lines = []
    for name, weights in sorted(contents.backbones.items()):
        where = f"in the package `{weights.package}` {weights.version}"
        if weights.file:
            where = f"in `{weights.file}`" + (
                f", for {weights.package} {weights.version}" if weights.package else ""
            )
        behind = name if name == MODEL else f"inputs/{name}"
        lines.append(f"The weights of the frozen network behind `{behind}` are {where}.")
    if package := DETECTORS.get(contents.detector)(**contents.section).package:
        lines.append(f"The detector computes with `{package}` {installed(package)}: install it there, too.")
    return lines
