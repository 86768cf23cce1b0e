"""An app's own settings of one user: reading them, and changing them from the phone (6.9)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..domain.app_settings import check_stored, merged_settings
from ..domain.apps import AppRegistration
from ..domain.errors import SessionEnded
from ..domain.ids import UserId
from .directory import Directory
from .settings import Settings


async def change_app_settings(
    directory: Directory, registration: AppRegistration, user: UserId, changes: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Store ``changes``, and tell the app and its server; returns all settings of the app.

    The app need not run, nor its user be there: it is told with its next ack.

    Raises:
        SettingRefused: too much would be stored.
        StoreFailed: nothing was stored.
    """
    store = directory.surroundings.store
    before = await store.app_settings(user, registration.package)
    check_stored({**before, **changes})
    await store.put_app_settings(user, registration.package, changes)
    own = await store.app_settings(user, registration.package)
    settings = merged_settings(registration.settings, own)
    try:
        session = directory.live(user)
    except SessionEnded:
        return settings
    session.desk.part(Settings).app_settings_changed(registration, settings)
    return settings
