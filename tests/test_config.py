"""Settings: sources, their order, and one clear line for everything that is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from mentra_trio.config import Config, is_loopback
from mentra_trio.config_sources import load_config
from mentra_trio.domain.errors import ConfigError


def problem(
    *, file: Path | None = None, environ: Mapping[str, str] | None = None, sets: Sequence[str] = ()
) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(file=file, environ=environ or {}, overrides=sets)
    text = str(caught.value)
    assert "\n" not in text
    assert "Traceback" not in text
    return text


def toml(folder: Path, content: str) -> Path:
    file = folder / "settings.toml"
    file.write_text(content, encoding="utf-8")
    return file


def test_without_sources_everything_is_the_default() -> None:
    assert load_config(environ={}) == Config()
    assert (Config().host, Config().port, Config().data_dir) == ("127.0.0.1", 8002, None)
    assert Config().lifecycle.grace_s == 5.0


def test_later_sources_win(tmp_path: Path) -> None:
    file = toml(tmp_path, "[lifecycle]\ngrace_s = 1\nconnect_s = 2\nwebhook_s = 3\n")
    environ = {
        "MENTRA_TRIO_LIFECYCLE_CONNECT_S": "20",
        "MENTRA_TRIO_LIFECYCLE_WEBHOOK_S": "30",
        "PATH": "/bin",
    }
    config = load_config(
        file=file,
        environ=environ,
        overrides=["lifecycle.webhook_s=300", "lifecycle.webhook_s=400"],
    )
    assert config.lifecycle.grace_s == 1.0
    assert config.lifecycle.connect_s == 20.0
    assert config.lifecycle.webhook_s == 400.0


def test_the_server_section_holds_the_plain_fields(tmp_path: Path) -> None:
    file = toml(
        tmp_path,
        '[server]\nhost = "0.0.0.0"\nport = 0\npublic_url = "https://a.example"\n'
        'data_dir = "/var/lib/mt"\ndrain_s = 0\n[webhooks]\nallow_private_networks = true\n',
    )
    config = load_config(file=file, environ={})
    assert config.host == "0.0.0.0"
    assert config.port == 0
    assert config.public_url == "https://a.example"
    assert config.data_dir == Path("/var/lib/mt")
    assert config.drain_s == 0
    assert config.webhooks.allow_private_networks is True


@pytest.mark.parametrize(
    ("text", "expected"), [("true", True), ("off", False), ("1", True), ("NO", False)]
)
def test_truth_can_be_written_in_the_usual_ways(text: str, *, expected: bool) -> None:
    config = load_config(environ={}, overrides=[f"webhooks.allow_private_networks={text}"])
    assert config.webhooks.allow_private_networks is expected


def test_an_empty_text_means_not_set() -> None:
    config = load_config(
        environ={"MENTRA_TRIO_SERVER_PUBLIC_URL": "", "MENTRA_TRIO_ADMIN_TOKEN": ""},
        overrides=["server.data_dir="],
    )
    assert config == Config()


@pytest.mark.parametrize(
    ("variable", "hint"),
    [
        ("MENTRA_TRIO_PORT", "did you mean MENTRA_TRIO_SERVER_PORT?"),
        ("MENTRA_TRIO_SERVER_PROT", "did you mean MENTRA_TRIO_SERVER_PORT?"),
        ("MENTRA_TRIO_ADMIN_TOKE", "did you mean MENTRA_TRIO_ADMIN_TOKEN?"),
        ("MENTRA_TRIO_FROBNICATE", "in the environment"),
    ],
)
def test_only_what_is_very_much_alike_is_suggested(variable: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(environ={variable: "1"})
    assert str(caught.value).endswith(hint)


def test_secrets_come_from_the_environment_and_are_not_shown() -> None:
    environ = {"MENTRA_TRIO_JWT_SECRET": "j" * 40, "MENTRA_TRIO_ADMIN_TOKEN": "an-admin-token-16"}
    config = load_config(environ=environ)
    assert (config.jwt_secret, config.admin_token) == ("j" * 40, "an-admin-token-16")
    assert "jjj" not in repr(config)
    assert "an-admin" not in repr(config)


def test_the_other_secrets_come_from_the_environment_too() -> None:
    pem = "-----BEGIN PRIVATE KEY-----\nzzz"
    environ = {
        "MENTRA_TRIO_USER_TOKEN_KEY": pem,
        "MENTRA_TRIO_SUPABASE_JWT_SECRET": "p" * 32,
    }
    config = load_config(environ=environ)
    assert (config.user_token_key, config.supabase_jwt_secret) == (pem, "p" * 32)
    assert "zzz" not in repr(config)
    assert "ppp" not in repr(config)
    text = problem(environ={"MENTRA_TRIO_SUPABASE_JWT_SECRET": "hunter2"})
    assert "MENTRA_TRIO_SUPABASE_JWT_SECRET must be at least 32 bytes" in text
    for name, variable in (("user_token_key", "USER_TOKEN_KEY"), ("supabase_jwt_secret", "SUPA")):
        assert variable in problem(sets=[f"server.{name}=x"])


@pytest.mark.parametrize(
    ("sets", "words"),
    [
        (["lifecycle.grace=3"], ["lifecycle.grace", "did you mean lifecycle.grace_s?"]),
        (["port=3"], ["'port'", "did you mean server.port?"]),
        (["zzz.qqq=3"], ["'zzz.qqq'", "--set"]),
        (["nothing"], ["'nothing'", "section.key=value"]),
        (["server.port=http"], ["server.port", "whole number", "'http'"]),
        (["server.port=70000"], ["server.port", "0 to 65535", "70000"]),
        (["lifecycle.grace_s=-1"], ["lifecycle.grace_s must", "-1"]),
        (["heartbeat.interval_s=0"], ["heartbeat.interval_s must"]),
        (["heartbeat.interval_s=nan"], ["heartbeat.interval_s", "number"]),
        (["heartbeat.interval_s=inf"], ["heartbeat.interval_s", "number"]),
        (["limits.message_bytes=1.5"], ["limits.message_bytes", "whole number"]),
        (["webhooks.allow_private_networks=maybe"], ["allow_private_networks", "true or false"]),
        (["server.public_url=glasses"], ["server.public_url", "address"]),
        (["server.public_url=http://[::1"], ["server.public_url", "address"]),
        (["server.public_url=http://h:99999"], ["server.public_url", "address"]),
        (["server.public_url=https://u:p@h"], ["server.public_url", "credentials"]),
        (["server.tls_cert=c.pem"], ["server.tls_key", "missing"]),
        (["server.tls_key=k.pem"], ["server.tls_cert", "missing"]),
        (["server.host="], ["server.host", "empty"]),
        (["server.drain_s=-1"], ["server.drain_s must"]),
        (["server.log_level=loud"], ["server.log_level", "debug"]),
        (["server.jwt_secret=" + "x" * 40], ["secret", "MENTRA_TRIO_JWT_SECRET"]),
        (["server.port=1\n2"], ["server.port"]),
        (["server.tls_cert=c.pem", "server.tls_key=k.pem", "server.port=-1"], ["server.port"]),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(sets: list[str], words: list[str]) -> None:
    text = problem(sets=sets)
    for word in words:
        assert word in text


def test_the_line_names_the_variable_of_the_environment() -> None:
    text = problem(environ={"MENTRA_TRIO_LIFECYCLE_GRACE_S": "soon"})
    assert "lifecycle.grace_s" in text
    assert "MENTRA_TRIO_LIFECYCLE_GRACE_S" in text


def test_an_unknown_variable_of_ours_is_an_error() -> None:
    text = problem(environ={"MENTRA_TRIO_SERVER_PROT": "1"})
    assert "MENTRA_TRIO_SERVER_PROT" in text
    assert "MENTRA_TRIO_SERVER_PORT" in text


def test_a_short_secret_is_refused_and_not_shown() -> None:
    text = problem(environ={"MENTRA_TRIO_JWT_SECRET": "hunter2"})
    assert "MENTRA_TRIO_JWT_SECRET" in text
    assert "32 bytes" in text
    assert "hunter2" not in text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[server\n", ["not valid TOML", "line 1"]),
        ("[sever]\nport = 1", ["sever.port", "server.port"]),
        ("[sever]", ["'sever'", "server"]),
        ("port = 1", ["did you mean server.port?"]),
        ('[server]\nport = "x"', ["server.port"]),
        ("[server]\nport = true", ["server.port", "whole number"]),
        ("[server]\nhost = 1", ["server.host", "text"]),
        ("[server]\ndata_dir = 3", ["server.data_dir", "path"]),
        ("[lifecycle]\ngrace_s = 1" + "0" * 400, ["lifecycle.grace_s", "number"]),
        ("[webhooks]\nallow_private_networks = 1", ["allow_private_networks", "true or false"]),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path: Path, content: str, words: list[str]) -> None:
    text = problem(file=toml(tmp_path, content))
    for word in words:
        assert word in text


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    assert "nowhere.toml" in problem(file=tmp_path / "nowhere.toml")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    assert "binary.toml" in problem(file=binary)


@pytest.mark.parametrize(
    ("host", "private", "expected"),
    [
        ("127.0.0.1", None, True),
        ("::1", None, True),
        ("localhost", None, True),
        ("0.0.0.0", None, False),
        ("glasses.example.com", None, False),
        ("127.0.0.1", False, False),
        ("0.0.0.0", True, True),
    ],
)
def test_private_networks_are_for_loopback_unless_set(
    host: str, private: bool | None, *, expected: bool
) -> None:
    sets = [f"server.host={host}"]
    if private is not None:
        sets.append(f"webhooks.allow_private_networks={private}")
    config = load_config(environ={}, overrides=sets)
    assert config.allows_private_networks is expected
    assert isinstance(is_loopback(host), bool)


@pytest.mark.parametrize("token", ["né-un-jeton", "two\nlines", " spaces around "])
def test_an_admin_token_that_no_header_carries(token: str) -> None:
    with pytest.raises(ConfigError, match="admin_token must be printable ASCII") as raised:
        load_config(environ={"MENTRA_TRIO_ADMIN_TOKEN": token})
    assert token.strip() not in str(raised.value)
