"""A small project of DVC with the product's settings, stage wrapper and commands, to be killed and mended."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from adrefine.dvc_driver import health, locks, settings
from adrefine.errors import UserError
from adrefine.sweeps.isolated import end_all
from benchmarks.reliability.tally import HAND, LOST, RIGHT, Tally

ROOT = Path(__file__).parents[2]
DVC = [sys.executable, "-m", "dvc"]
REPRO = [*DVC, "repro", "-q"]
_PATIENCE = 60.0  # seconds to wait for a DVC that is still at work, as the message about it says
_GRAPH = """
stages:
  ingest:
    cmd: {python} stage.py ingest
    deps: [photos, stage.py]
    params: [runtime, dataset, validate, noise, synthesize, embed, pretrain_pdn, refine, evaluate, glass]
    outs: [ingested]
  refine:
    cmd: {python} stage.py refine
    deps: [ingested, data/review.csv, stage.py]
    outs: [refined]
  evaluate:
    cmd: {python} stage.py evaluate
    deps: [refined, stage.py]
    outs: [report]
"""
_STAGE = """
import hashlib, sys
from pathlib import Path
from adrefine.runtime import steady
from adrefine.io import write_text
READS = {"ingest": ["photos"], "refine": ["ingested", "data/review.csv"], "evaluate": ["refined"]}
WRITES = {"ingest": "ingested", "refine": "refined", "evaluate": "report"}
def main():
    files = [f for p in map(Path, READS[name]) for f in (sorted(p.rglob("*.png")) if p.is_dir() else [p])]
    lines = [f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}" for file in files]
    write_text(Path(WRITES[name]), "\\n".join(lines))
name = sys.argv[1]
steady.run(name, main)
"""
_KEPT = ("dvc.lock", "params.yaml", "data/review.csv", "ingested", "refined", "report")


def make(folder: Path, photos: dict[str, bytes]) -> Path:
    """A committed project that ran once, with an answer and a setting that are not committed, and no cache.

    Args:
        photos: contents by name, for photos/good.
    """
    (folder / "photos/good").mkdir(parents=True)
    (folder / "data").mkdir()
    for name, content in photos.items():
        (folder / "photos/good" / name).write_bytes(content)
    shutil.copyfile(ROOT / "params.yaml", folder / "params.yaml")
    own = {"dataset.name": "folder", "dataset.root": "photos", "noise.level": 0.0, "inbox.settle": 0.0}
    settings.write(own, folder / "params.yaml")
    (folder / "data/review.csv").write_text("image_id,verdict,note\n")
    (folder / "stage.py").write_text(_STAGE)
    (folder / "dvc.yaml").write_text(_GRAPH.format(python=sys.executable))
    (folder / ".gitignore").write_text(".adrefine/\n/promoted/\n/inbox/\n.*.lock\n.*.part\n")
    for command in ("git init -q -b main", "git config user.name a", "git config user.email a@b"):
        subprocess.run(command.split(), cwd=folder, check=True)
    subprocess.run([*DVC, "init", "-q"], cwd=folder, check=True)
    subprocess.run(REPRO, cwd=folder, check=True, env=environment())
    subprocess.run(["git", "add", "-A"], cwd=folder, check=True)
    subprocess.run(["git", "commit", "-qm", "one"], cwd=folder, check=True)
    settings.write({"noise.seed": 7}, folder / "params.yaml")
    (folder / "data/review.csv").write_text("image_id,verdict,note\na1,keep,\n")
    shutil.rmtree(folder / ".dvc/cache")
    return folder


def environment(**more: str) -> dict[str, str]:
    """Variables under which programs in the project use this code."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PATH": path, "DO_NOT_TRACK": "1", **more}


def results(place: Path) -> dict[str, bytes]:
    """All that counts in the project: results, answers, settings, photos, the branch, what is stashed."""
    files = [*(place / name for name in _KEPT), *sorted((place / "photos").rglob("*.png"))]
    found = {str(f.relative_to(place)): f.read_bytes() if f.exists() else b"missing" for f in files}
    for command in (["symbolic-ref", "HEAD"], ["stash", "list"]):
        found[command[0]] = subprocess.run(["git", *command], cwd=place, capture_output=True).stdout
    return found


def undisturbed(made: Path) -> tuple[dict[str, bytes], float]:
    """What the project holds after a run that nobody killed, and the seconds of that."""
    place = made.with_name("calm")
    shutil.copytree(made, place, symlinks=True)
    start = time.monotonic()
    subprocess.run(REPRO, cwd=place, check=True, env=environment())
    seconds = time.monotonic() - start
    found = results(place)
    shutil.rmtree(place)
    return found, seconds


def again(tally: Tally, place: Path, wanted: dict[str, bytes], what: str) -> None:
    """`adrefine check`, the command that it names if any, and `dvc repro`; then the project goes."""
    hand = mended(place)
    done = subprocess.run(REPRO, cwd=place, env=environment(), capture_output=True, text=True, check=False)
    found = results(place)
    differs = [name for name in wanted | found if wanted.get(name) != found.get(name)]
    remove(place)
    right = done.returncode == 0 and not differs
    tally.add((HAND if hand else RIGHT) if right else LOST, f"{what}: {differs} {done.stderr[-200:]}")


def remove(place: Path) -> None:
    """End what still runs in the folder, and delete it."""
    end_all(place)
    shutil.rmtree(place)


def mended(place: Path) -> bool:
    """Whether a person had to type a command. A DVC that is still at work is waited for, as its line says."""
    end = time.monotonic() + _PATIENCE
    while locks.holder(place) and time.monotonic() < end:
        time.sleep(0.2)
    health.mend(place)
    try:
        health.look(place)
    except UserError as error:
        subprocess.run(str(error).rpartition(": ")[2], shell=True, cwd=place, check=False)
        return True
    return False
