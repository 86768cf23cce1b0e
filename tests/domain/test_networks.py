"""From where an app may connect."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mentra_trio.domain.networks import address_allowed, network


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("10.1.2.3/8", "10.0.0.0/8"),
        ("10.0.0.0/255.0.0.0", "10.0.0.0/8"),
        (" 192.0.2.7 ", "192.0.2.7/32"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("2001:DB8:0:0::1/32", "2001:db8::/32"),
        ("::1", "::1/128"),
        ("::/0", "::/0"),
        ("::ffff:10.1.2.3/104", "10.0.0.0/8"),
        ("::ffff:10.1.2.3", "10.1.2.3/32"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("::ffff:0:0/95", "::fffe:0:0/95"),
    ],
)
def test_a_network_has_one_form(text: str, canonical: str) -> None:
    assert network(text) == canonical
    assert network(canonical) == canonical


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "10.1.2", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8/8", "example.com", "5"),
        *("*", "01.2.3.4", "::1/129", "[::1]", "fe80::1%eth0", "fe80::%\x1b[2J/10", "10.0.0.0/x"),
    ],
)
def test_what_is_no_network(text: str) -> None:
    with pytest.raises(ValueError):
        network(text)


@pytest.mark.parametrize(
    ("address", "networks", "allowed"),
    [
        ("10.9.9.9", ("10.0.0.0/8",), True),
        ("11.0.0.0", ("10.0.0.0/8",), False),
        ("11.0.0.0", ("10.0.0.0/8", "11.0.0.0/32"), True),
        ("::ffff:10.0.0.1", ("10.0.0.0/8",), True),
        ("::ffff:11.0.0.1", ("10.0.0.0/8", "::/0"), False),
        ("2001:db8::7", ("10.0.0.0/8", "2001:db8::/32"), True),
        ("2001:db9::7", ("2001:db8::/32",), False),
        ("fe80::1%eth0", ("fe80::/10",), True),
        ("10.9.9.9", ("::/0",), False),
        ("::1", ("0.0.0.0/0",), False),
    ],
)
def test_an_address_is_allowed_if_one_network_has_it(
    address: str, networks: tuple[str, ...], allowed: bool
) -> None:
    assert address_allowed(address, networks) is allowed
    assert address_allowed(address, ()) is True


@pytest.mark.parametrize("address", ["", "unknown", "local", "memory", "10.0.0.1:80", "[::1]"])
def test_an_address_that_cannot_be_read_is_in_no_network(address: str) -> None:
    assert address_allowed(address, ()) is True
    assert address_allowed(address, ("0.0.0.0/0", "::/0")) is False


def test_a_network_that_cannot_be_read_lets_nobody_in() -> None:
    assert address_allowed("10.0.0.1", ("rubbish",)) is False
    assert address_allowed("10.0.0.1", ("rubbish", "10.0.0.0/8")) is True


@given(address=st.ip_addresses(), bits=st.integers(0, 32))
def test_a_network_made_of_an_address_has_it(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, bits: int
) -> None:
    assert address_allowed(str(address), (network(f"{address}/{bits}"),)) or (
        isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None
    )
    assert address_allowed(str(address), (network(str(address)),))
