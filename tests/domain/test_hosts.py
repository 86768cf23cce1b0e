"""Hosts in URLs: every one can be read out of it again."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from mentra_trio.domain.hosts import authority, from_here


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "fe80::1", "example.org"])
def test_an_authority_holds_its_host_and_its_port(host: str) -> None:
    parts = urlsplit(f"http://{authority(host, 8002)}/health")
    assert (parts.hostname, parts.port) == (host, 8002)


def test_a_server_that_listens_everywhere_is_reached_on_the_loopback_interface() -> None:
    hosts = ["0.0.0.0", "::", "10.1.2.3", "example.org"]
    assert [from_here(host) for host in hosts] == ["127.0.0.1", "::1", "10.1.2.3", "example.org"]
