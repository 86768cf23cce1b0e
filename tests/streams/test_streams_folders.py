"""Folders of streams: locked while they are used, and left over by nobody."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from mentra_trio.streams.folders import PREFIX, open_root

pytestmark = [
    pytest.mark.real_sockets,
    pytest.mark.skipif(sys.platform == "win32", reason="there are no locks on folders"),
]

HOLDS = """
import sys, trio
from pathlib import Path
from mentra_trio.streams.folders import open_root

async def main():
    async with open_root(Path(sys.argv[1])) as root:
        (root / "picture").write_text("secret")
        print("ready", flush=True)
        await trio.sleep_forever()

trio.run(main)
"""


def names(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


async def test_it_is_private_and_goes_with_its_server(tmp_path: Path) -> None:
    place = tmp_path / "new" / "place"
    async with open_root(place) as root, open_root(place) as other:
        assert root.parent == place
        assert root.name.startswith(PREFIX)
        assert root.stat().st_mode & 0o777 == 0o700
        (root / "sub").mkdir()
        assert {root.name, other.name} == set(names(place)), "both are in use"
    assert names(place) == []


async def test_what_a_killed_server_has_left_goes_with_the_next(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("")
    place = tmp_path / "place"
    place.mkdir()
    (place / f"{PREFIX}link").symlink_to(elsewhere)
    (place / f"{PREFIX}file").write_text("")
    (place / "mine").mkdir()
    kept = {"mine", f"{PREFIX}link", f"{PREFIX}file"}
    holding = [sys.executable, "-c", HOLDS, str(place)]
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = await trio.lowlevel.open_process(holding, stdout=subprocess.PIPE, env=paths)
    with trio.fail_after(20):
        try:
            assert process.stdout is not None
            assert await process.stdout.receive_some() != b""
            async with open_root(place):
                assert len(names(place)) == len(kept) + 2, "somebody uses it"
        finally:
            process.send_signal(signal.SIGKILL)
            await process.wait()
            assert process.stdout is not None
            await process.stdout.aclose()
        assert len(names(place)) == len(kept) + 1
        async with open_root(place) as root:
            assert set(names(place)) == {*kept, root.name}
    assert set(names(place)) == kept
    assert names(elsewhere) == ["precious"]
