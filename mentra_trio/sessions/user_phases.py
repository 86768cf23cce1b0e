"""What a user session does while a state holds: one function per state, and its whole life."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, Final

import trio

from ..domain.attachment import UserEvent, UserState
from ..domain.close_reasons import GLASSES_SILENT
from ..domain.errors import StoreFailed
from ..domain.ids import PackageName
from ..domain.lifecycle import StopCause
from ..domain.timings import SAVE_AGAIN_S
from ..domain.user_settings import complete_settings
from ..ports import SavedUser
from .glasses_handlers import handle_glasses_frame
from .link_service import use_link
from .store_trouble import report_store_trouble
from .system_dashboard import system_dashboard
from .user_session import UserSession

Phase = Callable[[UserSession], Awaitable[UserEvent]]

RECALL_TRIES: Final = 3
"""So often is read what is saved of a session: the store may fail once, or for good."""


async def run_user(user: UserSession) -> None:
    """Live until the glasses stay away for the user's grace period, or the session is ended."""
    try:
        async with trio.open_nursery() as nursery:
            user.live_in(nursery)
            settings_read = await _read_settings(user)
            saved, wanted = await _load(user)
            user.desk.place.errands.open(nursery)
            user.desk.opened()
            user.roster.open(nursery)
            user.recall(saved, wanted)
            nursery.start_soon(_start_wanted_after_ack, user, name="wanted apps")
            if not settings_read:
                nursery.start_soon(_until_settings_read, user, name="settings")
            while not user.over:
                event = await PHASES[user.state](user)
                if not user.over:  # an end in the same turn wins
                    user.advance(event)
            user.end(StopCause.USER_SESSION_ENDED)
    except* trio.Cancelled:
        user.end(StopCause.SERVER_CLOSING)  # ended from outside, without a word to us before
        raise
    finally:
        user.end(StopCause.CRASHED)  # does nothing where a cause was given before


async def waiting(user: UserSession) -> UserEvent:
    """CONNECTING and DISCONNECTED: wait for glasses. This scope *is* the user's grace timer."""
    if user.offers.waiting:
        return UserEvent.GLASSES_ATTACHED  # those for which the session was begun
    with trio.move_on_after(user.surroundings.lifecycle.user_grace_s):
        await user.offers.until_offered()
        return UserEvent.GLASSES_ATTACHED
    return UserEvent.GRACE_EXPIRED


async def attached(user: UserSession) -> UserEvent:
    """CONNECTED: use the glasses' link until one of its parts says why it is over."""
    if not user.offers.waiting:
        return UserEvent.GLASSES_LOST  # their connection ended before it could be used
    link = user.attach()
    beat = user.surroundings.heartbeat
    reason = await use_link(
        link,
        handle=partial(handle_glasses_frame, user),
        interval=beat.interval_s,
        silence=beat.glasses_pong_s,
        silent=GLASSES_SILENT,
        offers=user.offers,
        pulse=user.surroundings.pulse,
    )
    user.detach(reason)
    return UserEvent.GLASSES_REPLACED if user.offers.waiting else UserEvent.GLASSES_LOST


PHASES: Final[Mapping[UserState, Phase]] = MappingProxyType(
    {
        UserState.CONNECTING: waiting,
        UserState.CONNECTED: attached,
        UserState.DISCONNECTED: waiting,
    }
)


async def _read_settings(user: UserSession) -> bool:
    """Read the user's settings; ``False``, and the defaults meanwhile, if the store fails."""
    stored = await _stored_settings(user)
    user.settings = complete_settings(stored or {})
    return stored is not None


async def _until_settings_read(user: UserSession) -> None:
    """Ask the failing store again; then whoever was told the defaults is told what is stored."""
    stored = None
    while stored is None:
        await trio.sleep(SAVE_AGAIN_S)
        stored = await _stored_settings(user)
    user.change_settings(stored)


async def _stored_settings(user: UserSession) -> Mapping[str, Any] | None:
    try:
        return await user.surroundings.store.user_settings(user.user)
    except StoreFailed as error:
        report_store_trouble(user.surroundings, user.user, error)
        return None


async def _load(user: UserSession) -> tuple[SavedUser | None, Sequence[PackageName]]:
    """What is saved of the session, and which apps are wanted.

    What is saved counts only in the first session after a restart of the server: later it is
    what has not been forgotten yet of the session before.
    """
    store = user.surroundings.store
    for number in range(RECALL_TRIES if user.known_before else 0):
        if number:
            await trio.sleep(SAVE_AGAIN_S)
        try:
            saved, wanted = await store.saved_session(user.user), await store.wanted_apps(user.user)
            dashboard = await system_dashboard(user.surroundings)
            return saved, await user.roster.foreground.only_one_of([*wanted, *dashboard])
        except StoreFailed as error:
            report_store_trouble(user.surroundings, user.user, error)
    return None, ()


async def _start_wanted_after_ack(user: UserSession) -> None:
    """Ack first, apps afterwards (protocol.md 2.15)."""
    await user.acknowledged.wait()
    await user.roster.returns.start_wanted()
