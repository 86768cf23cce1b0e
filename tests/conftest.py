from __future__ import annotations

pytest_plugins = ["mentra_trio.testing.plugin", "mentra_trio.testing.every_test", "pytester"]
