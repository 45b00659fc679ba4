"""DifferNet fits, scores, stops early, goes on warm and comes back from disk the same."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from adrefine.detectors.base import Images, read_log, write_log
from adrefine.detectors.differnet.detector import DifferNet
from adrefine.detectors.differnet.settings import Settings
from adrefine.errors import UserError
from adrefine.features.store import Store
from adrefine.paths import FEATURES
from fakes import image_set, weights

SMALL = {"hidden": 8, "layers": 1, "blocks": 2, "epochs": 8, "patience": 8, "finetune_epochs": 2}
SMALL |= {"learning_rate": 5e-3, "feature_noise": 0.1, "holdout": 0.2, "batch_size": 16, "standardize": True}


def untrained(**changes) -> DifferNet:
    return DifferNet(Settings(**{**SMALL, **changes}))


@pytest.fixture(scope="module")
def fitted(images) -> DifferNet:
    detector = untrained()
    detector.fit(images)
    return detector


def test_as_published_a_flow_has_eight_blocks_of_three_hidden_layers_of_2048_units():
    flow = DifferNet(Settings(preset="paper"))._new_flow(4)
    widths = [m.out_features for m in flow.module_list[1].subnet1 if isinstance(m, torch.nn.Linear)]
    assert len(flow.module_list) == 16
    assert widths == [2048, 2048, 2048, 4]


def test_explicit_keys_overrule_the_preset_also_when_they_are_nought():
    settings = Settings(feature_noise=0, holdout=0, standardize=False, epochs=7)
    assert (settings.feature_noise, settings.holdout, settings.standardize, settings.epochs) == (
        0,
        0,
        False,
        7,
    )
    assert settings.hidden == Settings.PRESETS["fast"]["hidden"]


def test_scores_are_positive_and_higher_for_outliers(images):
    detector = untrained()
    detector.fit(images.only(images.ids[:-3]))
    scores = detector.score(images).image
    assert scores.shape == (40,)
    assert scores.dtype == np.float64
    assert (scores > 0).all()
    assert scores[-3:].min() > scores[:-3].max()


def test_scores_follow_the_order_asked_and_no_neighbour(fitted, images):
    turned = images.only(images.ids[::3])
    np.testing.assert_allclose(fitted.score(turned).image, fitted.score(images).image[::3], rtol=1e-5)


def test_the_score_is_the_mean_of_the_squared_latents_over_views(fitted, images):
    vectors = torch.from_numpy(Store(images.prepared / FEATURES).vectors(images.ids[:2]))
    with torch.no_grad():
        z, _ = fitted.flow((vectors.reshape(-1, 6) - fitted.centre) / fitted.spread)
    expected = z.square().reshape(2, -1).mean(dim=1)
    np.testing.assert_allclose(fitted.score(images).image[:2], expected, rtol=1e-5)


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(fitted, images, tmp_path):
    for name, seed in (("again", 0), ("other", 1)):
        torch.rand(3)
        detector = untrained(seed=seed)
        detector.fit(images)
        detector.save(tmp_path / name)
    fitted.save(tmp_path / "first")
    for file in ("differnet.pt", "settings.json", "training_log.csv"):
        first, again, other = ((tmp_path / name / file).read_bytes() for name in ("first", "again", "other"))
        assert first == again
        assert first != other


def test_a_loaded_model_scores_the_same_and_saves_the_same_bytes(fitted, images, tmp_path):
    fitted.save(tmp_path / "a")
    loaded = DifferNet(Settings())
    loaded.load(tmp_path / "a")
    np.testing.assert_array_equal(loaded.score(images).image, fitted.score(images).image)
    assert loaded.settings == fitted.settings
    loaded.save(tmp_path / "b")
    first, second = ({file.name: file.read_bytes() for file in (tmp_path / name).iterdir()} for name in "ab")
    assert set(first) == {"differnet.pt", "settings.json", "training_log.csv"}
    assert first == second


@given(st.lists(st.tuples(st.floats(), st.floats() | st.integers(-(10**9), 10**9)), min_size=1, max_size=5))
@settings(max_examples=100, deadline=None)
def test_any_log_comes_back_the_same_byte_for_byte(rows):
    log = [{"epoch": epoch, "train_nll": a, "holdout_nll": b} for epoch, (a, b) in enumerate(rows)]
    with TemporaryDirectory() as name:
        folder, file = Path(name), Path(name) / "training_log.csv"
        write_log(folder, log)
        before = file.read_bytes()
        write_log(folder, read_log(folder))
        assert file.read_bytes() == before


def test_a_warm_start_goes_on_the_same_after_loading(fitted, images, tmp_path):
    fitted.save(tmp_path)
    loaded, direct = DifferNet(Settings()), fitted.clone()
    loaded.load(tmp_path)
    for detector in (loaded, direct):
        detector.fit(images.only(images.ids[:-3]), warm_start=True)
    assert torch.equal(weights(loaded), weights(direct))


def test_a_clone_is_independent(fitted, images):
    before, copy = fitted.score(images).image, fitted.clone()
    np.testing.assert_array_equal(copy.score(images).image, before)
    copy.fit(images, warm_start=True)
    assert not np.array_equal(copy.score(images).image, before)
    np.testing.assert_array_equal(fitted.score(images).image, before)


def test_a_warm_start_keeps_scale_and_weights_and_takes_fewer_epochs(images):
    detector = untrained(holdout=0)
    cold = detector.fit(images)
    centre, before = detector.centre.clone(), weights(detector)
    warm = detector.fit(images.only(images.ids[:-3]), warm_start=True)
    assert (len(cold), len(warm)) == (8, 2)
    assert torch.equal(detector.centre, centre)
    assert warm[0]["train_nll"] < cold[0]["train_nll"]
    moved = (weights(detector) - before).norm()
    fresh = untrained(holdout=0)
    fresh.fit(images.only(images.ids[:-3]))
    assert 0 < moved < (weights(fresh) - before).norm()


def test_warm_starts_do_not_pile_up(fitted, images):
    once, twice = fitted.clone(), fitted.clone()
    twice.fit(images.only(images.ids[:20]), warm_start=True)
    for detector in (once, twice):
        detector.fit(images.only(images.ids[:-3]), warm_start=True)
    assert torch.equal(weights(once), weights(twice))


def test_a_cold_fit_forgets_what_was_learned_before(fitted, images):
    again = fitted.clone()
    again.fit(images.only(images.ids[:20]), warm_start=True)
    again.fit(images)
    assert torch.equal(weights(again), weights(fitted))


def script_likelihoods(monkeypatch, detector: DifferNet, values: list[float]) -> None:
    """Let the held-out likelihood be `values`."""
    script = iter(values)
    monkeypatch.setattr(detector, "_likelihood", lambda watched: next(script))


def test_early_stopping_waits_and_then_learns_all_images_for_the_best_number_of_epochs(images, monkeypatch):
    detector = untrained(epochs=20, patience=3)
    script_likelihoods(monkeypatch, detector, [5, 4, 3, 3.5, 2.9, 3, 3, 3, 1])
    log = detector.fit(images)
    assert [row["holdout_nll"] for row in log] == [5, 4, 3, 3.5, 2.9]
    everything = untrained(epochs=5, holdout=0)
    everything.fit(images)
    assert torch.equal(weights(detector), weights(everything))
    assert torch.equal(detector.centre, everything.centre)


def test_later_cold_fits_start_afresh_but_keep_the_number_of_epochs(images, monkeypatch, tmp_path):
    detector = untrained(epochs=20, patience=3)
    script_likelihoods(monkeypatch, detector, [5, 4, 3, 3.5, 4, 4])
    detector.fit(images)
    detector.save(tmp_path)
    loaded = DifferNet(Settings())
    loaded.load(tmp_path)
    for later in (loaded, detector.clone()):
        assert len(later.fit(images.only(images.ids[:30]))) == 3
        alone = untrained(epochs=3, holdout=0)
        alone.fit(images.only(images.ids[:30]))
        assert torch.equal(weights(later), weights(alone))


def test_a_warm_start_learns_all_images_and_never_stops_early(images, monkeypatch):
    detector, seen = untrained(), []
    detector.fit(images)
    epoch = detector._epoch
    monkeypatch.setattr(
        detector, "_epoch", lambda rows, *rest: (seen.append(len(rows)), epoch(rows, *rest))[1]
    )
    detector.fit(images, warm_start=True)
    assert seen == [len(images)] * 2


def test_without_held_out_images_every_epoch_is_run(images):
    log = untrained(holdout=0, patience=1).fit(images)
    assert len(log) == 8
    assert all(np.isnan(row["holdout_nll"]) for row in log)


def test_held_out_images_are_not_learned_before_the_number_of_epochs_is_known(images, monkeypatch):
    detector, seen = untrained(standardize=False), []
    epoch = detector._epoch
    monkeypatch.setattr(detector, "_epoch", lambda rows, *rest: (seen.append(rows), epoch(rows, *rest))[1])
    detector.fit(images)
    held = detector._held_out(images)
    vectors = torch.from_numpy(Store(images.prepared / FEATURES).vectors(images.ids))
    assert held.sum() == 8
    assert torch.equal(seen[0], vectors[~held])
    assert torch.equal(seen[-1], vectors)


def test_removing_images_moves_no_other_in_or_out_of_the_held_out_ones():
    detector, ids = untrained(), image_set(50).ids
    held = set(np.array(ids)[detector._held_out(Images(ids, Path()))])
    for gone in (1, 5, 20):
        left = ids[gone:]
        assert set(np.array(left)[detector._held_out(Images(left, Path()))]) == held & set(left)
    shuffled = tuple(np.random.default_rng(0).permutation(ids))
    assert set(np.array(shuffled)[detector._held_out(Images(shuffled, Path()))]) == held


def test_the_seed_decides_who_is_held_out():
    images = image_set(50)
    assert (untrained()._held_out(images) != untrained(seed=1)._held_out(images)).any()


@pytest.mark.parametrize("count", [2, 3, 4])
def test_the_smallest_training_sets_still_fit(images, count):
    detector = untrained(epochs=2)
    assert detector.fit(images.only(images.ids[:count]))
    assert np.isfinite(detector.score(images).image).all()


def test_a_single_image_and_an_untrained_model_are_refused(images, tmp_path):
    with pytest.raises(UserError, match="at least 2 training images, got 1"):
        untrained().fit(images.only(images.ids[:1]))
    for use in (untrained().score, lambda _: untrained().save(tmp_path)):
        with pytest.raises(UserError, match="not trained"):
            use(images)


def corrupt(folder, file: str, content: bytes | None) -> None:
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_bytes(content)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("differnet.pt", None),
        ("differnet.pt", b""),
        ("differnet.pt", b"no model"),
        ("settings.json", None),
        ("settings.json", b"{"),
        ("settings.json", b'{"hidden": 3, "colour": 2}'),
        ("training_log.csv", None),
        ("training_log.csv", b""),
    ],
)
def test_a_broken_model_folder_says_what_to_run(fitted, tmp_path, file, content):
    fitted.save(tmp_path)
    corrupt(tmp_path, file, content)
    with pytest.raises(UserError, match="dvc repro train"):
        DifferNet(Settings()).load(tmp_path)


def test_a_model_of_another_shape_is_refused(fitted, tmp_path):
    fitted.save(tmp_path)
    settings = (tmp_path / "settings.json").read_text()
    (tmp_path / "settings.json").write_text(settings.replace('"hidden": 8', '"hidden": 9'))
    with pytest.raises(UserError, match="dvc repro train"):
        DifferNet(Settings()).load(tmp_path)


def test_settings_kept_before_some_keys_came_are_those_of_fast():
    told = Settings().stored()
    later = ("clamp_slope", "train_views", "warm_from")
    assert Settings.restored({key: told[key] for key in told if key not in later}).stored() == told
    with pytest.raises(KeyError, match="hidden"):
        Settings.restored({key: told[key] for key in told if key != "hidden"})
