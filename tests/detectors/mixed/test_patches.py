"""Preset `paper`: the stream, the augmentation, the rate, and a few steps from weights in a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from adrefine.detectors.base import Images
from adrefine.detectors.mixed import augment
from adrefine.detectors.mixed.patches import MixedPatches, centre_of, windows
from adrefine.detectors.mixed.settings import Settings
from adrefine.detectors.mixed.stream import GOOD, REAL, SYNTHETIC, Defect, Stream
from adrefine.errors import UserError
from adrefine.paths import PIXELS, PLACES
from fakes import pixel_store
from trees import save

PAPER = Settings(preset="paper")
TINY = {
    "preset": "paper",
    "patch": 64,
    "stride": 40,
    "batch_size": 4,
    "epoch_steps": 1,
    "epochs": 2,
    "patience": 1,
}


def stream(good: int = 30, real: int = 5, **settings: object) -> Stream:
    known = {f"r{n}": Defect(centre=(0.5, 0.5)) for n in range(real)}
    names = [f"g{n}" for n in range(good)]
    chosen = Settings(preset="paper", **settings)
    return Stream(lambda name: torch.full((3, 90, 100), 0.5), names, known, chosen)


def test_the_shares_of_the_stream_are_those_of_the_document() -> None:
    """31/64 good, 31/64 synthetic, 2/64 real, within three deviations; without real defects half and half."""
    draws = 20_000
    for real, shares in ((5, (31 / 64, 31 / 64, 2 / 64)), (0, (0.5, 0.5, 0.0))):
        made = stream(real=real)
        kinds = [made.kind(step, slot) for step in range(draws // 20) for slot in range(20)]
        for kind, share in zip((GOOD, SYNTHETIC, REAL), shares, strict=True):
            assert abs(kinds.count(kind) / draws - share) <= 3 * (share * (1 - share) / draws) ** 0.5


def test_a_photo_that_leaves_changes_only_its_own_patches() -> None:
    whole, less = stream(), stream()
    less = Stream(less.photo, [name for name in less.good if name != "g7"], less.real, less.settings)
    pairs = [(whole.chosen(GOOD, step, 3), less.chosen(GOOD, step, 3)) for step in range(400)]
    assert all(one == other for one, other in pairs if one != "g7")
    assert "g7" in {one for one, _ in pairs} - {other for _, other in pairs}


def test_a_real_defect_that_is_doubted_comes_less_often() -> None:
    known = {"sure": Defect(1.0), "doubted": Defect(0.25)}
    made = Stream(lambda name: torch.zeros(3, 9, 9), ["g"], known, PAPER)
    found = [made.chosen(REAL, step, 0) for step in range(2000)]
    assert found.count("sure") / 2000 == pytest.approx(0.8, abs=0.03)


def test_only_synthetic_patches_are_changed_and_a_patch_is_of_its_step_and_slot_alone() -> None:
    made = stream(patch=64, light=0.0, inject=0.0)
    found = [made.item(0, slot) for slot in range(12)]
    assert {kind for kind, _ in found} == {GOOD, SYNTHETIC}
    for slot, (kind, pixels) in enumerate(found):
        assert pixels.shape == (3, 64, 64)
        assert bool(((pixels - 0.5).abs() > 0.01).any()) == (kind == SYNTHETIC)
        assert torch.equal(made.item(0, slot)[1], pixels)


def test_without_ranges_a_patch_is_the_photo_there() -> None:
    photo = torch.rand(3, 40, 50, generator=torch.Generator().manual_seed(0))
    still = Settings(preset="paper", rotation=0, scale=(1, 1), shear=0, flip=False, light=0.0)
    change = augment.drawn(still, np.random.default_rng(0))
    torch.testing.assert_close(augment.patch(photo, (20.0, 30.0), 16, change), photo[:, 12:28, 22:38])


@pytest.mark.parametrize("seed", range(20))
def test_a_defect_in_the_centre_stays_in_the_patch(seed: int) -> None:
    """512 to 256 pixels, so that no border comes into view (ISP sect. 3.2): here 64 to 32."""
    photo = torch.zeros(1, 64, 64)
    photo[:, 27:37, 27:37] = 1
    change = augment.drawn(PAPER, np.random.default_rng(seed))
    found = augment.patch(photo, (32.0, 32.0), 32, change) > 0.4
    area = 100 * abs(np.linalg.det(np.linalg.inv(change.affine)))
    assert int(found.sum()) == pytest.approx(area, rel=0.2)


def test_the_smoothing_is_a_gaussian_of_three_pixels() -> None:
    dot = torch.zeros(1, 1, 5, 5)
    dot[..., 2, 2] = 1
    wanted = ndimage.gaussian_filter(np.eye(5)[2], 1, radius=1)[1:4]
    np.testing.assert_allclose(augment.gaussian(1.0), wanted, atol=1e-6)
    np.testing.assert_allclose(
        augment.smoothed(dot, 1.0)[0, 0, 1:4, 1:4], np.outer(wanted, wanted), atol=1e-6
    )
    assert augment.smoothed(dot, 0.0) is dot


def test_the_rate_starts_anew_after_t0_times_two_to_the_n_minus_one() -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=PAPER.learning_rate)
    rate = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=PAPER.restart, T_mult=2)
    found = {}
    for step in range(23_441):
        found[step] = optimizer.param_groups[0]["lr"]
        optimizer.step()
        rate.step()
    for step in (0, 7813, 23_439):
        assert found[step] == PAPER.learning_rate
    assert found[7812] < 1e-3 * PAPER.learning_rate
    assert found[23_438] < 1e-3 * PAPER.learning_rate


def test_windows_cover_the_photo() -> None:
    assert windows(448, 256, 256, 160) == [(0, 0), (160, 0), (192, 0)]
    assert windows(256, 256, 256, 160) == [(0, 0)]


def test_the_presets_read_what_they_need() -> None:
    assert (Settings().reads, PAPER.reads) == ((PLACES,), (PIXELS,))
    assert (Settings().inject, PAPER.inject, PAPER.synthetic) == (0.125, 1 / 32, 0.5)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of ResNet18's, random ones."""
    from torchvision.models import get_model

    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(get_model("resnet18", weights=None).state_dict(), file)
    return file


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Images:
    """Ten grey photos and two defects with masks, as pretrain_pdn lists them."""
    folder = tmp_path_factory.mktemp("photos")
    rng, files, masks = np.random.default_rng(0), {}, {}
    for name in [*(f"g{n}" for n in range(10)), "r0", "r1"]:
        values = rng.normal(120, 10, (80, 96)).clip(0, 255).astype(np.uint8)
        mask = np.zeros_like(values)
        if name.startswith("r"):
            mask[10:20, 30:60] = 255
            masks[name] = str(save(folder / f"mask/{name}.png", mask))
        files[name] = save(folder / f"{name}.png", np.where(mask > 0, 20, values).astype(np.uint8))
    return replace(pixel_store(folder / "prepared", files), masks=masks)


def trained(photos: Images, weights: Path, **settings: object) -> MixedPatches:
    detector = Settings.model_validate({**TINY, "weights": str(weights), **settings}).create()
    assert isinstance(detector, MixedPatches)
    detector.know(Images(("r0", "r1"), photos.prepared, masks=photos.masks))
    detector.fit(photos.only(f"g{n}" for n in range(10)))
    return detector


def test_a_few_steps_from_a_file_and_saved_it_is_the_same(
    photos: Images, weights: Path, tmp_path: Path
) -> None:
    """Learned, scored, mapped, cloned, warm-started, saved and loaded: twice the same bytes."""
    detector = trained(photos, weights)
    assert detector.defects["r0"].centre == centre_of(photos.masks["r0"]) == (15 / 80, 45 / 96)
    scores = detector.score(photos).image
    assert (scores > 0).all()
    assert scores[3] == detector.score(photos.only(["g3"])).image[0]
    maps = detector.maps(photos.only(["g0", "r0"]), [Path("unused")] * 2)
    assert maps is not None
    assert maps.shape == (2, 80, 96)
    for folder, model in (("a", detector), ("b", trained(photos, weights))):
        model.save(tmp_path / folder)
    again = Settings(preset="paper").create()
    again.load(tmp_path / "a")
    np.testing.assert_array_equal(again.score(photos).image, scores)
    again.save(tmp_path / "c")
    for path in (tmp_path / "a").iterdir():
        assert {(tmp_path / folder / path.name).read_bytes() for folder in "abc"} == {path.read_bytes()}
    copy = detector.clone()
    copy.fit(photos.only(f"g{n}" for n in range(5)), warm_start=True)
    np.testing.assert_array_equal(detector.score(photos).image, scores)
    assert (copy.score(photos).image != scores).any()


def test_the_map_of_a_window_has_the_mean_that_the_network_says(photos: Images, weights: Path) -> None:
    detector = trained(photos, weights)
    patches = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    net = detector.ready().eval()
    with torch.no_grad():
        pooled = net.last(net.body((augment.smoothed(patches, 1.0) - _MEAN) / _STD).mean(dim=(2, 3)))[:, 0]
        torch.testing.assert_close(net(patches), pooled)


_MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
_STD = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)


def test_weights_of_another_network_are_named(photos: Images, tmp_path: Path) -> None:
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match=r"mixed\.weights: .*other\.pth does not fit resnet18"):
        trained(photos, tmp_path / "other.pth")


def test_a_mask_that_marks_nothing_has_no_centre(tmp_path: Path) -> None:
    Image.new("L", (8, 8)).save(tmp_path / "mask.png")
    assert centre_of(str(tmp_path / "mask.png")) is None
