"""Clean-up that must run although its task is being cancelled, but not for ever."""

from __future__ import annotations

import trio


def wind_down(seconds: float) -> trio.CancelScope:
    """A scope for the end of a lifetime: shielded from outer cancellation, ended after ``seconds``.

    For use in ``finally``. What needs no ``await`` belongs before it, unshielded.
    """
    return trio.move_on_after(seconds, shield=True)
