"""Settings written to params.yaml, and nothing else in it touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hypothesis
import pytest
import yaml
from dvc.utils.hydra import apply_overrides
from hypothesis import given
from hypothesis import strategies as st

from adrefine import params
from adrefine.dvc_driver import settings
from adrefine.errors import UserError

COMMITTED = Path(__file__).parents[2] / "params.yaml"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    copy = tmp_path / "params.yaml"
    copy.write_bytes(COMMITTED.read_bytes())
    return copy


def scalars(content: dict[str, Any], prefix: str = "") -> list[str]:
    """The dotted keys of all single values."""
    found = []
    for key, value in content.items():
        if isinstance(value, dict):
            found += scalars(value, f"{prefix}{key}.")
        elif not isinstance(value, list):
            found.append(prefix + key)
    return found


KEYS = scalars(yaml.safe_load(COMMITTED.read_text()))
ODD = [
    "yes",
    "null",
    "1e3",
    "a: b",
    "# no",
    "/with space/x",
    "'",
    '"',
    "- a",
    "",
    "äöü",
    "{a}",
    "2.0",
    "~",
    " x ",
]


@hypothesis.settings(deadline=None, max_examples=20)
@given(
    st.sampled_from(KEYS), st.one_of(st.sampled_from(ODD), st.floats(0, 1e9), st.integers(), st.booleans())
)
def test_one_value_changes_and_nothing_else(key: str, value: Any) -> None:
    text = COMMITTED.read_text()
    edited = settings.replaced(text, key, value)
    wanted = yaml.safe_load(text)
    *parents, last = key.split(".")
    section = wanted
    for name in parents:
        section = section[name]
    section[last] = value
    assert yaml.safe_load(edited) == wanted
    before, after = text.splitlines(), edited.splitlines()
    different = [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]
    assert len(different) <= 1
    for old, new in different:
        _, mark, comment = old.partition("#")
        assert new.endswith(mark + comment)


def test_the_comment_stays_in_its_column() -> None:
    text = "refine:\n  strategy: irp           # the strategy\n"
    edited = settings.replaced(text, "refine.strategy", "consensus")
    assert edited == "refine:\n  strategy: consensus     # the strategy\n"
    assert settings.replaced(edited, "refine.strategy", "irp") == text


def test_the_committed_file_is_written_as_dvc_writes_it(file: Path) -> None:
    """So `dvc exp run -S refine.strategy=osr` changes one line."""
    apply_overrides(file, ["refine.strategy=osr"])  # as `-S` does
    before, after = COMMITTED.read_text().splitlines(), file.read_text().splitlines()
    changed = [new for old, new in zip(before, after, strict=True) if old != new]
    assert [line.split("#")[0].strip() for line in changed] == ["strategy: osr"]
    assert settings.replaced(COMMITTED.read_text(), "refine.strategy", "osr") == file.read_text()


def test_a_long_value_keeps_a_space_before_the_comment() -> None:
    edited = settings.replaced("root: a # folder\n", "root", "/a/long/path")
    assert edited == "root: /a/long/path # folder\n"


def test_what_was_chosen_is_written_and_said(file: Path) -> None:
    chosen = settings.choices("osr", 2, 0, "efficientad", "folder", "/photos", file)
    assert settings.write(chosen, file) == [
        *("dataset.name", "dataset.root", "noise.level", "detector", "refine.strategy", "osr.lambda")
    ]
    now = params.load(file)
    assert (now.refine.strategy, now.osr.lambda_, now.irp.lambda_) == ("osr", 2.0, 1.5)
    assert (now.dataset.name, now.dataset.root, now.noise.level, now.detector) == (
        *("folder", "/photos"),
        *(0.0, "efficientad"),
    )
    assert "  lambda: 2.0 " in file.read_text()


def test_nothing_chosen_leaves_the_file_alone(file: Path) -> None:
    before = file.stat().st_mtime_ns
    assert settings.write(settings.choices(path=file), file) == []
    assert settings.write({"refine.strategy": "consensus"}, file) == []
    assert file.stat().st_mtime_ns == before


def test_lambda_goes_to_the_strategy_in_the_file_and_is_a_float(file: Path) -> None:
    settings.write({"refine.strategy": "irp"}, file)
    assert settings.choices(lambda_=2, path=file) == {"irp.lambda": 2.0}
    file.write_text(settings.replaced(file.read_text(), "irp.lambda", 2))
    assert settings.write({"irp.lambda": 2.0}, file) == ["irp.lambda"]
    assert "lambda: 2.0 " in file.read_text()


def test_a_strategy_without_lambda_is_told(file: Path) -> None:
    with pytest.raises(UserError, match=r"^strategy mad has no λ: .* one of osr, irp$"):
        settings.choices("mad", 2.0, path=file)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"refine.strategy": "none"}, "`refine.strategy` = 'none'"),
        ({"noise.level": 1.9}, "`noise.level` = 1.9"),
        ({"irp.lambda": float("nan")}, "`irp.lambda` = nan"),
        ({"noise.leve": 0.1}, "has no key `noise.leve`"),
        ({"noise.level.x": 0.1}, "has no key `noise.level.x`"),
        ({"noise": 1}, "`noise` is a section"),
    ],
)
def test_a_mistake_is_refused_and_the_file_stays(file: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as refused:
        settings.write({"detector": "efficientad", **changes}, file)
    assert said in str(refused.value)
    assert file.read_bytes() == COMMITTED.read_bytes()


def test_a_mistake_that_was_there_is_told_though_nothing_is_chosen(file: Path) -> None:
    file.write_text("noize: {}\n" + file.read_text())
    with pytest.raises(UserError, match="unknown key `noize`"):
        settings.write({}, file)
