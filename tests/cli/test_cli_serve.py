"""``mentra-trio serve`` as a process: ready line, signals, exit codes."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from mentra_trio.cli.serve import reachable_from_here_only, ready_line
from mentra_trio.config import Config

pytestmark = pytest.mark.real_sockets

READY = re.compile(
    r"mentra-trio ready on (https?://127\.0\.0\.1:(\d+)) \(glasses (wss?://.+/glasses-ws)\)\n"
)


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "mentra_trio", *(str(argument) for argument in arguments)]


@contextmanager
def serving(folder: Path, *arguments: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server process and its HTTP address; killed at the end if it still runs."""
    call = command("serve", "--port", 0, "--data-dir", folder, *arguments)
    pipe = subprocess.PIPE
    with subprocess.Popen(call, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            ready = READY.fullmatch(process.stdout.readline())
            assert ready is not None, process.communicate(timeout=10)[1]
            yield process, ready[1]
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_it_is_told_to_stop(tmp_path: Path, number: signal.Signals) -> None:
    with serving(tmp_path) as (process, url):
        with urllib.request.urlopen(url + "/health", timeout=10) as answer:
            assert json.load(answer)["status"]
        process.send_signal(number)
        out, log = process.communicate(timeout=15)
    assert process.returncode == 0
    assert out == ""
    assert 'event="server started"' in log
    assert 'event="server draining"' in log
    assert f'event="data folder: {tmp_path}"' in log
    assert 'event="server closed"' in log.splitlines()[-1]
    assert "warning" not in log
    assert "Traceback" not in log
    assert {file.name for file in tmp_path.iterdir()} >= {"jwt-secret", "admin-token"}


def test_an_app_that_is_added_while_it_runs_is_seen(tmp_path: Path) -> None:
    environ = os.environ | {"MENTRA_TRIO_ADMIN_TOKEN": "t" * 16}
    with serving(tmp_path) as (_, url):
        add = command("apps", "add", "com.example.a", "--url", "http://h", "--data-dir", tmp_path)
        subprocess.run(add, check=True, stdout=subprocess.DEVNULL, env=environ)
        token = (tmp_path / "admin-token").read_text().strip()
        request = urllib.request.Request(
            url + "/api/admin/apps", headers={"Authorization": f"Bearer {token}"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert "com.example.a" in answer.read().decode()


def test_without_standard_error_the_log_is_on_standard_output(tmp_path: Path) -> None:
    call = shlex.join(command("serve", "--port", 0, "--data-dir", tmp_path))
    shell = ["sh", "-c", f"exec {call} 2>&-"]
    with subprocess.Popen(shell, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(3)]
            assert 'event="server started"' in lines[0]
            assert READY.fullmatch(lines[2])
            process.terminate()
            assert 'event="server closed"' in process.communicate(timeout=15)[0]
        finally:
            process.kill()
    assert process.returncode == 0


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        call = command("serve", "--port", port, "--data-dir", tmp_path)
        ran = subprocess.run(call, capture_output=True, text=True, timeout=20, check=False)
    assert ran.returncode == 2
    assert ran.stdout == ""
    [line] = ran.stderr.splitlines()
    assert line.startswith("mentra-trio: ")
    assert str(port) in line


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("mentra.sqlite3", "holiday notes " * 100, "not a database"),
        ("jwt-secret", "short", "jwt-secret"),
    ],
)
def test_a_data_dir_that_cannot_be_used_is_one_line(
    tmp_path: Path, name: str, content: str, word: str
) -> None:
    (tmp_path / name).write_text(content)
    call = command("serve", "--port", 0, "--data-dir", tmp_path)
    ran = subprocess.run(call, capture_output=True, text=True, timeout=20, check=False)
    assert ran.returncode == 2
    [line] = ran.stderr.splitlines()
    assert word in line


def test_tls(tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued = trustme.CA().issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(key)
    for pem in issued.cert_chain_pems:
        pem.write_to_path(cert, append=True)
    with serving(tmp_path / "data", "--tls-cert", cert, "--tls-key", key) as (process, url):
        assert url.startswith("https://")
        process.terminate()
        assert process.wait(15) == 0


def test_a_host_that_is_a_name_is_named_as_given(tmp_path: Path) -> None:
    call = command("serve", "--port", 0, "--data-dir", tmp_path, "--host", "localhost")
    with subprocess.Popen(call, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("mentra-trio ready on http://localhost:")
        finally:
            process.kill()


def test_a_server_for_other_machines_needs_a_public_url(tmp_path: Path) -> None:
    with serving(tmp_path, "--host", "0.0.0.0") as (process, _):
        process.terminate()
        log = process.communicate(timeout=15)[1].splitlines()
    [warning] = [line for line in log if "level=warning" in line]
    assert "will be told to connect to 127.0.0.1" in warning


@pytest.mark.parametrize(
    ("host", "public_url", "told"),
    [
        ("0.0.0.0", None, "127.0.0.1"),
        ("::", None, "::1"),
        ("::", "http://192.0.2.1:8002", None),
        ("192.0.2.1", None, None),
    ],
)
def test_where_apps_will_be_told_to_connect(
    host: str, public_url: str | None, told: str | None
) -> None:
    warning = reachable_from_here_only(Config(host=host, public_url=public_url))
    assert (warning is None) == (told is None)
    assert told is None or f"connect to {told}: " in (warning or "")


@pytest.mark.parametrize(
    ("host", "tls", "expected"),
    [
        ("127.0.0.1", False, "http://127.0.0.1:1 (glasses ws://127.0.0.1:1/glasses-ws)"),
        ("0.0.0.0", False, "http://127.0.0.1:1 (glasses ws://127.0.0.1:1/glasses-ws)"),
        ("::", True, "https://[::1]:1 (glasses wss://[::1]:1/glasses-ws)"),
    ],
)
def test_the_ready_line_names_an_address_that_works_here(
    host: str, expected: str, *, tls: bool
) -> None:
    assert ready_line(host, 1, tls=tls) == f"mentra-trio ready on {expected}"
