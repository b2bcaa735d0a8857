"""Fake co-processors that each break one safety rule; the tests of the rules have to tell them from a sound one."""

from evcharge_hal.contract.pilot import CoprocessorFault, PilotOutput, PilotState
from evcharge_hal.link.frames import (
    Control,
    OpenReason,
    Result,
)
from evcharge_hal.sim.coprocessor_connector import CoprocessorConnector


class ClosesInAnyState(CoprocessorConnector):
    def _reason_to_open(self, now_s: float) -> OpenReason | None:
        reason = super()._reason_to_open(now_s)
        return None if reason is OpenReason.VEHICLE_LEFT_C and self._is_granted else reason

    def _may_close(self, now_s: float) -> bool:
        return self._is_granted and self.output is PilotOutput.X2


class ClosesWithoutPwm(CoprocessorConnector):
    def _may_close(self, now_s: float) -> bool:
        return self._is_granted and not self.latched and self.state is PilotState.C


class ClosesWithoutDiode(CoprocessorConnector):
    def _may_close(self, now_s: float) -> bool:
        return self._is_granted and self.state is PilotState.C and self.output is PilotOutput.X2


class ClosesOnFirstSight(CoprocessorConnector):
    def _may_close(self, now_s: float) -> bool:
        return ClosesWithoutDiode._may_close(self, now_s) and not self.latched  # type: ignore[arg-type]


class IgnoresTheCarLeaving(CoprocessorConnector):
    def _reason_to_open(self, now_s: float) -> OpenReason | None:
        reason = super()._reason_to_open(now_s)
        return None if reason is OpenReason.VEHICLE_LEFT_C else reason


class SamplesTooSeldom(CoprocessorConnector):
    def sample(self, now_s: float) -> None:
        if now_s - self.sample_s >= 0.15:
            super().sample(now_s)


class MissesFaults(CoprocessorConnector):
    missed = CoprocessorFault.NONE

    def _causes(self, now_s: float) -> CoprocessorFault:
        return super()._causes(now_s) & ~self.missed


class MissesShort(MissesFaults):
    missed = CoprocessorFault.PILOT_SHORT


class MissesDiode(MissesFaults):
    missed = CoprocessorFault.DIODE


class MissesInvalid(MissesFaults):
    missed = CoprocessorFault.PILOT_INVALID


class MissesCable(MissesFaults):
    missed = CoprocessorFault.CABLE


class HoldsStateForEver(CoprocessorConnector):
    def sample(self, now_s: float) -> None:
        self.detector._seen_s = now_s
        super().sample(now_s)


class ForgetsLatches(CoprocessorConnector):
    def sample(self, now_s: float) -> None:
        super().sample(now_s)
        self.latched &= self.active | CoprocessorFault.HOST_LOST


class NeverClearsLatches(CoprocessorConnector):
    def clear_latch(self, mask: int) -> Result:
        return Result.PASS


class OpensSlowlyOnEAndF(CoprocessorConnector):
    def _reason_to_open(self, now_s: float) -> OpenReason | None:
        reason = super()._reason_to_open(now_s)
        is_settling = now_s - self._steady_since_s < 0.3
        return None if reason is OpenReason.OUTPUT_E_OR_F and is_settling else reason


class NeedsNoEdgeAfterOpening(CoprocessorConnector):
    def _open(self, reason: OpenReason) -> None:
        super()._open(OpenReason.VEHICLE_LEFT_C)
        self.events[-1] = (self.events[-1][0], reason)


class IgnoresRevocation(CoprocessorConnector):
    def _reason_to_open(self, now_s: float) -> OpenReason | None:
        reason = super()._reason_to_open(now_s)
        return None if reason is OpenReason.COMMANDED else reason


class LosesShortEdges(CoprocessorConnector):
    def _open(self, reason: OpenReason) -> None:
        super()._open(reason)
        self._is_armed = False


class HasNoDeadline(CoprocessorConnector):
    """The failsafe that is written down and commented out (spec hardware.md 1.2)."""

    def _check_deadline(self, now_s: float) -> None:
        pass


class TakesAnyDeadline(CoprocessorConnector):
    def _deadline_s(self) -> float:
        return self.control_s + (0.0 if self.control is None else self.control.deadline_ms / 1000.0)


class KeepsThePwm(CoprocessorConnector):
    def _wanted_output(self) -> tuple[PilotOutput, int]:
        lapsed, self._has_lapsed = self._has_lapsed, False
        latched, self.latched = self.latched, self.latched & ~CoprocessorFault.HOST_LOST
        wanted = super()._wanted_output()
        self._has_lapsed, self.latched = lapsed, latched
        return wanted


class OpensUnderLoadAtOnce(CoprocessorConnector):
    def _check_deadline(self, now_s: float) -> None:
        super()._check_deadline(now_s)
        if self._has_lapsed and self.is_permitted:
            self._open(OpenReason.HOST_LOST)


class HoldsForEver(CoprocessorConnector):
    def _check_deadline(self, now_s: float) -> None:
        super()._check_deadline(now_s)
        if self._hold_until_s is not None:
            self._hold_until_s = now_s + 3.0


class LetsAReturningHostGoOn(CoprocessorConnector):
    def take_control(self, frame: Control, now_s: float) -> None:
        self._hold_until_s = None
        self.latched &= ~CoprocessorFault.HOST_LOST
        self._is_armed = True
        super().take_control(frame, now_s)


class ClearsHostLostByRequest(CoprocessorConnector):
    def clear_latch(self, mask: int) -> Result:
        self._clear(CoprocessorFault(mask))
        self._is_armed = True
        return Result.PASS


class IsArmedAtBoot(CoprocessorConnector):
    def take_control(self, frame: Control, now_s: float) -> None:
        self._is_armed = self._is_armed or self.control is None
        super().take_control(frame, now_s)


class RoundsUp(CoprocessorConnector):
    def _wanted_output(self) -> tuple[PilotOutput, int]:
        output, duty = super()._wanted_output()
        return output, duty + (output is PilotOutput.X2)


class LiftsToTheMinimum(CoprocessorConnector):
    def _limit_ma(self, control: Control) -> int:
        return max(super()._limit_ma(control), 6_000)


class IgnoresHardwareLimit(CoprocessorConnector):
    def _limit_ma(self, control: Control) -> int:
        return control.limit_ma if self._cable_ma is None else min(control.limit_ma, self._cable_ma)


class IgnoresCable(CoprocessorConnector):
    def _limit_ma(self, control: Control) -> int:
        return min(control.limit_ma, self.max_ma)


class BelievesABetterCable(CoprocessorConnector):
    def _note_cable(self) -> None:
        self._cable_ma = None
        super()._note_cable()


class HasNoBackstop(CoprocessorConnector):
    def _reason_to_open(self, now_s: float) -> OpenReason | None:
        reason = super()._reason_to_open(now_s)
        return None if reason is OpenReason.STOP_BACKSTOP else reason


class SilenceExtendsAStop(CoprocessorConnector):
    def _reason_to_open(self, now_s: float) -> OpenReason | None:
        reason = super()._reason_to_open(now_s)
        is_holding = self._hold_until_s is not None and now_s < self._hold_until_s
        return None if reason is OpenReason.STOP_BACKSTOP and is_holding else reason


class OpensBeforeTheCarLetsGo(CoprocessorConnector):
    def _reason_to_open(self, now_s: float) -> OpenReason | None:
        is_early = self.output is PilotOutput.X1 and now_s - self._steady_since_s > 3.5
        return OpenReason.STOP_BACKSTOP if is_early else super()._reason_to_open(now_s)


class ClosesAsOftenAsAsked(CoprocessorConnector):
    def _may_close(self, now_s: float) -> bool:
        self._closed_s = -1e9
        return super()._may_close(now_s)


class CountsTheCarAtBoot(CoprocessorConnector):
    def _note_presence(self) -> None:
        self._was_present = self._was_present or False
        super()._note_presence()


class CountsAfterAShort(CoprocessorConnector):
    def _note_presence(self) -> None:
        if self.state is PilotState.E:
            self._was_present = False
        super()._note_presence()


class UnlocksUnderLoad(CoprocessorConnector):
    def _drive_lock(self, now_s: float) -> None:
        if self.control is not None and self.control.is_locked != self.is_locked:
            self.is_locked = self.control.is_locked
            self.circuit.set_locked(self.is_locked)
