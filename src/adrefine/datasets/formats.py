"""Which image files are read, as photos, as masks and for distillation: one list for all.

What industrial cameras and the public datasets write, and nothing whose decoder runs a program (EPS, PDF).
GIF is left out: 256 colours and animations are for the web; a photo that passed through it has lost fine
detail, and one that comes under another suffix is better named in quarantine than taken.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

_FORMAT_OF = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".bmp": "BMP",
    ".dib": "DIB",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
    ".pgm": "PPM",
    ".ppm": "PPM",
    ".pbm": "PPM",
    ".pnm": "PPM",
    ".jp2": "JPEG2000",
    ".j2k": "JPEG2000",
}
_HEIF = (".heic", ".heif")  # of phones; the extra `heic` reads them
if find_spec("pillow_heif"):
    _FORMAT_OF |= dict.fromkeys(_HEIF, "HEIF")

SUFFIXES = frozenset(_FORMAT_OF)  # lower case, with the dot: what is looked for on disk
FORMATS = tuple(dict.fromkeys(_FORMAT_OF.values()))  # Pillow's names of what a file may hold

_PNG = "convert it to PNG"
UNREAD = {  # pictures that are not read, by suffix, and the remedy
    **dict.fromkeys((".gif", ".avif", ".jxl", ".jxr", ".hdr", ".exr", ".psd", ".tga"), _PNG),
    **dict.fromkeys(_HEIF, "pip install 'adrefine[heic]', or convert it to PNG"),
    **dict.fromkeys((".svg", ".ico", ".pcx", ".xcf", ".pfm", ".fits", ".fit", ".dcm", ".ima", ".jls"), _PNG),
    **dict.fromkeys((".jpx", ".jpf", ".jpc", ".j2c", ".emf", ".wmf", ".eps", ".pdf", ".apng", ".mpo"), _PNG),
    **dict.fromkeys(
        (".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".pef"), "develop it to PNG"
    ),
    **dict.fromkeys((".raw", ".bin", ".npy", ".npz", ".mat", ".h5"), "save its photos as PNG or TIFF"),
    **dict.fromkeys((".mp4", ".avi", ".mov", ".mkv", ".wmv"), "save its frames as PNG"),
    **dict.fromkeys((".zip", ".tar", ".gz", ".tgz", ".7z", ".rar"), "unpack it"),
}
UNREAD = {suffix: remedy for suffix, remedy in UNREAD.items() if suffix not in SUFFIXES}
PICTURES = frozenset(suffix for suffix, remedy in UNREAD.items() if remedy.endswith("to PNG"))
_MAGIC = (
    (b"GIF8", "a GIF, which is not read (convert it to PNG)"),
    (b"%PDF", "not an image but a PDF"),
    (b"%!PS", "not an image but PostScript"),
    (b"<", "not an image but a page or XML"),
    (b"PK\x03\x04", "not an image but a zip archive (unpack it)"),
)


def name_of(data: bytes) -> str:
    """What a file is that is not read, by its first bytes."""
    if data[4:8] == b"ftyp":
        return f"a picture or film of the kind {data[8:12].decode('ascii', 'replace')}, not read: {_PNG}"
    for magic, name in _MAGIC:
        if data.startswith(magic):
            return name
    return f"not an image ({', '.join(FORMATS)}), or cut off in its header"


@cache
def make_ready() -> None:
    """Teach Pillow, once in a process, what it reads with the extra `heic` alone."""
    if "HEIF" in FORMATS:
        from pillow_heif import register_heif_opener

        register_heif_opener()
