from __future__ import annotations

from pathlib import Path

from adrefine.runtime.opened import opened


class Folder:
    def __init__(self, folder: Path, side: int = 1) -> None:
        self.text, self.side = (folder / "mark").read_text() if (folder / "mark").exists() else "", side


def test_the_same_until_it_is_written_anew(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    assert opened(Folder, mark, tmp_path) is not opened(Folder, mark, tmp_path)  # there is none
    mark.write_text("old")
    first = opened(Folder, mark, tmp_path)
    assert opened(Folder, mark, tmp_path) is first
    assert opened(Folder, mark, tmp_path, 2).side == 2
    (tmp_path / "new").write_text("new")
    (tmp_path / "new").replace(mark)  # as stages do
    assert opened(Folder, mark, tmp_path).text == "new"
    assert first.text == "old"
