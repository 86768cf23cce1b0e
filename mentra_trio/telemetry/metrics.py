"""Facts as Prometheus metrics, in a registry of their own."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from functools import cache
from typing import Any, Final

import attrs
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from ..domain import facts as f
from ..domain.close_reasons import CloseReason
from ..domain.facts import Fact
from ..domain.frame_counts import FrameCounts
from ..domain.lifecycle import AppEvent, AppState
from ..domain.live_streams import OVER
from .plain import told

LABEL_VALUES_MAX: Final = 500
"""Different values of one label that are told apart; the rest share the value ``other``."""

_STREAM_OVER: Final = frozenset(status.value for status in OVER)
_SECONDS: Final = (0.01, 0.03, 0.1, 0.3, 0.5, 1, 2, 3, 5, 8, 10, 15, 30, 60, 180)


@attrs.define(eq=False)
class Labels:
    """Bounds how many values a label takes, because every value costs memory for ever."""

    _seen: dict[str, set[str]] = attrs.field(factory=dict, init=False)

    def bounded(self, label: str, value: str) -> str:
        """``value``, or ``other`` when there are too many already."""
        seen = self._seen.setdefault(label, set())
        if value in seen or len(seen) < LABEL_VALUES_MAX:
            seen.add(value)
            return value
        return "other"


@attrs.frozen
class _WithoutMoments:
    """A registry's metrics, but for their ``_created`` series."""

    registry: CollectorRegistry

    def collect(self) -> Iterator[Metric]:
        """See ``prometheus_client``."""
        for metric in self.registry.collect():
            moment = f"{metric.name}_created"
            metric.samples = [sample for sample in metric.samples if sample.name != moment]
            yield metric


@attrs.frozen(eq=False)
class _Frames:
    """Messages by endpoint, read off when somebody asks."""

    counts: Mapping[str, FrameCounts]

    def collect(self) -> Iterator[Metric]:
        """See ``prometheus_client``."""
        labels = ["endpoint", "direction"]
        family = CounterMetricFamily("mentra_frames", "Messages over links", labels=labels)
        for endpoint, counts in self.counts.items():
            family.add_metric([endpoint, "in"], counts.received)
            family.add_metric([endpoint, "out"], counts.sent)
        yield family


@attrs.frozen(eq=False)
class HttpAnswers:
    """Answers to plain requests by status, read off when somebody asks."""

    counts: Mapping[int, int]

    def collect(self) -> Iterator[Metric]:
        """See ``prometheus_client``."""
        family = CounterMetricFamily("mentra_http_answers", "Answers by status", labels=["status"])
        for status, count in sorted(self.counts.items()):
            family.add_metric([str(status)], count)
        yield family


class _Present:
    """How many things of a kind there are now, where facts may say twice that one is there."""

    def __init__(self, name: str, label: str, text: str, registry: CollectorRegistry) -> None:
        self._gauge = Gauge(f"mentra_{name}", text, [label], registry=registry)
        self._there: set[Hashable] = set()

    def note(self, value: str, one: Hashable, *, there: bool) -> None:
        """``one``, whose label has that ``value``, is there, or not any more."""
        if there and one not in self._there:
            self._there.add(one)
            self._gauge.labels(value).inc()
        elif not there and one in self._there:
            self._there.remove(one)
            self._gauge.labels(value).dec()


class Metrics:
    """Implements ``ports.Telemetry``; ``render`` gives the text for a scrape.

    Names and labels are fixed, other programs read them.
    """

    def __init__(
        self,
        registry: CollectorRegistry | None = None,
        frames: Mapping[str, FrameCounts] | None = None,
    ) -> None:
        self._registry = registry or CollectorRegistry()
        self._registry.register(_Frames(frames or {}))
        self._labels = Labels()
        self._make_session_metrics()
        self._make_call_metrics()
        self._make_device_metrics()
        self._handlers: Mapping[type[Fact], Callable[[Any], None]] = {
            f.UserStateChanged: self._user_state_changed,
            f.AppStateChanged: self._app_state_changed,
            f.LinkEnded: self._link_ended,
            f.ConnectionRefused: self._connection_refused,
            f.FrameIgnored: self._frame_ignored,
            f.FrameDropped: self._frame_dropped,
            f.WebhookCalled: self._webhook_called,
            f.StartJoined: self._start_joined,
            f.StartAnswered: self._start_answered,
            f.FreshSession: self._fresh_session,
            f.FalseResurrection: self._false_resurrection,
            f.MessagesMissed: self._messages_missed,
            f.EndpointChanged: self._endpoint_changed,
            f.HealthChecked: self._health_checked,
            f.RecogniserChanged: self._recogniser_changed,
            f.PhotoEnded: self._photo_ended,
            f.SoundAnswered: self._sound_answered,
            f.StreamChanged: self._stream_changed,
            f.MessageRefused: self._message_refused,
            f.StoreTrouble: self._store_trouble,
            f.VoiceTrouble: self._voice_trouble,
            f.Crashed: self._crashed,
        }

    def emit(self, fact: Fact) -> None:
        """See ``ports.Telemetry``."""
        handler = self._handlers.get(type(fact))
        if handler is not None:
            handler(fact)

    def add(self, collector: Collector) -> None:
        """Show what ``collector`` has to tell, too."""
        self._registry.register(collector)

    def render(self) -> bytes:
        """All metrics in the Prometheus text format.

        Without the moments at which counters were made: no dashboard wants them, and they would
        be a third of the page. The library can leave them out for the whole process only.
        """
        return generate_latest(_WithoutMoments(self._registry))

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"mentra_{name}", text, labels, registry=self._registry)

    def _histogram(self, name: str, text: str) -> Histogram:
        return Histogram(f"mentra_{name}", text, registry=self._registry, buckets=_SECONDS)

    def _make_session_metrics(self) -> None:
        users = Gauge(
            "mentra_user_sessions", "User sessions now", ["state"], registry=self._registry
        )
        apps = Gauge("mentra_app_sessions", "App sessions now", ["state"], registry=self._registry)
        # Every connection moves these: the library's own look-up takes longer than the counting.
        self._users_in, self._apps_in = cache(users.labels), cache(apps.labels)
        self._reconnects = self._counter(
            "reconnects_total", "Lost app links: came back, or not", "package", "result"
        )
        self._reconnect_s = self._histogram(
            "reconnect_seconds", "From the loss of an app link to its return within grace"
        )
        self._resurrections = self._counter(
            "resurrections_total", "Attempts to bring an app back by webhook", "package", "result"
        )
        self._false_resurrections = self._counter(
            "false_resurrections_total", "Apps called anew that were alive", "package"
        )
        self._missed = self._counter(
            "messages_missed_total", "Messages that apps missed while they were away", "package"
        )
        self._fresh = self._counter(
            "fresh_sessions_total", "App sessions that began anew", "package", "cause"
        )
        self._crashes = self._counter("crashes_total", "Crashes stopped at a bulkhead", "bulkhead")

    def _make_call_metrics(self) -> None:
        self._webhooks = self._counter(
            "webhooks_total", "Calls to app servers", "package", "kind", "result"
        )
        self._webhook_s = self._histogram("webhook_seconds", "Duration of calls to app servers")
        self._start_s = self._histogram("start_wait_seconds", "Wait of those who asked for an app")
        self._health = self._counter(
            "health_checks_total", "Health checks of app servers", "package", "result"
        )
        self._endpoints_down = Gauge(
            "mentra_endpoint_down",
            "Whether an app server does not answer",
            ["package"],
            registry=self._registry,
        )
        self._joined = self._counter(
            "starts_joined_total", "Callers who waited for a start under way", "package"
        )
        self._closed = self._counter("links_closed_total", "Links that ended", "endpoint", "reason")
        self._refused = self._counter(
            "connections_refused_total", "Peers turned away before a session", "endpoint"
        )
        self._ignored = self._counter(
            "frames_ignored_total", "Frames of peers that could not be used", "endpoint"
        )
        self._dropped = self._counter(
            "outbox_dropped_total", "Frames that were not sent", "endpoint", "reason"
        )

    def _make_device_metrics(self) -> None:
        self._recogniser_changes = self._counter(
            "recogniser_changes_total", "Recognisers opened, failed, closed", "language", "now"
        )
        self._recognisers = _Present(
            "recognisers", "language", "Recognisers of speech now", self._registry
        )
        self._streams = _Present("streams", "kind", "Camera streams now", self._registry)
        self._stream_changes = self._counter(
            "stream_changes_total", "Camera streams that came to be so", "kind", "status"
        )
        self._photos = self._counter("photos_total", "Photos for apps", "package", "result")
        self._photo_s = self._histogram("photo_seconds", "From the wish for a photo to its answer")
        self._sounds = self._counter("sounds_total", "Sounds of apps", "package", "result")
        self._unsent = self._counter(
            "messages_refused_total", "Messages of apps for others", "package", "reason"
        )
        self._store_troubles = self._counter("store_troubles_total", "What the store could not do")
        self._voice_troubles = self._counter("voice_troubles_total", "Texts that were not spoken")

    def _user_state_changed(self, fact: f.UserStateChanged) -> None:
        if fact.old is not None:
            self._users_in(fact.old.value).dec()
        if fact.new is not None:
            self._users_in(fact.new.value).inc()

    def _app_state_changed(self, fact: f.AppStateChanged) -> None:
        package = self._package(fact)
        if fact.old is not None:
            self._apps_in(fact.old.value).dec()
        if fact.new is not AppState.STOPPED:
            self._apps_in(fact.new.value).inc()
        self._count_return(fact, package)

    def _count_return(self, fact: f.AppStateChanged, package: str) -> None:
        match fact.old, fact.event:
            case AppState.GRACE_PERIOD, AppEvent.LINK_ATTACHED:
                self._reconnects.labels(package, "in_grace").inc()
                self._reconnect_s.observe(fact.seconds)
            case AppState.GRACE_PERIOD, AppEvent.GRACE_EXPIRED | AppEvent.USER_LEFT:
                self._reconnects.labels(package, "too_late").inc()
            case (
                AppState.DISCONNECTED | AppState.BACKOFF | AppState.DORMANT | AppState.EVICTED,
                AppEvent.LINK_ATTACHED,
            ):
                self._reconnects.labels(package, "after_grace").inc()
            case AppState.RESURRECTING, AppEvent.LINK_ATTACHED:
                self._resurrections.labels(package, "ok").inc()
            case AppState.RESURRECTING, AppEvent.ATTEMPT_FAILED:
                self._resurrections.labels(package, "failed").inc()
            case AppState.BACKOFF, AppEvent.BUDGET_SPENT:
                self._resurrections.labels(package, "evicted").inc()

    def _fresh_session(self, fact: f.FreshSession) -> None:
        cause = self._labels.bounded("cause", fact.cause.partition(":")[0])
        self._fresh.labels(self._package(fact), cause).inc()

    def _false_resurrection(self, fact: f.FalseResurrection) -> None:
        self._false_resurrections.labels(self._package(fact)).inc()

    def _messages_missed(self, fact: f.MessagesMissed) -> None:
        self._missed.labels(self._package(fact)).inc(fact.count)

    def _endpoint_changed(self, fact: f.EndpointChanged) -> None:
        self._endpoints_down.labels(self._package(fact)).set(int(not fact.answers))

    def _health_checked(self, fact: f.HealthChecked) -> None:
        self._health.labels(self._package(fact), fact.result).inc()

    def _recogniser_changed(self, fact: f.RecogniserChanged) -> None:
        language = self._labels.bounded("language", fact.language)
        self._recogniser_changes.labels(language, fact.now).inc()
        self._recognisers.note(language, (fact.user, fact.language), there=fact.now == "opened")

    def _photo_ended(self, fact: f.PhotoEnded) -> None:
        result = self._labels.bounded("photo", fact.problem.lower() or "ok")
        self._photos.labels(self._package(fact), result).inc()
        if not fact.problem:
            self._photo_s.observe(fact.seconds)

    def _sound_answered(self, fact: f.SoundAnswered) -> None:
        self._sounds.labels(self._package(fact), fact.problem.lower() or "ok").inc()

    def _stream_changed(self, fact: f.StreamChanged) -> None:
        self._stream_changes.labels(fact.kind, fact.status).inc()
        there = fact.status not in _STREAM_OVER
        self._streams.note(fact.kind, (fact.user, fact.package, fact.kind), there=there)

    def _message_refused(self, fact: f.MessageRefused) -> None:
        self._unsent.labels(self._package(fact), fact.problem.lower()).inc()

    def _store_trouble(self, fact: f.StoreTrouble) -> None:
        self._store_troubles.inc()

    def _voice_trouble(self, fact: f.VoiceTrouble) -> None:
        self._voice_troubles.inc()

    def _start_answered(self, fact: f.StartAnswered) -> None:
        self._start_s.observe(fact.seconds)

    def _link_ended(self, fact: f.LinkEnded) -> None:
        reason = self._labels.bounded("close", _reason_label(fact.reason))
        self._closed.labels(self._endpoint(fact), reason).inc()

    def _connection_refused(self, fact: f.ConnectionRefused) -> None:
        self._refused.labels(self._endpoint(fact)).inc()

    def _frame_ignored(self, fact: f.FrameIgnored) -> None:
        self._ignored.labels(self._endpoint(fact)).inc()

    def _frame_dropped(self, fact: f.FrameDropped) -> None:
        reason = self._labels.bounded("reason", fact.reason)
        self._dropped.labels(self._endpoint(fact), reason).inc()

    def _webhook_called(self, fact: f.WebhookCalled) -> None:
        self._webhooks.labels(self._package(fact), fact.kind, fact.result).inc()
        self._webhook_s.observe(fact.seconds)

    def _start_joined(self, fact: f.StartJoined) -> None:
        self._joined.labels(self._package(fact)).inc()

    def _crashed(self, fact: f.Crashed) -> None:
        self._crashes.labels(fact.bulkhead).inc()

    def _package(self, fact: Any) -> str:
        return self._labels.bounded("package", fact.package)

    def _endpoint(self, fact: Any) -> str:
        return self._labels.bounded("endpoint", fact.endpoint)


def _reason_label(reason: CloseReason) -> str:
    return told(reason) if reason.code < 3000 or told(reason) == str(reason) else "other"
