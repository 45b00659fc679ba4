"""DifferNet against the equations of the documents, computed here in numpy on flows of two or four values.

Nothing in here repeats a preset or calls what it tests: another detector under the same names fails.
"""

from __future__ import annotations

from math import atan, exp

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from adrefine.detectors import gradient_maps as module
from adrefine.detectors.base import Images
from adrefine.detectors.differnet.detector import DifferNet
from adrefine.detectors.differnet.settings import Settings
from adrefine.detectors.flow import adam, build_flow, negative_log_likelihood
from adrefine.detectors.on_features import some_views
from adrefine.features.store import write_store
from adrefine.paths import FEATURES
from adrefine.runtime.seeds import seed_everything
from fakes import image_set
from trees import save

ALPHA = 3.0  # DifferNet's clamp


def sigma(s: float) -> float:
    """The soft clamp, DifferNet eq. 2."""
    return ALPHA * 0.636 * atan(s / ALPHA)


def coupled(x: np.ndarray, order: list[int], s: tuple[float, float], t: tuple[float, float]):
    """z and log|det J| of a block on two values whose subnets always answer s and t (DifferNet fig. 3): each
    half is scaled by exp(σ(s)) and shifted by t."""
    x = x[order]
    return np.array([x[i] * exp(sigma(s[i])) + t[i] for i in range(2)]), sum(sigma(value) for value in s)


def constant_flow(s: tuple[float, float], t: tuple[float, float], slope: float = 1.0) -> torch.nn.Module:
    """One block, its last layers' weights nought: what the subnets answer is their bias."""
    flow = build_flow(2, 1, hidden=3, layers=1, seed=0, clamp_slope=slope)
    for half, net in enumerate((flow.module_list[1].subnet2, flow.module_list[1].subnet1)):
        net[-1].bias.data = torch.tensor([s[half], t[half]])
    return flow.double()


@pytest.mark.parametrize("s", [(0.3, -0.2), (4.0, -9.0), (0.0, 50.0)])
def test_a_coupling_block_scales_by_the_clamped_exponent(s):
    flow, x = constant_flow(s, (0.5, -0.25)), np.array([0.7, -1.3])
    z, log_det = flow(torch.from_numpy(x)[None])
    expected, volume = coupled(x, flow.module_list[0].perm.tolist(), s, (0.5, -0.25))
    assert_allclose(z[0].detach().numpy(), expected, rtol=1e-6)
    assert log_det.item() == pytest.approx(volume, rel=1e-6)


def test_the_clamp_starts_with_slope_636_and_ends_at_its_bound():
    def scale(s: float) -> float:
        return constant_flow((s, 0.0), (0.0, 0.0))(torch.ones(1, 2).double())[1].item()

    assert scale(1e-3) == pytest.approx(0.636e-3, rel=1e-3)
    block = paper(blocks=1)._new_flow(2).module_list[1]
    assert (block.clamp * block.f_clamp(torch.tensor(1.0))).item() == pytest.approx(sigma(1.0))
    assert scale(1e6) == pytest.approx(ALPHA * 0.636 * np.pi / 2, rel=1e-4)


def test_the_loss_is_half_the_square_less_the_volume_per_value():
    flow, x = constant_flow((0.3, -0.2), (0.5, -0.25)), np.array([[0.7, -1.3], [0.1, 2.0]])
    made = [coupled(row, flow.module_list[0].perm.tolist(), (0.3, -0.2), (0.5, -0.25)) for row in x]
    expected = np.mean([(0.5 * (z**2).sum() - volume) / 2 for z, volume in made])
    assert float(negative_log_likelihood(*flow(torch.from_numpy(x)))) == pytest.approx(expected)


def test_adam_steps_with_both_betas_at_point_8_and_an_epsilon_of_1e_minus_4():
    """Kingma & Ba 2015, algorithm 1, on one weight; weight decay is added to the gradient."""
    weight = torch.nn.Parameter(torch.tensor([0.5], dtype=torch.float64))
    holder = torch.nn.Module()
    holder.weight = weight
    optimizer = adam(holder, 2e-4, 1e-5)
    theta, first, second = 0.5, 0.0, 0.0
    for step, slope in enumerate((3e-4, -1e-4, 2e-4, 5e-4), start=1):
        weight.grad = torch.tensor([slope], dtype=torch.float64)
        optimizer.step()
        decayed = slope + 1e-5 * theta
        first = 0.8 * first + 0.2 * decayed
        second = 0.8 * second + 0.2 * decayed**2
        theta -= 2e-4 * (first / (1 - 0.8**step)) / ((second / (1 - 0.8**step)) ** 0.5 + 1e-4)
    assert float(weight) == pytest.approx(theta, abs=1e-12)
    assert abs(theta - 0.5) > 3e-5


def paper(**changes) -> DifferNet:
    """As published, but for its size and length."""
    return DifferNet(Settings(**{"preset": "paper", "hidden": 8, "layers": 1, "epochs": 2, **changes}))


@pytest.fixture(scope="module")
def turned(tmp_path_factory) -> Images:
    """Five photos of eight views: value 0 is the photo's number, value 1 the view's."""
    folder, images = tmp_path_factory.mktemp("views"), image_set(5)
    vectors = np.zeros((5, 8, 4), np.float16)
    vectors[..., 0], vectors[..., 1] = np.arange(5)[:, None], np.arange(8)
    write_store(folder / FEATURES, list(images.ids), vectors, (8, 4), {"dim": 4})
    return image_set(5, folder)


def test_an_epoch_draws_four_views_of_each_photo_anew(turned, monkeypatch):
    detector, seen = paper(epochs=12), []
    step = DifferNet._epoch

    def watched(self, train, optimizer, generator):
        forward = self.flow.forward
        self.flow.forward = lambda x: (seen[-1].append(x.detach().clone()), forward(x))[1]
        seen.append([])
        value = step(self, train, optimizer, generator)
        self.flow.forward = forward
        return value

    monkeypatch.setattr(DifferNet, "_epoch", watched)
    detector.fit(turned)
    epochs = [torch.cat(rows) for rows in seen]
    for rows in epochs:
        assert len(rows) == 5 * 4
        for photo in range(5):
            views = rows[rows[:, 0] == photo][:, 1].tolist()
            assert len(set(views)) == 4
    choices = {tuple(sorted(rows[rows[:, 0] == 2][:, 1].tolist())) for rows in epochs}
    assert len(choices) > 3
    assert {view for chosen in choices for view in chosen} == set(range(8))


def test_as_published_it_learns_400_epochs_of_96_views_a_step_at_2e_4(tmp_path, monkeypatch):
    """IRP sect. 4.2: 400 epochs, batches of 96; DifferNet sect. 4.2: Adam at 2e-4, weight decay 1e-5."""
    images = image_set(30, tmp_path)
    write_store(tmp_path / FEATURES, list(images.ids), np.ones((30, 4, 2), np.float16), (4, 2), {"dim": 2})
    made, sizes = [], []

    def spied(flow, learning_rate, weight_decay):
        made.append((learning_rate, weight_decay))
        return adam(flow, learning_rate, weight_decay)

    def counted(z, log_det):
        sizes.append(len(z))
        return negative_log_likelihood(z, log_det)

    monkeypatch.setattr("adrefine.detectors.differnet.detector.adam", spied)
    monkeypatch.setattr("adrefine.detectors.differnet.detector.negative_log_likelihood", counted)
    detector = DifferNet(Settings(preset="paper", hidden=2, layers=1, blocks=1))
    detector.fit(images)
    assert made == [(2e-4, 1e-5)]
    assert sizes == [96, 24] * 400


def test_photos_draw_views_of_their_own_and_nought_is_all():
    stored = torch.arange(40).view(5, 8, 1)
    drawn = some_views(stored, 4, torch.Generator().manual_seed(0))
    assert len({tuple(sorted((row % 8).flatten().tolist())) for row in drawn}) > 1
    for count in (0, 8, 9):
        assert torch.equal(some_views(stored, count, torch.Generator()), stored)


def test_all_stored_views_are_scored(turned):
    """IRP eq. 4: the mean over the transformed copies, of the mean square of z."""
    detector = paper()
    detector.fit(turned)
    vectors = torch.from_numpy(detector.vectors(turned))
    with torch.no_grad():
        z = torch.stack([detector.flow(views)[0] for views in vectors]).double().numpy()
    assert_allclose(detector.score(turned).image, (z**2).mean(axis=2).mean(axis=1), rtol=1e-5)


@pytest.mark.parametrize(("warm_from", "piles_up"), [("last", True), ("cold", False)])
def test_an_update_goes_on_from_the_last_one(turned, warm_from, piles_up):
    """OSR Algorithm 1, line 5: two updates of one epoch are not the one that starts from the first model."""
    detector = paper(finetune_epochs=1, warm_from=warm_from)
    detector.fit(turned)
    once = detector.clone()
    once.fit(turned, warm_start=True)
    detector.fit(turned, warm_start=True)
    detector.fit(turned, warm_start=True)
    same = torch.equal(detector.loss(torch.ones(1, 4)), once.loss(torch.ones(1, 4)))
    assert same is not piles_up
    if piles_up:
        by_hand = paper(finetune_epochs=1)
        by_hand.flow = once.flow
        by_hand.centre, by_hand.spread = once.centre, once.spread
        seed_everything(1)
        by_hand._train(by_hand._inputs(by_hand.vectors(turned)), 1)
        torch.testing.assert_close(by_hand.loss(torch.ones(1, 4)), detector.loss(torch.ones(1, 4)))


class Halves:
    """In place of the backbone: the mean grey of the left and of the right half of a 4 × 4 photo."""

    def __init__(self, params, runtime=None) -> None:
        self.params, self.device = params, torch.device("cpu")

    def pooled(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=1).view(-1, 4, 2, 2).mean(dim=(1, 3))


META = {"backbone": "efficientnet_lite0", "weights": None, "scales": [32], "views": 1, "rotate": True}
META |= {"light": 0.0, "pool": "mean", "dim": 2}


@pytest.fixture
def bent(tmp_path) -> DifferNet:
    """A flow of two values that is no constant one: its volume follows the photo."""
    detector = paper(blocks=1, hidden=4)
    detector.centre, detector.spread = torch.zeros(2), torch.ones(2)
    detector.flow = build_flow(2, 1, hidden=4, layers=1, seed=3)
    generator = torch.Generator().manual_seed(5)
    for parameter in detector.flow.parameters():
        if parameter.is_floating_point():
            parameter.data = torch.randn(parameter.shape, generator=generator)
    write_store(tmp_path / FEATURES, ["im000"], np.zeros((1, 1, 2), np.float16), (1, 2), META)
    return detector


def test_a_map_is_the_slope_of_the_loss_at_every_pixel(bent, tmp_path, monkeypatch):
    """IRP sect. 3.1, by differences of 0.5 ‖z‖² − log|det J|, whose second part is no constant here."""
    monkeypatch.setattr(module, "_SIGMA", 1e-9)
    monkeypatch.setattr(module, "Extractor", Halves)
    photo = np.array([[10, 40, 200, 250]] * 4, np.uint8)
    file = save(tmp_path / "photo.png", photo)
    heat = bent.maps(image_set(1, tmp_path), [file])[0]
    double = bent.flow.double()

    def loss(left: float, right: float) -> float:
        z, log_det = double(torch.tensor([[left, right]], dtype=torch.float64))
        return float((0.5 * (z**2).sum() - log_det) / 2)

    left, right, step = 25 / 255, 225 / 255, 1e-6
    slopes = [
        (loss(left + step, right) - loss(left - step, right)) / (2 * step) / 8,  # a half has 8 pixels
        (loss(left, right + step) - loss(left, right - step)) / (2 * step) / 8,
    ]
    assert_allclose(heat, np.repeat([np.abs(slopes)], 4, axis=0).repeat(2, axis=1), rtol=1e-3)
    assert abs(slopes[0]) != pytest.approx(abs(slopes[1]), rel=0.1)


def test_slopes_of_both_signs_do_not_cancel(tmp_path, monkeypatch):
    """The absolute value is taken of every pixel, before neighbours are averaged."""

    class Pixels(Halves):
        def pooled(self, images: torch.Tensor) -> torch.Tensor:
            return images.mean(dim=1).flatten(1)

    monkeypatch.setattr(module, "Extractor", Pixels)
    monkeypatch.setattr(module, "_SIGMA", 0.3)
    sign = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(4, 4).flatten()
    file = save(tmp_path / "photo.png", np.full((8, 8), 100, np.uint8))
    heat = module.gradient_maps(lambda v: v @ sign, META, [file])[0]
    assert_allclose(heat, np.ones((8, 8)), rtol=1e-4)
