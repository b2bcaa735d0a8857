"""Sockets that hold the plug: unlocked on demand, after a session, not at all; a lock that jams; a cable left behind."""

from tests.scenario.scripts import Scenario, is_closed, is_open, transaction
from tests.support.rig import CAR, CARD, Rig


async def unlock_without_a_session(rig: Rig) -> None:
    """Unlocked, whether the socket is empty or a car waits; nobody is told that anything became Available."""
    await rig.until_online()
    assert await rig.central.unlock_connector(1) == "Unlocked"
    assert await rig.central.unlock_connector(9) == "NotSupported"
    await rig.do("plug", connector=1)
    await rig.until_state("Preparing")
    assert await rig.central.unlock_connector(1) == "Unlocked"
    await rig.sleep(2.0)
    assert rig.central.states(1) == ["Available", "Preparing"]


async def unlock_in_a_session(rig: Rig) -> None:
    """UnlockCommand first, then the plug: not before the contactor is open, and not Available by that."""
    await rig.until_online()
    await rig.plug_and_charge()
    assert (await rig.at())["is_locked"]
    assert await rig.central.unlock_connector(1) == "Unlocked"
    at = await rig.at()
    assert is_open(at)
    assert not at["is_locked"]
    await rig.until_stopped()
    record = transaction(rig)
    assert (record.reason, record.stop_id_tag) == ("UnlockCommand", None)
    await rig.until_central("told", lambda: rig.central.states(1)[-1] == "Finishing")
    await rig.sleep(2.0)
    assert rig.central.states(1)[-1] == "Finishing"
    await rig.do("unplug", connector=1)
    await rig.until_central("free", lambda: rig.central.states(1)[-1] == "Available")


async def plug_is_held_while_charging_and_free_after(rig: Rig) -> None:
    """Nobody pulls the plug out of the socket under load; after the card it comes out."""
    await rig.until_online()
    await rig.plug_and_charge()
    await rig.do("swipe", id_tag=CARD, connectors=[1])
    await rig.until_world("free", lambda at: is_open(at) and not at["is_locked"])
    await rig.until_stopped()
    await rig.do("unplug", connector=1)
    await rig.until_central("free", lambda: rig.central.states(1)[-1] == "Available")


async def lock_jams_at_the_start(rig: Rig) -> None:
    """ConnectorLockFailure, and no energy; with another plug-in and a lock that works all is well."""
    await rig.until_online()
    await rig.until_world("unlocked", lambda at: not at["is_locked"])
    await rig.do("fault", connector=1, kind="lock_jam")
    await rig.do("ev", connector=1, **CAR)
    await rig.do("plug", connector=1)
    await rig.until_state("Preparing")
    await rig.do("swipe", id_tag=CARD, connectors=[1])
    await rig.until_central("told", lambda: "Faulted" in rig.central.states(1))
    codes = [one.payload["error_code"] for one in rig.central.of("StatusNotification")]
    assert "ConnectorLockFailure" in codes
    await rig.sleep(15.0)
    at = await rig.at()
    assert is_open(at)
    assert at["energy_wh"] == 0
    await rig.do("unplug", connector=1)
    await rig.until_central("free", lambda: rig.central.states(1)[-1] == "Available")
    await rig.do("clear", connector=1, kind="lock_jam")
    await rig.plug_and_charge()
    assert is_closed(await rig.at())


async def lock_does_not_open(rig: Rig) -> None:
    """UnlockFailed; the transaction is over all the same."""
    await rig.until_online()
    await rig.plug_and_charge()
    await rig.do("fault", connector=1, kind="lock_jam")
    assert await rig.central.unlock_connector(1) == "UnlockFailed"
    await rig.until_stopped()
    assert transaction(rig).reason == "UnlockCommand"
    assert (await rig.at())["is_locked"]
    await rig.do("clear", connector=1, kind="lock_jam")
    assert await rig.central.unlock_connector(1) == "Unlocked"


async def cable_left_in_the_socket(rig: Rig) -> None:
    """Unplugged at the car: Finishing with the reason; Available when the cable is out, too."""
    await rig.until_online()
    await rig.plug_and_charge()
    await rig.do("unplug", connector=1, side="ev")
    await rig.until_stopped()
    assert transaction(rig).reason == "EVDisconnected"
    await rig.until_central("told", lambda: rig.central.states(1)[-1] == "Finishing")
    infos = [one.payload.get("info") for one in rig.central.of("StatusNotification")]
    assert infos[-1] == "EV side disconnected"
    await rig.until_world("free", lambda at: not at["is_locked"])
    await rig.do("unplug", connector=1)
    await rig.until_central("free", lambda: rig.central.states(1)[-1] == "Available")


LOCK_SCENARIOS: tuple[Scenario, ...] = (
    unlock_without_a_session,
    unlock_in_a_session,
    plug_is_held_while_charging_and_free_after,
    lock_jams_at_the_start,
    lock_does_not_open,
    cable_left_in_the_socket,
)
for _scenario in LOCK_SCENARIOS:
    _scenario.has_locks = True  # type: ignore[attr-defined]  # `rig_settings.settings_for` looks for it
