"""Facts as Prometheus metrics, in a registry of their own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import attrs
from prometheus_client import CollectorRegistry, Histogram, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from ..domain import facts as f
from ..domain.close_reasons import CloseReason
from ..domain.facts import Fact
from ..domain.frame_counts import FrameCounts
from ..domain.lifecycle import AppEvent, AppState
from ..domain.live_streams import OVER
from .counts import Counts, Family, Frames, Present
from .plain import told

LABEL_VALUES_MAX: Final = 500
"""Different values of one label that are told apart; the rest share the value ``other``."""

_STREAM_OVER: Final = frozenset(status.value for status in OVER)
_SECONDS: Final = (0.01, 0.03, 0.1, 0.3, 0.5, 1, 2, 3, 5, 8, 10, 15, 30, 60, 180)


@attrs.define(eq=False)
class Labels:
    """Bounds how many values a label takes, because every value costs memory for ever."""

    _seen: defaultdict[str, set[str]] = attrs.field(factory=lambda: defaultdict(set), init=False)

    def bounded(self, label: str, value: str) -> str:
        """``value``, or ``other`` when there are too many already."""
        seen = self._seen[label]
        if value in seen:
            return value
        if len(seen) < LABEL_VALUES_MAX:
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
        self._registry.register(Frames(frames or {}))
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

    def _counter(self, name: str, text: str, *labels: str) -> Counts:
        return self._counts(CounterMetricFamily, name, text, labels)

    def _gauge(self, name: str, text: str, *labels: str) -> Counts:
        return self._counts(GaugeMetricFamily, name, text, labels)

    def _counts(self, family: Family, name: str, text: str, labels: tuple[str, ...]) -> Counts:
        counts = Counts(family, f"mentra_{name}", text, labels)
        self._registry.register(counts)
        return counts

    def _histogram(self, name: str, text: str) -> Histogram:
        return Histogram(f"mentra_{name}", text, registry=self._registry, buckets=_SECONDS)

    def _make_session_metrics(self) -> None:
        self._users = self._gauge("user_sessions", "User sessions now", "state")
        self._apps = self._gauge("app_sessions", "App sessions now", "state")
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
        self._endpoints_down = self._gauge(
            "endpoint_down", "Whether an app server does not answer", "package"
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
        self._recognisers = Present(
            self._gauge("recognisers", "Recognisers of speech now", "language")
        )
        self._streams = Present(self._gauge("streams", "Camera streams now", "kind"))
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
            self._users.add(fact.old.value, by=-1)
        if fact.new is not None:
            self._users.add(fact.new.value)

    def _app_state_changed(self, fact: f.AppStateChanged) -> None:
        package = self._package(fact)
        if fact.old is not None:
            self._apps.add(fact.old.value, by=-1)
        if fact.new is not AppState.STOPPED:
            self._apps.add(fact.new.value)
        self._count_return(fact, package)

    def _count_return(self, fact: f.AppStateChanged, package: str) -> None:
        match fact.old, fact.event:
            case AppState.GRACE_PERIOD, AppEvent.LINK_ATTACHED:
                self._reconnects.add(package, "in_grace")
                self._reconnect_s.observe(fact.seconds)
            case AppState.GRACE_PERIOD, AppEvent.GRACE_EXPIRED | AppEvent.USER_LEFT:
                self._reconnects.add(package, "too_late")
            case (
                AppState.DISCONNECTED | AppState.BACKOFF | AppState.DORMANT | AppState.EVICTED,
                AppEvent.LINK_ATTACHED,
            ):
                self._reconnects.add(package, "after_grace")
            case AppState.RESURRECTING, AppEvent.LINK_ATTACHED:
                self._resurrections.add(package, "ok")
            case AppState.RESURRECTING, AppEvent.ATTEMPT_FAILED:
                self._resurrections.add(package, "failed")
            case AppState.BACKOFF, AppEvent.BUDGET_SPENT:
                self._resurrections.add(package, "evicted")

    def _fresh_session(self, fact: f.FreshSession) -> None:
        cause = self._labels.bounded("cause", fact.cause.partition(":")[0])
        self._fresh.add(self._package(fact), cause)

    def _false_resurrection(self, fact: f.FalseResurrection) -> None:
        self._false_resurrections.add(self._package(fact))

    def _messages_missed(self, fact: f.MessagesMissed) -> None:
        self._missed.add(self._package(fact), by=fact.count)

    def _endpoint_changed(self, fact: f.EndpointChanged) -> None:
        self._endpoints_down.put(self._package(fact), now=int(not fact.answers))

    def _health_checked(self, fact: f.HealthChecked) -> None:
        self._health.add(self._package(fact), fact.result)

    def _recogniser_changed(self, fact: f.RecogniserChanged) -> None:
        language = self._labels.bounded("language", fact.language)
        self._recogniser_changes.add(language, fact.now)
        self._recognisers.note(language, (fact.user, fact.language), there=fact.now == "opened")

    def _photo_ended(self, fact: f.PhotoEnded) -> None:
        result = self._labels.bounded("photo", fact.problem.lower() or "ok")
        self._photos.add(self._package(fact), result)
        if not fact.problem:
            self._photo_s.observe(fact.seconds)

    def _sound_answered(self, fact: f.SoundAnswered) -> None:
        self._sounds.add(self._package(fact), fact.problem.lower() or "ok")

    def _stream_changed(self, fact: f.StreamChanged) -> None:
        self._stream_changes.add(fact.kind, fact.status)
        there = fact.status not in _STREAM_OVER
        self._streams.note(fact.kind, (fact.user, fact.package, fact.kind), there=there)

    def _message_refused(self, fact: f.MessageRefused) -> None:
        self._unsent.add(self._package(fact), fact.problem.lower())

    def _store_trouble(self, fact: f.StoreTrouble) -> None:
        self._store_troubles.add()

    def _voice_trouble(self, fact: f.VoiceTrouble) -> None:
        self._voice_troubles.add()

    def _start_answered(self, fact: f.StartAnswered) -> None:
        self._start_s.observe(fact.seconds)

    def _link_ended(self, fact: f.LinkEnded) -> None:
        reason = self._labels.bounded("close", _reason_label(fact.reason))
        self._closed.add(self._endpoint(fact), reason)

    def _connection_refused(self, fact: f.ConnectionRefused) -> None:
        self._refused.add(self._endpoint(fact))

    def _frame_ignored(self, fact: f.FrameIgnored) -> None:
        self._ignored.add(self._endpoint(fact))

    def _frame_dropped(self, fact: f.FrameDropped) -> None:
        reason = self._labels.bounded("reason", fact.reason)
        self._dropped.add(self._endpoint(fact), reason)

    def _webhook_called(self, fact: f.WebhookCalled) -> None:
        self._webhooks.add(self._package(fact), fact.kind, fact.result)
        self._webhook_s.observe(fact.seconds)

    def _start_joined(self, fact: f.StartJoined) -> None:
        self._joined.add(self._package(fact))

    def _crashed(self, fact: f.Crashed) -> None:
        self._crashes.add(fact.bulkhead)

    def _package(self, fact: Any) -> str:
        return self._labels.bounded("package", fact.package)

    def _endpoint(self, fact: Any) -> str:
        return self._labels.bounded("endpoint", fact.endpoint)


def _reason_label(reason: CloseReason) -> str:
    text = told(reason)
    return text if reason.code < 3000 or text == str(reason) else "other"
