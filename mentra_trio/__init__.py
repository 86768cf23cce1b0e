"""A server for smart-glasses apps, wire-compatible with the MentraOS cloud, built on Trio.

What is exported here is the public interface; everything else may move between versions.

The package is built in floors, and a floor imports only floors below it:

    8  cli, testing      people and test programs enter here
    7  clients           the other ends of the wire: glasses and apps
    6  server, opening   assembly: the only place that knows all parts
    5  transport, web, webhooks, storage, telemetry, speech, voice, streams
                         adapters; they never import each other
    4  sessions          the actors: one nursery per user session and per app session
    3  ports, engines    what sessions need from outside
    2  wire, concurrency, environment, config, config_sources
    1  domain            the rules: pure functions and frozen values
"""

from importlib import import_module as _import_module
from types import MappingProxyType as _MappingProxyType
from typing import TYPE_CHECKING
from typing import Any as _Any
from typing import Final as _Final

if TYPE_CHECKING:
    from .config import Config as Config
    from .config import SpeechSettings as SpeechSettings
    from .config import WebhookSettings as WebhookSettings
    from .config_sources import load_config as load_config
    from .domain.apps import AppKind as AppKind
    from .domain.apps import AppRegistration as AppRegistration
    from .domain.close_reasons import CloseReason as CloseReason
    from .domain.errors import ConfigError as ConfigError
    from .domain.errors import DecodeError as DecodeError
    from .domain.errors import InitRefused as InitRefused
    from .domain.errors import LinkClosed as LinkClosed
    from .domain.errors import LiveStreamFailed as LiveStreamFailed
    from .domain.errors import MentraTrioError as MentraTrioError
    from .domain.errors import SessionEnded as SessionEnded
    from .domain.errors import StoreFailed as StoreFailed
    from .domain.errors import TranscriberFailed as TranscriberFailed
    from .domain.errors import UnknownApp as UnknownApp
    from .domain.errors import VoiceFailed as VoiceFailed
    from .domain.errors import WebhookFailed as WebhookFailed
    from .domain.errors import WebhookFailure as WebhookFailure
    from .domain.facts import Fact as Fact
    from .domain.lifecycle import AppState as AppState
    from .domain.live_streams import Playback as Playback
    from .domain.speech import SpeechWish as SpeechWish
    from .domain.starting import StartResult as StartResult
    from .domain.starting import StartStage as StartStage
    from .domain.stream_settings import StreamSettings as StreamSettings
    from .domain.timings import Heartbeat as Heartbeat
    from .domain.timings import Lifecycle as Lifecycle
    from .domain.timings import Limits as Limits
    from .domain.voices import VoiceSettings as VoiceSettings
    from .engines import Audio as Audio
    from .engines import Heard as Heard
    from .engines import Ingest as Ingest
    from .engines import LiveStreams as LiveStreams
    from .engines import Speech as Speech
    from .engines import Spoken as Spoken
    from .engines import Transcriber as Transcriber
    from .engines import Voice as Voice
    from .environment import Environment as Environment
    from .ports import Link as Link
    from .ports import Store as Store
    from .ports import Telemetry as Telemetry
    from .ports import Webhooks as Webhooks
    from .server import Server as Server
    from .server import open_server as open_server
    from .sessions.catalog import AddedApp as AddedApp
    from .sessions.catalog import AppCatalog as AppCatalog
    from .sessions.snapshots import AppSnapshot as AppSnapshot
    from .sessions.snapshots import UserSnapshot as UserSnapshot

_FROM: _Final = _MappingProxyType(
    {
        ".config": ("Config", "SpeechSettings", "WebhookSettings"),
        ".config_sources": ("load_config",),
        ".domain.apps": ("AppKind", "AppRegistration"),
        ".domain.close_reasons": ("CloseReason",),
        ".domain.errors": (
            "ConfigError",
            "DecodeError",
            "InitRefused",
            "LinkClosed",
            "MentraTrioError",
            "SessionEnded",
            "StoreFailed",
            "LiveStreamFailed",
            "TranscriberFailed",
            "UnknownApp",
            "VoiceFailed",
            "WebhookFailed",
            "WebhookFailure",
        ),
        ".domain.facts": ("Fact",),
        ".domain.lifecycle": ("AppState",),
        ".domain.live_streams": ("Playback",),
        ".domain.speech": ("SpeechWish",),
        ".domain.stream_settings": ("StreamSettings",),
        ".domain.starting": ("StartResult", "StartStage"),
        ".domain.timings": ("Heartbeat", "Lifecycle", "Limits"),
        ".domain.voices": ("VoiceSettings",),
        ".engines": (
            "Audio",
            "Heard",
            "Ingest",
            "LiveStreams",
            "Speech",
            "Spoken",
            "Transcriber",
            "Voice",
        ),
        ".environment": ("Environment",),
        ".ports": ("Link", "Store", "Telemetry", "Webhooks"),
        ".server": ("Server", "open_server"),
        ".sessions.catalog": ("AddedApp", "AppCatalog"),
        ".sessions.snapshots": ("AppSnapshot", "UserSnapshot"),
    }
)
_WHERE: _Final = _MappingProxyType(
    {name: module for module, names in _FROM.items() for name in names}
)
"""What is loaded when it is first asked for: a command that asks a server does not load one, and
a test suite that has the pytest plugin and does not use it loads nothing."""


def __getattr__(name: str) -> _Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_import_module(_WHERE[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})
