"""What was found is handed back while it holds, and never longer."""

from dataclasses import replace

import pytest

from evcharge_agent.core.charging_profiles import Installed
from evcharge_agent.core.composite import Basis, Outlet, Running
from evcharge_agent.core.facts import Instant, TransactionKey
from evcharge_agent.core.spans import Spans, look
from tests.support.charging import DEFAULT, MAX, profile

OFFSET_S = 1_700_000_000.0
RUNNING = Running(TransactionKey("t"), 100.0)


def at(monotonic_s, moved_s=0.0, *, is_trusted=True):
    return Instant(monotonic_s, OFFSET_S + monotonic_s + moved_s, is_trusted)


def basis(*, running=RUNNING):
    limits = profile((0, 20.0), (60, 10.0), id=1, purpose=DEFAULT, start_utc_s=OFFSET_S + 100.0)
    most = profile((0, 25.0), id=2, purpose=MAX)
    installed = tuple(Installed(0, one, at(100.0), "boot") for one in (limits, most))
    return Basis(installed, "boot", {1: Outlet(3, running), 2: Outlet(3, None)}, 32.0)


FOUND = look(basis(), at(100.0), Spans())


def allowed(spans):
    """A connector without a transaction is always told as if one began now: its end moves on."""
    found = {**spans.by_number, 0: spans.station}
    return {number: span.allowance for number, span in found.items() if span is not None}


@pytest.mark.parametrize(
    ("asked", "now", "is_kept"),
    [
        (basis(), at(100.0), True),
        (basis(), at(159.9), True),
        (basis(), at(160.0), False),
        (basis(), at(99.0), False),
        (basis(running=None), at(101.0), False),
        (replace(basis(), station_limit_a=16.0), at(101.0), False),
        (replace(basis(), profiles=()), at(101.0), False),
        (basis(), at(101.0, 0.01), False),
        (basis(), at(101.0, is_trusted=False), False),
    ],
)
def test_it_holds_until_something_it_follows_from_changes(asked, now, is_kept):
    looked = look(asked, now, FOUND)
    assert (looked is FOUND) is is_kept
    assert allowed(looked) == allowed(look(asked, now, Spans()))


def test_the_next_change_is_that_of_a_transaction():
    assert FOUND.next_change_s == pytest.approx(160.0)
    assert look(basis(running=None), at(100.0), Spans()).next_change_s is None
    assert look(Basis(), at(100.0), Spans()).next_change_s is None
