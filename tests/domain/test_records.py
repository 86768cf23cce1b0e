"""What outlives an app session: written down and read again without loss, or refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mentra_trio.domain.lifecycle import AppState
from mentra_trio.domain.records import NO_RUNTIME, TOKENS_KEPT, AppRecord
from mentra_trio.domain.subscriptions import SubscriptionSet

serials = st.integers(NO_RUNTIME, 10_000)
subscriptions = st.lists(
    st.one_of(
        st.sampled_from(["button_press", "transcription:en-US?hints=en", "*", "unheard of"]),
        st.sampled_from(["realtime", "reduced"]).map(
            lambda rate: {"stream": "location_stream", "rate": rate}
        ),
    ),
    max_size=4,
).map(SubscriptionSet.from_wire)
records = st.builds(
    AppRecord,
    state=st.sampled_from(AppState),
    cause=st.text(max_size=20),
    since=st.datetimes(timezones=st.just(UTC)),
    epoch=st.integers(1, 99),
    floor=serials,
    runtime=serials,
    serial=serials,
    tokens=st.lists(st.tuples(st.text(max_size=8), serials), max_size=12).map(tuple),
    subscriptions=subscriptions,
    reconnect_hash=st.text("0123456789abcdef", max_size=8),
    quarantined=st.booleans(),
)

WHOLE = AppRecord(
    state=AppState.DORMANT, cause="link released", since=datetime(2026, 1, 1, tzinfo=UTC), epoch=3
)


@given(records)
def test_it_comes_back_from_its_json_as_it_was_but_for_old_tokens(record: AppRecord) -> None:
    read = AppRecord.from_plain(json.loads(json.dumps(record.to_plain())))
    assert read == attrs.evolve(record, tokens=record.tokens[-TOKENS_KEPT:])


@pytest.mark.parametrize("key", sorted(WHOLE.to_plain()))
def test_without_any_one_of_its_keys_it_is_damaged(key: str) -> None:
    plain = {name: value for name, value in WHOLE.to_plain().items() if name != key}
    with pytest.raises(ValueError, match="damaged"):
        AppRecord.from_plain(plain)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("state", "asleep"), ("state", None), ("since", "yesterday"), ("since", 7)),
        *(("epoch", "one"), ("epoch", None), ("floor", []), ("tokens", [["t1"]])),
        *(("tokens", 5), ("tokens", [["t1", "x"]]), ("serial", {})),
    ],
)
def test_with_a_value_of_another_kind_it_is_damaged(key: str, value: Any) -> None:
    with pytest.raises(ValueError, match="damaged"):
        AppRecord.from_plain({**WHOLE.to_plain(), key: value})


def test_what_a_later_version_adds_is_left_alone() -> None:
    assert AppRecord.from_plain({**WHOLE.to_plain(), "mood": "good"}) == WHOLE
