"""Which image files are read, as photos, as masks and for distillation: one list for all.

What industrial cameras and the public datasets write, and nothing whose decoder runs a program (EPS, PDF).
GIF is left out: 256 colours and animations are for the web; a photo that passed through it has lost fine
detail, and one that comes under another suffix is better named in quarantine than taken.
"""

from __future__ import annotations

_FORMAT_OF = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
    ".pgm": "PPM",
    ".ppm": "PPM",
}

SUFFIXES = frozenset(_FORMAT_OF)  # lower case, with the dot: what is looked for on disk
FORMATS = tuple(dict.fromkeys(_FORMAT_OF.values()))  # Pillow's names of what a file may hold
