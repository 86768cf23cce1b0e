"""The registered apps: adding, showing and removing them, with every input checked."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypedDict, Unpack
from urllib.parse import urlsplit

import attrs

from ..domain.app_config import problem_of_tools
from ..domain.app_settings import problem_of_schema
from ..domain.apps import PERMISSIONS, AppKind, AppRegistration, hash_api_key
from ..domain.errors import ConfigError, UnknownApp
from ..domain.hardware import HardwareRequirement, requirement_of
from ..domain.ids import PackageName, package_name
from ..domain.networks import network
from ..ports import Store
from .directory import Directory

KEY_PREFIX: Final = "mtk_"
REGISTRATION_PREFIX: Final = "reg_"


@attrs.frozen(kw_only=True)
class AddedApp:
    """A fresh registration, and the API key in clear: shown once, nowhere kept.

    ``api_key`` is empty where the app was registered before and keeps its key; ``anew`` says
    whether it was.
    """

    registration: AppRegistration
    api_key: str = attrs.field(repr=False)
    anew: bool = False


class AppDetails(TypedDict, total=False):
    """What else may be registered of an app.

    ``hardware`` and ``tools`` are JSON objects as MentraOS apps write them down (protocol.md
    1.6, Appendix B); ``permission_texts`` say what permissions are for, by their names.
    """

    hardware: Iterable[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]]
    description: str
    version: str
    permission_texts: Mapping[str, str]


@attrs.define(eq=False)
class AppCatalog:
    """Registrations in ``store``. With a ``directory``, running apps follow what changes."""

    store: Store
    directory: Directory | None = None

    async def add(
        self,
        package: str,
        *,
        url: str,
        api_key: str | None = None,
        name: str = "",
        kind: str = "standard",
        permissions: Iterable[str] = (),
        settings: Sequence[Mapping[str, Any]] = (),
        server_urls: Iterable[str] = (),
        allowed_networks: Iterable[str] = (),
        **details: Unpack[AppDetails],
    ) -> AddedApp:
        """Register an app server, or replace the registration of the same package.

        ``url`` is the app server's base URL. Where ``api_key`` is ``None``, a new app gets one
        that is made here, and an app that is registered already keeps its own. The registration
        id of a package stays the same until the app is removed. ``server_urls`` are further
        base URLs, for people; ``allowed_networks`` are from where the app may connect, as CIDR
        networks or addresses, and if there are none, from anywhere.

        Raises:
            ConfigError: one of the values is not usable; the text says which and why.
        """
        known = await self.store.app(checked_package(package))
        if api_key is not None:
            key = checked_key(api_key)
        else:
            key = make_api_key() if known is None else ""
        registration = AppRegistration(
            package=checked_package(package),
            url=checked_url(url),
            key_hash=known.key_hash if known is not None and not key else hash_api_key(key),
            name=name,
            kind=checked_kind(kind),
            permissions=checked_permissions(permissions),
            settings=checked_settings(settings),
            registration_id=(known.registration_id if known else "") or make_registration_id(),
            server_urls=tuple(dict.fromkeys(map(checked_url, server_urls))),
            allowed_networks=tuple(dict.fromkeys(map(checked_network, allowed_networks))),
            hardware=checked_hardware(details.get("hardware", ())),
            tools=checked_tools(details.get("tools", ())),
            description=details.get("description", ""),
            version=details.get("version", ""),
            permission_texts=details.get("permission_texts", {}),
        )
        await self.store.put_app(registration)
        if self.directory is not None:
            self.directory.app_changed(registration.package, registration.url)
        return AddedApp(registration=registration, api_key=key, anew=known is not None)

    async def get(self, package: str) -> AppRegistration | None:
        """The registration of ``package``, if there is one."""
        return await self.store.app(PackageName(package))

    async def by_registration(self, registration_id: str) -> AppRegistration | None:
        """The registration of that id, if there is one."""
        return await self.store.registration(registration_id)

    async def list(self) -> Sequence[AppRegistration]:
        """All registrations, by package name."""
        return await self.store.apps()

    async def remove(self, package: str) -> bool:
        """Forget an app and stop it for every user; ``False`` if there was none."""
        removed = await self.store.remove_app(PackageName(package))
        if removed and self.directory is not None:
            self.directory.app_removed(PackageName(package))
        return removed

    async def rotate_key(self, package: str, api_key: str | None = None) -> str:
        """Give an app a new API key, and return it; links that are up stay up.

        Raises:
            UnknownApp: no such app is registered.
            ConfigError: ``api_key`` is not usable.
        """
        key = make_api_key() if api_key is None else checked_key(api_key)
        registration = await self.store.app(PackageName(package))
        if registration is None:
            raise UnknownApp(f"App {package} not found")
        await self.store.put_app(attrs.evolve(registration, key_hash=hash_api_key(key)))
        return key


def make_api_key() -> str:
    """A new API key: 32 random bytes, URL-safe, with a prefix by which leaks can be found."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def make_registration_id() -> str:
    """A new registration id (seed 004). It is a name, not a secret, but nobody guesses it."""
    return REGISTRATION_PREFIX + secrets.token_urlsafe(12)


def checked_key(text: str) -> str:
    """``text`` as an API key, or a ConfigError; keys travel in HTTP headers."""
    if not text.strip():
        raise ConfigError("the API key is empty")
    if not (text.isascii() and text.isprintable()):
        raise ConfigError("an API key consists of printable ASCII characters")
    return text


def checked_package(text: str) -> PackageName:
    """``text`` as a package name, or a ConfigError."""
    try:
        return package_name(text)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def checked_url(text: str) -> str:
    """``text`` as the base URL of an app server, without a trailing slash, or a ConfigError."""
    try:
        parts = urlsplit(text)
        port_is_fine = parts.port != 0
    except ValueError:
        raise ConfigError(f"{text[:80]!r} is not a URL") from None
    if not text.isprintable() or " " in text:
        raise ConfigError(f"{text[:80]!r} is not a URL: it has a space or a control character")
    if parts.scheme not in {"http", "https"} or not parts.hostname or not port_is_fine:
        raise ConfigError(f"{text[:80]!r} must be a URL such as http://127.0.0.1:7010")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigError("the URL of an app server has no credentials, query or fragment")
    if parts.path.rstrip("/").endswith("/webhook"):
        raise ConfigError(
            "/webhook is added by the server: give the base URL, such as http://127.0.0.1:7010"
        )
    return text.rstrip("/")


def checked_network(text: str) -> str:
    """``text``, a network or an address, as a network in its canonical form, or a ConfigError."""
    try:
        return network(text)
    except ValueError:
        raise ConfigError(
            f"{text[:60]!r} is neither a network such as 10.0.0.0/8 nor an address"
        ) from None


def checked_kind(text: str) -> AppKind:
    """``text`` as a kind of app, or a ConfigError."""
    try:
        return AppKind(text)
    except ValueError:
        kinds = ", ".join(kind.value for kind in AppKind)
        raise ConfigError(f"{text[:40]!r} is not a kind of app: use one of {kinds}") from None


def checked_permissions(names: Iterable[str]) -> frozenset[str]:
    """``names`` as permissions, upper-cased, or a ConfigError."""
    upper = frozenset(name.strip().upper() for name in names)
    if unknown := sorted(upper - PERMISSIONS):
        known = ", ".join(sorted(PERMISSIONS))
        raise ConfigError(f"{unknown[0][:40]!r} is not a permission: use {known}")
    return upper


def checked_settings(schema: Sequence[object]) -> tuple[Mapping[str, Any], ...]:
    """``schema`` as a settings schema, or a ConfigError that names the place."""
    if (problem := problem_of_schema(schema)) is not None:
        raise ConfigError(problem)
    return tuple(entry for entry in schema if isinstance(entry, Mapping))


def checked_tools(tools: Sequence[object]) -> tuple[Mapping[str, Any], ...]:
    """``tools`` as tool schemas, or a ConfigError that names the place."""
    if (problem := problem_of_tools(tools)) is not None:
        raise ConfigError(problem)
    return tuple(tool for tool in tools if isinstance(tool, Mapping))


def checked_hardware(entries: Iterable[object]) -> tuple[HardwareRequirement, ...]:
    """``entries`` as hardware requirements, one per type, or a ConfigError."""
    found: dict[str, HardwareRequirement] = {}
    for entry in entries:
        one = requirement_of(entry)
        if one.type.value in found:
            raise ConfigError(f"the hardware {one.type.value} is there twice")
        found[one.type.value] = one
    return tuple(found.values())
