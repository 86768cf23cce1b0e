"""All planted bugs."""

from __future__ import annotations

from typing import Final

from camera_mutants import CAMERA_MUTANTS
from cancellation_mutants import CANCELLATION_MUTANTS
from client_mutants import CLIENT_MUTANTS
from device_mutants import DEVICE_MUTANTS
from display_mutants import DISPLAY_MUTANTS
from domain_mutants import DOMAIN_MUTANTS
from door_mutants import DOOR_MUTANTS
from frame_mutants import FRAME_MUTANTS
from link_mutants import LINK_MUTANTS
from pulse_mutants import PULSE_MUTANTS
from pump_mutants import PUMP_MUTANTS
from session_mutants import SESSION_MUTANTS
from speech_mutants import SPEECH_MUTANTS
from storage_mutants import STORAGE_MUTANTS
from telling_mutants import TELLING_MUTANTS

MUTANTS: Final = (
    *DOMAIN_MUTANTS,
    *SESSION_MUTANTS,
    *LINK_MUTANTS,
    *CANCELLATION_MUTANTS,
    *DEVICE_MUTANTS,
    *DISPLAY_MUTANTS,
    *SPEECH_MUTANTS,
    *CAMERA_MUTANTS,
    *CLIENT_MUTANTS,
    *FRAME_MUTANTS,
    *DOOR_MUTANTS,
    *PUMP_MUTANTS,
    *TELLING_MUTANTS,
    *PULSE_MUTANTS,
    *STORAGE_MUTANTS,
)
