"""How the number of a card becomes an id tag. Pure.

Readers and central systems disagree about byte order, case and base, so each is a setting.
"""

import enum
from dataclasses import dataclass

from evcharge_hal.instruments.values import InstrumentError

ID_TAG_LENGTH = 20
"""Longest id tag of OCPP 1.6 (CiString20Type)."""
UID_LENGTHS = (4, 7, 10)
"""Bytes of an ISO 14443-3 A identifier: single, double, triple size."""
LONGEST_UID_BYTES = 10


class UidFormat(enum.Enum):
    """How the bytes are written."""

    HEX = "hex"
    HEX_LOWER = "hex_lower"
    DECIMAL = "decimal"


@dataclass(frozen=True, slots=True)
class UidRule:
    """How to write identifiers of cards."""

    format: UidFormat = UidFormat.HEX
    is_reversed: bool = False
    """Last byte first, as some readers print it."""


def id_tag_of(uid: bytes, rule: UidRule) -> str:
    """Write an identifier; 4, 7 and 10 bytes in hex fit OCPP's 20 characters.

    Raises:
        InstrumentError: no bytes, more than 10, or more digits than an id tag holds.
    """
    if not 1 <= len(uid) <= LONGEST_UID_BYTES:
        raise InstrumentError(f"card reader: an identifier of {len(uid)} bytes")
    ordered = uid[::-1] if rule.is_reversed else uid
    if rule.format is UidFormat.DECIMAL:
        text = str(int.from_bytes(ordered, "big"))
    else:
        text = ordered.hex().upper() if rule.format is UidFormat.HEX else ordered.hex()
    if len(text) > ID_TAG_LENGTH:
        raise InstrumentError(f"card reader: the decimal identifier of a card has more than {ID_TAG_LENGTH} digits")
    return text
