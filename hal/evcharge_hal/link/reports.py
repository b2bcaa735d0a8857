"""From the native link's frames to what the guard knows: wire numbers become SI units. Pure."""

from dataclasses import dataclass

from evcharge_hal.contract.pilot import CoprocessorFault, CoprocessorIdentity, LinkNoticed, PilotReport
from evcharge_hal.contract.units import Amps, Celsius
from evcharge_hal.link.frames import Event, EventCode, HelloAck, OpenReason, Status

_UPTIME_MODULUS_MS = 1 << 32
# An RC oscillator may run 2 % slow; a clock that drifts must not make fresh frames look late.
_CLOCK_TOLERANCE = 0.02


def read_identity(frame: HelloAck) -> CoprocessorIdentity:
    """What a co-processor says of itself."""
    version = f"{frame.firmware_major}.{frame.firmware_minor}.{frame.firmware_patch}"
    return CoprocessorIdentity(
        uid=f"{frame.uid:016x}",
        firmware=f"{version}+{frame.firmware_commit:08x}",
        boot_count=frame.boot_count,
        reset_cause=frame.reset_cause,
        connectors=frame.connectors,
        max_a=Amps(frame.max_current_ma / 1000.0),
    )


def read_report(frame: Status, received_s: float, transit_s: float) -> PilotReport:
    """One STATUS in SI units; time spent in buffers counts as age of the sample."""
    temperature = frame.temperature_decicelsius
    return PilotReport(
        connector=frame.connector,
        received_s=received_s,
        sample_age_s=frame.sample_age_ms / 1000.0 + transit_s,
        state=frame.state,
        output=frame.output,
        duty=frame.duty_centipercent / 10000.0,
        high_v=frame.high_mv / 1000.0,
        low_v=frame.low_mv / 1000.0,
        pp_ohm=None if frame.pp_ohm is None else float(frame.pp_ohm),
        is_permitted=frame.is_permitted,
        is_locked=frame.is_locked,
        temperature_c=None if temperature is None else Celsius(temperature / 10.0),
        active=CoprocessorFault(frame.active_faults),
        latched=CoprocessorFault(frame.latched_faults),
        boot_count=frame.boot_count,
        plug_count=frame.plug_count,
    )


def read_event(frame: Event, connector: int | None) -> LinkNoticed:
    """A numbered event as a line for the log; unknown codes keep their number."""
    if frame.code not in set(EventCode):
        return LinkNoticed(f"event_{frame.code}", connector, f"detail {frame.detail}")
    code = EventCode(frame.code)
    detail = ""
    if code is EventCode.PERMIT_OPENED and frame.detail in set(OpenReason):
        detail = OpenReason(frame.detail).name.lower()
    elif code in (EventCode.FAULT_LATCHED, EventCode.LATCH_CLEARED):
        bits = CoprocessorFault(frame.detail & 0xFFFF)
        detail = (bits.name or str(bits.value)).lower()
    elif code is EventCode.HOST_LOST:
        detail = f"last set-point {frame.detail} ms ago"
    return LinkNoticed(code.name.lower(), connector, detail)


@dataclass(slots=True)
class TransitClock:
    """How long a frame sat in buffers, by the sender's uptime against the quickest frame so far.

    A host that was stopped for seconds finds old frames in the port; they prove nothing about now.
    """

    _quickest_s: float | None = None
    _uptime_ms: int = 0

    def transit_s(self, uptime_ms: int, now_s: float) -> float:
        """Time in s this frame took longer than the quickest one, with allowance for a drifting clock."""
        passed_ms = (uptime_ms - self._uptime_ms) % _UPTIME_MODULUS_MS
        if passed_ms >= _UPTIME_MODULUS_MS // 2:
            passed_ms -= _UPTIME_MODULUS_MS
        if self._quickest_s is None:
            self._quickest_s, self._uptime_ms = now_s, uptime_ms
            return 0.0
        # `_quickest_s`: when a frame of this uptime would arrive at the earliest.
        expected_s = self._quickest_s + passed_ms / 1000.0 + max(0, passed_ms) / 1000.0 * _CLOCK_TOLERANCE
        self._quickest_s, self._uptime_ms = min(expected_s, now_s), uptime_ms
        return now_s - self._quickest_s
