"""Which pixels a step sees: of the images fitted, by seed, id and step alone; memory for them is bounded."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from adrefine.backbones.pdn import Pdn
from adrefine.detectors.efficientad.sampling import draw, noise_patches
from adrefine.detectors.efficientad.settings import Settings
from adrefine.detectors.efficientad.trainer import mask_of_features, ring_of_features
from adrefine.detectors.photos import Kept, Photos, Window, open_photos, size_of
from adrefine.detectors.trained import batches
from adrefine.errors import UserError
from adrefine.paths import PIXELS
from trees import pixels, save


def photos(striped, side: int = 64, tiles: bool = False) -> Photos:
    return Photos(striped.prepared / PIXELS, side, tiles, 0.25)


def settings(**changes) -> Settings:
    return Settings(**{"preset": "short", "side": 64, **changes})


def test_a_photo_is_read_as_it_is_and_smaller_where_asked(striped):
    found = photos(striped).pixels(Window(photos(striped).path("p03")))
    with Image.open(photos(striped).path("p03")) as image:
        values = np.asarray(image) / 255
    np.testing.assert_allclose(found.numpy(), np.broadcast_to(values, (3, 64, 64)), atol=1e-6)
    small = photos(striped, 32).pixels(Window(photos(striped).path("p03")))
    assert small.shape == (3, 32, 32)
    assert float(small.mean()) == pytest.approx(values.mean(), abs=0.01)


def test_tiles_are_parts_of_the_photo_at_its_own_size(striped, tmp_path):
    values = pixels(1, 200, 150)
    path = str(save(tmp_path / "large.png", values))
    whole, cut = photos(striped), photos(striped, tiles=True)
    assert whole.windows(path) == [Window(path)]
    windows = cut.windows(path)
    assert len(windows) > 6
    for window in windows:
        part = values[window.top : window.top + 64, window.left : window.left + 64] / 255
        np.testing.assert_allclose(cut.pixels(window)[0], part, atol=1e-6)
    assert cut.windows(cut.path("p00")) == [Window(cut.path("p00"))]


def test_a_hairline_of_a_mask_survives_shrinking(striped, tmp_path):
    line = np.zeros((256, 256), np.uint8)
    line[100] = 255
    path = str(save(tmp_path / "line.png", line))
    found = photos(striped, 32).mask(path, Window("elsewhere"))
    assert found.shape == (32, 32)
    assert found.any(dim=1).sum() == 1
    assert mask_of_features(found[None], padding=True).sum() == 8


@pytest.mark.parametrize(("padding", "size"), [(True, 16), (False, 8)])
def test_masks_of_features_are_true_where_any_pixel_is(padding, size):
    mask = torch.zeros(1, 64, 64, dtype=torch.bool)
    mask[0, 33, 30] = True
    found = mask_of_features(mask, padding)
    assert found.shape == (1, size, size)
    edge = 0 if padding else 4
    assert torch.nonzero(found).tolist() == [[0, 33 // 4 - edge, 30 // 4 - edge]]


@pytest.mark.parametrize("size", ["small", "medium"])
@pytest.mark.parametrize("padding", [True, False])
def test_the_ring_is_what_sees_a_pixel_of_the_mask(size, padding):
    """Asked of the network itself: whose gradient reaches that pixel."""
    torch.manual_seed(0)
    net = Pdn(size, 4, padding).eval()
    for row, column in ((33, 30), (0, 63)):
        mask = torch.zeros(1, 64, 64, dtype=torch.bool)
        mask[0, row, column] = True
        image = torch.rand(1, 3, 64, 64)
        other = image + mask[:, None] * (0.5 + torch.rand(1, 3, 1, 1))
        with torch.no_grad():
            differs = (net(image) - net(other)).abs().amax(dim=1) > 0
        ring = ring_of_features(mask, padding)
        assert ring.shape == differs.shape
        assert not (differs & ~ring).any()
        assert (ring & ~differs).sum() <= 0.2 * ring.sum()  # ReLU hides the pixel from few


def test_literal_patches_are_squares_of_noise_drawn_anew(striped):
    source, s = photos(striped), settings(synthetic=1.0, augment=0.0, patches="noise")
    seen = set()
    for step in range(6):
        item = draw("p03", step, source, s)
        unchanged = source.pixels(Window(source.path("p03")))
        assert item.window is None
        assert 1 <= item.mask.sum() <= 4 * 7**2
        assert torch.equal(item.pixels[:, ~item.mask], unchanged[:, ~item.mask])
        assert not torch.equal(item.pixels, unchanged)
        assert torch.equal(item.pixels[0], item.pixels[2])  # a grey photo stays grey
        seen.add(tuple(map(tuple, torch.nonzero(item.mask).tolist())))
    assert len(seen) == 6
    assert not draw("p03", 0, source, settings(synthetic=0.0, patches="noise")).mask.any()


def test_noise_lies_on_the_part_and_has_its_mean_and_deviation():
    plate = torch.zeros(3, 160, 160)
    plate[:, 40:120, 40:120] = 0.8
    values = []
    for seed in range(40):
        changed, mask = noise_patches(plate, np.random.default_rng(seed))
        rows, columns = torch.nonzero(mask, as_tuple=True)
        assert min(rows.min(), columns.min()) >= 31
        assert max(rows.max(), columns.max()) <= 128
        values.append(changed[:, mask].flatten())
    noise = torch.cat(values)
    assert float(noise.mean()) == pytest.approx(0.5, abs=0.02)
    assert float(noise.std()) == pytest.approx(0.245, abs=0.02)  # 0.25, cut off at 0 and 1


def test_a_draw_depends_on_seed_id_and_step_alone(striped):
    source, s = photos(striped), settings(augment=0.5, synthetic=0.5)
    first = [draw(name, step, source, s) for name in striped.ids for step in range(3)]
    again = [draw(name, step, photos(striped), s) for name in striped.ids for step in range(3)]
    for a, b in zip(first, again, strict=True):
        assert torch.equal(a.pixels, b.pixels)
        assert torch.equal(a.mask, b.mask)
        assert (a.window, a.seed) == (b.window, b.seed)
    other = [draw(name, step, source, settings(augment=0.5, synthetic=0.5, seed=1)) for name in striped.ids
             for step in range(3)]  # fmt: skip
    assert any(not torch.equal(a.pixels, b.pixels) for a, b in zip(first, other, strict=True))


def test_the_shares_of_twins_and_of_changed_looks_are_as_asked(striped):
    source = photos(striped)
    s = settings(augment=0.25, synthetic=0.4)
    items = [draw(name, step, source, s) for name in striped.ids for step in range(40)]
    assert np.mean([bool(item.mask.any()) for item in items]) == pytest.approx(0.4, abs=0.07)
    assert np.mean([item.window is None for item in items]) == pytest.approx(0.25, abs=0.07)
    for item in items:
        if item.window is not None:
            assert ("twin" in item.window.path) == bool(item.mask.any())


def test_twins_are_those_of_the_image_itself(striped):
    source = photos(striped)
    for name in striped.ids:
        item = draw(name, 0, source, settings(augment=0, synthetic=1))
        assert item.window.path.endswith(f"twin/{name}.png")
    assert source.twins("nobody") == []
    plain = draw("p01", 0, source, settings(augment=0, synthetic=0))
    assert not plain.mask.any()


def test_generic_images_are_drawn_only_for_their_loss_and_where_there_are_any(striped):
    source = photos(striped)
    assert draw("p00", 0, source, settings()).generic is None
    assert draw("p00", 0, source, settings(coeff_ood=1)).generic.shape == (3, 64, 64)
    source.generic = []
    assert draw("p00", 0, source, settings(coeff_ood=1)).generic is None


def test_every_image_comes_once_an_epoch_and_removals_only_leave_gaps():
    ids = tuple("abcdefgh")
    drawn = [name for batch in batches(ids, 3, 8, 0) for name in batch]
    assert len(drawn) == 24
    for epoch in range(3):
        assert sorted(drawn[8 * epoch : 8 * epoch + 8]) == list(ids)
    assert drawn[:8] != drawn[8:16]
    left = [name for batch in batches(ids[1:], 7, 3, 0) for name in batch]
    assert left == [name for name in drawn if name != "a"]
    assert list(batches(("a",), 4, 2, 0)) == [("a",) * 4] * 2


def test_memory_for_what_was_read_is_bounded():
    made: list[int] = []

    def make(number: int) -> torch.Tensor:
        made.append(number)
        return torch.full((100,), number, dtype=torch.uint8)

    kept = Kept(250)
    for _ in range(2):
        for number in range(4):
            assert kept.get(number, lambda number=number: make(number))[0] == number
    assert kept.bytes == 200
    assert made == [0, 1, 2, 3, 2, 3]


def test_what_is_missing_says_what_to_run(striped, tmp_path):
    with pytest.raises(UserError, match=r"no pdn\.pt: run `dvc repro pretrain_pdn`"):
        open_photos(tmp_path, 64, False, 0.25)
    with pytest.raises(UserError, match="does not know image nobody"):
        photos(striped).path("nobody")
    with pytest.raises(UserError, match="cannot be read"):
        size_of(tmp_path / "none.png")
