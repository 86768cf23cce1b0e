"""Messages kept for an app that is away, against a plain list that is always thinned from anew."""

from __future__ import annotations

from typing import Final

import attrs
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mentra_trio.domain.backlog import (
    FROM_OTHERS,
    SHARE_OF_OTHERS,
    STATES,
    Backlog,
    Gap,
    Keeping,
    Kept,
    Loss,
    keeping_of,
)
from mentra_trio.domain.streams import LOCATIONS

EVENT: Final = "button_press"
STATE: Final = "head_position"
STREAMS: Final = (
    EVENT,
    "transcription:en-US",
    STATE,
    "glasses_battery_update",
    "audio_chunk",
    FROM_OTHERS,
)

frames = st.text("aü", min_size=1, max_size=40)


def backlog(messages: int = 100, size: int = 1_000, seconds: float = 100.0) -> Backlog:
    return Backlog(messages_max=messages, bytes_max=size, seconds_max=seconds)


def frames_of(kept: Backlog) -> list[str]:
    return [message.frame for message in kept.messages]


class BacklogMachine(RuleBasedStateMachine):
    """The oracle holds everything that was ever kept and not taken, and thins it by the rules."""

    @initialize(messages=st.integers(1, 12), size=st.integers(1, 300), seconds=st.floats(1, 50))
    def begin(self, messages: int, size: int, seconds: float) -> None:
        self.kept = backlog(messages, size, seconds)
        self.model: list[Kept] = []
        self.missed: list[tuple[float, Loss]] = []
        self.now, self.position = 0.0, 1

    def lose(self, message: Kept, loss: Loss) -> None:
        self.model.remove(message)
        self.missed.append((message.at, loss))

    def drop_old(self) -> None:
        for message in list(self.model):
            if self.now - message.at > self.kept.seconds_max:
                self.lose(message, Loss.TOO_OLD)

    @rule(stream=st.sampled_from(STREAMS), frame=frames)
    def a_message_comes(self, stream: str, frame: str) -> None:
        answer = self.kept.keep(stream, frame, self.now)
        if stream == "audio_chunk":
            assert not answer
            return
        if stream in STATES:
            self.model = [message for message in self.model if message.stream != stream]
        self.drop_old()
        size = len(frame.encode())
        most = self.bytes_of_others if stream == FROM_OTHERS else self.kept.bytes_max
        if size > most or (stream == FROM_OTHERS and not self.make_room_among_others(size)):
            self.missed.append((self.now, Loss.TOO_MANY))
            assert not answer
            return
        assert answer
        new = Kept(position=self.position, at=self.now, stream=stream, frame=frame, size=size)
        self.position += 1
        self.model.append(new)
        while (
            len(self.model) > self.kept.messages_max
            or sum(message.size for message in self.model) > self.kept.bytes_max
        ):
            self.lose(self.model[0], Loss.TOO_MANY)

    @property
    def bytes_of_others(self) -> int:
        return self.kept.bytes_max // SHARE_OF_OTHERS

    def fits_in(self, size: int) -> bool:
        """Whether one more of others is within their share, and within the whole."""
        others = [message for message in self.model if message.stream == FROM_OTHERS]
        return (
            len(others) < max(1, self.kept.messages_max // SHARE_OF_OTHERS)
            and sum(one.size for one in others) + size <= self.bytes_of_others
            and len(self.model) < self.kept.messages_max
            and sum(one.size for one in self.model) + size <= self.kept.bytes_max
        )

    def make_room_among_others(self, size: int) -> bool:
        while not self.fits_in(size):
            others = [message for message in self.model if message.stream == FROM_OTHERS]
            if not others:
                return False
            self.lose(others[0], Loss.TOO_MANY)
        return True

    @rule(seconds=st.floats(0, 60))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(wanted=st.sets(st.sampled_from(STREAMS)))
    def the_app_is_back(self, wanted: set[str]) -> None:
        self.drop_old()
        expected = [message for message in self.model if message.stream in wanted]
        self.model = []
        assert self.kept.take(self.now, wanted.__contains__) == expected

    @rule(fails_at=st.integers(0, 6))
    def the_app_is_back_for_a_moment_only(self, fails_at: int) -> None:
        self.drop_old()
        taken = self.kept.take(self.now, lambda stream: True)
        assert taken == self.model
        self.model = taken[fails_at:]
        self.kept.restore(taken[fails_at:])

    @rule()
    def the_app_is_told_what_it_missed(self) -> None:
        gap = self.kept.take_gap()
        if not self.missed:
            assert gap is None
            return
        moments = [at for at, _ in self.missed]
        reasons = frozenset(loss for _, loss in self.missed)
        assert gap == Gap(count=len(moments), since=min(moments), reasons=reasons)
        self.missed = []

    @rule()
    def another_server_takes_over(self) -> None:
        """What was missed is forgotten with the server; what was kept is not."""
        new = attrs.evolve(self.kept)
        new.restore(self.kept.messages)
        if not self.model:
            self.position = new.next_position = self.kept.next_position
        self.kept, self.missed = new, []

    @invariant()
    def it_is_the_list(self) -> None:
        assert list(self.kept.messages) == self.model
        assert len(self.kept) == len(self.model)

    @invariant()
    def positions_only_grow(self) -> None:
        assert self.kept.next_position == self.position
        first = self.model[0].position if self.model else self.position
        assert self.kept.first_position == first


TestBacklog = BacklogMachine.TestCase


def test_what_is_kept_follows_the_stream() -> None:
    assert keeping_of("audio_chunk") is Keeping.NOTHING
    assert all(keeping_of(stream) is Keeping.LATEST for stream in STATES | LOCATIONS)
    assert keeping_of("transcription:en-US") is Keeping.ALL


def test_nothing_that_was_missed_is_no_gap() -> None:
    kept = backlog()
    kept.keep(STATE, "up", 0)
    kept.keep(STATE, "down", 1)
    assert [message.frame for message in kept.take(2, lambda stream: True)] == ["down"]
    assert kept.take_gap() is None, "an older state is worth nothing: nobody missed it"


def test_a_newer_state_goes_behind_the_events_before_it() -> None:
    kept = backlog()
    for stream, frame in [(STATE, "up"), (EVENT, "1"), (STATE, "down"), (EVENT, "2")]:
        kept.keep(stream, frame, 0)
    assert frames_of(kept) == ["1", "down", "2"]


@pytest.mark.parametrize(("seconds", "left"), [(10.0, ["old"]), (10.1, [])])
def test_a_message_is_too_old_after_its_time_not_at_it(seconds: float, left: list[str]) -> None:
    kept = backlog(seconds=10.0)
    kept.keep(EVENT, "old", 0)
    assert [message.frame for message in kept.take(seconds, lambda stream: True)] == left


def test_a_message_that_could_never_be_kept_costs_none_of_the_others_their_place() -> None:
    kept = backlog(size=10)
    kept.keep(EVENT, "a", 0)
    assert not kept.keep(EVENT, "b" * 11, 1)
    assert frames_of(kept) == ["a"]
    assert kept.take_gap() == Gap(count=1, since=1, reasons=frozenset({Loss.TOO_MANY}))


def test_of_a_state_only_the_latest_is_restored() -> None:
    """A store may still have the one before: only what is older than everything is deleted."""
    kept = backlog()
    kept.restore(
        Kept(position=position, at=0, stream=stream, frame=frame, size=len(frame))
        for position, stream, frame in [(3, EVENT, "1"), (4, STATE, "up"), (6, STATE, "down")]
    )
    assert frames_of(kept) == ["1", "down"]
    kept.keep(STATE, "level", 1)
    assert frames_of(kept) == ["1", "level"]
    assert kept.next_position == 8


def test_what_is_kept_since_a_position_is_in_order() -> None:
    backlog = Backlog(messages_max=9, bytes_max=99, seconds_max=9.0)
    for number in range(5):
        backlog.keep("button_press", str(number), 0.0)
    assert [one.position for one in backlog.since(4)] == [4, 5]
    assert list(backlog.since(1)) == list(backlog.messages)
    assert backlog.since(6) == []


def test_a_gap_begins_with_the_first_message_that_was_missed() -> None:
    kept = backlog(messages=1)
    for moment in (1.0, 2.0, 3.0):
        assert kept.keep(EVENT, "a", moment)
    assert kept.take_gap() == Gap(count=2, since=1.0, reasons=frozenset({Loss.TOO_MANY}))


def test_what_others_say_never_pushes_out_what_the_app_subscribed_to() -> None:
    kept = backlog(messages=8)
    for number in range(8):
        assert kept.keep(EVENT, str(number), 0.0)
    assert not kept.keep(FROM_OTHERS, "hello", 1.0)
    assert len(kept) == 8
    assert kept.gap == Gap(count=1, since=1.0, reasons=frozenset({Loss.TOO_MANY}))
