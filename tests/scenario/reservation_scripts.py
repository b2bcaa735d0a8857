"""Reservations as a central system and drivers see them (OCPP 1.6, 3.10; ocpp16.md rule 18)."""

from tests.scenario.scripts import Scenario, is_closed, is_open, transaction
from tests.support.rig import CAR, CARD, Rig


def order_of(rig: Rig, mark: int) -> list[str]:
    """Frames since a mark, as one line each."""
    return [frame.summary for frame in rig.central.frames.all()[mark:]]


async def reserved_connector_is_used_by_its_card(rig: Rig) -> None:
    """Answered first, then Reserved; a stranger is turned away, the owner charges, the start carries the number."""
    await rig.until_online()
    mark = len(rig.central.frames.all())
    assert await rig.central.reserve(1, CARD, 41) == "Accepted"
    await rig.until_central("reserved", lambda: rig.central.states(1)[-1] == "Reserved")
    summaries = order_of(rig, mark)
    assert summaries.index("ReserveNow") < summaries.index("StatusNotification")
    await rig.do("ev", connector=1, **CAR)
    await rig.do("plug", connector=1)
    await rig.until_state("Preparing")
    await rig.do("swipe", id_tag="STRANGER", connectors=[1])
    await rig.until_view("told why", lambda at: (at["waiting"] or {}).get("reason") == "reserved")
    assert await rig.central.remote_start(1, "STRANGER") == "Rejected"
    assert rig.central.of("Authorize") == []
    await rig.do("swipe", id_tag=CARD, connectors=[1])
    await rig.until_world("charging", is_closed)
    await rig.until_central("started", lambda: bool(rig.central.of("StartTransaction")))
    assert rig.central.of("StartTransaction")[0].payload["reservation_id"] == 41
    await rig.until_view("used up", lambda at: at["session"] is not None)
    station = await rig.ask("status")
    assert station is not None
    assert station["reservations"] == []
    assert await rig.central.cancel_reservation(41) == "Rejected"


async def reservation_outlives_a_power_cut_and_expires_on_time(rig: Rig) -> None:
    """The first word after the cut is Reserved; at its date the connector is Available."""
    await rig.until_online()
    assert await rig.central.reserve(1, CARD, 42, within_s=40.0) == "Accepted"
    await rig.until_central("reserved", lambda: rig.central.states(1)[-1] == "Reserved")
    mark = len(rig.central.received)
    await rig.cut_power()
    await rig.until_central("booted", lambda: len(rig.central.of("BootNotification")) == 2)
    await rig.until_state("Reserved")
    later = [one for one in rig.central.received[mark:] if one.action == "StatusNotification"]
    assert "Available" not in [one.payload["status"] for one in later if one.payload["connector_id"] == 1]
    await rig.until_central("expired", lambda: rig.central.states(1)[-1] == "Available", within_s=60.0)
    await rig.plug_and_charge("STRANGER")


async def reservation_cancelled_and_replaced(rig: Rig) -> None:
    """The same number replaces, another is refused; cancelled, the connector is anybody's."""
    await rig.until_online()
    assert await rig.central.reserve(1, CARD, 43) == "Accepted"
    assert await rig.central.reserve(1, "OTHER", 44) == "Occupied"
    assert await rig.central.reserve(2, CARD, 43) == "Accepted"
    await rig.until_central("moved", lambda: rig.central.states(2)[-1] == "Reserved")
    await rig.until_central("free", lambda: rig.central.states(1)[-1] == "Available")
    assert await rig.central.cancel_reservation(44) == "Rejected"
    assert await rig.central.cancel_reservation(43) == "Accepted"
    await rig.until_central("free", lambda: rig.central.states(2)[-1] == "Available")
    assert await rig.central.reserve(9, CARD, 45) == "Rejected"


async def reservation_answered_by_the_state_of_the_connector(rig: Rig) -> None:
    """Occupied, Unavailable; the station as a whole only while one connector is left."""
    await rig.until_online()
    await rig.plug_and_charge()
    assert await rig.central.reserve(1, CARD, 46) == "Occupied"
    assert await rig.central.change_availability(2, "Inoperative") == "Accepted"
    await rig.until_central("out", lambda: rig.central.states(2)[-1] == "Unavailable")
    assert await rig.central.reserve(2, CARD, 46) == "Unavailable"
    assert await rig.central.reserve(0, CARD, 46) == "Occupied"
    assert await rig.central.change_availability(2, "Operative") == "Accepted"
    await rig.until_central("back", lambda: rig.central.states(2)[-1] == "Available")
    assert await rig.central.reserve(0, "GUEST", 46) == "Accepted"
    assert await rig.central.remote_start(2, "STRANGER") == "Rejected"
    assert await rig.central.remote_start(2, "GUEST") == "Accepted"


async def reservation_shared_by_a_parent_id(rig: Rig) -> None:
    """A card that is not named, but has the parent the reservation names: the central system is asked, once."""
    await rig.until_online()
    rig.central.script.parents["PARTNER"] = "FAMILY"
    assert await rig.central.reserve(1, CARD, 47, parent="family") == "Accepted"
    await rig.do("ev", connector=1, **CAR)
    await rig.do("plug", connector=1)
    await rig.until_state("Preparing")
    await rig.do("swipe", id_tag="STRANGER", connectors=[1])
    await rig.until_view("told why", lambda at: (at["waiting"] or {}).get("reason") == "reserved")
    assert is_open(await rig.at())
    await rig.do("swipe", id_tag="PARTNER", connectors=[1])
    await rig.until_world("charging", is_closed)
    await rig.until_central("started", lambda: bool(rig.central.of("StartTransaction")))
    assert rig.central.of("StartTransaction")[0].payload["reservation_id"] == 47
    assert transaction(rig).id_tag == "PARTNER"


RESERVATION_SCENARIOS: tuple[Scenario, ...] = (
    reserved_connector_is_used_by_its_card,
    reservation_outlives_a_power_cut_and_expires_on_time,
    reservation_cancelled_and_replaced,
    reservation_answered_by_the_state_of_the_connector,
    reservation_shared_by_a_parent_id,
)
