"""Nothing of the log is lost with the process, however it ends."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio

from mentra_trio.clients.glasses import open_glasses
from mentra_trio.domain.ids import user_id
from mentra_trio.telemetry.log_fields import user_hash
from mentra_trio.wire.tokens import mint_core_token

SECRET = "a secret for this test only, 32 bytes and more"
USER = user_id("u-1@x.org")
READY = re.compile(r"\(glasses (ws://127\.0\.0\.1:\d+)/glasses-ws\)")


@contextmanager
def serving(folder: Path) -> Generator[tuple[subprocess.Popen[str], str]]:
    """A server that logs into a file, and the address for glasses."""
    command = (sys.executable, "-m", "mentra_trio", "serve", "--port", "0", "--data-dir", folder)
    environ = os.environ | {"MENTRA_TRIO_JWT_SECRET": SECRET}
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, env=environ, text=True
        ) as process,
    ):
        try:
            assert process.stdout is not None
            ready = READY.search(process.stdout.readline())
            assert ready is not None
            yield process, ready[1]
        finally:
            process.kill()


@pytest.mark.real_sockets
async def test_what_was_told_before_a_kill_is_in_the_log(tmp_path: Path) -> None:
    token = mint_core_token(USER, SECRET, now=datetime.now(UTC), ttl_s=None)
    with trio.fail_after(20), serving(tmp_path) as (process, url):
        async with open_glasses(url, token):
            process.kill()
            log = (tmp_path / "log").read_text()
    lines = log.splitlines()
    assert 'event="server started"' in lines[0]
    of_user = [line.partition(" event=")[2] for line in lines if user_hash(USER) in line]
    assert [line.partition(" user=")[0] for line in of_user] == [
        '"user state changed"',
        '"user state changed"',
        '"user state changed"',
        '"link attached" endpoint=glasses',
    ]
    assert log.endswith("\n")
