"""One way to register five kinds: what is registered and what params.yaml says agree; packages can add."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from adrefine.backbones import BACKBONES
from adrefine.datasets import LAYOUTS
from adrefine.datasets.base import Layout
from adrefine.defects import GENERATORS
from adrefine.defects.base import Generator
from adrefine.detectors import DETECTORS, DetectorSettings
from adrefine.errors import UserError
from adrefine.strategies import STRATEGIES, StrategySettings

ROOT = Path(__file__).parents[1]
STAY_OUT = ("torch", "pandas", "scipy")  # seconds of import
MODULE = """
from typing import ClassVar
from adrefine.strategies.base import Removal, Strategy, StrategySettings

class Settings(StrategySettings):
    size: int = 3

    def create(self, images):
        return None
"""


def written() -> dict:
    return yaml.safe_load((ROOT / "params.yaml").read_text())


def package(folder: Path, group: str, entry: str, module: str = MODULE, name: str = "foreign") -> Path:
    """A folder that an installed package would be: a module, and the metadata that names it."""
    info = folder / f"{name}-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{entry}\n")
    (folder / f"{name}.py").write_text(module)
    return folder


def run(*path: Path, code: str = "from adrefine import cli; cli.main()") -> subprocess.CompletedProcess[str]:
    """`adrefine check`, or `code`, in the repository with the folders `path` installed."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, [ROOT / "src", *path]))}
    return subprocess.run(
        [sys.executable, "-c", code, "check"], cwd=ROOT, env=environment, capture_output=True, text=True
    )


@pytest.mark.parametrize("registry", [DETECTORS, STRATEGIES], ids=["detectors", "strategies"])
def test_what_is_registered_has_a_section_in_params_yaml(registry):
    assert set(registry.table) - set(written()) == set()


def test_every_section_of_params_yaml_belongs_to_a_stage_or_to_what_is_registered():
    from adrefine import params

    fixed = {field.alias or name for name, field in params.Params.__base__.model_fields.items()}
    assert set(written()) - fixed - set(DETECTORS.table) - set(STRATEGIES.table) == set()


def test_what_is_registered_as_a_defect_has_its_keys_in_params_yaml():
    section = written()["synthesize"]
    assert set(section["kinds"]) == set(GENERATORS.table)
    assert set(GENERATORS.table) - set(section) == set()


@pytest.mark.parametrize(
    ("registry", "kind"),
    [
        (DETECTORS, DetectorSettings),
        (STRATEGIES, StrategySettings),
        (LAYOUTS, Layout),
        (GENERATORS, Generator),
        (BACKBONES, object),
    ],
    ids=lambda value: getattr(value, "group", ""),
)
def test_what_is_registered_exists_and_is_of_its_kind(registry, kind):
    for name in registry.table:
        found = registry.get(name)
        assert callable(found)
        assert kind is object or issubclass(found, kind), name


@pytest.mark.parametrize(
    ("registry", "name", "says"),
    [
        (STRATEGIES, "konsensus", "did you mean `consensus`?"),
        (DETECTORS, "difernet", "did you mean `differnet`?"),
        (LAYOUTS, "???", f"use one of {', '.join(LAYOUTS.names())}"),
    ],
)
def test_an_unknown_name_is_told_with_the_likely_one(registry, name, says):
    with pytest.raises(UserError) as caught:
        registry.get(name)
    assert str(caught.value) == f"params.yaml: `{registry.key}` = {name!r} is unknown: {says}"


def test_layouts_are_named_in_the_order_of_their_table():
    """Those of one's own photos come first, where a message lists all."""
    assert LAYOUTS.names()[: len(LAYOUTS.table)] == tuple(LAYOUTS.table)
    assert LAYOUTS.names()[:3] == ("demo", "folder", "mvtec")


def test_check_is_quick_for_it_imports_no_heavy_package():
    code = f"from adrefine import cli; cli.run(['check']); import sys; print({STAY_OUT} & sys.modules.keys())"
    done = run(code=code.replace(str(STAY_OUT), f"set({STAY_OUT})"))
    assert done.stdout.splitlines() == ["params.yaml is correct: demo, padim, consensus", "set()"], done


def test_an_installed_package_adds_its_name_and_section(tmp_path):
    folder = package(tmp_path, "adrefine.strategies", "three = foreign:Settings")
    code = (
        "from adrefine import params\n"
        "p = params.parse({'refine': {'strategy': 'three'}, 'three': {'size': 5}})\n"
        "print(p.chosen_strategy.size, type(p.chosen_strategy).__module__)\n"
        "from adrefine.strategies import STRATEGIES\n"
        "print(STRATEGIES.names()[-1])\n"
    )
    assert run(folder, code=code).stdout == "5 foreign\nthree\n"


@pytest.mark.parametrize(
    ("entry", "module", "reason"),
    [
        ("three = foreign:Settings", "import nowhere\n", "ModuleNotFoundError: No module named 'nowhere'"),
        ("three = foreign:Setings", MODULE, "has no attribute 'Setings'"),
        ("three = foreign:Strategy", MODULE, "is no Section"),
    ],
)
def test_a_broken_plug_in_is_one_line_that_names_its_package(tmp_path, entry, module, reason):
    done = run(package(tmp_path, "adrefine.strategies", entry, module))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    for part in ("`three` of foreign 1.2", "adrefine.strategies", reason, "repair or uninstall that package"):
        assert part in done.stderr


def test_a_name_that_is_taken_is_refused_with_both_owners(tmp_path):
    ours = package(tmp_path / "a", "adrefine.strategies", "irp = foreign:Settings")
    assert "by adrefine and by foreign 1.2: uninstall" in run(ours).stderr
    both = [
        package(tmp_path / name, "adrefine.detectors", f"three = {name}:Settings", name=name)
        for name in ("first", "second")
    ]
    assert "by first 1.2 and by second 1.2: uninstall" in run(*both).stderr


@pytest.mark.parametrize("name", ["refine", "synthesize", "irp", "section"])
def test_a_name_that_a_section_has_already_is_refused(tmp_path, name):
    done = run(package(tmp_path, "adrefine.detectors", f"{name} = foreign:Settings"))
    assert done.returncode == 2
    assert f"`{name}` of foreign 1.2" in done.stderr
    assert "already has that name" in done.stderr


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("adrefine.strategies.ors:Osr", "the module adrefine.strategies.ors, which does not exist"),
        ("adrefine.strategies.irp:Ipr", "which is not there: did you mean `Irp`"),
        ("adrefine.strategies.osr:OneShotRemoval", "which is no StrategySettings"),
    ],
)
def test_a_line_of_ours_that_names_nothing_is_told(target: str, says: str) -> None:
    wrong = replace(STRATEGIES, table={"mine": target})
    with pytest.raises(UserError, match=f"the registry of `.+`: `mine` names .*{says}"):
        wrong.all(StrategySettings)
