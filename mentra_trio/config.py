"""Every setting of a server, and where settings come from.

In rising order: the defaults, a TOML file, ``MENTRA_TRIO_<SECTION>_<KEY>`` in the environment,
``--set section.key=value``. The secrets come from the environment alone, so that they never
stand in a file that is shared or on a command line that others can see.
"""

from __future__ import annotations

import difflib
import ipaddress
import math
import tomllib
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

import attrs

from .domain.errors import ConfigError
from .domain.stream_settings import Streams
from .domain.timings import Heartbeat, Lifecycle, Limits, not_negative, positive
from .domain.voices import VoiceSettings

ENVIRONMENT_PREFIX: Final = "MENTRA_TRIO_"
SECRET_BYTES_MIN: Final = 32
"""RFC 7518 3.2: an HS256 key is at least as long as its hash."""
LIKENESS: Final = 0.7
"""How much a wrong name must resemble a right one for that to be suggested."""
LOG_LEVELS: Final = ("debug", "info", "warning", "error")
SPEECH_ENGINES: Final = ("none", "pocketsphinx")

_SECRETS: Final = types.MappingProxyType(
    {
        f"{ENVIRONMENT_PREFIX}{name.upper()}": name
        for name in ("jwt_secret", "admin_token", "user_token_key", "supabase_jwt_secret")
    }
)


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
        dashboard_package: the app that may draw the dashboard.
        jwt_secret, admin_token: ``None``: made at first start and kept in ``data_dir``.
        dashboard_package: the app that may write the dashboard.
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
    streams: Streams = attrs.field(factory=Streams)
    dashboard_package: str = attrs.field(default="system.augmentos.dashboard", validator=_not_empty)
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


def load_config(
    *, file: Path | None = None, environ: Mapping[str, str], overrides: Sequence[str] = ()
) -> Config:
    """The settings from all sources together.

    Args:
        file: TOML with the sections ``server``, ``lifecycle``, ``heartbeat``, ``limits``,
            ``webhooks`` and ``voice``.
            ``webhooks`` and ``speech``.
            ``webhooks`` and ``streams``.
        environ: usually ``os.environ``; names that do not begin with ``MENTRA_TRIO_`` are
            ignored, and so is an empty value.
        overrides: ``section.key=value``; the last one of a key wins.

    Raises:
        ConfigError: one line for a person that names the key and where it stands.
    """
    found: dict[str, _Given] = {}
    for given in (*_from_file(file), *_from_environment(environ), *_from_overrides(overrides)):
        found[given.key] = given
    values: dict[str, dict[str, Any]] = {section: {} for section in _SECTIONS}
    for given in found.values():
        section, _, name = given.key.partition(".")
        values[section][name] = _converted(given)
    sections = {
        name: _build(cls, values[name], name) for name, cls in _SECTIONS.items() if name != "server"
    }
    config: Config = _build(Config, values["server"] | _secrets(environ) | sections, "server")
    return config


@attrs.frozen(kw_only=True)
class _Given:
    """A value as it stands in one source: ``key`` is ``section.name``, ``place`` is for people."""

    key: str
    place: str
    value: object


_SECTIONS: Final[Mapping[str, type]] = types.MappingProxyType(
    {
        "server": Config,
        "lifecycle": Lifecycle,
        "heartbeat": Heartbeat,
        "limits": Limits,
        "webhooks": WebhookSettings,
        "voice": VoiceSettings,
        "speech": SpeechSettings,
        "streams": Streams,
    }
)


def _keys() -> Mapping[str, Any]:
    """``section.name`` of everything that can be set, with its type."""
    keys = {}
    for section, cls in _SECTIONS.items():
        for name, hint in typing.get_type_hints(cls).items():
            if name not in _SECTIONS and name not in _SECRETS.values():
                keys[f"{section}.{name}"] = hint
    return keys


_TYPES: Final = types.MappingProxyType(_keys())


def _from_file(file: Path | None) -> Iterator[_Given]:
    if file is None:
        return
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not valid TOML: {_one_line(error)}") from None
    for section, table in content.items():
        if not isinstance(table, dict):
            raise _unknown(section, str(file))
        for name, value in table.items():
            yield _known(f"{section}.{name}", str(file), value)
        if section not in _SECTIONS:
            raise _unknown(section, str(file))


def _from_environment(environ: Mapping[str, str]) -> Iterator[_Given]:
    names = {f"{ENVIRONMENT_PREFIX}{key.replace('.', '_').upper()}": key for key in _TYPES}
    for variable in sorted(environ):
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable in _SECRETS:
            continue
        if variable not in names:
            raise ConfigError(
                f"unknown setting {variable} in the environment"
                + _variable_suggestion(variable, [*names, *_SECRETS])
            )
        if environ[variable]:
            yield _Given(key=names[variable], place=variable, value=environ[variable])


def _from_overrides(overrides: Sequence[str]) -> Iterator[_Given]:
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"{_shown(text)} is not of the form section.key=value")
        yield _known(key.strip(), "--set", value.strip())


def _secrets(environ: Mapping[str, str]) -> dict[str, str]:
    for variable in _SECRETS:
        value = environ.get(variable, "")
        if variable.endswith("JWT_SECRET") and 0 < len(value.encode()) < SECRET_BYTES_MIN:
            raise ConfigError(f"{variable} must be at least {SECRET_BYTES_MIN} bytes long")
    return {name: environ[variable] for variable, name in _SECRETS.items() if environ.get(variable)}


def _known(key: str, place: str, value: object) -> _Given:
    if key in _TYPES:
        return _Given(key=key, place=place, value=value)
    for variable, name in _SECRETS.items():
        if key == f"server.{name}":
            raise ConfigError(f"{key} is a secret: set {variable} in the environment instead")
    raise _unknown(key, place)


def _unknown(key: str, place: str) -> ConfigError:
    if f"server.{key}" in _TYPES:
        hint = f"; did you mean server.{key}?"
    else:
        section, dot, name = key.partition(".")
        of_section = [one for one in _TYPES if one.startswith(f"{section}.")]
        if of_section:  # what all of them begin with makes nothing alike
            hint = _suggestion(name, of_section, f"{section}.")
        else:
            hint = _suggestion(key, list(_TYPES) if dot else list(_SECTIONS))
    return ConfigError(f"unknown setting {_shown(key)} in {place}{hint}")


def _variable_suggestion(variable: str, candidates: Sequence[str]) -> str:
    name = variable.removeprefix(ENVIRONMENT_PREFIX)
    of_server = f"{ENVIRONMENT_PREFIX}SERVER_{name}"
    if of_server in candidates:
        return f"; did you mean {of_server}?"
    return _suggestion(name, candidates, ENVIRONMENT_PREFIX)


def _suggestion(name: str, candidates: Sequence[str], prefix: str = "") -> str:
    """``candidates`` all begin with ``prefix``, which ``name`` lacks."""
    names = [candidate.removeprefix(prefix) for candidate in candidates]
    close = difflib.get_close_matches(name, names, n=1, cutoff=LIKENESS)
    return f"; did you mean {prefix}{close[0]}?" if close else ""


def _converted(given: _Given) -> object:
    """The value as its field's type. Text from outside is read, TOML values are checked."""
    hint = _TYPES[given.key]
    accepted = typing.get_args(hint) or (hint,)
    if isinstance(given.value, str) and not given.value and type(None) in accepted:
        return None
    kind = next(one for one in accepted if one is not type(None))
    reader, wanted = _READERS[kind]
    try:
        return reader(given.value)
    except (TypeError, ValueError, OverflowError):
        value = _shown(given.value)
        raise ConfigError(f"{given.key} must be {wanted}, not {value} (in {given.place})") from None


def _build(cls: type[typing.Any], values: Mapping[str, Any], section: str) -> Any:
    try:
        return cls(**values)
    except ValueError as error:  # its text begins with the name of the field
        raise ConfigError(f"{section}.{_one_line(error)}") from None


def _read_text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _read_path(value: object) -> Path:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError
    return Path(value).expanduser()


def _read_bool(value: object) -> bool:
    words = {"true": True, "yes": True, "on": True, "1": True}
    words |= {"false": False, "no": False, "off": False, "0": False}
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in words:
        return words[value.lower()]
    raise ValueError


def _read_whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError
    return int(value)


def _read_number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


_READERS: Final = types.MappingProxyType(
    {
        str: (_read_text, "a text"),
        Path: (_read_path, "a path"),
        bool: (_read_bool, "true or false"),
        int: (_read_whole, "a whole number"),
        float: (_read_number, "a number"),
    }
)


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return repr(text[:60])


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
