from __future__ import annotations

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.ndimage import label

from adrefine.errors import UserError
from adrefine.metrics import localization
from adrefine.metrics.detection import auroc
from adrefine.metrics.localization import aupro, localization_metrics, pixel_auroc

levels = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0])  # few levels: ties within and across the classes
shapes = st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6))


@st.composite
def examples(draw):
    shape = draw(shapes)
    maps = draw(hnp.arrays(np.float32, shape, elements=levels.map(np.float32)))
    masks = draw(hnp.arrays(np.uint8, shape, elements=st.sampled_from([0, 0, 255])))
    masks.flat[draw(st.integers(0, masks.size - 1))] = 255
    if masks.all():
        masks.flat[0] = 0
    return maps, masks


def drawable(example):
    return example[1].any() and not example[1].all()


def curve_by_loop(maps, masks):
    """FPR and mean region overlap at every distinct score, one threshold and one region at a time."""
    regions = []
    for number, mask in enumerate(masks):
        numbered, count = label(mask, structure=np.ones((3, 3)))
        regions += [(number, numbered == index) for index in range(1, count + 1)]
    good = masks == 0
    points = [(0.0, 0.0)]
    for threshold in sorted(set(maps.ravel().tolist()), reverse=True):
        over = maps >= threshold
        overlap = np.mean([over[number][region].mean() for number, region in regions])
        points.append((float(over[good].mean()), float(overlap)))
    return points


def area_by_loop(points, limit):
    area = 0.0
    for (x0, y0), (x1, y1) in pairwise(points):
        if x0 >= limit or x1 == x0:
            continue
        end = min(x1, limit)
        y_end = y0 + (y1 - y0) * (end - x0) / (x1 - x0)
        area += (end - x0) * (y0 + y_end) / 2
    return area / limit


@settings(deadline=None)
@given(examples().filter(drawable), st.sampled_from([0.05, 0.3, 0.5, 1.0]))
def test_aupro_matches_a_loop_over_thresholds_and_regions(example, max_fpr):
    value = aupro(*example, max_fpr=max_fpr)
    assert value == pytest.approx(area_by_loop(curve_by_loop(*example), max_fpr), abs=1e-9)
    assert 0 <= value <= 1


@settings(deadline=None)
@given(examples().filter(drawable))
def test_pixel_auroc_is_the_auroc_of_all_pixels(example):
    maps, masks = example
    assert pixel_auroc(maps, masks) == pytest.approx(auroc((masks > 0).ravel(), maps.ravel()), abs=1e-12)


@settings(deadline=None)
@given(examples().filter(drawable))
def test_good_pixels_in_small_batches_give_the_same_to_the_last_bit(example):
    whole = localization_metrics(*example)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(localization, "_BATCH", 5)
        assert localization_metrics(*example) == whole


@settings(deadline=None)
@given(st.integers(0, 10_000), st.floats(0.01, 1))
def test_a_perfect_map_is_one_and_never_more(seed, max_fpr):
    rng = np.random.default_rng(seed)
    masks = rng.random((3, 9, 7)) < 0.3
    masks[0, 0, 0], masks[0, 0, 1] = True, False
    noise = rng.random(masks.shape)
    assert aupro(masks + noise / 2, masks, max_fpr) == 1.0
    assert aupro(-noise - masks, masks, max_fpr=0.3) < 1.0
    assert pixel_auroc(masks + noise / 2, masks) == 1.0


def test_touching_corners_are_one_region_and_small_regions_weigh_as_much_as_large_ones():
    masks = np.zeros((1, 6, 6), np.uint8)
    masks[0, 0, 0] = masks[0, 1, 1] = 1  # one region of 2 pixels
    masks[0, 4:, :5] = 1  # one region of 10
    maps = np.zeros((1, 6, 6))
    maps[0, 0, 0] = 1.0  # half of the small region is found: mean overlap 1/4, then a diagonal to (1, 1)
    expected = (0.25 + (0.25 + 0.75 * 0.3)) / 2
    assert aupro(maps, masks) == pytest.approx(expected)


def test_pixels_that_do_not_count_change_nothing():
    rng = np.random.default_rng(0)
    maps, masks = rng.random((3, 8, 8)).astype(np.float32), np.zeros((3, 8, 8), bool)
    masks[0, 1:5, 3:6], masks[1, 6:, 6:] = True, True  # one across the edge of what counts, one outside
    inside = np.zeros((8, 8), bool)
    inside[:5, :5] = True
    cut = localization_metrics(maps[:, :5, :5], masks[:, :5, :5])
    assert localization_metrics(maps, masks, inside=inside) == pytest.approx(cut, abs=1e-12)
    maps[:, ~inside], masks[2, ~inside] = 9.0, True
    assert localization_metrics(maps, masks, inside=inside) == pytest.approx(cut, abs=1e-12)


def test_images_of_different_sizes_pool_their_pixels():
    rng = np.random.default_rng(3)
    maps = [rng.random((4, 5)), rng.random((7, 3)).astype(np.float32)]
    masks = [rng.random((4, 5)) < 0.4, np.zeros((7, 3), bool)]
    pooled = np.concatenate([m.ravel() for m in maps]), np.concatenate([m.ravel() for m in masks])
    assert pixel_auroc(maps, masks) == pytest.approx(auroc(pooled[1], pooled[0]), abs=1e-12)


def test_both_figures_together_and_neither_where_undefined():
    maps, masks = np.random.default_rng(0).random((2, 8, 8)), np.zeros((2, 8, 8))
    assert localization_metrics(maps, masks) == {}
    assert localization_metrics(maps, masks + 1) == {}
    masks[1, 2:5, 2:5] = 1
    both = {"pixel_auroc": pixel_auroc(maps, masks), "aupro": aupro(maps, masks)}
    assert localization_metrics(maps, masks) == both


@pytest.mark.parametrize("metric", [pixel_auroc, aupro])
def test_what_cannot_be_measured_is_refused_clearly(metric):
    maps, masks = np.zeros((1, 2, 2)), np.zeros((1, 2, 2))
    with pytest.raises(UserError, match="there is none"):
        metric(maps, masks)
    with pytest.raises(UserError, match="every pixel is defective"):
        metric(maps, masks + 1)
    with pytest.raises(UserError, match=r"map 0 is \(2, 2\) but its mask is \(3, 2\)"):
        metric(maps, np.zeros((1, 3, 2)))
    with pytest.raises(UserError, match="1 anomaly maps but 0 masks"):
        metric(maps, [])
    with pytest.raises(UserError, match="NaN"):
        metric(maps + np.nan, masks)


def test_impossible_fpr_limit_is_refused():
    for limit in (0, 1.5):
        with pytest.raises(UserError, match="max_fpr"):
            aupro(np.zeros((1, 2, 2)), np.eye(2)[None], max_fpr=limit)


class Stream:
    """n images made when asked for, so that whatever memory is held is held by the metric."""

    def __init__(self, n, mask):
        self.n, self.mask = n, mask

    def __len__(self):
        return self.n

    def __iter__(self):
        for number in range(self.n):
            image = np.random.default_rng(number).random((256, 256), dtype=np.float32)
            yield (image > 0.999 if number == 0 else np.zeros_like(image)) if self.mask else image


def test_memory_does_not_grow_with_the_number_of_images():
    peaks = []
    for n in (40, 160):
        tracemalloc.start()
        localization_metrics(Stream(n, mask=False), Stream(n, mask=True))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]
