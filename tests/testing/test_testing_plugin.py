"""The plugin as a stranger meets it: one test file, no conftest, found by its entry point."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

USERS_TESTS = """
    import pytest, trio
    from mentra_trio.clients import App

    def captions():
        app = App("com.example.captions", api_key="secret")

        @app.session
        async def begin(session):
            session.on_transcription(lambda said: session.show_text(said.text))
            await session.show_text("ready")

        return app

    async def test_an_app(world, glasses, app_server):
        process = await app_server(captions())
        assert (await world.server.start_app("u-1@x.org", "com.example.captions")).success
        await glasses.until_shown("ready")
        await glasses.say("hello")
        await glasses.until_shown("hello")
        assert len(process.server.sessions) == 1

    async def test_time_is_virtual(world, request):
        await trio.sleep(3600)
        assert world.seed == request.config.getoption("world_seed")

    async def test_a_clock_alone(virtual_clock):
        await trio.sleep(3600)
        assert virtual_clock.current_time() >= 3600

    async def test_both(world, virtual_clock):
        await trio.sleep(3600)
        assert virtual_clock.current_time() >= 3600

    def test_a_clock_without_trio(virtual_clock):
        virtual_clock.jump(5)
"""

CARELESS_TESTS = """
    import trio
    from mentra_trio.clients import App
    from mentra_trio.domain.facts import Crashed

    async def test_task(world):
        trio.lowlevel.spawn_system_task(trio.sleep_forever, name="left behind")

    async def test_link(world):
        await world.network.dial("server", 8002, origin="forgetful")

    async def test_crash(world, glasses, app_server):
        app = App("com.example.broken", api_key="secret")

        @app.session
        def begin(session):
            raise ValueError("planted")

        await app_server(app)
        await world.server.start_app("u-1@x.org", "com.example.broken")

    async def test_crash_of_the_server(world):
        world.telemetry.emit(Crashed(bulkhead="app session", who="x", error=ValueError("planted")))

    async def test_clock(virtual_clock):
        trio.lowlevel.spawn_system_task(trio.sleep_forever, name="beside the clock")
"""

STRANGERS_TESTS = """
    import sys
    import pytest

    def test_nothing_of_the_package_is_loaded():
        loaded = [name for name in sys.modules if name.startswith("mentra_trio.")]
        assert loaded == ["mentra_trio.testing", "mentra_trio.testing.plugin"]

    @pytest.fixture
    def world():
        return "a world of their own"

    def test_a_fixture_of_the_same_name(world):
        assert world == "a world of their own"
"""

STRANGERS_TRIO_TESTS = """
    import pytest, trio

    @pytest.mark.trio
    async def test_a_task_of_theirs():
        # at the end of the run Trio cancels it
        trio.lowlevel.spawn_system_task(trio.sleep_forever, name="their business")
        before = trio.current_time()
        assert before > 1, "real time"
"""


@pytest.fixture
def project(
    pytester: pytest.Pytester,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> pytest.Pytester:
    """A fresh project in an environment in which this package is installed."""
    names = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    site = tmp_path_factory.mktemp("site")
    metadata = site / "mentra_trio-9.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: mentra-trio\nVersion: 9\n")
    lines = [f"{name} = {module}" for name, module in names["pytest11"].items()]
    (metadata / "entry_points.txt").write_text("\n".join(["[pytest11]", *lines]))
    (site / "mentra_trio").symlink_to(ROOT / "mentra_trio")
    monkeypatch.setenv("PYTHONPATH", str(site))
    return pytester


def run(project: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return project.runpytest_subprocess("-p", "no:timeout", *arguments)


@pytest.mark.parametrize("mode", ["false", "true"])
def test_a_users_tests_need_no_setting(mode: str, project: pytest.Pytester) -> None:
    project.makeini(f"[pytest]\naddopts = --strict-markers\ntrio_mode = {mode}")
    project.makepyfile(USERS_TESTS)
    run(project, "--world-seed=5").assert_outcomes(passed=5)


def test_a_mention_in_conftest_does_no_harm(project: pytest.Pytester) -> None:
    project.makeconftest('pytest_plugins = ["mentra_trio.testing.plugin"]')
    project.makepyfile(USERS_TESTS)
    run(project).assert_outcomes(passed=5)


def test_careless_tests_fail_and_are_told_why(project: pytest.Pytester) -> None:
    project.makepyfile(CARELESS_TESTS)
    result = run(project)
    result.assert_outcomes(failed=5)
    for told in (
        "*AssertionError: 1 tasks were left: left behind*",
        "*AssertionError: 1 links were left open: stream forgetful to server:8002, number 1 (d*",
        "*AssertionError: 1 crashes were contained:*",
        "*app server com.example.broken:*",
        "*AssertionError: 1 tasks were left: beside the clock*",
    ):
        result.stdout.fnmatch_lines([told])


def test_other_tests_are_not_touched(project: pytest.Pytester) -> None:
    project.makepyfile(STRANGERS_TESTS)
    run(project).assert_outcomes(passed=2)


def test_other_tests_on_trio_are_not_touched(project: pytest.Pytester) -> None:
    project.makepyfile(STRANGERS_TRIO_TESTS)
    run(project).assert_outcomes(passed=1)


def test_without_pytest_trio_it_says_what_to_install(project: pytest.Pytester) -> None:
    project.makepyfile("async def test_it(world): pass")
    result = run(project, "-p", "no:trio")
    result.stderr.fnmatch_lines(["*the fixtures of mentra-trio need pytest-trio; pip install*"])


def test_without_pytest_trio_other_tests_run(project: pytest.Pytester) -> None:
    project.makepyfile(STRANGERS_TESTS)
    run(project, "-p", "no:trio").assert_outcomes(passed=2)
