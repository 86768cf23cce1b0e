"""The server's own secrets: given in the settings, or made once and kept in the data folder."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path
from typing import Final

from ..config import Config
from ..domain.errors import StoreFailed

JWT_SECRET: Final = "jwt-secret"
ADMIN_TOKEN: Final = "admin-token"

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
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not file.exists():
            _make(file)
        file.chmod(0o600)
        secret = file.read_text(encoding="ascii").strip()
    except OSError as error:
        raise StoreFailed(f"cannot use the secret in {file}: {error.strerror}") from None
    except UnicodeError:
        secret = ""
    if len(secret) < _CHARACTERS_MIN:
        raise StoreFailed(
            f"{file} holds no secret of at least {_CHARACTERS_MIN} characters: delete it,"
            " and a new one is made"
        )
    return secret


def _make(file: Path) -> None:
    """Write a new secret to ``file``, complete or not at all; an existing one stays."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(secrets.token_urlsafe(_RANDOM_BYTES) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        os.link(temporary, file)  # fails if another process was faster
    except FileExistsError:
        pass
    finally:
        Path(temporary).unlink()
