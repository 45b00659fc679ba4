"""Where the part is in a photo of the working size, and where in all photos of a set."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.float32]  # (h, w, 3), 0 to 1; grey photos have three equal channels
Mask = npt.NDArray[np.bool_]  # (h, w)

SEPARATE = 0.7  # least share of the variance that part and background explain (noise: 0.64)
WORKING = 112  # the foreground is found at about this many pixels a side
LEAST = 0.02  # share of the pixels that a part has
RARE = 0.1  # share of the photos in which a pixel shows the part, for it to be the part's
MARGIN = 0.03  # of the photo's side, around it: a burr sticks out


def find(image: Image, background: float | None, inside: Mask | None = None) -> Mask:
    """Where the part is: an intensity threshold cleaned by morphology (EAD sect. 4.1: skip background).

    Args:
        image: (h, w, 3), 0 to 1.
        background: pixels up to this are background; None: the shade that fills the border; 0: no pixel.
        inside: (h, w), where it is looked for; None: everywhere. Its rim says what lies around it.

    Returns:
        (h, w); all that is inside if next to nothing is left.
    """
    if inside is None:
        mask = _found(image, background)
        return np.ones(image.shape[:2], bool) if mask is None else mask
    from scipy import ndimage

    rim = inside & ~ndimage.binary_erosion(inside, iterations=2)
    around = np.where(inside[..., None], image, np.median(image[rim], axis=0).astype(np.float32))
    mask = _found(around, background)
    if mask is None or (mask & inside).sum() < LEAST * inside.sum():
        return inside
    return mask & inside


def common(shown: Iterable[Image]) -> Mask | None:
    """Where the part is in the photos of a set, (h, w): in one of `RARE` of those in which it stands out, and
    `MARGIN` around. None: it stands out in fewer than half of them, or fills them.

    Args:
        shown: photos (h, w, 3) of one size, 0 to 1.
    """
    from scipy import ndimage

    each = [find(image, None) for image in shown]
    masks = [one for one in each if not one.all()]
    if 2 * len(masks) <= len(each):
        return None
    mask = np.mean(masks, axis=0) >= RARE
    near = ndimage.distance_transform_edt(~mask) <= MARGIN * mask.shape[0]
    return None if near.all() else np.asarray(near)


def _found(image: Image, background: float | None) -> Mask | None:
    """None: next to nothing, or no background."""
    from scipy import ndimage

    h, w = image.shape[:2]
    step = max(1, min(h, w) // WORKING)
    shade = image[::step, ::step].mean(axis=2)
    small = _stands_out(shade) if background is None else shade > background
    cross = ndimage.generate_binary_structure(2, 1)
    small = ndimage.binary_closing(np.pad(small, 6, mode="edge"), cross, iterations=2)  # dark spots on it
    small = ndimage.binary_opening(small, cross, iterations=2)  # bright specks of the background
    small = ndimage.binary_erosion(small, cross)[6:-6, 6:-6]  # stay off the outline
    if background == 0 or small.mean() < LEAST:
        return None
    return small.repeat(step, axis=0).repeat(step, axis=1)[:h, :w]


def _stands_out(shade: npt.NDArray[np.floating]) -> Mask:
    """The part on a darker or brighter background, of grey levels (h, w); all True if texture fills it.

    Otsu's threshold parts the grey levels. They count as part and background if they are far apart for their
    spread, and if the background has the border to itself.
    """
    from scipy import ndimage

    smooth = ndimage.gaussian_filter(shade, 1)
    order = np.sort(smooth, axis=None).astype(np.float64)
    low = np.arange(1, order.size) / order.size
    below = np.cumsum(order)[:-1] / order.size
    between = (order.mean() * low - below) ** 2 / (low * (1 - low))
    cut = int(between.argmax())
    bright = smooth > order[cut]
    border = np.concatenate([bright[0], bright[-1], bright[:, 0], bright[:, -1]]).mean()
    if between[cut] < SEPARATE * order.var() or 0.05 < border < 0.95:
        return np.ones(shade.shape, bool)
    return bright if border <= 0.05 else ~bright
