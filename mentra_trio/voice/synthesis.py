"""A program of its own that says one text with eSpeak NG: JSON on stdin, MP3 on stdout.

It imports nothing of this package, and is run by ``espeak_voice``: what it is given comes from
strangers, and the engine is written in C, so neither is in the server's process.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import resource
import sys
from typing import Any, Final

AUDIO_S_MAX: Final = 180
"""A longer speech is refused: a short text can be a long number."""
PROCESSOR_S_MAX: Final = 10
MEMORY_BYTES_MAX: Final = 1 << 30
NICENESS: Final = 10

SYNCHRONOUS: Final = 2
STAY_ALIVE: Final = 0x8000
UTF8: Final = 1
RATE: Final = 1
WORDS_PER_MINUTE: Final = 175
WORDS_BOUNDS: Final = (80, 450)
"""Between the slowest and the fastest that the engine knows."""
SAMPLE_BYTES: Final = 2
BITRATE_KBPS: Final = 48
QUALITY: Final = 7
"""Of the encoder: 2 is best and slowest, 7 the fastest."""

Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


def main() -> int:
    """Say what stdin asks for; 0, or 1 with the problem as one line on stderr."""
    os.nice(NICENESS)
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_S_MAX, PROCESSOR_S_MAX))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    asked = json.load(sys.stdin.buffer)
    try:
        rate, samples = spoken(asked["text"], asked["voices"], asked["speed"])
        sys.stdout.buffer.write(as_mp3(samples, rate))
    except (ImportError, OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def spoken(text: str, voices: list[str], speed: float) -> tuple[int, bytes]:
    """Samples per second, and the samples: 16-bit, mono.

    Args:
        voices: by their names; the first that the engine has is taken.
        speed: 1 is normal.

    Raises:
        ValueError: there is no such voice, or it would take longer than ``AUDIO_S_MAX``.
        OSError: the engine cannot be loaded, or does not work.
    """
    engine, rate = _engine()
    if not any(engine.espeak_SetVoiceByName(voice.encode()) == 0 for voice in voices):
        raise ValueError(f"eSpeak NG has no voice {voices[-1]!r}")
    slowest, fastest = WORDS_BOUNDS
    words = round(min(fastest, max(slowest, WORDS_PER_MINUTE * speed)))
    engine.espeak_SetParameter(RATE, words, 0)
    samples, bytes_max = bytearray(), AUDIO_S_MAX * rate * SAMPLE_BYTES

    def collect(piece: Any, count: int, events: Any) -> int:
        if piece and count:
            samples.extend(ctypes.string_at(piece, count * SAMPLE_BYTES))
        return int(len(samples) > bytes_max)  # 1 ends it

    callback = Callback(collect)
    engine.espeak_SetSynthCallback(callback)
    words_of = text.replace("\0", " ").encode("utf-8", "replace") + b"\0"
    failed = engine.espeak_Synth(words_of, len(words_of), 0, 0, 0, UTF8, None, None)
    if failed or engine.espeak_Synchronize():
        raise OSError("eSpeak NG could not say it")
    if len(samples) > bytes_max:
        raise ValueError(f"it would take longer than {AUDIO_S_MAX} s")
    return rate, bytes(samples)


def _engine() -> tuple[Any, int]:
    """eSpeak NG, ready, and how many samples it makes per second."""
    loader: Any = importlib.import_module("espeakng_loader")
    engine: Any = ctypes.CDLL(loader.get_library_path())
    engine.espeak_Initialize.argtypes = [
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_int,
    ]
    engine.espeak_SetVoiceByName.argtypes = [ctypes.c_char_p]
    engine.espeak_SetParameter.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int]
    engine.espeak_SetSynthCallback.argtypes = [Callback]
    engine.espeak_Synth.argtypes = [
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_uint,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.c_uint,
        ctypes.c_void_p,
        ctypes.c_void_p,
    ]
    data = loader.get_data_path().encode()
    rate = engine.espeak_Initialize(SYNCHRONOUS, 0, data, STAY_ALIVE)
    if rate <= 0:
        raise OSError("eSpeak NG does not find its data")
    return engine, rate


def as_mp3(samples: bytes, rate: int) -> bytes:
    """``samples`` as an MP3 file."""
    encoder: Any = importlib.import_module("lameenc").Encoder()
    encoder.silence()
    encoder.set_bit_rate(BITRATE_KBPS)
    encoder.set_in_sample_rate(rate)
    encoder.set_channels(1)
    encoder.set_quality(QUALITY)
    return bytes(encoder.encode(samples)) + bytes(encoder.flush())


if __name__ == "__main__":
    sys.exit(main())
