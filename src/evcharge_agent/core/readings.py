"""What the session meters say, and what their silence means."""

from dataclasses import replace

from evcharge_agent.core import guarding, lifecycle, metering, overcurrent
from evcharge_agent.core.effects import Level
from evcharge_agent.core.events import MeterFailed, MeterRead
from evcharge_agent.core.facts import StopReason
from evcharge_agent.core.overcurrent import Finding
from evcharge_agent.core.state import StopCause
from evcharge_agent.core.turn import Turn
from evcharge_hal.contract.faults import FaultCode


def take_reading(turn: Turn, event: MeterRead) -> None:
    """A meter spoke; what is not plausible counts as silence.

    A meter makes no connector: one set up for a number the board does not have must not offer it to anybody.
    """
    number = event.connector
    if not turn.knows(number):
        turn.note("reading_ignored", level=Level.DEBUG, meter_of=number)
        return
    if not metering.is_plausible(event.reading):
        turn.note("reading_implausible", number, Level.WARNING)
        return
    connector = turn.connector(number)
    before = connector.meter
    meter = metering.take(before, event.reading, turn.now_s, event.period_s)
    turn.put(replace(connector, meter=meter))
    if meter.is_register_low and not before.is_register_low:
        turn.note("register_fell", number, Level.WARNING, register_wh=before.register_wh)
    if before.is_lost:
        guarding.raise_fault(turn, number, FaultCode.METER_LOST, is_present=False)
        turn.note("meter_found", number)
    _watch_draw(turn, number)


def take_failure(turn: Turn, event: MeterFailed) -> None:
    """A meter did not speak; only its silence counts, and that is measured by the clock."""
    if turn.knows(event.connector):
        turn.note("meter_failed", event.connector, Level.DEBUG, reason=event.reason)


def check_time(turn: Turn, number: int) -> None:
    """A meter that has been silent for too long is lost: private goes on, public stops (DESIGN 4b)."""
    connector = turn.connector(number)
    if connector.meter.is_lost or turn.now_s < metering.lost_at_s(connector.meter):
        return
    meter = replace(connector.meter, is_lost=True)
    turn.put(replace(connector, meter=meter, draw=replace(connector.draw, exceeded_since_s=None)))
    guarding.raise_fault(turn, number, FaultCode.METER_LOST, is_present=True)
    turn.note("meter_lost", number, Level.WARNING)
    if turn.rules.has_public_meter:
        lifecycle.stop(turn, number, StopCause(StopReason.OTHER, turn.now))


def _watch_draw(turn: Turn, number: int) -> None:
    connector = turn.connector(number)
    current_a = metering.draw_a(connector.meter)
    if current_a is None:
        return
    draw, finding = overcurrent.watch(connector.draw, current_a, turn.now_s)
    turn.put(replace(connector, draw=draw))
    if finding is Finding.WARNING:
        turn.note("draw_above_offer", number, Level.WARNING, draw_a=current_a.maximum)
    elif finding is Finding.OVERCURRENT:
        turn.note("overcurrent", number, Level.ERROR, draw_a=current_a.maximum)
        guarding.raise_fault(turn, number, FaultCode.OVERCURRENT, is_present=True)
    elif finding is Finding.OVER:
        guarding.raise_fault(turn, number, FaultCode.OVERCURRENT, is_present=False)
