"""Published datasets in the layout of MVTec AD: BTAD and MPDD. `dataset.root` is the folder of one class.

    BTech_Dataset_transformed/01/{train/ok, test/ok, test/ko, ground_truth/ko}    bmp or png, masks by stem
    MPDD/tubes/{train/good, test/good, test/<type>, ground_truth/<type>/000_mask.png}

Counts: Mishra et al., "VT-ADL", ISIE 2021 (BTAD; the official README swaps the totals of 02 and 03); Jezek et
al., "Deep learning-based defect detection of metal parts", ICUMT 2021 (MPDD).
"""

from __future__ import annotations

from typing import ClassVar

from adrefine.datasets.mvtec import MVTec


class BTAD(MVTec):
    """One class of BTAD, of which good photos are called `ok` and defective ones `ko`."""

    counts: ClassVar = {"01": (400, 21, 49), "02": (399, 30, 200), "03": (1000, 400, 41)}


class MPDD(MVTec):
    """One class of MPDD."""

    counts: ClassVar = {
        "bracket_black": (289, 32, 47),
        "bracket_brown": (185, 26, 51),
        "bracket_white": (110, 30, 30),
        "connector": (128, 30, 14),
        "metal_plate": (54, 26, 71),
        "tubes": (122, 32, 69),
    }
