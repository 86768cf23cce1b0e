"""Floor 7, the other ends of the wire: glasses and apps, for demonstrations, tests and users.

What is exported here is public: write an app with ``App``, play glasses with ``open_glasses``.
"""

from ..wire.from_app import RestreamDestination as RestreamDestination
from ..wire.parts import AudioConfig as AudioConfig
from ..wire.parts import VideoConfig as VideoConfig
from .app import App as App
from .app import AppServer as AppServer
from .app_session import AppSession as AppSession
from .audio_out import Played as Played
from .camera import Photo as Photo
from .dialing import open_websocket as open_websocket
from .events import MissedMessages as MissedMessages
from .events import Reconnected as Reconnected
from .events import Transcription as Transcription
from .events import Translation as Translation
from .glasses import Glasses as Glasses
from .glasses import open_glasses as open_glasses
from .live_streams import ManagedStream as ManagedStream
from .messages import OtherUser as OtherUser
from .questions import RequestFailed as RequestFailed
from .refusals import UpgradeRefused as UpgradeRefused
from .tools import ToolCall as ToolCall
from .tools import ToolFailed as ToolFailed
