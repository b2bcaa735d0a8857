"""Reservations of a connector and of the charge point."""

from typing import Any

import pytest

from tests.octt.bench import OTHER_CARD, Bench, in_memory
from tests.support.rig import CARD
from tests.support.strict.trace import to_stamp

NUMBER = 41
LONG_S = 900.0
SHORT_S = 15.0
FAMILY = "FAMILY"
STATION = 0


async def _reserve(
    bench: Bench, connector: int = 1, id_tag: str = CARD, number: int = NUMBER, for_s: float = LONG_S, **more: Any
) -> str:
    expiry = to_stamp(bench.central.utc_s() + for_s)
    order = {"connectorId": connector, "expiryDate": expiry, "idTag": id_tag, "reservationId": number}
    return await bench.central.order("ReserveNow", **order, **more)


async def _reserved(bench: Bench, **more: Any) -> None:
    """Connector 1 is reserved and says so."""
    assert await _reserve(bench, **more) == "Accepted"
    await bench.status("Reserved")


async def _remote_start(bench: Bench, id_tag: str, connector: int = 1) -> str:
    return await bench.central.order("RemoteStartTransaction", idTag=id_tag, connectorId=connector)


async def _is_turned_away(bench: Bench, id_tag: str, connector: int = 1) -> None:
    await bench.swipe(id_tag, connector)
    await bench.central.quiet("StartTransaction", for_s=2)
    assert not await bench.is_charging(connector)


async def _starts(bench: Bench, id_tag: str, connector: int = 1, number: int = NUMBER) -> None:
    """The start names the reservation, which is used up with it."""
    await bench.central.expect("StartTransaction", connectorId=connector, idTag=id_tag, reservationId=number)
    await bench.status("Charging", connector)
    assert await bench.central.order("CancelReservation", reservationId=number) == "Rejected"


async def _both_charge(bench: Bench) -> None:
    await bench.charging("CARD-A", 1)
    await bench.charging("CARD-B", 2)


@in_memory()
async def test_tc_046_1_reservation_of_a_connector_local_start(bench: Bench) -> None:
    """Reserved; a stranger is turned away, the card it is for charges."""
    await bench.booted()
    await _reserved(bench)
    await _is_turned_away(bench, OTHER_CARD)
    await bench.plug()
    await bench.status("Preparing")
    await _is_turned_away(bench, OTHER_CARD)
    await bench.swipe()
    await _starts(bench, CARD)


@in_memory()
async def test_tc_046_2_reservation_of_a_connector_remote_start(bench: Bench) -> None:
    """A remote start for a stranger is refused, one for the tag it is for begins."""
    await bench.booted()
    await _reserved(bench)
    assert await _remote_start(bench, OTHER_CARD) == "Rejected"
    assert await _remote_start(bench, CARD) == "Accepted"
    await bench.status("Preparing")
    await bench.plug()
    await _starts(bench, CARD)


@in_memory()
async def test_tc_047_reservation_expires(bench: Bench) -> None:
    """Available at its date, by the time the central system has told; then anybody may charge."""
    await bench.booted()
    await _reserved(bench, for_s=SHORT_S)
    over_s = bench.central.trace.asked("ReserveNow")[-1].at_s + SHORT_S
    lapsed = await bench.status("Available", within_s=SHORT_S + 10)
    assert lapsed.at_s - over_s == pytest.approx(0.0, abs=1.0)
    start = await bench.charging(OTHER_CARD)
    assert "reservationId" not in start.payload


@in_memory()
async def test_tc_048_1_reservation_faulted(bench: Bench) -> None:
    """A broken connector is Faulted to whoever wants to reserve it; a fault ends a reservation."""
    await bench.booted()
    await _reserved(bench)
    await bench.rig.do("fault", kind="rcm_trip", connector=1)
    await bench.status("Faulted")
    assert await bench.central.order("CancelReservation", reservationId=NUMBER) == "Rejected"
    assert await _reserve(bench) == "Faulted"


@in_memory()
async def test_tc_048_2_reservation_occupied(bench: Bench) -> None:
    """Where somebody charges, where a car waits, and where another has reserved."""
    await bench.booted()
    await bench.charging()
    assert await _reserve(bench) == "Occupied"
    assert await _reserve(bench, 2) == "Accepted"
    await bench.status("Reserved", 2)
    assert await _reserve(bench, 2, OTHER_CARD, number=NUMBER + 1) == "Occupied"
    assert await bench.central.order("CancelReservation", reservationId=NUMBER) == "Accepted"
    await bench.status("Available", 2)
    await bench.plug(2)
    await bench.status("Preparing", 2)
    assert await _reserve(bench, 2) == "Occupied"


@in_memory()
async def test_tc_048_3_reservation_unavailable(bench: Bench) -> None:
    """What is out of service cannot be reserved; going out of service ends a reservation."""
    await bench.booted()
    await _reserved(bench)
    assert await bench.central.order("ChangeAvailability", connectorId=1, type="Inoperative") == "Accepted"
    await bench.status("Unavailable")
    assert await bench.central.order("CancelReservation", reservationId=NUMBER) == "Rejected"
    assert await _reserve(bench) == "Unavailable"


@in_memory()
async def test_tc_048_4_reservation_rejected(bench: Bench) -> None:
    """A date that is past and a connector that does not exist; nothing becomes Reserved."""
    await bench.booted()
    assert await _reserve(bench, for_s=-1.0) == "Rejected"
    assert await _reserve(bench, 3) == "Rejected"
    await bench.central.quiet("StatusNotification", for_s=2)


@in_memory()
async def test_tc_049_reservation_of_the_charge_point_transaction(bench: Bench) -> None:
    """One connector, whichever, is kept: a stranger may have the other, and the owner gets what is left."""
    await bench.booted()
    assert await _reserve(bench, STATION) == "Accepted"
    stranger = await bench.charging(OTHER_CARD)
    assert "reservationId" not in stranger.payload
    assert await _remote_start(bench, "STRANGER", 2) == "Rejected"
    await bench.plug(2)
    await bench.status("Preparing", 2)
    await _is_turned_away(bench, "STRANGER", 2)
    await bench.swipe(CARD, 2)
    await _starts(bench, CARD, 2)


@in_memory()
async def test_tc_050_1_reservation_of_the_charge_point_faulted(bench: Bench) -> None:
    """No connector can charge: Faulted."""
    await bench.booted()
    await bench.rig.do("fault", kind="coprocessor_lost", connector=1)
    await bench.central.expect("StatusNotification", connectorId=0, status="Faulted")
    assert await _reserve(bench, STATION) == "Faulted"
    await bench.rig.do("clear", kind="coprocessor_lost", connector=1)
    await bench.central.expect("StatusNotification", connectorId=0, status="Available")
    await bench.rig.sleep(2)
    assert await _reserve(bench, STATION) == "Accepted"


@in_memory()
async def test_tc_050_2_reservation_of_the_charge_point_occupied(bench: Bench) -> None:
    """Every connector is in use."""
    await bench.booted()
    await _both_charge(bench)
    assert await _reserve(bench, STATION) == "Occupied"


@in_memory()
async def test_tc_050_3_reservation_of_the_charge_point_unavailable(bench: Bench) -> None:
    """The charge point is out of service."""
    await bench.booted()
    assert await bench.central.order("ChangeAvailability", connectorId=0, type="Inoperative") == "Accepted"
    await bench.statuses("Unavailable", "Unavailable", "Unavailable")
    assert await _reserve(bench, STATION) == "Unavailable"


@in_memory(keys={"ReserveConnectorZeroSupported": False})
async def test_tc_050_4_reservation_of_the_charge_point_rejected(bench: Bench) -> None:
    """ReserveConnectorZeroSupported is false; a connector can be reserved all the same."""
    await bench.booted()
    assert await _reserve(bench, STATION) == "Rejected"
    await _reserved(bench)


@in_memory()
async def test_tc_051_cancel_reservation(bench: Bench) -> None:
    """Available again, for anybody."""
    await bench.booted()
    await _reserved(bench)
    assert await bench.central.order("CancelReservation", reservationId=NUMBER) == "Accepted"
    await bench.status("Available")
    start = await bench.charging(OTHER_CARD)
    assert "reservationId" not in start.payload


@in_memory()
async def test_tc_052_cancel_reservation_rejected(bench: Bench) -> None:
    """A number nobody knows; the reservation there is stands."""
    await bench.booted()
    await _reserved(bench)
    assert await bench.central.order("CancelReservation", reservationId=NUMBER + 1) == "Rejected"
    await bench.central.quiet("StatusNotification", for_s=2)
    assert await _remote_start(bench, OTHER_CARD) == "Rejected"


@in_memory()
async def test_tc_053_1_reservation_with_parent_id_tag_local_start(bench: Bench) -> None:
    """A card with the parent the reservation names uses it; one with another parent does not."""
    bench.central.answers.tag(OTHER_CARD, parentIdTag=FAMILY)
    bench.central.answers.tag("STRANGER", parentIdTag="OTHERS")
    await bench.booted()
    await _reserved(bench, parentIdTag=FAMILY)
    await bench.plug()
    await bench.status("Preparing")
    await _is_turned_away(bench, "STRANGER")
    await bench.swipe(OTHER_CARD)
    await bench.central.expect("Authorize", idTag=OTHER_CARD)
    await _starts(bench, OTHER_CARD)


@in_memory(keys={"AuthorizeRemoteTxRequests": True})
async def test_tc_053_2_reservation_with_parent_id_tag_remote_start(bench: Bench) -> None:
    """The same from afar: the central system is asked for the parent."""
    bench.central.answers.tag(OTHER_CARD, parentIdTag=FAMILY)
    await bench.booted()
    await _reserved(bench, parentIdTag=FAMILY)
    assert await _remote_start(bench, OTHER_CARD) == "Accepted"
    await bench.central.expect("Authorize", idTag=OTHER_CARD)
    await bench.status("Preparing")
    await bench.plug()
    await _starts(bench, OTHER_CARD)
