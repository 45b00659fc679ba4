"""Dataset layouts by name. `read` is what ingest calls: where the photos are, what they are, what is odd
about them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from adrefine.errors import UserError
from adrefine.paths import side_cache
from adrefine.registry import Registry

if TYPE_CHECKING:
    import pandas as pd

    from adrefine.datasets.account import Account
    from adrefine.datasets.base import Layout
    from adrefine.params import Dataset

LAYOUTS = Registry(
    "dataset.name",
    "adrefine.layouts",
    {
        "demo": "adrefine.datasets.mvtec:MVTec",
        "folder": "adrefine.datasets.folder:Folder",
        "mvtec": "adrefine.datasets.mvtec:MVTec",
        "ksdd2": "adrefine.datasets.ksdd2:KSDD2",
        "mtd": "adrefine.datasets.mtd:MTD",
        "visa": "adrefine.datasets.visa:VisA",
        "btad": "adrefine.datasets.mvtec_kin:BTAD",
        "mpdd": "adrefine.datasets.mvtec_kin:MPDD",
        "real_iad": "adrefine.datasets.real_iad:RealIAD",
        "isp_ad": "adrefine.datasets.isp_ad:ISPAD",
    },
)


def layout(name: str) -> Layout:
    """The layout called `name` in params.yaml; imports that one alone.

    Raises:
        UserError: there is none of that name.
    """
    made: Layout = LAYOUTS.get(name)()
    return made


def locate(params: Dataset) -> Path:
    """Folder of the photos; the demo is generated there first if it is not there yet.

    Raises:
        UserError: the folder is missing.
    """
    if params.name == "demo":
        from adrefine.datasets import demo

        root = place(params)
        demo.generate(root, params.image_size, params.seed)
        return root
    root = place(params)
    if not root.is_dir():
        raise UserError(
            f"dataset.root = {params.root} is {'not a folder' if root.exists() else 'missing'}: "
            "put the photos there, or set dataset.root to their folder"
        )
    return root


def place(params: Dataset) -> Path:
    """Where the photos are, or would be; nothing is looked at or made."""
    if params.name == "demo":
        return side_cache("demo") / f"{params.image_size}-{params.seed}"
    return Path(params.root).expanduser()


def arrivals(params: Dataset) -> Path:
    """The folder that new photos believed to be good go to.

    Raises:
        UserError: this dataset takes none, or its folder is missing; says what to do.
    """
    if params.name == "demo":
        raise UserError(
            "dataset.name = demo: the demo generates its photos and accepts no new ones: set dataset.name to "
            "folder or mvtec and dataset.root to photos of your own"
        )
    root = locate(params)
    return root / layout(params.name).arrivals(root)


def read(params: Dataset) -> tuple[Path, pd.DataFrame, list[str], Account]:
    """Find and list the photos that `params` names.

    Returns:
        Their root, SCAN_COLUMNS sorted by `source`, warnings, such as counts that differ from the official
        ones, and what became of every file.

    Raises:
        UserError: a folder or list is missing, or there is no photo.
    """
    from adrefine.datasets import account
    from adrefine.datasets.files import tally

    root, kind = locate(params), layout(params.name)
    table = kind.scan(root, params)
    if table.empty:
        raise UserError(
            f"{root} holds no photo{account.nothing(root)}: put some there, or set dataset.root and "
            "dataset.name"
        )
    if "part" not in table.columns:  # a plug-in from before layouts told parts
        table = table.assign(part="")
    counts = tally(table)
    differ = [
        f"{key} {counts.get(key, 0)} instead of {number}"
        for key, number in kind.official(root).items()
        if counts.get(key, 0) != number
    ]
    official = (
        [f"number of photos differs from the official {params.name} dataset: {', '.join(differ)}"]
        if differ
        else []
    )
    files = account.of(root, table, kind)
    return root, table, official + kind.warnings(root, table) + files.warnings(), files
