"""Names of users, apps and sessions: made once at the edge, never split again.

A user id may hold any character, dashes included, and so may a package name. Therefore an app
session's id is only ever *built* or *compared*; the one place that takes it apart knows the
package and removes exactly that suffix.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NewType

UserId = NewType("UserId", str)
"""The e-mail claim of a core token, lower-cased once; opaque from there on."""

PackageName = NewType("PackageName", str)
"""Reverse-DNS name of an app, such as ``com.example.captions``."""

AppSessionId = NewType("AppSessionId", str)
"""``<userId>-<packageName>``: stable per user and app, because the SDK uses it as a map key."""

ID_CHARACTERS_MAX: Final = 1024
_PACKAGE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")


def user_id(text: str) -> UserId:
    """The canonical form of a user's e-mail address or other name.

    Raises:
        ValueError: empty, longer than 1,024 characters, or with control characters in it.
    """
    canonical = text.strip().lower()
    if not canonical or len(canonical) > ID_CHARACTERS_MAX or not canonical.isprintable():
        raise ValueError("a user id is 1 to 1,024 printable characters")
    return UserId(canonical)


def package_name(text: str) -> PackageName:
    """``text`` as a package name.

    Raises:
        ValueError: not letters, digits, dots, dashes and underscores, or over 255 characters.
    """
    if not _PACKAGE.fullmatch(text):
        raise ValueError(
            f"{text[:60]!r} is not a package name: use letters, digits, '.', '-' and '_'"
        )
    return PackageName(text)


def app_session_id(user: UserId, package: PackageName) -> AppSessionId:
    """The id that an app of a user is told and repeats in its init (protocol.md 2.11)."""
    return AppSessionId(f"{user}-{package}")


def session_readings(session_id: str) -> Iterator[tuple[str, str]]:
    """Every user and package that ``session_id`` may be of: dashes may be in both of them.

    It is for the caller to look which of them there is, and whether who asks may know.
    """
    at = session_id.find("-")
    while at >= 0:
        yield session_id[:at], session_id[at + 1 :]
        at = session_id.find("-", at + 1)


def user_of_session(session_id: str, package: PackageName) -> UserId | None:
    """The user in an id that an app of ``package`` presents; ``None`` if it cannot be one."""
    user, dash, rest = session_id.rpartition(f"-{package}")
    if not dash or rest or not user:
        return None
    try:
        return user_id(user)
    except ValueError:
        return None
