"""Tokens of pages, and of a Supabase project."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any, Final

import jwt
import pytest

from mentra_trio.domain.apps import AppRegistration, hash_api_key
from mentra_trio.domain.errors import ConfigError, TokenError
from mentra_trio.domain.ids import package_name, user_id
from mentra_trio.wire.tokens import verify_supabase_token
from mentra_trio.wire.user_tokens import (
    front_end_token,
    hash_with_key,
    key_set,
    make_key_pem,
    mint_user_token,
    public_pem,
    read_key,
)

NOW: Final = datetime(2020, 2, 2, 12, tzinfo=UTC)  # far from the real clock, on purpose
ADA: Final = user_id("ada@example.com")
APP: Final = AppRegistration(
    package=package_name("com.t.a"), url="http://a.test", key_hash=hash_api_key("k:ey")
)
SECRET: Final = "s" * 32


def test_a_key_is_read_as_it_was_made() -> None:
    key = read_key(make_key_pem())
    assert key.key_size == 2_048
    assert public_pem(key).count("\n") == 8
    token = mint_user_token(ADA, APP, key, now=NOW)
    with pytest.raises(jwt.ExpiredSignatureError):
        jwt.decode(token, public_pem(key), algorithms=["RS256"], audience=APP.package)
    other = read_key(make_key_pem())
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(token, public_pem(other), algorithms=["RS256"], audience=APP.package)
    assert key_set(key)["keys"][0]["n"] != key_set(other)["keys"][0]["n"]


def test_hashes_are_those_of_the_sdk() -> None:
    key_hash = hashlib.sha256(b"k:ey").hexdigest()
    expected = hashlib.sha256(("ü" + key_hash).encode()).hexdigest()
    assert hash_with_key("ü", APP) == expected
    assert front_end_token(ADA, APP) == f"{ADA}:{hash_with_key(ADA, APP)}"
    assert len(hash_with_key("\ud800", APP)) == 64


@pytest.mark.parametrize(
    ("changes", "good"),
    [
        ({}, True),
        ({"aud": ["authenticated", "other"]}, True),
        ({"aud": ["other"]}, False),
        ({"aud": {}}, False),
        ({"exp": NOW.timestamp()}, False),
        ({"exp": "soon"}, False),
        ({"nbf": NOW.timestamp() + 3_600}, False),
        ({"email": " "}, False),
    ],
)
def test_who_a_supabase_project_has_let_in(changes: dict[str, Any], good: bool) -> None:
    claims = {"email": " Ada@Example.com", "aud": "authenticated", "exp": NOW.timestamp() + 1}
    token = jwt.encode({**claims, **changes}, SECRET, "HS256")
    if good:
        assert verify_supabase_token(token, SECRET, now=NOW) == ADA
        return
    with pytest.raises(TokenError, match=r"^Invalid token$"):
        verify_supabase_token(token, SECRET, now=NOW)


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ConfigError):
        verify_supabase_token("x", "s" * 31, now=NOW)
