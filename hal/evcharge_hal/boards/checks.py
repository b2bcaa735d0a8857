"""What one field of a board file says about another: contradictions and things this version cannot do."""

from collections.abc import Iterator, Mapping

from evcharge_hal.boards.board import (
    Board,
    Cable,
    ConnectorSection,
    HostLoss,
    LinkDriver,
    Lock,
    PowerPath,
    RcmSource,
    RelayFeedback,
    Thresholds,
)
from evcharge_hal.contract.errors import InvalidFieldError
from evcharge_hal.contract.schema import encode

_UNSUPPORTED = "is not supported by this version"
_LOW_AT_BOOT = frozenset({*range(9, 14), *range(16, 28)})


def check_board(board: Board, named_keys: Mapping[int, frozenset[str]]) -> None:
    """Refuse a board whose values do not fit together.

    `named_keys` holds, by connector id, the keys that a file gives; a default is not a statement.

    Raises:
        InvalidFieldError: two values contradict each other, or one is not supported.
    """
    _check_supported(board)
    _check_numbers(board)
    _check_pins(board)
    _check_thresholds(board.thresholds)
    for section in board.connector:
        _check_connector(section, named_keys[section.id])


def lost_protections(board: Board) -> tuple[str, ...]:
    """What a usable board does not protect against, in words for the one who built it."""
    lost = []
    if board.board.relay_feedback is RelayFeedback.NONE:
        lost.append('relay_feedback = "none": a welded contactor and one that does not close are not noticed')
    return tuple(lost)


def _check_supported(board: Board) -> None:
    section = board.board
    if section.rcm is not RcmSource.GPIO:
        _refuse("board.rcm", section.rcm, f"gpio; '{section.rcm.value}' {_UNSUPPORTED}")
    if section.relay_feedback is RelayFeedback.VOLTAGE:
        _refuse("board.relay_feedback", section.relay_feedback, f"mirror, none; 'voltage' {_UNSUPPORTED}")
    if section.host_loss is not HostLoss.OPEN:
        # Under G100 a site must be able to stop its chargers. While nobody may derate, no such site may either.
        why = "lets a car charge on at 6 A without its guard for as long as it likes, which no site under G100 may, and"
        _refuse("board.host_loss", section.host_loss, f"open; '{section.host_loss.value}' {why} {_UNSUPPORTED}")
    if section.power_path is not PowerPath.HOST:
        why = "means a board that closes its own relay, and"
        _refuse("board.power_path", section.power_path, f"host; '{section.power_path.value}' {why} {_UNSUPPORTED}")
    if board.link.driver is not LinkDriver.NATIVE:
        why = 'needs power_path = "mcu", which'
        _refuse("link.driver", board.link.driver, f"native; '{board.link.driver.value}' {why} {_UNSUPPORTED}")


def _check_numbers(board: Board) -> None:
    numbers = [connector.id for connector in board.connector]
    if not numbers:
        raise InvalidFieldError("connector", [], "at least one [[connector]]")
    if numbers != list(range(1, len(numbers) + 1)):
        raise InvalidFieldError("connector.id", numbers, "numbers from 1 without a gap")
    if board.board.connectors is not None and board.board.connectors != len(numbers):
        raise InvalidFieldError(
            "board.connectors", board.board.connectors, f"at most {len(numbers)}, the [[connector]] tables there are"
        )


def _check_pins(board: Board) -> None:
    taken: dict[int, str] = {}
    for connector in board.connector:
        for name, pin in _lines(connector):
            path = _path(connector, f"pins.{name}")
            if pin in taken:
                raise InvalidFieldError(path, pin, f"a line of its own; {taken[pin]} has this one")
            taken[pin] = path
        for name in ("relay", "rcm_test"):
            _check_output_pin(connector, name)
        if board.board.rcm is RcmSource.GPIO and connector.pins.rcm is None:
            raise InvalidFieldError(_path(connector, "pins.rcm"), None, 'required with rcm = "gpio"')
        if board.board.rcm is RcmSource.GPIO and connector.pins.rcm_test is None:
            raise InvalidFieldError(
                _path(connector, "pins.rcm_test"),
                None,
                'required with rcm = "gpio": an untested monitor protects nobody',
            )
        if board.board.relay_feedback is RelayFeedback.MIRROR and connector.pins.feedback is None:
            raise InvalidFieldError(_path(connector, "pins.feedback"), None, 'required with relay_feedback = "mirror"')


def _check_output_pin(connector: ConnectorSection, name: str) -> None:
    """A line that can energise something must be low from power-on (security.md, H14).

    Lines 0 to 8 of a Raspberry Pi have a pull-up at boot, 14 and 15 are the console's UART, and only lines up
    to 27 are on the header.
    """
    pin = getattr(connector.pins, name)
    if pin is not None and pin not in _LOW_AT_BOOT:
        raise InvalidFieldError(_path(connector, f"pins.{name}"), pin, "9 to 13 or 16 to 27, which are low at boot")


def _lines(connector: ConnectorSection) -> Iterator[tuple[str, int]]:
    for name, value in encode(connector.pins).items():
        if isinstance(value, int) and not isinstance(value, bool):
            yield name, value


def _check_thresholds(thresholds: Thresholds) -> None:
    stop_at_c = thresholds.stop_at_c
    for name in ("derate_from_c", "resume_below_c"):
        value_c = getattr(thresholds, name)
        if value_c >= stop_at_c:
            raise InvalidFieldError(f"thresholds.{name}", value_c, f"less than stop_at_c, which is {stop_at_c:g} °C")
    windows = sorted(enumerate(thresholds.proximity), key=lambda item: item[1].from_ohm)
    previous = None
    for index, window in windows:
        path = f"thresholds.proximity[{index}]"
        if window.from_ohm >= window.to_ohm:
            raise InvalidFieldError(
                f"{path}.to_ohm", window.to_ohm, f"more than from_ohm, which is {window.from_ohm:g}"
            )
        if previous is not None and window.from_ohm < previous.to_ohm:
            raise InvalidFieldError(
                f"{path}.from_ohm",
                window.from_ohm,
                f"at least {previous.to_ohm:g} Ω: windows may touch, not overlap",
            )
        previous = window


def _check_connector(section: ConnectorSection, named_keys: frozenset[str]) -> None:
    if section.phases not in (1, 3):
        raise InvalidFieldError(_path(section, "phases"), section.phases, "1 or 3")
    if section.cable is Cable.FIXED and "cable_a" not in named_keys:
        raise InvalidFieldError(_path(section, "cable_a"), None, 'required with cable = "fixed", from 6 to 80 A')
    if section.cable is Cable.FIXED and section.lock is not Lock.NONE:
        _refuse(_path(section, "lock"), section.lock, 'none with cable = "fixed": there is no plug to lock')
    if section.cable is Cable.SOCKET and "cable_a" in named_keys:
        raise InvalidFieldError(
            _path(section, "cable_a"),
            section.cable_a,
            'only with cable = "fixed"; a socket reads the cable\'s resistor',
        )


def _refuse(
    path: str, value: HostLoss | LinkDriver | Lock | PowerPath | RcmSource | RelayFeedback, allowed: str
) -> None:
    raise InvalidFieldError(path, value.value, allowed)


def _path(section: ConnectorSection, name: str) -> str:
    return f"connector[id={section.id}].{name}"
