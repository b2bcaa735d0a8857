"""What the guard says of itself: the status to the agent, the light to the driver.

A status is worked out once for each state of the core, not once for each turn: between two steps nothing has
happened, and `core.next_deadline_s` brings the next step wherever time alone would change one.
"""

import dataclasses
import operator
from collections.abc import Callable, Mapping

from evcharge_hal.contract.channel import ConnectorStatus, Indicate, Indication, Status
from evcharge_hal.contract.lines import ConnectorLines
from evcharge_hal.guard import core, indicator
from evcharge_hal.guard.state import GuardState

STATUS_EVERY_S = 1.0
AGENT_SILENT_S = 5.0
"""An agent that said nothing for so long no longer decides what the LED says; equal to its lease."""
LED_EVERY_S = 0.1
_STATUS_EARLY_S = 0.1
_LED_EARLY_S = 0.05
"""What is due so soon is done in a turn that is made anyway, so that it needs none of its own."""

# What makes a status worth sending at once: all but its time and the last digits of a temperature.
_essence = operator.attrgetter(
    *(field.name for field in dataclasses.fields(ConnectorStatus) if field.name != "temperature_c")
)


class Telling:
    """Says what has changed, and all of it once a second."""

    def __init__(self, lines: Mapping[int, ConnectorLines], emit: Callable[[Status], None], now_s: float) -> None:
        self._lines = lines
        self._emit = emit
        self._indications = dict.fromkeys(lines, Indication.OFFLINE)
        self._agent_heard_s: float | None = None
        self._told_of: GuardState | None = None
        self._sent: Status | None = None
        self._status_due_s = now_s
        self._led_due_s = now_s

    def hear_agent(self, now_s: float) -> None:
        """The agent said something."""
        self._agent_heard_s = now_s

    def indicate(self, message: Indicate) -> None:
        """The agent named what the LED of a connector should say."""
        self._indications[message.connector] = message.indication

    def next_deadline_s(self) -> float:
        """Return when `tell` wants to be called at the latest; a light may be late."""
        return min(self._status_due_s, self._led_due_s + _LED_EARLY_S)

    def tell(self, state: GuardState, now_s: float) -> None:
        """Send the status where it is news or due, and let the LEDs play on."""
        is_due = now_s >= self._status_due_s - _STATUS_EARLY_S
        if is_due or state is not self._told_of:
            self._told_of = state
            status = core.status(state, now_s)
            if is_due or _is_news(status, self._sent):
                self.send(status, now_s)
        if now_s >= self._led_due_s - _LED_EARLY_S:
            self._led_due_s = now_s + LED_EVERY_S
            self._show_leds(state, now_s)

    def send(self, status: Status, now_s: float) -> None:
        """Send a status now."""
        self._sent = status
        self._status_due_s = now_s + STATUS_EVERY_S
        self._emit(status)

    def _show_leds(self, state: GuardState, now_s: float) -> None:
        is_agent_heard = self._agent_heard_s is not None and now_s - self._agent_heard_s < AGENT_SILENT_S
        for connector in state.connectors:
            number = connector.section.id
            led = self._lines[number].led
            if led is not None:
                indication = self._indications[number] if is_agent_heard else Indication.OFFLINE
                led.show(*indicator.colour(indication, connector.faults, now_s))


def _is_news(status: Status, sent: Status | None) -> bool:
    return (
        sent is None
        or status.is_coprocessor_up is not sent.is_coprocessor_up
        or [_essence(connector) for connector in status.connectors]
        != [_essence(connector) for connector in sent.connectors]
    )
