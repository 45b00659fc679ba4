"""Sample values of more than 8 bits, as a file holds them, until the scale of the set is known."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image

from adrefine.ingestion import scales
from adrefine.ingestion.damage import BadPhoto
from adrefine.ingestion.scales import DECLARED, Levels, Scale


@dataclass(frozen=True)
class Samples:
    """A photo's values.

    Attributes:
        values: (h, w) grey or (h, w, 3) colour, integers or floats.
        full: the full scale, where the type of the file says it for certain (12 bits packed, maxval of PGM).
        declared: the full scale by tags that are often wrong, else None.
        inverted: small values are white (MinIsWhite).
        alpha: (h, w), the transparency that `values` were laid over black by; None: none that
            says anything.
    """

    values: npt.NDArray[np.generic]
    full: float | None = None
    declared: float | None = None
    inverted: bool = False
    alpha: npt.NDArray[np.generic] | None = None

    def check(self) -> None:
        """Refuse values that are infinite or not a number.

        Raises:
            BadPhoto: there are some.
        """
        if self.values.dtype.kind == "f" and not np.isfinite(self.values).all():
            raise BadPhoto("has pixels that are infinite or not a number: save another value there")

    def levels(self) -> Levels:
        """What the values reach.

        Raises:
            BadPhoto: there are infinite ones, or some that are not a number.
        """
        self.check()
        if self.full is not None:
            return Levels(DECLARED, 0.0, self.full)
        return scales.measure(self.values, self.declared)

    def grey(self, scale: Scale) -> Image.Image:
        """The photo in 8 bits, mode L or RGB."""
        return Image.fromarray(scale.apply(self.values, self.inverted))

    def turned(self, orientation: int) -> Samples:
        """Upright, by EXIF orientation 1 to 8."""
        if not 2 <= orientation <= 8:
            return self
        alpha = None if self.alpha is None else _turned(self.alpha, orientation)
        return replace(self, values=_turned(self.values, orientation), alpha=alpha)


def _turned(values: npt.NDArray[np.generic], orientation: int) -> npt.NDArray[np.generic]:
    if orientation > 4:
        values = np.swapaxes(values, 0, 1)
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    return np.ascontiguousarray(values)


def shape_of(alpha: npt.NDArray[np.generic]) -> npt.NDArray[np.generic] | None:
    """The transparency (h, w) if it says anything: one that is the same all over, such as the zeros that
    camera software writes, does not."""
    return None if (alpha == alpha.flat[0]).all() else alpha


def over_black(
    values: npt.NDArray[np.generic], alpha: npt.NDArray[np.generic] | None, full: float
) -> npt.NDArray[np.generic]:
    """Values (h, w[, 3]) laid over black by their transparency (h, w); None: as they are."""
    if alpha is None:
        return values
    share = alpha.astype(np.float32) / np.float32(full)
    numbers = values.astype(np.float64) * (share if values.ndim == 2 else share[..., None])
    return (numbers if values.dtype.kind == "f" else np.rint(numbers)).astype(values.dtype)
