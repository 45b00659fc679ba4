"""Order, slots, tables and the best of a sweep."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from adrefine.dvc_driver.processes import Failed
from adrefine.errors import UserError
from adrefine.sweeps import experiments, overrides, planning
from adrefine.sweeps.experiments import Experiment, Result

ROOT = Path(__file__).parents[2]
BASE = yaml.safe_load((ROOT / "params.yaml").read_text())


def planned(*arguments: str) -> list[Experiment]:
    return experiments.plan(BASE, overrides.read(arguments))


def results(figures: dict[str, float | None], of: list[Experiment]) -> dict[str, Result]:
    return {
        experiment.name: Result(
            experiment.name,
            experiment.settings,
            {"after": figures[experiment.name], "removed": 3},
        )
        for experiment in of
        if experiment.name in figures
    }


def order(*arguments: str) -> list[tuple[str, str | None, str | None]]:
    steps = planning.ordered(planned(*arguments))
    return [(step.experiment.name, step.leader, step.until) for step in steps]


def test_the_first_of_each_training_goes_ahead_and_others_find_its_results() -> None:
    assert order("refine.strategy=osr,irp", "noise.level=0.1,0.3") == [
        ("osr-noise0.1", None, None),
        ("osr-noise0.3", "osr-noise0.1", "train"),
        ("irp-noise0.1", "osr-noise0.1", "refine"),
        ("irp-noise0.3", "osr-noise0.3", "refine"),
    ]


def test_what_shares_nothing_does_not_wait() -> None:
    assert order("dataset.seed=0,1") == [("dataset.seed0", None, None), ("dataset.seed1", None, None)]


@pytest.mark.parametrize("setting", ["detector=efficientad,differnet", "padim.top=0.1,0.2"])
def test_other_trainings_share_the_inputs(setting: str) -> None:
    assert [until for _, _, until in order(setting)] == [None, "train"]


def test_settings_of_a_detector_not_chosen_and_of_evaluate_share_the_training() -> None:
    assert [until for *_, until in order("efficientad.steps=3,4", "evaluate.gallery=1,2")] == [
        None,
        *["refine"] * 3,
    ]


def test_the_sections_that_are_shared_are_those_of_the_graph() -> None:
    """INPUTS names all that the stages before `train` read, but for inject_noise's `noise`, the detector (all
    share the photos, the synthetic defects and the places), its section, in which `select` looks for files of
    weights, and the strategy, whose name `select` checks."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    names = list(stages)
    before = {part for name in names[: names.index("train")] for part in stages[name]["params"]}
    before = {"runtime" if part.startswith("runtime.") else part for part in before}  # all but where it runs
    assert before == {*planning.INPUTS, "noise", "detector", "${detector}", "refine.strategy"}
    assert set(stages["train"]["params"]) == {"detector", "${detector}"}


@pytest.mark.parametrize(
    ("line", "stage"),
    [
        ("Running stage 'train':", "train"),
        ("Stage 'inject_noise' is cached - skipping run, checking out outputs", "inject_noise"),
        ("Stage 'refine' didn't change, skipping", "refine"),
        ("refine: 3 of 27 training images removed", None),
    ],
)
def test_dvc_says_which_stage_is_reached(line: str, stage: str | None) -> None:
    assert planning.reached(line) == stage


def test_progress_bars_are_not_worth_reading() -> None:
    assert not planning.worth_reading("maps:  25%|██▌       | 1/4 [00:00<00:01,  1.89image/s]")
    assert not planning.worth_reading("  ")
    assert planning.worth_reading("training photos     27, hidden defects 5 (20%)")


def test_a_slot_is_one_runs_alone_and_comes_back_after_a_failure() -> None:
    slots = planning.Slots(["0", "2"])
    with slots.taken() as one, slots.taken() as other:
        assert [one, other] == [{"CUDA_VISIBLE_DEVICES": "0"}, {"CUDA_VISIBLE_DEVICES": "2"}]
        waiting = threading.Thread(target=lambda: slots.taken().__enter__(), daemon=True)
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive()
    waiting.join(5)
    assert not waiting.is_alive()
    one_slot = planning.Slots(["1"])
    with pytest.raises(ValueError, match="broken"), one_slot.taken():
        raise ValueError("broken")
    with one_slot.taken() as again:
        assert again == {"CUDA_VISIBLE_DEVICES": "1"}


def test_without_gpus_nobody_waits() -> None:
    slots = planning.Slots([])
    with slots.taken() as one, slots.taken() as other:
        assert one == other == {}


def test_gpus_are_those_that_nvidia_smi_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CUDA_VISIBLE_DEVICES", "ADREFINE_DEVICE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert planning.gpus() == []
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 0\necho 1\n")
    program.chmod(0o755)
    assert planning.gpus() == ["0", "1"]
    program.write_text("#!/bin/sh\necho no driver\nexit 9\n")
    assert planning.gpus() == []


@pytest.mark.parametrize(
    ("visible", "found"), [("2, 3", ["2", "3"]), ("", []), ("-1", []), ("GPU-a1", ["GPU-a1"])]
)
def test_gpus_that_the_user_hides_stay_hidden(
    monkeypatch: pytest.MonkeyPatch, visible: str, found: list[str]
) -> None:
    monkeypatch.delenv("ADREFINE_DEVICE", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert planning.gpus() == found
    monkeypatch.setenv("ADREFINE_DEVICE", "cpu")
    assert planning.gpus() == []


def test_the_table_has_what_was_changed_and_only_figures_that_somebody_has() -> None:
    of = planned("refine.strategy=osr,irp", "embed.scales=[64,32]")
    found = results({of[0].name: 0.91234}, of)
    assert planning.table(of, found) == [
        {
            "experiment": of[0].name,
            "refine.strategy": "osr",
            "embed.scales": "[64, 32]",
            "after": "0.9123",
            "removed": 3,
        }
    ]
    text = planning.markdown(planning.table(of, found)).splitlines()
    assert text[0] == "| experiment | refine.strategy | embed.scales | after | removed |"
    assert len(text) == 3
    assert planning.markdown([]) == "No experiment has a result."


def test_the_best_is_named_for_each_noise_apart() -> None:
    of = planned("refine.strategy=osr,irp", "noise.level=0.1,0.3", "irp.lambda=1,2")
    figures = dict(zip([e.name for e in of], [0.9, 0.9, 0.5, 0.6, 0.8, 0.9, 0.4, 0.7], strict=True))
    lines = planning.best(of, results(figures, of))  # noise .1: .9 .9 .8 .9; noise .3: .5 .6 .4 .7
    assert lines == [
        "`osr-irp.lambda1-noise0.1`, `osr-irp.lambda2-noise0.1`, `irp-irp.lambda2-noise0.1`: "
        "test AUROC 0.900, best of 4 on the same photos and noise",
        "`irp-irp.lambda2-noise0.3`: test AUROC 0.700, best of 4 on the same photos and noise",
    ]


def test_nobody_is_best_alone_or_without_labels() -> None:
    of: list[Experiment] = planned("noise.level=0.1,0.3")
    figures: dict[str, Any] = {experiment.name: 0.9 for experiment in of}
    assert planning.best(of, results(figures, of)) == []
    of = planned("refine.strategy=osr,irp")
    assert planning.best(of, results(dict.fromkeys((e.name for e in of), None), of)) == []


def test_the_reason_is_what_the_stage_said() -> None:
    lines = ["Running stage", "adrefine: error: too few photos", "ERROR: failed to reproduce 'ingest'"]
    assert planning.reason(Failed(["dvc"], 255, lines)) == "too few photos"
    assert "no space left" in planning.reason(Failed(["dvc"], 255, ["ERROR: no space left"]))
    assert planning.reason(UserError("no such commit")) == "no such commit"
