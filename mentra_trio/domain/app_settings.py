"""An app's own settings: what its schema may say, and which values it admits (protocol.md 6.9).

The kinds of entries are those of the SDK's ``AppSettingType``. An entry of another kind, or a key
that the schema does not know, admits every JSON value of a bounded size.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from .errors import SettingRefused
from .wording import counted

KEY_CHARACTERS_MAX: Final = 128
TEXT_CHARACTERS_MAX: Final = 16_384
VALUE_CHARACTERS_MAX: Final = 65_536
"""Of the JSON text of a value of no known kind."""
CHANGES_MAX: Final = 256
"""Settings that one request may change."""
KEYS_MAX: Final = 1_024
"""Settings that are stored of one user and app, beside those of the schema; or of one user."""
STORED_BYTES_MAX: Final = 1_048_576
"""Of the JSON text of all settings that are stored of one user and app: an ack has all of them,
and must find room on the app's link (``Limits.outbox_bytes``)."""
NUMBER_MAX: Final = 2**53
ENTRIES_MAX: Final = 256
"""Entries of a schema."""

_DECORATION: Final = frozenset({"group", "titleValue"})
"""Kinds of entries that only lay out the page of settings: they need no key."""


def merged_settings(
    defaults: Iterable[Mapping[str, Any]], own: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The app's settings as the SDK reads them: the user's values over the defaults.

    A value whose key the schema does not know is kept: the app may have stored it for itself.
    """
    known = [
        {**entry, "value": own.get(entry["key"], entry.get("value", entry.get("defaultValue")))}
        for entry in defaults
        if "key" in entry
    ]
    keys = {entry["key"] for entry in known}
    return known + [{"key": key, "value": value} for key, value in own.items() if key not in keys]


# -- values --------------------------------------------------------------------------


def checked_changes(schema: Iterable[Mapping[str, Any]], body: object) -> dict[str, Any]:
    """The changes that ``body`` asks for: one ``{key, value}``, or an array of them.

    Of two that name the same key the later one counts. What else stands in an entry is ignored:
    phones send back whole entries of the schema.

    Raises:
        SettingRefused: it is not that, or the schema does not admit a value.
    """
    entries = body if isinstance(body, list) else [body]
    if len(entries) > CHANGES_MAX:
        raise SettingRefused("$", f"more than {counted(CHANGES_MAX, 'setting', 'settings')}")
    by_key = {entry["key"]: entry for entry in schema if "key" in entry}
    changes: dict[str, Any] = {}
    for number, entry in enumerate(entries):
        path = f"$[{number}]" if isinstance(body, list) else "$"
        if not isinstance(entry, dict) or "value" not in entry:
            raise SettingRefused(path, "must be an object with 'key' and 'value'")
        key = entry.get("key")
        if not isinstance(key, str) or not 0 < len(key) <= KEY_CHARACTERS_MAX:
            raise SettingRefused(f"{path}.key", f"must be text of 1 to {KEY_CHARACTERS_MAX}")
        problem = problem_of_value(by_key.get(key, {}), entry["value"])
        if problem is not None:
            raise SettingRefused(f"{path}.value", problem)
        changes[key] = entry["value"]
    return changes


def check_stored(settings: Mapping[str, Any], bytes_max: int = STORED_BYTES_MAX) -> None:
    """Check that ``settings``, all that would be stored then, are not too many, nor too long.

    Raises:
        SettingRefused: they are.
    """
    if len(settings) > KEYS_MAX:
        raise SettingRefused("$", f"would make more than {KEYS_MAX} settings")
    if len(as_json(settings).encode("utf-8", "surrogatepass")) > bytes_max:
        raise SettingRefused("$", f"would make settings of more than {bytes_max:,} bytes of JSON")


def problem_of_value(entry: Mapping[str, Any], value: object) -> str | None:
    """Why the schema's ``entry`` does not admit ``value``; ``None`` if it does."""
    check = _CHECKS.get(entry.get("type", ""), _anything)
    return check(entry, value)


def as_json(value: object) -> str:
    """``value`` as JSON in one spelling, so that equal texts are equal values."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def is_number(value: object) -> bool:
    """Whether ``value`` is a number that JavaScript knows exactly; ``true`` is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -NUMBER_MAX <= value <= NUMBER_MAX


def problem_of_length(value: object, characters_max: int) -> str | None:
    """Why ``value`` is too long, or nested too deeply, to be stored; ``None`` if it is not."""
    try:
        fits = len(as_json(value)) <= characters_max
    except RecursionError:
        fits = False
    return None if fits else f"must be at most {characters_max} characters of JSON"


def _anything(entry: Mapping[str, Any], value: object) -> str | None:
    return problem_of_length(value, VALUE_CHARACTERS_MAX)


def _toggle(entry: Mapping[str, Any], value: object) -> str | None:
    return None if isinstance(value, bool) else "must be true or false"


def _text(entry: Mapping[str, Any], value: object) -> str | None:
    if isinstance(value, str) and len(value) <= TEXT_CHARACTERS_MAX:
        return None
    return f"must be text of at most {TEXT_CHARACTERS_MAX} characters"


def _number(entry: Mapping[str, Any], value: object) -> str | None:
    if not is_number(value):
        return "must be a number"
    low, high = entry.get("min"), entry.get("max")
    if is_number(low) and value < low:  # type: ignore[operator]
        return f"must be at least {low}"
    if is_number(high) and value > high:  # type: ignore[operator]
        return f"must be at most {high}"
    return None


def _select(entry: Mapping[str, Any], value: object) -> str | None:
    options, problem = _options(entry), _anything(entry, value)
    if problem is not None or options is None:
        return problem
    return None if as_json(value) in options else "must be one of the options"


def _multiselect(entry: Mapping[str, Any], value: object) -> str | None:
    if not isinstance(value, list):
        return "must be a list of options"
    options, problem = _options(entry), _anything(entry, value)
    if problem is not None or options is None:
        return problem
    texts = [as_json(one) for one in value]
    if len(set(texts)) != len(texts) or not set(texts) <= options:
        return "must be a list of options, each of them once"
    return None


def _options(entry: Mapping[str, Any]) -> set[str] | None:
    options = entry.get("options")
    if not isinstance(options, list):
        return None
    return {as_json(one["value"]) for one in options if isinstance(one, dict) and "value" in one}


_CHECKS: Final[Mapping[str, Callable[[Mapping[str, Any], object], str | None]]] = MappingProxyType(
    {
        "toggle": _toggle,
        "text": _text,
        "text_no_save_button": _text,
        "slider": _number,
        "number": _number,
        "numeric_input": _number,
        "time_picker": _number,
        "select": _select,
        "select_with_search": _select,
        "multiselect": _multiselect,
    }
)


# -- schemas -------------------------------------------------------------------------


def problem_of_schema(schema: Iterable[object]) -> str | None:
    """Why ``schema`` is not a settings schema, in one line with the path; ``None`` if it is."""
    keys: set[str] = set()
    for number, entry in enumerate(schema):
        path = f"settings[{number}]"
        if number >= ENTRIES_MAX:
            return f"settings has more than {counted(ENTRIES_MAX, 'entry', 'entries')}"
        if not isinstance(entry, Mapping):
            return f"{path} must be an object"
        kind, key = entry.get("type", ""), entry.get("key")
        if not isinstance(kind, str):
            return f"{path}.type must be text"
        if key is None and kind in _DECORATION:
            continue
        if not isinstance(key, str) or not 0 < len(key) <= KEY_CHARACTERS_MAX:
            return f"{path}.key must be text of 1 to {KEY_CHARACTERS_MAX} characters"
        if key in keys:
            return f"{path}.key {key!r} is there twice"
        keys.add(key)
        problem = _problem_of_entry(entry)
        if problem is not None:
            return f"{path}.{problem}"
    return None


def _problem_of_entry(entry: Mapping[str, Any]) -> str | None:
    for name in ("min", "max"):
        if entry.get(name) is not None and not is_number(entry[name]):
            return f"{name} must be a number"
    if entry.get("options") is not None and not isinstance(entry["options"], list):
        return "options must be a list"
    default = entry.get("defaultValue")
    problem = problem_of_value(entry, default) if default is not None else None
    return None if problem is None else f"defaultValue {problem}"
