"""The server's own secrets: made once, private, the same for every process."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from mentra_trio.config import Config
from mentra_trio.domain.errors import ConfigError, StoreFailed
from mentra_trio.storage.secrets import (
    admin_token,
    jwt_secret,
    load_or_make_secret,
    user_token_key,
)
from mentra_trio.wire.user_tokens import make_key_pem, public_pem, read_key


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


def test_the_key_of_user_tokens_is_made_once_and_kept(tmp_path: Path) -> None:
    config = Config(data_dir=tmp_path)
    first = public_pem(user_token_key(config))
    assert public_pem(user_token_key(config)) == first
    file = tmp_path / "user-token-key.pem"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().startswith("-----BEGIN PRIVATE KEY-----\n")
    assert first.startswith("-----BEGIN PUBLIC KEY-----\n")
    in_memory = Config(data_dir=None)
    assert public_pem(user_token_key(in_memory)) != public_pem(user_token_key(in_memory))


def test_the_key_of_user_tokens_may_be_given(tmp_path: Path) -> None:
    pem = make_key_pem()
    expected = public_pem(read_key(pem))
    for given in (pem, pem.replace("\n", "\\n")):
        config = Config(data_dir=tmp_path, user_token_key=given)
        assert public_pem(user_token_key(config)) == expected
    assert not list(tmp_path.iterdir())


def pem_of(key: Any, passphrase: bytes | None = None) -> str:
    encryption = (
        serialization.BestAvailableEncryption(passphrase)
        if passphrase
        else serialization.NoEncryption()
    )
    pem: bytes = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )
    return pem.decode()


@pytest.mark.parametrize(
    ("pem", "problem"),
    [
        ("hunter2", "is not a private key in PEM"),
        ("ü", "is not a private key in PEM"),
        (pem_of(read_key(make_key_pem()), b"passphrase"), "without a passphrase"),
        (pem_of(ec.generate_private_key(ec.SECP256R1())), "is not an RSA key"),
        (pem_of(rsa.generate_private_key(65_537, 1_024)), "2,048 bits"),
        (public_pem(read_key(make_key_pem())), "is not a private key"),
    ],
    ids=["text", "no ascii", "passphrase", "elliptic", "short", "public"],
)
def test_a_key_that_cannot_be_used_is_refused_in_one_line(
    tmp_path: Path, pem: str, problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem) as refused:
        user_token_key(Config(user_token_key=pem))
    assert str(refused.value).startswith("MENTRA_TRIO_USER_TOKEN_KEY is not ")
    assert "hunter2" not in str(refused.value)
    (tmp_path / "user-token-key.pem").write_text(pem)
    with pytest.raises(StoreFailed, match=r"user-token-key\.pem holds no RSA key"):
        user_token_key(Config(data_dir=tmp_path))
