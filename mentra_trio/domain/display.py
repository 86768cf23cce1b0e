"""What the glasses show: whose frame wins each view, and when it goes out (protocol.md 5).

``decide`` takes one thing that has happened, or the time, and says what to send now and when to
ask again. Each app has one slot per view with its latest frame; a frame is never dropped because
another app is on the screen, only replaced by its owner, expired, or gone with its app.

Who has the main view, the first of them that there is: the dashboard's package; the boot screen;
the app that holds the lock; the foreground app; a background app that was shown before. The lock
is how background apps get the screen at all: one at a time, for a while.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from .display_state import (
    DURATION_MOST_MS,
    MAIN,
    VIEWS,
    Attached,
    Boot,
    Booting,
    BootOver,
    Detached,
    DisplayState,
    Frame,
    Gone,
    InForeground,
    Lock,
    Request,
    Show,
    Starting,
    Tick,
    View,
)
from .ids import PackageName
from .timings import BOOT_LEAST_S, DISPLAY_CLEAR_S, DISPLAY_THROTTLE_S, LOCK_MOST_S


@attrs.frozen(kw_only=True)
class Sending:
    """A frame that goes out now; ``duration_ms`` is what is left of its time."""

    view: str
    package: PackageName
    layout: Any
    duration_ms: float | None


@attrs.frozen(kw_only=True)
class Decision:
    """What follows: the new state, what to send now, and when to ask again (``Tick``)."""

    state: DisplayState
    send: tuple[Sending, ...]
    wake_at: float | None


def decide(now: float, state: DisplayState, request: Request) -> Decision:
    """What follows from ``request`` at ``now``, in seconds of any clock that never goes back.

    ``wake_at`` is always later than ``now``. For any schedule what was sent last to a view is,
    once no ``wake_at`` is left, what ``winner`` says.
    """
    if state.is_bare and isinstance(request, Attached | Detached):
        return Decision(state=_after(now, state, request), send=(), wake_at=None)
    state = _settled(now, _after(now, state, request))
    sending: list[Sending] = []
    for name in VIEWS:
        state, sent = _send(now, state, name, anew=isinstance(request, Attached))
        if sent is not None and state.attached:
            sending.append(sent)
    later = [moment for moment in _moments(now, state) if moment > now]
    return Decision(state=state, send=tuple(sending), wake_at=min(later, default=None))


def winner(now: float, state: DisplayState, view: str) -> Frame | None:
    """Whose frame is to be seen in ``view``; ``None`` where nobody has one."""
    frames = state.views[view].frames
    if view != MAIN:  # the latest frame, whoever it is of
        return max(frames.values(), key=lambda frame: frame.serial, default=None)
    if state.dashboard in frames:
        return frames[state.dashboard]
    if state.blocked(now):
        return state.boot
    for package in (state.lock.package if state.lock else None, state.foreground):
        if package is not None and package in frames:
            return frames[package]
    sent = state.main.sent
    if frames:  # of background apps that had their turn, and nobody else wants the screen
        on_screen = sent.serial if sent is not None else None
        return max(
            frames.values(), key=lambda one: (not one.blank, one.serial == on_screen, one.serial)
        )
    lingers = state.boot is not None and state.booting and sent is not None
    return sent if lingers and sent == state.boot else None


# -- what a request changes ------------------------------------------------------------------------


def _after(now: float, state: DisplayState, request: Request) -> DisplayState:
    match request:
        case Show():
            return _shown(now, state, request)
        case Gone(package):
            state = _boot_over(now, state, package, lingers=False)
            views = {name: view.without(package) for name, view in state.views.items()}
            return attrs.evolve(state, views=views)
        case InForeground(package):
            return attrs.evolve(state, foreground=package)
        case Boot(package, name):
            boot = Booting(name=name, began_at=now)
            return attrs.evolve(state, booting={**state.booting, package: boot})
        case BootOver(package, succeeded):
            return _boot_over(now, state, package, lingers=succeeded)
        case Attached() | Detached():
            return attrs.evolve(state, attached=isinstance(request, Attached))
        case Tick():
            return state


def _shown(now: float, state: DisplayState, asked: Show) -> DisplayState:
    brief = asked.duration_ms is not None and 0 < asked.duration_ms <= DURATION_MOST_MS
    seconds = float(asked.duration_ms) / 1000 if brief and asked.duration_ms else None
    frame = Frame(
        package=asked.package,
        layout=asked.layout,
        serial=state.serial + 1,
        duration_ms=asked.duration_ms if brief else None,
        force=asked.force,
        blank=asked.blank,
        # However brief it is, the throttle alone must not make it disappear.
        until=None if seconds is None else now + max(seconds, 2 * DISPLAY_THROTTLE_S),
    )
    view = state.views[asked.view].put(frame)
    if asked.view != MAIN:
        views = {**state.views, asked.view: view}
        return attrs.evolve(state, views=views, serial=frame.serial)
    if asked.package != state.dashboard:
        of_dashboard = view.frames.get(state.dashboard)
        if of_dashboard is not None and of_dashboard.until is None:
            view = view.without(state.dashboard)  # it is in nobody's way for ever
    if asked.package in state.booting:
        state = _boot_over(now, state, asked.package, lingers=False)
    lock = _lock_after(now, state, asked.package)
    views = {**state.views, MAIN: view}
    return attrs.evolve(state, views=views, serial=frame.serial, lock=lock)


def _lock_after(now: float, state: DisplayState, package: PackageName) -> Lock | None:
    """The lock after a request of ``package`` for the main view."""
    lock = state.lock
    if lock is None or lock.until <= now:
        return lock
    if lock.package == package:
        return attrs.evolve(lock, active_at=now)
    sent = state.main.sent
    on_screen = sent is not None and sent.package == lock.package
    return None if package == state.foreground and not on_screen else lock


def _boot_over(
    now: float, state: DisplayState, package: PackageName, *, lingers: bool
) -> DisplayState:
    boot = state.booting.get(package)
    if boot is None:
        return state
    over_at = now if boot.over_at is None else boot.over_at
    over = attrs.evolve(boot, over_at=over_at, lingers=boot.lingers and lingers)
    return attrs.evolve(state, booting={**state.booting, package: over})


# -- what the time changes -------------------------------------------------------------------------


def _settled(now: float, state: DisplayState) -> DisplayState:
    """The state without all that is over, with the lock where it belongs."""
    for name, view in state.views.items():
        for frame in list(view.frames.values()):
            if frame.until is not None and frame.until <= now:
                view = view.without(frame.package)
        state = state.with_view(name, view)
    sent = state.main.sent
    was_blocked = sent is not None and sent.package == state.dashboard
    state = _booted(now, state)
    if state.blocked(now) or state.dashboard in state.main.frames:
        return state  # nobody's turn begins while something else is on top
    lock = _lock(now, state, was_blocked=was_blocked)
    return state if lock is state.lock else attrs.evolve(state, lock=lock)


def _booted(now: float, state: DisplayState) -> DisplayState:
    left = {
        package: boot
        for package, boot in state.booting.items()
        if boot.gone_at is None or now < boot.gone_at
    }
    if len(left) < len(state.booting):
        state = attrs.evolve(state, booting=left)
    names = tuple(boot.name for boot in left.values() if boot.blocks(now))
    if not names or (state.boot is not None and state.boot.layout == Starting(names)):
        return state
    serial = state.serial + 1
    frame = Frame(package=state.dashboard, layout=Starting(names), serial=serial)
    return attrs.evolve(state, serial=serial, boot=frame)


def _lock(now: float, state: DisplayState, *, was_blocked: bool) -> Lock | None:
    """Who has the lock now, if anybody.

    When its time is over, or the boot screen was before them, the foreground app is not passed
    over by those who wait: it has the lock in its turn.
    """
    frames, lock = state.main.frames, state.lock
    holder = frames.get(lock.package) if lock is not None else None
    if lock is not None and now < lock.until and holder is not None and not holder.blank:
        return lock
    foremost = frames.get(state.foreground) if state.foreground is not None else None
    waiting = [
        frame
        for package, frame in frames.items()
        if package not in {state.foreground, state.dashboard} and not (frame.shown or frame.blank)
    ]
    passed_over = was_blocked and waiting and foremost is not None and not foremost.shown
    if lock is not None and lock.granted_at + LOCK_MOST_S <= now:
        passed_over = lock.package != state.foreground
    if foremost is not None and passed_over:
        return Lock(package=foremost.package, granted_at=now, active_at=now)
    if waiting:
        package = min(waiting, key=lambda frame: frame.serial).package
        return Lock(package=package, granted_at=now, active_at=now)
    return None


# -- what goes out ---------------------------------------------------------------------------------


def _send(
    now: float, state: DisplayState, name: str, *, anew: bool
) -> tuple[DisplayState, Sending | None]:
    """What goes out of the view called ``name`` now; ``anew``: the glasses know nothing of it."""
    view, frame = state.views[name], winner(now, state, name)
    if frame is None:
        if view.empty_since is None:
            view = attrs.evolve(view, empty_since=now)
        return _send_nothing(now, state, name, view, anew=anew)
    if view.empty_since is not None:
        view = attrs.evolve(view, empty_since=None)
    news = view.sent is None or view.sent.serial != frame.serial
    if not (anew or (news and _due(now, view, frame))):
        return state.with_view(name, view), None
    duration_ms = frame.duration_ms
    if frame.until is not None and frame.shown:
        duration_ms = max(1, round((frame.until - now) * 1000))
    elif frame != state.boot:
        until = now + duration_ms / 1000 if duration_ms else None
        frame = attrs.evolve(frame, shown=True, until=until)
    seen = not frame.blank if state.attached else view.seen
    frames = view.frames if frame == state.boot else {**view.frames, frame.package: frame}
    view = attrs.evolve(view, frames=frames, sent=frame, sent_at=now, seen=seen)
    sending = Sending(
        view=name, package=frame.package, layout=frame.layout, duration_ms=duration_ms
    )
    return state.with_view(name, view), sending


def _send_nothing(
    now: float, state: DisplayState, name: str, view: View, *, anew: bool
) -> tuple[DisplayState, Sending | None]:
    """As ``_send``, where nobody has a frame: whatever can be seen is cleared."""
    visible = view.seen if anew else view.sent is not None and not view.sent.blank
    if visible and not (anew or _due(now, view, None)):
        return state.with_view(name, view), None
    if not visible:
        view = view if view.sent is None else attrs.evolve(view, sent=None)
        return state.with_view(name, view), None
    view = attrs.evolve(view, sent=None, sent_at=now, seen=view.seen and not state.attached)
    clear = Sending(view=name, package=state.dashboard, layout=None, duration_ms=None)
    return state.with_view(name, view), clear


def _due_at(view: View, frame: Frame | None) -> float | None:
    """When the view may be sent ``frame``; ``None``: at once."""
    free = None if view.sent_at is None else view.sent_at + DISPLAY_THROTTLE_S
    if frame is not None:
        return None if frame.force else free
    # What comes in the place of something that ended often comes a moment later.
    if view.empty_since is None:
        return free
    settled = view.empty_since + DISPLAY_CLEAR_S
    return settled if free is None else max(free, settled)


def _due(now: float, view: View, frame: Frame | None) -> bool:
    due_at = _due_at(view, frame)
    return due_at is None or now >= due_at


def _moments(now: float, state: DisplayState) -> Iterator[float]:
    """When something changes by itself."""
    for name, view in state.views.items():
        yield from (frame.until for frame in view.frames.values() if frame.until is not None)
        frame = winner(now, state, name)
        serial = None if frame is None else frame.serial
        due_at = _due_at(view, frame)
        if due_at is not None and serial != (view.sent.serial if view.sent else None):
            yield due_at
    if state.lock is not None:
        yield state.lock.until
    for boot in state.booting.values():
        yield boot.began_at + BOOT_LEAST_S
        if boot.gone_at is not None:
            yield boot.gone_at
