"""Every public async function of the package, found by looking."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from importlib import import_module
from pkgutil import walk_packages
from types import ModuleType
from typing import Any, Final

import mentra_trio

LEFT_OUT: Final = frozenset({"__main__", "cli", "web"})
"""Floors that nobody calls from a task of their own: commands are processes, ended by signals
(tests/cli), and routes run inside ``transport.http_bridge.run_app``, which is cancelled here."""

CALLED_BY_SYNTAX: Final = frozenset({"__aenter__", "__aexit__", "__anext__", "__call__"})


def public_functions() -> dict[str, Callable[..., Any]]:
    """Functions, context managers and methods, by names like ``sessions.roster.Roster.start``."""
    return {name: function for module in _modules() for name, function in _of_module(module)}


def name_of(function: Callable[..., Any]) -> str:
    """The name under which ``public_functions`` has it."""
    plain = inspect.unwrap(function)
    return f"{plain.__module__.removeprefix('mentra_trio.')}.{plain.__qualname__}"


def _modules() -> Iterator[ModuleType]:
    for found in walk_packages(mentra_trio.__path__, "mentra_trio."):
        if found.name.split(".")[1] not in LEFT_OUT:
            yield import_module(found.name)


def _of_module(module: ModuleType) -> Iterator[tuple[str, Callable[..., Any]]]:
    for name, thing in vars(module).items():
        if name.startswith("_") or getattr(thing, "__module__", None) != module.__name__:
            continue
        if inspect.isclass(thing):
            for method, function in vars(thing).items():
                if not method.startswith("_") or method in CALLED_BY_SYNTAX:
                    yield from _if_async(getattr(function, "__func__", function))
        else:
            yield from _if_async(thing)


def _if_async(thing: Any) -> Iterator[tuple[str, Callable[..., Any]]]:
    if inspect.isfunction(thing):
        plain = inspect.unwrap(thing)
        if inspect.iscoroutinefunction(plain) or inspect.isasyncgenfunction(plain):
            yield name_of(thing), thing
