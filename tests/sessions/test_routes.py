"""Which way an event goes to an app: known from the first one on, and never out of date."""

from __future__ import annotations

import json
from typing import Any, cast

import attrs
import msgspec
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.domain.apps import AppRegistration
from mentra_trio.domain.ids import PackageName, package_name
from mentra_trio.domain.permissions import permits
from mentra_trio.domain.streams import StreamEvent, Subscription
from mentra_trio.domain.subscriptions import NOTHING, SubscriptionSet
from mentra_trio.domain.timings import Lifecycle
from mentra_trio.sessions.app_session import AppSession
from mentra_trio.sessions.glasses_handlers import handle_glasses_frame
from mentra_trio.sessions.routes import NAME_MAX, NO_ROUTES, ROOM, Routes, routes_of
from mentra_trio.sessions.user_session import UserSession
from mentra_trio.testing.household import APP, USER, Household, open_household, open_one_app
from mentra_trio.testing.links import MemoryLink
from mentra_trio.wire.codec import encode
from mentra_trio.wire.frames import Sound
from mentra_trio.wire.to_app import DataStream

PRESS = '{"type":"button_press", "buttonId":"b","more":[1.0,"\\u00e9é🙂"]}'
LOOK = '{"type":"head_position","position":"up"}'
ALL = frozenset({"ALL"})

STREAMS = [
    "button_press",
    "touch_event",
    "touch_event:single_tap",
    "transcription:en-US",
    "transcription:en-GB?no-language-identification=true",
    "translation:de-DE-to-en-US",
    "audio_chunk",
    "*",
]
EVENTS = [
    StreamEvent(stream="button_press"),
    StreamEvent(stream="touch_event", gesture="single_tap"),
    StreamEvent(stream="touch_event", gesture="double_tap"),
    StreamEvent(stream="transcription", language="en-US"),
    StreamEvent(stream="transcription", language="fr-FR"),
    StreamEvent(stream="transcription", language="en-US", identified=True),
    StreamEvent(stream="translation", language="de-DE", target_language="en-US"),
    StreamEvent(stream="translation", language="de-DE", target_language="fr-FR"),
    StreamEvent(stream="x" * (NAME_MAX + 1)),
    StreamEvent(stream="audio_chunk"),
]


@attrs.define(eq=False)
class Ears:
    """What of an app session decides where its events go."""

    subscriptions: SubscriptionSet = NOTHING
    settling: SubscriptionSet | None = None
    registration: AppRegistration | None = None
    session_id: str = "u@x.org-com.t.a"
    routes: Routes = NO_ROUTES

    def as_app(self) -> AppSession:
        return cast("AppSession", self)


def registered(*permissions: str) -> AppRegistration:
    return AppRegistration(
        package=package_name("com.t.a"),
        url="http://a",
        key_hash="",
        permissions=frozenset(permissions),
    )


def ways(app: AppSession, event: StreamEvent) -> list[str]:
    """As the fan-out finds them."""
    routes = routes_of(app)
    known = routes.known.get(event.key)
    return [stream for stream, _ in (routes.find(event) if known is None else known)]


def by_the_rules(ears: Ears, event: StreamEvent) -> list[str]:
    """The same, worked out anew."""
    if ears.registration is None or not permits(event, ears.registration.permissions):
        return []
    before = ears.settling.matching(event) if ears.settling is not None else ()
    return list(dict.fromkeys([*ears.subscriptions.matching(event), *before]))


subscription_sets = st.lists(st.sampled_from(STREAMS)).map(SubscriptionSet.from_wire)
changes = st.one_of(
    st.tuples(st.just("subscriptions"), subscription_sets),
    st.tuples(st.just("settling"), st.none() | subscription_sets),
    st.tuples(
        st.just("registration"),
        st.sampled_from([None, registered(), registered("ALL"), registered("MICROPHONE")]),
    ),
    st.tuples(st.just("event"), st.sampled_from(EVENTS)),
)


@given(st.lists(changes, min_size=1, max_size=50))
def test_whatever_changes_the_ways_are_those_of_the_moment(steps: list[tuple[str, Any]]) -> None:
    ears = Ears(subscriptions=SubscriptionSet.from_wire(["*"]), registration=registered("ALL"))
    for what, value in steps:
        if what == "event":
            assert ways(ears.as_app(), value) == by_the_rules(ears, value)
        else:
            setattr(ears, what, value)
        listens = ears.subscriptions.wants_audio and "audio_chunk" in by_the_rules(ears, EVENTS[-1])
        assert routes_of(ears.as_app()).listens is listens


def test_what_is_known_is_found_again() -> None:
    ears = Ears(subscriptions=SubscriptionSet.from_wire(["*"]), registration=registered("ALL"))
    routes = routes_of(ears.as_app())
    found = routes.find(EVENTS[0])
    assert routes_of(ears.as_app()) is routes
    assert routes.known.get(StreamEvent(stream="button_press").key) is found
    assert not NO_ROUTES.known


def test_glasses_that_invent_streams_cost_little() -> None:
    ears = Ears(subscriptions=SubscriptionSet.from_wire(["*"]), registration=registered("ALL"))
    routes = routes_of(ears.as_app())
    for number in range(3 * ROOM):
        assert ways(ears.as_app(), StreamEvent(stream=f"s{number}")) == [f"s{number}"]
        assert sum(1 + len(known) for known in routes.known.values()) <= ROOM
    long = StreamEvent(stream="touch_event", gesture="x" * NAME_MAX)
    assert ways(ears.as_app(), long) == ["touch_event"]
    assert long.key not in routes.known


def test_an_app_that_asks_for_one_event_in_many_ways_costs_little() -> None:
    texts = [f"transcription:en-US?hints={number}" for number in range(256)]
    ears = Ears(subscriptions=SubscriptionSet.from_wire(texts), registration=registered("ALL"))
    routes = routes_of(ears.as_app())
    for region in ("US", "GB", "CA", "AU"):
        event = StreamEvent(stream="transcription", language=f"en-{region}")
        assert ways(ears.as_app(), event) == texts
        assert sum(len(known) for known in routes.known.values()) <= ROOM


# -- in a session -------------------------------------------------------------------------


def session(house: Household, package: PackageName = APP) -> AppSession:
    return user_session(house).roster.apps[package]


def user_session(house: Household) -> UserSession:
    return house.directory._users[USER]


def heard(link: MemoryLink) -> list[str]:
    return [message["streamType"] for message in link.of_type("data_stream")]


async def listen(link: MemoryLink, *streams: str) -> None:
    link.say({"type": "subscription_update", "subscriptions": list(streams)})
    await wait_all_tasks_blocked()


def data_stream(stream: str, body: str, timestamp: str) -> str:
    return encode(
        DataStream(
            session_id=f"{USER}-{APP}",
            stream_type=stream,
            data=msgspec.Raw(body.encode()),
            timestamp=timestamp,
        )
    )


async def test_an_app_gets_the_very_text_live_and_kept(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, link):
        await listen(link, "button_press")
        now = session(house).surroundings.environment.timestamp()
        glasses.say(PRESS)
        await wait_all_tasks_blocked()
        assert link.pushed[-1] == data_stream("button_press", PRESS, now)
        link.cut()
        await wait_all_tasks_blocked()
        glasses.say(PRESS)
        await trio.sleep(1)
        back = house.app(reconnect=True)
        await back.expect("tpa_connection_ack")
        assert back.pushed[-1] == data_stream("button_press", PRESS, now)


@pytest.mark.parametrize("stream", ['touch_event:"\\é\n', 'x","type":"pong', "\u2028\U0001f642"])
async def test_odd_names_are_sent_as_they_were_asked_for(
    stream: str, autojump_clock: MockClock
) -> None:
    async with open_one_app() as (house, glasses, link):
        await listen(link, stream)
        now = session(house).surroundings.environment.timestamp()
        touch, is_touch, gesture = stream.partition("touch_event:")
        said = json.dumps(
            {"type": "touch_event", "gesture_name": gesture} if is_touch else {"type": touch}
        )
        glasses.say(said)
        await wait_all_tasks_blocked()
        assert link.pushed[-1] == data_stream(stream, said, now)


async def test_all_apps_hear_an_event_within_one_turn(autojump_clock: MockClock) -> None:
    async with open_household() as house:
        glasses = await house.attached_glasses()
        links = []
        for number in range(5):
            name = await house.add_app(f"com.t.a{number}", kind="background")
            links.append(await house.running_app(USER, name))
            await listen(links[-1], "button_press", "audio_chunk")
        turns = Turns()
        trio.lowlevel.add_instrument(turns)
        try:
            for link in links:
                link.on_pushed = lambda _: turns.noted.append(turns.number)
            glasses.say(PRESS)
            await wait_all_tasks_blocked()
            glasses.say(b"\1\2")
            await wait_all_tasks_blocked()
        finally:
            trio.lowlevel.remove_instrument(turns)
        assert len(turns.noted) == 10
        assert len(set(turns.noted)) == 2, "one for the event, one for the sound"


@attrs.define(eq=False)
class Turns(trio.abc.Instrument):
    """Counts the steps of all tasks."""

    number: int = 0
    noted: list[int] = attrs.field(factory=list)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.number += 1


async def test_a_new_list_counts_from_the_next_event_on(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, _glasses, link):
        user = user_session(house)
        for streams in (["button_press"], ["head_position"], [], ["*"], ["button_press"]):
            await listen(link, *streams)
            before = len(heard(link))
            for frame in (PRESS, LOOK, PRESS):
                handle_glasses_frame(user, frame)
            wanted = {"button_press", "head_position"} if streams == ["*"] else set(streams)
            kinds = ["button_press", "head_position", "button_press"]
            assert heard(link)[before:] == [kind for kind in kinds if kind in wanted]


async def test_a_permission_counts_from_when_it_is_read(autojump_clock: MockClock) -> None:
    notified = '{"type":"phone_notification","notificationId":"1"}'
    async with open_one_app() as (house, _glasses, link):
        await listen(link, "*")
        app, user = session(house), user_session(house)
        assert app.registration is not None
        granted = app.registration
        for permissions in (ALL, frozenset[str](), ALL):
            app.registration = attrs.evolve(granted, permissions=permissions)
            before = len(link.pushed)
            handle_glasses_frame(user, notified)
            handle_glasses_frame(user, b"\1\2")
            sent = [isinstance(frame, str) for frame in link.pushed[before:]]
            assert sent == ([True, False] if permissions else [])


async def test_an_app_that_is_handed_over_hears_everything_in_order(
    autojump_clock: MockClock,
) -> None:
    """What comes before, during and after the time in which a new runtime says what it wants."""
    async with open_one_app(lifecycle=Lifecycle(settle_s=1)) as (house, _glasses, link):
        await listen(link, "button_press", "head_position")
        app, user = session(house), user_session(house)

        def press(number: int) -> None:
            handle_glasses_frame(user, f'{{"type":"button_press","buttonId":"{number}"}}')

        press(0)
        link.cut()
        await wait_all_tasks_blocked()
        press(1)
        back = house.answer(await house.webhooks.next_start())
        await back.expect("tpa_connection_ack")
        assert app.settling is not None
        press(2)
        handle_glasses_frame(user, LOOK)
        await listen(back, "button_press")
        press(3)
        assert heard(back) == []
        await trio.sleep(1.5)
        assert session(house).settling is None
        press(4)
        handle_glasses_frame(user, LOOK)
        presses = [message["data"]["buttonId"] for message in back.of_type("data_stream")]
        assert presses == ["1", "2", "3", "4"], "and nothing that only the one before wanted"
        assert heard(link) == ["button_press"]


async def test_nothing_overtakes_what_a_full_link_did_not_take(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, _glasses, link):
        await listen(link, "button_press")
        user = user_session(house)
        link.room = 1
        for number in range(4):
            handle_glasses_frame(user, f'{{"type":"button_press","buttonId":"{number}"}}')
        assert heard(link) == ["button_press"]
        await wait_all_tasks_blocked()
        back = house.app(reconnect=True)
        await back.expect("tpa_connection_ack")
        presses = [message["data"]["buttonId"] for message in back.of_type("data_stream")]
        assert presses == ["1", "2", "3"]


async def test_a_sound_is_the_same_for_all_apps(autojump_clock: MockClock) -> None:
    sounds: list[Sound] = []

    class Noting(MemoryLink):
        def push_audio(self, sound: Sound) -> bool:
            sounds.append(sound)
            return super().push_audio(sound)

    async with open_household() as house:
        await house.attached_glasses()
        for number in range(3):
            name = await house.add_app(f"com.t.a{number}", kind="background")
            await listen(await house.running_app(USER, name), "audio_chunk")
            session(house, name).link = Noting()
        handle_glasses_frame(user_session(house), b"\1\2")
        assert len(sounds) == 3
        assert len(set(map(id, sounds))) == 1
        for number in range(3):
            link = session(house, package_name(f"com.t.a{number}")).link
            assert isinstance(link, Noting)
            link.cut()


def test_a_subscription_is_matched_but_once() -> None:
    asked: list[StreamEvent] = []

    class Counting(SubscriptionSet):
        def matching(self, event: StreamEvent) -> tuple[str, ...]:
            asked.append(event)
            return super().matching(event)

    one = Subscription("button_press", stream="button_press")
    ears = Ears(subscriptions=Counting((one,)), registration=registered())
    for _ in range(10):
        assert ways(ears.as_app(), EVENTS[0]) == ["button_press"]
        assert ways(ears.as_app(), EVENTS[1]) == []
    assert len(asked) == 2
