"""What people call folders and files: good and defective parts, masks, pictures. Any case, any separator."""

from __future__ import annotations

import re
from collections.abc import Collection

from adrefine.manifest import DEFECT, GOOD

_GOOD_WORDS = """
    good goods ok oks okay io normal pass passed accept accepted gut clean healthy perfect conforming intact
    sound undamaged regular defectfree faultfree flawless nodefect nodefects nodamage nondefective
    nonanomalous nonfaulty notdefective valid correct acceptable conform compliant flawfree errorfree
    bon bonne bons conforme bueno buena buenos buono buoni goed goede годен годные
    良品 合格 正常 합격 정상 양품"""
_DEFECT_WORDS = """
    defect defects defective defectives bad bads ng ngs nok ko nio notok notgood nogood nopass nonok
    fail fails failed failure failures reject rejects rejected scrap faulty fault faults anomaly anomalies
    anomalous abnormal abnormals damaged damage flawed flaw flaws schlecht fehler fehlerhaft defekt
    nonconforming noncompliant unacceptable invalid incorrect error errors rejected notacceptable notvalid
    def defekte mauvais mauvaise défaut défauts defaut defauts malo mala malos defecto defectos defectuoso
    difettoso difettosi difetto difetti scarto fout fouten afkeur брак дефект дефекты
    不良 不良品 不合格 异常 불량 불합격 비정상"""
_FILLER_WORDS = """
    ones only part parts image images img imgs photo photos picture pictures pic pics sample samples
    product products piece pieces item items class label labels folder data dataset set all teile bilder"""
_GOOD, _DEFECT, _FILLERS = (frozenset(text.split()) for text in (_GOOD_WORDS, _DEFECT_WORDS, _FILLER_WORDS))
_MASK = "mask|masks|gt|gts|groundtruth|ground_truth|ground-truth|label|labels|annotation|annotations|seg"
_MASK += "|segs|segmentation|segmentations|defect_mask|defectmask|defect_masks|matte|labelmap|maske|masken"
_MASK_FOLDERS = frozenset(re.sub("[-_]", "", name) for name in _MASK.split("|"))
_STRONG = frozenset(["mask", "masks", "gt", "gts", "groundtruth", "binarymask", "binarymasks", "segmask"])
_BESIDE_MASK_WORDS = """
    ground truth binary defect defects anomaly anomalies label labels seg segmentation segmentations
    annotation annotations image images img imgs png pngs bmp tif tiff pixel pixels region regions class"""
_CONTRARY = "positive negative, pos neg, true false, yes no, 0 1, class0 class1, label0 label1"
_HALF_SAID_WORDS = """
    good goods ok oks okay ng ngs nok nio ko bad bads defect defects defective def defekt fail failed faulty
    reject rejects rejected scrap anomaly anomalies anomalous abnormal damaged"""
_BESIDE_MASK, _HALF_SAID = (frozenset(text.split()) for text in (_BESIDE_MASK_WORDS, _HALF_SAID_WORDS))
_AT_END = re.compile(rf"(.+?)[ _.\-]+(?:{_MASK})([ _.\-]*\d*)$", re.IGNORECASE)
_AT_START = re.compile(rf"(?:{_MASK})[ _.\-]+(.+)$", re.IGNORECASE)
_NUMBERED = re.compile(r"(.+?)[ _.\-]*[ _.\-(]\d+\)?$")
_SAID = re.compile(r"[ _.\-(]*[^\W\d_].*")
_PICTURES = frozenset(["image", "images", "img", "imgs", "photo", "photos", "rgb", "picture", "pictures"])
_NO_PHOTOS = {"xyz": "points of a 3D scan", "depth": "depth maps", "pointcloud": "points of a 3D scan"}
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


def label_of(folder: str) -> int | None:
    """GOOD or DEFECT, if the name of a folder says so: `OK`, `Good_parts`, `not ok`, `NG2`; else None."""
    said = "".join(word for word in _words(folder) if word not in _FILLERS)
    if said in _GOOD:
        return GOOD
    return DEFECT if said in _DEFECT else None


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[\W_\d]+", _CAMEL.sub(" ", name).casefold()) if word]


def says_a_label(folder: str) -> bool:
    """Whether a word of a folder's name means good or defective, and hardly anything else: `line 2 NG`."""
    return not _HALF_SAID.isdisjoint(_words(folder))


def contrary(folders: Collection[str]) -> bool:
    """Whether two folders are called by contrary words of which nobody knows which is good: `0` and `1`."""
    plain = {re.sub(r"[\W_]+", "", name.casefold()) for name in folders}
    return len(folders) == 2 and any(plain == set(pair.split()) for pair in _CONTRARY.split(","))


def is_mask_folder(folder: str) -> bool:
    """Whether a folder of this name holds masks: `masks`, `Ground Truth`, `gt`, `mask_images`."""
    if re.sub(r"[\W_\d]+", "", folder.casefold()) in _MASK_FOLDERS:
        return True
    said = set(_words(folder))
    return bool(said & _STRONG) and said <= _STRONG | _BESIDE_MASK


def surely_masks(folder: str) -> bool:
    """Whether a folder of this name holds nothing but masks; `labels` may hold photos of labels."""
    return is_mask_folder(folder) and not _STRONG.isdisjoint(
        [*_words(folder), re.sub(r"[\W_\d]+", "", folder.casefold())]
    )


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
    return stem[: len(stem) - len(match[2])] if match else unnumbered(stem)


def unnumbered(stem: str) -> str:
    """The stem without a number at its end: 000 of `000_2` and `000 (2)`; the stem itself if it has none."""
    match = _NUMBERED.match(stem)
    return match[1] if match else stem


def said_beside(stem: str, photo: str) -> str | None:
    """What a stem says after that of a photo: `_m` of 000_m beside 000; None: another name, or a number."""
    rest = stem[len(photo) :] if stem.startswith(photo) else ""
    return re.sub(r"[\W\d_]+", "", rest).casefold() or None if _SAID.fullmatch(rest) else None
