"""A server inside a program of yours: one `async with`, and your own tasks beside it.

With the venv active (`. .venv/bin/activate`):

    python examples/embed_in_your_trio_app.py     ends by itself

The server lives in your nursery tree. When your block ends it drains; when your program fails
it is gone; two servers in one program do not know of each other.
"""

from __future__ import annotations

import trio

import mentra_trio
from mentra_trio.clients import open_glasses


async def report(server: mentra_trio.Server) -> None:
    """Your own task: it may ask the server whatever it likes, at any time."""
    while True:
        for user in server.users():
            print(f"{user.user}: {user.state}")
        await trio.sleep(0.2)


async def main() -> None:
    config = mentra_trio.Config(port=0)
    async with mentra_trio.open_server(config) as server, trio.open_nursery() as yours:
        yours.start_soon(report, server)
        async with open_glasses(server.url, server.token("ada@example.org")) as glasses:
            print("glasses attached as", glasses.ack.session_id)
            await trio.sleep(0.5)
        await trio.sleep(0.5)  # the user's grace period runs
        yours.cancel_scope.cancel("done")
    print("server closed")


if __name__ == "__main__":
    trio.run(main)
