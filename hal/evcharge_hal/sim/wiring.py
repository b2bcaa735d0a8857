"""The board's GPIO lines, wired to the plant: levels on one side, coils and contacts on the other."""

from collections.abc import Callable, Mapping

from evcharge_hal.boards.board import Board, ConnectorPins
from evcharge_hal.contract.errors import InvalidFieldError
from evcharge_hal.sim.plant.connector import Connector


class Wiring:
    """All lines of the board. A line the board file does not name is a free pin that keeps its level."""

    def __init__(self, board: Board, connectors: Mapping[int, Connector]) -> None:
        self._levels: dict[int, bool] = {}
        self._sinks: dict[int, tuple[Callable[[bool], None], bool]] = {}
        self._sources: dict[int, tuple[Callable[[], bool], bool]] = {}
        for section in board.connector:
            self._wire(section.pins, connectors[section.id])
        self.release_all()
        self.notice()

    def _wire(self, pins: ConnectorPins, connector: Connector) -> None:
        def set_test(is_driven: bool) -> None:
            connector.residual.is_test_driven = is_driven

        self._sinks[pins.relay] = (connector.set_relay, pins.is_relay_active_high)
        if pins.rcm_test is not None:
            self._sinks[pins.rcm_test] = (set_test, True)
        for light in (pins.led_red, pins.led_green, pins.led_blue):
            if light is not None:
                self._levels[light] = False
        if pins.feedback is not None:
            self._sources[pins.feedback] = (lambda: connector.contactor.is_closed, pins.is_feedback_active_high)
        if pins.rcm is not None:
            self._sources[pins.rcm] = (lambda: connector.residual.is_tripped, pins.is_rcm_active_high)

    @property
    def levels(self) -> Mapping[int, bool]:
        """Every line whose level is known."""
        return self._levels

    def level(self, pin: int) -> bool:
        """Level of a line; a free pin is low."""
        return self._levels.get(pin, False)

    def drive(self, pin: int, is_high: bool) -> None:
        """Drive a line from the guard's side.

        Raises:
            InvalidFieldError: the world drives this line itself; a short circuit on a real board.
        """
        if pin in self._sources:
            raise InvalidFieldError("pin", pin, "a line that is not an output of the board")
        self._levels[pin] = is_high
        if pin in self._sinks:
            sink, is_active_high = self._sinks[pin]
            sink(is_high == is_active_high)

    def release(self, pin: int) -> None:
        """Let a line fall to its pull, which is off; inputs do not care."""
        if pin not in self._sources:
            self.drive(pin, not self._sinks[pin][1] if pin in self._sinks else False)

    def release_all(self) -> None:
        """Every output is off, as after power-on."""
        for pin in (*self._sinks, *self._levels):
            self.release(pin)

    def notice(self) -> list[tuple[int, bool]]:
        """Return the inputs whose level has changed since the last call."""
        changed = []
        for pin, (source, is_active_high) in self._sources.items():
            is_high = source() == is_active_high
            if self._levels.get(pin) != is_high:
                self._levels[pin] = is_high
                changed.append((pin, is_high))
        return changed
