"""Registering apps and minting tokens, straight on the data folder: no server is needed.

A server that runs sees the change at its next look, because it caches nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio

from ..config import Config
from ..domain.apps import AppRegistration
from ..domain.errors import ConfigError, UnknownApp
from ..domain.hardware import HardwareRequirement
from ..domain.ids import user_id
from ..domain.wording import printable
from ..environment import Environment
from ..sessions.catalog import AppCatalog
from ..storage.secrets import jwt_secret, user_token_key
from ..storage.sqlite_store import DATABASE_NAME, open_sqlite_store
from ..wire.tokens import mint_core_token
from ..wire.user_tokens import public_pem


def with_catalog(config: Config, action: Callable[[AppCatalog], Awaitable[list[str]]]) -> list[str]:
    """What ``action`` says about the catalog in the data folder.

    Raises:
        MentraTrioError: the data folder cannot be used, or ``action`` refuses.
    """
    assert config.data_dir is not None, "a command has a data folder"
    path = config.data_dir / DATABASE_NAME

    async def run() -> list[str]:
        async with open_sqlite_store(path, inline=True) as store:
            return await action(AppCatalog(store))

    return trio.run(run)


async def add(package: str, catalog: AppCatalog, **values: Any) -> list[str]:
    """Register an app; the key is told only if it was made here."""
    added = await catalog.add(package, **values)
    app = added.registration
    if added.anew:
        key_is = "replaced" if added.api_key else "unchanged"
        return [
            f"{app.package} is registered anew; its API key is {key_is}",
            f"webhooks go to {app.webhook_url}",
        ]
    lines = [f"{app.package} is registered: webhooks go to {app.webhook_url}"]
    return lines if values["api_key"] is not None else [*lines, *_key_lines(added.api_key)]


async def show_all(catalog: AppCatalog) -> list[str]:
    """One line per app: package, kind, URL, name."""
    found = await catalog.list()
    rows = [(app.package, app.kind.value, app.url, app.name) for app in found]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ] or ["no apps are registered; add one with: mentra-trio apps add PACKAGE --url URL"]


async def show(package: str, catalog: AppCatalog) -> list[str]:
    """What is registered of an app, one value per line."""
    app = await _registered(package, catalog)
    values = {
        "package": app.package,
        "registration": app.registration_id,
        "name": app.title,
        "type": app.kind.value,
        "url": app.url,
        "webhook": app.webhook_url,
        "server urls": " ".join(app.server_urls) or "none",
        "allowed from": " ".join(app.allowed_networks) or "anywhere",
        "permissions": " ".join(sorted(app.permissions)) or "none",
        "hardware": " ".join(map(_hardware, app.hardware)) or "any",
        "settings": str(len(app.settings)),
        "tools": " ".join(str(tool["id"]) for tool in app.tools) or "none",
        "version": app.version or "none",
        "description": printable(app.description) or "none",
        "api key": "set; only its hash is kept",
    }
    return [f"{name + ':':14}{value}" for name, value in values.items()]


def _hardware(one: HardwareRequirement) -> str:
    return one.type.value if one.required else f"{one.type.value}:optional"


async def remove(package: str, catalog: AppCatalog) -> list[str]:
    """Forget an app."""
    if not await catalog.remove(package):
        raise _unknown(package)
    return [f"{package} is removed"]


async def rotate_key(package: str, catalog: AppCatalog, *, api_key: str | None) -> list[str]:
    """Replace the key of an app; the new one is told only if it was made here."""
    await _registered(package, catalog)
    key = await catalog.rotate_key(package, api_key)
    lines = [f"{package} has a new API key; the old one is no longer accepted"]
    return lines if api_key is not None else [*lines, *_key_lines(key)]


def make_token(config: Config, user: str, ttl_s: float | None) -> str:
    """A core token for ``user``.

    Raises:
        MentraTrioError: the user id is not usable, or the data folder is not.
    """
    try:
        subject = user_id(user)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    return mint_core_token(subject, jwt_secret(config), now=Environment().utcnow(), ttl_s=ttl_s)


def show_public_key(config: Config) -> str:
    """The public key of signed user tokens, in PEM.

    Raises:
        MentraTrioError: the key, or the data folder, is not usable.
    """
    return public_pem(user_token_key(config))


async def _registered(package: str, catalog: AppCatalog) -> AppRegistration:
    app = await catalog.get(package)
    if app is None:
        raise _unknown(package)
    return app


def _unknown(package: str) -> UnknownApp:
    return UnknownApp(f"no app {package} is registered; see: mentra-trio apps list")


def _key_lines(key: str) -> list[str]:
    return ["its API key, shown only this once:", key]
