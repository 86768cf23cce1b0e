"""Every lifecycle lets a good app pass, and catches the flaw that it is there for."""

from __future__ import annotations

import pytest
import trio
from flawed_app import API_KEY, PACKAGE, STREAM, URL, ground_on, serving

from mentra_trio.clients.app import App
from mentra_trio.clients.app_session import AppSession
from mentra_trio.clients.events import Transcription
from mentra_trio.domain.errors import ConfigError
from mentra_trio.testing.certification.events import Reaction
from mentra_trio.testing.certification.lifecycles import LIFECYCLES
from mentra_trio.testing.certification.report import as_json, closing_lines
from mentra_trio.testing.certification.run import Certificate, certify
from mentra_trio.testing.certification.script import Lifecycle, Result, Verdict
from mentra_trio.testing.network import MemoryNetwork

BY_NAME = {lifecycle.name: lifecycle for lifecycle in LIFECYCLES}

FLAWS = (
    ("returns after every close", "start-and-stop", "expected no connection", "do not reconnect"),
    ("returns after every close", "session-end-1008", "expected no connection", "do not reconnect"),
    ("returns after every close", "session-end-1000", "expected no connection", "do not reconnect"),
    ("stays stopped", "stop-then-start", "expected the app connects", "new session"),
    ("breaks on a second stop", "stopped-twice", "expected the app connects", "is no error"),
    ("never forgets", "twenty-starts", "expected the app connects", "end everything"),
    ("keeps the older", "duplicate-webhook", "came 2 that are open", "end the older one"),
    ("notes a session late", "two-webhooks-at-once", "came 2 that are open", "end the older one"),
    ("knows one user", "two-users", "expected a reaction", "with that user's session"),
    ("shows it to everybody", "two-users", "another user got them", "not in the app"),
    ("goes dead", "silence", "expected an answer to a ping", "answer pings"),
    ("starts but once", "drop-before-ack", "expected the app connects", "before the ack"),
    ("is impatient", "late-ack", "expected the app connects", "at least 5 s"),
    ("waits for ever", "no-ack", "came nothing: it hangs", "after 5 s without an ack"),
    ("keeps what it gave up", "ack-too-late", "makes no use", "when you give up"),
    ("never returns", "drop-in-grace", "expected the app connects", "after 1 s, 2 s and 4 s"),
    ("forgets its list", "drop-in-grace", "came on socket 2: no list at all", "after every ack"),
    ("adds handlers again", "drop-in-grace", "2 times: the user sees", "add no handler twice"),
    ("is deaf until it has asked", "late-answer", "expected a reaction", "right with the ack"),
    ("takes 1012 for final", "close-1012", "expected the app connects", "after 1 s, 2 s and 4 s"),
    ("takes 1013 for final", "close-1013", "expected the app connects", "after 1 s, 2 s and 4 s"),
    ("is gone for good", "cloud-restart", "expected the app connects", "that you believe to have"),
    ("is gone for good", "long-cloud-restart", "expected the app connects", "forget what you kept"),
    ("tries once more", "called-late", "came 2 that are open", "end the older one"),
    ("confuses sessions", "two-users", "expected an init of com.t.flawed", "repeat the session id"),
    ("stops what is connected", "stopped-while-away", "expected no connection", "do not reconnect"),
    ("trusts its link", "half-open-link", "expected the app connects", "looks open"),
    ("ends idle sessions", "silence", "expected a connection", "because nothing is said"),
    ("forgets no user", "session-end-1008", "expected the app connects", "when you are called"),
    ("forgets no user", "session-end-1000", "expected the app connects", "when you are called"),
    ("supersedes late", "superseded", "expected no connection", "do not reconnect"),
    ("dies of nonsense", "garbage", "expected a connection", "read on"),
    ("dies of news", "unknown-message", "expected a connection", "that you do not know"),
    ("dies of settings", "settings-update", "expected a connection", "at any time"),
)


@pytest.fixture
def network() -> MemoryNetwork:
    return MemoryNetwork()


def failures(certificate: Certificate) -> list[str]:
    return [
        "\n".join(closing_lines(certificate))
        for one in certificate.results
        if one.verdict is Verdict.FAILED
    ][:1]


def told(result: Result) -> str:
    """What stands below the script of a failure."""
    return f"expected {result.expected} came {result.came} fix {result.fix}"


async def certified(network: MemoryNetwork, *lifecycles: Lifecycle) -> Certificate:
    return await certify(ground_on(network), lifecycles=lifecycles or LIFECYCLES)


async def test_an_app_in_python_survives_everything(
    autojump_clock: object, network: MemoryNetwork
) -> None:
    app = App(PACKAGE, api_key="secret")

    @app.session
    async def begin(session: AppSession) -> None:
        async def show(said: Transcription) -> None:
            await session.show_text(said.text)

        session.on_transcription(show)
        await session.show_text("Captions are on")

    listeners = [network.listen("app", 80)]
    dial = network.dial_from("app")
    async with app.serve("app", 80, listeners=listeners, dial=dial) as server:
        certificate = await certified(network)
        assert failures(certificate) == []
        assert certificate.survived
        assert certificate.portrait.package == PACKAGE
        assert certificate.portrait.subscriptions == {STREAM}
        assert certificate.portrait.reaction == Reaction(stream=STREAM, times=1)
        assert [one.lifecycle for one in certificate.results] == list(LIFECYCLES)
        assert server.crashes == []
        assert server.sessions == []


async def test_an_app_without_flaws_survives_everything(
    autojump_clock: object, network: MemoryNetwork
) -> None:
    async with serving(network):
        certificate = await certified(network)
    assert failures(certificate) == []
    assert certificate.seconds < 60


@pytest.mark.parametrize(("flaw", "name", "says", "fix"), FLAWS)
async def test_a_flaw_is_caught(
    autojump_clock: object, network: MemoryNetwork, flaw: str, name: str, says: str, fix: str
) -> None:
    async with serving(network, flaw):
        (result,) = (await certified(network, BY_NAME[name])).results
    assert result.verdict is Verdict.FAILED
    assert says in told(result)
    assert fix in result.fix
    assert result.step in [str(step) for step in BY_NAME[name].script]
    assert result.lines[0].what.endswith("session_request")


def test_every_lifecycle_is_there_for_a_flaw() -> None:
    assert {name for _, name, _, _ in FLAWS} == set(BY_NAME)
    assert len(BY_NAME) == len(LIFECYCLES)


async def test_a_failure_is_told_with_its_script(
    autojump_clock: object, network: MemoryNetwork
) -> None:
    async with serving(network, "never returns"):
        certificate = await certified(network, BY_NAME["drop-in-grace"])
    text = "\n".join(closing_lines(certificate))
    assert "FAIL  drop-in-grace: the network fails for a moment: the app goes on." in text
    assert "cloud  calls the webhook, call 1: session_request" in text
    assert "app    introduces itself on socket 1: com.t.flawed, session drop-in-grace-a" in text
    assert "cloud  cuts socket 1" in text
    assert "expected   the app connects and introduces itself within 5 s" in text
    assert "came       socket 1 over (1006 Connection lost), accepted" in text
    assert f"again      mentra-trio certify {URL} --only drop-in-grace --seed 0" in text
    assert "survived 0 of 1 lifecycle in" in text
    (found,) = as_json(certificate)["lifecycles"]
    assert found["verdict"] == "failed"
    assert found["lines"][-1] == {
        "at": found["lines"][-1]["at"],
        "who": "cloud",
        "what": "cuts socket 1",
    }


async def test_the_key_of_the_app_is_never_told(
    autojump_clock: object, network: MemoryNetwork
) -> None:
    async with serving(network, "never returns"):
        certificate = await certified(network, BY_NAME["drop-in-grace"])
    assert API_KEY not in str(as_json(certificate)) + "\n".join(closing_lines(certificate))


async def test_the_same_seed_gives_the_same_script(
    autojump_clock: object, network: MemoryNetwork
) -> None:
    scripts = []
    for seed in (3, 3, 4):
        async with serving(network):
            found = await certify(ground_on(network), lifecycles=[BY_NAME["two-users"]], seed=seed)
        scripts.append(found.results[0].lines)
    assert scripts[0] == scripts[1] != scripts[2]


async def test_the_seed_decides_in_which_order_they_are_played(
    autojump_clock: object, network: MemoryNetwork
) -> None:
    some = [BY_NAME[name] for name in ("close-1012", "drop-in-grace", "garbage", "close-1013")]
    orders = []
    for seed in (1, 1, 2):
        order: list[str] = []
        async with serving(network):
            await certify(
                ground_on(network),
                lifecycles=some,
                seed=seed,
                one_by_one=True,
                ended=lambda result, order=order: order.append(result.lifecycle.name),  # type: ignore[misc]
            )
        orders.append(order)
    assert orders[0] == orders[1] != orders[2]


async def test_one_by_one_takes_longer(autojump_clock: object, network: MemoryNetwork) -> None:
    some = [BY_NAME[name] for name in ("close-1012", "drop-in-grace", "garbage")]
    seconds = []
    for one_by_one in (False, True):
        async with serving(network):
            found = await certify(ground_on(network), lifecycles=some, one_by_one=one_by_one)
        assert found.survived
        seconds.append(found.seconds)
    assert seconds[1] > seconds[0] + 4


@pytest.mark.parametrize(
    ("url", "package", "says"),
    [
        ("http://nowhere:80", "", "there is no app server at http://nowhere:80: cannot connect"),
        (URL, "com.t.other", "calls itself 'com.t.flawed', not 'com.t.other'"),
        (URL + "/x", "", "is no app server: app:80 answered 404; give the URL without /webhook"),
    ],
)
async def test_no_such_app(
    autojump_clock: object, network: MemoryNetwork, url: str, package: str, says: str
) -> None:
    async with serving(network):
        with pytest.raises(ConfigError) as wrong:
            await certify(ground_on(network, url), package=package)
    assert says in str(wrong.value)


@pytest.mark.parametrize(
    ("flaw", "says"),
    [
        ("never forgets", "did not connect to ws://cloud:.*app:80 answered 500.*--host"),
        ("trusts its link", "did not connect to ws://cloud:.*the webhook was delivered"),
        ("says nothing", "connected but did not introduce itself"),
        ("leaves again", "connected but did not introduce itself"),
        ("leaves soon", "connected, and left again: 1000 enough"),
    ],
)
async def test_an_app_that_cannot_be_met(
    autojump_clock: object, network: MemoryNetwork, flaw: str, says: str
) -> None:
    async with serving(network, flaw) as app:
        app.starts = 100
        app.knows_everybody = flaw == "trusts its link"
        with pytest.raises(ConfigError, match=says):
            await certified(network, BY_NAME["garbage"])


async def test_an_app_whose_reactions_cannot_be_seen(
    autojump_clock: object, network: MemoryNetwork
) -> None:
    app = App(PACKAGE, api_key="secret")

    @app.session
    def begin(session: AppSession) -> None:
        session.on_button_press(lambda _: None)

    listeners = [network.listen("app", 80)]
    async with app.serve("app", 80, listeners=listeners, dial=network.dial_from("app")):
        certificate = await certified(network, BY_NAME["drop-in-grace"], BY_NAME["late-answer"])
    assert certificate.portrait.reaction is None
    assert certificate.survived


async def test_a_reaction_that_is_not_the_same_twice_is_none(
    autojump_clock: object, network: MemoryNetwork
) -> None:
    app = App(PACKAGE, api_key="secret")
    heard: list[str] = []

    @app.session
    def begin(session: AppSession) -> None:
        async def show(said: Transcription) -> None:
            heard.append(said.text)
            for _ in heard:
                await session.show_text(said.text)

        session.on_transcription(show)

    listeners = [network.listen("app", 80)]
    async with app.serve("app", 80, listeners=listeners, dial=network.dial_from("app")):
        certificate = await certified(network, BY_NAME["garbage"])
    assert certificate.portrait.reaction is None


async def test_an_app_that_answers_without_repeating_the_words(
    autojump_clock: object, network: MemoryNetwork
) -> None:
    app = App(PACKAGE, api_key="secret")

    @app.session
    def begin(session: AppSession) -> None:
        async def show(_: object) -> None:
            await session.show_text("pressed")

        session.on_button_press(show)

    listeners = [network.listen("app", 80)]
    async with app.serve("app", 80, listeners=listeners, dial=network.dial_from("app")):
        certificate = await certified(network)
    assert certificate.portrait.reaction == Reaction(stream="button_press", times=0)
    assert failures(certificate) == []


async def test_a_certification_may_be_cancelled(
    autojump_clock: object, network: MemoryNetwork
) -> None:
    async with serving(network):
        with trio.move_on_after(9) as scope:
            await certified(network)
    assert scope.cancelled_caught
