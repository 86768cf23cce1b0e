"""The rules of camera streams."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mentra_trio.domain.camera import Camera
from mentra_trio.domain.capabilities import capabilities_of
from mentra_trio.domain.ids import package_name
from mentra_trio.domain.live_streams import (
    OUTPUTS_PER_APP,
    OUTPUTS_PER_STREAM,
    OVER,
    Output,
    OutputProblem,
    StreamKind,
    StreamStatus,
    address_problem,
    missed_after,
    new_outputs,
    start_problem,
    status_said,
)

MAY = frozenset({"CAMERA"})
HERE = Camera(phone=True)
A, B, C = (package_name(f"com.t.{name}") for name in "abc")
URL = "rtmp://a.test/live/key"


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("initializing", "initializing"),
        ("connecting", "initializing"),
        ("reconnecting", "initializing"),
        ("active", "active"),
        ("streaming", "active"),
        ("stopping", "stopping"),
        ("stopped", "stopped"),
        ("disconnected", "stopped"),
        ("error", "error"),
        ("timeout", "timeout"),
    ],
)
def test_what_phones_say_is_mapped(said: str, meant: str) -> None:
    status = status_said(said)
    assert status is not None
    assert status.value == meant


@given(st.text())
def test_other_words_mean_nothing(text: str) -> None:
    status = status_said(text)
    assert status is None or isinstance(status, StreamStatus)
    assert status_said(f"{text}?") is None


def test_three_states_are_the_end() -> None:
    assert {status.value for status in OVER} == {"stopped", "error", "timeout"}


@pytest.mark.parametrize("url", [URL, "rtmps://a.test:443/live/key", "rtmp://[::1]/x", "rtmp://h"])
def test_addresses(url: str) -> None:
    assert address_problem(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://a.test/x",
        "rtmp:",
        "rtmp://",
        "rtmp://:5/x",
        "RTMP",
        "rtmp://[::1/x",
        "rtmp://a.test:0/",
        "rtmp://a.test:99999/",
        "rtmp://a b/x",
        "rtmp://a/\n",
        " rtmp://a/",
    ],
)
def test_no_addresses(url: str) -> None:
    assert address_problem(url) is not None


@given(st.text())
def test_any_text_is_an_address_or_not(text: str) -> None:
    problem = address_problem(text)
    assert problem in {None, address_problem("")}, "it never repeats what was sent"


KINDS = st.sampled_from(list(StreamKind))


@given(KINDS, st.sampled_from([None, *StreamKind]))
def test_only_streams_of_the_other_kind_are_in_the_way(
    kind: StreamKind, running: StreamKind | None
) -> None:
    problem = start_problem(kind, MAY, HERE, running=running)
    if running in {None, kind}:
        assert problem is None
    else:
        assert problem is not None
        assert problem.startswith("app: ")


@given(KINDS, st.booleans(), st.booleans(), st.booleans(), st.booleans())
def test_obstacles_come_before_addresses_before_conflicts(
    kind: StreamKind, may: bool, phone: bool, good_url: bool, conflict: bool
) -> None:
    other = StreamKind.MANAGED if kind is StreamKind.UNMANAGED else StreamKind.UNMANAGED
    problem = start_problem(
        kind,
        MAY if may else frozenset(),
        Camera(phone=phone),
        running=other if conflict else None,
        url=URL if good_url else "x",
    )
    if not may:
        assert problem is not None
        assert problem.startswith("app: Camera permission required")
    elif not phone:
        assert problem == "phone: not connected"
    elif not good_url:
        assert problem is not None
        assert "rtmp://" in problem
    else:
        assert (problem is None) == (not conflict)


def test_glasses_with_wifi_must_be_in_a_network() -> None:
    live = Camera(
        phone=True, model="Mentra Live", capabilities=capabilities_of("Mentra Live"), wifi=False
    )
    problem = start_problem(StreamKind.UNMANAGED, MAY, live, running=None, url=URL)
    assert problem is not None
    assert "no_wifi_connection" in problem


@given(st.integers(0, 3), st.booleans(), st.booleans())
def test_misses_in_a_row(missed: int, answered: bool, away: bool) -> None:
    after = missed_after(missed, answered=answered, phone_away=away)
    assert after == (0 if answered else missed if away else missed + 1)


wishes = st.lists(
    st.tuples(
        st.one_of(
            st.integers(0, 15).map(lambda number: f"rtmp://a.test/live/{number}"),
            st.just("http://no"),
        ),
        st.none() | st.text(max_size=3),
    ),
    max_size=15,
)


@given(st.lists(st.tuples(st.sampled_from([A, B, C]), wishes), max_size=4))
def test_outputs_stay_within_their_limits(
    requests: list[tuple[str, list[tuple[str, str | None]]]],
) -> None:
    present: list[Output] = []
    for package, wished in requests:
        found = new_outputs(present, package_name(package), wished)
        assert [(one.url, one.name) for one in found] == wished
        present += [one for one in found if one.problem is None]
    urls = [one.url for one in present]
    assert len(set(urls)) == len(urls) <= OUTPUTS_PER_STREAM
    assert all(address_problem(url) is None for url in urls)
    for package in (A, B, C):
        assert sum(one.package == package for one in present) <= OUTPUTS_PER_APP


def urls(numbers: range) -> list[tuple[str, None]]:
    return [(f"rtmp://a.test/live/{number}", None) for number in numbers]


def test_each_limit_has_its_name() -> None:
    eleven = new_outputs((), A, urls(range(11)))
    assert [one.problem for one in eleven[:10]] == [None] * 10
    assert eleven[10].problem is OutputProblem.MAX_APP_OUTPUTS_REACHED
    (more,) = new_outputs(eleven[:10], B, urls(range(20, 21)))
    assert more.problem is OutputProblem.MAX_OUTPUTS_REACHED
    (twice,) = new_outputs(eleven[:2], B, urls(range(1)))
    assert twice.problem is OutputProblem.DUPLICATE_URL
    (wrong,) = new_outputs((), B, [("http://a.test", "x")])
    assert wrong.problem is OutputProblem.INVALID_URL


def test_the_key_in_an_address_is_not_shown() -> None:
    assert "key" not in repr(Output(package=A, url=URL))
