"""Bugs in photos and camera streams: told to the wrong app, twice, or never."""

from __future__ import annotations

from typing import Final

from mutant import Mutant


def bug(name: str, path: str, old: str, new: str, *tests: str) -> Mutant:
    """A bug anywhere; ``tests`` are paths under ``tests/``."""
    return Mutant(name=name, path=path, old=old, new=new, tests=tests)


PHOTOS: Final = "sessions/test_photos.py"
RTMP: Final = "sessions/test_rtmp_streams.py"
MANAGED: Final = "sessions/test_managed_streams.py"
ENGINE: Final = "streams/test_streams_engine.py"

CAMERA_MUTANTS: Final = (
    bug(
        "a_photo_goes_to_where_the_server_was",
        "sessions/photos.py",
        "            found = await self.place.surroundings.store.app(photo.package)",
        "            found = None",
        PHOTOS,
    ),
    bug(
        "everybody_hears_of_a_photo",
        "sessions/photos.py",
        "fan_out([owner], PHOTO_RESPONSE",
        "fan_out(self.place.apps(), PHOTO_RESPONSE",
        PHOTOS,
    ),
    bug(
        "what_is_not_known_of_glasses_is_taken_for_no",
        "domain/camera.py",
        "if camera.glasses is False and",
        "if not camera.glasses and",
        PHOTOS,
    ),
    bug(
        "an_absence_of_the_phone_counts",
        "sessions/running_stream.py",
        "self.departures += 1",
        "pass",
        RTMP,
    ),
    bug(
        "the_owner_is_told_twice",
        "sessions/stream_news.py",
        "if app.package != stream.package]",
        "]",
        RTMP,
    ),
    bug(
        "what_a_viewer_missed_is_told_unasked",
        "sessions/stream_news.py",
        "            stream.viewers[app.package] = message\n",
        "            stream.viewers[app.package] = message if app.link else None\n",
        MANAGED,
    ),
    bug(
        "the_keys_of_other_apps_are_shown",
        "sessions/running_stream.py",
        "mine = [one.part() for one in self.outputs if one.output.package == package]",
        "mine = [one.part() for one in self.outputs]",
        MANAGED,
    ),
    bug(
        "the_first_who_leaves_ends_it_for_all",
        "sessions/camera_streams.py",
        "if stream.leave(package) and not stream.viewers:",
        "if stream.leave(package):",
        MANAGED,
    ),
    bug(
        "any_key_will_do",
        "streams/ffmpeg_streams.py",
        "None if limit.cancelled_caught else self._by_key.get(key)",
        "next(iter(self._by_key.values()), None)",
        ENGINE,
    ),
    bug(
        "any_file_will_do",
        "streams/ffmpeg_streams.py",
        "if ingest is None or FILE.fullmatch(file) is None:",
        "if ingest is None:",
        ENGINE,
    ),
    bug(
        "a_message_that_was_given_up_goes_on",
        "streams/rtmp.py",
        "fresh = head.form < 3 or not stream.body",
        "fresh = not stream.body",
        "streams/test_streams_rtmp.py",
    ),
)
