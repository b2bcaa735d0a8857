"""Messages between the agent and the guard: JSON lines on a unix socket, version 1.

Silence is a command: every set-point carries a lease, and a lapsed lease means "fall, then stop".
`monotonic` times are CLOCK_MONOTONIC seconds of the host both processes share; they are comparable only
within one `boot_id`.
"""

import enum
import json
from dataclasses import dataclass
from typing import Any

from evcharge_hal.contract.errors import InvalidFieldError, ProtocolError
from evcharge_hal.contract.faults import FaultCode
from evcharge_hal.contract.pilot import PilotOutput, PilotState
from evcharge_hal.contract.schema import declare, decode, encode
from evcharge_hal.contract.units import Amps, Seconds

CHANNEL_VERSION = 1
MAX_LINE_BYTES = 65536
MAX_CONNECTORS = 2


class Indication(enum.Enum):
    """What the LED should say; the agent names it, the guard plays it and lets faults override it."""

    OFFLINE = "offline"
    AVAILABLE = "available"
    AWAITING_AUTHORISATION = "awaiting_authorisation"
    AWAITING_VEHICLE = "awaiting_vehicle"
    CHARGING = "charging"
    PAUSED = "paused"
    FINISHED = "finished"
    RESERVED = "reserved"
    UNAVAILABLE = "unavailable"
    UPDATING = "updating"


class ContactorState(enum.Enum):
    """The contactor as commanded and as its feedback proves it."""

    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"
    OPENING = "opening"
    WELDED = "welded"


class LeaseState(enum.Enum):
    """How much of the agent's word is left (DESIGN D2)."""

    NONE = "none"
    """No set-point since the car was plugged in or the guard started: never closes."""
    HELD = "held"
    LAPSED = "lapsed"
    """At most `on_lapse_a`, never rising, never closing, until the hold budget is spent."""
    SPENT = "spent"
    """The hold is over: the car has been stopped gracefully."""


class CeilingSource(enum.Enum):
    """Limits the guard enforces even without the agent."""

    RATING = "rating"
    CABLE = "cable"
    SUPPLY = "supply"
    TEMPERATURE = "temperature"
    TEMPERATURE_SENSOR_LOST = "temperature_sensor_lost"
    COPROCESSOR = "coprocessor"


class Wait(enum.Enum):
    """Why the guard does not let energy flow although a car is there; the first that applies."""

    FAULT = "fault"
    COPROCESSOR = "coprocessor"
    START_UP = "start_up"
    NO_LEASE = "no_lease"
    NOT_PERMITTED = "not_permitted"
    NO_CURRENT = "no_current"
    RCM_SELF_TEST = "rcm_self_test"
    LOCK = "lock"
    """The connector lock is not closed yet."""
    RECLOSE_GUARD = "reclose_guard"
    VEHICLE = "vehicle"
    """Everything is ready; the car has not asked for energy (B2)."""


class EventKind(enum.Enum):
    """Facts kept in the guard's event ring."""

    GUARD_STARTED = "guard_started"
    PLUGGED = "plugged"
    UNPLUGGED = "unplugged"
    CONTACTOR_CLOSED = "contactor_closed"
    CONTACTOR_OPENED = "contactor_opened"
    FAULT_RAISED = "fault_raised"
    FAULT_CLEARED = "fault_cleared"
    LEASE_LAPSED = "lease_lapsed"
    LEASE_SPENT = "lease_spent"
    COPROCESSOR_UP = "coprocessor_up"
    COPROCESSOR_LOST = "coprocessor_lost"
    POWER_RESTORED = "power_restored"
    """The co-processor came from a power-on or brown-out reset."""
    NOTICE = "notice"


class UnlockOutcome(enum.Enum):
    """What came of an `Unlock`: the reason of its `Reply`."""

    UNLOCKED = "unlocked"
    FAILED = "failed"
    NOT_SUPPORTED = "not_supported"
    """The connector has no lock, or there is no such connector."""


# --- agent to guard ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hello:
    """First message of the agent. `last_event` is 0, or the last number it saw of `guard_id`."""

    version: int = declare("Version of the channel protocol", ge=1, le=1000)
    agent: str = declare("Name and version of the peer", max_length=100)
    guard_id: str | None = declare("Guard whose events the agent knows", max_length=64, default=None)
    last_event: int = declare("Number of the last event seen", ge=0, default=0)


@dataclass(frozen=True, slots=True)
class SetPoint:
    """The agent's full wish for one connector, repeated at least every second."""

    connector: int = declare("Connector", ge=1, le=MAX_CONNECTORS)
    plug_id: str | None = declare("Plug the wish is for; None when nothing is plugged in", max_length=64)
    offer_a: Amps = declare("Current to offer; 0 pauses", unit="A", ge=0.0, le=80.0)
    permission: bool = declare("Energy may flow")
    phases: int = declare("Phases wanted", ge=1, le=3, default=3)
    lease_s: Seconds = declare("How long the wish is valid", unit="s", ge=1.0, le=30.0, default=5.0)
    on_lapse_a: Amps = declare("Most to offer after the lease lapsed", unit="A", ge=0.0, le=80.0, default=6.0)
    hold_s: Seconds = declare("How long to hold on_lapse_a", unit="s", ge=0.0, le=120.0, default=120.0)
    restrict_at_s: float | None = declare(
        "Monotonic time of the next restriction; a lapsed lease stops there", unit="s", ge=0.0, default=None
    )
    is_plug_kept: bool = declare("The plug stays locked although no energy may flow", default=False)


@dataclass(frozen=True, slots=True)
class Indicate:
    """The state to show on the LED of one connector."""

    connector: int = declare("Connector", ge=1, le=MAX_CONNECTORS)
    indication: Indication = declare("State to show")


@dataclass(frozen=True, slots=True)
class RaiseFault:
    """A fault only the agent can see; the guard latches it. Refused for codes the agent does not own."""

    connector: int = declare("Connector", ge=1, le=MAX_CONNECTORS)
    code: FaultCode = declare("Fault")
    is_present: bool = declare("The cause is there; false: it has gone")


@dataclass(frozen=True, slots=True)
class ClearFault:
    """A person acknowledged a latched fault."""

    request: int = declare("Number echoed in the reply", ge=0, le=2**31 - 1)
    connector: int = declare("Connector", ge=1, le=MAX_CONNECTORS)
    code: FaultCode = declare("Fault")


@dataclass(frozen=True, slots=True)
class Unlock:
    """Give the cable back. The reply's reason is an `UnlockOutcome`; never done while energy may flow."""

    request: int = declare("Number echoed in the reply", ge=0, le=2**31 - 1)
    connector: int = declare("Connector", ge=1, le=MAX_CONNECTORS)


@dataclass(frozen=True, slots=True)
class ResetGuard:
    """Stop every car (pilot at once, contactor when it has let go, at the latest after 6 s), reset the co-processor, end.

    Answered at once; no wish counts from then on. A supervisor starts the guard again.
    """

    request: int = declare("Number echoed in the reply", ge=0, le=2**31 - 1)


# --- guard to agent ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ConnectorRating:
    """What the board file says of a connector."""

    connector: int = declare("Connector", ge=1, le=MAX_CONNECTORS)
    max_a: Amps = declare("Rated current", unit="A", ge=6.0, le=80.0)
    phases: int = declare("Phases wired", ge=1, le=3)
    has_fixed_cable: bool = declare("Cable is attached for good")
    has_lock: bool = declare("The plug can be locked", default=False)


@dataclass(frozen=True, slots=True)
class GuardEvent:
    """One fact with its true time."""

    number: int = declare("Consecutive number", ge=1)
    at_s: float = declare("Monotonic time", unit="s", ge=0.0)
    kind: EventKind = declare("What happened")
    connector: int | None = declare("Connector, where it concerns one", default=None)
    plug_id: str | None = declare("Plug at that time", max_length=64, default=None)
    fault: FaultCode | None = declare("Fault raised or cleared", default=None)
    detail: str = declare("For the log", max_length=200, default="")


@dataclass(frozen=True, slots=True)
class Welcome:
    """The guard's answer to Hello, with the events the agent has not seen."""

    version: int = declare("Version of the channel protocol", ge=1, le=1000)
    guard_id: str = declare("New at each start of the guard", max_length=64)
    boot_id: str = declare("Kernel boot both clocks belong to", max_length=64)
    board: str = declare("Board name", max_length=64)
    connectors: tuple[ConnectorRating, ...] = declare("Connectors", max_length=MAX_CONNECTORS)
    events: tuple[GuardEvent, ...] = declare("Events after last_event, oldest first", max_length=1024)


@dataclass(frozen=True, slots=True)
class Refused:
    """The guard does not talk to this peer; the connection is closed after it."""

    reason: str = declare("Why", max_length=200)


@dataclass(frozen=True, slots=True)
class Ceiling:
    """One limit the guard holds."""

    source: CeilingSource = declare("Who sets it")
    limit_a: Amps = declare("Current per phase", unit="A", ge=0.0)


@dataclass(frozen=True, slots=True)
class ConnectorStatus:
    """One connector as the guard sees and drives it."""

    connector: int = declare("Connector", ge=1, le=MAX_CONNECTORS)
    plug_id: str | None = declare("Co-processor uid, boot and plug count", max_length=64)
    pilot: PilotState = declare("Vehicle state")
    output: PilotOutput = declare("Pilot output")
    offered_a: Amps = declare("Current on the pilot now; 0 without PWM", unit="A", ge=0.0)
    contactor: ContactorState = declare("Contactor")
    lease: LeaseState = declare("State of the agent's lease")
    wait: Wait | None = declare("Why no energy flows; None while it may or nothing is plugged in")
    ceilings: tuple[Ceiling, ...] = declare("The guard's own limits", max_length=16)
    faults: frozenset[FaultCode] = declare("Latched faults")
    temperature_c: float | None = declare("Board temperature", unit="°C", default=None)
    is_cable_present: bool | None = declare(
        "A cable is in the socket, with or without a car; None: not known, or a fixed cable", default=None
    )
    is_locked: bool | None = declare("The lock holds the plug; None: not known, or no lock", default=None)


@dataclass(frozen=True, slots=True)
class Status:
    """Sent on every change and at least once a second."""

    at_s: float = declare("Monotonic time", unit="s", ge=0.0)
    is_coprocessor_up: bool = declare("The pilot link is alive")
    connectors: tuple[ConnectorStatus, ...] = declare("Connectors", max_length=MAX_CONNECTORS)


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer to a request that carries a number."""

    request: int = declare("Number of the request", ge=0)
    is_accepted: bool = declare("Done")
    reason: str = declare("Why not", max_length=200, default="")


AgentMessage = Hello | SetPoint | Indicate | RaiseFault | ClearFault | Unlock | ResetGuard
GuardMessage = Welcome | Refused | GuardEvent | Status | Reply

_AGENT_TYPES: dict[str, type[AgentMessage]] = {
    "hello": Hello,
    "set_point": SetPoint,
    "indicate": Indicate,
    "raise_fault": RaiseFault,
    "clear_fault": ClearFault,
    "unlock": Unlock,
    "reset_guard": ResetGuard,
}
_GUARD_TYPES: dict[str, type[GuardMessage]] = {
    "welcome": Welcome,
    "refused": Refused,
    "event": GuardEvent,
    "status": Status,
    "reply": Reply,
}
_NAMES = {cls: name for name, cls in (_AGENT_TYPES | _GUARD_TYPES).items()}


def write_message(message: AgentMessage | GuardMessage) -> bytes:
    """Encode one message as a JSON line."""
    fields = {"type": _NAMES[type(message)], **encode(message)}
    return json.dumps(fields, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def read_agent_message(line: bytes) -> AgentMessage:
    """Decode a line the agent sent.

    Raises:
        ProtocolError: not JSON, not an object, or of an unknown type.
        InvalidFieldError: a field is missing, unknown or out of range.
    """
    name, fields = _parse(line)
    if name not in _AGENT_TYPES:
        raise InvalidFieldError("type", name, "one of " + ", ".join(_AGENT_TYPES))
    return decode(_AGENT_TYPES[name], fields, name)


def read_guard_message(line: bytes) -> GuardMessage:
    """Decode a line the guard sent; raises as `read_agent_message`."""
    name, fields = _parse(line)
    if name not in _GUARD_TYPES:
        raise InvalidFieldError("type", name, "one of " + ", ".join(_GUARD_TYPES))
    return decode(_GUARD_TYPES[name], fields, name)


def _parse(line: bytes) -> tuple[str, dict[str, Any]]:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        msg = f"not a JSON line: {error}"
        raise ProtocolError(msg) from error
    if not isinstance(fields, dict) or not isinstance(fields.get("type"), str):
        msg = "not a JSON object with a type"
        raise ProtocolError(msg)
    return fields.pop("type"), fields
