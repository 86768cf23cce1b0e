"""From where an app may connect: addresses, and the networks that they are in."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Final, TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")
"""IPv4 addresses as an IPv6 socket shows them (RFC 4291, 2.5.5.2)."""


def network(text: str) -> str:
    """The canonical form of a network such as ``10.0.0.0/8``; an address is a network of one.

    Bits of a host are dropped, and a network of mapped addresses is one of IPv4.

    Raises:
        ValueError: it is neither a network nor an address, or names a zone.
    """
    if "%" in text:
        raise ValueError("a network has no zone")
    found = ipaddress.ip_network(text.strip(), strict=False)
    if isinstance(found, ipaddress.IPv6Network) and found.subnet_of(_MAPPED):
        first = found.network_address.ipv4_mapped
        return f"{first}/{found.prefixlen - _MAPPED.prefixlen}"
    return str(found)


def address_allowed(address: str, networks: Sequence[str]) -> bool:
    """Whether a peer at ``address`` may come in, where it must be in one of ``networks``.

    Where there are no networks, everybody may. Where there are some, an address that cannot be
    read is in none of them, and a network that cannot be read has nobody in it.
    """
    if not networks:
        return True
    try:
        found = _unmapped(ipaddress.ip_address(address))
    except ValueError:
        return False
    return any(_contains(one, found) for one in networks)


def _contains(text: str, address: Address) -> bool:
    try:
        return address in ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False


def _unmapped(address: Address) -> Address:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return address if mapped is None else mapped
