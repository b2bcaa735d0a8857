"""What a reader that plays keyboard types: `struct input_event` of the kernel in, identifiers out. Pure."""

import struct
from dataclasses import dataclass, replace

from evcharge_hal.instruments.uid import ID_TAG_LENGTH

EVENT = struct.Struct("@llHHi")
"""time (seconds, microseconds), type, code, value: 24 bytes on 64-bit kernels, 16 on 32-bit ones."""
TYPING_S = 0.5
"""Keys of one card come within milliseconds of each other; what is older belongs to nothing."""
_EV_KEY = 1
_PRESSED = 1
_ENTER = frozenset({28, 96})
"""KEY_ENTER, KEY_KPENTER."""
_ROWS = {2: "1234567890", 16: "QWERTYUIOP", 30: "ASDFGHJKL", 44: "ZXCVBNM"}
"""Linux key codes by position, first code of each row (input-event-codes.h); readers type as US keyboards do."""
_CHARACTERS = {first + index: character for first, row in _ROWS.items() for index, character in enumerate(row)}
_KEYPAD = {71: "7", 72: "8", 73: "9", 75: "4", 76: "5", 77: "6", 79: "1", 80: "2", 81: "3", 82: "0"}


@dataclass(frozen=True, slots=True)
class Typing:
    """Characters since the last Enter."""

    text: str = ""
    at_s: float = 0.0
    is_too_long: bool = False


def take_event(state: Typing, event: bytes, now_s: float) -> tuple[Typing, str | None]:
    """Take one event in; return what was typed when it was Enter and made an id tag of 1 to 20 characters."""
    _, _, kind, code, value = EVENT.unpack(event)
    if kind != _EV_KEY or value != _PRESSED:
        return state, None
    if now_s - state.at_s > TYPING_S:
        state = Typing()
    if code in _ENTER:
        return Typing(at_s=now_s), (state.text or None) if not state.is_too_long else None
    character = _CHARACTERS.get(code) or _KEYPAD.get(code)
    if character is None:
        return replace(state, at_s=now_s), None
    if len(state.text) >= ID_TAG_LENGTH:
        return replace(state, at_s=now_s, is_too_long=True), None
    return replace(state, text=state.text + character, at_s=now_s), None
