"""LED patterns: a row for every state, faults win, motion stays within 0..1."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evcharge_hal.contract.channel import Indication
from evcharge_hal.contract.faults import CATALOGUE, FaultCode, Severity
from evcharge_hal.guard import indicator

NONE: frozenset[FaultCode] = frozenset()


def test_every_state_has_a_pattern() -> None:
    assert set(indicator.PATTERNS) == set(Indication)


@pytest.mark.parametrize(
    ("indication", "expected"),
    [
        (Indication.OFFLINE, indicator.GREEN),
        (Indication.AWAITING_AUTHORISATION, indicator.PURPLE),
        (Indication.AWAITING_VEHICLE, indicator.BLUE),
        (Indication.CHARGING, indicator.WHITE),
        (Indication.FINISHED, indicator.BLUE),
        (Indication.UPDATING, indicator.YELLOW),
    ],
)
def test_steady_states_do_not_move(indication: Indication, expected: indicator.Colour) -> None:
    assert {indicator.colour(indication, NONE, now_s / 7.0) for now_s in range(50)} == {expected}


@pytest.mark.parametrize("indication", list(Indication))
@pytest.mark.parametrize("code", list(FaultCode))
def test_a_fault_is_red_and_a_warning_is_not(indication: Indication, code: FaultCode) -> None:
    shown = indicator.colour(indication, frozenset({code}), 1.0)
    if CATALOGUE[code].severity is Severity.WARNING:
        assert shown == indicator.colour(indication, NONE, 1.0)
    else:
        assert shown == indicator.RED


def test_available_breathes_from_dark_to_full_in_4_s() -> None:
    assert indicator.colour(Indication.AVAILABLE, NONE, 0.0) == pytest.approx(indicator.OFF)
    assert indicator.colour(Indication.AVAILABLE, NONE, 2.0) == pytest.approx(indicator.GREEN)
    assert indicator.colour(Indication.AVAILABLE, NONE, 4.0) == pytest.approx(indicator.OFF)


def test_paused_pulses_and_is_never_dark() -> None:
    levels = [indicator.colour(Indication.PAUSED, NONE, now_s / 20.0)[0] for now_s in range(200)]
    assert min(levels) == pytest.approx(1.0 / 3.0)
    assert max(levels) == pytest.approx(1.0)


def test_reserved_blinks_2_s_on_2_s_off() -> None:
    assert indicator.colour(Indication.RESERVED, NONE, 1.9) == indicator.YELLOW
    assert indicator.colour(Indication.RESERVED, NONE, 2.1) == indicator.OFF


@given(st.sampled_from(Indication), st.floats(0.0, 1e9))
def test_channels_stay_within_0_and_1(indication: Indication, now_s: float) -> None:
    assert all(0.0 <= channel <= 1.0 for channel in indicator.colour(indication, NONE, now_s))
