"""Every duration and bound, with unit and origin.

Seconds of Trio time unless the name says otherwise.
"""

from __future__ import annotations

from typing import Any, Final

import attrs


def positive(instance: object, attribute: attrs.Attribute[Any], value: float) -> None:
    """Validator: more than nothing."""
    if not value > 0:
        raise ValueError(f"{attribute.name} must be more than 0, not {value!r}")


def not_negative(instance: object, attribute: attrs.Attribute[Any], value: float) -> None:
    """Validator: nothing is allowed, less than that is not."""
    if not value >= 0:
        raise ValueError(f"{attribute.name} must not be negative, not {value!r}")


@attrs.frozen(kw_only=True)
class Lifecycle:
    """How long things may be away, and how long attempts may take."""

    grace_s: float = attrs.field(default=5.0, validator=not_negative)
    """An app may be gone this long without consequence (seed 003: 5-8 s; protocol.md 2.9)."""
    grace_jitter_s: float = attrs.field(default=0.8, validator=not_negative)
    """Added uniformly, so that one crash does not become one herd (seed 003)."""
    user_grace_s: float = attrs.field(default=60.0, validator=not_negative)
    """Glasses may be gone this long (protocol.md 2.15)."""
    connect_s: float = attrs.field(default=10.0, validator=positive)
    """From the webhook's delivery to a valid init (protocol.md 7.1)."""
    webhook_s: float = attrs.field(default=30.0, validator=positive)
    """How long the answer to a session webhook is awaited (protocol.md 2.2)."""
    webhook_connect_s: float = attrs.field(default=5.0, validator=positive)
    """How long a connection to an app server may take."""
    webhook_retry_s: float = attrs.field(default=1.0, validator=not_negative)
    """Pause before the one repetition of a webhook that could not be delivered."""
    stop_s: float = attrs.field(default=5.0, validator=positive)
    """Bound on the end of an app session: stop webhook and close together (protocol.md 2.13)."""
    resurrection_budget_s: float = attrs.field(default=180.0, validator=not_negative)
    """How long a lost app is brought back, counted from the end of its grace, before it is
    evicted."""
    release_per_s: float = attrs.field(default=200.0, validator=positive)
    """Waiting sessions released per second and app once its endpoint answers."""
    probe_s: float = attrs.field(default=2.0, validator=positive)
    """An app server that is down is tried this often at first, by one session for all."""
    probe_fast_for_s: float = attrs.field(default=60.0, validator=not_negative)
    """For how long that is."""
    probe_slow_s: float = attrs.field(default=15.0, validator=positive)
    """From then on it is tried this often, as long as ``resurrection_budget_s``."""
    probe_rare_s: float = attrs.field(default=900.0, validator=positive)
    """After that it is tried this often, as long as somebody wants an app of it."""
    retry_s: float = attrs.field(default=1.0, validator=positive)
    """Before an app whose server answers, but which failed, is tried again; doubled each time."""
    retry_most_s: float = attrs.field(default=30.0, validator=positive)
    """The longest such wait (protocol.md 2.12)."""
    health_s: float = attrs.field(default=30.0, validator=not_negative)
    """How often the ``/health`` of each app server in use is asked for; 0: never (seed 004)."""
    settle_s: float = attrs.field(default=0.1, validator=not_negative)
    """A new runtime has said all that it wants when its list is unchanged this long."""
    kept_messages: int = attrs.field(default=1_024, validator=positive)
    """Messages kept for an app that is away; the oldest one is dropped for one more."""
    kept_bytes: int = attrs.field(default=1_048_576, validator=positive)
    """Their size together, likewise."""
    kept_s: float = attrs.field(default=120.0, validator=positive)
    """How long each is kept."""
    empty_list_hold_s: float = attrs.field(default=1.0, validator=not_negative)
    """After a reattach an empty subscription list is ignored this long (protocol.md 4.10)."""


@attrs.frozen(kw_only=True)
class Heartbeat:
    """Liveness of links (protocol.md 3.5)."""

    interval_s: float = attrs.field(default=10.0, validator=positive)
    """Ping both kinds of link this often."""
    app_pong_s: float = attrs.field(default=20.0, validator=positive)
    """An app that is silent this long is lost."""
    glasses_pong_s: float = attrs.field(default=30.0, validator=positive)
    """Glasses that are silent this long are lost."""


@attrs.frozen(kw_only=True)
class Limits:
    """Bounds on what a peer may cost us."""

    message_bytes: int = attrs.field(default=1_048_576, validator=positive)
    """A larger message closes its link with 1009."""
    pre_auth_bytes: int = attrs.field(default=4_096, validator=positive)
    """A larger first frame closes the socket before authentication."""
    auth_s: float = attrs.field(default=4.0, validator=positive)
    """From accept to a verified first frame (protocol.md 2.9)."""
    outbox_bytes: int = attrs.field(default=4_194_304, validator=positive)
    """Unsent bytes of one link; one more frame and the slow consumer is disconnected."""
    outbox_frames: int = attrs.field(default=4_096, validator=positive)
    """Unsent frames of one link, likewise."""
    audio_backlog_bytes: int = attrs.field(default=65_536, validator=positive)
    """With more than this unsent, audio frames are dropped instead of queued."""
    updates_waiting: int = attrs.field(default=1_024, validator=positive)
    """Subscription updates of one app that may wait; the next one closes its link."""
    upgrades_per_s: float = attrs.field(default=400.0, validator=positive)
    """WebSockets that are opened per second, on average: when all peers come back at once, they
    are let in one after the other."""
    upgrades_burst: int = attrs.field(default=50, validator=positive)
    """So many are opened at once, after a time with few."""
    upgrade_wait_s: float = attrs.field(default=3.0, validator=not_negative)
    """Who would have to wait longer for its turn is told to come again (503)."""
    upgrades_under_way: int = attrs.field(default=16, validator=positive)
    """WebSockets that are being opened at the same time; further ones wait for them."""
    close_s: float = attrs.field(default=5.0, validator=positive)
    """How long the orderly end of a link may take."""
    head_bytes: int = attrs.field(default=65_536, validator=positive)
    """Request line and headers of one HTTP request."""
    head_s: float = attrs.field(default=10.0, validator=positive)
    """From the first byte of an HTTP request to the end of its head; also the time that a new
    connection has for its first byte."""
    body_bytes: int = attrs.field(default=52_428_800, validator=positive)
    """Body of one HTTP request (protocol.md 1.6: JSON bodies up to 50 MB)."""
    body_s: float = attrs.field(default=30.0, validator=positive)
    """Between two pieces of a request's body."""
    send_s: float = attrs.field(default=30.0, validator=positive)
    """A send of an HTTP response that makes no progress this long ends the connection."""
    idle_s: float = attrs.field(default=75.0, validator=positive)
    """Between two requests on one connection."""


PING_SLACK_S: Final = 0.05
"""A ping may be sent so much before its time, together with others."""

DISPLAY_THROTTLE_S: Final = 0.3
"""At most one frame per this time and view, the last one wins (protocol.md 5.3)."""

DISPLAY_CLEAR_S: Final = 0.05
"""A view is cleared so long after the last that it showed ended: something may take its place."""

LOCK_MOST_S: Final = 10.0
"""A background app has the screen at most this long in one turn (protocol.md 5.3)."""

LOCK_IDLE_S: Final = 2.0
"""Its turn ends when it has asked for nothing this long."""

BOOT_LEAST_S: Final = 0.3
"""The boot screen of a start is there at least this long (protocol.md 5.7)."""

BOOT_LINGERS_S: Final = 1.5
"""After the ack it stays at most this long, where nothing else would be shown."""

DASHBOARD_SPREAD_S: Final = 2.0
"""The time on all dashboards is drawn within so many seconds after the full minute."""

STATE_CHANGE_DELAY_S: Final = 0.15
"""``app_state_change`` is coalesced over this time (protocol.md 7.1)."""

MICROPHONE_PAUSE_S: Final = 1.0
"""A change of microphone demand is sent at once; further ones together, this long after it
(protocol.md 6.1)."""

MICROPHONE_OFF_HOLD_S: Final = 3.0
"""The microphone is switched off only after nobody wanted it this long (protocol.md 6.1)."""

MICROPHONE_REPEAT_S: Final = 10.0
"""While it is on, the state is repeated this often (protocol.md 6.1)."""

UNASKED_AUDIO_S: Final = 5.0
"""Glasses that send audio although the microphone is off are told so at most once in this time
(protocol.md 6.1)."""

SPEECH_SETTLE_S: Final = 0.5
"""Which languages are recognised follows the subscriptions after this time (protocol.md 6.1)."""

SPEECH_OFF_HOLD_S: Final = 3.0
"""A recogniser that nobody wants any more is closed after this time, as the microphone is."""

SPEECH_RETRY_S: Final = 1.0
"""Before a recogniser that failed is opened again; doubled each time."""

SPEECH_RETRY_MOST_S: Final = 30.0
"""The longest such wait."""

SPEECH_PROVEN_S: Final = 10.0
"""A recogniser that ran this long, or said something, had no failure before."""

PHONE_SPEECH_S: Final = 5.0
"""A phone that transcribed a language within this time transcribes it: no recogniser doubles it."""

TRANSCRIPT_S: Final = 1_800.0
"""How long final transcriptions are kept for those who ask for them later (protocol.md 1.6)."""

WIND_DOWN_S: Final = 2.0
"""Bound on shielded clean-up that is not covered by a setting."""

CROWD_LASTS_S: Final = 3.0
"""After somebody had to wait at the door, or was told to come again, the server is busy with
those who come back: for so long grace ends for nobody."""

CROWD_MOST_S: Final = 15.0
"""By how much grace is lengthened for that, at most."""

PROOF_S: Final = 2.0
"""Within so many seconds a link answers whose app server says that it was restarted, or is dead."""

MESSAGES_PER_S: Final = 1_000.0
"""Messages to other users that an app of one user may send, counted once per recipient."""

MESSAGES_BURST: Final = 2_000.0
"""So many at once, after a while with few; whoever sends more is not heard until it has waited."""

MESSAGE_UNIT_BYTES: Final = 4_096
"""A longer message counts once for every piece of that length."""

SAVE_DELAY_S: Final = 0.1
"""What sessions remember of themselves is written together, this long after the first change."""

SAVE_AGAIN_S: Final = 1.0
"""Pause before it is tried again, after the store failed."""

SAVE_WAIT_S: Final = 1.0
"""A webhook waits at most this long for its attempt to be on disk."""

RECALL_PAUSE_S: Final = 0.02
"""Between two lots of sessions that a server before this one was keeping."""

CORE_TOKEN_S: Final = 30 * 86_400.0
"""How long a core token lasts that a phone got for another token. Phones ask at every start."""

LAST_CLOSE_S: Final = 1.0
"""A server that ends waits so long for its links to close, from the moment that all were given
back. Apps that were told first try again 1 s and 3 s later, and then no more (protocol.md 2.9)."""

DEVICE_STATE_DELAY_S: Final = 0.15
"""News of the glasses that can wait are told together after this time (protocol.md 6.10)."""

SETTINGS_DELAY_S: Final = 0.1
"""Settings in the phone's status are stored together after this time: a slider says many."""

TOOL_ANSWER_S: Final = 20.0
"""How long the answer to a tool call is awaited (protocol.md 1.5)."""

SETTINGS_ANSWER_S: Final = 10.0
"""How long an app server is waited for that is told of changed settings."""

ANSWER_DOUBT_S: Final = 1.0
"""What an app is heard to say so soon after an answer does not show that the answer has arrived."""

AUDIO_ANSWER_S: Final = 59.0
"""So long may a sound play until the phone says how it went; SDK 2.1.29 waits 60 s, and is told
before that who did not answer (protocol.md 6.4)."""

LED_ANSWER_S: Final = 15.0
"""So long is remembered who has switched an LED; nobody waits for it (protocol.md 6.5)."""

LOCATION_WAIT_S: Final = 15.0
"""So long waits an app that has asked for one location (protocol.md 6.8)."""

LOCATION_SHARE_S: Final = 3.0
"""So long a question to the phone for its location serves those who ask after it."""

LOCATION_HOLD_S: Final = 1.0
"""The phone is told to be less exact only after nobody wanted it exact this long: a runtime that
begins anew asks for one stream after the other."""

SPEECH_S: Final = 10.0
"""From a request for speech to the sound, at most."""

PHOTO_S: Final = 25.0
"""A photo that the phone does not answer for has failed: 5 s before the SDK gives up (6.3)."""

PHOTO_ERROR_S: Final = 10.0
"""How long telling an app's server that a photo failed may take, and so the reading of its URL."""

PHOTOS_UNDER_WAY: Final = 8
"""Photos of one app and user that may be asked for at the same time."""

PHOTO_ERRORS_UNDER_WAY: Final = 16
"""Failed photos that an app's server is being told of at the same time, per user."""

KEEP_ALIVE_S: Final = 15.0
"""A camera stream is asked this often whether it is alive (protocol.md 6.6)."""

KEEP_ALIVE_ANSWER_S: Final = 10.0
"""How long the answer is awaited (protocol.md 7.1: the newer value)."""

MANAGED_START_S: Final = 28.0
"""From the request for a managed stream to its first picture; the SDK gives up at 30 s."""
