"""EfficientAD fits, scores, maps, goes on warm and comes back from disk the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from adrefine import strategies
from adrefine.areas.region import Region
from adrefine.detectors import photos as ead_data
from adrefine.detectors.base import Images
from adrefine.detectors.efficientad.detector import EfficientAD
from adrefine.detectors.efficientad.maps import smooth
from adrefine.detectors.efficientad.sampling import draw
from adrefine.detectors.efficientad.settings import Settings
from adrefine.detectors.efficientad.teacher import open_teacher
from adrefine.detectors.efficientad.trainer import PARTS, Trainer
from adrefine.detectors.photos import Window
from adrefine.detectors.trained import held_out
from adrefine.errors import UserError
from adrefine.io import read_json, write_json
from adrefine.params import Evaluate, parse
from adrefine.paths import PIXELS
from adrefine.strategies import engine, scorers
from fakes import pixel_store, weights
from trees import pixels, save

TINY = {"preset": "short", "side": 64, "steps": 2, "batch_size": 2, "finetune_steps": 1, "holdout": 0.3}
FILES = {"efficientad.pt", "settings.json", "training_log.csv"}


def untrained(**changes) -> EfficientAD:
    return EfficientAD(Settings(**{**TINY, **changes}))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def fitted(striped) -> EfficientAD:
    detector = untrained()
    detector.fit(striped)
    return detector


def test_the_paper_preset_is_the_documents_and_explicit_keys_overrule():
    paper = Settings(preset="paper")
    assert (paper.side, paper.steps, paper.batch_size, paper.learning_rate) == (256, 70000, 1, 1e-4)
    assert (paper.p_hard, paper.synthetic, paper.augment, paper.init) == (0.99, 0.4, 1.0, "scratch")
    assert [getattr(paper, f"coeff_{name}") for name in PARTS] == [1, 0, 1, 1, 1]
    assert (paper.patches, paper.ring, paper.normalize) == ("noise", False, "photo")
    assert Settings(preset="short").normalize == "places"
    assert Settings(steps=7, augment=0).steps == 7
    assert Settings(augment=0).augment == 0
    assert Settings().side == Settings.PRESETS["fast"]["side"]
    assert Settings().teacher == "backbone"
    assert Settings(preset="short").teacher == "pdn"
    assert (Settings().steps, Settings(preset="instant").steps) == (300, 0)
    assert (Settings().top, paper.top) == (0.02, 0)


@pytest.mark.parametrize("init", ["teacher", "scratch"])
def test_the_first_layers_start_as_the_teachers_if_asked(striped, init):
    detector = untrained(init=init, learning_rate=1e-9, steps=1)
    detector.fit(striped)
    teacher = open_teacher(striped.prepared / PIXELS, 64, True).net
    learned = detector.networks.student
    near = [
        torch.allclose(learned.get_parameter(name), teacher.get_parameter(name).float(), atol=1e-6)
        for name in ("conv1.weight", "conv2.weight", "conv3.weight")
    ]
    assert near == [init == "teacher", init == "teacher", False]


@pytest.mark.parametrize(("precision", "dtype"), [("f32", torch.float32), ("bf16", torch.bfloat16)])
def test_the_student_learns_in_the_precision_asked_for(tmp_path, monkeypatch, precision, dtype):
    """Its convolutions compute in it; weights and losses stay float32."""
    images = pixel_store(tmp_path, {"p1": save(tmp_path / "1.png", pixels(1))})
    meta = tmp_path / PIXELS / "meta.json"
    write_json(meta, read_json(meta) | {"runtime": {"engine": "torch", "precision": precision}})
    detector, seen = untrained(augment=0.0), []
    photos = detector._photos(images)
    detector._start(detector._plain_teacher(images))
    trainer = detector._trainer(photos, detector._plain_teacher(images))
    monkeypatch.setattr(trainer, "_wanted", lambda items, pixels: torch.zeros(1, 384, 16, 16))
    detector.networks.student.conv1.register_forward_hook(lambda *call: seen.append(call[2].dtype))
    parts = trainer.losses([draw("p1", 0, photos, detector.settings)])
    assert seen == [dtype]
    assert {value.dtype for value in (*detector.networks.parameters(), *parts.values())} == {torch.float32}


def test_quantiles_that_do_not_rise_are_refused():
    with pytest.raises(UserError, match=r"efficientad\.q_a` = 0\.99 must be under"):
        parse({"efficientad": {"q_a": 0.99, "q_b": 0.9}})


def test_scores_are_positive_in_the_order_asked_and_maxima_of_the_maps(fitted, striped):
    scores = fitted.score(striped).image
    assert scores.shape == (12,)
    assert scores.dtype == np.float64
    assert (scores > 0).all()
    turned = striped.only(striped.ids[::3])
    np.testing.assert_array_equal(fitted.score(turned).image, scores[::3])
    photos = ead_data.open_photos(striped.prepared / PIXELS, 64, False, 0.25)
    maps = fitted.maps(striped, [Path(photos.path(name)) for name in striped.ids])
    assert maps.shape == (12, 64, 64)
    assert maps.dtype == np.float32
    assert (maps.max(axis=(1, 2)) <= scores + 1e-6).all()
    assert fitted.maps(striped.only(()), []).shape[0] == 0


def test_alpha_is_a_choice_of_inference(fitted, striped):
    other = fitted.clone()
    scores = []
    for alpha in (0.0, 0.9, 1.0, 0.9):
        other.apply(Evaluate(alpha=alpha))
        scores.append(other.score(striped).image)
    np.testing.assert_array_equal(scores[1], scores[3])
    assert not np.array_equal(scores[0], scores[1])
    assert not np.array_equal(scores[1], scores[2])
    assert (np.minimum(scores[0], scores[2]) > 0).all()
    np.testing.assert_array_equal(fitted.score(striped).image, scores[1])


def test_its_map_adds_up_the_students_and_the_autoencoders(fitted, striped):
    images = striped.only(striped.ids[:2])
    files = [Path(fitted._photos(striped).path(name)) for name in images.ids]
    parts, whole = fitted.layers(images, files), fitted.maps(images, files)
    assert list(parts) == ["student", "autoencoder"]
    weighed = fitted.alpha * parts["student"] + (1 - fitted.alpha) * parts["autoencoder"]
    np.testing.assert_allclose(weighed, whole, rtol=1e-4, atol=1e-5)


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(fitted, striped, tmp_path):
    for name, seed in (("again", 0), ("other", 1)):
        torch.rand(3)
        detector = untrained(seed=seed)
        detector.fit(striped)
        detector.save(tmp_path / name)
    fitted.save(tmp_path / "first")
    first, again, other = (contents(tmp_path / name) for name in ("first", "again", "other"))
    assert set(first) == FILES
    assert first == again
    assert all(first[name] != other[name] for name in FILES)


def test_a_loaded_model_scores_and_goes_on_the_same_and_saves_the_same_bytes(fitted, striped, tmp_path):
    fitted.save(tmp_path / "a")
    loaded, direct = EfficientAD(Settings(preset="short")), fitted.clone()
    loaded.load(tmp_path / "a")
    np.testing.assert_array_equal(loaded.score(striped).image, fitted.score(striped).image)
    assert loaded.settings.stored() == fitted.settings.stored()
    np.testing.assert_array_equal(
        (loaded.scale.low, loaded.scale.high), (fitted.scale.low, fitted.scale.high)
    )
    loaded.save(tmp_path / "b")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    for detector in (loaded, direct):
        detector.fit(striped.only(striped.ids[:-3]), warm_start=True)
    assert torch.equal(weights(loaded), weights(direct))


def test_warm_starts_do_not_pile_up_and_leave_clones_alone(fitted, striped):
    before = weights(fitted)
    once, twice = fitted.clone(), fitted.clone()
    twice.fit(striped.only(striped.ids[:5]), warm_start=True)
    for detector in (once, twice):
        log = detector.fit(striped.only(striped.ids[:-3]), warm_start=True)
        assert log[-1]["step"] == 1
    assert torch.equal(weights(once), weights(twice))
    assert torch.equal(weights(fitted), before)
    moved = (weights(once) - before).norm()
    assert 0 < moved < 1.1e-4 * len(before) ** 0.5  # one step of Adam at a tenth of the rate
    again = fitted.clone()
    again.fit(striped)
    assert torch.equal(weights(again), before)


def test_the_quantiles_come_from_images_not_learned_then_all_are_learned(striped, monkeypatch):
    seen: list[tuple[str, ...]] = []
    run = Trainer.run
    monkeypatch.setattr(
        Trainer, "run", lambda self, ids, *rest, **more: (seen.append(ids), run(self, ids, *rest, **more))[1]
    )
    detector = untrained()
    s = detector.settings
    learned, held = held_out(striped, s.holdout, s.seed)
    assert set(learned.ids) | set(held.ids) == set(striped.ids)
    assert 0 < len(held) < 8
    detector.fit(striped)
    assert seen == [learned.ids, striped.ids]
    scale = detector.scale
    detector.clone().fit(striped.only(striped.ids[:6]))
    assert seen[2:] == [striped.ids[:6]]
    detector.fit(striped.only(striped.ids[:6]))
    assert detector.scale is scale
    gone = held_out(striped.only(striped.ids[2:]), s.holdout, s.seed)[1]
    assert gone.ids == tuple(name for name in held.ids if name in striped.ids[2:])


@pytest.fixture(scope="module")
def placed(striped) -> EfficientAD:
    detector = untrained(holdout=0)
    detector.fit(striped)
    return detector


def test_each_place_of_shorts_maps_has_its_own_units_and_they_come_back(placed, striped, tmp_path):
    """The same 12 photos: at each place the mean of a map is 0, in units of its deviation."""
    raw = np.stack(list(placed._raw(striped)))
    assert placed.scale.low.shape == raw.shape[1:] == (2, 16, 16)
    units = (placed.scale.high - placed.scale.low) / 0.1
    mean, deviation = smooth(raw.mean(axis=0)), smooth(raw.std(axis=0))
    spread = deviation + 0.1 * deviation.mean(axis=(1, 2), keepdims=True)
    for kind in (0, 1):  # how far apart the quantiles are, in deviations, is the same everywhere
        np.testing.assert_allclose(
            units[kind] / spread[kind], units[kind, 0, 0] / spread[kind, 0, 0], rtol=1e-3
        )
        low = (placed.scale.low[kind] - mean[kind]) / spread[kind]
        np.testing.assert_allclose(low, low[0, 0], rtol=1e-2, atol=1e-3)
    placed.save(tmp_path)
    loaded = EfficientAD(Settings(preset="short"))
    loaded.load(tmp_path)
    np.testing.assert_array_equal(loaded.score(striped).image, placed.score(striped).image)


@pytest.mark.parametrize("changes", [{"normalize": "photo", "holdout": 0}, {"holdout": 0.1}])
def test_all_places_share_their_units_if_asked_and_where_few_photos_are_held_out(striped, changes):
    detector = untrained(**changes)
    detector.fit(striped)
    assert detector.scale.low.shape == (2, 1, 1)


def test_a_model_from_before_has_two_quantiles_of_all_places(fitted, striped, tmp_path):
    fitted.save(tmp_path)
    state = torch.load(tmp_path / "efficientad.pt", weights_only=True)
    state |= {name: tuple(state[name].ravel().tolist()) for name in ("low", "high")}
    torch.save(state, tmp_path / "efficientad.pt")
    loaded = EfficientAD(Settings(preset="short"))
    loaded.load(tmp_path)
    np.testing.assert_array_equal(loaded.score(striped).image, fitted.score(striped).image)


def test_outside_the_region_the_map_is_its_lowest_inside(placed, striped, monkeypatch):
    inside = np.zeros((64, 64), bool)
    inside[:32] = True
    photos = placed._photos(striped)
    free = np.stack(list(placed._fused(striped, placed._raw(striped), 0.9)))
    monkeypatch.setattr(photos, "region", Region(inside))
    kept = np.stack(list(placed._fused(striped, placed._raw(striped), 0.9)))
    np.testing.assert_array_equal(kept[:, :8], free[:, :8])
    np.testing.assert_array_equal(kept[:, 8:].max(axis=(1, 2)), free[:, :8].min(axis=(1, 2)))


def test_twins_of_removed_images_are_never_seen(striped, monkeypatch):
    seen: set[str] = set()
    window_pixels = ead_data.Photos.pixels
    monkeypatch.setattr(
        ead_data.Photos,
        "pixels",
        lambda self, window: (seen.add(window.path), window_pixels(self, window))[1],
    )
    untrained(synthetic=1.0, holdout=0, steps=4, augment=1.0, coeff_ood=1.0).fit(striped.only(["p02", "p05"]))
    names = {path.rsplit("/", 2)[-2] + "/" + path.rsplit("/", 1)[-1] for path in seen}
    assert {"twin/p02.png", "twin/p05.png", "generic/g.png"} <= names
    assert {name.split("/")[1] for name in names} == {"p02.png", "p05.png", "g.png"}


def test_every_loss_is_weighed_by_its_coefficient(striped):
    detector = untrained(holdout=0, synthetic=1.0, coeff_ood=1.0)
    detector.fit(striped)
    trainer = detector._trainer(detector._photos(striped), detector._teacher(striped))
    items = trainer._items((0, striped.ids[:2]))
    parts = trainer.losses(items)
    assert set(parts) == set(PARTS)
    assert all(float(parts[name]) != 0 for name in PARTS)
    for name in PARTS:
        only = {f"coeff_{other}": 3.0 * (other == name) for other in PARTS}
        trainer.settings = Settings(**{**TINY, **only})
        assert float(trainer._total(parts)) == pytest.approx(3 * float(parts[name]))


def test_the_ring_counts_for_no_loss_if_asked(striped):
    detector = untrained(holdout=0, synthetic=1.0, augment=0.0)
    detector.fit(striped)
    trainer = detector._trainer(detector._photos(striped), detector._teacher(striped))
    items = trainer._items((0, striped.ids[:2]))
    without = trainer.losses(items)
    trainer.settings = Settings(**TINY, ring=False)
    assert all(float(trainer.losses(items)[name]) != float(without[name]) for name in ("hard", "ae", "cdo"))


def test_a_loss_on_generic_images_needs_some(striped, tmp_path):
    prepared = tmp_path / "prepared"
    shutil.copytree(striped.prepared, prepared)
    file = prepared / PIXELS / "generic.csv"
    file.write_text(file.read_text().splitlines()[0] + "\n")
    with pytest.raises(UserError, match="coeff_ood = 1 needs generic images, and there are none"):
        untrained(coeff_ood=1.0).fit(Images(striped.ids, prepared))


def test_unchanged_pixels_use_the_kept_teacher_output_and_give_the_same(striped):
    detector = untrained(augment=0.0, holdout=0)
    detector.fit(striped)
    photos, teacher = detector._photos(striped), detector._teacher(striped)
    trainer = detector._trainer(photos, teacher)
    items = trainer._items((0, striped.ids[:2]))
    kept = trainer._wanted(items, None)
    computed = torch.cat([teacher(item.pixels[None]) for item in items])
    torch.testing.assert_close(kept, computed)
    assert open_teacher(striped.prepared / PIXELS, 64, True) is teacher.teacher
    assert open_teacher(striped.prepared / PIXELS, 128, True) is not teacher.teacher


@pytest.mark.parametrize("side", [64, 96])
def test_the_teachers_channels_have_mean_0_and_deviation_1_at_the_side_that_is_used(striped, side):
    detector = untrained(side=side, holdout=0, steps=1)
    detector.fit(striped)
    photos, teacher = detector._photos(striped), detector._teacher(striped)
    seen = torch.stack([teacher.of_window(photos, Window(photos.path(name))) for name in striped.ids])
    torch.testing.assert_close(seen.mean(dim=(0, 2, 3)), torch.zeros(384), atol=1e-3, rtol=0)
    torch.testing.assert_close(seen.std(dim=(0, 2, 3), correction=0), torch.ones(384), atol=1e-2, rtol=0)


def test_without_padding_and_held_out_images(striped):
    detector = untrained(padding=False, holdout=0)
    detector.fit(striped.only(striped.ids[:2]))
    assert np.isfinite(detector.score(striped).image).all()


def large_photos(folder: Path) -> Images:
    """Three photos of 152 x 100 pixels without synthetic defects."""
    photos = {name: save(folder / f"{name}.png", pixels(seed, 152, 100)) for seed, name in enumerate("abc")}
    return pixel_store(folder, photos)


def test_large_photos_in_tiles_have_maps_of_their_own_size(tmp_path):
    images = large_photos(tmp_path)
    paths = [tmp_path / f"{name}.png" for name in "abc"]
    detector = untrained(tiles=True, holdout=0)
    detector.fit(images)
    maps = detector.maps(images, paths)
    assert maps.shape == (3, 100, 152)
    np.testing.assert_allclose(maps.max(axis=(1, 2)), detector.score(images).image, rtol=1e-5)


def test_a_round_of_refinement_removes_by_its_scores(fitted, striped):
    params = parse(
        {
            "refine": {"strategy": "irp", "max_rounds": 1, "folds": 2, "final_fit": "warm"},
            "irp": {"lambda": 0.01, "remove": "max"},
        }
    )
    detector = fitted.clone()
    scorer = scorers.create(params.refine, detector, striped.ids)
    strategy = strategies.create(params, len(striped))
    outcome = engine.refine(detector, striped, strategy, scorer, params.refine)
    assert outcome.images["kept"].sum() == len(striped) - 1
    assert outcome.history["score"].between(0, np.inf, inclusive="neither").all()


@pytest.mark.parametrize("part", ["missing", "cut", "settings"])
def test_what_is_no_model_is_refused(fitted, tmp_path, part):
    if part != "missing":
        fitted.save(tmp_path)
    if part == "cut":
        (tmp_path / "efficientad.pt").write_bytes((tmp_path / "efficientad.pt").read_bytes()[:1000])
    if part == "settings":
        (tmp_path / "settings.json").write_text('{"side": 64}')
    with pytest.raises(UserError, match="run `dvc repro train`"):
        EfficientAD(Settings(preset="short")).load(tmp_path)


def test_too_few_images_and_an_untrained_model_are_refused(striped):
    with pytest.raises(UserError, match="at least 2 training images, got 1"):
        untrained().fit(striped.only(["p00"]))
    with pytest.raises(UserError, match="not trained"):
        untrained().score(striped)
