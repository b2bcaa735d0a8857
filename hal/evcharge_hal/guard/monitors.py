"""One monitor for each fault the guard decides: is its cause there now? None: cannot be told, keep what was.

The catalogue (`contract.faults`) says how bad a fault is and when it is over; a monitor only looks.
"""

from collections.abc import Callable
from dataclasses import dataclass

from evcharge_hal.boards.board import Cable
from evcharge_hal.contract.faults import FaultCode
from evcharge_hal.contract.pilot import CoprocessorFault, PilotReport, PilotState
from evcharge_hal.guard.ceilings import find_cable_a, read_temperature_c
from evcharge_hal.guard.deadlines import CABLE_SETTLE_S, FEEDBACK_WAIT_S, LINK_GRACE_S, SENSOR_SETTLE_S, WELD_CHECK_S
from evcharge_hal.guard.locking import is_jammed, is_stuck
from evcharge_hal.guard.state import RcmPhase, Situation

_VEHICLE_STATES = (PilotState.B, PilotState.C, PilotState.D)
_HOST_LOST = CoprocessorFault.HOST_LOST.value

DIODE_LOW_FROM_V, DIODE_LOW_TO_V = -13.0, -11.0
"""The negative half of the PWM with a diode in the car (IEC 61851-1 Table A.2, -12 V +-1 V)."""


@dataclass(frozen=True, slots=True)
class Monitor:
    """Watches for one cause."""

    code: FaultCode
    is_present: Callable[[Situation], bool | None]


def is_diode_low(report: PilotReport) -> bool:
    """The negative half is where a diode leaves it."""
    return DIODE_LOW_FROM_V <= report.low_v <= DIODE_LOW_TO_V


def _fresh_report(situation: Situation) -> PilotReport | None:
    pilot = situation.connector.pilot
    return pilot.report if pilot.lost_s is None else None


def _is_active(report: PilotReport, bit: CoprocessorFault) -> bool:
    return bool(report.active.value & bit.value)


def _seen(situation: Situation, is_cause: Callable[[PilotReport], bool]) -> bool | None:
    """A cause in an old sample was there and is acted on; that an old sample shows none proves nothing."""
    report = situation.connector.pilot.report
    if report is not None and is_cause(report):
        return True
    return None if _fresh_report(situation) is None else False


def is_pilot_short(situation: Situation) -> bool | None:
    """State E: control pilot to earth (IEC 61851-1 Table A.2)."""
    return _seen(
        situation, lambda report: report.state is PilotState.E or _is_active(report, CoprocessorFault.PILOT_SHORT)
    )


def is_pilot_invalid(situation: Situation) -> bool | None:
    """Between two windows beyond the co-processor's time-out, or -12 V that nobody drives."""
    return _seen(
        situation,
        lambda report: (
            report.state in (PilotState.INVALID, PilotState.F) or _is_active(report, CoprocessorFault.PILOT_INVALID)
        ),
    )


def is_diode_missing(situation: Situation) -> bool | None:
    """The negative half of the PWM is not at -12 V (IEC 61851-1 A.4.11 via hardware.md 3.3).

    The first report after PWM was switched on may hold a sample from before; it proves nothing.
    """
    is_late_enough = situation.connector.pilot.x2_reports > 1

    def is_cause(report: PilotReport) -> bool:
        is_seen = is_late_enough and report.state in _VEHICLE_STATES and not is_diode_low(report)
        return is_seen or _is_active(report, CoprocessorFault.DIODE)

    return _seen(situation, is_cause)


def is_ventilation_required(situation: Situation) -> bool | None:
    """State D: not fitted, so not allowed (hardware.md 3.3)."""
    report = _fresh_report(situation)
    return None if report is None else report.state is PilotState.D


def is_rcm_tripped(situation: Situation) -> bool | None:
    """Residual current outside the self-test (IEC 62955)."""
    rcm = situation.connector.rcm
    return rcm.is_tripped and rcm.phase is RcmPhase.IDLE


def is_rcm_test_failed(situation: Situation) -> bool | None:
    """The monitor did not trip or did not clear; there while the input has not cleared."""
    connector = situation.connector
    is_stuck = FaultCode.RCM_SELF_TEST in connector.faults and connector.rcm.is_tripped
    return connector.rcm.has_failed or is_stuck


def is_contactor_welded(situation: Situation) -> bool | None:
    """Told to open for 1 s, and the feedback says closed (DESIGN 4b, security.md H3)."""
    contactor = situation.connector.contactor
    if contactor.is_driven or contactor.is_closed is not True:
        return False
    if situation.now_s >= contactor.driven_s + WELD_CHECK_S:
        return True
    return None


def is_contactor_stuck_open(situation: Situation) -> bool | None:
    """Told to close, or to stay closed, and the feedback has said open for 0.5 s."""
    contactor = situation.connector.contactor
    return (
        contactor.is_driven
        and contactor.is_closed is False
        and situation.now_s >= max(contactor.driven_s, contactor.changed_s) + FEEDBACK_WAIT_S
    )


def is_too_hot(situation: Situation) -> bool | None:
    """Stop at `stop_at_c`, again below `resume_below_c`; a lost sensor proves no cooling."""
    temperature_c = read_temperature_c(situation.connector)
    if temperature_c is None:
        return None
    thresholds = situation.board.thresholds
    is_latched = FaultCode.OVER_TEMPERATURE in situation.connector.faults
    return temperature_c >= (thresholds.resume_below_c if is_latched else thresholds.stop_at_c)


def is_temperature_sensor_lost(situation: Situation) -> bool | None:
    """The board gives no believable temperature; the first reports after a handshake may be without one."""
    if _fresh_report(situation) is None:
        return None
    is_lost = read_temperature_c(situation.connector) is None
    return is_lost and situation.now_s >= situation.link.since_s + SENSOR_SETTLE_S


def is_cable_invalid(situation: Situation) -> bool | None:
    """A plugged cable whose resistor stands for nothing, 1 s after plug-in (hardware.md 3.4)."""
    connector, report = situation.connector, _fresh_report(situation)
    if report is None:
        return None
    if connector.section.cable is Cable.FIXED or connector.pilot.plug_id is None:
        return False
    return connector.pilot.cable_a is None and situation.now_s >= connector.pilot.plugged_s + CABLE_SETTLE_S


def is_cable_changed(situation: Situation) -> bool | None:
    """The resistor left the window it was in at plug-in (hardware.md 3.4, security.md H5)."""
    pilot, report = situation.connector.pilot, _fresh_report(situation)
    if report is None:
        return None
    if pilot.plug_id is None or pilot.cable_a is None:
        return False
    return find_cable_a(report.pp_ohm, situation.board.thresholds) != pilot.cable_a


def is_coprocessor_lost(situation: Situation) -> bool | None:
    """No fresh word for 1.0 s; at the start a few seconds are allowed for the handshake."""
    if situation.connector.pilot.lost_s is not None:
        return not situation.link.is_incompatible
    is_late = not situation.link.is_up and situation.now_s >= situation.started_s + LINK_GRACE_S
    return is_late and not situation.link.is_incompatible


def is_coprocessor_incompatible(situation: Situation) -> bool | None:
    """Another major protocol version: it is told nothing."""
    return situation.link.is_incompatible


def is_coprocessor_faulty(situation: Situation) -> bool | None:
    """A latch of its own, other than having missed us."""
    report = _fresh_report(situation)
    return None if report is None else bool(report.latched.value & ~_HOST_LOST)


def is_supply_failing(situation: Situation) -> bool | None:
    """The co-processor warns of a power failure; it keeps no latch of that."""
    report = _fresh_report(situation)
    return None if report is None else _is_active(report, CoprocessorFault.SUPPLY_FAILING)


MONITORS = (
    Monitor(FaultCode.PILOT_SHORT, is_pilot_short),
    Monitor(FaultCode.PILOT_INVALID, is_pilot_invalid),
    Monitor(FaultCode.DIODE, is_diode_missing),
    Monitor(FaultCode.VENTILATION_REQUIRED, is_ventilation_required),
    Monitor(FaultCode.RCM_TRIP, is_rcm_tripped),
    Monitor(FaultCode.RCM_SELF_TEST, is_rcm_test_failed),
    Monitor(FaultCode.CONTACTOR_WELDED, is_contactor_welded),
    Monitor(FaultCode.CONTACTOR_DID_NOT_CLOSE, is_contactor_stuck_open),
    Monitor(FaultCode.OVER_TEMPERATURE, is_too_hot),
    Monitor(FaultCode.TEMPERATURE_SENSOR_LOST, is_temperature_sensor_lost),
    Monitor(FaultCode.CABLE_INVALID, is_cable_invalid),
    Monitor(FaultCode.CABLE_CHANGED, is_cable_changed),
    Monitor(FaultCode.LOCK_JAM, is_jammed),
    Monitor(FaultCode.LOCK_STUCK, is_stuck),
    Monitor(FaultCode.COPROCESSOR_LOST, is_coprocessor_lost),
    Monitor(FaultCode.COPROCESSOR_INCOMPATIBLE, is_coprocessor_incompatible),
    Monitor(FaultCode.COPROCESSOR_FAULT, is_coprocessor_faulty),
    Monitor(FaultCode.SUPPLY_FAILING, is_supply_failing),
)
