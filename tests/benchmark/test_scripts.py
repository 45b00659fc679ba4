"""The scripts in benchmarks/: each can be imported, and a command that names one names one that is there."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "benchmarks").rglob("*.py")
    if path.stem != "__init__"
)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_can_be_imported_and_says_how_it_is_run(name, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    module = importlib.import_module(name)
    commands = f"python -m {name.removesuffix('.__main__')}", f"python {name.split('.')[-1]}.py"
    says = any(command in (module.__doc__ or "") for command in commands)
    assert callable(getattr(module, "main", None)) == says, name


def test_none_changes_where_modules_are_found():
    for name in SCRIPTS:
        tree = ast.parse((ROOT / (name.replace(".", "/") + ".py")).read_text())
        assert "sys.path" not in {
            ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)
        }


def test_every_command_names_a_script():
    listed = ["git", "grep", "-hoE", r"python -m benchmarks[a-z0-9_.]+|python benchmarks/[a-z0-9_/.]+"]
    said = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    assert not [command for command in said if command.startswith("python benchmarks/")]
    named = {re.sub(r"\.$", "", command.removeprefix("python -m ")) for command in filter(None, said)}
    assert named - {"benchmarks.", "benchmarks"} <= {name.removesuffix(".__main__") for name in SCRIPTS}
    assert len(named) > 10
