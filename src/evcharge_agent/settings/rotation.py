"""ConnectorPhaseRotation as central systems write it: `0.RST,1.RTS` (OCPP 1.6, 9.1.6)."""

from typing import Annotated

from pydantic import AfterValidator

from evcharge_hal.contract.channel import MAX_CONNECTORS

_ROTATIONS = frozenset({"NotApplicable", "Unknown", "RST", "RTS", "SRT", "STR", "TRS", "TSR"})
ROTATIONS_ALLOWED = (
    f"connectors from 0 to {MAX_CONNECTORS}, each once, with NotApplicable, Unknown, RST, RTS, SRT, STR, TRS or TSR:"
    " 0.RST,1.RTS"
)


def check_phase_rotation(text: str) -> str:
    """Return the list without blanks.

    Raises:
        ValueError: an entry is no connector with its rotation, or a connector is named twice.
    """
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    pairs = [part.partition(".")[::2] for part in parts]
    connectors = [connector for connector, _ in pairs]
    are_connectors = set(connectors) <= {str(number) for number in range(MAX_CONNECTORS + 1)}
    are_rotations = all(rotation in _ROTATIONS for _, rotation in pairs)
    if not are_connectors or not are_rotations or len(set(connectors)) < len(connectors):
        raise ValueError(ROTATIONS_ALLOWED)
    return ",".join(parts)


PhaseRotation = Annotated[str, AfterValidator(check_phase_rotation)]
