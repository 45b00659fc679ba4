"""Synthetic defects: one file a kind. To add one, write it, register it here, name it in params.yaml."""

from adrefine.defects import cutpaste, noise_patch, perlin, random_walk
from adrefine.defects.base import Generator

GENERATORS: dict[str, Generator] = {
    "noise_patch": noise_patch.apply,
    "random_walk": random_walk.apply,
    "cutpaste": cutpaste.apply,
    "perlin": perlin.apply,
}
