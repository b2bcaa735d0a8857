"""The contactor relay's coil line: opened by the loop or, faster, by the thread that saw a trip."""

import threading

from gpiozero import DigitalOutputDevice, Factory  # type: ignore[import-untyped]


class GpioRelay:
    """A `RelayLine` that a residual-current edge opens without waiting for the loop.

    Between a trip and the moment the loop has read it (`take_trip`) closing is refused, so a decision made
    before the trip can never undo it.
    """

    def __init__(self, pin: int, *, is_active_high: bool, pin_factory: Factory) -> None:
        # Taking a line as output drives it open at once; `initial_value=None` would keep a closed relay closed.
        self._device = DigitalOutputDevice(
            pin, active_high=is_active_high, initial_value=False, pin_factory=pin_factory
        )
        self._lock = threading.Lock()
        self._has_tripped = False

    def set_closed(self, is_closed: bool) -> None:
        """Drive the line; a close is refused while a trip waits to be read."""
        with self._lock:
            self._device.value = is_closed and not self._has_tripped

    def trip(self) -> None:
        """Open now, from whatever thread, and stay open until the trip was read."""
        with self._lock:
            self._has_tripped = True
            self._device.off()

    def take_trip(self) -> bool:
        """Tell whether `trip` was called since the last time, and allow closing again."""
        with self._lock:
            has_tripped, self._has_tripped = self._has_tripped, False
            return has_tripped

    def is_driven(self) -> bool:
        """Read the line back; true while this half of the coil chain is energised."""
        return bool(self._device.value)
