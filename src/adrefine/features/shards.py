"""Shards of what `embed` makes: files of their own, which DVC keeps and sends one by one.

An image's shard follows from its id and the number of shards, so that a photo that comes or goes changes the
files of one shard alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from adrefine.runtime.seeds import derived_seed

MOST = 2048  # images in a shard, on average


def arranged(ids: Sequence[str]) -> tuple[list[int], list[int]]:
    """Places of `ids` shard after shard, by id within each, and how many each shard has.

    There are as many shards as a power of 2 says: with twice as many, each is split in two.
    """
    number = 1 << max(0, -(-len(ids) // MOST) - 1).bit_length()
    own = [derived_seed("shard", image_id) * number >> 64 if number > 1 else 0 for image_id in ids]
    order = sorted(range(len(ids)), key=lambda place: (own[place], ids[place]))
    sizes = [0] * number
    for shard in own:
        sizes[shard] += 1
    return order, [size for size in sizes if size]


def file_name(name: str, shard: int, shards: int) -> str:
    """File of the array `name` of a shard; of a single one it has no number."""
    return f"{name}.npy" if shards == 1 else f"{name}-{shard:04d}.npy"
