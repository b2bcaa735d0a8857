"""Consistent overhead byte stuffing: any bytes in, no zero byte out (Cheshire and Baker, 1999).

The zero byte is then free to end a frame, so a receiver that lost its place finds it again at the next one.
"""

from evcharge_hal.contract.errors import ProtocolError

_LONGEST_RUN = 254


def encode(data: bytes) -> bytes:
    """Stuff `data`; the result has no zero byte and is at most 1 + len/254 bytes longer. No terminator is added."""
    stuffed = bytearray()
    for run in data.split(b"\0"):
        rest = run
        while len(rest) >= _LONGEST_RUN:
            stuffed.append(_LONGEST_RUN + 1)
            stuffed += rest[:_LONGEST_RUN]
            rest = rest[_LONGEST_RUN:]
        stuffed.append(len(rest) + 1)
        stuffed += rest
    return bytes(stuffed)


def decode(stuffed: bytes) -> bytes:
    """Undo `encode`.

    Raises:
        ProtocolError: `stuffed` is empty, holds a zero byte, or its last block is cut short.
    """
    if not stuffed or 0 in stuffed:
        raise ProtocolError("not COBS: empty, or a zero byte inside")
    data = bytearray()
    position, length = 0, len(stuffed)
    while position < length:
        code = stuffed[position]
        end = position + code
        if end > length:
            raise ProtocolError("not COBS: the last block is cut short")
        data += stuffed[position + 1 : end]
        position = end
        # A block of 254 bytes stands for itself; every shorter one stands for its bytes and a zero.
        if end < length and code <= _LONGEST_RUN:
            data.append(0)
    return bytes(data)
