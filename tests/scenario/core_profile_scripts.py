"""The rest of OCPP 1.6 Core as a central system uses it: availability, reset, unlock, cache, trigger, data."""

from tests.scenario.scripts import Scenario, energy_of, is_closed, is_open, stamp_s, told, transaction
from tests.support.rig import CARD, Rig

FULL_CURRENT_A = 15.0


async def idle_connector_out_of_service_and_back(rig: Rig) -> None:
    """Accepted first, then Unavailable; no card and no app charges there; Operative brings it back."""
    await rig.until_online()
    assert await rig.central.change_availability(1, "Inoperative") == "Accepted"
    await rig.until_central("told", lambda: rig.central.states(1)[-1] == "Unavailable")
    assert await rig.central.change_availability(1, "Inoperative") == "Accepted"
    assert await rig.central.change_availability(9, "Inoperative") == "Rejected"
    assert await rig.central.remote_start(1, "APP-USER") == "Rejected"
    await rig.do("plug", connector=1)
    await rig.do("swipe", id_tag=CARD, connectors=[1])
    await rig.sleep(5.0)
    assert is_open(await rig.at())
    assert rig.central.transactions == {}
    assert rig.central.states(1) == ["Available", "Unavailable"]
    await rig.do("unplug", connector=1)
    await rig.sleep(1.0)
    assert await rig.central.change_availability(1, "Operative") == "Accepted"
    await rig.until_central("back", lambda: rig.central.states(1)[-1] == "Available")
    await rig.plug_and_charge()


async def availability_scheduled_by_a_transaction_outlives_a_power_cut(rig: Rig) -> None:
    """The transaction goes on, also over a power cut; after it comes Unavailable and never Available."""
    await rig.until_online()
    await rig.plug_and_charge()
    await rig.until_view("number", lambda at: at["session"]["transaction_id"] is not None)
    assert await rig.central.change_availability(1, "Inoperative") == "Scheduled"
    await rig.sleep(1.0)
    assert is_closed(await rig.at())
    await rig.cut_power()
    await rig.until_world("charging again", is_closed, within_s=40.0)
    await rig.until_state("Charging")
    mark = len(rig.central.received)
    await rig.do("swipe", id_tag=CARD, connectors=[1])
    await rig.until_state("Unavailable")
    await rig.until_stopped()
    await rig.do("unplug", connector=1)
    await rig.until_central("told", lambda: rig.central.states(1)[-1] == "Unavailable")
    await rig.sleep(2.0)
    later = [one for one in rig.central.received[mark:] if one.action == "StatusNotification"]
    states = [one.payload["status"] for one in later if one.payload["connector_id"] == 1]
    assert "Available" not in states
    assert told(rig).index("StopTransaction") < len(told(rig)) - 1, "Unavailable follows the stop"


async def station_out_of_service_outlives_a_restart(rig: Rig) -> None:
    """Connector 0 cascades; after a restart every connector is Unavailable from the first word on."""
    await rig.until_online()
    assert await rig.central.change_availability(0, "Inoperative") == "Accepted"
    await rig.until_central("station", lambda: rig.central.states(0)[-1] == "Unavailable")
    await rig.until_central("both", lambda: {rig.central.states(number)[-1] for number in (1, 2)} == {"Unavailable"})
    mark = len(rig.central.received)
    await rig.kill("agent")
    await rig.start("agent")
    await rig.until_central("booted", lambda: len(rig.central.of("BootNotification")) == 2)
    await rig.until_central("all told", lambda: len(states_since(rig, mark)) >= 3)
    await rig.sleep(2.0)
    found = states_since(rig, mark)
    assert found == [(0, "Unavailable"), (1, "Unavailable"), (2, "Unavailable")], found
    assert await rig.central.change_availability(0, "Operative") == "Accepted"
    await rig.until_central(
        "back", lambda: [rig.central.states(number)[-1] for number in (0, 1, 2)] == ["Available"] * 3
    )


async def soft_reset_ends_the_transaction_and_restarts_the_agent(rig: Rig) -> None:
    """SoftReset with the register after the energy, delivered before the restart; the guard never notices."""
    await rig.until_online()
    await rig.plug_and_charge()
    await rig.sleep(5.0)
    assert await rig.central.reset("Soft") == "Accepted"
    assert rig.central.of("StopTransaction") == [], "answered first"
    await rig.until_central("booted", lambda: len(rig.central.of("BootNotification")) == 2)
    actions = [one.action for one in rig.central.received]
    boots = [place for place, action in enumerate(actions) if action == "BootNotification"]
    assert actions.index("StopTransaction") < boots[1], "what can be delivered is delivered before"
    record = transaction(rig)
    assert (record.reason, record.stop_id_tag) == ("SoftReset", None)
    assert is_open(await rig.at())
    assert record.meter_stop_wh == (await rig.at())["energy_wh"]
    assert rig.restarts["agent"] == 1
    assert rig.restarts["guard"] == 0
    await rig.until_state("Preparing")
    await rig.do("swipe", id_tag=CARD, connectors=[1])
    await rig.until_world("the same car charges again", is_closed)
    assert len(rig.central.of("StopTransaction")) == 1


async def soft_reset_without_a_transaction_while_the_line_is_down(rig: Rig) -> None:
    """Nothing to deliver and nobody to deliver to: the bound is not waited for."""
    await rig.until_online()
    assert await rig.central.reset("Soft") == "Accepted"
    rig.central.is_reachable = False
    await rig.central.drop()
    await rig.until_view("gone", lambda _: rig.restarts["agent"] == 1)
    rig.central.is_reachable = True
    await rig.until_central("booted", lambda: len(rig.central.of("BootNotification")) == 2)


async def hard_reset_stops_in_order_and_restarts_everything(rig: Rig) -> None:
    """HardReset: the pilot goes at once, the contactor when the car has let go; all start again; one stop."""
    await rig.until_online()
    await rig.plug_and_charge()
    await rig.sleep(5.0)
    boots = (await rig.world())["coprocessor"]["boot_count"]
    assert await rig.central.reset("Hard") == "Accepted"
    assert await rig.until_world("no PWM", lambda at: at["pilot"]["output"] == "x1", within_s=3.0) <= 0.6
    assert is_closed(await rig.at()), "not under load"
    await rig.until_world("open", is_open, within_s=4.0)
    await rig.until_central("booted", lambda: len(rig.central.of("BootNotification")) == 2)
    await rig.until_stopped()
    record = transaction(rig)
    assert (record.reason, record.stop_id_tag) == ("HardReset", None)
    register_wh = (await rig.at())["energy_wh"]
    # What flowed after the last reading, which is at most a second old: 11 kW for a second.
    assert 0 <= register_wh - (record.meter_stop_wh or 0) <= 4
    assert (await rig.world())["coprocessor"]["boot_count"] == boots + 1
    assert rig.restarts["guard"] == 1
    assert rig.restarts["agent"] == 1
    await rig.until_state("Preparing")
    await rig.sleep(3.0)
    assert is_open(await rig.at()), "nobody has authorised anything since"
    # One whose answer the restart cut off is sent again as it was.
    assert len({str(one.payload) for one in rig.central.of("StopTransaction")}) == 1
    await rig.do("swipe", id_tag=CARD, connectors=[1])
    await rig.until_world("charging again", lambda at: at["current_a"]["l1"] > FULL_CURRENT_A, within_s=40.0)


async def hard_reset_with_a_car_that_does_not_let_go(rig: Rig) -> None:
    """Cut off under load after 6 s, not before, and then everything starts again."""
    await rig.until_online()
    await rig.plug_and_charge()
    await rig.do("fault", connector=1, kind="stubborn")
    assert await rig.central.reset("Hard") == "Accepted"
    assert 5.0 <= await rig.until_world("open", is_open, within_s=7.5) <= 6.8
    await rig.until_central("booted", lambda: len(rig.central.of("BootNotification")) == 2)
    await rig.until_stopped()
    assert transaction(rig).reason == "HardReset"
    assert rig.restarts == {"guard": 1, "agent": 1}


async def residual_current_during_a_hard_reset_is_remembered(rig: Rig) -> None:
    """A trip while the car is being stopped opens at once, and the guard that comes back knows of it."""
    await rig.until_online()
    await rig.plug_and_charge()
    await rig.do("fault", connector=1, kind="stubborn")
    assert await rig.central.reset("Hard") == "Accepted"
    await rig.until_world("no PWM", lambda at: at["pilot"]["output"] == "x1", within_s=3.0)
    await rig.do("fault", connector=1, kind="rcm_trip")
    assert await rig.until_world("open", is_open, within_s=1.0) <= 0.3
    await rig.do("clear", connector=1, kind="rcm_trip")
    await rig.until_central("booted", lambda: len(rig.central.of("BootNotification")) == 2)
    await rig.until_state("Faulted")


async def hard_reset_without_a_transaction(rig: Rig) -> None:
    """Both processes restart, the charger comes back as it was."""
    await rig.until_online()
    assert await rig.central.reset("Hard") == "Accepted"
    await rig.until_central("booted", lambda: len(rig.central.of("BootNotification")) == 2)
    await rig.until_state("Available")
    assert rig.restarts == {"guard": 1, "agent": 1}
    await rig.plug_and_charge()


async def hard_reset_while_offline(rig: Rig) -> None:
    """A stop that cannot be delivered goes out after the boot, once."""
    await rig.until_online()
    await rig.plug_and_charge()
    await rig.until_view("number", lambda at: at["session"]["transaction_id"] is not None)
    await rig.sleep(2.0)
    assert await rig.central.reset("Hard") == "Accepted"
    rig.central.is_reachable = False
    await rig.central.drop()
    await rig.until_view("restarted", lambda _: rig.restarts["agent"] == 1)
    await rig.sleep(2.0)
    assert rig.central.of("StopTransaction") == []
    rig.central.is_reachable = True
    await rig.until_stopped(within_s=60.0)
    await rig.sleep(3.0)
    assert transaction(rig).reason == "HardReset"
    assert len(rig.central.of("StopTransaction")) == 1


async def unlock_without_a_lock(rig: Rig) -> None:
    """NotSupported, and the running transaction goes on."""
    await rig.until_online()
    await rig.plug_and_charge()
    for connector in (1, 2, 9):
        assert await rig.central.unlock_connector(connector) == "NotSupported"
    await rig.sleep(3.0)
    assert is_closed(await rig.at())
    assert rig.central.of("StopTransaction") == []
    assert rig.central.states(1)[-1] == "Charging"


async def cleared_cache_is_asked_again_and_stays_clear(rig: Rig) -> None:
    """With LocalPreAuthorize a cached card is not asked for; after ClearCache it is, also over a restart."""
    await rig.until_online()
    assert await rig.central.change_configuration("LocalPreAuthorize", "true") == "Accepted"
    await rig.plug_and_charge()
    await rig.do("unplug", connector=1)
    await rig.until_state("Available")
    assert len(rig.central.of("Authorize")) == 1
    await rig.plug_and_charge()
    await rig.do("unplug", connector=1)
    await rig.until_state("Available")
    assert len(rig.central.of("Authorize")) == 1, "known from the cache"
    assert await rig.central.clear_cache() == "Accepted"
    await rig.kill("agent")
    await rig.start("agent")
    await rig.until_central("booted", lambda: len(rig.central.of("BootNotification")) == 2)
    await rig.until_state("Available")
    await rig.plug_and_charge()
    assert len(rig.central.of("Authorize")) == 2
    assert await rig.central.change_configuration("AuthorizationCacheEnabled", "false") == "Accepted"
    assert await rig.central.clear_cache() == "Rejected"


async def triggered_messages_follow_their_answers(rig: Rig) -> None:
    """Status, meter values, heartbeat and boot on demand; nothing for what is not there."""
    await rig.until_online()
    await rig.plug_and_charge()
    await rig.until_view("number", lambda at: at["session"]["transaction_id"] is not None)
    number = (await rig.view())["session"]["transaction_id"]
    states = len(rig.central.states(1))
    assert await rig.central.trigger("StatusNotification", 1) == "Accepted"
    await rig.until_central("status", lambda: len(rig.central.states(1)) == states + 1)
    assert rig.central.states(1)[-1] == "Charging"
    assert await rig.central.trigger("MeterValues", 1) == "Accepted"
    await rig.until_central("meter values", lambda: bool(samples(rig, "Trigger")))
    (sample,) = samples(rig, "Trigger")
    assert sample["transaction_id"] == number
    assert energy_of(sample["meter_value"][0]) is not None
    assert await rig.central.trigger("MeterValues", 2) == "Accepted"
    await rig.until_central("of the other", lambda: len(samples(rig, "Trigger")) == 2)
    assert "transaction_id" not in samples(rig, "Trigger")[1]
    beats = len(rig.central.of("Heartbeat"))
    assert await rig.central.trigger("Heartbeat") == "Accepted"
    await rig.until_central("heartbeat", lambda: len(rig.central.of("Heartbeat")) == beats + 1)
    assert await rig.central.trigger("BootNotification") == "Accepted"
    await rig.until_central("boot", lambda: len(rig.central.of("BootNotification")) == 2)
    assert await rig.central.trigger("StatusNotification", 7) == "Rejected"
    assert await rig.central.trigger("FirmwareStatusNotification") == "Accepted"
    await rig.until_central("firmware", lambda: bool(rig.central.of("FirmwareStatusNotification")))
    assert rig.central.of("FirmwareStatusNotification")[0].payload == {"status": "Idle"}
    assert is_closed(await rig.at())


async def data_transfer_nobody_knows(rig: Rig) -> None:
    """Unknown vendors and unknown messages are told apart."""
    await rig.until_online()
    assert await rig.central.transfer_data("com.example", "x") == "UnknownVendorId"
    assert await rig.central.transfer_data("evcharge", "x") == "UnknownMessageId"


async def clock_aligned_meter_values(rig: Rig) -> None:
    """Exact multiples since midnight UTC, inside and outside transactions, changed live."""
    await rig.until_online()
    assert await rig.central.change_configuration("ClockAlignedDataInterval", "5") == "Accepted"
    await rig.until_central("outside", lambda: bool(samples(rig, "Sample.Clock")))
    assert all("transaction_id" not in sample for sample in samples(rig, "Sample.Clock"))
    await rig.plug_and_charge()
    await rig.until_central(
        "inside", lambda: sum("transaction_id" in sample for sample in samples(rig, "Sample.Clock")) >= 2
    )
    assert await rig.central.change_configuration("ClockAlignedDataInterval", "0") == "Accepted"
    await rig.sleep(1.0)
    found = samples(rig, "Sample.Clock")
    await rig.sleep(6.0)
    assert len(samples(rig, "Sample.Clock")) == len(found), "switched off"
    stamps = [(sample["connector_id"], stamp_s(sample["meter_value"][0]["timestamp"])) for sample in found]
    assert all(utc_s % 5 == 0 for _, utc_s in stamps)
    assert len(set(stamps)) == len(stamps)
    assert samples(rig, "Sample.Periodic"), "the other kind goes on"


def states_since(rig: Rig, mark: int) -> list[tuple[int, str]]:
    """Connector and state of every StatusNotification since a mark."""
    later = [one for one in rig.central.received[mark:] if one.action == "StatusNotification"]
    return [(one.payload["connector_id"], one.payload["status"]) for one in later]


def samples(rig: Rig, context: str) -> list[dict[str, object]]:
    """MeterValues of one context, as received."""
    return [
        dict(one.payload)
        for one in rig.central.of("MeterValues")
        if one.payload["meter_value"][0]["sampled_value"][0]["context"] == context
    ]


CORE_PROFILE_SCENARIOS: tuple[Scenario, ...] = (
    idle_connector_out_of_service_and_back,
    availability_scheduled_by_a_transaction_outlives_a_power_cut,
    station_out_of_service_outlives_a_restart,
    soft_reset_ends_the_transaction_and_restarts_the_agent,
    soft_reset_without_a_transaction_while_the_line_is_down,
    hard_reset_stops_in_order_and_restarts_everything,
    hard_reset_with_a_car_that_does_not_let_go,
    residual_current_during_a_hard_reset_is_remembered,
    hard_reset_without_a_transaction,
    hard_reset_while_offline,
    unlock_without_a_lock,
    cleared_cache_is_asked_again_and_stays_clear,
    triggered_messages_follow_their_answers,
    data_transfer_nobody_knows,
    clock_aligned_meter_values,
)
