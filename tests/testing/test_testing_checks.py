from __future__ import annotations

import pytest

from mentra_trio.domain.close_reasons import APP_STOPPED
from mentra_trio.domain.facts import Crashed
from mentra_trio.testing.checks import assert_balanced
from mentra_trio.testing.ledger import current_ledger, keep_ledger
from mentra_trio.testing.links import MemoryLink
from mentra_trio.testing.network import MemoryNetwork
from mentra_trio.testing.recording import RecordingTelemetry

CRASH = Crashed(bulkhead="app session", who="com.t.a", error=ValueError("planted"))

CARELESS = """
    import pytest, trio
    from mentra_trio.domain.facts import Crashed
    from mentra_trio.testing.links import MemoryLink
    from mentra_trio.testing.recording import RecordingTelemetry
    from mentra_trio.testing.network import MemoryNetwork

    async def test_crash():
        RecordingTelemetry().emit(Crashed(bulkhead="app session", who="x", error=ValueError()))

    async def test_link():
        MemoryLink("forgotten")

    async def test_stream():
        network = MemoryNetwork()
        listener = network.listen("server")
        await network.dial("server", listener.port)

    async def test_task():
        trio.lowlevel.spawn_system_task(trio.sleep_forever, name="left behind")

    @pytest.fixture
    async def careless_fixture():
        link = MemoryLink("of a fixture")
        yield link

    async def test_fixture(careless_fixture):
        pass

    async def test_careful():
        link = MemoryLink("closed")
        link.hang_up()
        telemetry = RecordingTelemetry(expects_crashes=True)
        telemetry.emit(Crashed(bulkhead="app session", who="x", error=ValueError()))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep, 0)

    def test_sync():
        RecordingTelemetry().emit(Crashed(bulkhead="app session", who="x", error=ValueError()))
"""


def test_each_check_fails_a_careless_test(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\ntrio_mode = true")
    pytester.makepyfile(CARELESS)
    plugins = ["-p", "mentra_trio.testing.plugin", "-p", "mentra_trio.testing.every_test"]
    result = pytester.runpytest_subprocess(*plugins, "-p", "no:timeout")
    result.assert_outcomes(passed=1, failed=6)
    result.stdout.fnmatch_lines(["*1 links were left open: memory link forgotten"])
    result.stdout.fnmatch_lines(["*1 tasks were left: left behind*"])
    result.stdout.fnmatch_lines(["*1 crashes were contained*"])
    result.stdout.fnmatch_lines(["*1 links were left open: memory link of a fixture"])


def test_this_very_suite_keeps_a_ledger() -> None:
    assert current_ledger() is not None


def test_a_contained_crash_is_found() -> None:
    ledger = keep_ledger()
    telemetry = RecordingTelemetry()
    assert_balanced(ledger)
    telemetry.emit(CRASH)
    with pytest.raises(AssertionError, match=r"1 crashes were contained:\n(.|\n)*planted"):
        assert_balanced(ledger)


def test_an_expected_crash_is_no_fault() -> None:
    ledger = keep_ledger()
    telemetry = RecordingTelemetry()
    telemetry.expects_crashes = True
    telemetry.emit(CRASH)
    assert_balanced(ledger)
    assert telemetry.crashes == [CRASH]


async def test_an_open_link_is_found(autojump_clock: object) -> None:
    ledger = keep_ledger()
    link = MemoryLink("glasses")
    with pytest.raises(AssertionError, match="1 links were left open: memory link glasses"):
        assert_balanced(ledger)
    link.close(APP_STOPPED)
    assert_balanced(ledger)


async def test_both_ends_of_a_connection_must_be_closed(autojump_clock: object) -> None:
    ledger = keep_ledger()
    network = MemoryNetwork()
    listener = network.listen("server", 80)
    client = await network.dial("server", 80)
    server = await listener.accept()
    await client.aclose()
    with pytest.raises(AssertionError, match=r"stream somebody to server:80, number 1 \(accepted"):
        assert_balanced(ledger)
    await server.aclose()
    assert_balanced(ledger)
    await listener.aclose()
