"""What viewers get over HTTP."""

from __future__ import annotations

from pathlib import Path

import attrs
import httpx
import pytest
from trio.testing import MockClock

from mentra_trio.web.asgi import make_app

from .site_under_test import Site, open_site

CONTENT = b"something to see"


async def get(site: Site, folder: Path, path: str) -> httpx.Response:
    """Ask a site whose one stream is ``name``, and has its files in ``folder``."""

    def find(name: str, file: str) -> Path | None:
        return folder / file if name == "name" and file != "secret.mpd" else None

    services = attrs.evolve(site.services, stream_file=find)
    transport = httpx.ASGITransport(make_app(services), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return await client.get(path)


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("master.m3u8", "application/vnd.apple.mpegurl"),
        ("manifest.mpd", "application/dash+xml"),
        ("chunk-stream0-00001.m4s", "video/iso.segment"),
    ],
)
async def test_a_file_comes_as_players_want_it(
    file: str, kind: str, tmp_path: Path, autojump_clock: MockClock
) -> None:
    (tmp_path / file).write_bytes(CONTENT)
    async with open_site() as site:
        answer = await get(site, tmp_path, f"/streams/name/{file}")
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["content-type"] == kind
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers.get_list("cross-origin-resource-policy") == ["cross-origin"]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["other/master.m3u8", "name/secret.mpd", "name/gone.m4s", "name"])
async def test_everything_else_is_not_there(
    path: str, tmp_path: Path, autojump_clock: MockClock
) -> None:
    (tmp_path / "secret.mpd").write_bytes(CONTENT)
    async with open_site() as site:
        answer = await get(site, tmp_path, f"/streams/{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")
        without_engine = await site.get("/streams/name/master.m3u8")
    assert without_engine.status_code == 404
