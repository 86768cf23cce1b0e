"""What is known of an app before it runs: its registration."""

from __future__ import annotations

import enum
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final

import attrs

from .hardware import HardwareRequirement
from .ids import PackageName

PERMISSIONS: Final = frozenset(
    {
        "ALL",
        "BACKGROUND_LOCATION",
        "CALENDAR",
        "CAMERA",
        "LOCATION",
        "MICROPHONE",
        "NOTIFICATIONS",
        "POST_NOTIFICATIONS",
        "READ_NOTIFICATIONS",
    }
)
"""What an app may declare (protocol.md 4.7)."""


class AppKind(enum.Enum):
    """How an app shares the glasses with others."""

    STANDARD = "standard"
    BACKGROUND = "background"
    SYSTEM_DASHBOARD = "system_dashboard"


@attrs.frozen(kw_only=True)
class AppRegistration:
    """An app server that users may start.

    ``url`` is the base of the app server, without a trailing slash; webhooks go to
    ``url + "/webhook"``. ``key_hash`` is the SHA-256 of the API key in hex; the key itself is
    nowhere kept. ``permissions`` are the upper-case names of protocol.md 4.7. ``settings`` is the
    app's settings schema: a tuple of JSON objects with at least ``key`` and ``defaultValue``.

    ``registration_id`` names this registration to the app server itself (seed 004), made once
    when the app is added. ``server_urls`` are further addresses of the app's servers, for people.
    ``allowed_networks`` are the CIDR networks from which the app may connect; none: from anywhere.

    ``hardware`` is what the app uses of the glasses. ``tools`` are its tool schemas: JSON objects
    with at least ``id``. ``permission_texts`` say to people what a permission is for, by its name.
    """

    package: PackageName
    url: str
    key_hash: str
    name: str = ""
    kind: AppKind = AppKind.STANDARD
    permissions: frozenset[str] = frozenset()
    settings: tuple[Mapping[str, Any], ...] = ()
    registration_id: str = ""
    server_urls: tuple[str, ...] = ()
    allowed_networks: tuple[str, ...] = ()
    hardware: tuple[HardwareRequirement, ...] = ()
    tools: tuple[Mapping[str, Any], ...] = ()
    description: str = ""
    version: str = ""
    permission_texts: Mapping[str, str] = attrs.field(factory=dict)

    @property
    def webhook_url(self) -> str:
        """Where the app server is called."""
        return f"{self.url}/webhook"

    @property
    def title(self) -> str:
        """The name for people; the package name where none was given."""
        return self.name or self.package


def hash_api_key(key: str) -> str:
    """SHA-256 of an API key, in hex: the only form in which a key is kept (protocol.md 1.3).

    Any text is taken: what peers present may be anything.
    """
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def key_matches(presented: str, registration: AppRegistration | None) -> bool:
    """Whether ``presented`` is the app's API key, compared in constant time.

    An unknown app (``None``) takes the same path and the same time as a wrong key.
    """
    expected = registration.key_hash if registration is not None else hash_api_key("")
    same = hmac.compare_digest(hash_api_key(presented), expected)
    return same and registration is not None and bool(registration.key_hash)
