"""What an app is told first: the state of the glasses, then the ack with its settings."""

from __future__ import annotations

import trio

from ..domain.app_config import ack_config
from ..domain.app_settings import merged_settings
from ..domain.errors import StoreFailed
from ..domain.lifecycle import AppState
from ..domain.user_settings import complete_settings
from ..wire.codec import encode
from ..wire.to_app import DeviceStateUpdate, ReconnectAck, TpaConnectionAck
from .app_session import AppSession
from .arrivals import Arrival
from .delivery import flush
from .reconnect_tokens import renew
from .store_trouble import report_store_trouble


async def greet(app: AppSession, arrival: Arrival, *, same_runtime: bool) -> None:
    """Send snapshot and ack, then what was kept, and have messages go there from now on.

    Where that cannot be done, ``app.link`` stays ``None``. The snapshot comes first, so that the
    author's ``onSession`` finds it (protocol.md 2.6). A new runtime gets what was kept only when
    it has said what it wants; until then what the one before wanted is in force.
    """
    store = app.surroundings.store
    try:
        own = await store.app_settings(app.user, app.package)
        general = complete_settings(await store.user_settings(app.user))
    except StoreFailed as error:
        report_store_trouble(app.surroundings, app.user, error)
        return  # wrong settings would be worse than another try in a second
    if app.state is not AppState.RUNNING:
        return  # stopped meanwhile; the link is given back already
    defaults = app.registration.settings if app.registration is not None else ()
    timestamp = app.surroundings.environment.timestamp()
    lifecycle = app.surroundings.lifecycle
    if not app.subscriptions.is_empty:
        app.list_due_at = trio.current_time() + lifecycle.empty_list_hold_s
    snapshot = DeviceStateUpdate(
        state=app.desk.device.snapshot, full_snapshot=True, timestamp=timestamp
    )
    ack = TpaConnectionAck(
        session_id=app.session_id,
        settings=merged_settings(defaults, own),
        mentraos_settings=general,
        augmentos_settings=general,
        capabilities=app.desk.device.capabilities,
        config=ack_config(app.registration) if app.registration is not None else None,
        timestamp=timestamp,
        reconnect_token=renew(app),
        user_id=app.user,
        subscriptions=app.subscriptions.to_wire(),
        resurrected=_was_given_up(app) or None,
    )
    app.link = arrival.link
    app.send(encode(snapshot))
    app.send(encode(_in_new_words(app, ack) if arrival.resumes else ack))
    if not same_runtime and (len(app.backlog) > 0 or not app.subscriptions.is_empty):
        app.settling = app.subscriptions
    else:
        flush(app)
    app.desk.app_attached(app)


def _was_given_up(app: AppSession) -> bool:
    """Whether the app was away for longer than its grace, and would have been called."""
    given_up = {AppState.DISCONNECTED, AppState.RESURRECTING, AppState.BACKOFF}
    revived = app.previous is None and app.began_as is not None
    return revived or app.previous in given_up


def _in_new_words(app: AppSession, ack: TpaConnectionAck) -> ReconnectAck:
    """The same, to an SDK v3 that said ``reconnect`` (appendix A)."""
    return ReconnectAck(
        session_id=ack.session_id,
        user_id=app.user,
        subscriptions=app.subscriptions.to_wire(),
        settings=ack.settings,
        mentraos_settings=ack.mentraos_settings,
        capabilities=ack.capabilities,
        reconnect_token=ack.reconnect_token,
        timestamp=ack.timestamp,
    )
