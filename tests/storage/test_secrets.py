"""The server's own secrets: made once, private, the same for every process."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mentra_trio.config import Config
from mentra_trio.domain.errors import StoreFailed
from mentra_trio.storage.secrets import admin_token, jwt_secret, load_or_make_secret


def test_a_secret_is_made_once_and_kept(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    first = load_or_make_secret(folder, "jwt-secret")
    assert len(first) >= 64
    assert load_or_make_secret(folder, "jwt-secret") == first
    assert load_or_make_secret(folder, "admin-token") != first
    assert stat.S_IMODE((folder / "jwt-secret").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {file.name for file in folder.iterdir()} == {"jwt-secret", "admin-token"}


def test_a_file_that_others_may_read_is_closed_to_them(tmp_path: Path) -> None:
    load_or_make_secret(tmp_path, "jwt-secret")
    (tmp_path / "jwt-secret").chmod(0o644)
    load_or_make_secret(tmp_path, "jwt-secret")
    assert stat.S_IMODE((tmp_path / "jwt-secret").stat().st_mode) == 0o600


def test_many_at_once_get_the_same_secret(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: load_or_make_secret(tmp_path, "jwt-secret"), range(32)))
    assert len(set(found)) == 1
    assert os.listdir(tmp_path) == ["jwt-secret"]


def test_without_a_folder_every_secret_is_fresh() -> None:
    assert load_or_make_secret(None, "jwt-secret") != load_or_make_secret(None, "jwt-secret")


@pytest.mark.parametrize("content", [b"", b"short\n", b"\xff" * 64])
def test_a_file_without_a_secret_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "jwt-secret").write_bytes(content)
    with pytest.raises(StoreFailed) as caught:
        load_or_make_secret(tmp_path, "jwt-secret")
    assert "jwt-secret" in str(caught.value)
    assert "short" not in str(caught.value).replace("shorter", "")


def test_a_folder_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreFailed):
        load_or_make_secret(tmp_path / "file", "jwt-secret")


def test_settings_win_over_files(tmp_path: Path) -> None:
    config = Config(data_dir=tmp_path, jwt_secret="j" * 32, admin_token="t")
    assert (jwt_secret(config), admin_token(config)) == ("j" * 32, "t")
    assert not list(tmp_path.iterdir())
    kept = Config(data_dir=tmp_path)
    assert jwt_secret(kept) == load_or_make_secret(tmp_path, "jwt-secret")
    assert admin_token(kept) == load_or_make_secret(tmp_path, "admin-token")
