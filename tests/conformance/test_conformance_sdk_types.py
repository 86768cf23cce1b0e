"""The messages as this server spells them, and as the SDK's own declarations do: drift shows here.

What differs on purpose stands in the tables below, with its reason; an entry that is not needed
any more fails as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias, get_args

import msgspec

from mentra_trio.domain.capabilities import MODELS, capabilities_of
from mentra_trio.domain.user_settings import DEFAULTS
from mentra_trio.wire.from_app import FromApp
from mentra_trio.wire.from_glasses import FromGlasses
from mentra_trio.wire.to_app import ToApp
from mentra_trio.wire.to_glasses import ToGlasses

Fields: TypeAlias = Mapping[str, Mapping[str, Any]]

UNIONS: Final = {
    "AppToCloudMessage": FromApp,
    "CloudToAppMessage": ToApp,
    "GlassesToCloudMessage": FromGlasses,
    "CloudToGlassesMessage": ToGlasses,
}
SAID_TO_US: Final = ("AppToCloudMessage", "GlassesToCloudMessage")

TYPES_ONLY_THERE: Final = {
    # the data of streams, which travels inside data_stream; audio in binary frames
    ("CloudToAppMessage", "transcription"),
    ("CloudToAppMessage", "translation"),
    ("CloudToAppMessage", "audio_chunk"),
    ("CloudToAppMessage", "location_update"),
    ("CloudToAppMessage", "calendar_event"),
}
TYPES_ONLY_HERE: Final = {
    # SDK v3 (protocol.md, appendix A)
    ("AppToCloudMessage", "ping"),
    ("AppToCloudMessage", "reconnect"),
    ("CloudToAppMessage", "pong"),
    ("CloudToAppMessage", "reconnect_ack"),
    ("CloudToAppMessage", "reconnect_deferred"),
    ("CloudToAppMessage", "reconnect_rejected"),
    # defined in another place of the SDK, and never sent
    ("CloudToAppMessage", "websocket_error"),
    ("CloudToGlassesMessage", "websocket_error"),
    ("CloudToGlassesMessage", "dashboard_mode_change"),
    ("CloudToGlassesMessage", "dashboard_always_on_change"),
    # newer phones (protocol.md 3.3, 3.4)
    ("GlassesToCloudMessage", "ping"),
    ("GlassesToCloudMessage", "translation"),
    ("CloudToGlassesMessage", "ping"),
    ("CloudToGlassesMessage", "pong"),
    ("CloudToGlassesMessage", "app_stopped"),
}
FIELDS_ONLY_HERE: Final = {
    # for SDKs of other ages (protocol.md 1.3, 2.4, appendix A)
    "tpa_connection_init": {"reconnect", "reconnectToken"},
    "tpa_connection_ack": {
        "augmentosSettings",
        "reconnectToken",
        "resurrected",
        "subscriptions",
        "userId",
    },
    "connection_error": {"code"},
    # what the SDK has an argument for, and does not pass on (protocol.md 3.1)
    "app_broadcast_message": {"roomId"},
    # older phones (protocol.md 3.3)
    "photo_response": {"errorCode", "errorMessage"},
    # phones read one name or the other, or more than the SDK says (protocol.md 3.4)
    "connection_ack": {"env", "udpEncryption", "udpHost", "udpPort", "userSession"},
    "auth_error": {"code"},
    "display_event": {"packageName", "view"},
    "app_state_change": {"userSession"},
    "microphone_state_change": {"userSession"},
    "rgb_led_control": {"packageName"},
    "audio_play_request": {"packageName", "trackId"},
    "audio_stop_request": {"trackId"},
    # one message of that type goes to apps, another one to phones
    "settings_update": {"message", "success"},
}
NOT_WRITTEN_ALWAYS: Final = {
    # what the SDK declares as required, and reads without
    ("app_stopped", "reason"),
    ("photo_response", "success"),
    ("settings_update", "packageName"),
    ("custom_message", "payload"),
    # one name of the app or the other; senders fill in both (protocol.md 3.4)
    ("rgb_led_control", "appId"),
    ("audio_play_request", "appId"),
}


def ours(union: str) -> dict[str, msgspec.inspect.StructType]:
    """The messages of a direction by their type on the wire."""
    infos = [msgspec.inspect.type_info(kind) for kind in get_args(UNIONS[union])]
    return {str(info.tag): info for info in infos if isinstance(info, msgspec.inspect.StructType)}


def both(
    declared: Mapping[str, Any],
) -> Iterator[tuple[str, str, Fields, msgspec.inspect.StructType]]:
    """Every message that there is here and there: direction, type, its fields there and here."""
    for union in UNIONS:
        known = ours(union)
        for name, fields in declared["messages"][union].items():
            if name in known:
                yield union, name, fields, known[name]


def structs_in(type_: msgspec.inspect.Type) -> Iterator[msgspec.inspect.StructType]:
    """The objects that a value of that type may be, or may be a list of."""
    match type_:
        case msgspec.inspect.StructType():
            yield type_
        case msgspec.inspect.UnionType(types=types):
            for one in types:
                yield from structs_in(one)
        case msgspec.inspect.CollectionType(item_type=item):
            yield from structs_in(item)


def names_of(struct: msgspec.inspect.StructType) -> set[str]:
    """The names of its fields on the wire, the tag included."""
    tag = {struct.tag_field} if struct.tag_field else set()
    return {field.encode_name for field in struct.fields} | tag


def test_every_message_of_the_sdk_is_known(declared: Mapping[str, Any]) -> None:
    there = {(union, name) for union in UNIONS for name in declared["messages"][union]}
    here = {(union, name) for union in UNIONS for name in ours(union)}
    assert there - here == TYPES_ONLY_THERE
    assert here - there == TYPES_ONLY_HERE


def test_every_field_of_the_sdk_is_known(declared: Mapping[str, Any]) -> None:
    missing = {
        (union, name, field)
        for union, name, fields, struct in both(declared)
        for field in fields.keys() - names_of(struct)
    }
    assert missing == set()


def test_fields_that_the_sdk_does_not_know_are_meant(declared: Mapping[str, Any]) -> None:
    extra: dict[str, set[str]] = {}
    for _, name, fields, struct in both(declared):
        if unknown := names_of(struct) - fields.keys():
            extra.setdefault(name, set()).update(unknown)
    assert extra == FIELDS_ONLY_HERE


def test_what_the_sdk_may_leave_out_is_not_demanded(declared: Mapping[str, Any]) -> None:
    demanded = {
        (name, field.encode_name)
        for union, name, fields, struct in both(declared)
        if union in SAID_TO_US
        for field in struct.fields
        if field.required and fields[field.encode_name]["optional"]
    }
    assert demanded == set()


def test_what_the_sdk_expects_is_always_written(declared: Mapping[str, Any]) -> None:
    left_out = {
        (name, field.encode_name)
        for union, name, fields, struct in both(declared)
        if union not in SAID_TO_US
        for field in struct.fields
        if not field.required
        and field.encode_name not in {"timestamp", "sessionId"}  # every sender fills them in
        and not fields.get(field.encode_name, {"optional": True})["optional"]
    }
    assert left_out == NOT_WRITTEN_ALWAYS


def test_objects_in_messages_have_the_same_fields(declared: Mapping[str, Any]) -> None:
    differing = {}
    for union, name, fields, struct in both(declared):
        for field in struct.fields:
            inner = fields.get(field.encode_name, {}).get("fields", {})
            known = list(structs_in(field.type))
            if not inner or not known:
                continue
            here = set().union(*(names_of(one) for one in known))
            if here != set(inner):
                differing[union, name, field.encode_name] = here ^ set(inner)
    assert differing == {}


def accepts(type_: msgspec.inspect.Type, kind: type[Any]) -> bool:
    if isinstance(type_, msgspec.inspect.UnionType):
        return any(accepts(one, kind) for one in type_.types)
    return isinstance(type_, kind | msgspec.inspect.AnyType | msgspec.inspect.RawType)


KINDS: Final = {
    "string": msgspec.inspect.StrType,
    "number": msgspec.inspect.FloatType,
    "boolean": msgspec.inspect.BoolType,
}


def test_plain_fields_are_of_the_same_kind(declared: Mapping[str, Any]) -> None:
    wrong = {
        (union, name, field.encode_name, text)
        for union, name, fields, struct in both(declared)
        for field in struct.fields
        if (text := fields.get(field.encode_name, {}).get("text")) in KINDS
        and not accepts(field.type, KINDS[text])
    }
    assert wrong == set()


def test_models_can_do_here_what_they_can_do_there(declared: Mapping[str, Any]) -> None:
    assert {model: capabilities_of(model) for model in MODELS} == declared["capabilities"]


def test_apps_are_told_all_settings_that_the_sdk_names(declared: Mapping[str, Any]) -> None:
    settings = declared["messages"]["CloudToGlassesMessage"]["settings_update"]["settings"]
    assert set(DEFAULTS) == set(settings["fields"])
