"""The fixed set of lifecycles. Each is a value: a name, what a user would see, and a script."""

from __future__ import annotations

from typing import Final

from ...domain.close_reasons import (
    APP_STOPPED,
    NOT_HERE_YET,
    RESTARTING,
    SUPERSEDED,
    USER_SESSION_ENDED,
    CloseReason,
)
from .acts import (
    CallStop,
    CallWebhook,
    Close,
    Cut,
    Greet,
    OpenDoor,
    Pause,
    SayWithNextAck,
    Send,
    ShutDoor,
    Stall,
    StopSession,
)
from .cast import Greeting
from .expectations import (
    Answered,
    AnswersPings,
    Connects,
    GivesUp,
    OneLive,
    Reacts,
    Returns,
    StaysAway,
    Subscribes,
    WorksOrIsGone,
)
from .script import Lifecycle, Step

NOW: Final = "2026-01-01T00:00:00.000Z"
USER_SESSION_CLOSED: Final = CloseReason(1000, USER_SESSION_ENDED.text)

STARTED: Final[tuple[Step, ...]] = (CallWebhook(), Connects(), Subscribes())
"""The user starts the app."""
WORKS: Final[tuple[Step, ...]] = (Subscribes(), Reacts(), OneLive())
"""The app does for its user what it should."""
SOON: Final = Pause(0.2, jitter_s=0.5)
BACK_S: Final = 5.0
"""So long a cloud waits for an app that has lost its connection."""
RETURNS: Final[tuple[Step, ...]] = (Connects(within_s=BACK_S), *WORKS)
"""The app comes back by itself."""

RECONNECT: Final = (
    "connect again by yourself after 1 s, 2 s and 4 s, to the same URL, whenever a connection ends"
    " with any code but 1000, 1001 and 1008"
)
NEW_SESSION: Final = (
    "every session_request is for a new session: forget what you kept of one that is over, or dead"
)

STARTING: Final = (
    Lifecycle(
        name="start-and-stop",
        user="the app starts, works, and is gone when it is stopped.",
        script=(*STARTED, Answered(), *WORKS, StopSession(), StaysAway(for_s=4.0)),
        fix="answer the webhook, connect to its URL, introduce yourself; after 'App stopped' end",
    ),
    Lifecycle(
        name="stop-then-start",
        user="an app that was stopped starts again at once.",
        script=(*STARTED, SOON, StopSession(), *STARTED, *WORKS),
        fix=NEW_SESSION,
    ),
    Lifecycle(
        name="stopped-twice",
        user="an app that was stopped twice starts again.",
        script=(*STARTED, StopSession(), CallStop(), Pause(0.5), *STARTED, *WORKS),
        fix="a stop_request for a session that is over already is no error",
    ),
    Lifecycle(
        name="twenty-starts",
        user="whoever starts and stops the app twenty times still gets one that works.",
        script=(*(CallWebhook(), Connects(), StopSession()) * 20, *STARTED, *WORKS),
        fix="let every session end everything that it began: handlers, timers, connections",
    ),
    Lifecycle(
        name="duplicate-webhook",
        user="a running app is asked to start once more: it goes on, and shows nothing twice.",
        script=(*STARTED, SOON, CallWebhook(), Pause(1.5), *WORKS),
        fix="when a session_request comes for a session that runs, let the newer replace the older",
    ),
    Lifecycle(
        name="two-webhooks-at-once",
        user="two requests to start arrive at the same moment: one app runs, and shows"
        " nothing twice.",
        script=(CallWebhook(times=2), Connects(), Pause(1.0), *WORKS),
        fix="note a session before you wait for anything, and end the older of two",
        known="it notes a session only when the ack has come: two requests before that give two"
        " sessions, and both go on. A cloud should call once for one start",
    ),
    Lifecycle(
        name="two-users",
        user="two users at the same time each see their own.",
        script=(
            CallWebhook(),
            CallWebhook(who=1),
            Connects(),
            Connects(who=1),
            *(Subscribes(), Subscribes(who=1), Reacts(), Reacts(who=1), Reacts()),
            *(StopSession(), Reacts(who=1), OneLive(who=1)),
        ),
        fix="keep everything of a user with that user's session",
    ),
)

CONNECTING: Final = (
    Lifecycle(
        name="drop-before-ack",
        user="the network fails while the app starts: it starts all the same.",
        script=(
            *(Greet(Greeting(cut=True)), CallWebhook(), Connects(acked=False), Pause(0.2)),
            Greet(Greeting()),
            Connects(),
            *WORKS,
        ),
        fix="try again when the connection is lost before the ack: " + RECONNECT,
    ),
    Lifecycle(
        name="late-ack",
        user="the cloud is slow: the app starts all the same.",
        script=(
            Greet(Greeting(after_s=4.0)),
            CallWebhook(),
            Connects(within_s=8.0),
            Greet(Greeting()),
            *WORKS,
        ),
        fix="wait at least 5 s for the ack",
    ),
    Lifecycle(
        name="no-ack",
        user="the cloud does not answer: the app gives up, and the next start works.",
        script=(
            *(Greet(Greeting(ack=False)), CallWebhook(), Connects(acked=False), GivesUp()),
            *(Greet(Greeting(farewell=APP_STOPPED)), Close(APP_STOPPED), Pause(1.0)),
            *(Greet(Greeting()), *STARTED, *WORKS),
        ),
        fix="after 5 s without an ack close the connection, and answer the webhook with an error",
    ),
    Lifecycle(
        name="ack-too-late",
        user="the cloud answers after the app has given up: no app is there that does nothing.",
        script=(
            *(Greet(Greeting(after_s=6.5)), CallWebhook(), Connects(acked=False), Pause(7.0)),
            WorksOrIsGone(),
            Greet(Greeting()),
            *(*STARTED, *WORKS),
        ),
        fix="close the connection when you give up waiting for its ack",
        known="5 s after its init it answers the webhook with an error, but keeps the connection;"
        " an ack that comes later gives a session whose onSession never runs. A cloud should"
        " answer within 5 s, or close",
    ),
)

LOSING: Final = (
    Lifecycle(
        name="drop-in-grace",
        user="the network fails for a moment: the app goes on.",
        script=(*STARTED, SOON, Cut(), *RETURNS),
        fix=RECONNECT,
    ),
    Lifecycle(
        name="late-answer",
        user="what is said while the app is away is shown when it is back.",
        script=(
            *(*STARTED, SOON, SayWithNextAck(), Cut(), Connects(within_s=BACK_S)),
            Greet(Greeting()),
            Reacts(said=True),
            *WORKS,
        ),
        fix="keep the handlers of a session while it reconnects: events come right with the ack",
    ),
    Lifecycle(
        name="close-1012",
        user="the cloud says that it restarts: the app goes on after it.",
        script=(*STARTED, SOON, Close(RESTARTING), *RETURNS),
        fix=RECONNECT,
    ),
    Lifecycle(
        name="close-1013",
        user="the cloud says 'not yet': the app goes on a moment later.",
        script=(*STARTED, SOON, Close(NOT_HERE_YET), *RETURNS),
        fix=RECONNECT,
    ),
    Lifecycle(
        name="cloud-restart",
        user="the cloud is gone for 2 s: the app goes on after it.",
        script=(
            *(*STARTED, SOON, ShutDoor(), Cut(), Pause(2.0), OpenDoor()),
            *(Returns(own_s=BACK_S), *WORKS),
        ),
        fix=RECONNECT + "; and serve the webhook of a session that you believe to have",
    ),
    Lifecycle(
        name="long-cloud-restart",
        user="the cloud is gone for 12 s: when it is back, so is the app.",
        script=(
            *(*STARTED, SOON, ShutDoor(), Cut(), Pause(12.0), OpenDoor()),
            *(Returns(own_s=1.0), *WORKS),
        ),
        fix=NEW_SESSION,
    ),
    Lifecycle(
        name="called-late",
        user="the app is called just when it gives up trying: it runs, and shows nothing twice.",
        script=(
            *(*STARTED, SOON, ShutDoor(), Cut(), Pause(6.4), OpenDoor()),
            *(*STARTED, Pause(1.0), *WORKS),
        ),
        fix="when a session gives way to a newer one, end what it still has in hand, too: attempts"
        " to reconnect that wait for their turn",
    ),
    Lifecycle(
        name="stopped-while-away",
        user="an app that is stopped while it has no connection stays stopped.",
        script=(
            *(*STARTED, SOON, ShutDoor(), Cut(), Pause(0.3), StopSession(), OpenDoor()),
            *(StaysAway(for_s=8.0), *STARTED, *WORKS),
        ),
        fix="a stop_request ends a session that is about to reconnect, too",
    ),
    Lifecycle(
        name="half-open-link",
        user="the connection is dead and the app has not been told: it is called, and goes on.",
        script=(*STARTED, SOON, Stall(), Pause(1.0), *STARTED, *WORKS),
        fix="do not trust that a connection which looks open is alive: " + NEW_SESSION,
    ),
    Lifecycle(
        name="silence",
        user="nothing happens for a while: the app is still there.",
        script=(*STARTED, AnswersPings(times=3, every_s=4.0), *WORKS),
        fix="answer pings, and do not end a session because nothing is said",
    ),
)

ENDING: Final = (
    *(
        Lifecycle(
            name=f"session-end-{reason.code}",
            user="the glasses are put away and taken out again: the app starts anew.",
            script=(
                *(*STARTED, SOON, Close(reason, stopped=True), StaysAway(for_s=4.0)),
                *(*STARTED, *WORKS),
            ),
            fix="after 'User session ended' do not reconnect, and start when you are called again",
        )
        for reason in (USER_SESSION_ENDED, USER_SESSION_CLOSED)
    ),
    Lifecycle(
        name="superseded",
        user="an old connection is closed because there is a newer one: the newer goes on.",
        script=(
            *(*STARTED, SOON, CallWebhook(), Connects(), Close(SUPERSEDED, but_newest=True)),
            *(StaysAway(for_s=4.0), *WORKS),
        ),
        fix="a close with 1008 is final for that connection: do not reconnect, and do not end"
        " the session that has a newer one",
    ),
)

SAYING: Final = (
    Lifecycle(
        name="garbage",
        user="the cloud sends nonsense: the app goes on.",
        script=(
            *STARTED,
            Send("nonsense", ["{", "[]", "null", "{}", '{"type":7}', "", b"\x00", b"\xff" * 7]),
            *(Pause(0.5), *WORKS),
        ),
        fix="catch what your reader of messages raises, and read on",
    ),
    Lifecycle(
        name="unknown-message",
        user="a newer cloud says things that the app does not know: it goes on.",
        script=(
            *STARTED,
            Send(
                "messages of unknown types",
                [
                    '{"type":"brand_new_message","payload":{"a":[1,null]}}',
                    '{"type":"data_stream","streamType":"brand_new_stream","data":{"x":1}}',
                    '{"type":"data_stream","streamType":"brand_new_stream","data":null}',
                ],
            ),
            *(Pause(0.5), *WORKS),
        ),
        fix="ignore messages of a type that you do not know",
    ),
    Lifecycle(
        name="settings-update",
        user="the user changes settings: the app goes on.",
        script=(
            *STARTED,
            Send(
                "new settings",
                [
                    '{"type":"settings_update","settings":[{"key":"certify","value":"on"}]}',
                    '{"type":"augmentos_settings_update","settings":{"metricSystemEnabled":false}}',
                ],
            ),
            *(Pause(0.5), *WORKS),
        ),
        fix="settings may change at any time, and may hold keys that you do not know",
    ),
)

LIFECYCLES: Final = (*STARTING, *CONNECTING, *LOSING, *ENDING, *SAYING)
