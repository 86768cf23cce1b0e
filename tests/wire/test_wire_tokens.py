"""Who may say who he is."""

from __future__ import annotations

import base64
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import jwt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jwt.types import Options

from mentra_trio.domain.errors import ConfigError, TokenError
from mentra_trio.domain.ids import PackageName, UserId
from mentra_trio.wire.tokens import (
    _usual_claims,
    mint_app_token,
    mint_core_token,
    verify_app_token,
    verify_core_token,
)

SECRET: Final = "s" * 32
OTHER_SECRET: Final = "o" * 32
NOW: Final = datetime(2020, 2, 2, 12, tzinfo=UTC)  # far from the real clock, on purpose
ADA: Final = UserId("ada-b@example.com")
APP: Final = PackageName("com.example.app")


def signed(claims: dict[str, Any], *, secret: str = SECRET, algorithm: str = "HS256") -> str:
    return jwt.encode(claims, secret, algorithm=algorithm)


def seconds_after(now: datetime, seconds: float) -> float:
    return now.timestamp() + seconds


@pytest.mark.parametrize("ttl_s", [None, 1, 3600.5])
def test_a_minted_token_names_its_user(ttl_s: float | None) -> None:
    token = mint_core_token(ADA, SECRET, now=NOW, ttl_s=ttl_s)

    assert verify_core_token(token, SECRET, now=NOW) == ADA


def test_a_token_without_expiry_holds_for_ever() -> None:
    token = mint_core_token(ADA, SECRET, now=NOW, ttl_s=None)

    assert verify_core_token(token, SECRET, now=NOW + timedelta(days=36_500)) == ADA


def test_expiry_is_to_the_second_and_by_the_time_that_was_passed() -> None:
    token = mint_core_token(ADA, SECRET, now=NOW, ttl_s=60)

    assert verify_core_token(token, SECRET, now=NOW + timedelta(seconds=59.9)) == ADA
    with pytest.raises(TokenError, match=r"^Invalid core token$"):
        verify_core_token(token, SECRET, now=NOW + timedelta(seconds=60))


@pytest.mark.parametrize(("ahead_s", "good"), [(0, True), (60, True), (61, False), (-9, True)])
def test_not_before_has_a_minute_of_leeway(ahead_s: float, good: bool) -> None:
    token = signed({"email": ADA, "nbf": seconds_after(NOW, ahead_s)})

    if good:
        assert verify_core_token(token, SECRET, now=NOW) == ADA
    else:
        with pytest.raises(TokenError, match=r"^Invalid core token$"):
            verify_core_token(token, SECRET, now=NOW)


def test_the_user_id_is_lower_cased_and_else_kept() -> None:
    token = signed({"sub": "1", "email": "Ada-B@Example.COM", "organizations": [], "iat": "odd"})

    assert verify_core_token(token, SECRET, now=NOW) == ADA


@pytest.mark.parametrize(
    "claims",
    [{}, {"sub": "ada"}, {"email": ""}, {"email": None}, {"email": 7}, {"email": "a\nb"}],
)
def test_a_token_without_an_email_address_names_nobody(claims: dict[str, Any]) -> None:
    with pytest.raises(TokenError, match=r"^Invalid core token - no user ID$"):
        verify_core_token(signed(claims), SECRET, now=NOW)


def test_no_token_is_said_to_be_missing() -> None:
    with pytest.raises(TokenError, match=r"^No core token provided$"):
        verify_core_token("", SECRET, now=NOW)


def unsigned(header: dict[str, Any], claims: Any = None) -> str:
    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part(header)}.{part(claims or {'email': ADA})}."


REFUSED: Final = {
    "another secret": signed({"email": ADA}, secret=OTHER_SECRET),
    "HS512": signed({"email": ADA}, secret="s" * 64, algorithm="HS512"),
    "HS384": signed({"email": ADA}, secret="s" * 48, algorithm="HS384"),
    "none": unsigned({"alg": "none", "typ": "JWT"}),
    "None": unsigned({"alg": "None"}),
    "no algorithm": unsigned({"typ": "JWT"}),
    "algorithm is a list": unsigned({"alg": ["HS256"]}),
    "algorithm is an object": unsigned({"alg": {"a": 1}}),
    "critical extension": unsigned({"alg": "HS256", "crit": ["x"], "x": 1}),
    "header is a list": unsigned([]),  # type: ignore[arg-type]
    "expiry is text": signed({"email": ADA, "exp": "tomorrow"}),
    "expiry is true": signed({"email": ADA, "exp": True}),
    "not before is true": signed({"email": ADA, "nbf": True}),
    "not before is text": signed({"email": ADA, "nbf": "now"}),
    "words": "not a token",
    "dots": "..",
    "beyond ASCII": "é.é.é",
    "a lone surrogate": "\ud800.a.b",
    "deep header": base64.urlsafe_b64encode(b"[" * 50_000).decode() + ".e30.",
}


@pytest.mark.parametrize("token", REFUSED.values(), ids=REFUSED.keys())
def test_a_token_that_is_not_ours_is_refused(token: str) -> None:
    with pytest.raises(TokenError, match=r"^Invalid core token$"):
        verify_core_token(token, SECRET, now=NOW)
    with pytest.raises(TokenError):
        verify_app_token(token, SECRET, now=NOW)


def test_a_token_that_was_changed_is_refused() -> None:
    head, _, tail = mint_core_token(ADA, SECRET, now=NOW, ttl_s=None).split(".")
    body = base64.urlsafe_b64encode(b'{"email":"eve@example.com"}').rstrip(b"=").decode()

    with pytest.raises(TokenError):
        verify_core_token(f"{head}.{body}.{tail}", SECRET, now=NOW)


@settings(deadline=None)
@given(token=st.one_of(st.text(min_size=1), st.from_regex(r"[\w-]*\.[\w-]*\.[\w-]*")))
@example("eyJhbGciOiJIUzI1NiJ9.e30.")
def test_nothing_makes_it_raise_anything_else(token: str) -> None:
    with pytest.raises(TokenError):
        verify_core_token(token, SECRET, now=NOW)


def test_a_payload_that_is_no_object_is_refused() -> None:
    payload = "[" * 50_000
    token = jwt.api_jws.encode(payload.encode(), SECRET, algorithm="HS256")

    with pytest.raises(TokenError):
        verify_core_token(token, SECRET, now=NOW)


def test_an_app_token_gives_the_package_and_the_key() -> None:
    token = mint_app_token(APP, "k3y", SECRET)

    assert verify_app_token(token, SECRET, now=NOW) == (APP, "k3y")
    with pytest.raises(TokenError):
        verify_app_token(token, OTHER_SECRET, now=NOW)


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"packageName": APP},
        {"apiKey": "k"},
        {"packageName": 7, "apiKey": "k"},
        {"packageName": APP, "apiKey": None},
        {"packageName": "../etc", "apiKey": "k"},
        {"packageName": APP, "apiKey": "k", "exp": NOW.timestamp()},
        {"email": ADA},
    ],
)
def test_an_app_token_without_package_and_key_is_refused(claims: dict[str, Any]) -> None:
    with pytest.raises(TokenError, match=r"^Invalid app token$"):
        verify_app_token(signed(claims), SECRET, now=NOW)


def test_a_core_token_is_no_app_token_nor_the_other_way_round() -> None:
    with pytest.raises(TokenError):
        verify_app_token(mint_core_token(ADA, SECRET, now=NOW, ttl_s=None), SECRET, now=NOW)
    with pytest.raises(TokenError):
        verify_core_token(mint_app_token(APP, "k", SECRET), SECRET, now=NOW)


def test_a_short_secret_is_refused_by_all() -> None:
    short = "é" * 15 + "s"  # 31 bytes
    with pytest.raises(ConfigError, match="32 bytes"):
        verify_core_token("a.b.c", short, now=NOW)
    with pytest.raises(ConfigError):
        mint_core_token(ADA, short, now=NOW, ttl_s=None)
    with pytest.raises(ConfigError):
        verify_app_token("a.b.c", short, now=NOW)
    with pytest.raises(ConfigError):
        mint_app_token(APP, "k", short)
    assert mint_app_token(APP, "k", "é" * 16)  # 32 bytes


def as_the_library_reads_it(token: str, secret: str = SECRET) -> dict[str, Any] | None:
    """The claims of a token with a good signature; ``None`` for any other."""
    options: Options = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
    options |= {"verify_aud": False, "verify_iss": False, "verify_sub": False, "verify_jti": False}
    try:
        return jwt.decode(token, secret, algorithms=["HS256"], options=options)
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        return None


def agree(token: str, secret: str = SECRET) -> bool:
    """Whether the token is read without the library; what is read then is what it says, too."""
    read = _usual_claims(token, secret)
    assert read is None or read == as_the_library_reads_it(token, secret)
    return read is not None


CLAIMS = st.dictionaries(
    st.sampled_from(["email", "sub", "exp", "nbf", "iat", "aud", "jti", "packageName"]) | st.text(),
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
    | st.lists(st.text(), max_size=2),
    max_size=5,
)  # fmt: skip


def with_payload(payload: bytes, secret: str = SECRET, header: bytes | None = None) -> str:
    """A token with any bytes in it, signed as it should be."""
    head = header if header is not None else b'{"alg":"HS256","typ":"JWT"}'
    signed = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in (head, payload))
    signature = hmac.digest(secret.encode(), signed, "sha256")
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def test_what_is_minted_is_read_without_the_library() -> None:
    for ttl_s in (None, 60, 0.5):
        assert agree(mint_core_token(ADA, SECRET, now=NOW, ttl_s=ttl_s))
    assert agree(mint_app_token(APP, "key", SECRET))


@given(CLAIMS)
def test_whoever_reads_it_the_claims_are_the_same(claims: dict[str, Any]) -> None:
    token = with_payload(json.dumps(claims).encode())
    agree(token)
    assert as_the_library_reads_it(token) is not None
    assert not agree(token, OTHER_SECRET)


@given(st.integers(0, 200), st.text(max_size=3))
@example(0, "")
@example(36, ".")
def test_a_token_that_was_changed_is_nothing_here_either(at: int, piece: str) -> None:
    token = mint_core_token(ADA, SECRET, now=NOW, ttl_s=60)
    at %= len(token)
    changed = token[:at] + piece + token[at + len(piece) :]
    if agree(changed):
        assert changed == token


@given(st.binary(max_size=40))
@example(b'{"email":"\\ud800"}')
@example(b'{"exp":1e400}')
@example(b'{"exp":NaN}')
@example(b'{"exp":1,"exp":2}')
@example(b"\xef\xbb\xbf{}")
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(b"[]")
@example(b"null")
@example(b"{}{}")
def test_any_payload_with_a_good_signature(payload: bytes) -> None:
    agree(with_payload(payload))


@pytest.mark.parametrize(
    "header",
    [
        b'{"typ":"JWT","alg":"HS256"}',
        b'{"alg":"HS256"}',
        b'{"alg":"none","typ":"JWT"}',
        b'{"alg":"HS512","typ":"JWT"}',
        b'{"alg":"RS256","typ":"JWT"}',
        b'{"alg":"HS256","typ":"JWT","crit":["x"],"x":1}',
        b"",
    ],
)
def test_any_other_header_is_for_the_library(header: bytes) -> None:
    assert not agree(with_payload(b'{"email":"a@b.c"}', header=header))


def test_a_signature_is_compared_whole() -> None:
    token = mint_core_token(ADA, SECRET, now=NOW, ttl_s=None)
    for other in (token[:-1], token + "=", token + "A", token + ".", "." + token, token[:-43]):
        assert not agree(other)
    with pytest.raises(TokenError):
        verify_core_token(token[:-43], SECRET, now=NOW)


@pytest.mark.parametrize(
    "secret",
    [
        "-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----",
        "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQ",
        '{"kty":"oct","k":"c2VjcmV0c2VjcmV0c2VjcmV0"}',
    ],
)
def test_what_is_no_secret_verifies_nothing(secret: str) -> None:
    """Who has a public key could sign with it, were it taken for a secret (RFC 8725, 2.1)."""
    token = with_payload(b'{"email":"a@b.c"}', secret)
    assert not agree(token, secret)
    with pytest.raises(TokenError):
        verify_core_token(token, secret, now=NOW)
