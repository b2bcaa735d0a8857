"""ReserveNow and CancelReservation: payloads in, the core's word out."""

import asyncio
from typing import Any

import pytest

from evcharge_agent.core.effects import Answer
from evcharge_agent.core.events import CancelRequested, ReserveRequested
from evcharge_agent.core.facts import IdTag
from evcharge_agent.core.reservations import Reservation
from evcharge_agent.ocpp16.profile import Feature
from evcharge_agent.ocpp16.reservation_profile import ReservationProfile, read_reservation
from tests.support.profile_bench import ProfileBench

PAYLOAD = {"connector_id": 1, "expiry_date": "1970-01-01T00:01:40Z", "id_tag": "a", "reservation_id": 3}


@pytest.mark.parametrize(
    ("payload", "reservation"),
    [
        (PAYLOAD, Reservation(3, 1, IdTag("a"), None, 100.0)),
        (PAYLOAD | {"parent_id_tag": "P", "connector_id": 0}, Reservation(3, 0, IdTag("a"), IdTag("P"), 100.0)),
        (PAYLOAD | {"parent_id_tag": ""}, Reservation(3, 1, IdTag("a"), None, 100.0)),
        (PAYLOAD | {"expiry_date": "soon"}, None),
        (PAYLOAD | {"id_tag": ""}, None),
    ],
)
def test_a_reservation_is_read(payload: dict[str, Any], reservation: Reservation | None) -> None:
    assert read_reservation(payload) == reservation


def ask(action: str, payload: dict[str, Any], answer: tuple[bool, str], *, is_boot_accepted: bool = True) -> Any:
    async def main() -> tuple[str, list[Any]]:
        bench = ProfileBench(lambda event: Answer(event.request, *answer), is_accepted=is_boot_accepted)
        profile = ReservationProfile(bench.context)
        assert profile.feature is Feature.RESERVATION
        async with bench.running():
            reply = await profile.handlers[action](payload)
        return str(reply.payload.status), bench.events  # type: ignore[attr-defined]

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("is_accepted", "reason", "status"),
    [
        (True, "", "Accepted"),
        (False, "busy", "Occupied"),
        (False, "fault", "Faulted"),
        (False, "out_of_service", "Unavailable"),
        (False, "reservation_refused", "Rejected"),
        (False, "storage_failed", "Rejected"),
        (False, "restarting", "Rejected"),
    ],
)
def test_the_core_s_word_is_the_answer_to_reserve_now(is_accepted: bool, reason: str, status: str) -> None:
    told, events = ask("ReserveNow", PAYLOAD, (is_accepted, reason))
    assert told == status
    assert [type(event) for event in events] == [ReserveRequested]


def test_before_the_boot_is_accepted_nothing_is_reserved() -> None:
    assert ask("ReserveNow", PAYLOAD, (True, ""), is_boot_accepted=False) == ("Rejected", [])


@pytest.mark.parametrize(("is_accepted", "status"), [(True, "Accepted"), (False, "Rejected")])
def test_the_core_s_word_is_the_answer_to_cancel_reservation(is_accepted: bool, status: str) -> None:
    told, events = ask("CancelReservation", {"reservation_id": 3}, (is_accepted, ""))
    assert told == status
    assert [event.reservation_id for event in events if isinstance(event, CancelRequested)] == [3]
