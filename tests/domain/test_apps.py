"""Registrations and their keys."""

from __future__ import annotations

import hashlib
from typing import Final

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mentra_trio.domain.apps import AppKind, AppRegistration, hash_api_key, key_matches
from mentra_trio.domain.ids import PackageName

KEY: Final = "k3y-é"
APP: Final = AppRegistration(
    package=PackageName("com.example.app"), url="http://h:1", key_hash=hash_api_key(KEY)
)


def test_the_key_itself_is_nowhere_kept() -> None:
    assert hashlib.sha256(KEY.encode()).hexdigest() == APP.key_hash
    assert KEY not in repr(APP)


def test_the_right_key_matches() -> None:
    assert key_matches(KEY, APP)


@given(st.text(st.characters(codec="utf-8")))
def test_no_other_key_matches(key: str) -> None:
    assert key_matches(key, APP) == (key == KEY)


@pytest.mark.parametrize("key", [KEY, "", "anything"])
def test_an_unknown_app_has_no_right_key(key: str) -> None:
    assert not key_matches(key, None)


@pytest.mark.parametrize("key", ["", KEY])
def test_an_app_without_a_stored_key_has_no_right_key(key: str) -> None:
    assert not key_matches(key, attrs.evolve(APP, key_hash=""))


def test_the_hash_is_no_key() -> None:
    assert not key_matches(APP.key_hash, APP)


def test_an_app_is_called_by_its_name_or_else_by_its_package() -> None:
    assert APP.title == "com.example.app"
    assert attrs.evolve(APP, name="Captions").title == "Captions"


def test_an_app_is_of_the_standard_kind_and_may_nothing_until_said_otherwise() -> None:
    assert APP.kind is AppKind.STANDARD
    assert APP.permissions == frozenset() and APP.settings == ()


def test_the_webhook_is_under_the_url_of_the_server() -> None:
    assert APP.webhook_url == "http://h:1/webhook"
