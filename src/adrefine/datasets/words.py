"""What people call folders and files: good and defective parts, masks, pictures. Any case, any separator."""

from __future__ import annotations

import re

from adrefine.manifest import DEFECT, GOOD

_GOOD_WORDS = """
    good goods ok oks okay io normal pass passed accept accepted gut clean healthy perfect conforming intact
    sound undamaged regular defectfree faultfree flawless nodefect nodefects nodamage nondefective
    nonanomalous nonfaulty notdefective 良品 合格 正常"""
_DEFECT_WORDS = """
    defect defects defective defectives bad bads ng ngs nok ko nio notok notgood nogood nopass nonok
    fail fails failed failure failures reject rejects rejected scrap faulty fault faults anomaly anomalies
    anomalous abnormal abnormals damaged damage flawed flaw flaws schlecht fehler fehlerhaft defekt
    nonconforming unacceptable 不良 不良品 不合格 异常"""
_FILLER_WORDS = """
    part parts image images img imgs photo photos picture pictures pic pics sample samples product products
    piece pieces item items class label labels folder data dataset set all only teile bilder"""
_GOOD, _DEFECT, _FILLERS = (frozenset(text.split()) for text in (_GOOD_WORDS, _DEFECT_WORDS, _FILLER_WORDS))
_MASK = "mask|masks|gt|gts|groundtruth|ground_truth|ground-truth|label|labels|annotation|annotations|seg"
_MASK += "|segs|segmentation|segmentations|defect_mask|defectmask|defect_masks|matte|labelmap|maske|masken"
_MASK_FOLDERS = frozenset(re.sub("[-_]", "", name) for name in _MASK.split("|"))
_AT_END = re.compile(rf"(.+?)[ _.\-]+(?:{_MASK})([ _.\-]*\d*)$", re.IGNORECASE)
_AT_START = re.compile(rf"(?:{_MASK})[ _.\-]+(.+)$", re.IGNORECASE)
_PICTURES = frozenset(["image", "images", "img", "imgs", "photo", "photos", "rgb", "picture", "pictures"])
_NO_PHOTOS = {"xyz": "points of a 3D scan", "depth": "depth maps", "pointcloud": "points of a 3D scan"}
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


def label_of(folder: str) -> int | None:
    """GOOD or DEFECT, if the name of a folder says so: `OK`, `Good_parts`, `not ok`, `NG2`; else None."""
    words = [word for word in re.split(r"[\W_\d]+", _CAMEL.sub(" ", folder).casefold()) if word]
    said = "".join(word for word in words if word not in _FILLERS)
    if said in _GOOD:
        return GOOD
    return DEFECT if said in _DEFECT else None


def is_mask_folder(folder: str) -> bool:
    """Whether a folder of this name holds masks: `masks`, `Ground Truth`, `gt`."""
    return re.sub(r"[\W_\d]+", "", folder.casefold()) in _MASK_FOLDERS


def holds_pictures(folder: str) -> bool:
    """Whether the name only says that there are pictures: `images`, `rgb`."""
    return folder.casefold() in _PICTURES


def no_photos(folder: str) -> str:
    """What a folder of this name holds that is no photo, "" if it may hold photos."""
    return _NO_PHOTOS.get(re.sub(r"[\W_]+", "", folder.casefold()), "")


def photo_stem(stem: str) -> str:
    """The stem of the photo that a mask of this stem belongs to: 000 of `000_mask`, `000_GT`, `mask_000` and
    `000_mask_2`; the stem itself if it has none of these words."""
    if match := _AT_END.match(stem):
        return match[1]
    match = _AT_START.match(stem)
    return match[1] if match else stem


def mask_series(stem: str) -> str:
    """The stem without the number that sets several masks of one photo apart."""
    match = _AT_END.match(stem)
    return stem[: len(stem) - len(match[2])] if match else stem
