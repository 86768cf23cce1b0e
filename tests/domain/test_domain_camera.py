"""What keeps a camera from being used, and in which order it is looked for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mentra_trio.domain.camera import Camera, Obstacle, in_words, obstacle
from mentra_trio.domain.capabilities import MODELS, capabilities_of

MAY = frozenset({"CAMERA"})
LIVE = "Mentra Live"

cameras = st.builds(
    lambda phone, glasses, model, wifi: Camera(
        phone=phone, glasses=glasses, model=model, capabilities=capabilities_of(model), wifi=wifi
    ),
    st.booleans(),
    st.sampled_from([None, True, False]),
    st.sampled_from([None, "Something New", *MODELS]),
    st.sampled_from([None, True, False]),
)


def camera_of(model: str | None, **known: bool) -> Camera:
    known = {"phone": True, "glasses": True, "wifi": True, **known}
    return Camera(model=model, capabilities=capabilities_of(model), **known)


@pytest.mark.parametrize(
    ("granted", "camera", "found"),
    [
        (frozenset({"MICROPHONE"}), camera_of(LIVE, phone=False), Obstacle.NO_PERMISSION),
        (MAY, camera_of(LIVE, phone=False, glasses=False), Obstacle.NO_PHONE),
        (MAY, camera_of("Even Realities G1", glasses=False), Obstacle.NO_GLASSES),
        (MAY, camera_of(None, glasses=False), Obstacle.NO_GLASSES),
        (MAY, camera_of("Even Realities G1", wifi=False), Obstacle.NO_CAMERA),
        (MAY, camera_of(LIVE, wifi=False), Obstacle.NO_WIFI),
        (MAY, camera_of("Simulated Glasses", glasses=False, wifi=False), None),
        (MAY, camera_of("Something New", wifi=False), None),
        (MAY, camera_of(LIVE), None),
        (frozenset({"ALL"}), Camera(phone=True), None),
    ],
)
def test_the_first_obstacle_on_the_way_is_told(
    granted: frozenset[str], camera: Camera, found: Obstacle | None
) -> None:
    assert obstacle(granted, camera, streaming=True) is found


def test_a_photo_needs_no_network_of_the_glasses() -> None:
    assert obstacle(MAY, camera_of(LIVE, wifi=False)) is None


@given(cameras)
def test_what_stops_a_photo_stops_a_stream(camera: Camera) -> None:
    photo = obstacle(MAY, camera)
    assert photo is None or obstacle(MAY, camera, streaming=True) is photo


@given(cameras, st.sampled_from(list(Obstacle)))
def test_every_text_names_its_hop(camera: Camera, found: Obstacle) -> None:
    hop, _, rest = in_words(found, camera, "to take photos").partition(": ")
    assert hop in {"app", "phone", "glasses"}
    assert rest
