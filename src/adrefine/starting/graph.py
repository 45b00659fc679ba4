"""The graph of a project that has no copy of the code: stages depend on what the installed package holds.

In this repository a stage depends on folders below src/. A project of its own has none. There code.yaml holds
a digest of the code that each stage runs, and the stage depends on that key. After an upgrade the digests of
those stages change whose code changed: they run again, and no other does.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import yaml

import adrefine
from adrefine import strict_yaml
from adrefine.io import write_text

CODE, GRAPH = Path("code.yaml"), Path("dvc.yaml")
_PACKAGE = Path(adrefine.__file__).parent
_DEPENDENCY = re.compile(r"      - src/adrefine/([\w./]+)( *#.*)?")
_STAGE = re.compile(r"  (\w+):")
_YOURS = {  # folders that stages depend on, whether or not there is a file in them
    "data/generic": "Photos of anything, see section pretrain_pdn of params.yaml.\n",
    "data/roi": "What dataset.roi may name: a mask (.png, white inside) or polygons (.json).\n",
    "data/weights": "What embed.weights and such may name: files of weights, or links to them.\n",
}
_HEAD = """\
# The graph, as `adrefine init` wrote it. code.yaml stands for the code of the installed package: a stage runs
# again when an upgrade changed what it runs. `adrefine run` and `adrefine check` see to that.
"""
_CODE_HEAD = """\
# The code that each stage runs, of the installed adrefine. Written by `adrefine run` and `adrefine check`.
"""


def template(name: str) -> str:
    """graph.yaml or settings.yaml: this repository's dvc.yaml or params.yaml, as the package has them. Not by
    those names: DVC would take every dvc.yaml of a repository for a pipeline of its own."""
    return (_PACKAGE / "starting" / name).read_text()


def graph() -> str:
    """dvc.yaml for a project that uses the installed package."""
    lines, stage = [], ""
    for line in template("graph.yaml").splitlines():
        if line.startswith("#") or _DEPENDENCY.fullmatch(line):
            continue
        if match := _STAGE.fullmatch(line):
            stage = match[1]
        lines.append(line)
        if line.startswith("    params:"):
            lines.append(f"      - {CODE}: [{stage}]")
    return _HEAD + "\n".join(lines) + "\n"


def digests() -> dict[str, str]:
    """By stage, a digest of all its code in the installed package."""
    used: dict[str, list[Path]] = {}
    stage = ""
    for line in template("graph.yaml").splitlines():
        if match := _STAGE.fullmatch(line):
            stage = match[1]
        elif match := _DEPENDENCY.fullmatch(line):
            used.setdefault(stage, []).append(_PACKAGE / match[1])
    return {name: _digest(places) for name, places in used.items()}


def write(root: Path) -> None:
    """Write dvc.yaml, code.yaml and the folders of the user's that stages depend on."""
    _write_folders(root)
    write_text(root / GRAPH, graph())
    write_text(root / CODE, _code())


def refresh(root: Path = Path()) -> str | None:
    """Follow an upgrade of the package in a project that `adrefine init` made; what changed, in a line. A
    dvc.yaml that somebody edited stays as it is."""
    if not (root / CODE).is_file():
        return None
    before, now = strict_yaml.mapping((root / CODE).read_bytes()), strict_yaml.mapping(_code())
    if before == now:
        return None
    changed = [name for name in digests() if before.get(name) != now[name]]
    text = (root / GRAPH).read_text() if (root / GRAPH).is_file() else ""
    edited = text != graph() and before.get("graph") != _of_text(text)
    if not edited:
        write_text(root / GRAPH, graph())
        _write_folders(root)
    write_text(root / CODE, _code())
    which = f"the code of {', '.join(changed)} changed" if changed else "no stage's code changed"
    mine = "; dvc.yaml is yours and stays: compare it with that of `adrefine init` in an empty folder"
    return f"{CODE}: adrefine {adrefine.__version__}, {which}{mine if edited else ''}"


def _write_folders(root: Path) -> None:
    for folder, says in _YOURS.items():
        if not (root / folder).exists():
            write_text(root / folder / "README.md", says)


def _code() -> str:
    content = {"adrefine": adrefine.__version__, "graph": _of_text(graph()), **digests()}
    return _CODE_HEAD + yaml.safe_dump(content, sort_keys=False)


def _digest(places: list[Path]) -> str:
    files = {file for place in places for file in ([place] if place.is_file() else place.rglob("*"))}
    total = hashlib.sha256()
    for file in sorted(file for file in files if file.is_file() and _decides(file)):
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        total.update(f"{file.relative_to(_PACKAGE).as_posix()} {content}\n".encode())
    return total.hexdigest()[:16]


def _decides(file: Path) -> bool:
    """Whether a file of the package can change a result: no bytecode, no words that no build holds."""
    return "__pycache__" not in file.parts and file.suffix != ".md"


def _of_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
