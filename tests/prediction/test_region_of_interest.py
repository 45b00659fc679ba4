"""What lies outside the region of interest changes no score and no map, to the bit, whatever the detector."""

from __future__ import annotations

import numpy as np
import pytest

from adrefine import load_model
from prediction.made import made, middle, values

DETECTORS = ["padim", "mixed", "differnet", "efficientad", "efficientad instant", "glass", "uflow"]


@pytest.mark.parametrize("detector", DETECTORS)
def test_a_defect_outside_changes_nothing(detector: str) -> None:
    """Grey and bright, at the very edge of the region, at the rim of the photo, and in colour."""
    model = load_model(made(detector, region=True).bundle)
    photo, outside = values(3, turned=False), middle() == 0
    bright, noisy, coloured = photo.copy(), photo.copy(), np.stack([photo] * 3, axis=2)
    bright[:12, :] = 255
    noisy[outside] = np.random.default_rng(0).integers(0, 256, int(outside.sum()))
    coloured[outside] = (250, 10, 10)
    plain, *changed = model.predict([photo, bright, noisy, coloured])
    assert [result.score for result in changed] == [plain.score] * 3
    for result in changed:
        np.testing.assert_array_equal(result.map, plain.map)


@pytest.mark.parametrize("detector", DETECTORS)
def test_one_inside_does(detector: str) -> None:
    model = load_model(made(detector, region=True).bundle)
    photo = values(3, turned=False)
    spotted = photo.copy()
    spotted[58:70, 74:86] = 255
    plain, changed = model.predict([photo, spotted])
    assert changed.score != plain.score
    assert not np.array_equal(changed.map, plain.map)


@pytest.mark.parametrize("detector", DETECTORS)
def test_the_bundle_scores_as_the_graph_and_maps_nothing_outside(detector: str) -> None:
    run = made(detector, region=True)
    model, scores = load_model(run.bundle), run.scores()
    names = sorted(run.photos)
    found = model.predict([run.photos[name] for name in names])
    assert [result.score for result in found] == [scores[name] for name in names]
    assert model.region is not None
    assert (run.bundle / "roi.png").is_file()
    far = ~_grown(middle() > 0)
    assert all(not result.map[far].any() for result in found)


def _grown(mask: np.ndarray) -> np.ndarray:
    """(h, w) with the three pixels around that one at the working size reaches."""
    from scipy.ndimage import binary_dilation

    return np.asarray(binary_dilation(mask, iterations=3))
