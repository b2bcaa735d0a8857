"""The core as others use it: records, plug ids, what is remembered, order of effects, deadlines, hostile input."""

import random
from dataclasses import replace

import pytest

from evcharge_hal.contract.channel import (
    ClearFault,
    ContactorState,
    EventKind,
    LeaseState,
    RaiseFault,
    Reply,
    SetPoint,
    Wait,
)
from evcharge_hal.contract.faults import FaultCode
from evcharge_hal.contract.pilot import LinkDown, LinkUp, PilotOutput, PilotState, ResetCause
from evcharge_hal.contract.units import Amps
from evcharge_hal.guard import core
from evcharge_hal.guard.effects import Drive, Record, Remember
from evcharge_hal.guard.events import AgentHeard, LinesRead, TimePassed
from tests.support.guard_world import UID, World, make_board


def kinds(world: World, number: int | None = 1) -> list[EventKind]:
    records = [effect for _, effect in world.effects if isinstance(effect, Record)]
    return [record.kind for record in records if record.connector == number]


def last_record(world: World, kind: EventKind) -> Record:
    return [effect for _, effect in world.effects if isinstance(effect, Record) and effect.kind is kind][-1]


# --- start ------------------------------------------------------------------------------------------------------


def test_the_first_step_drives_everything_open() -> None:
    state = core.start(make_board(2), Remember({}, {}), 10.0)
    _, effects = core.step(state, TimePassed(), 10.0)
    drives = [effect for effect in effects if isinstance(effect, Drive)]
    assert [drive.connector for drive in drives] == [1, 2]
    for drive in drives:
        assert not drive.is_relay_closed
        assert not drive.is_rcm_test_active
        assert not drive.pilot.permit
        assert drive.pilot.output is PilotOutput.X1


def test_latches_come_back_and_hold() -> None:
    world = World(make_board(), latched={1: frozenset({FaultCode.RCM_TRIP})})
    world.connect()
    world.plug()
    world.run(1.0)
    world.wish()
    world.run(20.0)
    status = core.status(world.state, world.now_s).connectors[0]
    assert status.faults == {FaultCode.RCM_TRIP}
    assert status.wait is Wait.FAULT
    world.clear(FaultCode.RCM_TRIP)
    assert world.memory.latched[1] == frozenset()


def test_a_restart_with_a_car_in_c_waits_for_a_fresh_set_point() -> None:
    world = World(make_board())
    world.charge()
    plug_id = world.plug_id(1)
    world.spots[1].is_agent_silent = True
    world.restart_guard()
    assert not world.drives[1].is_relay_closed
    world.connect()
    world.run(30.0)
    status = core.status(world.state, world.now_s).connectors[0]
    assert (status.lease, status.wait, status.plug_id) == (LeaseState.NONE, Wait.NO_LEASE, plug_id)
    world.spots[1].is_agent_silent = False
    world.run(6.0)
    assert world.drives[1].is_relay_closed


# --- plug ids and records -----------------------------------------------------------------------------------------


def test_a_session_leaves_these_records() -> None:
    world = World(make_board())
    world.charge()
    world.wish(permission=False)
    world.run(1.0)
    world.spots[1].car = PilotState.B
    world.run(1.0)
    world.spots[1].car = PilotState.A
    world.run(1.0)
    assert kinds(world) == [
        EventKind.PLUGGED,
        EventKind.CONTACTOR_CLOSED,
        EventKind.CONTACTOR_OPENED,
        EventKind.UNPLUGGED,
    ]
    assert last_record(world, EventKind.UNPLUGGED).plug_id == f"{UID}-7-1.1"


def test_plug_ids_differ_by_car_connector_and_boot() -> None:
    world = World(make_board(2))
    world.connect()
    seen = set()
    for number in (1, 2):
        for _ in range(2):
            world.plug(number)
            world.run(0.3)
            seen.add(world.plug_id(number))
            world.spots[number].car = PilotState.A
            world.run(0.3)
            assert world.plug_id(number) is None
    world.reboot_coprocessor()
    world.plug(1)
    world.run(0.3)
    seen.add(world.plug_id(1))
    assert len(seen) == 5


def test_a_car_swapped_between_two_reports_opens_and_is_recorded() -> None:
    world = World(make_board())
    world.charge()
    world.spots[1].plug_count += 1
    world.run(0.1)
    assert not world.drives[1].is_relay_closed
    assert kinds(world)[-3:] == [EventKind.UNPLUGGED, EventKind.PLUGGED, EventKind.CONTACTOR_OPENED]
    assert core.status(world.state, world.now_s).connectors[0].lease is LeaseState.NONE


def test_a_pilot_fault_does_not_change_the_plug() -> None:
    world = World(make_board())
    world.charge()
    plug_id = world.plug_id(1)
    world.spots[1].wound = PilotState.E
    world.run(1.0)
    assert world.plug_id(1) == plug_id


@pytest.mark.parametrize(
    ("cause", "is_restart", "is_power_loss"),
    [
        (ResetCause.POWER_ON, True, True),
        (ResetCause.BROWN_OUT, True, True),
        (ResetCause.WATCHDOG, True, False),
        (ResetCause.SOFTWARE, True, False),
        (ResetCause.FAULT, True, False),
        (ResetCause.POWER_ON, False, False),
    ],
)
def test_power_restored_is_recorded_for_a_boot_from_power_only(
    cause: ResetCause, is_restart: bool, is_power_loss: bool
) -> None:
    world = World(make_board())
    world.connect()
    world.effects.clear()
    world.boot_count += is_restart
    world.feed(LinkUp(world.identity(cause), is_restart=is_restart))
    assert (EventKind.POWER_RESTORED in kinds(world, None)) is is_power_loss


def test_power_restored_is_recorded_until_an_agent_has_heard_it_and_not_again() -> None:
    world = World(make_board())

    def start_and_count() -> int:
        world.restart_guard()
        world.effects.clear()
        world.feed(LinkUp(world.identity(ResetCause.POWER_ON), is_restart=False))
        world.feed(LinkUp(world.identity(ResetCause.POWER_ON), is_restart=False))
        return kinds(world, None).count(EventKind.POWER_RESTORED)

    assert start_and_count() == 1
    assert world.memory.coprocessor is None
    assert start_and_count() == 1, "the guard has died before anybody heard of it"
    world.feed(AgentHeard())
    assert world.memory.coprocessor == (UID, world.boot_count)
    assert start_and_count() == 0
    world.boot_count += 1
    assert start_and_count() == 1


def test_a_trip_is_acknowledged_once_for_a_car_and_again_after_it_has_left() -> None:
    world = World(make_board())
    world.charge()

    def trip_and_clear() -> Reply:
        world.spots[1].leaks = True
        world.run(0.3)
        world.spots[1].leaks = False
        world.run(0.3)
        world.clear(FaultCode.RCM_TRIP)
        return next(effect for _, effect in reversed(world.effects) if isinstance(effect, Reply))

    assert trip_and_clear().is_accepted
    refused = trip_and_clear()
    assert (refused.is_accepted, refused.reason) == (False, "acknowledged before for this car; unplug it first")
    # Neither another guard nor another boot of the co-processor makes another car of it.
    world.restart_guard()
    world.reboot_coprocessor()
    world.run(1.0)
    world.clear(FaultCode.RCM_TRIP)
    assert FaultCode.RCM_TRIP in world.state.connectors[0].faults
    world.spots[1].car = PilotState.A
    world.run(0.3)
    world.clear(FaultCode.RCM_TRIP)
    assert FaultCode.RCM_TRIP not in world.state.connectors[0].faults
    for _ in range(3):
        assert trip_and_clear().is_accepted, "with nothing plugged in"


def test_that_the_car_has_left_is_remembered_also_when_a_fault_leaves_with_it() -> None:
    world = World(make_board())
    world.charge()
    world.spots[1].leaks = True
    world.run(0.3)
    world.spots[1].leaks = False
    world.run(0.3)
    world.clear(FaultCode.RCM_TRIP)
    assert world.memory.acknowledged == {1: {FaultCode.RCM_TRIP}}
    world.spots[1].pp_ohm = 1500.0
    world.run(0.3)
    assert FaultCode.CABLE_CHANGED in world.state.connectors[0].faults
    world.spots[1].car = PilotState.A
    world.run(0.3)
    assert world.state.connectors[0].faults == {}
    assert world.memory.acknowledged == {}


def test_a_stale_plug_is_ignored_and_noticed_once() -> None:
    world = World(make_board())
    world.charge()
    world.spots[1].wish_plug_id = "yesterday"
    world.run(4.0)
    notices = [effect for _, effect in world.effects if isinstance(effect, Record) and "yesterday" in effect.detail]
    assert len(notices) == 1
    assert world.drives[1].pilot.limit_a == 16.0
    world.run(3.0)
    assert world.drives[1].pilot.limit_a == 6.0
    assert core.status(world.state, world.now_s).connectors[0].lease is LeaseState.LAPSED


def test_a_lapsed_lease_holds_then_stops_and_says_so() -> None:
    world = World(make_board())
    world.charge()
    world.wish(hold_s=10.0)
    world.spots[1].is_agent_silent = True
    world.run(6.0)
    assert world.drives[1].is_relay_closed
    assert world.drives[1].pilot.limit_a == 6.0
    world.run(10.0)
    assert world.drives[1].pilot.output is PilotOutput.X1
    world.run(6.5)
    assert not world.drives[1].is_relay_closed
    assert kinds(world)[-3:] == [EventKind.LEASE_LAPSED, EventKind.LEASE_SPENT, EventKind.CONTACTOR_OPENED]


def test_g100_stops_at_the_lapse() -> None:
    world = World(make_board())
    world.charge()
    world.wish(on_lapse_a=0.0)
    world.spots[1].is_agent_silent = True
    world.run(5.1)
    assert world.drives[1].pilot.output is PilotOutput.X1


# --- remembering and replies ----------------------------------------------------------------------------------------


def test_a_trip_opens_before_anything_else_and_is_remembered_before_it_is_told() -> None:
    world = World(make_board())
    world.charge()
    world.effects.clear()
    world.feed(LinesRead(1, is_contactor_closed=True, is_rcm_tripped=True))
    effects = [type(effect) for _, effect in world.effects]
    assert effects == [Drive, Remember, Record, Record]
    assert world.memory.latched[1] == {FaultCode.RCM_TRIP}
    assert world.memory.closings[1] == 1


@pytest.mark.parametrize(
    ("request_", "is_accepted"),
    [
        (ClearFault(1, 1, FaultCode.RCM_TRIP), True),
        (ClearFault(2, 1, FaultCode.OVERCURRENT), False),
        (ClearFault(3, 2, FaultCode.RCM_TRIP), False),
    ],
)
def test_every_clear_is_answered(request_: ClearFault, is_accepted: bool) -> None:
    world = World(make_board())
    world.connect()
    world.plug()
    world.run(1.0)
    world.raise_fault(FaultCode.OVERCURRENT)
    world.effects.clear()
    world.feed(request_)
    (reply,) = [effect for _, effect in world.effects if isinstance(effect, Reply)]
    assert (reply.request, reply.is_accepted) == (request_.request, is_accepted)


def test_a_fault_the_agent_does_not_own_is_refused_and_noticed() -> None:
    world = World(make_board())
    world.connect()
    world.raise_fault(FaultCode.RCM_TRIP)
    assert core.status(world.state, world.now_s).connectors[0].faults == frozenset()
    assert kinds(world) == [EventKind.NOTICE]


def test_overcurrent_stops_gracefully_and_goes_with_the_car() -> None:
    world = World(make_board())
    world.charge()
    world.raise_fault(FaultCode.OVERCURRENT)
    assert world.drives[1].pilot.output is PilotOutput.X1
    assert world.drives[1].is_relay_closed
    world.spots[1].car = PilotState.B
    world.run(0.1)
    assert not world.drives[1].is_relay_closed
    world.raise_fault(FaultCode.OVERCURRENT, is_present=False)
    world.run(100.0)
    assert core.status(world.state, world.now_s).connectors[0].wait is Wait.FAULT
    world.spots[1].car = PilotState.A
    world.run(0.2)
    assert core.status(world.state, world.now_s).connectors[0].faults == frozenset()


# --- phases -----------------------------------------------------------------------------------------------------------


def test_phases_change_only_in_x1_with_the_contactor_open() -> None:
    world = World(make_board())
    world.charge()
    world.spots[1].set_point = replace(world.spots[1].set_point, phases=1)
    world.run(3.0)
    assert world.drives[1].pilot.phases == 3
    world.wish(permission=False)
    world.spots[1].set_point = replace(world.spots[1].set_point, phases=1)
    world.run(2.0)
    assert world.drives[1].pilot.phases == 3
    world.spots[1].car = PilotState.B
    world.run(2.0)
    assert world.drives[1].pilot.phases == 1


# --- status -------------------------------------------------------------------------------------------------------------


def test_status_follows_the_contactor() -> None:
    world = World(make_board())

    def shown() -> ContactorState:
        return core.status(world.state, world.now_s).connectors[0].contactor

    assert shown() is ContactorState.OPEN
    world.charge()
    assert shown() is ContactorState.CLOSED
    world.feed(LinesRead(1, is_contactor_closed=False, is_rcm_tripped=False))
    assert shown() is ContactorState.CLOSED, "contacts bounce; only a lasting absence is something else"
    world.feed(LinesRead(1, is_contactor_closed=True, is_rcm_tripped=False))
    world.spots[1].car = PilotState.B
    world._tick()
    assert shown() is ContactorState.OPENING
    world.run(0.1)
    assert shown() is ContactorState.OPEN


def test_a_contactor_that_is_driven_and_not_yet_proven_is_closing() -> None:
    world = World(make_board())
    world.spots[1].is_stuck_open = True
    world.connect()
    world.plug()
    world.run(0.5)
    world.wish()
    world.run(12.0)
    world.spots[1].car = PilotState.C
    seen = set()
    for _ in range(400):
        world.run(0.01)
        seen.add(core.status(world.state, world.now_s).connectors[0].contactor)
    assert ContactorState.CLOSING in seen
    assert ContactorState.CLOSED not in seen


def test_a_board_without_feedback_charges() -> None:
    world = World(make_board())
    seen = world.step

    def blind(state, event, now_s):
        if isinstance(event, LinesRead):
            event = replace(event, is_contactor_closed=None)
        return seen(state, event, now_s)

    world.step = blind
    world.charge()
    assert EventKind.CONTACTOR_CLOSED in kinds(world)


# --- time -----------------------------------------------------------------------------------------------------------------


def test_the_next_deadline_lies_ahead_and_within_a_second() -> None:
    world = World(make_board(2, supply_a=32.0))

    class Watch:
        def __call__(self, moment: object) -> None:
            due_s = core.next_deadline_s(world.state, world.now_s)
            assert world.now_s < due_s <= world.now_s + 1.0

        def restart(self) -> None:
            pass

    world.charge(1)
    world.watchers = (Watch(),)
    world.charge(2)
    world.spots[1].wound = PilotState.E
    world.disconnect()
    world.run(70.0)


def test_waking_exactly_at_a_deadline_finds_it_passed() -> None:
    """Otherwise the loop would spin on it or sleep over it."""
    world = World(make_board())
    world.charge()
    world.wish(permission=False)
    world.spots[1].is_silent = True
    while world.drives[1].is_relay_closed:
        world.now_s = core.next_deadline_s(world.state, world.now_s)
        before_s = world.state.stepped_s
        world.feed(TimePassed())
        assert world.state.stepped_s > before_s
    # Silent since the last report: lost after 1 s, open 3 s later, well before the 6 s of the graceful stop.
    assert world.now_s - world.state.connectors[0].pilot.report.received_s == pytest.approx(4.0, abs=0.01)


def test_a_graceful_stop_ends_under_load_after_6_s() -> None:
    world = World(make_board())
    world.charge()
    world.wish(permission=False)
    world.run(5.95)
    assert world.drives[1].is_relay_closed
    world.run(0.1)
    assert not world.drives[1].is_relay_closed
    assert last_record(world, EventKind.CONTACTOR_OPENED).detail == "overdue"


# --- hostile input ----------------------------------------------------------------------------------------------------------


def test_unknown_connectors_change_nothing() -> None:
    world = World(make_board())
    world.connect()
    report = replace(world.report(world.spots[1]), connector=2)
    before = core.status(world.state, world.now_s)
    for event in (
        report,
        LinesRead(2, is_contactor_closed=True, is_rcm_tripped=True),
        SetPoint(connector=2, plug_id="x", offer_a=Amps(32.0), permission=True),
        RaiseFault(2, FaultCode.OVERCURRENT, is_present=True),
    ):
        world.feed(event)
    assert core.status(world.state, world.now_s) == before


def test_a_link_that_goes_down_twice_or_before_it_was_up_is_no_news() -> None:
    world = World(make_board())
    world.feed(LinkDown("no port"))
    world.connect()
    world.disconnect()
    world.feed(LinkDown("still none"))
    assert kinds(world, None) == [EventKind.COPROCESSOR_UP, EventKind.COPROCESSOR_LOST]


def test_arbitrary_floats_in_reports_raise_nothing_and_close_nothing() -> None:
    world = World(make_board())
    world.charge()
    rng = random.Random(4)
    odd = [float("nan"), float("inf"), -float("inf"), 1e300, -1.0, 0.0]
    for _ in range(200):
        report = world.report(world.spots[1])
        world.feed(
            replace(
                report,
                sample_age_s=rng.choice([0.0, *odd]),
                low_v=rng.choice([-12.0, *odd]),
                high_v=rng.choice(odd),
                duty=rng.choice(odd),
                pp_ohm=rng.choice([220.0, *odd]),
                temperature_c=rng.choice([25.0, *odd]),
            )
        )
    assert not world.drives[1].is_relay_closed


def test_a_guard_that_restarts_in_a_circle_closes_six_times_in_ten_minutes_at_most() -> None:
    world = World(make_board())
    closings_s: list[float] = []
    end_s = world.now_s + 600.0
    while world.now_s < end_s:
        before = world.memory.closings.get(1, 0)
        world.connect()
        world.plug()
        world.wish()
        world.run(9.0)
        world.spots[1].car = PilotState.C
        world.run(3.0)
        if world.memory.closings.get(1, 0) > before:
            closings_s.append(world.now_s)
        world.spots[1].car = PilotState.A
        world.run(1.5)
        world.restart_guard()
    assert 1 <= len(closings_s) <= 6


def test_after_a_boot_the_last_closing_counts_as_now() -> None:
    state = core.start(make_board(1), Remember({}, {1: 5}), 50.0)
    assert state.connectors[0].contactor.recent_s == (50.0,)
    state = core.start(make_board(1), Remember({}, {1: 5}, {1: (20.0, 1e9)}), 50.0)
    assert state.connectors[0].contactor.recent_s == (20.0, 50.0), "a time to come is none"
