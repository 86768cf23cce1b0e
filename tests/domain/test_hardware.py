"""What an app needs of the glasses, and which glasses have it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mentra_trio.domain.capabilities import MODELS, capabilities_of
from mentra_trio.domain.errors import ConfigError
from mentra_trio.domain.hardware import (
    HardwareLevel,
    HardwareRequirement,
    HardwareType,
    missing,
    required_but_missing,
    requirement_of,
    what_is_lacking,
)

requirements = st.lists(
    st.builds(
        HardwareRequirement,
        type=st.sampled_from(HardwareType),
        level=st.sampled_from(HardwareLevel),
        description=st.text(max_size=20),
    ),
    max_size=6,
)


@pytest.mark.parametrize(
    ("model", "lacking"),
    [
        ("Simulated Glasses", "CAMERA IMU LIGHT WIFI"),
        ("Even Realities G1", "CAMERA SPEAKER BUTTON LIGHT WIFI"),
        ("Mentra Live", "DISPLAY"),
        ("Vuzix Z100", "CAMERA MICROPHONE SPEAKER IMU BUTTON LIGHT WIFI"),
        ("Mentra Nex", ""),
        (None, ""),
    ],
)
def test_what_each_model_lacks(model: str | None, lacking: str) -> None:
    everything = [HardwareRequirement(type=one) for one in HardwareType]
    found = missing(everything, capabilities_of(model))
    assert [one.type.value for one in found] == lacking.split()


@given(requirements, st.sampled_from([*MODELS, "unheard of", None]))
def test_only_what_is_required_stands_in_the_way(
    needs: list[HardwareRequirement], model: str | None
) -> None:
    capabilities = capabilities_of(model)
    lacking = missing(needs, capabilities)
    required = required_but_missing(needs, capabilities)
    assert set(required) <= set(lacking) <= set(needs)
    assert {one.level for one in required} <= {HardwareLevel.REQUIRED}
    optional = [one for one in needs if one.level is HardwareLevel.OPTIONAL]
    assert required_but_missing(optional, capabilities) == ()


@given(requirements)
def test_a_requirement_survives_its_plain_form(needs: list[HardwareRequirement]) -> None:
    assert [requirement_of(one.to_plain()) for one in needs] == needs


def test_a_type_alone_is_required() -> None:
    one = requirement_of({"type": "camera"})
    assert one == HardwareRequirement(type=HardwareType.CAMERA, level=HardwareLevel.REQUIRED)
    assert requirement_of({"type": "IMU", "level": "optional"}).required is False


@pytest.mark.parametrize(
    ("plain", "word"),
    [
        ("CAMERA", "an object"),
        ({}, "a type of hardware"),
        ({"type": "LASER"}, "'LASER'"),
        ({"type": 7}, "a type of hardware"),
        ({"type": "CAMERA", "level": "MAYBE"}, "'MAYBE'"),
        ({"type": "CAMERA", "description": 7}, "description"),
        ({"type": "CAMERA", "description": "x" * 1001}, "description"),
    ],
)
def test_what_is_no_requirement(plain: object, word: str) -> None:
    with pytest.raises(ConfigError, match=word) as caught:
        requirement_of(plain)
    assert "\n" not in str(caught.value)


def test_what_is_lacking_is_told_with_its_hop() -> None:
    camera, display = (
        HardwareRequirement(type=HardwareType.CAMERA),
        HardwareRequirement(type=HardwareType.DISPLAY),
    )
    imu = HardwareRequirement(type=HardwareType.IMU)
    assert what_is_lacking([display], "Mentra Live") == "glasses: Mentra Live has no display"
    assert what_is_lacking([camera, imu], None) == "glasses: this model has no camera and no IMU"
