"""The camera: a photo that the glasses upload to the app, and a stream that others can watch.

With the venv active (`. .venv/bin/activate`):

    python examples/photo_and_live_stream.py      ends by itself

The streaming engine is the scripted one, which makes no video. The real one is
`Config(streams=StreamSettings(engine="ffmpeg"))`; it wants ffmpeg, or the extra `streams`.
"""

from __future__ import annotations

import trio

import mentra_trio
from mentra_trio.clients import App, AppSession, Glasses, RequestFailed, open_glasses
from mentra_trio.testing.live_streams import ScriptedStreams
from mentra_trio.wire import from_glasses, to_glasses

USER = "ada@example.org"
JPEG = b"\xff\xd8\xff\xe0 here be a photo \xff\xd9"

app = App("com.example.camera", api_key="camera-secret")


@app.session
async def begin(session: AppSession) -> None:
    """Runs once per user. A short press takes a photo, a long one streams."""

    async def take_a_photo() -> None:
        try:
            photo = await session.camera.request_photo(size="large")
        except RequestFailed as failed:
            await session.show_text(f"No photo: {failed}")
        else:
            await session.show_text(f"{photo.filename}: {photo.size} bytes")

    async def stream() -> None:
        try:
            live = await session.streams.start_managed(quality="720p")
        except RequestFailed as failed:
            await session.show_text(f"No stream: {failed}")
            return
        await session.show_text(f"watch {live.hls_url}")
        await trio.sleep(0.5)
        await session.streams.stop_managed()
        await session.show_text("the stream is over")

    def pressed(press: from_glasses.ButtonPress) -> None:
        # What waits is a task of its own: a handler that waits keeps the next event waiting.
        session.nursery.start_soon(stream if press.press_type == "long" else take_a_photo)

    session.on_button_press(pressed)
    await session.show_text("Cheese!")


async def be_a_camera(glasses: Glasses) -> None:
    """What the phone and its glasses do: photos are uploaded, and one time it fails."""
    request = await glasses.next(to_glasses.PhotoRequest)
    print("the phone uploads a photo, which the app wants", request.size)
    await glasses.answer.photo(request, JPEG)
    request = await glasses.next(to_glasses.PhotoRequest)
    await glasses.answer.photo_failed(request, "CAMERA_BUSY", "the camera is in use")
    wanted = await glasses.next(to_glasses.StartRtmpStream)
    print("the glasses stream to", wanted.rtmp_url.rpartition("/")[0])
    await glasses.stream_status("active", stream_id=wanted.stream_id)
    await glasses.next(to_glasses.StopRtmpStream)
    print("the glasses are told to stop")


async def main() -> None:
    engine = ScriptedStreams(live_after=0.2)
    async with (
        mentra_trio.open_server(mentra_trio.Config(port=0), live_streams=engine) as server,
        app.serve() as serving,
        open_glasses(server.url, server.token(USER)) as glasses,
        trio.open_nursery() as nursery,
    ):
        await server.apps.add(
            app.package, url=serving.url, api_key=app.api_key, permissions=["CAMERA"]
        )
        result = await server.start_app(USER, app.package)
        assert result.success, result.message
        await glasses.until_shown("Cheese!")
        nursery.start_soon(be_a_camera, glasses)
        for press, text in (
            ("short", f"photo.jpg: {len(JPEG)} bytes"),
            ("short", "No photo: phone: the camera is in use"),
            ("long", "watch http"),
        ):
            await glasses.press_button(press=press)
            await glasses.until_shown(text)
            print("the glasses show:", text)
        await glasses.until_shown("the stream is over")


if __name__ == "__main__":
    trio.run(main)
