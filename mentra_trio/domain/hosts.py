"""Hosts as they stand in URLs, and those that stand for every address of a machine."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

EVERYWHERE: Final[Mapping[str, str]] = MappingProxyType({"0.0.0.0": "127.0.0.1", "::": "::1"})
"""Hosts on which a server listens at every address, and where it is reached from its machine."""


def from_here(host: str) -> str:
    """Where a server that listens on ``host`` is reached from its own machine."""
    return EVERYWHERE.get(host, host)


def authority(host: str, port: int) -> str:
    """``host:port`` as it stands in a URL: an IPv6 address in brackets (RFC 3986, 3.2.2)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
