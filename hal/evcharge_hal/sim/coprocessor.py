"""A byte-level pilot co-processor for the simulated world: pilot link v1 over bytes, circuits behind it.

It shares nothing with the host's driver but the frame codec. The world moves its bytes through a pty and
calls `advance` every 1 to 50 ms.
"""

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from evcharge_hal.contract.pilot import ResetCause
from evcharge_hal.link.frames import (
    MAX_WIRE_BYTES,
    NEVER_MS,
    PROTOCOL_VERSION,
    RESET_ARGUMENT,
    BadFrame,
    BadFrameReason,
    Capability,
    Control,
    Event,
    Frame,
    FrameDecoder,
    FrameType,
    Hello,
    HelloAck,
    Nak,
    NakReason,
    Reply,
    Request,
    RequestKind,
    Result,
    Status,
    encode,
    next_sequence,
)
from evcharge_hal.sim.circuit import PilotCircuit
from evcharge_hal.sim.coprocessor_connector import CoprocessorConnector

STATUS_PERIOD_S = 0.1
EVENT_PERIOD_S = 0.2
NAK_SPACING_S = 0.1
SAMPLE_PERIOD_S = 0.02
FRAME_GAP_S = 0.05
"""A frame that has begun is forgotten after so long without a byte; a whole one takes 6 ms."""
SETTLING_PERIOD_S = 0.005
"""Sampling while a new state waits to be believed."""
MAX_EVENTS = 16
_MAX_OUTPUT_BYTES = 64 * MAX_WIRE_BYTES
_FIRMWARE = (1, 0, 0)
_HARDWARE_ID = 0x5157
_CAPABILITIES = (
    Capability.OWNS_PERMIT
    | Capability.HAS_PROXIMITY
    | Capability.HAS_LOCK
    | Capability.READS_NEGATIVE_PILOT
    | Capability.HAS_TEMPERATURE
)
_NAK_REASONS = {
    BadFrameReason.VERSION: NakReason.VERSION,
    BadFrameReason.UNKNOWN_TYPE: NakReason.UNKNOWN_TYPE,
    BadFrameReason.SHORT_PAYLOAD: NakReason.SHORT_PAYLOAD,
    BadFrameReason.BAD_VALUE: NakReason.BAD_VALUE,
}
_MAX_PHASES = 3
_MAX_MS = 0xFFFF


class Coprocessor:
    """One co-processor with its connectors.

    `is_silent`: nothing comes out of its port. `is_hung`: it takes no set-points and goes on reporting.
    `protocol_version`: what it says it speaks. All three are there for tests and may be set at any time.
    """

    connector_type: ClassVar[type[CoprocessorConnector]] = CoprocessorConnector

    def __init__(
        self,
        circuits: Mapping[int, PilotCircuit],
        *,
        uid: int,
        boot_count: int,
        reset_cause: ResetCause,
        now_s: float,
        max_a: float = 32.0,
    ) -> None:
        """Boot with these wires; `boot_count` and `uid` are what its EEPROM holds, `max_a` its hardware limit."""
        self.uid = uid
        self.boot_count = boot_count
        self.reset_cause = reset_cause
        self.is_silent = False
        self.is_hung = False
        self._is_supply_failing = False
        self.protocol_version = PROTOCOL_VERSION
        self._circuits = dict(circuits)
        self._max_ma = int(max_a * 1000.0)
        self._heard_s = now_s
        self._boot(now_s)

    # --- the port and the clock -------------------------------------------------------------------------------

    def receive(self, data: bytes, now_s: float) -> None:
        """Take bytes from the host, of any length and content; never raises on their account."""
        if now_s - self._heard_s > FRAME_GAP_S:
            # A frame whose end was lost would be completed by the next zero, as a set-point of long ago.
            self._decoder.reset()
        self._heard_s = now_s
        for frame in self._decoder.feed(data):
            if isinstance(frame, BadFrame):
                self._on_bad_frame(frame, now_s)
            else:
                self._on_frame(frame, now_s)
        self._report(now_s)

    def advance(self, now_s: float) -> None:
        """Sample the circuits, let deadlines pass, report."""
        for connector in self._connectors.values():
            connector.sample(now_s)
        self._report(now_s)

    def take_output(self) -> bytes:
        """Bytes for the host. What nobody takes is lost after a while, as on any serial line."""
        data = bytes(self._output)
        self._output.clear()
        return data

    def next_deadline_s(self, now_s: float) -> float:
        """When `advance` wants to be called at the latest."""
        is_settling = any(connector.detector.is_settling for connector in self._connectors.values())
        dues_s = [now_s + (SETTLING_PERIOD_S if is_settling else SAMPLE_PERIOD_S)]
        dues_s += [connector.next_deadline_s() for connector in self._connectors.values()]
        dues_s += [sent_s + STATUS_PERIOD_S for sent_s in self._status_s.values()]
        return min(dues_s)

    def reset(self, cause: ResetCause, now_s: float) -> None:
        """Start again: outputs fall to safe, everything but the uid and the boot count is forgotten."""
        self.boot_count = (self.boot_count + 1) & 0xFFFFFFFF
        self.reset_cause = cause
        self._boot(now_s)

    def see_supply_failing(self, is_failing: bool) -> None:
        """The supply of the board falls, or is as it should be."""
        self._is_supply_failing = is_failing
        for connector in self._connectors.values():
            connector.is_supply_failing = is_failing

    def _boot(self, now_s: float) -> None:
        self._boot_s = now_s
        self._decoder = FrameDecoder()
        self._heard_s = now_s
        self._output = bytearray()
        self._seq = 0
        self._is_greeted = False
        self._nak_s = -math.inf
        self._events: deque[Event] = deque(maxlen=MAX_EVENTS)
        self._event_number = 0
        self._event_s = -math.inf
        self._status_s = dict.fromkeys(self._circuits, now_s - STATUS_PERIOD_S)
        self._reported: dict[int, tuple[object, ...]] = {}
        self._last_control_seq = dict.fromkeys(self._circuits, 0)
        self._connectors = {
            number: self.connector_type(circuit, self._max_ma, now_s) for number, circuit in self._circuits.items()
        }
        self.see_supply_failing(self._is_supply_failing)
        self._announce(nonce=0, ack=0)

    # --- receiving --------------------------------------------------------------------------------------------

    def _on_frame(self, frame: Frame, now_s: float) -> None:
        if isinstance(frame, Hello):
            self._on_hello(frame, now_s)
            return
        if self.protocol_version != PROTOCOL_VERSION:
            self._refuse(NakReason.VERSION, 0, frame.seq, now_s)
            return
        if self._events and frame.ack == self._events[0].number:
            self._events.popleft()
            self._event_s = -math.inf
        match frame:
            case Control():
                self._on_control(frame, now_s)
            case Request():
                self._on_request(frame, now_s)
            case _:
                # Its own frames come back: the line echoes. An answer would echo, too.
                return

    def _on_bad_frame(self, frame: BadFrame, now_s: float) -> None:
        if frame.reason in _NAK_REASONS:
            self._refuse(_NAK_REASONS[frame.reason], frame.type_number, frame.seq, now_s)

    def _on_hello(self, frame: Hello, now_s: float) -> None:
        self._is_greeted = frame.proto_min <= self.protocol_version <= frame.proto_max
        self._announce(frame.nonce, frame.seq)
        for number in self._connectors:
            self._status_s[number] = now_s
            self._send_status(number, now_s)

    def _on_control(self, frame: Control, now_s: float) -> None:
        if self.is_hung:
            return
        if not self._is_greeted:
            self._refuse(NakReason.NO_HELLO, FrameType.CONTROL, frame.seq, now_s)
            return
        connector = self._connectors.get(frame.connector)
        if connector is None or not 1 <= frame.phases <= _MAX_PHASES:
            self._refuse(NakReason.BAD_VALUE, FrameType.CONTROL, frame.seq, now_s)
            return
        self._last_control_seq[frame.connector] = frame.seq
        connector.take_control(frame, now_s)

    def _on_request(self, frame: Request, now_s: float) -> None:
        if not self._is_greeted:
            self._refuse(NakReason.NO_HELLO, FrameType.REQUEST, frame.seq, now_s)
            return
        connector = self._connectors.get(frame.connector)
        if connector is None:
            self._refuse(NakReason.BAD_VALUE, FrameType.REQUEST, frame.seq, now_s)
            return
        if frame.kind is RequestKind.RESET and frame.argument == RESET_ARGUMENT:
            self.reset(ResetCause.SOFTWARE, now_s)  # its announcement is the answer
            return
        if frame.kind is RequestKind.RESET:
            result = Result.UNSUPPORTED
        elif frame.kind is RequestKind.CLEAR_LATCH:
            result = connector.clear_latch(frame.argument)
        else:
            result = connector.run_self_test(frame.argument)
        self._send(Reply(frame.connector, frame.kind, frame.argument, result, measured_ms=0, ack=frame.seq))

    def _refuse(self, reason: NakReason, type_number: int, seq: int, now_s: float) -> None:
        if now_s - self._nak_s >= NAK_SPACING_S:
            self._nak_s = now_s
            self._send(Nak(reason, type_number, ack=seq))

    # --- sending ----------------------------------------------------------------------------------------------

    def _report(self, now_s: float) -> None:
        """Send what has changed, what is due, and the oldest event nobody has acknowledged."""
        for number, connector in self._connectors.items():
            for code, detail in connector.events:
                self._event_number = next_sequence(self._event_number)
                self._events.append(Event(self._event_number, number, code, detail, self._uptime_ms(now_s)))
            connector.events.clear()
            due_s = self._status_s[number] + STATUS_PERIOD_S
            if now_s >= due_s or self._reported.get(number) != _visible(connector):
                # On a grid, so that a tick that comes late moves none of the later ones.
                self._status_s[number] = due_s if due_s <= now_s < due_s + STATUS_PERIOD_S else now_s
                self._send_status(number, now_s)
        if self._events and self._is_greeted and now_s - self._event_s >= EVENT_PERIOD_S:
            self._event_s = now_s
            self._send(self._events[0])

    def _announce(self, nonce: int, ack: int) -> None:
        major, minor, patch = _FIRMWARE
        frame = HelloAck(
            proto_min=self.protocol_version,
            proto_max=self.protocol_version,
            nonce=nonce,
            firmware_major=major,
            firmware_minor=minor,
            firmware_patch=patch,
            firmware_commit=0,
            hardware_id=_HARDWARE_ID,
            uid=self.uid,
            boot_count=self.boot_count,
            reset_cause=self.reset_cause,
            capabilities=_CAPABILITIES,
            connectors=len(self._connectors),
            max_current_ma=self._max_ma,
            ack=ack,
        )
        self._send(frame)

    def _send_status(self, number: int, now_s: float) -> None:
        connector = self._connectors[number]
        self._reported[number] = _visible(connector)
        frame = Status(
            connector=number,
            state=connector.state,
            output=connector.output,
            high_mv=_to_i16(connector.voltages.high_v * 1000.0),
            low_mv=_to_i16(connector.voltages.low_v * 1000.0),
            duty_centipercent=connector.duty,
            pp_ohm=None if connector.pp_ohm is None else min(round(max(connector.pp_ohm, 0.0)), _MAX_MS - 1),
            is_permitted=connector.is_permitted,
            is_locked=connector.is_locked,
            temperature_decicelsius=None
            if connector.temperature_c is None
            else _to_i16(connector.temperature_c * 10.0),
            active_faults=connector.active,
            latched_faults=connector.latched,
            first_fault=connector.first_fault,
            last_control_seq=self._last_control_seq[number],
            control_age_ms=NEVER_MS if connector.control is None else _age_ms(now_s - connector.control_s),
            sample_age_ms=_age_ms(now_s - connector.sample_s),
            boot_count=self.boot_count,
            plug_count=connector.plug_count,
            uptime_ms=self._uptime_ms(now_s),
        )
        self._send(frame)

    def _uptime_ms(self, now_s: float) -> int:
        return round((now_s - self._boot_s) * 1000.0) & 0xFFFFFFFF

    def _send(self, frame: Frame) -> None:
        if self.is_silent:
            return
        self._seq = next_sequence(self._seq)
        if len(self._output) > _MAX_OUTPUT_BYTES:
            self._output.clear()
        self._output += encode(replace(frame, seq=self._seq), version=self.protocol_version)


def _visible(connector: CoprocessorConnector) -> tuple[object, ...]:
    """What the host should know of at once when it changes."""
    return (
        connector.state,
        connector.output,
        connector.duty,
        connector.is_permitted,
        connector.is_locked,
        connector.active,
        connector.latched,
        connector.plug_count,
    )


def _to_i16(value: float) -> int:
    """Clamp to what fits; the lowest number means "none" and is never a reading."""
    return min(max(round(value), -0x7FFF), 0x7FFF)


def _age_ms(age_s: float) -> int:
    return min(round(age_s * 1000.0), _MAX_MS)
