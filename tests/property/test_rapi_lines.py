"""Ten thousand hostile lines: no exception, no command above the limit, the pilot above it only for a stated moment."""

from hypothesis import given, settings
from hypothesis import strategies as st

from evcharge_hal.contract.pilot import PilotCommand, PilotOutput
from evcharge_hal.contract.units import Amps
from evcharge_hal.link.rapi import RapiLink
from tests.support.rapi_torture import Episode, Tally

LINES, EPISODES = 10_000, 20


def test_ten_thousand_hostile_lines() -> None:
    tally = Tally()
    for seed in range(EPISODES):
        Episode(seed, tally).play(LINES // EPISODES)
    assert tally.hostile >= LINES
    assert tally.commands > 1000
    assert tally.acknowledgements
    # docs/safety.md states these; the rest of a second is a line that was lost and said again.
    print(tally.text())  # noqa: T201 - the figures
    assert tally.worst_acknowledgement_s <= 2.0


@given(st.lists(st.tuples(st.binary(max_size=80), st.floats(0.0, 2.0)), max_size=40))
@settings(deadline=None, max_examples=60)
def test_bytes_alone_bring_no_link_up_and_nothing_but_the_greeting_out(pieces: list[tuple[bytes, float]]) -> None:
    link, now_s = RapiLink(), 10.0
    link.command(PilotCommand(1, PilotOutput.X2, Amps(32.0), permit=True), now_s)
    for data, passed_s in pieces:
        now_s += passed_s
        link.receive(data, now_s)
        link.advance(now_s)
        assert link.next_deadline_s() >= 0.0
        assert b"$FE" not in link.outgoing()
