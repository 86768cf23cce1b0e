"""Signed tokens: who a user is, and who an app is (protocol.md 1.2, 1.3).

HS256 and nothing else. The time is passed in: the JWT library never looks at a clock. A token
with the header that nearly all have is read here, everything else by the library, which also has
the last word on what is read here and found wanting.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final, TypeGuard

import jwt
import msgspec
from jwt.algorithms import HMACAlgorithm
from jwt.types import Options

from ..domain.errors import ConfigError, TokenError
from ..domain.ids import PackageName, UserId, package_name, user_id

ALGORITHM: Final = "HS256"
SECRET_BYTES_MIN: Final = 32
"""A shorter secret can be guessed offline from one token (RFC 7518, 3.2)."""
NOT_BEFORE_LEEWAY_S: Final = 60
"""A token made by a machine whose clock is a little ahead of ours is accepted."""

_HEADER: Final = urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').decode("ascii")
"""The first part of a token as we and most others make it."""
_SIGNATURE_CHARACTERS: Final = 43
"""32 bytes in base64 without padding (RFC 7515, 2)."""
_SECRETS_REMEMBERED: Final = 16
_CLAIMS: Final = msgspec.json.Decoder(dict[str, Any])

NO_TOKEN: Final = "No core token provided"
NO_USER: Final = "Invalid core token - no user ID"
INVALID: Final = "Invalid core token"
INVALID_APP: Final = "Invalid app token"
INVALID_SUPABASE: Final = "Invalid token"
SUPABASE_AUDIENCE: Final = "authenticated"


def verify_core_token(token: str, secret: str, *, now: datetime) -> UserId:
    """The user whose phone presents ``token``.

    Raises:
        TokenError: empty, not signed by us, out of its time, or without an e-mail address; the
            text is what the phone is told (protocol.md 1.2).
        ConfigError: ``secret`` has fewer than 32 bytes.
    """
    check_secret(secret)
    if not token:
        raise TokenError(NO_TOKEN)
    claims = _claims(token, secret, now, INVALID)
    email = claims.get("email")
    if not isinstance(email, str):
        raise TokenError(NO_USER)
    try:
        return user_id(email)
    except ValueError:
        raise TokenError(NO_USER) from None


def verify_supabase_token(token: str, secret: str, *, now: datetime) -> UserId:
    """The user whom a Supabase project that signs with ``secret`` has let in.

    Raises:
        TokenError: not signed by that project, out of its time or without an end, not for
            somebody who is signed in, or without an e-mail address (protocol.md 1.6).
        ConfigError: ``secret`` has fewer than 32 bytes.
    """
    check_secret(secret)
    claims = _claims(token, secret, now, INVALID_SUPABASE)
    email, audience = claims.get("email"), claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if "exp" not in claims or SUPABASE_AUDIENCE not in audiences or not isinstance(email, str):
        raise TokenError(INVALID_SUPABASE)
    try:
        return user_id(email)
    except ValueError:
        raise TokenError(INVALID_SUPABASE) from None


def mint_core_token(user: UserId, secret: str, *, now: datetime, ttl_s: float | None) -> str:
    """A core token for ``user``, valid for ``ttl_s`` seconds, or for ever.

    Raises:
        ConfigError: ``secret`` has fewer than 32 bytes.
    """
    check_secret(secret)
    issued = now.timestamp()
    claims: dict[str, Any] = {"sub": user, "email": user, "iat": int(issued)}
    if ttl_s is not None:
        claims["exp"] = issued + ttl_s
    return jwt.encode(claims, secret, algorithm=ALGORITHM)


def verify_app_token(token: str, secret: str, *, now: datetime) -> tuple[PackageName, str]:
    """The app that presents ``token``, and the API key it carries, which is still to be checked.

    Raises:
        TokenError: not signed by us, out of its time, or without package name and key.
        ConfigError: ``secret`` has fewer than 32 bytes.
    """
    check_secret(secret)
    claims = _claims(token, secret, now, INVALID_APP)
    package, key = claims.get("packageName"), claims.get("apiKey")
    if not isinstance(package, str) or not isinstance(key, str):
        raise TokenError(INVALID_APP)
    try:
        return package_name(package), key
    except ValueError:
        raise TokenError(INVALID_APP) from None


def mint_app_token(package: PackageName, api_key: str, secret: str) -> str:
    """The token with which an app names itself in a header (protocol.md 1.3 B); never expires.

    Raises:
        ConfigError: ``secret`` has fewer than 32 bytes.
    """
    check_secret(secret)
    return jwt.encode({"packageName": package, "apiKey": api_key}, secret, algorithm=ALGORITHM)


def check_secret(secret: str) -> None:
    """Refuse a secret that is too short.

    Raises:
        ConfigError: fewer than 32 bytes.
    """
    if len(secret.encode()) < SECRET_BYTES_MIN:
        raise ConfigError(f"the JWT secret must have at least {SECRET_BYTES_MIN} bytes")


def _claims(token: str, secret: str, now: datetime, refusal: str) -> Mapping[str, Any]:
    claims = _usual_claims(token, secret)
    if claims is None:
        try:
            claims = jwt.decode(token, secret, algorithms=[ALGORITHM], options=_signature_only())
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            # Beside its own errors the library lets through what broken JSON and Base64 cause.
            raise TokenError(refusal) from None
    moment = now.timestamp()
    if not _before(moment, claims.get("exp")) or not _reached(moment, claims.get("nbf")):
        raise TokenError(refusal)
    return claims


def _usual_claims(token: str, secret: str) -> dict[str, Any] | None:
    """What a token says that has the usual header and a good signature (RFC 7515, 5.2).

    ``None`` where anything is not as usual: the library decides.
    """
    signed, _, signature = token.rpartition(".")
    header, _, payload = signed.partition(".")
    key = _key(secret) if header == _HEADER else None
    if key is None:
        return None
    try:
        made = urlsafe_b64encode(hmac.digest(key, signed.encode("ascii"), sha256))
        if not hmac.compare_digest(made[:_SIGNATURE_CHARACTERS], signature.encode("ascii")):
            return None
        return _CLAIMS.decode(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, RecursionError, msgspec.DecodeError):
        return None


@lru_cache(_SECRETS_REMEMBERED)
def _key(secret: str) -> bytes | None:
    """``secret`` as bytes; ``None`` for what the library takes for no secret, a public key say.

    Remembered: the library looks for every kind of key each time, which takes it longer than all
    the rest.
    """
    try:
        return HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(secret)
    except jwt.InvalidKeyError:
        return None


def _before(moment: float, expiry: object) -> bool:
    return expiry is None or (_is_number(expiry) and moment < expiry)


def _reached(moment: float, not_before: object) -> bool:
    return not_before is None or (
        _is_number(not_before) and moment + NOT_BEFORE_LEEWAY_S >= not_before
    )


def _is_number(claim: object) -> TypeGuard[int | float]:
    return isinstance(claim, int | float) and not isinstance(claim, bool)


def _signature_only() -> Options:
    """What PyJWT checks for us: it would read the clock for the rest."""
    return {
        "verify_signature": True,
        "verify_exp": False,
        "verify_nbf": False,
        "verify_iat": False,
        "verify_aud": False,
        "verify_iss": False,
        "verify_sub": False,
        "verify_jti": False,
    }
