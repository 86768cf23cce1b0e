"""What viewers of managed streams get: playlists and segments, by a name that nobody can guess.

There is no other secret than the name in the address, so that players need to know nothing more;
and players run in pages of anywhere, so any page may read what it has the address of.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

import trio
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from .segments import SegmentRoute
from .services import services_of

MEDIA_TYPES: Final = MappingProxyType(
    {
        ".m3u8": "application/vnd.apple.mpegurl",
        ".mpd": "application/dash+xml",
        ".m4s": "video/iso.segment",
    }
)
_FOR_PLAYERS: Final = MappingProxyType(
    {
        "access-control-allow-origin": "*",
        "cache-control": "no-cache",  # glasses that come again write files of the same names
        "access-control-expose-headers": "content-length, date",
        "cross-origin-resource-policy": "cross-origin",
    }
)


async def stream_file(request: Request) -> Response:
    """One file of a stream that is open; 404 for everything else."""
    name, file = request.path_params["stream"], request.path_params["file"]
    path = services_of(request).stream_file(name, file)
    if path is None:
        raise HTTPException(404)
    try:
        content = await trio.Path(path).read_bytes()
    except OSError:  # not written yet, or not any more
        raise HTTPException(404, headers=dict(_FOR_PLAYERS)) from None
    media_type = MEDIA_TYPES[path.suffix]
    return Response(content, media_type=media_type, headers=dict(_FOR_PLAYERS))


ROUTES: Final = (SegmentRoute("/streams/{stream}/{file}", stream_file),)
