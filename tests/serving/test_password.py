"""The file with the password of this user's servers."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from adrefine.errors import UserError
from adrefine.serving import password
from adrefine.serving.password import NAME, credentials, told


def test_it_is_made_once_and_only_the_user_can_read_it(tmp_path: Path) -> None:
    home = tmp_path / "new" / "prefect"
    secret = credentials(home)
    assert secret == credentials(home)
    user, _, word = secret.partition(":")
    assert user == "adrefine"
    assert len(word) >= 32
    assert stat.S_IMODE((home / NAME).stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert [path.name for path in home.iterdir()] == [NAME]
    assert secret != credentials(tmp_path / "other")


def test_all_who_start_at_once_have_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(credentials, [tmp_path] * 32))) == 1


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602])
def test_one_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    credentials(tmp_path)
    (tmp_path / NAME).chmod(mode)
    with pytest.raises(UserError, match="others can read the password"):
        credentials(tmp_path)


def test_an_empty_one_and_a_link_are_refused(tmp_path: Path) -> None:
    (tmp_path / NAME).touch(0o600)
    with pytest.raises(UserError, match="holds no `user:password`"):
        credentials(tmp_path)
    (tmp_path / NAME).unlink()
    (tmp_path / "elsewhere").write_text("a:b")
    (tmp_path / NAME).symlink_to("elsewhere")
    with pytest.raises(UserError, match="cannot be read"):
        credentials(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe:\x00", b"word", b":", b"user:", b"a:b\nc:d", b"9" * 10**6]
)
def test_one_that_holds_no_password_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / NAME).touch(0o600)
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(UserError, match="holds no `user:password`: delete it"):
        credentials(tmp_path)
    told("a:b", tmp_path)


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir(0o700)
    with pytest.raises(UserError, match=f"{NAME} cannot be read"):
        credentials(tmp_path)
    assert told("a:b", tmp_path) == "as PREFECT_SERVER_API_AUTH_STRING says"
    (tmp_path / NAME).rmdir()
    os.mkfifo(tmp_path / NAME, 0o600)
    with pytest.raises(UserError, match="holds no"):
        credentials(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"no password can be kept in .*: set PREFECT_HOME"):
        credentials(tmp_path / "file" / "prefect")


def test_a_log_does_not_hold_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = credentials(tmp_path)
    assert told(secret, tmp_path) == f"in {tmp_path / NAME}"
    assert told("own:one", tmp_path) == "as PREFECT_SERVER_API_AUTH_STRING says"
    monkeypatch.setattr(password.sys.stdout, "isatty", lambda: True)
    assert told(secret, tmp_path).startswith(f"{secret}  (in ")
