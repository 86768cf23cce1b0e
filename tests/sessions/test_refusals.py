"""Requests that this server cannot serve are answered at once, and close nothing (3.6)."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.domain.facts import FrameIgnored
from mentra_trio.testing.household import open_one_app

ASKED_AND_ANSWERED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {"type": "audio_play_request", "requestId": "r", "audioUrl": "http://a/b.mp3"},
        {"type": "audio_play_response", "requestId": "r", "success": False},
    ),
    (
        {
            "type": "app_direct_message",
            "targetUserId": "other@x.org",
            "payload": 1,
            "messageId": "m",
            "senderUserId": "me",
        },
        {
            "type": "app_direct_message_response",
            "messageId": "m",
            "success": False,
            "targetUserId": "other@x.org",
        },
    ),
]


@pytest.mark.parametrize(
    ("asked", "answered"), ASKED_AND_ANSWERED, ids=lambda message: message["type"]
)
async def test_the_answer_comes_at_once(
    asked: dict[str, Any], answered: dict[str, Any], autojump_clock: MockClock
) -> None:
    async with open_one_app() as (_house, _glasses, app):
        began = trio.current_time()
        app.say(asked)
        answer = await app.expect(answered["type"])
        assert {key: answer[key] for key in answered} == answered
        assert trio.current_time() == began
        assert app.is_open


@pytest.mark.parametrize(
    "asked",
    [
        {"type": "request_wifi_setup"},
        {"type": "audio_stop_request"},
        {"type": "location_poll_request", "correlationId": "c", "accuracy": "high"},
        {"type": "dashboard_content_update", "content": "x", "modes": ["main"]},
    ],
    ids=lambda message: message["type"],
)
async def test_what_has_no_answer_is_noted_and_ignored(
    asked: dict[str, Any], autojump_clock: MockClock
) -> None:
    async with open_one_app() as (house, _glasses, app):
        app.say(asked)
        await wait_all_tasks_blocked()
        assert len(house.telemetry.of(FrameIgnored)) == 1
        assert app.is_open
