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
    **dict.fromkeys((".sgi", ".ras", ".qoi", ".dds", ".iff", ".pict", ".jng", ".mng", ".pam", ".wdp"), _PNG),
    **dict.fromkeys((".jpx", ".jpf", ".jpc", ".j2c", ".emf", ".wmf", ".eps", ".pdf", ".apng", ".mpo"), _PNG),
    **dict.fromkeys(
        (".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw", ".x3f", ".3fr"),
        "develop it to PNG",
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
    (b"P7\n", f"a PAM, which is not read ({_PNG})"),
    (b"\xff\x0a", f"a JPEG XL, which is not read ({_PNG})"),
    (b"\0\0\0\x0cJXL ", f"a JPEG XL, which is not read ({_PNG})"),
    (b"II\xbc", f"a JPEG XR, which is not read ({_PNG})"),
    (b"8BPS", f"a Photoshop file, which is not read ({_PNG})"),
    (b"v/1\x01", f"an OpenEXR, which is not read ({_PNG})"),
    (b"SIMPLE  =", f"a FITS, which is not read ({_PNG})"),
    (b"\x93NUMPY", "an array of NumPy (save its photos as PNG or TIFF)"),
    (b"\x89HDF", "an HDF5 file (save its photos as PNG or TIFF)"),
)
_KNOWN = (
    (b"\x89PNG", "a PNG"),
    (b"BM", "a BMP"),
    (b"II*\0", "a TIFF"),
    (b"MM\0*", "a TIFF"),
    (b"RIFF", "a WebP"),
    (b"\0\0\0\x0cjP", "a JPEG 2000"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000"),
    *((b"P%d" % number, "a PGM or PPM") for number in range(1, 7)),
)
_JPEG = b"\xff\xd8"
_FRAMES = (0xC0, 0xC1, 0xC2)
_JPEGS = {  # how a frame is coded, by its marker
    0xF7: "JPEG-LS",
    **dict.fromkeys((0xC3, 0xC7, 0xCB, 0xCF), "lossless"),
    **dict.fromkeys((0xC5, 0xC6), "hierarchical"),
    **dict.fromkeys((0xC9, 0xCA, 0xCD, 0xCE), "arithmetic coding"),
}


def name_of(data: bytes) -> str:
    """What a file is that is not read, by its first bytes."""
    if data[4:8] == b"ftyp":
        return f"a picture or film of the kind {data[8:12].decode('ascii', 'replace')}, not read: {_PNG}"
    for magic, name in _MAGIC:
        if data.startswith(magic):
            return name
    if data.startswith(_JPEG):
        return _jpeg(data)
    for magic, name in _KNOWN:
        if data.startswith(magic):
            return f"{name} whose header is cut off or damaged, or of a kind that is not read: {_PNG}"
    return f"not an image ({', '.join(FORMATS)})"


def _jpeg(data: bytes) -> str:
    """What is the matter with a JPEG whose header was not understood. Markers: ITU-T T.81, table B.1."""
    place = 2
    while place + 9 < len(data) and data[place] == 0xFF:
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        kind = _JPEGS.get(marker, "")
        if marker in _FRAMES and data[place + 4] != 8:
            kind = f"{data[place + 4]} bits a sample"
        if kind:
            return f"a JPEG of a kind that is not read ({kind}): {_PNG}"
        place += 2 + length
    return "a JPEG that is cut off or damaged in its header"


@cache
def make_ready() -> None:
    """Teach Pillow, once in a process, what it reads with the extra `heic` alone."""
    if "HEIF" in FORMATS:
        from pillow_heif import register_heif_opener

        register_heif_opener()
