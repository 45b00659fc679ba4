"""Each generator: an exact mask, never empty, on the part only, whatever the photo."""

import numpy as np
import pytest
from scipy import ndimage

from adrefine.areas.foreground import find as find_foreground
from adrefine.defects import GENERATORS, base, perlin, random_walk
from adrefine.defects.perlin import Perlin
from adrefine.params import Kinds, Synthesize

PARAMS = Synthesize()
KINDS = GENERATORS.names()


def photo(kind: str, size=(96, 80), seed=0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    image = {
        "black": np.zeros((*size, 3)),
        "white": np.ones((*size, 3)),
        "flat": np.full((*size, 3), 0.5),
        "grey": np.repeat(rng.random((*size, 1)), 3, axis=2),
        "color": rng.random((*size, 3)),
    }[kind]
    return (np.rint(image * 255) / 255).astype(np.float32)


def apply(kind, image, foreground, seed=0, params=PARAMS):
    return getattr(params, kind).apply(image, foreground, np.random.default_rng(seed))


def test_every_kind_of_params_has_a_generator():
    assert tuple(Kinds.model_fields) == KINDS


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("look", ["black", "white", "flat", "grey", "color"])
@pytest.mark.parametrize("size", [(16, 16), (96, 80)])
def test_mask_is_exactly_what_differs_and_never_empty(kind, look, size):
    image = photo(look, size)
    foreground = np.zeros(size, bool)
    foreground[4:-4, 3:-3] = True
    for seed in range(6):
        changed, mask = apply(kind, image, foreground, seed)
        assert changed.dtype == np.float32
        assert changed.min() >= 0
        assert changed.max() <= 1
        assert mask.any()
        assert not (mask & ~foreground).any()
        np.testing.assert_array_equal((changed != image).any(axis=2), mask)
        assert np.abs(changed - image).max() >= 0.04, "nobody could see it"
        if look != "color":
            np.testing.assert_array_equal(changed[..., 0], changed[..., 2])


@pytest.mark.parametrize("kind", KINDS)
def test_same_generator_state_same_defect(kind):
    image, foreground = photo("grey"), np.ones((96, 80), bool)
    first, again, other = (apply(kind, image, foreground, seed)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    np.testing.assert_array_equal(image, photo("grey"))  # the input stays as it was


@pytest.mark.parametrize("kind", KINDS)
def test_contrast_ranges_from_subtle_to_clear(kind):
    image, foreground = photo("flat", (128, 128)), np.ones((128, 128), bool)
    changes = []
    for seed in range(30):
        changed, mask = apply(kind, image, foreground, seed)
        changes.append(np.abs(changed - image).max(axis=2)[mask].mean())
    assert min(changes) < 0.08
    assert max(changes) > 0.15


def test_noise_patches_are_few_and_within_their_sizes():
    image, foreground = photo("flat", (200, 200)), np.ones((200, 200), bool)
    counts = set()
    for seed in range(30):
        _, mask = apply("noise_patch", image, foreground, seed)
        labels, count = ndimage.label(ndimage.binary_dilation(mask, iterations=2))
        counts.add(count)
        extents = [max(part.stop - part.start for part in span) for span in ndimage.find_objects(labels)]
        assert max(extents) <= 4 * 0.1 * 200  # patches may touch; each is at most a tenth, turned and wavy
    assert max(counts) <= 4
    assert len(counts) >= 3


def test_walk_keeps_its_heading_with_momentum():
    def turning(momentum: float) -> float:
        angles = []
        for seed in range(20):
            path, _, _ = random_walk.walk(60, 2.0, momentum, np.random.default_rng(seed))
            steps = np.diff(path[::4], axis=0)
            heading = np.unwrap(np.arctan2(steps[:, 0], steps[:, 1]))
            angles.append(np.corrcoef(np.diff(heading)[:-1], np.diff(heading)[1:])[0, 1])
        return float(np.mean(angles))

    assert turning(0.95) > turning(0.0) + 0.1


def test_walk_drifts_in_radius_and_intensity():
    path, radii, strength = random_walk.walk(60, 2.0, 0.9, np.random.default_rng(0))
    assert len(path) == len(radii) == len(strength) == 241
    assert radii.max() / radii[20:-20].min() > 1.2
    assert strength.max() / strength.min() > 1.2


def test_strokes_lie_centrally_on_the_part():
    foreground = np.zeros((120, 120), bool)
    foreground[10:110, 10:110] = True
    centers = [
        np.argwhere(apply("random_walk", photo("flat", (120, 120)), foreground, seed)[1]).mean(axis=0)
        for seed in range(60)
    ]
    distance = np.abs(np.array(centers) - 60).max(axis=1)
    assert np.mean(distance < 25) > 0.4  # uniform placement: a quarter


@pytest.mark.parametrize("coverage", [0.01, 0.05])
def test_perlin_covers_about_its_share(coverage):
    image, foreground = photo("flat", (160, 160)), np.ones((160, 160), bool)
    areas = [
        Perlin(coverage=coverage).apply(image, foreground, np.random.default_rng(seed))[1].mean()
        for seed in range(20)
    ]
    assert 0.3 * coverage < np.mean(areas) < 1.5 * coverage


def test_gradient_noise_is_smooth_and_zero_at_the_corners_of_its_cells():
    noise = perlin.gradient_noise((64, 64), 4, np.random.default_rng(0))
    np.testing.assert_allclose(noise[::16, ::16], 0, atol=1e-6)
    assert np.abs(np.diff(noise, axis=0)).max() < 0.15 * np.ptp(noise)


def test_foreground_skips_background_specks_and_keeps_dark_spots_of_the_part():
    image = np.full((112, 112, 3), 0.01, np.float32)
    image[30:90, 30:90] = 0.6
    image[60:62, 60:62] = 0.0
    image[5, 5] = 1.0
    foreground = find_foreground(image, 0.03)
    assert foreground[61, 61]
    assert not foreground[5, 5]
    assert not foreground[:30].any()
    assert foreground.sum() > 0.9 * 60 * 60
    assert find_foreground(image, 0.0).all()
    assert find_foreground(image * 0, 0.03).all()  # nothing but background: better anywhere than nowhere


@pytest.mark.parametrize(("part", "background"), [(0.6, 0.25), (0.3, 0.9)])
def test_auto_background_is_the_shade_of_the_border(part, background):
    noise = np.random.default_rng(0).normal(0, 0.03, (200, 200, 1))
    image = (background + noise + np.zeros(3)).astype(np.float32)
    image[50:150, 40:160] += part - background
    image[90:110, 90:110] -= part - background  # a hole shows the background
    foreground = find_foreground(image, None)
    assert foreground[60:85, 50:150].mean() > 0.95
    assert not foreground[95:105, 95:105].any()
    assert not foreground[:45].any()
    assert not foreground[:, :35].any()


@pytest.mark.parametrize("look", ["flat", "grey", "black", "gradient", "halves"])
def test_a_texture_or_gradient_that_fills_the_photo_has_no_background(look):
    ramp = np.linspace(0.1, 0.9, 120)
    image = {
        "gradient": ramp[:, None, None] * np.ones((1, 120, 3)),
        "halves": (ramp > 0.5)[:, None, None] * np.ones((1, 120, 3)),
    }.get(look)
    image = photo(look, (120, 120)) if image is None else image.astype(np.float32)
    assert find_foreground(image, None).all()


def strokes(**settings: object) -> list[tuple[np.ndarray, np.ndarray]]:
    """Change in grey levels and mask of 30 strokes on a flat photo."""
    kind, image = random_walk.RandomWalk.model_validate(settings), photo("flat", (120, 120))
    found = [kind.apply(image, np.ones((120, 120), bool), np.random.default_rng(n)) for n in range(30)]
    return [(255 * np.abs(changed - image).max(axis=2), mask) for changed, mask in found]


def test_strokes_are_as_short_and_weak_as_asked():
    def longest(drawn):
        return max(np.ptp(np.argwhere(mask), axis=0).max() for _, mask in drawn)

    def weakest(drawn):
        return min(np.quantile(change[mask], 0.9) for change, mask in drawn)

    plain, short = strokes(), strokes(length=0.15, weakest=0.03)
    assert longest(short) <= 0.15 * 120 + 8 < longest(plain)  # the stroke is as thick as it is
    assert weakest(short) < 0.9 * 255 * base.CLEAR < weakest(plain) + 3


def test_uniform_strokes_come_nearer_to_the_edge():
    def off_centre(**settings):
        middles = [np.argwhere(mask).mean(axis=0) for _, mask in strokes(length=0.1, **settings)]
        return np.mean([np.abs(middle - 60).max() for middle in middles])

    assert off_centre(placement="uniform") > 1.15 * off_centre()


def test_speed_changes_the_strides_and_nothing_when_zero():
    def strides(speed):
        path, _, _ = random_walk.walk(60, 2.0, 0.9, np.random.default_rng(3), speed)
        return np.linalg.norm(np.diff(path[::4], axis=0), axis=1)

    assert np.allclose(strides(0.0), strides(0.0)[0], rtol=1e-3)
    assert strides(0.5).std() > 0.1 * strides(0.5).mean()
