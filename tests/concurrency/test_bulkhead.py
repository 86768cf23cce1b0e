"""contain: crashes stop, cancellation passes."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from mentra_trio.concurrency.bulkhead import contain, single
from mentra_trio.concurrency.wind_down import wind_down


async def test_a_crash_stops_here_and_is_reported_as_the_single_error(
    autojump_clock: MockClock,
) -> None:
    reported: list[BaseException] = []
    error = ValueError("planted")

    async def fail() -> None:
        raise error

    with contain(reported.append):
        async with trio.open_nursery(), trio.open_nursery() as inner:
            inner.start_soon(fail)
    assert reported == [error]


async def test_several_crashes_are_reported_as_a_group(autojump_clock: MockClock) -> None:
    reported: list[BaseException] = []

    async def fail(error: Exception) -> None:
        raise error

    with contain(reported.append):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail, ValueError("a"))
            nursery.start_soon(fail, KeyError("b"))
    (group,) = reported
    assert isinstance(group, BaseExceptionGroup)
    assert len(group.exceptions) == 2


async def test_cancellation_passes_also_beside_a_crash(autojump_clock: MockClock) -> None:
    reported: list[BaseException] = []

    async def fail_when_cancelled() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("planted")

    with trio.move_on_after(1) as scope, contain(reported.append):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail_when_cancelled)
            nursery.start_soon(trio.sleep_forever)
    assert scope.cancelled_caught
    assert [str(error) for error in reported] == ["planted"]


def test_keyboard_interrupt_passes() -> None:
    with pytest.RaisesGroup(KeyboardInterrupt), contain(lambda error: None):
        raise BaseExceptionGroup("", [KeyboardInterrupt(), ValueError()])


def test_single_unwraps_only_what_is_alone() -> None:
    inner = ValueError()
    assert single(ExceptionGroup("", [ExceptionGroup("", [inner])])) is inner
    two = ExceptionGroup("", [ValueError(), KeyError()])
    assert single(two) is two


async def test_wind_down_is_shielded_and_bounded(autojump_clock: MockClock) -> None:
    log: list[str] = []
    with trio.move_on_after(1):
        try:
            await trio.sleep_forever()
        finally:
            with wind_down(2):
                await trio.sleep(1.5)
                log.append("cleaned up although cancelled")
            with wind_down(2):
                await trio.sleep_forever()
            log.append("but not for ever")
    assert log == ["cleaned up although cancelled", "but not for ever"]
    assert trio.current_time() == pytest.approx(4.5)
