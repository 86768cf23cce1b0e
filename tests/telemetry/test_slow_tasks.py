"""Steps of tasks: counted by duration, and told when they are slow."""

from __future__ import annotations

import attrs
import trio
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from mentra_trio.domain.facts import SlowStep
from mentra_trio.domain.frame_counts import FrameCounts
from mentra_trio.telemetry.metrics import Metrics
from mentra_trio.telemetry.slow_tasks import BOUNDS_S, SlowTasks
from mentra_trio.testing.recording import RecordingTelemetry


@attrs.define
class Clock:
    """A clock that a task turns forward."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


async def outer(clock: Clock) -> None:
    await busy(clock, 0.0, 0.002, 0.2)


async def busy(clock: Clock, *steps: float) -> None:
    for seconds in steps:
        clock.now += seconds
        await trio.lowlevel.checkpoint()


async def test_every_step_is_counted_and_a_slow_one_is_told() -> None:
    clock, telemetry = Clock(), RecordingTelemetry()
    slow = SlowTasks(telemetry, clock)
    trio.lowlevel.add_instrument(slow)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outer, clock, name="user somebody@x.org")
    finally:
        trio.lowlevel.remove_instrument(slow)
    [fact] = telemetry.of(SlowStep)
    assert fact.seconds == 0.2
    assert fact.function == "busy", "not the name of the task, which may hold a user"
    metrics = Metrics(CollectorRegistry())
    metrics.add(slow)
    page = metrics.render().decode()
    [family] = [f for f in text_string_to_metric_families(page) if "task_step" in f.name]
    buckets = {s.labels["le"]: s.value for s in family.samples if s.name.endswith("_bucket")}
    assert len(buckets) == len(BOUNDS_S) + 1
    assert buckets["+Inf"] - buckets["0.1"] == 1
    assert buckets["0.005"] - buckets["0.001"] == 1
    [total] = [s.value for s in family.samples if s.name.endswith("_sum")]
    assert round(total, 3) == 0.202


def test_messages_are_shown_by_endpoint_and_direction() -> None:
    frames = {"app": FrameCounts(received=3, sent=5), "glasses": FrameCounts()}
    page = Metrics(frames=frames).render().decode()
    assert 'mentra_frames_total{direction="in",endpoint="app"} 3.0' in page
    assert 'mentra_frames_total{direction="out",endpoint="app"} 5.0' in page
    assert 'mentra_frames_total{direction="in",endpoint="glasses"} 0.0' in page
