"""``mentra-trio certify`` and an app on the real SDK: what that survives, and what not."""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from mentra_trio.testing.certification.cast import Ground
from mentra_trio.testing.certification.events import Reaction
from mentra_trio.testing.certification.lifecycles import LIFECYCLES
from mentra_trio.testing.certification.report import closing_lines
from mentra_trio.testing.certification.run import certify
from mentra_trio.testing.certification.script import Verdict

from .real_app import NODE_PROJECT, START_S

FAULTS_OF_THE_SDK = {"two-webhooks-at-once", "ack-too-late"}


@pytest.fixture
def captions(node: None, tmp_path: Path) -> Iterator[str]:
    """The URL of a caption app on the real SDK, in a process of its own."""
    reading, writing = os.pipe()
    environ = os.environ | {
        "PORT_FD": str(writing),
        "NODE_OPTIONS": f"--require {NODE_PROJECT / 'offline.cjs'}",
    }
    with (tmp_path / "captions.log").open("wb") as log:
        process = subprocess.Popen(
            ["node", "captions.mjs"],
            cwd=NODE_PROJECT,
            env=environ,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=(writing,),
        )
    try:
        ready, _, _ = select.select([reading], [], [], START_S)
        assert ready, f"node does not listen; see {tmp_path}"
        yield f"http://127.0.0.1:{os.read(reading, 100).decode().strip()}"
    finally:
        process.kill()
        process.wait()
        os.close(reading)
        os.close(writing)


@pytest.mark.timeout(120)
async def test_a_well_written_app_fails_only_where_the_sdk_does(captions: str) -> None:
    with trio.fail_after(100):
        certificate = await certify(Ground(url=captions), seed=1)
    assert certificate.portrait.reaction == Reaction(stream="transcription:en-US", times=1)
    failed = {
        result.lifecycle.name for result in certificate.results if result.verdict is Verdict.FAILED
    }
    assert failed == FAULTS_OF_THE_SDK, "\n".join(closing_lines(certificate))


def test_those_are_said_to_be_faults_of_the_sdk() -> None:
    assert {one.name for one in LIFECYCLES if one.known} == FAULTS_OF_THE_SDK
