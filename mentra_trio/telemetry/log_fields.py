"""The fields of facts as words of a log line: without names of users, and what apps made up."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import attrs

from ..domain.facts import Fact
from .logfmt import known_word, text_word, word
from .plain import plain

STREAMS_SHOWN: Final = 5
STREAM_CHARACTERS_MAX: Final = 40
USERS_REMEMBERED: Final = 4_096
"""Whose short names are not worked out anew for every line."""

_ADDRESS: Final = re.compile(r"(\[[0-9a-fA-F:.%]+\]|[0-9a-fA-F:.]+|[A-Za-z0-9.-]+):\d{1,5}")
_NO_USERS: Final = frozenset({"", "memory", "local", "unknown"})
_MAIL: Final = re.compile(r"[^\s'\"<>]+@[^\s'\"<>]+")
_STREAM_NAME: Final = re.compile(r"\*|[A-Za-z_]+(:[A-Za-z_-]+)?")

_STREAM_LISTS: Final = frozenset({"streams", "rejected"})
_PEERS: Final = frozenset({"peer", "who"})
_SENTENCES: Final = frozenset({"address", "problem"})
"""Fields in which a user may be named, beside ``user``. All others are our own fixed words."""

_RENAMED: Final = MappingProxyType({"event": "trigger"})
"""``event`` is the name of the line."""

_Writer: TypeAlias = Callable[[str, Any, str], str]
"""Makes a word of the name of a field, its value, and the user whom the fact concerns, if any."""


@attrs.frozen
class FieldWords:
    """How the fields of one kind of fact are written: found out once, not for every line."""

    _fields: tuple[tuple[str, str, _Writer], ...]
    """Of each the name, the name in the log, and who writes it."""

    def __call__(self, fact: Fact) -> str:
        """All fields of ``fact``, each with a space before it."""
        user, text = getattr(fact, "user", ""), ""
        for name, shown, write in self._fields:
            text += write(shown, getattr(fact, name), user)
        return text


def words_for(kind: type[Fact], *, user_ids_as_given: bool) -> FieldWords:
    """What writes the fields of a fact of that ``kind``."""
    names = [field.name for field in attrs.fields(kind)]
    return FieldWords(
        tuple((name, _RENAMED.get(name, name), _writer(name, user_ids_as_given)) for name in names)
    )


def _writer(name: str, as_given: bool) -> _Writer:
    if name in _STREAM_LISTS:
        return _streams
    if name == "user":
        return _given if as_given else _user
    if name in _PEERS:
        return _given if as_given else _peer
    if name in _SENTENCES:
        return _given if as_given else _sentence
    return _fixed


def _fixed(name: str, value: object, _: str) -> str:
    if value is None:
        return ""
    shown = plain(value)
    return known_word(name, shown) if type(shown) is str else word(name, shown)


def _given(name: str, value: object, _: str) -> str:
    return word(name, plain(value))


def _streams(name: str, value: object, _: str) -> str:
    return word(name, _stream_names(plain(value)))


def _user(name: str, value: str, _: str) -> str:
    return f" {name}={user_hash(value)}"


def _peer(name: str, value: object, _: str) -> str:
    return text_word(name, _without_user_name(plain(value)))


def _sentence(name: str, value: object, user: str) -> str:
    text = plain(value)
    if user and user in text:
        text = _without_word(user, text)
    if "@" in text:
        text = _MAIL.sub(lambda match: user_hash(match[0]), text)
    return text_word(name, text)


@lru_cache(USERS_REMEMBERED)
def user_hash(user: str) -> str:
    """The short stable name of a user in logs: 12 hex digits of SHA-256."""
    return "u:" + hashlib.sha256(user.encode()).hexdigest()[:12]


def _without_word(user: str, text: str) -> str:
    """``text`` with ``user`` masked where it is a word of its own, and not a part of another."""
    masked = rf"(?<![\w.@+-]){re.escape(user)}(?!\.?[\w@+-])"
    return re.sub(masked, user_hash(user), text)


def _stream_names(texts: list[str]) -> list[str]:
    """What looks like a stream name in the words of an app, without its options; a few of them."""
    names = [text.partition("?")[0][:STREAM_CHARACTERS_MAX] for text in texts]
    return [name for name in names if _STREAM_NAME.fullmatch(name)][:STREAMS_SHOWN]


def _without_user_name(text: str) -> str:
    """``text`` names a peer: an address, ``<package> at <address>``, ``<package> of <user>``, or
    a user."""
    if _ADDRESS.fullmatch(text):  # nearly all are
        return text
    app, at, address = text.rpartition(" at ")
    if at and _ADDRESS.fullmatch(address):
        return text
    app, of, user = text.partition(" of ")
    if of:
        return f"{app} of {user_hash(user)}"
    return text if text in _NO_USERS else user_hash(text)
