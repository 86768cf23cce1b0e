"""The rules of photos."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mentra_trio.domain.camera import Camera
from mentra_trio.domain.photos import (
    CODES,
    PhotoFailure,
    error_body,
    known_code,
    late,
    refusal,
    reported_failure,
)

MAY = frozenset({"CAMERA"})
HERE = Camera(phone=True)
texts = st.none() | st.text()


@pytest.mark.parametrize(
    ("granted", "camera", "code", "hop"),
    [
        (frozenset(), HERE, "PERMISSION_DENIED", "app: "),
        (MAY, Camera(phone=False), "PHONE_GLASSES_NOT_CONNECTED", "phone: "),
        (MAY, Camera(phone=True, glasses=False), "PHONE_GLASSES_NOT_CONNECTED", "glasses: "),
    ],
)
def test_a_refusal_has_a_code_that_sdks_know(
    granted: frozenset[str], camera: Camera, code: str, hop: str
) -> None:
    failure = refusal(granted, camera, 0, 8)
    assert failure is not None
    assert failure.code == code
    assert failure.code in CODES
    assert failure.text.startswith(hop)


@given(st.integers(0, 20), st.integers(1, 20))
def test_there_are_at_most_so_many(pending: int, most: int) -> None:
    failure = refusal(MAY, HERE, pending, most)
    assert (failure is None) == (pending < most)
    assert failure is None or failure.code == "CAMERA_BUSY"


@given(st.sampled_from([None, True, False]), texts, texts, texts)
def test_what_a_phone_reports(
    success: bool | None, error: str | None, code: str | None, message: str | None
) -> None:
    failure = reported_failure(success, error, code, message)
    if success is True or (success is None and not any((error, code, message))):
        assert failure is None
        return
    assert failure is not None
    assert failure.code == (code or "UNKNOWN_ERROR")
    assert failure.text.startswith("phone: ")
    assert (message or error or "reason") in failure.text


def test_being_late_tells_whether_the_phone_is_there() -> None:
    assert late(25, phone=True) == PhotoFailure(
        code="PHONE_TIMEOUT", text="phone: no answer within 25 s"
    )
    assert "connection is lost" in late(25, phone=False).text


@given(st.text(), st.text(), st.text())
def test_the_body_rejects_in_both_ways_that_sdks_look_at(
    request: str, code: str, text: str
) -> None:
    assert error_body(request, PhotoFailure(code=code, text=text)) == {
        "requestId": request,
        "type": "photo_error",
        "success": False,
        "errorCode": code,
        "errorMessage": text,
    }


@given(st.text())
def test_what_is_reported_of_a_code_is_one_of_few(code: str) -> None:
    assert known_code(code) in CODES
    assert known_code("BLE_TRANSFER_FAILED") == "BLE_TRANSFER_FAILED"
