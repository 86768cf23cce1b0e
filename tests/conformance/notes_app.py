"""App A as an app that has a configuration of its own: a setting, a tool, and a camera it needs."""

from __future__ import annotations

from typing import Any, Final

NOTES: Final = "com.t.notes"
NOTES_KEY: Final = "key of notes"
CONFIG: Final[dict[str, Any]] = {
    "name": "Notes",
    "description": "Writes notes",
    "version": "1.2.0",
    "settings": [
        {
            "type": "slider",
            "key": "size",
            "label": "Size",
            "min": 1,
            "max": 5,
            "defaultValue": 3,
        }
    ],
    "tools": [{"id": "note", "description": "Writes a note"}],
    "permissions": [{"type": "ALL"}],
    "hardwareRequirements": [{"type": "CAMERA", "level": "REQUIRED"}],
}
