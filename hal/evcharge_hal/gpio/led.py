"""Status LED of one connector: up to three lines, dimmed where the pins can do it."""

from gpiozero import (  # type: ignore[import-untyped]
    DigitalOutputDevice,
    Factory,
    OutputDevice,
    PinPWMUnsupported,
    PWMOutputDevice,
)

# Steps of brightness: finer ones are not seen and would only cost writes.
_STEPS = 32
_HALF = 0.5


class _Channel:
    """One colour. Software PWM is good enough for a light and is used for nothing else."""

    def __init__(self, pin: int, pin_factory: Factory) -> None:
        self._shown: float | None = None
        self._device: OutputDevice
        try:
            self._device = PWMOutputDevice(pin, pin_factory=pin_factory)
            self._is_dimmable = True
        except PinPWMUnsupported:
            self._device = DigitalOutputDevice(pin, pin_factory=pin_factory)
            self._is_dimmable = False

    def show(self, value: float) -> None:
        level = round(min(max(value, 0.0), 1.0) * _STEPS) / _STEPS
        if not self._is_dimmable:
            level = 1.0 if level >= _HALF else 0.0
        if level != self._shown:
            self._shown = level
            self._device.value = level


class RgbLed:
    """A `Led` made of the channels that are fitted; a missing colour is simply not shown."""

    def __init__(self, pins: tuple[int | None, int | None, int | None], *, pin_factory: Factory) -> None:
        self._channels = [None if pin is None else _Channel(pin, pin_factory) for pin in pins]

    def show(self, red: float, green: float, blue: float) -> None:
        """Show a colour; each part 0..1."""
        for channel, value in zip(self._channels, (red, green, blue), strict=True):
            if channel is not None:
                channel.show(value)
