"""Scenarios, each written once and run two ways: in memory under virtual time, and with real processes."""

from collections.abc import Awaitable, Callable
from typing import Any

from evcharge_agent.ocpp16.stamps import from_stamp
from tests.support.rig import CARD, Json, Rig

Scenario = Callable[[Rig], Awaitable[None]]

PWM_OFF_WITHIN_S = 1.1
OPEN_WITHIN_S = 4.1
AT_ONCE_S = 0.15
"""An open contactor after a trip: 100 ms of the standard, plus how closely a rig can look."""


def is_closed(at: Json) -> bool:
    closed: bool = at["is_contactor_closed"]
    return closed


def is_open(at: Json) -> bool:
    return not is_closed(at)


def has_no_pwm(at: Json) -> bool:
    return at["pilot"]["output"] != "x2"


def fault_codes(view: Json) -> set[str]:
    return {fault["code"] for fault in view.get("faults", [])}


def transaction(rig: Rig) -> Any:
    """The only transaction the central system knows."""
    (record,) = rig.central.transactions.values()
    return record


def stamp_s(text: str | None) -> float:
    assert text is not None
    utc_s = from_stamp(text)
    assert utc_s is not None
    return utc_s


async def full_charge_by_card(rig: Rig) -> None:
    """Plug, card, charge, card, unplug: energies agree to the Wh, stamps to the second, order is right."""
    await rig.until_online()
    register_before_wh = (await rig.at())["energy_wh"]
    await rig.plug_and_charge()
    await rig.sleep(12.0)
    await rig.do("swipe", id_tag=CARD, connectors=[1])
    await rig.until_state("Finishing")
    assert is_open(await rig.at()), "the stop was told when the energy had ended"
    await rig.do("unplug", connector=1)
    await rig.until_state("Available")
    await rig.until_stopped()
    register_after_wh = (await rig.at())["energy_wh"]
    record = transaction(rig)
    assert record.id_tag == CARD
    assert record.stop_id_tag == CARD
    assert record.reason in (None, "Local")
    assert record.meter_start_wh == register_before_wh
    # What flows while the car ramps down after the card is billed too.
    assert record.meter_stop_wh == register_after_wh
    assert record.energy_wh > 20
    duration_s = stamp_s(record.stopped) - stamp_s(record.started)
    assert duration_s > 12.0
    energies = [wh for wh in (energy_of(value) for value in record.meter_values) if wh is not None]
    assert energies == sorted(energies)
    assert all(record.meter_start_wh <= wh <= record.meter_stop_wh for wh in energies)
    states = rig.central.states(1)
    assert states[0] == "Available"
    assert without(states[1:], "SuspendedEVSE", "SuspendedEV") == ["Preparing", "Charging", "Finishing", "Available"]
    assert without(told(rig)[1:], "Preparing", "Charging", "SuspendedEV", "SuspendedEVSE") == [
        "StartTransaction",
        "StopTransaction",
        "Finishing",
        "Available",
    ]


async def remote_start_and_stop(rig: Rig) -> None:
    """The same charge from an app, and nobody's card on the stop."""
    await rig.until_online()
    await rig.do("plug", connector=1)
    await rig.until_state("Preparing")
    assert await rig.central.remote_start(1, "APP-USER") == "Accepted"
    await rig.until_state("Charging")
    await rig.until_view("number", lambda at: at["session"]["transaction_id"] is not None)
    number = (await rig.view())["session"]["transaction_id"]
    assert await rig.central.remote_stop(number + 1) == "Rejected"
    assert await rig.central.remote_stop(number) == "Accepted"
    await rig.until_state("Finishing")
    await rig.until_stopped()
    record = transaction(rig)
    assert record.id_tag == "APP-USER"
    assert record.reason == "Remote"
    assert record.stop_id_tag is None
    assert is_open(await rig.at())
    await rig.do("unplug", connector=1)
    await rig.until_state("Available")
    assert record.meter_stop_wh == (await rig.at())["energy_wh"]


async def refused_card(rig: Rig) -> None:
    """A blocked card: no transaction, no energy, and the next card may try."""
    rig.central.script.tags["BAD-CARD"] = "Blocked"
    await rig.until_online()
    await rig.do("plug", connector=1)
    await rig.until_state("Preparing")
    await rig.do("swipe", id_tag="BAD-CARD", connectors=[1])
    await rig.until_central("asked", lambda: bool(rig.central.of("Authorize")))
    await rig.sleep(5.0)
    at = await rig.at()
    assert is_open(at)
    assert at["pilot"]["output"] == "x1"
    assert rig.central.transactions == {}
    await rig.do("swipe", id_tag=CARD, connectors=[1])
    await rig.until_state("Charging")
    await rig.do("unplug", connector=1)
    await rig.until_state("Available")


async def central_system_absent(rig: Rig) -> None:
    """A whole charge without a central system; later everything is delivered, in order and with true times."""
    await rig.until_online()
    assert await rig.central.change_configuration("AllowOfflineTxForUnknownId", "true") == "Accepted"
    rig.central.is_reachable = False
    await rig.central.drop()
    await rig.until_view("noticed", lambda _: rig.central.session is None)
    began_s = rig.now_s()
    await rig.plug_and_charge("OFFLINE-CARD")
    await rig.sleep(8.0)
    await rig.do("swipe", id_tag="OFFLINE-CARD", connectors=[1])
    await rig.until_state("Finishing")
    await rig.until_world("open", is_open)
    await rig.do("unplug", connector=1)
    await rig.until_state("Available")
    ended_s = rig.now_s()
    assert rig.central.transactions == {}
    await rig.sleep(3.0)
    rig.central.is_reachable = True
    await rig.until_central("delivered", lambda: bool(rig.central.of("StopTransaction")), within_s=90.0)
    record = transaction(rig)
    assert record.id_tag == "OFFLINE-CARD"
    assert record.energy_wh is not None
    assert record.energy_wh > 10
    assert 8.0 < stamp_s(record.stopped) - stamp_s(record.started) < ended_s - began_s
    delivered = rig.central.of("StopTransaction")[0]
    assert delivered.at_utc_s - stamp_s(record.stopped) > 3.0, "stamped when it happened, not when it was sent"
    assert len(rig.central.of("BootNotification")) == 1, "a mere reconnect is no boot"


async def agent_killed_while_charging(rig: Rig) -> None:
    """The charge goes on at no more than the lapse current, and the same transaction after the restart."""
    await rig.until_online()
    await rig.plug_and_charge()
    await rig.until_view("number", lambda at: at["session"]["transaction_id"] is not None)
    before = (await rig.view())["session"]
    closings = (await rig.at())["closings"]
    await rig.kill("agent")
    await rig.until_world("derated", lambda at: is_open(at) or (at["pilot"]["car_reads_a"] or 0.0) <= 6.0, within_s=7.0)
    at = await rig.at()
    assert is_closed(at)
    assert at["pilot"]["car_reads_a"] > 0.0
    await rig.sleep(5.0)
    await rig.start("agent")
    await rig.until_view("same", lambda view: (view["session"] or {}).get("transaction") == before["transaction"])
    await rig.until_world("full current again", lambda at: at["current_a"]["l1"] > 15.0)
    at = await rig.at()
    assert at["closings"] == closings, "the contactor never opened"
    await rig.do("swipe", id_tag=CARD, connectors=[1])
    await rig.until_state("Finishing")
    await rig.until_stopped()
    record = transaction(rig)
    assert record.transaction_id == before["transaction_id"]
    assert record.meter_stop_wh is not None
    assert len(rig.central.of("StopTransaction")) == 1


async def unplugged_while_the_agent_was_away(rig: Rig) -> None:
    """The transaction ends at the moment the cable was pulled, not at the restart."""
    await rig.until_online()
    await rig.plug_and_charge()
    await rig.sleep(3.0)
    await rig.kill("agent")
    await rig.sleep(1.0)
    pulled_s = rig.now_s()
    await rig.do("unplug", connector=1)
    await rig.until_world("open", is_open, within_s=AT_ONCE_S + 0.2)
    await rig.sleep(6.0)
    await rig.start("agent")
    started_s = rig.now_s()
    await rig.until_central("stopped", lambda: bool(rig.central.of("StopTransaction")))
    told_s = rig.now_s()
    record = transaction(rig)
    assert record.reason == "EVDisconnected"
    assert record.stop_id_tag is None
    late_s = rig.central.of("StopTransaction")[0].at_utc_s - stamp_s(record.stopped)
    assert told_s - started_s + 5.0 < late_s < told_s - pulled_s + 1.5


async def guard_killed_while_charging(rig: Rig) -> None:
    """With retained GPIO: pilot off, contactor open in time, and a fresh edge before anything closes again."""
    await rig.until_online()
    await rig.plug_and_charge()
    closings = (await rig.at())["closings"]
    await rig.kill("guard")
    pwm_off_s = await rig.until_world("no PWM", has_no_pwm, within_s=5.0)
    open_s = pwm_off_s + await rig.until_world("open", is_open, within_s=5.0)
    assert pwm_off_s <= PWM_OFF_WITHIN_S
    assert open_s <= OPEN_WITHIN_S
    at = await rig.at()
    assert at["is_relay_on"], "the line is still driven: only the permit opened the contactor"
    await rig.sleep(10.0)
    assert (await rig.at())["closings"] == closings
    await rig.start("guard")
    await rig.until_world("relay line off", lambda at: not at["is_relay_on"], within_s=2.0)
    await rig.until_state("Charging", within_s=40.0)
    await rig.until_world("charging again", is_closed)
    assert (await rig.at())["closings"] == closings + 1
    assert len(rig.central.transactions) == 1, "the same transaction goes on"


async def guard_frozen_while_charging(rig: Rig) -> None:
    """SIGSTOP is no better than death; after SIGCONT nothing closes by a replayed permit."""
    await rig.until_online()
    await rig.plug_and_charge()
    closings = (await rig.at())["closings"]
    await rig.freeze("guard")
    pwm_off_s = await rig.until_world("no PWM", has_no_pwm, within_s=5.0)
    open_s = pwm_off_s + await rig.until_world("open", is_open, within_s=5.0)
    assert pwm_off_s <= PWM_OFF_WITHIN_S
    assert open_s <= OPEN_WITHIN_S
    thawed_s = rig.now_s()
    await rig.thaw("guard")
    await rig.until_state("Charging", within_s=60.0)
    await rig.until_world("closed", is_closed)
    assert rig.now_s() - thawed_s > 1.0, "not by the old permit"
    assert (await rig.at())["closings"] == closings + 1


async def residual_current(rig: Rig) -> None:
    """Opens at once, stays latched through unplug and replug, clears only by acknowledgement."""
    await rig.until_online()
    await rig.plug_and_charge()
    await rig.do("fault", kind="rcm_trip", connector=1)
    assert await rig.until_world("open", is_open, within_s=2.0) <= AT_ONCE_S
    await rig.until_view("reported", lambda at: "rcm_trip" in fault_codes(at))
    await rig.until_state("Faulted")
    answer = await rig.ask("clear-fault", connector=1, code="rcm_trip")
    assert answer is not None
    assert answer["is_accepted"] is False, "the cause is still there"
    await rig.do("clear", kind="rcm_trip", connector=1)
    await rig.do("unplug", connector=1)
    await rig.sleep(3.0)
    assert "rcm_trip" in fault_codes(await rig.view())
    await rig.kill("guard")
    await rig.start("guard")
    await rig.sleep(3.0)
    assert "rcm_trip" in fault_codes(await rig.view()), "the latch outlives the process"
    answer = await rig.ask("clear-fault", connector=1, code="rcm_trip")
    assert answer is not None
    assert answer["is_accepted"] is True
    await rig.until_state("Available")
    assert "Faulted" in rig.central.states(1)


async def diode_lost(rig: Rig) -> None:
    """A missing diode opens at once and is over when the car has gone."""
    await trips_and_clears_on_unplug(rig, "diode")


async def pilot_shorted(rig: Rig) -> None:
    """State E opens at once and is over when the car has gone."""
    await trips_and_clears_on_unplug(rig, "pilot_short")


async def trips_and_clears_on_unplug(rig: Rig, kind: str) -> None:
    """The common course of the two."""
    await rig.until_online()
    await rig.plug_and_charge()
    await rig.do("fault", kind=kind, connector=1)
    assert await rig.until_world("open", is_open, within_s=2.0) <= AT_ONCE_S + 0.1
    await rig.until_view("reported", lambda at: kind in fault_codes(at))
    await rig.do("clear", kind=kind, connector=1)
    await rig.sleep(2.0)
    assert is_open(await rig.at()), "not before replug or 60 s"
    await rig.do("unplug", connector=1)
    await rig.until_state("Available")
    await rig.until_stopped()
    assert transaction(rig).reason == "EVDisconnected"


async def unplugged_under_load(rig: Rig) -> None:
    """Opens within 100 ms, ends the transaction, and is no fault."""
    await rig.until_online()
    await rig.plug_and_charge()
    await rig.do("unplug", connector=1)
    assert await rig.until_world("open", is_open, within_s=2.0) <= AT_ONCE_S
    await rig.until_state("Available")
    await rig.until_stopped()
    record = transaction(rig)
    assert record.reason == "EVDisconnected"
    assert record.meter_stop_wh == (await rig.at())["energy_wh"]
    assert "Faulted" not in rig.central.states(1)


async def welded_contactor(rig: Rig) -> None:
    """Told to open and still closed after one second: latched, and nothing closes it again."""
    await rig.until_online()
    await rig.plug_and_charge()
    await rig.do("fault", kind="contactor_welded", connector=1)
    await rig.do("swipe", id_tag=CARD, connectors=[1])
    await rig.until_view("reported", lambda at: "contactor_welded" in fault_codes(at))
    await rig.do("unplug", connector=1)
    await rig.do("clear", kind="contactor_welded", connector=1)
    await rig.sleep(3.0)
    assert "contactor_welded" in fault_codes(await rig.view())
    closings = (await rig.at())["closings"]
    await rig.do("plug", connector=1)
    await rig.do("swipe", id_tag=CARD, connectors=[1])
    await rig.sleep(5.0)
    at = await rig.at()
    assert is_open(at)
    assert at["closings"] == closings


async def two_connectors_at_once(rig: Rig) -> None:
    """Two cars, two cards, two transactions, each with its own energy."""
    await rig.until_online()
    for connector in (1, 2):
        await rig.do("plug", connector=connector)
        await rig.until_state("Preparing", connector)
        await rig.do("swipe", id_tag=f"CARD-{connector}", connectors=[connector])
        await rig.until_state("Charging", connector)
    await rig.sleep(10.0)
    for connector in (1, 2):
        await rig.do("swipe", id_tag=f"CARD-{connector}", connectors=[connector])
        await rig.until_state("Finishing", connector)
    await rig.until_stopped(2)
    records = sorted(rig.central.transactions.values(), key=lambda record: record.connector)
    assert [(record.connector, record.id_tag) for record in records] == [(1, "CARD-1"), (2, "CARD-2")]
    assert all(record.energy_wh is not None and record.energy_wh > 10 for record in records)


def told(rig: Rig) -> list[str]:
    """Begin and end of transactions and the states of connector 1, as the central system received them."""
    found: list[str] = []
    for one in rig.central.received:
        if one.action in ("StartTransaction", "StopTransaction"):
            found.append(one.action)
        elif one.action == "StatusNotification" and one.payload["connector_id"] == 1:
            found.append(one.payload["status"])
    return found


def energy_of(meter_value: Json) -> int | None:
    """The register in one MeterValue, if it has one; the central system keeps names in snake_case."""
    for value in meter_value["sampled_value"]:
        if value.get("measurand", "Energy.Active.Import.Register") == "Energy.Active.Import.Register":
            return round(float(value["value"]))
    return None


def without(states: list[str], *left_out: str) -> list[str]:
    """States without some that may come in between, and without repetitions that leaves."""
    kept: list[str] = []
    for state in states:
        if state not in left_out and (not kept or kept[-1] != state):
            kept.append(state)
    return kept


SCENARIOS: tuple[Scenario, ...] = (
    full_charge_by_card,
    remote_start_and_stop,
    refused_card,
    central_system_absent,
    agent_killed_while_charging,
    unplugged_while_the_agent_was_away,
    guard_killed_while_charging,
    guard_frozen_while_charging,
    residual_current,
    diode_lost,
    pilot_shorted,
    unplugged_under_load,
    welded_contactor,
    two_connectors_at_once,
)
