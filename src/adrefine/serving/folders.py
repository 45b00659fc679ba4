"""Which folder may be an inbox: one that nothing else of the project is in."""

from __future__ import annotations

from pathlib import Path

from adrefine.errors import UserError
from adrefine.paths import side_cache

# Of a project, beside the dataset; a path that is missing counts as well.
_OURS = (
    *(".dvc", ".git", "benchmarks", "data/generic", "data/ingested", "data/noisy"),
    *(
        "data/prepared",
        "data/refined",
        "data/review.csv",
        "data/roi",
        "data/synthetic",
        "data/weights",
        "docs",
        "flows",
        "models",
        "promoted",
        "reports",
        "src",
        "tests",
    ),
)


def check_folders(inbox: Path, root: Path, project: Path = Path()) -> None:
    """Refuse an inbox inside the dataset, whose photos would be in it before they are taken, and the reverse;
    and one that holds, or is in, anything else of the project: its pictures are no new photos.

    Raises:
        UserError: one is inside the other.
    """
    one, other, here = inbox.resolve(), root.resolve(), project.resolve()
    if not str(inbox).strip() or here.is_relative_to(one):
        raise UserError(
            f"inbox.folder = {str(inbox)!r} holds the whole project: give the inbox a folder apart"
        )
    if _overlap(one, other):
        raise UserError(
            f"inbox.folder = {inbox} and dataset.root = {root} overlap: give the inbox a folder apart"
        )
    for name in (*_OURS, side_cache("").as_posix()):
        if _overlap(one, (here / name).resolve()):
            raise UserError(
                f"inbox.folder = {inbox} and {name}, which is not for new photos, overlap: give the inbox a "
                "folder apart, such as data/inbox"
            )


def _overlap(one: Path, other: Path) -> bool:
    return one.is_relative_to(other) or other.is_relative_to(one)
