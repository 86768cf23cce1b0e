"""Plain numbers that become metrics when somebody asks for them.

The library's own counters take a lock, look up their labels and check what they are given, each
time: ten times as long as the counting, for every connection that comes and goes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping
from typing import TypeAlias

import attrs
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from ..domain.frame_counts import FrameCounts

Family: TypeAlias = type[CounterMetricFamily] | type[GaugeMetricFamily]


@attrs.define(eq=False)
class Counts:
    """A metric: one number for each of the labels' values; without labels it begins at 0.

    Attributes:
        family: of a counter, or of a gauge.
    """

    family: Family
    name: str
    text: str
    label_names: tuple[str, ...]
    _numbers: defaultdict[tuple[str, ...], int] = attrs.field(init=False)
    """By the values of the labels, in their order."""

    @_numbers.default
    def _begun(self) -> defaultdict[tuple[str, ...], int]:
        return defaultdict(int, {} if self.label_names else {(): 0})

    def add(self, *values: str, by: int = 1) -> None:
        """Count ``by`` more where the labels have these ``values``."""
        self._numbers[values] += by

    def put(self, *values: str, now: int) -> None:
        """Where the labels have these ``values``, the number is ``now`` that."""
        self._numbers[values] = now

    def collect(self) -> Iterator[Metric]:
        """See ``prometheus_client``."""
        family = self.family(self.name, self.text, labels=self.label_names)
        for values, number in self._numbers.items():
            family.add_metric(values, number)
        yield family


@attrs.frozen(eq=False)
class Frames:
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


@attrs.frozen(eq=False)
class Present:
    """How many things of a kind there are now, where facts may say twice that one is there."""

    counts: Counts
    there: set[Hashable] = attrs.field(factory=set, init=False)

    def note(self, value: str, one: Hashable, *, there: bool) -> None:
        """``one``, whose label has that ``value``, is there, or not any more."""
        if there and one not in self.there:
            self.there.add(one)
            self.counts.add(value)
        elif not there and one in self.there:
            self.there.remove(one)
            self.counts.add(value, by=-1)
