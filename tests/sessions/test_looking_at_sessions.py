"""What the directory shows of its sessions: a page of users, and the sessions of one app."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from mentra_trio.domain.ids import package_name, user_id
from mentra_trio.testing.household import APP, open_household


async def test_a_page_of_users(autojump_clock: MockClock) -> None:
    async with open_household() as house:
        users = [user_id(f"u{n}@x.org") for n in (3, 1, 2)]
        for user in users:
            await house.attached_glasses(user)
        u1, u2, u3 = sorted(users)

        def page(after: str = "", limit: int | None = None) -> list[str]:
            return [one.user for one in house.directory.users(after=after, limit=limit)]

        assert page() == [u1, u2, u3]
        assert page(limit=2) == [u1, u2]
        assert page(after=u1, limit=1) == [u2]
        assert page(after=u3) == []
        assert page(after="a") == [u1, u2, u3]


async def test_sessions_of_an_app_that_run_or_are_coming_back(autojump_clock: MockClock) -> None:
    async with open_household() as house:
        other = await house.add_app("com.t.other")
        await house.add_app()
        ann, bob, zoe = (user_id(f"{name}@x.org") for name in ("ann", "bob", "zoe"))
        for user in (zoe, bob, ann):
            await house.attached_glasses(user)
        await house.running_app(zoe)
        lost = await house.running_app(bob)
        await house.running_app(ann, other)
        lost.cut()
        await trio.sleep(1)
        assert house.state(bob) == "grace_period"
        assert house.directory.active(APP) == [f"{bob}-{APP}", f"{zoe}-{APP}"]
        await house.directory.stop_app(zoe, APP)
        assert house.directory.active(APP) == [f"{bob}-{APP}"]
        assert house.directory.active(package_name("com.t.unknown")) == []
