"""The folder of a server's streams: gone with the server, or else with the next one.

Pictures that somebody's glasses made must not lie about. Whoever uses a folder holds a lock on
it, which ends with the process, however that ends; what nobody holds is of a server that was
killed.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

import trio

PREFIX: Final = "mentra-trio-streams-"
FRESH: Final = "mentra-trio-fresh-"
"""Before it is locked; nobody takes one of that name for left over."""
REMOVE_S: Final = 5.0


@asynccontextmanager
async def open_root(folder: Path | None) -> AsyncGenerator[Path]:
    """A fresh folder inside ``folder``, or in the system's for temporary files; it is removed
    at the end. What servers have left there that were killed is removed before.

    On Windows such leftovers stay.

    Raises:
        OSError: it cannot be made.
    """
    root, lock = await trio.to_thread.run_sync(_make, folder)
    try:
        yield root
    finally:
        with trio.move_on_after(REMOVE_S, shield=True):
            await trio.to_thread.run_sync(partial(shutil.rmtree, root, True))
        if lock is not None:
            os.close(lock)


def _make(folder: Path | None) -> tuple[Path, int | None]:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    place = folder if folder is not None else Path(tempfile.gettempdir())
    for one in place.glob(f"{PREFIX}*"):
        _remove_left(one)
    fresh = Path(tempfile.mkdtemp(prefix=FRESH, dir=place))
    lock = _locked(fresh)
    root = fresh.with_name(PREFIX + fresh.name.removeprefix(FRESH))
    fresh.rename(root)
    return root, lock


def _remove_left(folder: Path) -> None:
    """Remove ``folder`` if it is ours and nobody uses it."""
    with suppress(OSError):  # of somebody else, or removed by another server that begins now
        if sys.platform != "win32" and folder.lstat().st_uid != os.getuid():
            return
        lock = _locked(folder)
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def _locked(folder: Path) -> int | None:
    """Hold a lock on ``folder`` until what is returned is closed; ``None``: there are none here.

    Raises:
        OSError: somebody holds it, or it is no folder.
    """
    if sys.platform == "win32":
        return None
    import fcntl  # here, because Windows has none

    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise
    return lock
