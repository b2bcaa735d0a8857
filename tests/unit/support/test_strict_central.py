"""The strict central system accepts a right charge point, and finds what is wrong with every wrong one."""

import pytest

from tests.support.strict.laws import LAWS, READABLE_LAWS
from tests.support.wrong_charge_points import (
    wrong_boots,
    wrong_charging,
    wrong_frames,
    wrong_profiles,
    wrong_reservations,
    wrong_security,
    wrong_statuses,
    wrong_transactions,
    wrong_values,
)
from tests.support.wrong_charge_points.base import ChargePoint
from tests.support.wrong_charge_points.course import judged
from tests.support.wrong_charge_points.registry import WRONG

MODULES = (
    wrong_boots,
    wrong_charging,
    wrong_frames,
    wrong_profiles,
    wrong_reservations,
    wrong_security,
    wrong_statuses,
    wrong_transactions,
    wrong_values,
)


def test_a_right_charge_point_breaks_no_law() -> None:
    assert [str(violation) for violation in judged(ChargePoint)] == []


@pytest.mark.parametrize(("law", "kind"), WRONG, ids=lambda value: getattr(value, "__name__", value))
def test_a_wrong_charge_point_breaks_its_law(law: str, kind: type[ChargePoint]) -> None:
    found = judged(kind)
    assert {violation.law for violation in found} == {law}, "\n".join(map(str, found[:10]))


def test_every_law_can_be_broken() -> None:
    """A law nobody was ever found to break might as well not exist."""
    names = [law.__name__ for law in (*READABLE_LAWS, *LAWS)]
    assert len(names) == len(set(names))
    assert {law for law, _ in WRONG} == set(names)
    assert all(law.__doc__ for law in LAWS)
