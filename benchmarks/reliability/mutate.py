"""Bytes and text, damaged as disks, copies and hands damage them; every draw from the generator given."""

from __future__ import annotations

import numpy as np

ODD = (
    *(b"", b"null", b"~", b"-1", b"0", b"1e26", b"1e999", b".nan", b".inf", b"0x7f", b"0b_", b"010", b"1:30"),
    *(
        b"yes",
        b"[]",
        b"{}",
        b"[[1]]",
        b"2026-13-45",
        b"2026-11-26",
        b"!!bool x",
        b"!!python/name:os.system x",
    ),
    *(
        b"&a [*a]",
        b"*a",
        b"<<: {a: 1}",
        b"|",
        b"'",
        b'"',
        b"\xff",
        b"\x00",
        b"9" * 5000,
        b"[" * 500,
        b"- " * 300,
    ),
)


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """`data` with one to three damages: bytes turned, a piece cut, zeroed, doubled, put in, the end
    lost or zeroed."""
    for _ in range(int(rng.integers(1, 4))):
        data = _once(data, rng)
    return data


def _once(data: bytes, rng: np.random.Generator) -> bytes:
    if not data:
        return bytes(rng.integers(0, 256, 8, dtype=np.uint8))
    place = int(rng.integers(0, len(data)))
    length = int(min(len(data) - place, 2 ** rng.integers(0, 9)))
    piece = data[place : place + length]
    noise = bytes(rng.integers(0, 256, length, dtype=np.uint8))
    kind = rng.integers(0, 8)
    if kind == 7:
        return data[:place] + bytes(len(data) - place)
    if kind == 0:
        return data[:place] + bytes([data[place] ^ 1 << int(rng.integers(0, 8))]) + data[place + 1 :]
    if kind == 1:
        return data[:place]
    middle = {2: b"", 3: b"\0" * length, 4: piece * 2, 5: noise + piece, 6: noise}[int(kind)]
    return data[:place] + middle + data[place + length :]


def text(data: bytes, rng: np.random.Generator) -> bytes:
    """A text file that somebody edited badly: a value replaced, a line doubled, lost or moved in; or
    `damaged`."""
    if rng.random() < 0.3:
        return damaged(data, rng)
    lines = data.split(b"\n")
    place = int(rng.integers(0, len(lines)))
    kind = rng.integers(0, 5)
    if kind == 0:
        lines.insert(place, lines[int(rng.integers(0, len(lines)))])
    elif kind == 1:
        del lines[place]
    elif kind == 2:
        lines[place] = b"  " + lines[place]
    else:
        marks = [mark for mark in (b": ", b",", b";") if mark in lines[place]]
        odd = ODD[int(rng.integers(0, len(ODD)))]
        head = lines[place].split(marks[0], 1)[0] + marks[0] if marks else b""
        lines[place] = head + odd
    return b"\n".join(lines)
