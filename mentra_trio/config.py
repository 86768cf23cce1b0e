"""Every setting of a server. Where they come from is in ``config_sources``."""

from __future__ import annotations

import ipaddress
import select
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

import attrs

from .domain.errors import ConfigError
from .domain.stream_settings import StreamSettings
from .domain.timings import Heartbeat, Lifecycle, Limits, not_negative, positive
from .domain.voices import VoiceSettings

SECRET_BYTES_MIN: Final = 32
"""RFC 7518 3.2: an HS256 key is at least as long as its hash."""
DRIVERS: Final = ("auto", "trio", "pump")
LOG_LEVELS: Final = ("debug", "info", "warning", "error")
SPEECH_ENGINES: Final = ("none", "pocketsphinx")

_Field: TypeAlias = "attrs.Attribute[Any]"


def _port(_: object, field: _Field, value: int) -> None:
    if not 0 <= value <= 65535:
        raise ValueError(f"{field.name} must be 0 to 65535 (0 picks a free one), not {value}")


def _not_empty(_: object, field: _Field, value: str) -> None:
    if not value:
        raise ValueError(f"{field.name} must not be empty")


def _web_address(_: object, field: _Field, value: str | None) -> None:
    if value is None:
        return
    try:
        parts = urlsplit(value)
        known = parts.scheme in {"http", "https", "ws", "wss"} and parts.port != 0
    except ValueError:
        known = False
    if not known or not parts.hostname:
        raise ValueError(f"{field.name} must be an address such as https://glasses.example.com")
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError(f"{field.name} must be an address without credentials, '?' or '#'")


def _log_level(_: object, field: _Field, value: str) -> None:
    if value not in LOG_LEVELS:
        raise ValueError(f"{field.name} must be one of {', '.join(LOG_LEVELS)}")


def _driver(_: object, field: _Field, value: str) -> None:
    if value not in DRIVERS:
        raise ValueError(f"{field.name} must be one of {', '.join(DRIVERS)}")
    if value == "pump" and not hasattr(select, "epoll"):
        raise ValueError(f"{field.name} cannot be pump here: this system has no epoll")


def _engine(_: object, field: _Field, value: str) -> None:
    if value not in SPEECH_ENGINES:
        raise ValueError(f"{field.name} must be one of {', '.join(SPEECH_ENGINES)}")


def _long_enough(_: object, field: _Field, value: str | None) -> None:
    if value is not None and len(value.encode()) < SECRET_BYTES_MIN:
        raise ValueError(f"{field.name} must be at least {SECRET_BYTES_MIN} bytes long")


def _for_headers(_: object, field: _Field, value: str | None) -> None:
    if value is not None and not (
        value.isascii() and value.isprintable() and value == value.strip()
    ):
        raise ValueError(f"{field.name} must be printable ASCII: it travels in HTTP headers")


@attrs.frozen(kw_only=True)
class WebhookSettings:
    """How app servers are called."""

    allow_private_networks: bool | None = None
    """May app URLs point at private addresses? ``None``: only while bound to loopback."""


@attrs.frozen(kw_only=True)
class SpeechSettings:
    """How speech is recognised, beside what phones recognise themselves."""

    engine: str = attrs.field(default="none", validator=_engine)
    """``none``, or ``pocketsphinx``: English, on this machine."""
    processes: int = attrs.field(default=4, validator=positive)
    """So many recognisers run at once, each in a process of its own; further ones wait."""


@attrs.frozen(kw_only=True)
class Config:
    """Everything that can be set. In TOML, the plain fields stand in the section ``server``.

    Attributes:
        port: 0 picks a free one.
        public_url: where apps and phones reach this server; ``None``: at its own address.
        data_dir: where data is kept; ``None``: in memory only.
        drain_s: how long links may take to end when the server closes.
        jwt_secret, admin_token, user_token_key: ``None``: made at first start and kept in
            ``data_dir``. The last one is an RSA key in PEM.
        supabase_jwt_secret: what a Supabase project signs its tokens with; ``None``: no such
            tokens are exchanged for core tokens.
        dashboard_package: the app that may write the dashboard.
        driver: how plain sockets are read: ``trio``, each by its session's own task; ``pump``, all
            by one task, which is quicker and needs Linux; ``auto``, the one that is there.
        log_level: ``debug`` shows user ids as given, every other level a short hash of them.

    Raises:
        ValueError: a value is not acceptable.
        ConfigError: one of ``tls_cert`` and ``tls_key`` is given without the other.
    """

    host: str = attrs.field(default="127.0.0.1", validator=_not_empty)
    port: int = attrs.field(default=8002, validator=_port)
    public_url: str | None = attrs.field(default=None, validator=_web_address)
    data_dir: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    drain_s: float = attrs.field(default=10.0, validator=not_negative)
    jwt_secret: str | None = attrs.field(default=None, repr=False, validator=_long_enough)
    admin_token: str | None = attrs.field(default=None, repr=False, validator=_for_headers)
    user_token_key: str | None = attrs.field(default=None, repr=False)
    supabase_jwt_secret: str | None = attrs.field(default=None, repr=False, validator=_long_enough)
    lifecycle: Lifecycle = attrs.field(factory=Lifecycle)
    heartbeat: Heartbeat = attrs.field(factory=Heartbeat)
    limits: Limits = attrs.field(factory=Limits)
    webhooks: WebhookSettings = attrs.field(factory=WebhookSettings)
    voice: VoiceSettings = attrs.field(factory=VoiceSettings)
    speech: SpeechSettings = attrs.field(factory=SpeechSettings)
    streams: StreamSettings = attrs.field(factory=StreamSettings)
    dashboard_package: str = attrs.field(default="system.augmentos.dashboard", validator=_not_empty)
    driver: str = attrs.field(default="auto", validator=_driver)
    log_level: str = attrs.field(default="info", validator=_log_level)

    def __attrs_post_init__(self) -> None:
        if (self.tls_cert is None) != (self.tls_key is None):
            missing = "server.tls_cert" if self.tls_cert is None else "server.tls_key"
            raise ConfigError(f"{missing} is missing: TLS needs a certificate and its key")

    @property
    def allows_private_networks(self) -> bool:
        """Whether app URLs may point at private addresses."""
        decided = self.webhooks.allow_private_networks
        return is_loopback(self.host) if decided is None else decided


def is_loopback(host: str) -> bool:
    """Whether a server bound to ``host`` is reachable from this machine only."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_name(host: str) -> bool:
    """Whether ``host`` is a host name, and not an address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return bool(host)
    return False
