"""Distillation learns, and a run that was killed and resumed ends with the bytes of one that was not."""

from __future__ import annotations

from pathlib import Path

import pytest

from adrefine.backbones.pdn import Pdn
from adrefine.distillation.checkpoint import Checkpoints
from adrefine.distillation.images import Sampler, find
from adrefine.distillation.loop import Distillation, held_out_loss, learning_rate
from adrefine.distillation.target import Target, load_backbone
from adrefine.params import PretrainPdn
from adrefine.runtime import hardware
from adrefine.runtime.seeds import seed_everything
from distillation.tiny import settings


class Killed(Exception):
    pass


def begin(params: PretrainPdn) -> Distillation:
    seed_everything(params.seed)
    target = Target(load_backbone("efficientnet_lite0", None))
    return Distillation(Pdn("small"), target, params)


def go(params: PretrainPdn, folder: Path, die_at: int = 0) -> list[bytes]:
    """Run as the stage does, from the latest checkpoint in `folder`; the bytes of all tensors at the end."""

    def watch(run: Distillation) -> None:
        if run.step == die_at:
            raise Killed

    run = begin(params)
    checkpoints = Checkpoints(folder, params.steps, params.decay)
    state = checkpoints.load(hardware.device())
    if state:
        run.resume(state)
    run.run(sampler(params), checkpoints, every=1, watch=watch)
    state = run.state()
    adam = [value for moments in state["optimizer"]["state"].values() for value in moments.values()]
    tensors = [*state["net"].values(), *adam, state["losses"], state["mean"], state["std"]]
    return [tensor.contiguous().numpy().tobytes() for tensor in tensors]


def sampler(params: PretrainPdn) -> Sampler:
    return Sampler(
        find(Path(params.images)), params.side, params.min_crop, params.grayscale, seed=params.seed
    )


def test_it_learns(generic, tmp_path):
    params = settings(generic, steps=12, learning_rate=1e-3, min_crop=1.0, grayscale=0.0)
    run = begin(params)
    before = held_out_loss(run, find(generic), 64)
    run.run(sampler(params), Checkpoints(tmp_path / "run", params.steps, 0.0))
    assert held_out_loss(run, find(generic), 64) < 0.9 * before
    assert sum(run.losses[-4:]) < 0.95 * sum(run.losses[:4])


@pytest.mark.parametrize("die_at", [1, 2])
def test_killed_and_resumed(generic, tmp_path, die_at):
    """Killed while the learning rate is constant, and while it falls."""
    params = settings(generic, steps=3, decay=0.5)
    whole = go(params, tmp_path / "whole")
    with pytest.raises(Killed):
        go(params, tmp_path / "killed", die_at)
    assert go(params, tmp_path / "killed") == whole


def test_a_longer_run_goes_on_from_a_shorter_one(generic, tmp_path):
    long = settings(generic, steps=3, decay=0.34)
    go(settings(generic, steps=2, decay=0.5), tmp_path / "both")
    resumed = Checkpoints(tmp_path / "both", 3, 0.34).load(hardware.device())
    assert resumed
    assert resumed["step"] == 1  # where the short run's rate began to fall
    assert go(long, tmp_path / "both") == go(long, tmp_path / "alone")


def test_a_shorter_run_does_not_take_a_longer_ones_state(generic, tmp_path):
    go(settings(generic, steps=3, batch_size=1), tmp_path)
    assert Checkpoints(tmp_path, 2, 0.0).load(hardware.device()) is None


def test_a_damaged_checkpoint_is_no_checkpoint(tmp_path):
    (tmp_path / "trunk.pt").write_bytes(b"PK half a file")
    assert Checkpoints(tmp_path, 2, 0.0).load(hardware.device()) is None


def test_learning_rate(generic):
    params = settings(generic, steps=100, decay=0.25, learning_rate=2.0)
    rates = [learning_rate(step, params) for step in range(100)]
    assert rates[:76] == [2.0] * 76
    assert rates[76] < 2.0
    assert rates[99] == pytest.approx(2.0 / 25)
    assert learning_rate(99, settings(generic, steps=100, learning_rate=2.0)) == 2.0


def test_one_core_gives_the_bytes_of_two(generic, tmp_path, monkeypatch):
    params = settings(generic, steps=1, batch_size=5)
    found = []
    for count in (1, 2):
        monkeypatch.setattr(hardware, "cores", lambda count=count: count)
        found.append(go(params, tmp_path / str(count)))
    assert found[0] == found[1]
