"""The safety half of the fake co-processor: one connector's pilot, permit, lock and latches.

It takes set-points and samples, and believes nobody: whatever the host says, the permit is closed only in C2
with a proven diode and a live deadline (`hal/protocol/pilot-link.md`, sections 6 to 8).
"""

import math
from dataclasses import dataclass

from evcharge_hal.contract.pilot import CoprocessorFault, PilotOutput, PilotState
from evcharge_hal.link.frames import Control, EventCode, OpenReason, Result, SelfTest
from evcharge_hal.sim.circuit import PilotCircuit, PilotVoltages
from evcharge_hal.sim.coprocessor_pilot import (
    SHORT_DEBOUNCE_S,
    StateDetector,
    cable_limit_ma,
    classify,
    duty_centipercent,
    is_negative,
)

DEADLINE_MS = (200, 2000)
"""A host may ask for a deadline within these; anything else is clamped."""
HOST_LOST_HOLD_S = 3.0
"""How long a car may take to let go after the PWM was taken away because the host fell silent."""
STOP_BACKSTOP_S = 7.0
"""The same after the host took the PWM away; one second behind the host's own limit (IEC 61851-1 Table A.6)."""
CLOSING_SPACING_S = 9.5
"""Least time between two closings. Half a second short of the host's 10 s: a barrier, never a delay."""
UNLOCK_AFTER_OPEN_S = 0.5
"""The lock is not opened sooner after the permit was."""
DIODE_SAMPLES = 3
"""Negative half-waves in a row that prove the diode."""
DIODE_LOST_S = 0.02
_STEADY = 10_000
_PRESENT = (PilotState.B, PilotState.C, PilotState.D)
_BLOCKING_NOW = (
    CoprocessorFault.DIODE
    | CoprocessorFault.PILOT_SHORT
    | CoprocessorFault.PILOT_INVALID
    | CoprocessorFault.CABLE
    | CoprocessorFault.SELF_TEST
)
_CLEARED_BY_UNPLUG = (
    CoprocessorFault.DIODE | CoprocessorFault.PILOT_SHORT | CoprocessorFault.PILOT_INVALID | CoprocessorFault.CABLE
)


@dataclass(slots=True)
class _Diode:
    """Counts negative half-waves while the pilot oscillates."""

    good: int = 0
    bad_since_s: float | None = None

    def feed(self, low_v: float, now_s: float) -> None:
        if is_negative(low_v):
            self.good, self.bad_since_s = self.good + 1, None
        else:
            self.good = 0
            self.bad_since_s = now_s if self.bad_since_s is None else self.bad_since_s

    def is_proven(self) -> bool:
        return self.good >= DIODE_SAMPLES

    def is_missing(self, now_s: float) -> bool:
        return self.bad_since_s is not None and now_s - self.bad_since_s >= DIODE_LOST_S


class CoprocessorConnector:
    """One connector of the fake co-processor. Times are monotonic seconds."""

    def __init__(self, circuit: PilotCircuit, max_ma: int, now_s: float) -> None:
        self.circuit = circuit
        self.max_ma = max_ma
        self.control: Control | None = None
        self.control_s = -math.inf
        self.output = PilotOutput.X1
        self.duty = _STEADY
        self.is_permitted = False
        self.is_locked = False
        """The lock's position."""
        self._is_lock_driven = False
        self._live_s = -math.inf
        """When the permit was last closed."""
        self.active = CoprocessorFault.NONE
        self.latched = CoprocessorFault.NONE
        self.first_fault = CoprocessorFault.NONE
        self.plug_count = 0
        self.pp_ohm: float | None = None
        self.temperature_c: float | None = None
        self.events: list[tuple[EventCode, int]] = []
        """What happened since the owner last took it."""
        circuit.set_permit(False)
        circuit.drive(self.output, self.duty / _STEADY)
        self.voltages: PilotVoltages = circuit.read_pilot()
        self.sample_s = now_s
        self.detector = StateDetector(classify(self.voltages.high_v, self.output), now_s)
        self._diode = _Diode()
        self._zero_since_s = math.inf
        self._was_present: bool | None = None
        self._cable_ma: int | None = None
        self._is_cable_bad = False
        self._has_failed_self_test = False
        self.is_supply_failing = False
        """What the board's supply is seen to do."""
        self._is_armed = False
        self._is_granted = False
        self._has_lapsed = False
        self._hold_until_s: float | None = None
        self._steady_since_s = now_s
        self._closed_s = -math.inf
        self._note_presence()

    # --- what comes in ----------------------------------------------------------------------------------------

    def take_control(self, frame: Control, now_s: float) -> None:
        """Take a set-point: it replaces the last one and renews the deadline."""
        self._check_deadline(now_s)
        self.control, self.control_s = frame, now_s
        self._has_lapsed = False
        if not frame.is_permitted:
            self._is_armed, self._is_granted = True, False
            self._clear(CoprocessorFault.HOST_LOST)
        elif self._is_armed and CoprocessorFault.HOST_LOST not in self.latched:
            self._is_granted = True
        self._judge(now_s)

    def sample(self, now_s: float) -> None:
        """Read the wires and act on what they say."""
        self._check_deadline(now_s)
        self.voltages, self.sample_s = self.circuit.read_pilot(), now_s
        self.pp_ohm = self.circuit.read_proximity_ohm()
        self.temperature_c = self.circuit.read_temperature_c()
        seen = classify(self.voltages.high_v, self.output)
        self.detector.feed(seen, now_s)
        # After E was driven the state is still E for a moment: only samples taken since then show a short.
        is_at_zero = seen is PilotState.E and self.output is not PilotOutput.E
        self._zero_since_s = min(self._zero_since_s, now_s) if is_at_zero else math.inf
        if self.output is PilotOutput.X2 and seen in _PRESENT:
            self._diode.feed(self.voltages.low_v, now_s)
        else:
            self._diode = _Diode()
        self._note_presence()
        self._note_cable()
        self._judge(now_s)

    def clear_latch(self, mask: int) -> Result:
        """Drop latches whose cause has gone. HOST_LOST is not among them: only a CONTROL without permit clears it."""
        wanted = self.latched & CoprocessorFault(mask) & ~CoprocessorFault.HOST_LOST
        self._clear(wanted & ~self.active)
        return Result.REFUSED if wanted & self.active else Result.PASS

    def run_self_test(self, argument: int) -> Result:
        """Swing the pilot to both ends and read it back; only while nothing is plugged in."""
        if argument != SelfTest.PILOT_LOOP:
            return Result.UNSUPPORTED
        if self.detector.state is not PilotState.A or self.is_permitted or self.output is not PilotOutput.X1:
            return Result.REFUSED
        self.circuit.drive(PilotOutput.F, 0.0)
        reaches_negative = is_negative(self.circuit.read_pilot().high_v)
        self.circuit.drive(PilotOutput.X1, 1.0)
        reaches_positive = classify(self.circuit.read_pilot().high_v, PilotOutput.X1) is PilotState.A
        self._has_failed_self_test = not (reaches_negative and reaches_positive)
        return Result.FAIL if self._has_failed_self_test else Result.PASS

    def next_deadline_s(self) -> float:
        """When something will change although neither a sample nor a set-point does."""
        dues_s = [math.inf]
        if self.control is not None and not self._has_lapsed:
            dues_s.append(self._deadline_s())
        if self._hold_until_s is not None:
            dues_s.append(self._hold_until_s)
        if self.is_permitted and self.output is PilotOutput.X1:
            dues_s.append(self._steady_since_s + STOP_BACKSTOP_S)
        return min(dues_s)

    # --- what it knows ----------------------------------------------------------------------------------------

    @property
    def state(self) -> PilotState:
        """The debounced state."""
        return self.detector.state

    def _deadline_s(self) -> float:
        """When the last set-point stops counting."""
        if self.control is None:
            return -math.inf
        shortest, longest = DEADLINE_MS
        return self.control_s + min(max(self.control.deadline_ms, shortest), longest) / 1000.0

    def _check_deadline(self, now_s: float) -> None:
        if self.control is None or self._has_lapsed or now_s < self._deadline_s():
            return
        self._has_lapsed = True
        self._is_armed = self._is_granted = False
        if self.is_permitted and self._hold_until_s is None:
            # Counted from the lapse itself, so that a late tick does not add to the time under load.
            self._hold_until_s = self._deadline_s() + HOST_LOST_HOLD_S
        self.events.append((EventCode.HOST_LOST, round((now_s - self.control_s) * 1000.0)))
        self._judge(now_s)

    def _note_presence(self) -> None:
        state = self.detector.state
        if state in _PRESENT and self._was_present is not True:
            # A car that was there at boot is not a new one.
            self.plug_count += self._was_present is False
            self._was_present = True
        elif state is PilotState.A:
            self._was_present = False
            self._cable_ma, self._is_cable_bad = None, False
            self._clear(_CLEARED_BY_UNPLUG)

    def _note_cable(self) -> None:
        """The lowest rating since plug-in counts: a resistor that rises while a car is there is no better cable."""
        if not self._was_present or self.pp_ohm is None:
            return
        limit_ma = cable_limit_ma(self.pp_ohm)
        self._is_cable_bad = limit_ma is None
        if limit_ma is not None:
            self._cable_ma = limit_ma if self._cable_ma is None else min(self._cable_ma, limit_ma)

    def _causes(self, now_s: float) -> CoprocessorFault:
        active = CoprocessorFault.NONE
        if self._has_lapsed:
            active |= CoprocessorFault.HOST_LOST
        if self._diode.is_missing(now_s):
            active |= CoprocessorFault.DIODE
        if now_s - self._zero_since_s >= SHORT_DEBOUNCE_S:
            active |= CoprocessorFault.PILOT_SHORT
        if self.state is PilotState.INVALID:
            active |= CoprocessorFault.PILOT_INVALID
        if self._is_cable_bad:
            active |= CoprocessorFault.CABLE
        if self._has_failed_self_test:
            active |= CoprocessorFault.SELF_TEST
        if self.is_supply_failing:
            active |= CoprocessorFault.SUPPLY_FAILING
        return active

    # --- what it decides --------------------------------------------------------------------------------------

    def _judge(self, now_s: float) -> None:
        """Bring latches, pilot, permit and lock in line with what is known now."""
        self.active = self._causes(now_s)
        self._latch(self.active & ~CoprocessorFault.SUPPLY_FAILING)
        self._drive(now_s)
        reason = self._reason_to_open(now_s)
        if self.is_permitted:
            self._live_s = now_s
        if self.is_permitted and reason is not None:
            self._open(reason)
        elif not self.is_permitted and reason is None and self._may_close(now_s):
            self.is_permitted, self._closed_s = True, now_s
            self.circuit.set_permit(True)
            self.events.append((EventCode.PERMIT_CLOSED, 0))
        self._drive_lock(now_s)

    def _reason_to_open(self, now_s: float) -> OpenReason | None:
        """Why the permit may not be there; None where nothing speaks against it."""
        if self.active & _BLOCKING_NOW:
            return OpenReason.PILOT_FAULT
        if self.output in (PilotOutput.E, PilotOutput.F):
            return OpenReason.OUTPUT_E_OR_F
        if self.state is not PilotState.C:
            return OpenReason.VEHICLE_LEFT_C
        if self.output is PilotOutput.X1 and now_s - self._steady_since_s >= STOP_BACKSTOP_S:
            return OpenReason.STOP_BACKSTOP
        if self._hold_until_s is not None:
            is_renounced = self.control is not None and not self.control.is_permitted
            return OpenReason.HOST_LOST if is_renounced or now_s >= self._hold_until_s else None
        if not self._is_granted:
            return OpenReason.COMMANDED
        return None

    def _open(self, reason: OpenReason) -> None:
        self.is_permitted = False
        self._hold_until_s = None
        self.circuit.set_permit(False)
        if reason is not OpenReason.VEHICLE_LEFT_C:
            # A car that let go may come back; after anything else the host has to ask anew, and may have renounced.
            self._is_granted = False
            self._is_armed = self.control is not None and not self.control.is_permitted
        self.events.append((EventCode.PERMIT_OPENED, reason))

    def _may_close(self, now_s: float) -> bool:
        return (
            self._is_granted
            and not self._has_lapsed
            and not self.latched
            and self.state is PilotState.C
            and self.output is PilotOutput.X2
            and self._diode.is_proven()
            and now_s - self._closed_s >= CLOSING_SPACING_S
        )

    def _wanted_output(self) -> tuple[PilotOutput, int]:
        """What to drive: the host's wish, lowered to what it may be."""
        mode = PilotOutput.X1 if self.control is None else self.control.mode
        if mode is PilotOutput.F:
            return mode, 0
        is_host_lost = self._has_lapsed or CoprocessorFault.HOST_LOST in self.latched
        if is_host_lost or self.control is None:
            return PilotOutput.X1, _STEADY
        if mode is PilotOutput.E:
            return mode, 0
        duty = duty_centipercent(self._limit_ma(self.control))
        if mode is PilotOutput.X1 or duty is None or self._is_cable_bad:
            return PilotOutput.X1, _STEADY
        return PilotOutput.X2, duty

    def _limit_ma(self, control: Control) -> int:
        """The smallest of what the host offers, the hardware stands and the cable carries."""
        limit_ma = min(control.limit_ma, self.max_ma)
        return limit_ma if self._cable_ma is None else min(limit_ma, self._cable_ma)

    def _drive(self, now_s: float) -> None:
        output, duty = self._wanted_output()
        if (output, duty) == (self.output, self.duty):
            return
        if output is not self.output:
            self._steady_since_s = now_s
            self._diode = _Diode()
        self.output, self.duty = output, duty
        self.circuit.drive(output, duty / _STEADY)

    def _drive_lock(self, now_s: float) -> None:
        is_wanted = self._is_lock_driven if self.control is None else self.control.is_locked
        is_dead = not self.is_permitted and now_s >= self._live_s + UNLOCK_AFTER_OPEN_S
        if is_wanted != self._is_lock_driven and (is_wanted or is_dead):
            self._is_lock_driven = is_wanted
            self.circuit.set_locked(is_wanted)
        self.is_locked = self.circuit.read_locked()

    def _latch(self, faults: CoprocessorFault) -> None:
        new = faults & ~self.latched
        if not new:
            return
        if not self.latched:
            self.first_fault = CoprocessorFault(new.value & -new.value)
        self.latched |= new
        if reported := new & ~CoprocessorFault.HOST_LOST:
            self.events.append((EventCode.FAULT_LATCHED, reported.value))

    def _clear(self, faults: CoprocessorFault) -> None:
        cleared = self.latched & faults
        if cleared:
            self.latched &= ~cleared
            self.events.append((EventCode.LATCH_CLEARED, cleared.value))
        if not self.latched:
            self.first_fault = CoprocessorFault.NONE
