"""Where settings come from, and how they are read.

In rising order: the defaults, a TOML file, ``MENTRA_TRIO_<SECTION>_<KEY>`` in the environment,
``--set section.key=value``. The secrets come from the environment alone, so that they never
stand in a file that is shared or on a command line that others can see.
"""

from __future__ import annotations

import difflib
import math
import tomllib
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from .config import SECRET_BYTES_MIN, Config, SpeechSettings, WebhookSettings
from .domain.errors import ConfigError
from .domain.stream_settings import StreamSettings
from .domain.timings import Heartbeat, Lifecycle, Limits
from .domain.voices import VoiceSettings

ENVIRONMENT_PREFIX: Final = "MENTRA_TRIO_"
LIKENESS: Final = 0.7
"""How much a wrong name must resemble a right one for that to be suggested."""

_SECRETS: Final = types.MappingProxyType(
    {
        f"{ENVIRONMENT_PREFIX}{name.upper()}": name
        for name in ("jwt_secret", "admin_token", "user_token_key", "supabase_jwt_secret")
    }
)


def load_config(
    *, file: Path | None = None, environ: Mapping[str, str], overrides: Sequence[str] = ()
) -> Config:
    """The settings from all sources together.

    Args:
        file: TOML with the sections ``server``, ``lifecycle``, ``heartbeat``, ``limits``,
            ``webhooks``, ``speech``, ``voice`` and ``streams``.
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
        "streams": StreamSettings,
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
