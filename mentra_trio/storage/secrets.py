"""The server's own secrets: given in the settings, or made once and kept in the data folder."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from ..config import Config
from ..config_sources import ENVIRONMENT_PREFIX
from ..domain.errors import ConfigError, StoreFailed
from ..wire.user_tokens import make_key_pem, read_key

JWT_SECRET: Final = "jwt-secret"
ADMIN_TOKEN: Final = "admin-token"
USER_TOKEN_KEY: Final = "user-token-key.pem"

_RANDOM_BYTES: Final = 48
_CHARACTERS_MIN: Final = 32


def jwt_secret(config: Config) -> str:
    """What core tokens and app tokens are signed with.

    Raises:
        StoreFailed: as ``load_or_make_secret``.
    """
    return config.jwt_secret or load_or_make_secret(config.data_dir, JWT_SECRET)


def admin_token(config: Config) -> str:
    """What opens the admin routes.

    Raises:
        StoreFailed: as ``load_or_make_secret``.
    """
    return config.admin_token or load_or_make_secret(config.data_dir, ADMIN_TOKEN)


def user_token_key(config: Config) -> RSAPrivateKey:
    """What signed user tokens are signed with.

    Raises:
        ConfigError: the key that is given in the environment cannot be used.
        StoreFailed: the folder cannot be used, or the file in it.
    """
    if config.user_token_key:
        try:
            return read_key(config.user_token_key)
        except ConfigError as error:
            raise ConfigError(f"{ENVIRONMENT_PREFIX}USER_TOKEN_KEY {error}") from None
    if config.data_dir is None:
        return read_key(make_key_pem())
    file = config.data_dir / USER_TOKEN_KEY
    try:
        return read_key(_kept(file, make_key_pem))
    except (ConfigError, UnicodeError):
        raise StoreFailed(f"{file} holds no RSA key: delete it, and a new one is made") from None


def load_or_make_secret(data_dir: Path | None, name: str) -> str:
    """The secret kept in the file ``name`` of ``data_dir``, made at the first time.

    Several processes may do this at once and get the same secret. Without a folder it is a
    fresh one, known to the caller alone. The file can be read by its owner only.

    Raises:
        StoreFailed: one line: the folder cannot be used, or the file holds no secret.
    """
    if data_dir is None:
        return secrets.token_urlsafe(_RANDOM_BYTES)
    file = data_dir / name
    try:
        secret = _kept(file, partial(secrets.token_urlsafe, _RANDOM_BYTES)).strip()
    except UnicodeError:
        secret = ""
    if len(secret) < _CHARACTERS_MIN:
        raise StoreFailed(
            f"{file} holds no secret of at least {_CHARACTERS_MIN} characters: delete it,"
            " and a new one is made"
        )
    return secret


def _kept(file: Path, make: Callable[[], str]) -> str:
    """What is in ``file``, which is made with what ``make`` returns, at the first time."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not file.exists():
            _make(file, make())
        file.chmod(0o600)
        return file.read_text(encoding="ascii")
    except OSError as error:
        raise StoreFailed(f"cannot use the secret in {file}: {error.strerror}") from None


def _make(file: Path, secret: str) -> None:
    """Write ``secret`` to ``file``, complete or not at all; an existing one stays."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(secret.strip() + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        os.link(temporary, file)  # fails if another process was faster
    except FileExistsError:
        pass
    finally:
        Path(temporary).unlink()
