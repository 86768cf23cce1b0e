"""Metrics: what each fact counts, and that labels stay bounded."""

from __future__ import annotations

from itertools import pairwise

import pytest
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from mentra_trio.domain import facts
from mentra_trio.domain.attachment import UserState
from mentra_trio.domain.breaker import Sign
from mentra_trio.domain.close_reasons import APP_STOPPED, CloseReason
from mentra_trio.domain.ids import PackageName, package_name, user_id
from mentra_trio.domain.lifecycle import AppEvent, AppState
from mentra_trio.telemetry.counts import HttpAnswers
from mentra_trio.telemetry.fan import Telemetries
from mentra_trio.telemetry.metrics import LABEL_VALUES_MAX, Metrics

USER, PACKAGE = user_id("ann@example.com"), package_name("com.example.captions")
S, E = AppState, AppEvent


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> Metrics:
    return Metrics(registry)


def app_moved(
    old: AppState | None, event: AppEvent | None, new: AppState, seconds: float = 2.0
) -> facts.AppStateChanged:
    return facts.AppStateChanged(
        user=USER, package=PACKAGE, old=old, new=new, event=event, cause="why", seconds=seconds
    )


def test_sessions_are_counted_by_state(registry: CollectorRegistry, metrics: Metrics) -> None:
    def apps(state: str) -> float | None:
        return registry.get_sample_value("mentra_app_sessions", {"state": state})

    metrics.emit(app_moved(None, None, S.CONNECTING))
    assert apps("connecting") == 1
    metrics.emit(app_moved(S.CONNECTING, E.LINK_ATTACHED, S.RUNNING))
    assert (apps("connecting"), apps("running")) == (0, 1)
    metrics.emit(app_moved(S.RUNNING, E.STOP_REQUESTED, S.STOPPING))
    metrics.emit(app_moved(S.STOPPING, E.WOUND_DOWN, S.STOPPED))
    assert (apps("running"), apps("stopping"), apps("stopped")) == (0, 0, None)


def test_recognisers_are_counted_by_language(registry: CollectorRegistry, metrics: Metrics) -> None:
    for now, times in (("opened", 3), ("failed", 2), ("closed", 1)):
        for _ in range(times):
            metrics.emit(facts.RecogniserChanged(user=USER, language="en-US", now=now))
        found = registry.get_sample_value(
            "mentra_recogniser_changes_total", {"language": "en-US", "now": now}
        )
        assert found == times


def test_what_is_there_now(registry: CollectorRegistry, metrics: Metrics) -> None:
    def now(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"mentra_{name}", labels)

    def recogniser(now: str) -> None:
        metrics.emit(facts.RecogniserChanged(user=USER, language="en-US", now=now))

    def stream(status: str, kind: str = "managed") -> None:
        fact = facts.StreamChanged(user=USER, package=PACKAGE, kind=kind, status=status)
        metrics.emit(fact)

    for change in ("failed", "opened", "opened"):
        recogniser(change)
    assert now("recognisers", language="en-US") == 1
    for change in ("failed", "closed"):
        recogniser(change)
        assert now("recognisers", language="en-US") == 0
    for status in ("initializing", "active", "initializing"):
        stream(status)
    stream("active", kind="unmanaged")
    assert (now("streams", kind="managed"), now("streams", kind="unmanaged")) == (1, 1)
    for status in ("stopping", "error", "stopped"):
        stream(status)
    assert (now("streams", kind="managed"), now("streams", kind="unmanaged")) == (0, 1)
    assert now("stream_changes_total", kind="managed", status="initializing") == 2


def test_only_photos_that_were_taken_are_timed(
    registry: CollectorRegistry, metrics: Metrics
) -> None:
    for problem in ("", "TIMEOUT"):
        fact = facts.PhotoEnded(user=USER, package=PACKAGE, problem=problem, seconds=2)
        metrics.emit(fact)
    assert registry.get_sample_value("mentra_photo_seconds_count") == 1
    for result in ("ok", "timeout"):
        labels = {"package": PACKAGE, "result": result}
        assert registry.get_sample_value("mentra_photos_total", labels) == 1


def test_answers_to_plain_requests(registry: CollectorRegistry, metrics: Metrics) -> None:
    metrics.add(HttpAnswers({200: 3, 429: 1}))
    for status, count in (("200", 3), ("429", 1)):
        found = registry.get_sample_value("mentra_http_answers_total", {"status": status})
        assert found == count


def test_user_sessions_are_counted_by_state(registry: CollectorRegistry, metrics: Metrics) -> None:
    steps = [None, UserState.CONNECTED, UserState.DISCONNECTED, UserState.DISCONNECTING, None]
    for old, new in pairwise(steps):
        metrics.emit(facts.UserStateChanged(user=USER, old=old, new=new, cause="c"))
    for state in steps[1:4]:
        assert state is not None
        labels = {"state": state.value}
        assert registry.get_sample_value("mentra_user_sessions", labels) == 0


@pytest.mark.parametrize(
    ("fact", "sample", "labels"),
    [
        (
            app_moved(S.GRACE_PERIOD, E.LINK_ATTACHED, S.RUNNING),
            "mentra_reconnects_total",
            {"package": PACKAGE, "result": "in_grace"},
        ),
        (
            app_moved(S.GRACE_PERIOD, E.LINK_ATTACHED, S.RUNNING),
            "mentra_reconnect_seconds_count",
            {},
        ),
        (
            app_moved(S.GRACE_PERIOD, E.GRACE_EXPIRED, S.DISCONNECTED),
            "mentra_reconnects_total",
            {"package": PACKAGE, "result": "too_late"},
        ),
        (
            app_moved(S.RESURRECTING, E.LINK_ATTACHED, S.RUNNING),
            "mentra_resurrections_total",
            {"package": PACKAGE, "result": "ok"},
        ),
        (
            app_moved(S.RESURRECTING, E.ATTEMPT_FAILED, S.BACKOFF),
            "mentra_resurrections_total",
            {"package": PACKAGE, "result": "failed"},
        ),
        (
            app_moved(S.BACKOFF, E.BUDGET_SPENT, S.EVICTED),
            "mentra_resurrections_total",
            {"package": PACKAGE, "result": "evicted"},
        ),
        (
            facts.FreshSession(user=USER, package=PACKAGE, cause="why: more", epoch=2),
            "mentra_fresh_sessions_total",
            {"package": PACKAGE, "cause": "why"},
        ),
        (
            facts.FalseResurrection(user=USER, package=PACKAGE),
            "mentra_false_resurrections_total",
            {"package": PACKAGE},
        ),
        (
            facts.MessagesMissed(user=USER, package=PACKAGE, count=1, reasons=("too old",)),
            "mentra_messages_missed_total",
            {"package": PACKAGE},
        ),
        (
            facts.HealthChecked(package=PACKAGE, result="refused", seconds=1),
            "mentra_health_checks_total",
            {"package": PACKAGE, "result": "refused"},
        ),
        (
            facts.EndpointChanged(package=PACKAGE, answers=False, sign=Sign.AWAY, waiting=3),
            "mentra_endpoint_down",
            {"package": PACKAGE},
        ),
        (
            app_moved(S.DORMANT, E.LINK_ATTACHED, S.RUNNING),
            "mentra_reconnects_total",
            {"package": PACKAGE, "result": "after_grace"},
        ),
        (
            app_moved(S.EVICTED, E.LINK_ATTACHED, S.RUNNING),
            "mentra_reconnects_total",
            {"package": PACKAGE, "result": "after_grace"},
        ),
        (
            facts.WebhookCalled(
                user=USER, package=PACKAGE, kind="session", result="timeout", seconds=3
            ),
            "mentra_webhooks_total",
            {"package": PACKAGE, "kind": "session", "result": "timeout"},
        ),
        (
            facts.WebhookCalled(user=USER, package=PACKAGE, kind="session", result="ok", seconds=3),
            "mentra_webhook_seconds_count",
            {},
        ),
        (
            facts.StartJoined(user=USER, package=PACKAGE),
            "mentra_starts_joined_total",
            {"package": PACKAGE},
        ),
        (
            facts.StartAnswered(user=USER, package=PACKAGE, success=True, seconds=1),
            "mentra_start_wait_seconds_count",
            {},
        ),
        (
            facts.FrameDropped(endpoint="app", peer="p", reason="outbox full"),
            "mentra_outbox_dropped_total",
            {"endpoint": "app", "reason": "outbox full"},
        ),
        (
            facts.LinkEnded(
                endpoint="app", user=USER, package=PACKAGE, peer="p", reason=APP_STOPPED
            ),
            "mentra_links_closed_total",
            {"endpoint": "app", "reason": "1000 App stopped"},
        ),
        (
            facts.Crashed(bulkhead="connection", who="p", error=KeyError()),
            "mentra_crashes_total",
            {"bulkhead": "connection"},
        ),
        (
            facts.SoundAnswered(user=USER, package=PACKAGE, problem=""),
            "mentra_sounds_total",
            {"package": PACKAGE, "result": "ok"},
        ),
        (
            facts.MessageRefused(user=USER, package=PACKAGE, problem="NO_ROOM"),
            "mentra_messages_refused_total",
            {"package": PACKAGE, "reason": "no_room"},
        ),
        (facts.StoreTrouble(user=USER, problem="p"), "mentra_store_troubles_total", {}),
        (facts.VoiceTrouble(problem="p"), "mentra_voice_troubles_total", {}),
        (
            facts.ConnectionRefused(endpoint="app", peer="p", problem="x"),
            "mentra_connections_refused_total",
            {"endpoint": "app"},
        ),
        (
            facts.FrameIgnored(endpoint="app", peer="p", problem="x"),
            "mentra_frames_ignored_total",
            {"endpoint": "app"},
        ),
    ],
)
def test_a_fact_counts_once(
    registry: CollectorRegistry,
    metrics: Metrics,
    fact: facts.Fact,
    sample: str,
    labels: dict[str, str],
) -> None:
    Telemetries(metrics).emit(fact)
    assert registry.get_sample_value(sample, labels) == 1


def test_labels_are_bounded(metrics: Metrics) -> None:
    for number in range(LABEL_VALUES_MAX * 3):
        package = PackageName(f"com.example.app{number}")
        metrics.emit(facts.StartJoined(user=USER, package=package))
        reason = CloseReason(3000 + number, f"text {number}")
        metrics.emit(
            facts.LinkEnded(endpoint="app", user=USER, package=package, peer="p", reason=reason)
        )
    families = text_string_to_metric_families(metrics.render().decode())
    totals = {f.name: [s for s in f.samples if s.name.endswith("_total")] for f in families}
    assert len(totals["mentra_starts_joined"]) == LABEL_VALUES_MAX + 1
    assert len(totals["mentra_links_closed"]) == 1


def test_the_moments_at_which_counters_were_made_are_left_out() -> None:
    metrics = Metrics()
    metrics.emit(facts.StartJoined(user=USER, package=PACKAGE))
    metrics.emit(facts.StartAnswered(user=USER, package=PACKAGE, success=True, seconds=1))
    page = metrics.render().decode()
    assert "_created" not in page
    assert "mentra_start_wait_seconds_count 1.0" in page
    other = CollectorRegistry()
    Counter("x", "Of somebody else in this process", registry=other).inc()
    assert b"x_created" in generate_latest(other)


def test_what_is_counted_in_plain_numbers_is_shown_as_ever() -> None:
    metrics = Metrics()
    page = metrics.render().decode()
    assert "# TYPE mentra_user_sessions gauge\n" in page
    assert "# TYPE mentra_store_troubles_total counter\nmentra_store_troubles_total 0.0\n" in page
    for answers, down in ((False, 1), (True, 0), (True, 0), (False, 1)):
        changed = facts.EndpointChanged(package=PACKAGE, answers=answers, sign=Sign.AWAY, waiting=0)
        metrics.emit(changed)
        line = f'mentra_endpoint_down{{package="{PACKAGE}"}} {down}.0\n'
        assert line in metrics.render().decode()
    metrics.emit(facts.MessagesMissed(user=USER, package=PACKAGE, count=3, reasons=()))
    metrics.emit(facts.MessagesMissed(user=USER, package=PACKAGE, count=4, reasons=()))
    line = f'mentra_messages_missed_total{{package="{PACKAGE}"}} 7.0\n'
    assert line in metrics.render().decode()


def test_two_servers_count_for_themselves() -> None:
    first, second = Metrics(), Metrics()
    first.emit(facts.StartJoined(user=USER, package=PACKAGE))
    assert b'mentra_starts_joined_total{package="com.example.captions"} 1.0' in first.render()
    assert PACKAGE.encode() not in second.render()
    assert USER.encode() not in first.render()
