"""Settings: the user's own, and those of apps; told to everybody whom they concern (6.9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar, Final, TypeAlias

import attrs
import msgspec
import trio

from ..domain.app_settings import check_stored
from ..domain.apps import AppRegistration
from ..domain.errors import SettingRefused, StoreFailed, WebhookFailed
from ..domain.ids import PackageName, UserId
from ..domain.timings import SETTINGS_ANSWER_S, SETTINGS_DELAY_S
from ..domain.user_settings import (
    STORED_BYTES_MAX,
    checked_settings,
    differing,
    settings_in_status,
)
from ..ports import AppCall, Store
from ..wire import to_app, to_glasses
from ..wire.codec import encode
from ..wire.from_glasses import CoreStatusUpdate, RequestSettings, SettingsUpdateRequest
from .app_calls import call_app_server
from .errands import Errand
from .ignored import ignore_glasses
from .store_trouble import report_store_trouble
from .subsystem import GlassesHandlers, Subsystem

SETTINGS: Final = "/settings"
SERVERS_AT_ONCE: Final = 16
"""App servers of one user that are told of settings at the same time; further ones are not: their
apps have the settings already, or get them with the next ack."""

Entries: TypeAlias = Sequence[Mapping[str, Any]]


async def store_user_settings(
    store: Store, user: UserId, changes: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Store what of ``changes`` (camelCase keys) is new; returns all that is stored then.

    Raises:
        SettingRefused: a setting cannot have that value, or too much would be stored.
        StoreFailed: nothing was stored.
    """
    stored = await store.user_settings(user)
    news = differing(stored, checked_settings(changes))
    if not news:
        return stored
    check_stored({**stored, **news}, STORED_BYTES_MAX)
    await store.put_user_settings(user, news)
    return await store.user_settings(user)


@attrs.define(eq=False, repr=False)
class Settings(Subsystem):
    """Keeps the user's settings as the phone states them, and tells apps of theirs."""

    _stated: dict[str, Any] = attrs.field(factory=dict, init=False)
    """What the phone has stated, and what is not stored yet."""
    _storing: Errand = attrs.field(init=False)
    _due: dict[PackageName, tuple[AppRegistration, Entries] | None] = attrs.field(
        factory=dict, init=False
    )
    """By app whose server is being told: what it has to be told next."""

    def __attrs_post_init__(self) -> None:
        self._storing = Errand(self.place.errands, self._store_stated, "stated settings")

    def opened(self) -> None:
        """What was stated before is stored as well."""
        if self._stated:
            self._storing.begin()

    # -- the user's own ----------------------------------------------------------------

    def core_status(self, message: CoreStatusUpdate) -> None:
        """The phone states its settings: store those that differ from what is known."""
        status: Any = message.status
        if isinstance(status, str):
            try:
                status = msgspec.json.decode(status)
            except (msgspec.MsgspecError, RecursionError, ValueError):
                ignore_glasses(self.place, "a core_status_update that is not JSON, at $.status")
                return
        known = {**self.place.settings(), **self._stated}
        news = differing(known, settings_in_status(status))
        if news:
            self._stated |= news
            self._storing.begin()

    async def _store_stated(self) -> None:
        """Store what the phone states, a moment after it began to, until all is stored.

        A store that fails is not asked again: the phone states its settings again and again.
        """
        while self._stated:
            await trio.sleep(SETTINGS_DELAY_S)
            stated = dict(self._stated)
            await self._store(differing(self.place.settings(), stated))
            if self._stated == stated:  # nothing else was stated meanwhile
                self._stated = {}

    async def _store(self, changes: Mapping[str, Any]) -> None:
        around = self.place.surroundings
        try:
            if changes:
                stored = await store_user_settings(around.store, self.place.user, changes)
                self.place.settings_stored(stored)
        except StoreFailed as error:
            report_store_trouble(around, self.place.user, error)
        except SettingRefused as error:
            ignore_glasses(self.place, str(error))

    def asked_for(self, message: RequestSettings | SettingsUpdateRequest) -> None:
        """The phone asks for the user's settings."""
        update = isinstance(message, SettingsUpdateRequest)
        self.tell_glasses(success=True if update else None)

    def tell_glasses(self, *, success: bool | None = None) -> None:
        """Tell the phone all of the user's settings."""
        self.place.eyepiece.send(
            to_glasses.SettingsUpdate(
                session_id=self.place.user,
                settings=self.place.settings(),
                success=success,
                message="Settings" if success else None,
                timestamp=self.place.timestamp(),
            )
        )

    # -- those of apps -----------------------------------------------------------------

    def app_settings_changed(self, registration: AppRegistration, settings: Entries) -> None:
        """Tell the app its settings, if it is there, and its server in any case.

        The first message makes the SDK forget the user's settings, so they follow (3.2).
        """
        app = self.place.app(registration.package)
        if app is not None:
            own = to_app.SettingsUpdate(
                package_name=app.package,
                session_id=app.session_id,
                settings=settings,
                timestamp=self.place.timestamp(),
            )
            general = to_app.AugmentosSettingsUpdate(
                session_id=app.session_id,
                settings=self.place.settings(),
                timestamp=self.place.timestamp(),
            )
            app.send(encode(own))
            app.send(encode(general))
        self._tell_server(registration, settings)

    def _tell_server(self, registration: AppRegistration, settings: Entries) -> None:
        """One call at a time for each app: what changes meanwhile is told with the next."""
        package = registration.package
        being_told = package in self._due
        if being_told or len(self._due) < SERVERS_AT_ONCE:
            self._due[package] = (registration, settings)
        if not being_told and package in self._due:
            self.place.errands.begin(partial(self._call, package), name=f"settings of {package}")

    async def _call(self, package: PackageName) -> None:
        while (due := self._due[package]) is not None:
            self._due[package] = None
            registration, settings = due
            call = AppCall(
                url=registration.url,
                path=SETTINGS,
                body={"userIdForSettings": self.place.user, "settings": list(settings)},
                answer_s=SETTINGS_ANSWER_S,
            )
            around = self.place.surroundings
            try:
                await call_app_server(around, self.place.user, package, "settings", call)
            except WebhookFailed:
                continue  # it is reported; the app has them by its link, or gets them with its ack
        del self._due[package]

    FROM_GLASSES: ClassVar[GlassesHandlers] = MappingProxyType(
        {
            CoreStatusUpdate: core_status,
            RequestSettings: asked_for,
            SettingsUpdateRequest: asked_for,
        }
    )
