"""Log lines: one per fact, on one line, without names, keys or payloads."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
import structlog
from hypothesis import example as for_instance
from hypothesis import given
from hypothesis import strategies as st

from mentra_trio.domain import facts
from mentra_trio.domain.attachment import UserState
from mentra_trio.domain.close_reasons import APP_STOPPED, CloseReason
from mentra_trio.domain.facts import Fact
from mentra_trio.domain.ids import package_name, user_id
from mentra_trio.domain.lifecycle import AppEvent, AppState
from mentra_trio.domain.wording import printable
from mentra_trio.environment import Environment
from mentra_trio.telemetry.log_fields import user_hash
from mentra_trio.telemetry.log_lines import LINES, LogLines
from mentra_trio.telemetry.logfmt import Log

USER, PACKAGE = user_id("ann@example.com"), package_name("com.example.captions")


def all_facts() -> list[type[Fact]]:
    kinds = [kind for kind in vars(facts).values() if isinstance(kind, type)]
    return [kind for kind in kinds if issubclass(kind, Fact) and kind is not Fact]


def example(cls: type[Fact]) -> Fact:
    values: dict[str, Any] = {
        "user": USER,
        "package": PACKAGE,
        "error": ValueError("payload of a peer"),
        "reason": APP_STOPPED if cls is facts.LinkEnded else "outbox full",
        "old": UserState.CONNECTED if cls is facts.UserStateChanged else AppState.RUNNING,
        "new": UserState.DISCONNECTED if cls is facts.UserStateChanged else AppState.GRACE_PERIOD,
        "event": AppEvent.LINK_LOST,
        "seconds": 1.23456,
        "epoch": 2,
        "streams": ("button_press", "transcription:en-US"),
        "rejected": (),
    }
    names = [field.name for field in attrs.fields(cls)]
    return cls(**{name: values.get(name, f"some {name}") for name in names})


def lines_of(*emitted: Fact, level: str = "info", as_given: bool = False) -> list[str]:
    stream = io.StringIO()
    sink = LogLines(Log(stream, level), user_ids_as_given=as_given)
    for fact in emitted:
        sink.emit(fact)
    return stream.getvalue().splitlines()


@pytest.mark.parametrize("cls", all_facts())
def test_every_fact_is_one_line(cls: type[Fact]) -> None:
    assert cls in LINES
    [line] = lines_of(example(cls), level="debug")
    event, _ = LINES[cls]
    assert f'event="{event}"' in line or f"event={event}" in line
    assert USER not in line
    assert "payload of a peer" not in line


def test_events_have_names_of_their_own() -> None:
    assert len({event for event, _ in LINES.values()}) == len(LINES) == len(all_facts())


@pytest.mark.parametrize("cls", all_facts())
def test_no_fact_has_a_field_for_a_secret(cls: type[Fact]) -> None:
    for field in attrs.fields(cls):
        for word in ("key", "token", "secret", "password", "payload", "body", "frame", "header"):
            assert word not in field.name


def test_user_ids_are_given_for_debugging_only() -> None:
    fact = example(facts.LinkAttached)
    [hidden] = lines_of(fact)
    [given] = lines_of(fact, as_given=True)
    assert f"user={user_hash(USER)}" in hidden
    assert USER not in hidden
    assert f"user={USER}" in given


@pytest.mark.parametrize(
    "fact",
    [
        facts.FrameIgnored(endpoint="glasses", peer=USER, problem="no such type"),
        facts.FrameIgnored(endpoint="glasses", peer="plain name", problem="no such type"),
        facts.Crashed(bulkhead="user session", who=USER, error=KeyError("x")),
        facts.Crashed(bulkhead="app session", who=f"{PACKAGE} of plain name", error=KeyError("x")),
        facts.StoreTrouble(user=USER, problem=f"cannot write {USER}"),
        facts.UpdateFailed(
            user=user_id("plain name"), package=PACKAGE, problem="no plain name in table"
        ),
    ],
)
def test_users_are_not_named_by_other_fields_either(fact: Fact) -> None:
    [line] = lines_of(fact)
    assert USER not in line
    assert "plain name" not in line
    assert "u:" in line


@pytest.mark.parametrize("name", ["a", "store", "link", "r"])
def test_a_user_id_inside_other_words_garbles_nothing(name: str) -> None:
    user = user_id(name)
    stopped = AppState.STOPPED
    moved = facts.AppStateChanged(
        user=user, package=PACKAGE, old=None, new=stopped, event=None, cause="a link to the store"
    )
    trouble = facts.StoreTrouble(user=user, problem="restoreable /data/m.sqlite3 backlinks x@r.y")
    lines = lines_of(moved, trouble)
    assert 'cause="a link to the store"' in lines[0]
    assert "restoreable /data/m.sqlite3 backlinks " in lines[1]
    assert all(f"user={user_hash(name)}" in line for line in lines)


@pytest.mark.parametrize("problem", ["no row of {}", "{}: no row", "no row '{}'.", "row={}, no"])
def test_a_user_id_that_is_a_word_is_masked(problem: str) -> None:
    user = user_id("store")
    [line] = lines_of(facts.StoreTrouble(user=user, problem=problem.format(user)))
    assert problem.format(user_hash(user)) in line


def test_a_missing_permission_is_a_warning() -> None:
    def changed(*rejected: str) -> Fact:
        return facts.SubscriptionsChanged(
            user=USER, package=PACKAGE, streams=("button_press",), rejected=rejected
        )

    assert lines_of(changed()) == []
    hints = "transcription:en-US?hints=de"
    [line] = lines_of(changed(hints, "audio_chunk", "transcription:pass word", "a" * 99))
    assert "level=warning" in line
    assert f"rejected=transcription:en-US,audio_chunk,{'a' * 40}" in line
    assert "pass" not in line
    [line] = lines_of(changed(*(f"s_{letter}" for letter in "abcdefgh")))
    assert "rejected=s_a,s_b,s_c,s_d,s_e" in line
    assert "s_f" not in line


def test_empty_fields_are_left_out_and_zero_is_not_empty() -> None:
    started = facts.StartEnded(user=USER, package=PACKAGE, stage="", message="", seconds=0.0)
    attached = facts.LinkAttached(endpoint="glasses", user=USER, package=None, peer="1.2.3.4:5")
    lines = lines_of(started, attached)
    for name in ("stage", "message", "package"):
        assert f" {name}=" not in lines[0].replace(f" package={PACKAGE}", "")
        assert f" {name}=" not in lines[1]
    assert "seconds=0.0" in lines[0]


@pytest.mark.parametrize(
    "peer", ["192.0.2.1:5000", "[2001:db8::1]:5000", "com.example.captions at 127.0.0.1:80"]
)
def test_addresses_are_shown(peer: str) -> None:
    [line] = lines_of(facts.FrameIgnored(endpoint="app", peer=peer, problem="x"))
    assert peer in line


def test_a_peer_cannot_forge_a_line() -> None:
    evil = "x\nlevel=error event=forged\x1b[31m\u2028"
    emitted = lines_of(facts.FrameIgnored(endpoint="app", peer="1.2.3.4:5", problem=evil))
    assert len(emitted) == 1
    assert "\x1b" not in emitted[0]


def test_the_text_of_a_peers_close_is_not_repeated() -> None:
    reason = CloseReason(4000, "my password is hunter2")
    fact = facts.LinkEnded(
        endpoint="app", user=USER, package=PACKAGE, peer="1.2.3.4:5", reason=reason
    )
    [line] = lines_of(fact)
    assert "4000" in line
    assert "hunter2" not in line


def test_a_crash_is_told_by_type_and_place() -> None:
    def inner() -> None:
        raise LookupError("payload of a peer")

    try:
        inner()
    except LookupError as error:
        group = ExceptionGroup("several", [error])
    [line] = lines_of(facts.Crashed(bulkhead="connection", who="1.2.3.4:5", error=group))
    assert "LookupError" in line
    assert "in inner" in line
    assert "telemetry/test_log_lines.py" in line
    assert "payload" not in line


def test_the_level_decides_what_is_written() -> None:
    joined = facts.StartJoined(user=USER, package=PACKAGE)
    failed = facts.StartEnded(user=USER, package=PACKAGE, stage="TIMEOUT", message="m", seconds=1)
    assert len(lines_of(joined, failed)) == 1
    assert len(lines_of(joined, failed, level="debug")) == 2
    assert "level=warning" in lines_of(failed)[0]
    assert lines_of(failed, level="error") == []


@attrs.define
class Clock:
    """A wall clock that a test moves."""

    now: datetime = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.mark.parametrize("step", [1, -1, 3600])
def test_noise_is_limited_and_the_rest_counted(step: int) -> None:
    stream, clock = io.StringIO(), Clock()
    sink = LogLines(Log(stream, "info"), environment=Environment(utcnow=clock))
    for n in range(300):
        sink.emit(example((facts.ConnectionRefused, facts.FrameIgnored, facts.FrameDropped)[n % 3]))
    sink.emit(example(facts.LinkAttached))
    clock.move(0.9)
    sink.emit(example(facts.FrameIgnored))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 11, "ten of the noise, and what is none"
    assert "link attached" in lines[-1]
    clock.move(step)
    sink.emit(example(facts.FrameIgnored))
    sink.emit(example(facts.LinkEnded))
    more = stream.getvalue().splitlines()[11:]
    assert len(more) == 3
    assert 'event="lines left out" count=191' in more[0], "what is below the level is not counted"
    assert "frame ignored" in more[1]


def test_little_noise_is_written_and_nothing_said_of_it() -> None:
    stream, clock = io.StringIO(), Clock()
    sink = LogLines(Log(stream, "debug"), environment=Environment(utcnow=clock))
    for _ in range(40):
        sink.emit(example(facts.FrameDropped))
        clock.move(0.25)
    assert len(stream.getvalue().splitlines()) == 40


def test_a_log_that_is_gone_hurts_nobody() -> None:
    stream = io.StringIO()
    sink = LogLines(Log(stream, "info"))
    stream.close()
    sink.emit(facts.ServerDraining())


@given(
    st.dictionaries(
        st.sampled_from(["who", "problem", "peer", "count", "ok", "streams"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text()
        | st.lists(st.text(), max_size=3),
    ),
    st.sampled_from(["link ended", "crashed", 'a "word"']),
)  # fmt: skip
@for_instance({"problem": 'a "b" \\ = c\n\r\x1b', "peer": "\\n", "who": "\\", "ok": False}, "x")
def test_a_line_is_what_structlog_makes_of_it(fields: dict[str, Any], event: str) -> None:
    ours, theirs = io.StringIO(), io.StringIO()
    Log(ours, "info").write("info", event, **fields)
    plain = {
        name: printable(",".join(value) if isinstance(value, list) else value)
        if isinstance(value, str | list)
        else value
        for name, value in fields.items()
        if value not in (None, "", [])
    }
    structlog.wrap_logger(
        structlog.WriteLogger(theirs),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.LogfmtRenderer(key_order=["level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
        context_class=dict,
    ).info(event, **plain)
    stamp, _, rest = ours.getvalue().partition(" ")
    assert stamp.startswith("timestamp=20")
    assert rest == theirs.getvalue()
