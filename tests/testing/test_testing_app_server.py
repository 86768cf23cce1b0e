from __future__ import annotations

from mentra_trio.testing.app_server import SdkApp
from mentra_trio.testing.sdk_script import Draw, Script, Subscribe
from mentra_trio.testing.world import USER, World

APP = "com.t.a"
SESSION = f"{USER}-{APP}"


async def test_smoke(world: World) -> None:
    app = SdkApp(APP, "key", script=Script(steps=(Subscribe("button_press"), Subscribe("head_position"), Draw("ready"))))
    process = await world.add(app)
    async with world.glasses() as glasses:
        result = await world.server.start_app(USER, APP)
        assert result.success, result
        await glasses.until_shown("ready", package=APP)
        assert world.state(APP) == "running"
        for e in process.server.diary: print(e)
        assert process.server.diary.lists() == [[], ["button_press"], ["button_press", "head_position"]]
