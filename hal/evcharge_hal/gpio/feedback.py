"""Mirror contact of the contactor."""

from collections.abc import Callable

from gpiozero import Factory, InputDevice  # type: ignore[import-untyped]


class ContactorFeedback:
    """An `InputLine` that is active while the contactor is closed."""

    def __init__(self, pin: int, *, is_active_high: bool, on_change: Callable[[], None], pin_factory: Factory) -> None:
        self._on_change = on_change
        self._device = InputDevice(pin, pull_up=None, active_state=is_active_high, pin_factory=pin_factory)
        self._is_active_high = is_active_high
        self._device.pin.when_changed = self._edge

    def _edge(self, _ticks: object, _state: object) -> None:
        self._on_change()

    def is_active(self) -> bool:
        """Read the level now."""
        # Ten times a second: the pin itself, without the device's checks around it.
        return bool(self._device.pin.state) is self._is_active_high
