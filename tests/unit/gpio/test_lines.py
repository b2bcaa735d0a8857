"""Lines over gpiozero's mock pins; edges arrive in the thread of whoever moves the pin, as with lgpio."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from gpiozero.pins.mock import MockFactory, MockPin, MockPWMPin

from evcharge_hal.boards.board import Board, ConnectorPins
from evcharge_hal.boards.loader import load_board
from evcharge_hal.gpio.factory import GpioError, open_lines
from evcharge_hal.gpio.led import RgbLed

RELAY, FEEDBACK, RCM, RCM_TEST = 17, 27, 22, 23


@pytest.fixture
def factory() -> Iterator[MockFactory]:
    made = MockFactory()
    yield made
    made.reset()


def board_with(**pins: Any) -> Board:
    board = load_board(None)
    sections = tuple(replace(section, pins=replace(section.pins, **pins)) for section in board.connector[:1])
    return replace(board, connector=sections)


# --- relay ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_active_high", [True, False])
def test_taking_the_relay_line_opens_it_whatever_it_was(factory: MockFactory, is_active_high: bool) -> None:
    pin = factory.pin(RELAY)
    pin.function = "output"
    pin.state = is_active_high  # closed, as a Pi leaves it after its guard died
    open_lines(board_with(is_relay_active_high=is_active_high), factory)
    assert pin.state != is_active_high


@pytest.mark.parametrize("is_active_high", [True, False])
def test_the_relay_follows(factory: MockFactory, is_active_high: bool) -> None:
    relay = open_lines(board_with(is_relay_active_high=is_active_high), factory)[1].relay
    relay.set_closed(True)
    assert factory.pin(RELAY).state == is_active_high
    relay.set_closed(False)
    assert factory.pin(RELAY).state != is_active_high


def test_all_relays_are_open_before_any_other_line_is_touched() -> None:
    taken = []

    class Noting(MockPin):  # type: ignore[misc]
        def _set_function(self, value: str) -> None:
            taken.append(self.info.name)
            super()._set_function(value)

    open_lines(load_board(None), MockFactory(pin_class=Noting))
    assert taken[:2] == ["GPIO17", "GPIO24"]


def test_a_relay_line_that_reads_closed_is_refused() -> None:
    class Stuck(MockPin):  # type: ignore[misc]
        def _get_state(self) -> bool:
            return True

    with pytest.raises(GpioError, match="connector 1: relay line GPIO17 reads closed"):
        open_lines(board_with(), MockFactory(pin_class=Stuck))


def test_a_line_that_does_not_exist_is_named(factory: MockFactory) -> None:
    with pytest.raises(GpioError, match="connector 1: line 'rcm' cannot be used"):
        open_lines(board_with(rcm=60), factory)


# --- residual current monitor -------------------------------------------------------------------------


def move_in_another_thread(pin: MockPin, is_high: bool) -> None:
    thread = threading.Thread(target=pin.drive_high if is_high else pin.drive_low)
    thread.start()
    thread.join()


@pytest.mark.parametrize("is_active_high", [True, False])
def test_a_trip_opens_the_relay_before_the_edge_returns_and_then_wakes_the_loop(
    factory: MockFactory, is_active_high: bool
) -> None:
    relay_when_woken = []
    pins = factory.pin(RELAY), factory.pin(RCM)
    if not is_active_high:
        pins[1].drive_high()
    board = board_with(is_rcm_active_high=is_active_high)
    lines = open_lines(board, factory, lambda: relay_when_woken.append(pins[0].state))[1]
    lines.relay.set_closed(True)
    move_in_another_thread(pins[1], is_active_high)
    assert relay_when_woken == [False]
    assert lines.rcm is not None
    assert lines.rcm.is_active()


def test_a_trip_that_came_and_went_is_read_once_and_blocks_closing_until_then(factory: MockFactory) -> None:
    lines = open_lines(board_with(), factory)[1]
    assert lines.rcm is not None
    lines.relay.set_closed(True)
    move_in_another_thread(factory.pin(RCM), is_high=True)
    move_in_another_thread(factory.pin(RCM), is_high=False)
    lines.relay.set_closed(True)  # decided before the trip was read
    assert not factory.pin(RELAY).state
    assert [lines.rcm.is_active(), lines.rcm.is_active()] == [True, False]
    lines.relay.set_closed(True)
    assert factory.pin(RELAY).state


def test_every_trip_counts_even_if_the_edge_between_was_lost(factory: MockFactory) -> None:
    lines = open_lines(board_with(), factory)[1]
    assert lines.rcm is not None
    pin = factory.pin(RCM)
    pin.drive_high()
    assert lines.rcm.is_active()
    pin._change_state(False)  # the kernel dropped this edge: nobody is called
    lines.relay.set_closed(True)
    pin.drive_high()
    assert not factory.pin(RELAY).state


def test_a_monitor_that_is_tripped_at_start_is_read_without_an_edge(factory: MockFactory) -> None:
    factory.pin(RCM).drive_high()
    lines = open_lines(board_with(), factory)[1]
    assert lines.rcm is not None
    assert lines.rcm.is_active()


def test_the_loop_is_woken_even_if_the_relay_line_fails() -> None:
    class Failing(MockPin):  # type: ignore[misc]
        fails = False

        def _set_state(self, value: float) -> None:
            if self.fails:
                raise OSError("line gone")
            super()._set_state(value)

    factory = MockFactory(pin_class=Failing)
    woken = []
    lines = open_lines(board_with(), factory, lambda: woken.append(True))
    Failing.fails = True
    with pytest.raises(OSError, match="line gone"):
        factory.pin(RCM).drive_high()
    assert woken == [True]
    assert lines[1].rcm is not None  # kept: gpiozero holds callbacks weakly


def test_the_test_winding_follows(factory: MockFactory) -> None:
    lines = open_lines(board_with(), factory)[1]
    assert lines.rcm_test is not None
    lines.rcm_test.set_active(True)
    assert factory.pin(RCM_TEST).state
    lines.rcm_test.set_active(False)
    assert not factory.pin(RCM_TEST).state


# --- feedback ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_active_high", [True, False])
def test_the_mirror_contact_is_read_with_its_polarity_and_wakes_the_loop(
    factory: MockFactory, is_active_high: bool
) -> None:
    woken = []
    pin = factory.pin(FEEDBACK)
    lines = open_lines(board_with(is_feedback_active_high=is_active_high), factory, lambda: woken.append(True))[1]
    assert lines.feedback is not None
    assert lines.feedback.is_active() is not is_active_high
    pin.drive_high()
    assert lines.feedback.is_active() is is_active_high
    pin.drive_low()
    assert woken == [True, True]


def test_opening_keeps_the_levels_of_inputs(factory: MockFactory) -> None:
    factory.pin(FEEDBACK).drive_high()
    lines = open_lines(board_with(), factory)[1]
    assert lines.feedback is not None
    assert lines.feedback.is_active()


def test_lines_that_are_not_fitted_are_absent(factory: MockFactory) -> None:
    board = board_with()
    bare = replace(board, connector=(replace(board.connector[0], pins=ConnectorPins(relay=RELAY)),))
    lines = open_lines(bare, factory)[1]
    assert (lines.feedback, lines.rcm, lines.rcm_test, lines.led) == (None, None, None, None)


# --- LED --------------------------------------------------------------------------------------------------


def test_a_led_on_plain_pins_is_on_from_half_brightness(factory: MockFactory) -> None:
    led = RgbLed((5, 6, 13), pin_factory=factory)
    led.show(1.0, 0.4, 0.5)
    assert [factory.pin(number).state for number in (5, 6, 13)] == [True, False, True]


def test_a_led_on_dimmable_pins_is_dimmed() -> None:
    factory = MockFactory(pin_class=MockPWMPin)
    led = RgbLed((5, 6, 13), pin_factory=factory)
    led.show(1.5, 0.25, -1.0)
    assert [factory.pin(number).state for number in (5, 6, 13)] == [1.0, 0.25, 0.0]


def test_a_led_writes_only_what_changed(factory: MockFactory) -> None:
    led = RgbLed((5, None, None), pin_factory=factory)
    led.show(1.0, 1.0, 1.0)
    factory.pin(5)._change_state(False)  # somebody else's hand; a repeated colour is not written again
    led.show(1.0, 0.0, 0.0)
    assert not factory.pin(5).state
