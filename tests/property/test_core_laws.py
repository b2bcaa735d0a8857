"""Random lives of the agent's core: the laws of `core_laws` hold whatever happens, in any order."""

import json
import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings

from evcharge_agent.core.effects import (
    Answer,
    CommitSample,
    CommitStart,
    CommitStop,
    ConnectorState,
    FinishStop,
    ReportStatus,
    Restart,
    TellGuard,
)
from evcharge_agent.core.facts import IdTag, Instant, Measurand, MeterReading, TransactionKey, TransactionStart
from evcharge_agent.core.step import _HANDLERS, initial, step
from evcharge_agent.core.view import as_json
from evcharge_hal.contract.channel import SetPoint, Unlock
from evcharge_hal.contract.units import Amps, WattHours
from tests.support.core_fuzz import MOVES, OFTEN, PAUSES_S, Life, Move, moves, rules
from tests.support.core_laws import LawBroken
from tests.support.core_station import TestRules

BOUNDED = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


@BOUNDED
@given(rules(), moves())
def test_the_laws_hold_in_every_life(chosen, life_moves):
    life = Life(chosen)
    for move in life_moves:
        life.live(move)
        json.dumps(as_json(life.view()), allow_nan=False)
    life.finish()


@pytest.mark.soak
@pytest.mark.parametrize("block", range(20))
def test_the_laws_hold_in_many_long_lives(block):
    for seed in range(block * 100, block * 100 + 100):
        live_long(seed)


def live_long(seed):
    chance = random.Random(seed)
    life = Life(
        TestRules(
            has_public_meter=chance.random() < 0.2,
            stop_transaction_on_ev_side_disconnect=chance.random() < 0.7,
            continue_charging_after_power_loss=chance.random() < 0.5,
            is_central_system_enabled=chance.random() < 0.5,
            minimum_status_duration_s=chance.choice([0, 0, 2]),
        )
    )
    for _ in range(chance.randint(20, 80)):
        name = chance.choice(OFTEN) if chance.random() < 0.5 else chance.choice(sorted(MOVES))
        number, a, b = chance.randint(1, 2), chance.randint(0, 11), chance.randint(0, 11)
        life.live(Move(name, chance.choice(PAUSES_S), number, a, b))
    life.finish()


@settings(BOUNDED, max_examples=20)
@given(rules(), moves())
def test_a_recorded_life_can_be_replayed(chosen, life_moves):
    """The core has nothing but its arguments: the same events at the same times give the same effects."""
    life = Life(chosen)
    life_moves = [move for move in life_moves if move.name not in ("restart", "reset", "lose_time", "learn_time")]
    for move in life_moves:
        life.live(move)
    again = Life(chosen)
    state = initial(again.at(1000.0))
    replayed = []
    for event, at_s in life.trace:
        state, effects = step(state, event, life.at(at_s))
        replayed += [(at_s, effect) for effect in effects]
    assert replayed == life.effects
    assert state == life.state


def charge(life):
    """One charge of 10 s on connector 1, stopped by its card, with a second car on connector 2."""
    for name, pause_s, a, b in [
        ("connect", 0.0, 0, 2),
        ("central", 0.0, 1, 1),
        ("read", 0.0, 5, 3),
        ("plug", 1.0, 0, 0),
        ("swipe", 0.0, 0, 1),
        ("answer", 0.0, 11, 0),
        ("commit", 0.0, 1, 0),
        ("see", 1.0, 0, 3),
        ("read", 3.0, 5, 3),
        ("read", 4.0, 5, 3),
        ("read", 4.0, 5, 3),
        ("swipe", 1.0, 1, 1),
        ("see", 1.0, 0, 1),
        ("unplug", 1.0, 0, 0),
    ]:
        life.live(Move(name, pause_s, 1, a, b))
    life.finish()


def test_a_plain_charge_is_among_the_lives():
    life = Life(sampled())
    charge(life)
    kinds = Counter(type(effect).__name__ for _, effect in life.effects)
    assert kinds["CommitStart"] == kinds["CommitStop"] == kinds["FinishStop"] == 1
    assert [item.sample.context.value for item in life.all(CommitSample)] == [
        "Transaction.Begin",
        *["Sample.Periodic"] * 4,
    ]
    assert life.last(FinishStop).end is not None


def sampled():
    return TestRules(meter_value_sample_interval_s=3)


def each(kind, change):
    """A bug: change every effect of a kind."""
    return lambda effects: tuple(change(item) if isinstance(item, kind) else item for item in effects)


def told(change):
    def apply(effect):
        return TellGuard(change(effect.message)) if isinstance(effect.message, SetPoint) else effect

    return each(TellGuard, apply)


def set_points_last(effects):
    stops = [item for item in effects if isinstance(item, CommitStop)]
    wishes = [item for item in effects if isinstance(item, TellGuard) and stops]
    return (*(item for item in effects if item not in wishes), *wishes)


def without_set_points(effects):
    is_stop = any(isinstance(item, CommitStop) for item in effects)
    return tuple(item for item in effects if not (is_stop and isinstance(item, TellGuard)))


def twice(kind):
    return lambda effects: tuple(
        item for effect in effects for item in [effect] * (2 if isinstance(effect, kind) else 1)
    )


def drifted(effect):
    taken = effect.sample.taken
    late = replace(taken, monotonic_s=taken.monotonic_s + 0.02)
    return CommitSample(replace(effect.sample, taken=late))


def never_finishing(effects):
    return tuple(item for item in effects if not isinstance(item, FinishStop | ReportStatus))


def finishing_at_the_card(effects):
    stops = [item.stop for item in effects if isinstance(item, CommitStop)]
    return (*effects, *(ReportStatus(1, ConnectorState.FINISHING, "NoError", "", "", stop.stopped) for stop in stops))


BUGS = {
    "permission only with": told(lambda wish: replace(wish, permission=True)),
    "0, or 6 A": told(lambda wish: replace(wish, offer_a=Amps(40.0), permission=True) if wish.permission else wish),
    "a lapse never raises": told(lambda wish: replace(wish, on_lapse_a=Amps(wish.offer_a + 1.0))),
    "no offer without permission": told(lambda wish: replace(wish, offer_a=Amps(16.0), permission=False)),
    "the set-point goes before the stop": set_points_last,
    "a stop takes the energy away": without_set_points,
    "exactly one stop": twice(CommitStop),
    "only changes are told": twice(ReportStatus),
    "samples lie at multiples": each(CommitSample, drifted),
    "a held stop goes out once": twice(FinishStop),
    "a stop is held 8 s at most": never_finishing,
    "the register of a stop never falls": each(FinishStop, lambda item: replace(item, meter_stop_wh=0)),
    "the last sample carries the register": each(
        CommitStop, lambda item: replace(item, end=replace(item.end, reading=MeterReading()))
    ),
    "no other state before the stop": finishing_at_the_card,
    "meterStop >= meterStart": each(CommitStop, lambda item: CommitStop(replace(item.stop, meter_stop_wh=1))),
}


@pytest.mark.parametrize("law", BUGS)
def test_each_law_catches_the_bug_it_is_there_for(law):
    life = Life(sampled(), BUGS[law])
    with pytest.raises(LawBroken, match=law):
        charge(life)


def orders(life):
    """Out of service, a sample on the boundary, and a reset."""
    for name, pause_s, a, b in [("connect", 0.0, 0, 2), ("read", 0.0, 5, 3), ("order", 1.0, 0, 1), ("read", 8.0, 5, 3)]:
        life.live(Move(name, pause_s, 1, a, b))
    life.live(Move("reset", 1.0, 1, 0, 0))


def clocked():
    return TestRules(clock_aligned_data_interval_s=5, meter_values_aligned_data=(Measurand.ENERGY_IMPORT,))


def available_after_all(effects):
    reports = [item for item in effects if isinstance(item, ReportStatus) and item.connector]
    unavailable = [item for item in reports if item.state is ConnectorState.UNAVAILABLE]
    return (*effects, *(replace(item, state=ConnectorState.AVAILABLE) for item in unavailable))


def served_out_of_service(effects):
    start = TransactionStart(TransactionKey("x"), 1, IdTag("x"), WattHours(0), Instant(0.0, 0.0, False), "plug")
    is_out = any(isinstance(item, ReportStatus) and item.state is ConnectorState.UNAVAILABLE for item in effects)
    return (*effects, CommitStart(start)) if is_out else effects


BUGS_WITH_ORDERS = {
    "no Available while the order stands": available_after_all,
    "nobody is served where": served_out_of_service,
    "Unavailable only by order": each(
        ReportStatus, lambda item: replace(item, state=ConnectorState.UNAVAILABLE) if item.connector else item
    ),
    "a restart is asked for once": twice(Restart),
    "clock-aligned samples lie on the boundary": each(
        CommitSample,
        lambda item: CommitSample(
            replace(item.sample, taken=replace(item.sample.taken, utc_s=item.sample.taken.utc_s + 0.01))
        ),
    ),
}


@pytest.mark.parametrize("law", BUGS_WITH_ORDERS)
def test_each_law_of_orders_catches_the_bug_it_is_there_for(law):
    life = Life(clocked(), BUGS_WITH_ORDERS[law])
    with pytest.raises(LawBroken, match=law):
        orders(life)


def test_a_life_with_orders_breaks_no_law_and_has_what_they_are_about():
    life = Life(clocked())
    orders(life)
    contexts = {item.sample.context.value for item in life.all(CommitSample)}
    assert contexts == {"Sample.Clock"}
    assert "Unavailable" in life.statuses(1)
    assert life.all(Restart) == [Restart(is_hard=False)]


def cable_and_firmware(life):
    """The cable of a running charge is asked back, then firmware waits for it to end and is installed."""
    for name, pause_s, a, b in [
        ("connect", 0.0, 0, 2),
        ("central", 0.0, 1, 1),
        ("read", 0.0, 5, 3),
        ("plug", 1.0, 0, 0),
        ("swipe", 0.0, 0, 1),
        ("answer", 0.0, 11, 0),
        ("commit", 0.0, 1, 0),
        ("see", 1.0, 0, 3),
        ("await_update", 0.0, 1, 0),
        ("ask_update", 0.0, 0, 0),
        ("unlock", 1.0, 0, 0),
        ("see", 3.0, 0, 1),
        ("reply_to_unlock", 1.0, 1, 0),
        ("unplug", 1.0, 0, 0),
        ("ask_update", 6.0, 0, 0),
        ("await_update", 0.0, 0, 0),
    ]:
        life.live(Move(name, pause_s, 1, a, b))
    life.finish()


def unlocked_under_load(effects):
    is_stopped = any(isinstance(item, CommitStop) for item in effects)
    return (*effects, TellGuard(Unlock(1, 1))) if is_stopped else effects


def unanswered(effects):
    return tuple(item for item in effects if not (isinstance(item, Answer) and item.reason == "unlocked"))


BUGS_WITH_ORDERS_BY_HAND = {
    "no cable is given back under load": unlocked_under_load,
    "whoever wants a cable is answered in time": unanswered,
    "firmware is installed only while nobody is served": each(Answer, lambda item: replace(item, is_accepted=True)),
}


@pytest.mark.parametrize("law", BUGS_WITH_ORDERS_BY_HAND)
def test_each_law_of_cables_and_firmware_catches_the_bug_it_is_there_for(law):
    life = Life(sampled(), BUGS_WITH_ORDERS_BY_HAND[law])
    with pytest.raises(LawBroken, match=law):
        cable_and_firmware(life)


def test_a_cable_that_is_asked_back_and_firmware_that_waits_break_no_law():
    life = Life(sampled())
    cable_and_firmware(life)
    assert [(one.is_accepted, one.reason) for one in life.all(Answer)] == [
        (False, ""),
        (True, "unlocked"),
        (True, ""),
    ]
    assert life.statuses(2)[:3] == ["Available", "Unavailable", "Available"]


def reservations(life):
    """Connector 1 is kept for a card that then charges there."""
    for name, pause_s, a, b in [
        ("connect", 0.0, 0, 2),
        ("central", 0.0, 1, 1),
        ("read", 0.0, 5, 3),
        ("reserve", 0.0, 1, 2),
        ("write_shelves", 0.0, 1, 0),
        ("plug", 1.0, 0, 0),
        ("swipe", 0.0, 2, 1),
        ("answer", 0.0, 11, 0),
        ("commit", 0.0, 1, 0),
        ("write_shelves", 0.0, 1, 0),
    ]:
        life.live(Move(name, pause_s, 1, a, b))


def reserved_too(effects):
    told = [item for item in effects if isinstance(item, ReportStatus) and item.connector == 2]
    return (*effects, *(replace(item, state=ConnectorState.RESERVED) for item in told))


def started_as(**changes):
    return each(CommitStart, lambda item: CommitStart(replace(item.start, **changes)))


BUGS_WITH_RESERVATIONS = {
    "nobody starts where it is kept for another": started_as(id_tag=IdTag("thief")),
    "a start uses a reservation of its connector": started_as(reservation_id=99),
    "Reserved only while somebody has reserved it": reserved_too,
}


@pytest.mark.parametrize("law", BUGS_WITH_RESERVATIONS)
def test_each_law_of_reservations_catches_the_bug_it_is_there_for(law):
    life = Life(sampled(), BUGS_WITH_RESERVATIONS[law])
    with pytest.raises(LawBroken, match=law):
        reservations(life)


def test_a_life_with_a_reservation_breaks_no_law_and_uses_it_up():
    life = Life(sampled())
    reservations(life)
    assert life.statuses(1)[:3] == ["Available", "Reserved", "Preparing"]
    assert life.last(CommitStart).start.reservation_id == 2
    assert not life.laws.reserved


def test_every_kind_of_event_is_among_the_moves():
    names = {type(event).__name__ for event, _ in every_move().trace}

    assert {kind.__name__ for kind in _HANDLERS} <= names


def every_move():
    life = Life(sampled())
    charge_moves = [Move(name, 0.0, 1, a, 1) for name in MOVES for a in (1, 5, 11)]
    life.live(Move("connect", 0.0, 1, 0, 2))
    life.live(Move("plug", 0.0, 1, 0, 0))
    life.live(Move("central", 0.0, 1, 1, 1))
    life.live(Move("read", 0.0, 1, 5, 3))
    life.live(Move("swipe", 0.0, 1, 0, 1))
    for move in charge_moves:
        life.live(Move("connect", 0.0, 1, 0, 2))
        life.live(move)
    return life
