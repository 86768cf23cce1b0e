"""Which network addresses belong to the public internet: pure, and strict.

An app's URL is chosen by whoever registers the app. Without this check it could make the
server call machines that only the server can reach (SSRF). What Python says of an address
depends on its version, so what some versions do not know is named here.
"""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")  # the only part of IPv6 given out (RFC 4291)
_NAT64: Final = IPv6Network("64:ff9b::/96")  # RFC 6052
_TRANSLATED: Final = IPv6Network("::ffff:0:0:0/96")  # RFC 2765
_SPECIAL_V4: Final = (
    IPv4Network("192.0.0.0/24"),  # RFC 6890: protocol assignments; a cloud's metadata is in it
    IPv4Network("192.88.99.0/24"),  # RFC 7526: withdrawn 6to4 relays
)
_DOCUMENTATION: Final = IPv6Network("3fff::/20")  # RFC 9637
_ISATAP: Final = (0x00005EFE, 0x02005EFE)  # RFC 5214: bits 64 to 95 before an IPv4 address


def is_public(address: str) -> bool:
    """Whether ``address`` (numeric, as a resolver gives it) is on the public internet.

    An IPv6 address that carries an IPv4 one (mapped, translated, 6to4, Teredo, NAT64, ISATAP)
    counts as public only if that one does, too.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, IPv4Address):
        return _is_public_v4(parsed)
    return _is_public_v6(parsed)


def _is_public_v4(address: IPv4Address) -> bool:
    if address.is_multicast or address.is_reserved:
        return False
    return address.is_global and not any(address in network for network in _SPECIAL_V4)


def _is_public_v6(address: IPv6Address) -> bool:
    carried = _carried(address)
    if any(not _is_public_v4(inner) for inner in carried):
        return False
    if address.ipv4_mapped or address in _NAT64 or address in _TRANSLATED:
        return True  # nothing but the carried address
    if address.sixtofour or address.teredo:
        return True
    if address in _DOCUMENTATION or address.is_multicast:
        return False
    return address in _GLOBAL_UNICAST and address.is_global


def _carried(address: IPv6Address) -> list[IPv4Address]:
    """Every IPv4 address that ``address`` has inside."""
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    low = IPv4Address(int(address) & 0xFFFFFFFF)
    if address in _NAT64 or address in _TRANSLATED:
        found.append(low)
    if int(address) >> 32 & 0xFFFFFFFF in _ISATAP:
        found.append(low)
    return [inner for inner in found if inner is not None]
