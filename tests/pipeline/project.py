"""A throw-away copy of the project with tiny photos and settings, and DVC as a user runs it."""

from __future__ import annotations

import copy
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
STAGES = (
    *("ingest", "validate", "inject_noise", "synthesize", "embed", "pretrain_pdn"),
    *("select", "train", "refine", "evaluate"),
)
PHOTOS = "photos"
TINY = {
    "detector": "padim",  # the default, and quick: DifferNet runs in test_prefect_flow.py
    "dataset.name": "mvtec",
    "dataset.root": PHOTOS,
    "dataset.image_size": 64,
    "validate.min_train": 5,
    "validate.min_val": 1,
    "synthesize.per_image": 1,
    "embed.scales": [64, 32],
    "embed.views": 2,
    "embed.places.side": 64,
    "embed.places.grid": 4,
    "embed.places.components": 8,
    "pretrain_pdn.steps": 2,
    "pretrain_pdn.side": 64,
    "pretrain_pdn.batch_size": 2,
    "pretrain_pdn.norm_images": 4,
    "differnet.hidden": 16,
    "differnet.blocks": 2,
    "differnet.epochs": 3,
    "differnet.finetune_epochs": 1,
    "efficientad.preset": "short",
    "efficientad.side": 64,
    "efficientad.steps": 2,
    "efficientad.batch_size": 1,
    "efficientad.finetune_steps": 1,
    "refine.strategy": "irp",  # for its rounds
    "refine.max_rounds": 3,
    "evaluate.gallery": 4,
    "evaluate.localize": 4,
}


@dataclass(frozen=True)
class Run:
    """What a command did. DVC's word for each stage: `ran`, `restored` from the run cache, or `skipped`."""

    code: int
    out: str
    err: str

    @property
    def ran(self) -> set[str]:
        return self._stages(r"^Running stage '(\w+)'")

    @property
    def restored(self) -> set[str]:
        return self._stages(r"^Stage '(\w+)' is cached - skipping run")

    @property
    def skipped(self) -> set[str]:
        return self._stages(r"^Stage '(\w+)' didn't change, skipping")

    def number(self, pattern: str) -> int:
        """The number that a stage printed where `pattern` has its group."""
        found = re.search(pattern, self.out)
        assert found, f"nothing like {pattern!r} in:\n{self.out}"
        return int(found[1])

    def _stages(self, pattern: str) -> set[str]:
        return set(re.findall(pattern, self.out, re.MULTILINE))


class Project:
    """A project folder under test. Settings are always those committed plus the ones given.

    `paths`: folders of installed packages, beside those of this Python. `warm`: variables of `warm.started`,
    if its stages may be forked.
    """

    def __init__(self, root: Path, warm: Mapping[str, str] | None = None) -> None:
        self.root = root
        self.warm = warm or {}
        self.paths: tuple[Path, ...] = ()
        self._committed = yaml.safe_load(self.git("show", "HEAD:params.yaml"))

    def set(self, changes: Mapping[str, Any]) -> None:
        """Write params.yaml: the committed one with `changes` (dotted keys)."""
        (self.root / "params.yaml").write_text(with_changes(self._committed, changes))

    def reset(self) -> None:
        """Settings, photos and answers as committed, and no experiment."""
        self.git("checkout", "-q", "--", "params.yaml", "data/review.csv", PHOTOS)
        self.git("clean", "-fdq", "--", PHOTOS)
        for ref in self.git("for-each-ref", "--format=%(refname)", "refs/exps").split():
            self.git("update-ref", "-d", ref)

    def repro(self, *arguments: str, check: bool = True) -> Run:
        """`dvc repro`."""
        run = self.run("dvc", "repro", *arguments)
        assert not check or run.code == 0, run.out + run.err
        return run

    def stage(self, name: str) -> Run:
        """A stage's own command, without DVC."""
        return self.run(f"adrefine.stages.{name}")

    def run(self, module: str, *arguments: str) -> Run:
        """`python -m module arguments` in the project."""
        done = subprocess.run(
            ["python", "-m", module, *arguments],
            cwd=self.root,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=600,
        )
        return Run(done.returncode, done.stdout, done.stderr)

    def start(self, module: str, *arguments: str) -> subprocess.Popen[str]:
        """As `run`, but at once back, with the output line by line, in a process group of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=self.root,
            env=self.cold.environment() | {"PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def flow(self, *arguments: str, variables: Mapping[str, str]) -> subprocess.Popen[str]:
        """`python flows/pipeline.py arguments`, started, with `variables` added to its environment."""
        return subprocess.Popen(
            [sys.executable, "flows/pipeline.py", *arguments],
            cwd=self.root,
            env=self.environment() | dict(variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def processes(self) -> list[str]:
        """The commands of all processes that work in this project's folder."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if (process / "cwd").resolve() == self.root.resolve():
                    found.append((process / "cmdline").read_text().replace("\0", " "))
            except OSError:  # it has just ended
                continue
        return found

    def clone(self, root: Path) -> Project:
        """The project as committed, with no result and no cache of any kind."""
        subprocess.run(["git", "clone", "-q", str(self.root), str(root)], check=True, env=_git_environment())
        return Project(root, self.warm)

    @property
    def cold(self) -> Project:
        """The same, whose stages are processes of their own."""
        return Project(self.root)

    @property
    def lock(self) -> str:
        """Text of dvc.lock: the hashes of everything that every stage read and wrote."""
        return (self.root / "dvc.lock").read_text()

    def git(self, *arguments: str) -> str:
        return git(self.root, *arguments)

    def environment(self) -> dict[str, str]:
        """`python` is this one, it imports this copy, and nothing outside the copy is read or written."""
        path = [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
        there = {
            **self.warm,
            "PATH": os.pathsep.join([self.warm["PATH"], *path] if self.warm else path),
            "PYTHONPATH": os.pathsep.join(map(str, [self.root / "src", *self.paths])),
            "ADREFINE_CACHE_DIR": str(self.root / ".adrefine" / "cache"),
            "ADREFINE_DEVICE": "cpu",
            "OMP_NUM_THREADS": "1",
            "DVC_SITE_CACHE_DIR": str(self.root / ".dvc" / "tmp" / "site"),
            "DVC_GLOBAL_CONFIG_DIR": str(self.root / ".dvc" / "tmp" / "global"),
            "DVC_SYSTEM_CONFIG_DIR": str(self.root / ".dvc" / "tmp" / "system"),
        }
        return _git_environment() | there


def create(root: Path) -> Project:
    """Copy the repository's files as they are now to `root`, with TINY settings, and commit them.

    The caller adds photos and commits again.
    """
    listed = git(REPOSITORY, "ls-files", "-co", "--exclude-standard", "-z").split("\0")
    for name in filter(None, listed):
        if (REPOSITORY / name).is_file():  # listed, though it may be deleted
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(REPOSITORY / name, root / name)
    settings = yaml.safe_load((root / "params.yaml").read_text())
    (root / "params.yaml").write_text(with_changes(settings, TINY))
    (root / "dvc.lock").unlink(missing_ok=True)
    (root / "data/review.csv").write_text("image_id,verdict,note\n")  # without answers on other photos
    git(root, "init", "-q")
    commit(root)
    return Project(root)


def commit(root: Path) -> None:
    """Commit everything in `root`."""
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "State of a test")


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=root, check=True, capture_output=True, text=True, env=_git_environment()
    ).stdout


def with_changes(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> str:
    """`settings` as YAML with `changes` made: dotted keys, as after `dvc exp run -S`."""
    changed = copy.deepcopy(dict(settings))
    for key, value in changes.items():
        *parents, last = key.split(".")
        section = changed
        for name in parents:
            section = section[name]
        section[last] = value
    return yaml.safe_dump(changed, sort_keys=False)


def files(*folders: Path) -> dict[str, bytes]:
    """Content of all files in `folders`, to see whether anything changed."""
    return {
        str(path): path.read_bytes()
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _git_environment() -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "DVC_", "PREFECT_"))
    }
    person = {"NAME": "Test", "EMAIL": "test@example.org"}
    names = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in person.items()}
    return kept | names | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
