"""Frames to messages and back: every message there is, and whatever else may come."""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Union, get_args, get_origin

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mentra_trio.domain.errors import DecodeError
from mentra_trio.domain.nesting import DEPTH_MAX
from mentra_trio.wire import codec, parts
from mentra_trio.wire.from_app import FromApp
from mentra_trio.wire.from_glasses import FromGlasses
from mentra_trio.wire.message import Message, Unrecognized
from mentra_trio.wire.to_app import ToApp
from mentra_trio.wire.to_glasses import ToGlasses

Decode = Callable[[str | bytes], Any]

DIRECTIONS: Final[Mapping[str, tuple[Any, Decode]]] = {
    "from_app": (FromApp, codec.decode_from_app),
    "to_app": (ToApp, codec.decode_to_app),
    "from_glasses": (FromGlasses, codec.decode_from_glasses),
    "to_glasses": (ToGlasses, codec.decode_to_glasses),
}
EVERY_MESSAGE: Final = [
    pytest.param(decode, cls, id=f"{name}-{cls.__name__}")
    for name, (union, decode) in DIRECTIONS.items()
    for cls in get_args(union)
]
EVERY_DECODER: Final = [pytest.param(decode, id=name) for name, (_, decode) in DIRECTIONS.items()]

texts = st.text(st.characters(codec="utf-8"), max_size=12)
numbers = st.one_of(
    st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False, allow_infinity=False)
)
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


def values_of(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a field's type."""
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return st.one_of([values_of(each) for each in args])
    if origin in (list, Sequence):
        return st.lists(values_of(args[0]), max_size=3)
    if origin is Mapping:
        return st.dictionaries(texts, values_of(args[1]), max_size=3)
    if kind is msgspec.Raw:
        return json_values.map(lambda value: msgspec.Raw(json.dumps(value)))
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return messages_of(kind)
    simple: dict[Any, st.SearchStrategy[Any]] = {
        Any: json_values,
        str: texts,
        bool: st.booleans(),
        int: st.integers(-(2**63), 2**64 - 1),
        float: st.floats(allow_nan=False, allow_infinity=False),
        type(None): st.none(),
    }
    return simple[kind]


def messages_of(cls: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    """Messages of a class, optional fields present or not."""
    fields = msgspec.structs.fields(cls)
    required = {f.name: values_of(f.type) for f in fields if f.required}
    optional = {f.name: values_of(f.type) for f in fields if not f.required}
    return st.fixed_dictionaries(required, optional=optional).map(lambda kw: cls(**kw))


@pytest.mark.parametrize(("decode", "cls"), EVERY_MESSAGE)
@settings(deadline=None, max_examples=12)
@given(data=st.data())
def test_what_is_encoded_is_decoded_again(
    decode: Decode, cls: type[Message], data: st.DataObject
) -> None:
    message = data.draw(messages_of(cls))

    frame = codec.encode(message)

    assert decode(frame) == message
    assert decode(frame.encode()) == message
    assert json.loads(frame)["type"] == cls.__struct_config__.tag


@pytest.mark.parametrize(("decode", "cls"), EVERY_MESSAGE)
@settings(deadline=None, max_examples=4)
@given(data=st.data())
def test_unknown_fields_are_ignored(
    decode: Decode, cls: type[Message], data: st.DataObject
) -> None:
    message = data.draw(messages_of(cls))
    body = json.loads(codec.encode(message))

    newer = {"fromTheFuture": data.draw(json_values), **body, "another": [{}]}

    assert decode(json.dumps(newer)) == message


@pytest.mark.parametrize(("decode", "cls"), EVERY_MESSAGE)
@settings(deadline=None, max_examples=3)
@given(data=st.data())
def test_a_missing_required_field_is_an_error_that_names_it(
    decode: Decode, cls: type[Message], data: st.DataObject
) -> None:
    body = json.loads(codec.encode(data.draw(messages_of(cls))))
    for field in msgspec.structs.fields(cls):
        if field.required:
            without = {name: value for name, value in body.items() if name != field.encode_name}
            with pytest.raises(DecodeError, match=field.encode_name):
                decode(json.dumps(without))


@pytest.mark.parametrize(("decode", "cls"), EVERY_MESSAGE)
def test_every_optional_field_may_be_null_and_is_not_written_when_it_is(
    decode: Decode, cls: type[Message]
) -> None:
    optional = [f for f in msgspec.structs.fields(cls) if not f.required]
    required: dict[str, Any] = {
        f.name: values_of(f.type).filter(lambda value: value is not None)
        for f in msgspec.structs.fields(cls)
        if f.required
    }

    @settings(deadline=None, max_examples=3, database=None)
    @given(kw=st.fixed_dictionaries(required))
    def check(kw: dict[str, Any]) -> None:
        message = cls(**kw)
        body = json.loads(codec.encode(message))
        assert not body.keys() & {f.encode_name for f in optional}
        with_nulls = {**body, **{f.encode_name: None for f in optional}}
        assert decode(json.dumps(with_nulls)) == message

    check()


@pytest.mark.parametrize("decode", EVERY_DECODER)
@given(
    type_=texts.map(lambda text: f"not {text}"),
    fields=st.dictionaries(texts, json_values, max_size=3),
)
@settings(deadline=None)
def test_an_unknown_type_is_recognised_as_such(
    decode: Decode, type_: str, fields: dict[str, Any]
) -> None:
    frame = json.dumps({**fields, "type": type_})

    assert decode(frame) == Unrecognized(type_)


HOSTILE: Final = [
    "",
    " ",
    "null",
    "true",
    "12",
    '"type"',
    "[]",
    '[{"type":"ping"}]',
    "{}",
    '{"type":null}',
    '{"type":7}',
    '{"type":["ping"]}',
    '{"type":{}}',
    '{"Type":"ping"}',
    '{"type":"ping"',
    '{"type":"ping"} x',
    '{"type":"ping","timestamp":NaN}',
    '{"type":"ping","timestamp":Infinity}',
    '{"type":"ping","x":"\\ud800"}',
    '{"type":"ping","x":"\ud800"}',
    '{"type":"later","x":"\ud800"}',
    b"\xff\xfe",
    b'{"type":"ping","x":"\xff"}',
    b'{"type":"later","x":"\xff"}',
    b"\x00" * 64,
    "[" * 200_000,
    '{"type":"later","x":' + "[" * 200_000,
    '{"type":"subscription_update","subscriptions":' + "[" * 200_000,
    '{"type":"custom_message","action":"a","payload":' + '{"a":' * 100_000,
    '{"type":"core_status_update","status":' + '{"a":' * 100_000,
]


@pytest.mark.parametrize("decode", EVERY_DECODER)
@pytest.mark.parametrize("frame", HOSTILE, ids=range(len(HOSTILE)))
def test_what_is_no_message_is_a_decode_error(decode: Decode, frame: str | bytes) -> None:
    with pytest.raises(DecodeError):
        decode(frame)


@pytest.mark.parametrize("decode", EVERY_DECODER)
@settings(deadline=None, max_examples=300)
@given(frame=st.one_of(st.text(max_size=60), st.binary(max_size=60)))
@example('{"type":"ping","timestamp":' + "9" * 5000 + "}")
@example('{"type":"ping","timestamp":1e999}')
@example('{"type":"a","type":"b"}')
def test_nothing_makes_a_decoder_raise_anything_else(decode: Decode, frame: str | bytes) -> None:
    decode_or_refuse(decode, frame)


@pytest.mark.parametrize(("decode", "cls"), EVERY_MESSAGE)
@settings(deadline=None, max_examples=8)
@given(data=st.data())
def test_a_damaged_message_is_read_or_refused(
    decode: Decode, cls: type[Message], data: st.DataObject
) -> None:
    frame = codec.encode(data.draw(messages_of(cls))).encode()
    start = data.draw(st.integers(0, len(frame)))
    end = data.draw(st.integers(start, len(frame)))

    decode_or_refuse(decode, frame[:start] + data.draw(st.binary(max_size=8)) + frame[end:])


@pytest.mark.parametrize(("decode", "cls"), EVERY_MESSAGE)
@settings(deadline=None, max_examples=8)
@given(data=st.data())
def test_a_field_of_the_wrong_kind_is_read_or_refused_without_being_repeated(
    decode: Decode, cls: type[Message], data: st.DataObject
) -> None:
    body = json.loads(codec.encode(data.draw(messages_of(cls))))
    name = data.draw(st.sampled_from(sorted(body)))
    secret = "hunter2-{}-hunter2"
    wrong: Any = data.draw(st.sampled_from([secret, [secret], {secret: secret}, 5, True, None]))

    problem = decode_or_refuse(decode, json.dumps({**body, name: wrong}))

    assert problem is None or ("hunter2" not in problem and " at $" in problem)


def decode_or_refuse(decode: Decode, frame: str | bytes) -> str | None:
    """What the decoder says is wrong with ``frame``; any other error fails the test."""
    try:
        message = decode(frame)
    except DecodeError as error:
        return error.problem
    assert isinstance(message, Message | Unrecognized)
    return None


@pytest.mark.parametrize(
    ("frame", "problem"),
    [
        (
            '{"type":"display_event","layout":{"layoutType":"text_wall","text":7}}',
            "Expected `str`, got `int` at $.layout.text",
        ),
        (
            '{"type":"display_event","layout":{"layoutType":"it\'s - at `$.secret`"}}',
            "Invalid value at $.layout.layoutType",
        ),
        (
            '{"type":"tpa_connection_init","sessionId":"s","packageName":"p"}',
            "Object missing required field `apiKey` at $",
        ),
        ('{"type":"subscription_update","subscriptions":["a"', "Input data was truncated at $"),
        ("[" * 100_000, "Expected `object`, got `array` at $"),
        ('{"type":"x","y":' + "[" * 100_000, "nested too deeply at $"),
        (b"\xff", "not valid UTF-8 at $"),
    ],
)
def test_a_decode_error_says_what_and_where(frame: str | bytes, problem: str) -> None:
    with pytest.raises(DecodeError) as caught:
        codec.decode_from_app(frame)

    assert caught.value.problem == problem
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


@pytest.mark.parametrize("decode", EVERY_DECODER)
def test_what_can_be_read_is_nested_so_little_that_anybody_can_follow(decode: Decode) -> None:
    in_a_text = '{"type":"x","y":"' + '\\"[' * 1_000 + '"}'
    assert isinstance(decode(in_a_text), Unrecognized)
    wide = '{"type":"x","y":[' + "[],{}," * 1_000 + "[]]}"
    assert isinstance(decode(wide), Unrecognized)
    for levels in (DEPTH_MAX, DEPTH_MAX + 1):
        inner = levels - 1
        frame = '{"type":"x","y":' + "[" * inner + "]" * inner + "}"
        if levels <= DEPTH_MAX:
            assert isinstance(decode(frame), Unrecognized)
            continue
        with pytest.raises(DecodeError, match="nested too deeply"):
            decode(frame)


@settings(deadline=None)
@given(payload=st.integers(-(10**300), 10**300))
def test_a_huge_number_that_was_read_can_be_written(payload: int) -> None:
    frame = f'{{"type":"app_broadcast_message","payload":{payload}}}'

    message = codec.decode_from_app(frame)

    assert isinstance(message, msgspec.Struct)
    assert json.loads(codec.encode(message))["payload"] == payload


@pytest.mark.parametrize("layout", get_args(parts.Layout))
@settings(deadline=None, max_examples=4)
@given(data=st.data())
def test_a_layout_comes_back_under_its_name(
    layout: type[msgspec.Struct], data: st.DataObject
) -> None:
    shown = data.draw(messages_of(layout))

    body = json.loads(msgspec.json.encode(shown))

    assert body["layoutType"] == layout.__struct_config__.tag
    assert msgspec.convert(body, parts.Layout) == shown


@pytest.mark.parametrize("decode", [codec.decode_from_app, codec.decode_from_glasses])
@pytest.mark.parametrize("inside", ["payload", "unknown"])
def test_a_message_may_be_so_deep_and_no_deeper(decode: Decode, inside: str) -> None:
    def frame(depth: int, kind: str) -> str:
        nested = "[" * (depth - 1) + "]" * (depth - 1)
        return f'{{"type":"{kind}","messageId":"m","payload":0,"{inside}":{nested}}}'

    for kind in ("app_broadcast_message", "phone_notification", "of the future"):
        decode(frame(DEPTH_MAX, kind))
        for written in (frame(DEPTH_MAX + 1, kind), frame(DEPTH_MAX + 1, kind).encode()):
            with pytest.raises(DecodeError) as refused:
                decode(written)
            assert refused.value.problem == "nested too deeply at $"


def test_a_message_may_be_wide() -> None:
    wide = f'{{"type":"of the future","x":[{",".join(["[{}]"] * DEPTH_MAX)}]}}'
    assert codec.decode_from_app(wide) == Unrecognized(type="of the future")
    with pytest.raises(DecodeError):
        codec.decode_from_app(wide.replace("{}", '"\\ud800"'))
