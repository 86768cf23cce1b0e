"""The file in which MentraOS apps describe themselves: ``tpa_config.json`` or ``app_config.json``.

``{name, description, version, settings[], tools[], permissions[], hardwareRequirements[]}``; all
of it is optional, and what else stands there is ignored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from .apps import AppRegistration
from .errors import ConfigError

TOOLS_MAX: Final = 128
TOOL_ID_CHARACTERS_MAX: Final = 128

_TEXTS: Final = ("name", "description", "version")
_LISTS: Final[Mapping[str, str]] = MappingProxyType(
    {"settings": "settings", "tools": "tools", "hardwareRequirements": "hardware"}
)
"""Lists of the file, and what they are called in a registration."""


def registration_values(config: object) -> dict[str, Any]:
    """What of a registration the file states: arguments of ``AppCatalog.add``, unchecked.

    Raises:
        ConfigError: it is not such a file; one line that names the place.
    """
    if not isinstance(config, Mapping):
        raise ConfigError("an app's configuration must be a JSON object")
    values: dict[str, Any] = {}
    for name in _TEXTS:
        if config.get(name) is not None:
            if not isinstance(config[name], str):
                raise ConfigError(f"{name} must be text")
            values[name] = config[name]
    for name, ours in _LISTS.items():
        if config.get(name) is not None:
            values[ours] = _list(config, name)
    if config.get("permissions") is not None:
        values |= permission_values(_list(config, "permissions"))
    return values


def _list(config: Mapping[str, Any], name: str) -> list[Any]:
    if not isinstance(config[name], list):
        raise ConfigError(f"{name} must be a list")
    return list(config[name])


def permission_values(entries: Iterable[object]) -> dict[str, Any]:
    """``permissions`` and ``permission_texts`` of names, or of ``{type, description?}``.

    Raises:
        ConfigError: an entry is neither.
    """
    names: list[str] = []
    texts: dict[str, str] = {}
    for number, entry in enumerate(entries):
        name = entry.get("type") if isinstance(entry, Mapping) else entry
        text = (entry.get("description") or "") if isinstance(entry, Mapping) else ""
        if not isinstance(name, str) or not isinstance(text, str):
            raise ConfigError(f"permissions[{number}] must be a name, or an object with a 'type'")
        names.append(name)
        if text:
            texts[name.strip().upper()] = text
    return {"permissions": names, "permission_texts": texts}


def problem_of_tools(tools: Iterable[object]) -> str | None:
    """Why ``tools`` are no tool schemas, in one line with the path; ``None`` if they are."""
    ids: set[str] = set()
    for number, tool in enumerate(tools):
        path = f"tools[{number}]"
        if number >= TOOLS_MAX:
            return f"there are more than {TOOLS_MAX} tools"
        if not isinstance(tool, Mapping):
            return f"{path} must be an object"
        name = tool.get("id")
        if not isinstance(name, str) or not 0 < len(name) <= TOOL_ID_CHARACTERS_MAX:
            return f"{path}.id must be text of 1 to {TOOL_ID_CHARACTERS_MAX} characters"
        if name in ids:
            return f"{path}.id {name!r} is there twice"
        ids.add(name)
        if not isinstance(tool.get("description", ""), str):
            return f"{path}.description must be text"
        phrases = tool.get("activationPhrases") or []
        if not isinstance(phrases, list) or not all(isinstance(one, str) for one in phrases):
            return f"{path}.activationPhrases must be a list of texts"
        parameters = tool.get("parameters") or {}
        if not isinstance(parameters, Mapping) or not all(
            isinstance(one, Mapping) for one in parameters.values()
        ):
            return f"{path}.parameters must be an object of objects"
    return None


def ack_config(app: AppRegistration) -> dict[str, Any] | None:
    """What the SDK is told of the app's own configuration (protocol.md 2.4); ``None``: nothing.

    The SDK ignores a configuration in which a setting has no label, so its key stands in for it.
    """
    if not (app.settings or app.tools or app.description or app.version):
        return None
    return {
        "name": app.title,
        "description": app.description,
        "version": app.version,
        "settings": [_labelled(entry) for entry in app.settings],
        "tools": [dict(tool) for tool in app.tools],
    }


def _labelled(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {"label": entry["key"], **entry} if "key" in entry else dict(entry)
