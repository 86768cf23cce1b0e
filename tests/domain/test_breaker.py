"""What is known of an app server after a row of signs, and how often it is tried while down."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mentra_trio.domain.breaker import (
    PROBE_JITTER,
    SIGNS,
    STRIKES,
    Breaker,
    Sign,
    probe_delay,
    sign_of,
)
from mentra_trio.domain.errors import WebhookFailure
from mentra_trio.domain.timings import Lifecycle

BAD = [Sign.AWAY, Sign.GONE, Sign.MISCONFIGURED]

stories = st.lists(st.tuples(st.floats(0.1, 100.0), st.sampled_from(Sign)), max_size=12)
jitters = st.floats(0, 1, exclude_max=True)


def told(story: list[tuple[float, Sign]]) -> tuple[Breaker, list[tuple[float, Sign]]]:
    """A breaker that was told of ``story`` (seconds since the sign before), and when each came."""
    breaker, now = Breaker(), 0.0
    at: list[tuple[float, Sign]] = []
    for seconds, sign in story:
        now += seconds
        at.append((now, sign))
        breaker = breaker.after(sign, now)
    return breaker, at


def opened_at(failures: list[tuple[float, Sign]]) -> float | None:
    """The oracle: the first of ``failures`` in a row that shows that the server is down."""
    for number, (moment, sign) in enumerate(failures, start=1):
        if sign is not Sign.FAILED or number >= STRIKES:
            return moment
    return None


@given(stories)
def test_it_is_down_since_the_first_failure_after_a_good_sign_that_was_the_servers(
    story: list[tuple[float, Sign]],
) -> None:
    breaker, signs = told(story)
    good = [number for number, (_, sign) in enumerate(signs) if sign is Sign.GOOD]
    failures = signs[good[-1] + 1 :] if good else signs
    since = opened_at(failures)
    assert breaker.down_since == since
    assert breaker.is_open is (since is not None)
    assert breaker.failures == len(failures)
    assert breaker.sign is (failures[-1][1] if since is not None else Sign.GOOD)
    assert breaker.good_at == (signs[good[-1]][0] if good else None)
    bad = [moment for moment, sign in signs if sign is not Sign.GOOD]
    assert breaker.failed_at == (bad[-1] if bad else None), "kept over good signs"


@given(stories, st.floats(0, 1_000))
def test_it_vouches_for_sessions_lost_before_the_last_good_sign_while_it_is_closed(
    story: list[tuple[float, Sign]], lost_at: float
) -> None:
    breaker, signs = told(story)
    good_since = any(moment > lost_at for moment, sign in signs if sign is Sign.GOOD)
    assert breaker.vouches_for(lost_at) is (good_since and not breaker.is_open)


def test_a_sign_of_the_very_moment_of_the_loss_vouches_for_nothing() -> None:
    assert not Breaker().after(Sign.GOOD, 5.0).vouches_for(5.0)


@pytest.mark.parametrize("sign", BAD)
def test_one_failure_of_the_server_is_enough(sign: Sign) -> None:
    assert Breaker().after(sign, 1.0).is_open


def test_a_failure_of_one_app_is_the_servers_only_when_it_is_repeated() -> None:
    breaker = Breaker()
    for moment in range(1, STRIKES):
        breaker = breaker.after(Sign.FAILED, moment)
        assert not breaker.is_open
    assert breaker.after(Sign.FAILED, STRIKES).is_open
    breaker = breaker.after(Sign.GOOD, STRIKES).after(Sign.FAILED, STRIKES + 1)
    assert not breaker.is_open, "a good sign between them takes the strikes back"


SCHEDULE = Lifecycle(
    probe_s=2, probe_fast_for_s=60, probe_slow_s=15, resurrection_budget_s=180, probe_rare_s=900
)


@given(st.sampled_from([*BAD, Sign.FAILED]), st.integers(0, 2_000), st.integers(0, 2_000), jitters)
def test_trials_are_frequent_at_first_then_seldom_then_rare(
    sign: Sign, tried: int, since: int, jitter: float
) -> None:
    breaker = Breaker(down_since=100.0, failures=1, sign=sign)
    tried_at = 100.0 + tried
    if tried + since >= 180:
        longest = 900.0
    elif tried >= 60 or sign in {Sign.GONE, Sign.MISCONFIGURED}:
        longest = 15.0
    else:
        longest = 2.0
    now = tried_at + since
    delay = probe_delay(breaker, SCHEDULE, tried_at=tried_at, now=now, jitter=jitter)
    assert longest * (1 - PROBE_JITTER) <= delay <= longest
    assert probe_delay(breaker, SCHEDULE, tried_at=tried_at, now=now, jitter=0) == longest


def test_the_bounds_themselves_belong_to_the_slower_side() -> None:
    breaker = Breaker().after(Sign.AWAY, 0.0)
    at = {
        now: probe_delay(breaker, SCHEDULE, tried_at=now, now=now, jitter=0)
        for now in (59.9, 60, 179.9, 180)
    }
    assert at == {59.9: 2.0, 60: 15.0, 179.9: 15.0, 180: 900.0}


def test_the_last_trial_of_the_first_minute_is_followed_as_soon_as_the_others() -> None:
    breaker = Breaker().after(Sign.AWAY, 0.0)
    assert probe_delay(breaker, SCHEDULE, tried_at=59, now=60.9, jitter=0) == 2.0


def test_a_closed_breaker_counts_as_down_for_no_time_at_all() -> None:
    assert probe_delay(Breaker(), SCHEDULE, tried_at=1e6, now=1e6, jitter=0) == 2.0


def test_every_way_in_which_a_webhook_fails_is_a_sign_and_none_is_a_good_one() -> None:
    assert set(SIGNS) == set(WebhookFailure)
    assert {sign_of(failure) for failure in WebhookFailure} == {*BAD, Sign.FAILED}


@pytest.mark.parametrize(
    ("failure", "sign"),
    [
        (WebhookFailure.REFUSED, Sign.AWAY),
        (WebhookFailure.TIMEOUT, Sign.AWAY),
        (WebhookFailure.UNAVAILABLE, Sign.AWAY),
        (WebhookFailure.UNRESOLVED, Sign.GONE),
        (WebhookFailure.GONE, Sign.GONE),
        (WebhookFailure.BLOCKED, Sign.MISCONFIGURED),
        (WebhookFailure.MISCONFIGURED, Sign.MISCONFIGURED),
        (WebhookFailure.ERROR, Sign.FAILED),
    ],
)
def test_a_failure_is_classed_by_what_would_mend_it(failure: WebhookFailure, sign: Sign) -> None:
    assert sign_of(failure) is sign


def test_an_app_that_was_heard_after_the_failure_ends_the_outage_and_vouches_for_nobody() -> None:
    down = Breaker().after(Sign.AWAY, 10.0)
    assert down.heard(9.0) is down
    assert down.heard(10.0) is down, "in the very moment of the failure it may have been before"
    up = down.heard(10.1)
    assert not up.is_open
    assert not up.vouches_for(0.0)
    assert up.heard(20.0) is up


def test_a_server_that_was_away_is_asked_first_but_every_fifth_time_it_is_called() -> None:
    breaker, asked = Breaker(), []
    for moment in range(11):
        breaker = breaker.after(Sign.AWAY, float(moment))
        asked.append(breaker.asks_first)
    assert asked == [True, True, True, True, False, True, True, True, True, False, True]


@pytest.mark.parametrize("sign", sorted(set(Sign) - {Sign.AWAY}, key=str))
def test_only_a_server_that_was_away_is_asked_first(sign: Sign) -> None:
    assert not Breaker().after(sign, 1.0).asks_first
