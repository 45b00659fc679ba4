"""Kinds of synthetic defects by name: one file and one line here each, see docs/extending.md."""

from adrefine.registry import Registry

GENERATORS = Registry(
    "synthesize.kinds",
    "adrefine.defects",
    {
        "noise_patch": "adrefine.defects.noise_patch:NoisePatch",
        "random_walk": "adrefine.defects.random_walk:RandomWalk",
        "cutpaste": "adrefine.defects.cutpaste:CutPaste",
        "perlin": "adrefine.defects.perlin:Perlin",
    },
)
