"""A version of a dataset, found by its name: nothing is checked out.

A name is `workspace`, a manifest file, a folder with one (promoted/0001), a git revision, or an experiment's
name. Of a revision the small files alone are read, from DVC's cache or its remote.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from adrefine import manifest, paths, strict_yaml
from adrefine.dvc_driver.left import git
from adrefine.errors import UserError
from adrefine.places import votes
from adrefine.places.votes import Votes

WORKSPACE = "workspace"
_MANIFEST = str(paths.REFINED / paths.MANIFEST)
_EVIDENCE = str(paths.REFINED / paths.EVIDENCE)
_METRICS = str(paths.REPORTS / "metrics.json")
_PARAMS = "params.yaml"


@dataclass(frozen=True)
class Version:
    """A dataset and what was measured with it.

    Attributes:
        photos: the training rows of its manifest, by image_id; all are kept where it decides nothing.
        metrics: of reports/metrics.json. settings: of params.yaml. Both empty where they are not known.
        tested: the rows of its labelled test photos.
        votes: what each voter says of a photo, by image_id; empty where no evidence was gathered.
    """

    name: str
    photos: pd.DataFrame
    metrics: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    tested: pd.DataFrame = field(default_factory=pd.DataFrame)
    votes: dict[str, Votes] = field(default_factory=dict)

    @property
    def kept(self) -> int:
        """How many photos train."""
        return int((self.photos["kept"] == 1).sum())


def find(name: str) -> Version:
    """The version of that name.

    Raises:
        UserError: there is none, or its files are not here.
    """
    path = paths.REFINED if name == WORKSPACE else Path(name)
    if path.is_dir() and (path / paths.MANIFEST).is_file():
        folder = Path() if name == WORKSPACE else path
        measured = [folder / _METRICS, path / "promotion.json"]
        texts = [file.read_bytes() for file in measured if file.is_file()]
        settings = folder / _PARAMS
        return _made(
            name,
            manifest.read(path / paths.MANIFEST),
            votes.read(path / paths.EVIDENCE),
            strict_yaml.mapping(texts[0] if texts else ""),
            strict_yaml.mapping(settings.read_bytes() if settings.is_file() else ""),
        )
    if path.is_file():
        return _made(name, manifest.read(path), votes.read(path.with_name(paths.EVIDENCE)), {}, {})
    if name == WORKSPACE:
        raise UserError(f"{_MANIFEST} is missing: run `dvc repro`")
    return _of_revision(name)


def _of_revision(name: str) -> Version:
    read = _reader(name)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / paths.MANIFEST
        file.write_bytes(read(_MANIFEST))
        table = manifest.read(file)
        told = _votes_of_revision(read, Path(folder) / paths.EVIDENCE)
    commit = resolved(name)
    texts = [git(Path(), "show", f"{commit}:./{path}") or "" for path in (_METRICS, _PARAMS)]
    return _made(name, table, told, *map(strict_yaml.mapping, texts))


def _votes_of_revision(read: Callable[[str], bytes], file: Path) -> dict[str, Votes]:
    """By way of `file`; nothing where that version has no evidence, or it is not here."""
    try:
        file.write_bytes(read(_EVIDENCE))
    except UserError:
        return {}
    return votes.read(file)


def resolved(name: str) -> str:
    """The commit that a git revision or an experiment's name means.

    Raises:
        UserError: it means none.
    """
    commit = git(Path(), "rev-parse", "-q", "--verify", "--end-of-options", f"{name}^{{commit}}")
    if commit is None:
        refs = (git(Path(), "for-each-ref", "--format=%(refname)", "refs/exps") or "").split()
        there = [ref for ref in refs if ref.split("/")[-1] == name and "/exec/" not in ref]
        if len(there) > 1:
            raise UserError(
                f"{len(there)} experiments are called {name!r}: give the revision of one (`dvc exp show`)"
            )
        commit = git(Path(), "rev-parse", "-q", "--verify", there[0]) if there else None
    if commit is None:
        raise UserError(
            f"{name!r} is no manifest file, no folder with one, no git revision and no experiment: see "
            "`adrefine log`"
        )
    return commit


def _reader(name: str) -> Callable[[str], bytes]:
    """Reads a file that DVC tracks, as it was at that revision."""
    commit = resolved(name)

    def read(path: str) -> bytes:
        import dvc.api
        from dvc.exceptions import DvcException

        buffer = io.BytesIO()
        try:
            with dvc.api.open(path, repo=".", rev=commit, mode="rb") as file:
                buffer.write(file.read())
        except (DvcException, OSError) as error:
            raise UserError(
                f"{name}: {path} of that version is not in DVC's cache or remote "
                f"({' '.join(str(error).split())[:100]}): run it again, or `dvc pull` where it was run"
            ) from None
        return buffer.getvalue()

    return read


def _made(
    name: str,
    table: pd.DataFrame,
    told: dict[str, Votes],
    metrics: dict[str, Any],
    settings: dict[str, Any],
) -> Version:
    rows = manifest.of_split(table, "train") if "split" in table else table
    unknown = dict.fromkeys(("score", "threshold", "relative_score", "removed_round"), float("nan"))
    empty = dict.fromkeys(("reviewed", "reason", "source", "path"), "")
    defaults: dict[str, Any] = {"kept": 1, "weight": 1.0, "label": manifest.UNKNOWN, **unknown, **empty}
    missing = {column: value for column, value in defaults.items() if column not in rows}
    rows = rows.assign(**missing).set_index("image_id").sort_index()
    return Version(name, rows, metrics, settings, _tested(table), told)


def _tested(table: pd.DataFrame) -> pd.DataFrame:
    if not {"in_test", "label", "mask_path", "defect_type"} <= set(table.columns):
        return table.iloc[:0]
    return table[(table["in_test"] == 1) & (table["label"] != manifest.UNKNOWN)]
