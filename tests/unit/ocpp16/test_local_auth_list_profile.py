"""SendLocalList and GetLocalListVersion: payloads in, the core's word out."""

import asyncio
from typing import Any

import pytest

from evcharge_agent.core.effects import Answer
from evcharge_agent.core.facts import AuthorizationStatus, IdTag, IdTagInfo, Instant
from evcharge_agent.core.local_list import Update, UpdateKind
from evcharge_agent.core.step import initial
from evcharge_agent.core.view import view
from evcharge_agent.ocpp16.local_auth_list_profile import LocalAuthListProfile, read_update
from evcharge_agent.ocpp16.profile import Feature
from tests.support.profile_bench import ProfileBench

EMPTY = {"list_version": 1, "update_type": "Full"}


def entry(id_tag: str, **info: Any) -> dict[str, Any]:
    return {"id_tag": id_tag} | ({"id_tag_info": info} if info else {})


@pytest.mark.parametrize(
    ("payload", "update"),
    [
        (EMPTY, Update(UpdateKind.FULL, 1)),
        (EMPTY | {"local_authorization_list": []}, Update(UpdateKind.FULL, 1)),
        (
            {
                "list_version": 7,
                "update_type": "Differential",
                "local_authorization_list": [
                    entry("a", status="Accepted", parent_id_tag="P", expiry_date="1970-01-01T00:01:40Z"),
                    entry("b", status="Blocked"),
                    entry("c"),
                ],
            },
            Update(
                UpdateKind.DIFFERENTIAL,
                7,
                (
                    (IdTag("a"), IdTagInfo(AuthorizationStatus.ACCEPTED, IdTag("P"), 100.0)),
                    (IdTag("b"), IdTagInfo(AuthorizationStatus.BLOCKED)),
                    (IdTag("c"), None),
                ),
            ),
        ),
        (EMPTY | {"local_authorization_list": [entry("a", status="Accepted", expiry_date="soon")]}, None),
    ],
)
def test_an_update_is_read(payload: dict[str, Any], update: Update | None) -> None:
    assert read_update(payload) == update


@pytest.mark.parametrize(
    ("is_accepted", "reason", "status"),
    [
        (True, "", "Accepted"),
        (False, "local_list_off", "NotSupported"),
        (False, "local_list_version", "VersionMismatch"),
        (False, "local_list_invalid", "Failed"),
        (False, "storage_failed", "Failed"),
        (False, "busy", "Failed"),
    ],
)
def test_the_core_s_word_is_the_answer(is_accepted: bool, reason: str, status: str) -> None:
    async def main() -> str:
        bench = ProfileBench(lambda event: Answer(event.request, is_accepted, reason))
        profile = LocalAuthListProfile(bench.context, lambda: view(initial(NOW), NOW))
        async with bench.running():
            reply = await profile.handlers["SendLocalList"](EMPTY)
        return str(reply.payload.status)  # type: ignore[attr-defined]

    assert asyncio.run(main()) == status


def test_an_update_with_a_date_that_is_none_never_reaches_the_core() -> None:
    async def main() -> tuple[str, int]:
        bench = ProfileBench(lambda event: Answer(event.request, is_accepted=True))
        profile = LocalAuthListProfile(bench.context, lambda: view(initial(NOW), NOW))
        payload = EMPTY | {"local_authorization_list": [entry("a", status="Accepted", expiry_date="soon")]}
        async with bench.running():
            reply = await profile.handlers["SendLocalList"](payload)
        return str(reply.payload.status), len(bench.events)  # type: ignore[attr-defined]

    assert asyncio.run(main()) == ("Failed", 0)


def test_the_version_is_the_station_s() -> None:
    async def main() -> int:
        bench = ProfileBench(lambda event: Answer(event.request, is_accepted=True))
        profile = LocalAuthListProfile(bench.context, lambda: view(initial(NOW), NOW))
        assert profile.feature is Feature.LOCAL_AUTH_LIST
        reply = await profile.handlers["GetLocalListVersion"]({})
        return int(reply.payload.list_version)  # type: ignore[attr-defined]

    assert asyncio.run(main()) == -1


NOW = Instant(0.0, 0.0, is_utc_trusted=True)
