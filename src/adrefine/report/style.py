"""How every figure of the project looks, and PNG files that are the same for the same figure."""

from __future__ import annotations

import io
from contextlib import AbstractContextManager
from typing import Any

import matplotlib.style
from matplotlib.figure import Figure

# Okabe and Ito's palette: told apart with every kind of colour blindness, and by lightness in print.
BLUE, ORANGE, GREEN, GREY, INK = "#0072B2", "#D55E00", "#009E73", "#8C929C", "#24292F"
STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#B6BBC3",
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": "#59616B",
    "ytick.color": "#59616B",
    "axes.grid": True,
    "grid.color": "#E6E8EB",
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "figure.dpi": 144,
}


def applied() -> AbstractContextManager[None]:
    """Within the block figures look like this, whatever the user's own style."""
    style: AbstractContextManager[None] = matplotlib.style.context(["default", STYLE])
    return style


def png(figure: Figure) -> bytes:
    """The figure as a PNG file; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
