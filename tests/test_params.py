"""params.yaml and its types say the same; what is wrong is refused in one line that names the key."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from adrefine import params
from adrefine.errors import UserError

ROOT = Path(__file__).parents[1]
SECTIONS = [field.alias or name for name, field in params.Params.model_fields.items()]


def defaults() -> dict:
    return params.Params().model_dump(by_alias=True)


def keys(node: dict, prefix: str = "") -> set[str]:
    found = {prefix + name for name in node}
    for name, value in node.items():
        found |= keys(value, f"{prefix}{name}.") if isinstance(value, dict) else set()
    return found


def refused(content: object) -> str:
    with pytest.raises(UserError) as caught:
        params.parse(content)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("params.yaml")
    return message


def test_the_file_gives_the_typed_defaults_and_holds_exactly_their_keys():
    assert params.load(ROOT / "params.yaml") == params.Params()
    written = yaml.safe_load((ROOT / "params.yaml").read_text())
    assert keys(written) == keys(defaults())


def test_every_key_is_explained_beside_it():
    """On its line or, for keys without one, on the line of the section that names what they share."""
    for line in (ROOT / "params.yaml").read_text().splitlines():
        key, _, rest = line.partition(":")
        is_header = not key.startswith((" ", "#")) and rest.strip() in ("", "{}")
        is_value = line.lstrip().startswith("- ")  # of the list above it
        if line.strip() and not line.startswith("#") and not (is_header or is_value):
            assert "# " in line or key.strip() == "seed", f"no comment: {line}"


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"irp": {"lamda": 2}}, ["`irp.lamda`", "did you mean `lambda`?"]),
        ({"irp": {"lambda_": 2}}, ["`irp.lambda_`", "did you mean `lambda`?"]),
        ({"osr": {"lambda": 1, "mood": "threshold"}}, ["`osr.mood`", "did you mean `mode`?"]),
        ({"refnie": {"strategy": "osr"}}, ["`refnie`", "did you mean `refine`?"]),
        ({"validate_": {}}, ["`validate_`", "did you mean `validate`?"]),
        ({"synthesize": {"perlin": {"cels": 3}}}, ["`synthesize.perlin.cels`", "did you mean `cells`?"]),
        ({"noise": {"zzz": 1}}, ["`noise.zzz`", "remove it"]),
        ({"a\nb": 1}, ["unknown key `a b`"]),
    ],
)
def test_an_unknown_key_is_named_with_the_likely_one(content, named):
    message = refused(content)
    assert "unknown key" in message
    assert all(part in message for part in named)


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ({"irp": {"lambda": 0}}, "irp.lambda"),
        ({"osr": {"lambda": -1.5}}, "osr.lambda"),
        ({"irp": {"lambda": float("inf")}}, "irp.lambda"),
        ({"irp": {"lambda": True}}, "irp.lambda"),
        ({"noise": {"level": float("nan")}}, "noise.level"),
        ({"noise": {"level": 1.01}}, "noise.level"),
        ({"noise": {"seed": True}}, "noise.seed"),
        ({"embed": {"views": "four"}}, "embed.views"),
        ({"embed": {"views": 0}}, "embed.views"),
        ({"embed": {"scales": []}}, "embed.scales"),
        ({"embed": {"scales": [448, 1]}}, "embed.scales.1"),
        ({"embed": {"backbone": "resnet99"}}, "embed.backbone"),
        ({"embed": {"places": {"grid": 0}}}, "embed.places.grid"),
        ({"embed": {"places": {"blocks": []}}}, "embed.places.blocks"),
        ({"refine": {"strategy": "magic"}}, "refine.strategy"),
        ({"refine": {"min_keep": 0}}, "refine.min_keep"),
        ({"refine": {"folds": 1}}, "refine.folds"),
        ({"refine": {"preset": "papers"}}, "refine.preset"),
        ({"refine": {"preset": ["paper"]}}, "refine.preset"),
        ({"refine": "irp"}, "refine"),
        ({"meta_iqr": {"k": -1}}, "meta_iqr.k"),
        ({"meta_iqr": {"holdout": 1}}, "meta_iqr.holdout"),
        ({"meta_iqr": {"epochs": 0}}, "meta_iqr.epochs"),
        ({"evaluate": {"target_fpr": 1}}, "evaluate.target_fpr"),
        ({"synthesize": {"random_walk": {"momentum": 1}}}, "synthesize.random_walk.momentum"),
        ({"synthesize": {"kinds": dict.fromkeys(params.Kinds.model_fields, 0)}}, "synthesize.kinds"),
        ({"detector": "patchcore"}, "detector"),
        ({"noise": 3}, "noise"),
        ({"noise": None}, "noise"),
        ({3: 4}, "3"),
    ],
)
def test_an_impossible_value_is_refused_with_its_key(content, key):
    assert f"`{key}`" in refused(content)


def test_every_mistake_is_named_at_once():
    message = refused({"irp": {"lambda": 0}, "noise": {"level": 2}})
    assert "`irp.lambda`" in message
    assert "`noise.level`" in message


@given(st.sampled_from(["", *SECTIONS]), st.text(max_size=12), st.none() | st.integers())
@settings(max_examples=60, deadline=None)
def test_any_unknown_key_is_refused(section, key, value):
    node = defaults().get(section, {}) if section else defaults()
    if not isinstance(node, dict) or key in node:
        return
    message = refused({section: {key: value}} if section else {key: value})
    assert "unknown key" in message


def test_numbers_may_be_written_as_yaml_reads_them():
    """YAML 1.1 reads 2e-4 as text."""
    content = yaml.safe_load("differnet: {learning_rate: 2e-4}")
    assert content["differnet"]["learning_rate"] == "2e-4"
    assert params.parse(content).differnet.learning_rate == 2e-4


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"noise: {level: 0.1\nrefine: [", "not valid YAML"),
        (b"- noise\n- refine\n", "must be a mapping of sections, not list"),
        (b"noise: {levle: 1}\n", "did you mean `level`?"),
        (b"noise: \xff\xfe", "not valid YAML"),
        (
            b"irp:\n  lambda: 1\n  remove: all\n  lambda: 2\n",
            "key `lambda` appears twice, in lines 2 and 4: remove one",
        ),
        (b"irp: {lambda: 1}\nosr: {}\nirp: {}\n", "key `irp` appears twice, in lines 1 and 3: remove one"),
        (b"irp: {remove: all, 'remove': max}\n", "key `remove` appears twice, in lines 1 and 1: remove one"),
    ],
)
def test_a_broken_file_is_one_clear_line(tmp_path, text, says):
    path = tmp_path / "params.yaml"
    path.write_bytes(text)
    with pytest.raises(UserError, match=says.replace("?", r"\?")) as caught:
        params.load(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_key_may_come_once_in_each_section_and_overrule_a_merged_one(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("osr: &rule\n  lambda: 2\nirp:\n  <<: *rule\n  lambda: 3\n")
    loaded = params.load(path)
    assert (loaded.osr.lambda_, loaded.irp.lambda_) == (2, 3)


def test_a_missing_file_says_where_to_run_and_an_empty_one_means_the_defaults(tmp_path):
    with pytest.raises(UserError, match="run from the project's root"):
        params.load(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text("# nothing yet\n")
    assert params.load(tmp_path / "params.yaml") == params.Params()


def test_loaded_parameters_cannot_be_changed():
    loaded = params.Params()
    with pytest.raises(ValueError, match="frozen"):
        loaded.noise.level = 0.2


def test_the_paper_preset_is_what_the_papers_did():
    paper = params.parse({"refine": {"preset": "paper", "strategy": "irp"}})
    assert (paper.refine.scorer, paper.refine.final_fit, paper.refine.max_rounds) == (
        "in_sample",
        "warm",
        1000,
    )
    assert paper.refine.refit == 0
    assert params.parse({"refine": {"preset": "paper", "strategy": "osr"}}).refine.refit == 1
    own = {"preset": "paper", "strategy": "osr", "refit": 0.5}
    assert params.parse({"refine": own}).refine.refit == 0.5
    assert (paper.meta_iqr.epochs, paper.meta_iqr.outer_lr) == (240, 2e-4)
    assert (paper.osr.lambda_, paper.osr.mode) == (1.5, "threshold")
    assert (paper.irp.lambda_, paper.irp.remove) == (1.5, "max")
    assert (paper.meta_iqr.scope, paper.meta_iqr.inner_steps, paper.meta_iqr.first_order) == (
        "batch",
        1,
        False,
    )


@pytest.mark.parametrize("preset", ["adrefine", "paper"])
def test_explicit_keys_overrule_the_preset_and_null_does_not(preset):
    given = {"refine": {"preset": preset, "max_rounds": 0, "scorer": None}, "meta_iqr": {"epochs": 7}}
    found = params.parse(given)
    assert (found.refine.max_rounds, found.meta_iqr.epochs) == (0, 7)
    assert found.refine.scorer == {"adrefine": "out_of_fold", "paper": "in_sample"}[preset]
    assert given["refine"]["scorer"] is None, "what was read is left as it is"


@pytest.mark.parametrize("key", ["folds", "min_keep", "seed"])
def test_null_is_refused_where_no_preset_speaks(key):
    assert f"`refine.{key}`" in refused({"refine": {key: None}})


@pytest.mark.parametrize(
    ("given", "known"), [("auto", None), (0, 0.0), (0.5, 0.5), (0.12, 0.12), ([0, 0.1], (0.0, 0.1))]
)
def test_what_is_known_of_the_contamination(given, known):
    assert params.parse({"refine": {"contamination": given}}).refine.known() == known


@pytest.mark.parametrize("given", [None, "some", 0.6, -0.1, True, [0.1], [0.3, 0.1], [0, 0.1, 0.2], ["a", 1]])
def test_an_impossible_contamination_is_refused_in_one_line(given):
    message = refused({"refine": {"contamination": given}})
    assert message.count("refine.contamination") == 1
    assert "write auto, a share from 0 to 0.5, or two bounds of it" in message or given is True


@pytest.mark.parametrize(("strategy", "given"), [("vanilla", 0.1), ("vanilla", [0, 0.1]), ("irp", [0, 0.1])])
def test_a_contamination_that_the_strategy_cannot_use_is_refused(strategy, given):
    message = refused({"refine": {"strategy": strategy, "contamination": given}})
    assert f"with refine.strategy = {strategy}: consensus takes bounds" in message


def test_the_headline_shows_the_chosen_strategy_alone():
    headline = params.parse({"refine": {"strategy": "osr"}, "osr": {"lambda": 3}}).headline()
    assert headline["osr lambda"] == 3
    assert not [name for name in headline if name.startswith("irp")]
    assert not [value for value in headline.values() if isinstance(value, dict | BaseModel)]


def test_the_headline_is_that_of_the_chosen_detector():
    flow = params.parse({"evaluate": {"alpha": 0.2}}).headline()
    fused = params.parse(
        {"detector": "efficientad", "efficientad": {"preset": "paper"}, "evaluate": {"alpha": 0.2}}
    ).headline()
    assert (flow["detector"], flow["preset"]) == ("padim", "fast")
    assert (fused["detector"], fused["preset"]) == ("efficientad", "paper")
    assert (fused["α of the rounds"], fused["α of the maps"]) == (0.9, 0.2)
    assert "α of the maps" not in flow


def test_what_the_stages_read_of_runtime_must_be_there(tmp_path):
    lines = (ROOT / "params.yaml").read_text().splitlines()
    (tmp_path / "params.yaml").write_text("\n".join(x for x in lines if not x.startswith("  precision:")))
    with pytest.raises(
        UserError, match=r"no `runtime.precision`, which the stages read: add `precision: auto`"
    ):
        params.load_whole(tmp_path / "params.yaml")


@pytest.mark.parametrize("place", ["elsewhere", "tcp://host", "http://host:1", "tcp://host:1/x"])
def test_a_cluster_is_local_or_the_address_of_a_scheduler(place):
    said = refused({"runtime": {"cluster": place}})
    assert "`runtime.cluster`" in said
    assert said.endswith("give local, or a Dask scheduler as tcp://HOST:PORT")
    assert params.parse({"runtime": {"cluster": "tls://host:8786"}}).runtime.cluster == "tls://host:8786"


@pytest.mark.parametrize(
    ("detector", "section", "said"),
    [
        (
            "efficientad",
            {"coeff_ood": 0.5},
            "`efficientad.coeff_ood` has no effect here: set efficientad.preset",
        ),
        (
            "efficientad",
            {"preset": "instant", "steps": 50, "gamma": 1, "coeff_cdo": 2},
            "`efficientad.gamma`, `efficientad.coeff_cdo` have no effect here: set efficientad.preset to",
        ),
        (
            "efficientad",
            {"preset": "instant", "finetune_steps": 5},
            "`efficientad.finetune_steps` has no effect here: set efficientad.steps to 1 or more",
        ),
        (
            "efficientad",
            {"preset": "short", "teacher": "backbone", "p_hard": 0.9},
            "`efficientad.p_hard` has no effect here: set efficientad.teacher to pdn, or remove it",
        ),
        (
            "mixed",
            {"patch": 128},
            "`mixed.patch` has no effect here: set mixed.preset to paper, or remove it",
        ),
        (
            "mixed",
            {"preset": "paper", "penalty": 1},
            "`mixed.penalty` has no effect here: set mixed.preset to fast",
        ),
    ],
)
def test_what_the_chosen_preset_never_reads_is_refused(detector, section, said):
    assert refused({"detector": detector, detector: section}).startswith(f"params.yaml: {said}")
    params.parse({"detector": "padim", detector: section})  # the section of another detector waits


@pytest.mark.parametrize(
    ("detector", "section"),
    [
        ("efficientad", {"side": 128, "seed": 3}),
        ("efficientad", {"coeff_ood": 0.0, "steps": None, "p_hard": 0.99}),
        ("efficientad", {"preset": "short", "coeff_ood": 0.5, "steps": 5}),
        ("efficientad", {"steps": 5, "batch_size": 2, "learning_rate": 0.1, "finetune_steps": 1}),
        ("efficientad", {"teacher": "pdn", "steps": 5}),
        ("mixed", {"fraction": 0.5, "inject": 0.2, "penalty": 1, "seed": 3}),
        ("mixed", {"preset": "paper", "patch": 128, "synthetic": 0.2, "recycle": "removed"}),
    ],
)
def test_what_it_reads_and_values_of_the_preset_are_taken(detector, section):
    params.parse({"detector": detector, detector: section})
