"""META figure 3: the loss around the weights of a flow that learned plainly, and of a meta-learned one.

    python -m benchmarks.landscape                                      # the demo's parts
    python -m benchmarks.landscape --name mvtec --root ../data/ksdd     # commutators

100 photos, 30 % of them hidden defects; DifferNet, preset `fast`. Two random directions in the space of the
weights, those of each tensor scaled to the length of the tensor (after Li et al. 2018), the same for both
flows. The loss is that of the training photos as they are. META says that the landscape is rugged before and
smooth after. So two numbers stand beside the picture: the share of the straight lines of the grid on which
the loss has more than one minimum, and how far it rises to the rim. To results/landscape.csv, .md and .png.
"""

from __future__ import annotations

import argparse
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import torch

from adrefine.benchmark import measure, prepared
from adrefine.detectors.base import Images
from adrefine.detectors.differnet.detector import DifferNet
from adrefine.detectors.flow import negative_log_likelihood
from adrefine.io import write_csv, write_text
from adrefine.params import Params, parse
from adrefine.text import markdown
from benchmarks.common import RESULTS

LEVEL, TRAINED = 0.3, 100
REACH, POINTS = 1.0, 21  # half the side of the slice in lengths of the weights; points on a side
PLACES = np.linspace(-REACH, REACH, POINTS)
SEED = 0


def main() -> None:
    """Measure both slices; draw and store them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--name", default="demo", help="layout of the photos")
    parser.add_argument("--root", help="their folder")
    args = parser.parse_args()
    root = {"root": args.root} if args.root else {}
    params = parse(
        {
            "dataset": {"name": args.name, **root},
            "detector": "differnet",
            "noise": {"level": LEVEL, "n_train": TRAINED},
        }
    )
    slices = {name: slice_around(model, vectors) for name, (model, vectors) in learned(params).items()}
    rows = [
        {"flow": name, "a": a, "b": b, "loss": loss}
        for name, values in slices.items()
        for (a, b), loss in zip(product(PLACES, PLACES), values.ravel(), strict=True)
    ]
    write_csv(RESULTS / "landscape.csv", pd.DataFrame(rows).round(5))
    write_text(RESULTS / "landscape.md", report(args.name, slices))
    plot(slices)
    print((RESULTS / "landscape.md").read_text())


def learned(params: Params) -> dict[str, tuple[DifferNet, torch.Tensor]]:
    """Both flows, each with the inputs it learned (n × views, dim)."""
    table, inputs = prepared.prepare(params)
    _, ids, _ = measure.inject(table, params)
    images, flows = Images(ids, inputs), {}
    for name in ("plain", "meta-learned"):
        model = DifferNet(params.chosen_detector)  # type: ignore[arg-type]
        if name == "plain":
            model.fit(images)
        else:
            model.meta_fit(images, params.meta_iqr)
        flows[name] = (model, model._inputs(model._learnable(images)).flatten(0, 1))
    return flows


@torch.inference_mode()
def slice_around(model: DifferNet, vectors: torch.Tensor) -> np.ndarray:
    """Loss (POINTS, POINTS) at θ + a · d1 + b · d2."""
    flow = model._ready().eval()
    weights = [tensor for tensor in flow.parameters() if tensor.requires_grad]
    start = [tensor.clone() for tensor in weights]
    generator = torch.Generator().manual_seed(SEED)
    directions = [[_along(tensor, generator) for tensor in start] for _ in range(2)]
    losses = np.empty((POINTS, POINTS))
    for (i, a), (j, b) in product(enumerate(PLACES), enumerate(PLACES)):
        for tensor, centre, first, second in zip(weights, start, *directions, strict=True):
            tensor.copy_(centre + a * first + b * second)
        losses[i, j] = float(negative_log_likelihood(*flow(vectors)))
    return losses


def _along(tensor: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """A random direction as long as the tensor."""
    direction = torch.randn(tensor.shape, generator=generator)
    return direction * (tensor.norm() / direction.norm())


def minima(line: np.ndarray) -> int:
    """How many minima the loss has along a line; its ends count."""
    padded = np.concatenate([[np.inf], line, [np.inf]])
    return int(((padded[1:-1] < padded[:-2]) & (padded[1:-1] <= padded[2:])).sum())


def report(name: str, slices: dict[str, np.ndarray]) -> str:
    """Both flows in figures."""
    cells: list[list[Any]] = []
    for flow, losses in slices.items():
        lines = [*losses, *losses.T]
        middle = losses[POINTS // 2, POINTS // 2]
        rim = np.concatenate([losses[0], losses[-1], losses[:, 0], losses[:, -1]])
        several = np.mean([minima(line) > 1 for line in lines])
        cells.append(
            [flow, f"{middle:.3f}", f"{losses.min():.3f}", f"{np.median(rim) - middle:.3f}", f"{several:.0%}"]
        )
    head = [
        "flow",
        "loss at the weights",
        "least in the slice",
        "rise to the rim",
        "lines with several minima",
    ]
    return "\n".join(
        [
            f"`python -m benchmarks.landscape`: {name}, {TRAINED} photos, {LEVEL:.0%} hidden defects.",
            "",
            *markdown(head, cells),
            "",
        ]
    )


def plot(slices: dict[str, np.ndarray]) -> None:
    """Contours of both slices, with one scale of the rise above each one's least loss."""
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(slices), figsize=(9, 4), layout="constrained")
    rises = {name: np.log10(1e-3 + losses - losses.min()) for name, losses in slices.items()}
    low, high = min(map(np.min, rises.values())), max(map(np.max, rises.values()))
    for one, (name, rise) in zip(axes, rises.items(), strict=True):
        drawn = one.contourf(PLACES, PLACES, rise.T, levels=np.linspace(low, high, 25), cmap="viridis")
        one.plot(0, 0, "r+")
        one.set(title=name, xlabel="along d1", ylabel="along d2", aspect="equal")
    figure.colorbar(drawn, ax=axes, label="log10 of the loss above the least one")
    figure.savefig(RESULTS / "landscape.png", dpi=90, metadata={"Software": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
