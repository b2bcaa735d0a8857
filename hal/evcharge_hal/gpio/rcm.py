"""Residual current monitor: its trip input and its test winding."""

from collections.abc import Callable

from gpiozero import DigitalOutputDevice, Factory, InputDevice  # type: ignore[import-untyped]

from evcharge_hal.gpio.relay import GpioRelay


class RcmInput:
    """An `InputLine` whose active edge opens the relay in the pin factory's own thread.

    It listens to the pin, not to gpiozero's events: those compare with the last level they saw, so one
    lost edge would hide the next trip. A line that is already active gives no edge; the caller reads the
    level after opening and at least once a second.
    """

    def __init__(
        self, pin: int, *, is_active_high: bool, relay: GpioRelay, on_change: Callable[[], None], pin_factory: Factory
    ) -> None:
        self._relay = relay
        self._on_change = on_change
        self._is_active_high = is_active_high
        # No pull: the level belongs to the monitor, and the board fits the resistor that makes a cut wire a trip.
        self._device = InputDevice(pin, pull_up=None, active_state=is_active_high, pin_factory=pin_factory)
        self._device.pin.when_changed = self._edge

    def _edge(self, _ticks: object, state: object) -> None:
        try:
            if bool(state) is self._is_active_high:
                self._relay.trip()
        finally:
            # The loop must look even if the line could not be driven: it has other ways to stop.
            self._on_change()

    def is_active(self) -> bool:
        """Read the level; also true once for a trip that came and went since the last reading."""
        has_tripped = self._relay.take_trip()
        # Ten times a second: the pin itself, without the device's checks around it.
        return has_tripped or bool(self._device.pin.state) is self._is_active_high


class RcmTest:
    """The `OutputLine` of the monitor's test winding."""

    def __init__(self, pin: int, *, pin_factory: Factory) -> None:
        self._device = DigitalOutputDevice(pin, initial_value=False, pin_factory=pin_factory)

    def set_active(self, is_active: bool) -> None:
        """Drive the test winding."""
        self._device.value = is_active
