"""Commands: what they print, and one line with exit code 2 for a wrong call."""

from __future__ import annotations

import importlib
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pytest
import trio

from mentra_trio.cli import main
from mentra_trio.domain.apps import hash_api_key
from mentra_trio.domain.errors import TokenError
from mentra_trio.storage.secrets import JWT_SECRET, load_or_make_secret
from mentra_trio.storage.sqlite_store import DATABASE_NAME
from mentra_trio.wire.tokens import verify_core_token
from mentra_trio.wire.user_tokens import public_pem, read_key


class Ran(NamedTuple):
    code: int
    out: list[str]
    err: list[str]


Run: TypeAlias = Callable[..., Ran]


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: object) -> Ran:
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Ran(code, captured.out.splitlines(), captured.err.splitlines())

    return call


PACKAGE, URL = "com.example.captions", "http://127.0.0.1:7010"


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["frobnicate"], "frobnicate"),
        (["serve", "--prot", "1"], "--prot"),
        (["serve", "--port", "http"], "--port"),
        (["serve", "--port", "70000"], "server.port"),
        (["serve", "--set", "lifecycle.grace=1"], "did you mean lifecycle.grace_s?"),
        (["serve", "--set", "nonsense"], "section.key=value"),
        (["serve", "--config", "/nowhere/x.toml"], "/nowhere/x.toml"),
        (["serve", "--tls-cert", "x.pem"], "server.tls_key"),
        (["serve", "surplus"], "surplus"),
        (["token"], "USER_ID"),
        (["token", " "], "user id"),
        (["token", "ann", "--ttl", "-1"], "--ttl"),
        (["token", "ann", "--ttl", "soon"], "--ttl"),
        (["token", "ann", "--ttl", "nan"], "--ttl"),
        (["token", "ann", "--ttl", "inf"], "--ttl"),
        (["token", "ann", "--ttl", "1e300"], "--ttl"),
        (["token", "ann\udcff"], "user id"),
        (["token", "ann", "--data-dir", ""], "--data-dir"),
        (["serve", "--data-dir", ""], "--data-dir"),
        (["serve", "--port", "0", "--host", "a..b"], "a..b"),
        (["serve", "--port", "0", "--host", "h" * 70], "hhh"),
        (["apps", "add"], "PACKAGE"),
        (["apps", "add", PACKAGE], "--url"),
        (["apps", "add", PACKAGE, "--url", "nonsense"], "nonsense"),
        (["apps", "add", PACKAGE, "--url", URL, "--type", "huge"], "huge"),
        (["apps", "add", PACKAGE, "--url", URL, "--permission", "FLY"], "FLY"),
        (["apps", "add", PACKAGE, "--url", URL, "--allow-from", "home"], "'home'"),
        (["apps", "add", PACKAGE, "--url", URL, "--allow-from", "10.0.0.0/33"], "10.0.0.0/33"),
        (["apps", "add", PACKAGE, "--url", URL, "--allow-from", "::\udcff"], "network"),
        (["apps", "add", PACKAGE, "--url", URL, "--server-url", "nonsense"], "nonsense"),
        (["apps", "add", PACKAGE, "--url", URL, "--api-key", ""], "key"),
        (["apps", "add", PACKAGE, "--url", URL, "--api-key", "k" * 8 + "\udcff"], "ASCII"),
        (["apps", "add", PACKAGE, "--url", URL, "--api-key", "k" * 8 + "\u00fc"], "ASCII"),
        (["apps", "add", PACKAGE, "--url", URL, "--api-key", "k" * 8 + "\n"], "ASCII"),
        (["apps", "add", PACKAGE, "--url", URL + "/webhook"], "give the base URL"),
        (["apps", "add", PACKAGE, "--url", URL + "/x/webhook/"], "give the base URL"),
        (["serve", "--prot", "1"], "Did you mean '--port'?"),
        (["apps", "add", PACKAGE, "--url", URL, "--name", "\udcff"], "mentra"),
        (["apps", "add", PACKAGE, "--url", URL + "/\udcff"], "mentra"),
        (["apps", "add", "a\udcff", "--url", URL], "package"),
        (["apps", "show", "a\udcff"], "mentra"),
        (["apps", "add", "no spaces", "--url", URL], "no spaces"),
        (["apps", "show", PACKAGE], PACKAGE),
        (["apps", "remove", PACKAGE], PACKAGE),
        (["apps", "rotate-key", PACKAGE], PACKAGE),
        (["apps", "frobnicate"], "frobnicate"),
        (["demo", "surplus"], "surplus"),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_code_2(
    run: Run, tmp_path: Path, arguments: list[str], word: str
) -> None:
    ran = run(*arguments)
    assert ran.code == 2
    assert ran.out == []
    assert len(ran.err) == 1
    assert ran.err[0].startswith("mentra-trio: ")
    assert word in ran.err[0]


def test_a_wrong_variable_of_the_environment_is_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MENTRA_TRIO_LIFECYCLE_GRACE_S", "soon")
    ran = run("token", "ann")
    assert ran.code == 2
    assert len(ran.err) == 1
    assert "MENTRA_TRIO_LIFECYCLE_GRACE_S" in ran.err[0]


@pytest.mark.parametrize(
    "arguments",
    [[], ["--help"], ["apps"], ["apps", "--help"], ["serve", "--help"], ["apps", "add", "--help"]],
)
def test_help_is_no_error(run: Run, arguments: list[str]) -> None:
    ran = run(*arguments)
    assert ran.code == 0
    assert ran.err == []
    assert ran.out[0].startswith("Usage: mentra-trio")


@pytest.mark.parametrize(
    "command",
    [
        ["serve"],
        ["demo"],
        ["token"],
        *(["apps", name] for name in ("add", "list", "show", "remove", "rotate-key")),
    ],
)
def test_every_command_takes_a_data_dir(run: Run, command: list[str]) -> None:
    assert any("--data-dir" in line for line in run(*command, "--help").out)


def test_help_in_short(run: Run) -> None:
    for command in ([], ["serve"], ["apps"], ["apps", "add"]):
        assert run(*command, "-h") == run(*command, "--help")
    assert any(line.split() == ["apps", "Register", "app", "servers."] for line in run("-h").out)


@pytest.mark.parametrize(
    ("call", "suggested"),
    [
        (["serve", "--data"], "Did you mean '--data-dir'?"),
        (["serve", "--pub", "x"], ""),
        (["app"], "Did you mean 'apps'?"),
        (["frob"], ""),
        (["serve", "--set", "lifecycle.x=1"], ""),
        (["serve", "--set", "lifecycle.grace=1"], "did you mean lifecycle.grace_s?"),
    ],
)
def test_only_what_is_very_much_alike_is_suggested(
    run: Run, call: list[str], suggested: str
) -> None:
    [line] = run(*call).err
    assert line.endswith(suggested)
    assert ("mean" in line) == bool(suggested)


def test_an_app_that_is_added_again_keeps_its_key(run: Run, tmp_path: Path) -> None:
    add = ("apps", "add", PACKAGE, "--data-dir", tmp_path, "--url")
    assert len(run(*add, URL).out) == 3
    with sqlite3.connect(tmp_path / DATABASE_NAME) as database:

        def key_hash() -> str:
            [(found,)] = database.execute("SELECT key_hash FROM apps").fetchall()
            return str(found)

        before = key_hash()
        again = run(*add, "http://127.0.0.1:7011")
        assert again.out == [
            f"{PACKAGE} is registered anew; its API key is unchanged",
            "webhooks go to http://127.0.0.1:7011/webhook",
        ]
        assert key_hash() == before
        replaced = run(*add, URL, "--api-key", "another-key")
        assert replaced.out[0] == f"{PACKAGE} is registered anew; its API key is replaced"
        assert key_hash() == hash_api_key("another-key")
    database.close()


def test_the_servers_and_networks_of_an_app(run: Run, tmp_path: Path) -> None:
    def shown() -> dict[str, str]:
        lines = run("apps", "show", PACKAGE, "--data-dir", tmp_path).out
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

    add = ("apps", "add", PACKAGE, "--data-dir", tmp_path, "--url", URL)
    run(*add, "--allow-from", "10.1.2.3/8", "--allow-from", "::1", "--server-url", URL + "/a/")
    first = shown()
    assert first["allowed from"] == "10.0.0.0/8 ::1/128"
    assert first["server urls"] == URL + "/a"
    assert first["registration"].startswith("reg_")
    run(*add)
    again = shown()
    assert (again["allowed from"], again["server urls"]) == ("anywhere", "none")
    assert again["registration"] == first["registration"]


@pytest.mark.parametrize("depth", [0, 2])
def test_ctrl_c_in_the_demonstration_is_no_traceback(
    run: Run, monkeypatch: pytest.MonkeyPatch, depth: int
) -> None:
    interrupt: BaseException = KeyboardInterrupt()
    for _ in range(depth):
        interrupt = BaseExceptionGroup("of a nursery", [interrupt])

    async def interrupted(write: object) -> None:
        await trio.lowlevel.checkpoint()
        raise interrupt

    # In the package, `demo` may be the command of that name instead of the module.
    monkeypatch.setattr(importlib.import_module("mentra_trio.cli.demo"), "run_demo", interrupted)
    ran = run("demo")
    assert (ran.code, ran.out, "".join(ran.err)) == (130, [], "")


def test_version(run: Run) -> None:
    assert run("--version").out[0].startswith("mentra-trio, version ")


def test_an_app_from_registration_to_removal(run: Run, tmp_path: Path) -> None:
    where = ("--data-dir", tmp_path)
    assert "no apps" in run("apps", "list", *where).out[0]
    added = run(
        *("apps", "add", PACKAGE, "--url", URL + "/", "--name", "Live captions"),
        *("--type", "background", "--permission", "MICROPHONE", "--permission", "location"),
        *where,
    )
    assert added.code == 0
    assert len(added.out) == 3
    key = added.out[-1]
    assert len(key) >= 32
    [line] = run("apps", "list", *where).out
    assert line.split() == [PACKAGE, "background", URL, "Live", "captions"]
    shown = "\n".join(run("apps", "show", PACKAGE, *where).out)
    for part in (PACKAGE, URL + "/webhook", "Live captions", "background", "LOCATION MICROPHONE"):
        assert part in shown
    assert key not in shown
    rotated = run("apps", "rotate-key", PACKAGE, *where)
    assert rotated.out[-1] not in {key, ""}
    assert run("apps", "remove", PACKAGE, *where).code == 0
    assert run("apps", "remove", PACKAGE, *where).code == 2


def test_a_key_that_was_given_is_not_repeated(run: Run, tmp_path: Path) -> None:
    where = ("--data-dir", tmp_path)
    for command in (
        ("apps", "add", PACKAGE, "--url", URL, "--api-key", "my-own-key"),
        ("apps", "rotate-key", PACKAGE, "--api-key", "my-own-key"),
    ):
        ran = run(*command, *where)
        assert ran.code == 0
        assert "my-own-key" not in "\n".join(ran.out + ran.err)


def test_a_key_that_no_header_can_carry_is_refused(run: Run, tmp_path: Path) -> None:
    where = ("--data-dir", tmp_path)
    run("apps", "add", PACKAGE, "--url", URL, *where)
    for key in ("k" * 8 + "\udcff", "kükükükük", "k" * 8 + "\n", " " * 9):
        ran = run("apps", "rotate-key", PACKAGE, "--api-key", key, *where)
        assert (ran.code, len(ran.err)) == (2, 1)
        assert "key" in ran.err[0]


def test_a_token_is_signed_with_the_secret_of_the_data_dir(run: Run, tmp_path: Path) -> None:
    token = run("token", "Ann@Example.com", "--ttl", "60", "--data-dir", tmp_path).out[-1]
    secret = load_or_make_secret(tmp_path, JWT_SECRET)
    now = datetime.now(UTC)
    assert verify_core_token(token, secret, now=now) == "ann@example.com"
    with pytest.raises(TokenError):
        verify_core_token(token, secret, now=now + timedelta(seconds=61))


def test_a_token_is_signed_with_the_secret_of_the_environment(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MENTRA_TRIO_JWT_SECRET", "e" * 40)
    token = run("token", "ann", "--data-dir", tmp_path).out[-1]
    far = datetime.now(UTC) + timedelta(days=10_000)
    assert verify_core_token(token, "e" * 40, now=far) == "ann"
    assert not list(tmp_path.glob("jwt*"))


def test_the_public_key_is_that_of_the_data_dir(run: Run, tmp_path: Path) -> None:
    shown = run("public-key", "--data-dir", tmp_path).out
    assert (shown[0], shown[-1]) == ("-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----")
    kept = read_key((tmp_path / "user-token-key.pem").read_text())
    assert "\n".join(shown) == public_pem(kept)
    assert run("public-key", "--data-dir", tmp_path).out == shown


def test_the_public_key_of_a_key_that_cannot_be_used_is_one_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MENTRA_TRIO_USER_TOKEN_KEY", "hunter2")
    ran = run("public-key", "--data-dir", tmp_path)
    assert (ran.code, len(ran.err)) == (2, 1)
    assert "MENTRA_TRIO_USER_TOKEN_KEY is not a private key" in ran.err[0]
    assert "hunter2" not in ran.err[0]


def test_the_data_dir_of_the_environment_is_used(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MENTRA_TRIO_SERVER_DATA_DIR", str(tmp_path / "env"))
    run("apps", "add", PACKAGE, "--url", URL)
    assert PACKAGE in run("apps", "list").out[0]
    assert (tmp_path / "env").is_dir()


@pytest.mark.parametrize("command", [["apps", "list"], ["token", "ann"]])
def test_a_data_dir_that_cannot_be_used_is_one_line(
    run: Run, tmp_path: Path, command: list[str]
) -> None:
    (tmp_path / "file").write_text("x")
    ran = run(*command, "--data-dir", tmp_path / "file")
    assert ran.code == 2
    assert len(ran.err) == 1
    assert str(tmp_path) in ran.err[0]
