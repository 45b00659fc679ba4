"""`adrefine check` says that there is no defect to hide, which a run would say after ingest."""

from __future__ import annotations

from pathlib import Path

import pytest

from adrefine import cli
from adrefine.dvc_driver import settings
from trees import pixels, save


@pytest.mark.parametrize(
    ("level", "defect", "told"), [(0.2, False, True), (0.0, False, False), (0.2, True, False)]
)
def test_hidden_defects_without_a_known_one(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    level: float,
    defect: bool,
    told: bool,
) -> None:
    monkeypatch.chdir(tmp_path)
    for number in range(3):
        save(tmp_path / f"photos/{'good/' if defect else ''}{number}.png", pixels(number))
    if defect:
        save(tmp_path / "photos/defect/0.png", pixels(9))
    Path("params.yaml").write_bytes((Path(__file__).parents[1] / "params.yaml").read_bytes())
    settings.write({"dataset.name": "folder", "dataset.root": "photos", "noise.level": level})
    cli.run(["check"])
    said = "none of the 3 photos is labelled a defect: set noise.level to 0"
    assert (said in capsys.readouterr().out) is told
