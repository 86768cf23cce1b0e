"""Programs that the server runs beside itself: what they are given of it, and what not."""

from __future__ import annotations

import os
from typing import Any, Final

OURS: Final = "MENTRA_TRIO_"
"""What is called so in the environment is for the server alone: there are secrets among it."""


def apart() -> dict[str, Any]:
    """Options of ``subprocess`` for a program that is to know and to hear nothing of us.

    It gets none of our settings. It has a session of its own: an interrupt from the terminal is
    for the server, which ends its programs in order. Of files it has only what it is given.
    """
    environment = {name: value for name, value in os.environ.items() if OURS not in name}
    return {"env": environment, "start_new_session": True, "close_fds": True}
