"""The versions of a dataset: commits, experiments, promoted ones, the workspace. Read from git and small
files; neither DVC's cache nor a remote is asked."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from adrefine import paths, strict_yaml
from adrefine.comparing.settings import changed
from adrefine.comparing.version import WORKSPACE
from adrefine.dvc_driver.left import git

REFINE_OUT = str(paths.REFINED)
_METRICS, _PARAMS, _LOCK = str(paths.REPORTS / "metrics.json"), "params.yaml", "dvc.lock"


@dataclass(frozen=True)
class Entry:
    """A version.

    Attributes:
        name: what `adrefine diff` takes. date: ISO 8601, "" for the workspace. digest: of data/refined.
        noise: share of hidden defects. before, auroc, ceiling: on the test photos, AUROC of the model that
            learned all photos, of the refined one, and of one without the hidden defects.
        gain: share of the possible one. Numbers are None where they are not known.
        subject: of a commit; of an experiment what it changes.
    """

    name: str
    kind: str
    date: str
    strategy: str
    detector: str
    kept: int | None
    removed: int | None
    noise: float | None
    before: float | None
    auroc: float | None
    ceiling: float | None
    gain: float | None
    digest: str
    subject: str

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def entries(most: int) -> list[Entry]:
    """The workspace, promoted versions, experiments and commits, the newest first of each, at most `most` of
    each kind. Of commits only those that changed data/refined."""
    return _workspace() + _promoted()[:most] + _experiments(most) + _commits(most)


def experiments(most: int) -> list[Entry]:
    """The workspace, the present commit and the experiments, the newest first, at most `most` of these."""
    head = (git(Path(), "log", "-1", "--format=%h") or "").split()
    return _workspace() + [_commit(name, name, "commit") for name in head] + _experiments(most)


def _experiments(most: int) -> list[Entry]:
    refs = git(Path(), "for-each-ref", "--sort=-creatordate", "--format=%(refname)", "refs/exps") or ""
    names = [ref for ref in refs.split() if "/exec/" not in ref and len(ref.split("/")) == 5]
    return [_commit(ref.split("/")[-1], ref, "experiment") for ref in names[:most]]


def _commits(most: int) -> list[Entry]:
    listed = (git(Path(), "log", "--format=%h", "--", _LOCK) or "").split()
    made: list[Entry] = []
    for name in listed:
        if len(made) > most:
            break
        made.append(_commit(name, name, "commit"))
    older = [*made[1:], None][: len(made)]  # a commit counts if the one before it had other photos
    return [
        one for one, before in zip(made, older, strict=True) if before is None or one.digest != before.digest
    ][:most]


def _commit(name: str, revision: str, kind: str) -> Entry:
    date, _, subject = (git(Path(), "show", "-s", "--format=%cI %s", revision) or "").partition(" ")
    if kind == "experiment":
        subject = _changes(revision)
    texts = [git(Path(), "show", f"{revision}:./{path}") or "" for path in (_LOCK, _METRICS, _PARAMS)]
    return _entry(name, kind, date, texts, subject)


def _changes(revision: str) -> str:
    """The settings that an experiment has otherwise than the commit that it began from."""
    texts = [git(Path(), "show", f"{name}:./{_PARAMS}") or "" for name in (f"{revision}^", revision)]
    return ", ".join(f"{key}={value}" for key, _, value in changed(*map(strict_yaml.mapping, texts)))


def _workspace() -> list[Entry]:
    files = [Path(path) for path in (_LOCK, _METRICS, _PARAMS)]
    texts = [file.read_text(errors="replace") if file.is_file() else "" for file in files]
    return [_entry(WORKSPACE, WORKSPACE, "", texts, "")] if (paths.REFINED / paths.MANIFEST).is_file() else []


def _promoted() -> list[Entry]:
    from adrefine.serving import versions

    if not paths.PROMOTED.is_dir():
        return []
    times = {
        line["version"]: line["time"]
        for line in versions.history(paths.PROMOTED)
        if line["decision"] == "promoted"
    }
    listed = []
    for folder in sorted(paths.PROMOTED.iterdir(), reverse=True):
        if folder.name.isdigit() and (folder / paths.MANIFEST).is_file():
            files = [folder / _LOCK, folder / "metrics.json", folder / _PARAMS]
            texts = [file.read_text(errors="replace") if file.is_file() else "" for file in files]
            entry = _entry(str(folder), "promoted", times.get(folder.name, ""), texts, "")
            listed.append(entry)
    return listed


def _entry(name: str, kind: str, date: str, texts: list[str], subject: str) -> Entry:
    lock, metrics, settings = map(strict_yaml.mapping, texts)
    outs = _deep(lock, "stages", "refine", "outs")
    outs = outs if isinstance(outs, list) else []
    digests = [out.get("md5", "") for out in outs if isinstance(out, dict) and out.get("path") == REFINE_OUT]
    trained, removed = _number(metrics, "noise", "n_train"), _number(metrics, "cleaning", "removed")
    return Entry(
        name=name,
        kind=kind,
        date=date,
        strategy=str(_deep(settings, "refine", "strategy") or ""),
        detector=str(settings.get("detector") or ""),
        kept=None if trained is None or removed is None else int(trained) - int(removed),
        removed=None if removed is None else int(removed),
        noise=_number(settings, "noise", "level"),
        before=_number(metrics, "detection", "initial", "auroc"),
        auroc=_number(metrics, "detection", "refined", "auroc"),
        ceiling=_number(metrics, "detection", "oracle", "auroc"),
        gain=_number(metrics, "cleaning", "oracle_gap_closed"),
        digest=str(digests[0]).removesuffix(".dir")[:8] if digests else "",
        subject=subject,
    )


def _number(content: Any, *keys: str) -> float | None:
    value = _deep(content, *keys)
    return value if isinstance(value, int | float) and isfinite(value) else None


def _deep(content: Any, *keys: str) -> Any:
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    return content
