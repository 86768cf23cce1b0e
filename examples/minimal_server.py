"""The smallest server: one app is registered, and glasses may connect.

With the venv active (`. .venv/bin/activate`):

    python examples/minimal_server.py             runs until Ctrl-C
    python examples/minimal_server.py 2           runs for two seconds
"""

from __future__ import annotations

import sys

import trio

import mentra_trio


async def main() -> None:
    config = mentra_trio.Config(port=0)  # any free port; data_dir=None: memory only
    async with mentra_trio.open_server(config) as server:  # lives as long as the block
        await server.apps.add(
            "com.example.captions", url="http://127.0.0.1:7010", api_key="captions-secret"
        )
        print("glasses connect to", server.url + "/glasses-ws")
        print("with the token    ", server.token("ada@example.org"))
        if len(sys.argv) > 1:
            await trio.sleep(float(sys.argv[1]))
        else:
            await trio.sleep_forever()


if __name__ == "__main__":
    try:
        trio.run(main)
    except* KeyboardInterrupt:
        print("bye")
