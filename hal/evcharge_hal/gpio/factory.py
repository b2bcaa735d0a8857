"""Open every line of a board, relays first."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

from gpiozero import Factory  # type: ignore[import-untyped]

from evcharge_hal.contract.errors import EvchargeError
from evcharge_hal.contract.lines import ConnectorLines
from evcharge_hal.gpio.feedback import ContactorFeedback
from evcharge_hal.gpio.led import RgbLed
from evcharge_hal.gpio.rcm import RcmInput, RcmTest
from evcharge_hal.gpio.relay import GpioRelay

T = TypeVar("T")


class Pins(Protocol):
    """What `boards.board.ConnectorPins` says of one connector; BCM numbers, None: not fitted."""

    @property
    def relay(self) -> int: ...  # noqa: D102 - documented where they are declared
    @property
    def feedback(self) -> int | None: ...  # noqa: D102
    @property
    def rcm(self) -> int | None: ...  # noqa: D102
    @property
    def rcm_test(self) -> int | None: ...  # noqa: D102
    @property
    def led_red(self) -> int | None: ...  # noqa: D102
    @property
    def led_green(self) -> int | None: ...  # noqa: D102
    @property
    def led_blue(self) -> int | None: ...  # noqa: D102
    @property
    def is_relay_active_high(self) -> bool: ...  # noqa: D102
    @property
    def is_feedback_active_high(self) -> bool: ...  # noqa: D102
    @property
    def is_rcm_active_high(self) -> bool: ...  # noqa: D102


class Connector(Protocol):
    """One connector of a board file."""

    @property
    def id(self) -> int: ...  # noqa: D102
    @property
    def pins(self) -> Pins: ...  # noqa: D102


class WiredBoard(Protocol):
    """A board file, as far as lines are concerned (`boards.board.Board`)."""

    @property
    def connector(self) -> Sequence[Connector]: ...  # noqa: D102


class GpioError(EvchargeError):
    """A line could not be taken or does not follow; the text names the line."""


def _nothing() -> None:
    """Ignore a change; for callers that poll."""


def open_lines(
    board: WiredBoard, pin_factory: Factory, on_change: Callable[[], None] = _nothing
) -> Mapping[int, ConnectorLines]:
    """Take all lines; every relay is open and has been read back before any other line is touched.

    `on_change` is called on each edge of an input, from the pin factory's thread: it must only wake
    somebody up.

    Raises:
        GpioError: a line is missing, taken by another process, or a relay line reads closed.
    """
    relays = {section.id: _open_relay(section, pin_factory) for section in board.connector}
    return {
        section.id: _open_connector(section, relays[section.id], pin_factory, on_change) for section in board.connector
    }


def drive_relays_open(board: WiredBoard, pin_factory: Factory) -> tuple[str, ...]:
    """Take only the relay lines and open them all; return what went wrong, a line for each relay that may be closed."""
    problems = []
    for section in board.connector:
        try:
            _open_relay(section, pin_factory)
        except GpioError as error:
            problems.append(str(error))
    return tuple(problems)


def _open_relay(section: Connector, pin_factory: Factory) -> GpioRelay:
    pins = section.pins
    relay = _take(
        section,
        "relay",
        lambda: GpioRelay(pins.relay, is_active_high=pins.is_relay_active_high, pin_factory=pin_factory),
    )
    if relay.is_driven():
        raise GpioError(
            f"connector {section.id}: relay line GPIO{pins.relay} reads closed although it is driven open; "
            "check its wiring and is_relay_active_high"
        )
    return relay


def _open_connector(
    section: Connector, relay: GpioRelay, pin_factory: Factory, on_change: Callable[[], None]
) -> ConnectorLines:
    pins = section.pins

    def feedback(pin: int) -> ContactorFeedback:
        is_high = pins.is_feedback_active_high
        return ContactorFeedback(pin, is_active_high=is_high, on_change=on_change, pin_factory=pin_factory)

    def rcm(pin: int) -> RcmInput:
        is_high = pins.is_rcm_active_high
        return RcmInput(pin, is_active_high=is_high, relay=relay, on_change=on_change, pin_factory=pin_factory)

    def rcm_test(pin: int) -> RcmTest:
        return RcmTest(pin, pin_factory=pin_factory)

    return ConnectorLines(
        relay=relay,
        feedback=_take_fitted(section, "feedback", pins.feedback, feedback),
        rcm=_take_fitted(section, "rcm", pins.rcm, rcm),
        rcm_test=_take_fitted(section, "rcm_test", pins.rcm_test, rcm_test),
        led=_open_led(section, pins, pin_factory),
    )


def _open_led(section: Connector, pins: Pins, pin_factory: Factory) -> RgbLed | None:
    channels = (pins.led_red, pins.led_green, pins.led_blue)
    if all(pin is None for pin in channels):
        return None
    return _take(section, "led", lambda: RgbLed(channels, pin_factory=pin_factory))


def _take_fitted(section: Connector, name: str, pin: int | None, build: Callable[[int], T]) -> T | None:
    if pin is None:
        return None
    return _take(section, name, lambda: build(pin))


def _take(section: Connector, name: str, build: Callable[[], T]) -> T:
    try:
        return build()
    except Exception as error:  # lgpio.error derives from Exception and cannot be named without lgpio
        raise GpioError(f"connector {section.id}: line '{name}' cannot be used: {error}") from error
