"""Two apps of one user: one loses its connection and is back within grace, and missed nothing.

With the venv active (`. .venv/bin/activate`):

    python examples/watch_one_app_die.py          ends by itself after about a second
"""

from __future__ import annotations

import trio

import mentra_trio
from mentra_trio.clients import App, AppSession, Glasses, open_glasses
from mentra_trio.domain.facts import AppStateChanged, Fact, SubscriptionsChanged

USER = "ada@example.org"
STEADY, FRAGILE = "com.example.steady", "com.example.fragile"


class Watcher:
    """Takes note of what the server reports about its apps."""

    def __init__(self) -> None:
        self.news, self.read = trio.open_memory_channel[tuple[str, str]](100)

    def emit(self, fact: Fact) -> None:
        """Called by the server for every fact; must not block."""
        if isinstance(fact, AppStateChanged):
            self.news.send_nowait((fact.package, fact.new.value))
        elif isinstance(fact, SubscriptionsChanged) and fact.streams:
            self.news.send_nowait((fact.package, "listens"))

    async def until(self, package: str, what: str) -> None:
        """Wait until an app is in a state, or ``listens``."""
        async for news in self.read:
            if news == (package, what):
                return


class CountingApp:
    """An app that counts button presses; the count lives as long as its session."""

    def __init__(self, package: str) -> None:
        self.counted = trio.Event()
        self.app = App(package, api_key=f"key of {package}")
        self.app.session(self.begin)

    def begin(self, session: AppSession) -> None:
        """Runs once per session: a reconnect does not come here."""
        presses = 0

        def count(_: object) -> None:
            nonlocal presses
            presses += 1
            print(f"    {session.package} has seen {presses} presses")
            self.counted.set()

        session.on_button_press(count)


def states(server: mentra_trio.Server) -> str:
    """How the server sees the user's apps at this moment."""
    (user,) = server.users()
    return ", ".join(f"{app.package} {app.state}" for app in user.apps)


async def press(glasses: Glasses, *apps: CountingApp) -> None:
    """Press the button, and wait until every app has counted it."""
    for app in apps:
        app.counted = trio.Event()
    await glasses.press_button()
    for app in apps:
        await app.counted.wait()


async def main() -> None:
    watcher = Watcher()
    steady, fragile = CountingApp(STEADY), CountingApp(FRAGILE)
    async with (
        mentra_trio.open_server(mentra_trio.Config(port=0), telemetry=watcher) as server,
        steady.app.serve() as first,
        fragile.app.serve() as second,
        open_glasses(server.url, server.token(USER)) as glasses,
    ):
        for serving, key in ((first, steady.app.api_key), (second, fragile.app.api_key)):
            await server.apps.add(serving.package, url=serving.url, api_key=key, kind="background")
            result = await server.start_app(USER, serving.package)
            assert result.success, result.message
            await watcher.until(serving.package, "listens")
        print("both run:    ", states(server))
        await press(glasses, steady, fragile)

        (session,) = second.sessions
        fragile.counted = trio.Event()
        session.cut()  # as if its network had gone
        await watcher.until(FRAGILE, "grace_period")
        print("one is gone: ", states(server))
        await press(glasses, steady)

        await watcher.until(FRAGILE, "running")
        print("it is back:  ", states(server))
        assert second.sessions == [session], "it was started again instead of coming back"
        await fragile.counted.wait()  # the press that came meanwhile was kept for it
        await press(glasses, steady, fragile)
    print("its session, and its count, have survived; what came meanwhile was kept for it")


if __name__ == "__main__":
    trio.run(main)
