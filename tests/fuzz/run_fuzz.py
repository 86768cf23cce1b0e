"""Fuzzes a server, as a process on loopback, against its own OpenAPI document.

    python tests/fuzz/run_fuzz.py SCHEMATHESIS [--seed N] [--seconds N] [--examples N]

``SCHEMATHESIS`` is the program of that name. Two users are there, with glasses, and so are two
app servers that answer, so that commands get somewhere. Ends with 1 if an answer is a 5xx, or has a
status, a media type or a shape that is not in the document, or if the server said that anything
crashed, or has a secret in its log.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import attrs
import httpx
import trio

from mentra_trio.clients.app import App
from mentra_trio.clients.glasses import open_glasses
from mentra_trio.domain.ids import user_id
from mentra_trio.environment import Environment
from mentra_trio.wire.tokens import mint_core_token

ROOT: Final = Path(__file__).parents[2]

SECRET, ADMIN = "a secret of a fuzzed server, of no value", "admin-token-of-a-fuzzed-server"
SUPABASE = "a secret of a project that is not there"
USER, PACKAGE, KEY = "u-1@x.org", "com.t.a", "key:of a"
OTHER_USER, OTHER_PACKAGE = "o@x.org", "com.t.other"
READY: Final = re.compile(r"ready on (http://[^\s/]+)")
CHECKS: Final = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_headers_conformance,response_schema_conformance,ignored_auth"
)
ENDLESS: Final = "GET /api/admin/journal"
UNHAPPY: Final = {
    "POST /apps/{packageName}/start": "500",
    "POST /api/apps/{packageName}/start": "500",
    "POST /api/admin/users/{userId}/apps/{packageName}/start": "500",
    "POST /api/admin/users/{userId}/apps/{packageName}/retry": "500",
    "POST /api/tools/apps/{packageName}/tool": "5xx",
    "GET /api/tts": "503",
}
"""What may fail because of others, as the document says: an app does not start, or does not
answer; there is no voice. That the server itself has crashed is seen in its log."""
LAST: Final = "DELETE /api/admin/apps/{packageName}"
"""After it there is no app any more."""


@attrs.frozen(kw_only=True)
class Order:
    """What is to be done."""

    program: str
    seed: int
    seconds: int
    examples: int


def read_order(arguments: Sequence[str]) -> Order:
    """The order given on the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("program", metavar="SCHEMATHESIS")
    parser.add_argument("--seed", type=int, default=random.randrange(2**31))
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--examples", type=int, default=60)
    return Order(**vars(parser.parse_args(arguments)))


def configuration(token: str, registration: str) -> Iterator[str]:
    """The lines of a configuration file: who asks, and names that mean something here."""
    bearers = {
        "coreToken": token,
        "adminToken": ADMIN,
        "apiKey": KEY,
        "packageAndKey": f"{PACKAGE}:{KEY}",
        "sessionId": f"{USER}-{PACKAGE}",
    }
    names = {
        "packageName": [PACKAGE, OTHER_PACKAGE],
        "userId": [USER, OTHER_USER],
        "registrationId": [registration],
        "appSessionId": [f"{USER}-{PACKAGE}"],
        "toolId": ["note"],
        "key": ["brightness", "size", "a/b"],
    }
    for scheme, bearer in bearers.items():
        yield f"[auth.openapi.{scheme}]\nbearer = {json.dumps(bearer)}"
    for name, values in names.items():
        yield f"[dictionaries.{name}]\nvalues = {json.dumps(values)}"
    yield "[parameters]"
    for name in names:
        for place in (f"path.{name}", f"body.{name}"):
            yield f'{json.dumps(place)} = {{ dictionary = "{name}", probability = 0.6 }}'
    for name, status in UNHAPPY.items():
        expected = json.dumps(["2xx", "3xx", "4xx", status])
        yield f"[[operations]]\ninclude-name = {json.dumps(name)}"
        yield f"checks.not_a_server_error.expected-statuses = {expected}"
    yield '[[operations]]\ninclude-name = "POST /api/admin/apps"'
    yield 'parameters = { "body.packageName" = "com.t.new" }'  # the others keep their keys


@asynccontextmanager
async def open_process(folder: Path) -> AsyncGenerator[tuple[str, Path]]:
    """A server process: its address, and its log. At the end it must end in order."""
    environ = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "MENTRA_TRIO_JWT_SECRET": SECRET,
        "MENTRA_TRIO_ADMIN_TOKEN": ADMIN,
        "MENTRA_TRIO_SUPABASE_JWT_SECRET": SUPABASE,
    }
    command = [sys.executable, "-m", "mentra_trio", "serve", "--port", "0"]
    log = folder / "server.log"
    with log.open("wb") as written:
        process = await trio.lowlevel.open_process(
            [*command, "--data-dir", str(folder / "data")],
            env=environ,
            stdout=written,
            stderr=subprocess.STDOUT,
        )
    try:
        with trio.fail_after(20):
            while not (ready := READY.search(log.read_text())):
                assert process.poll() is None, log.read_text()
                await trio.sleep(0.05)
        yield ready[1], log
    finally:
        process.terminate()
        with trio.CancelScope(shield=True), trio.move_on_after(20):
            await process.wait()
        if process.poll() is None:
            process.kill()


async def registered(url: str, package: str, app_url: str) -> str:
    """Register an app; its registration id."""
    body = {
        "packageName": package,
        "url": app_url,
        "apiKey": KEY,
        "type": "standard" if package == PACKAGE else "background",
        "permissions": ["ALL"],
        "settings": [{"key": "size", "type": "number", "defaultValue": 3}],
        "tools": [{"id": "note", "description": "Writes a note"}],
        "hardwareRequirements": [{"type": "CAMERA", "level": "OPTIONAL"}],
    }
    headers = {"authorization": f"Bearer {ADMIN}"}
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(f"{url}/api/admin/apps", headers=headers, json=body)
    identity: str = answer.json()["registrationId"]
    return identity


@asynccontextmanager
async def open_wearer(url: str, user: str) -> AsyncGenerator[str]:
    """Glasses of a user; the core token with which they came."""
    token = mint_core_token(user_id(user), SECRET, now=Environment().utcnow(), ttl_s=None)
    async with open_glasses(url.replace("http", "ws", 1), token):
        yield token


async def run(order: Order, folder: Path, url: str, *selection: str) -> int:
    """One run of the program; its exit code."""
    command = [
        order.program,
        f"--config-file={folder / 'schemathesis.toml'}",
        "run",
        f"{url}/openapi.json",
        f"--seed={order.seed}",
        f"--max-examples={order.examples}",
        f"--checks={CHECKS}",
        "--phases=coverage,fuzzing,stateful",
        "--continue-on-failure",
        "--request-timeout=20",
        "--warnings=off",
        *selection,
    ]
    process = await trio.run_process(command, cwd=folder, check=False)
    return process.returncode


def left_out() -> Iterator[str]:
    """Options that leave out what never ends, and what comes last."""
    for name in (ENDLESS, LAST):
        yield f"--exclude-name={name}"


async def fuzz(order: Order) -> int:
    """Do it; 0 if nothing was found."""
    print(f"seed {order.seed}", flush=True)
    app, other = App(PACKAGE, api_key=KEY), App(OTHER_PACKAGE, api_key=KEY)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with open_process(folder) as (url, log), app.serve() as one, other.serve() as two:
            registration = await registered(url, PACKAGE, one.url)
            await registered(url, OTHER_PACKAGE, two.url)
            async with open_wearer(url, USER) as token, open_wearer(url, OTHER_USER):
                lines = configuration(token, registration)
                (folder / "schemathesis.toml").write_text("\n".join(lines))
                found = await run(order, folder, url, f"--max-time={order.seconds}", *left_out())
                found |= await run(order, folder, url, f"--include-name={LAST}", "--max-time=5")
        said = log.read_text()
        if any(word in said for word in ("Traceback", "crashed", SECRET, ADMIN, SUPABASE, KEY)):
            print(said[-8_000:])
            return 1
    return found


if __name__ == "__main__":
    sys.exit(trio.run(fuzz, read_order(sys.argv[1:])))
