"""The local authorisation list."""

from typing import Any

from tests.octt.bench import OTHER_CARD, Bench, in_memory
from tests.support.rig import CARD

FROM_LIST = {"LocalPreAuthorize": True, "LocalAuthListEnabled": True, "AuthorizeRemoteTxRequests": True}
NO_ROOM = {"LocalAuthListMaxLength": 3, "SendLocalListMaxLength": 2}


def _entry(id_tag: str, status: str | None = "Accepted") -> dict[str, Any]:
    """One entry; without a status it is one to remove."""
    return {"idTag": id_tag} | ({} if status is None else {"idTagInfo": {"status": status}})


async def _send(bench: Bench, version: int, *entries: dict[str, Any], kind: str = "Full") -> str:
    lists = {"listVersion": version, "updateType": kind, "localAuthorizationList": list(entries)}
    return await bench.central.order("SendLocalList", **lists)


async def _version(bench: Bench) -> int:
    return int((await bench.central.call("GetLocalListVersion"))["listVersion"])


async def _nobody_is_asked(bench: Bench) -> None:
    await bench.central.expect("StartTransaction", connectorId=1, idTag=CARD)
    await bench.status("Charging")
    assert bench.central.sent("Authorize") == []


@in_memory(keys=FROM_LIST)
async def test_tc_008_1_start_with_id_in_the_local_list(bench: Bench) -> None:
    """A listed card starts without Authorize; one that is not listed is asked about."""
    bench.central.answers.tag(OTHER_CARD, "Invalid")
    await bench.booted()
    assert await _send(bench, 1, _entry(CARD)) == "Accepted"
    await bench.plug()
    await bench.status("Preparing")
    await bench.swipe()
    await _nobody_is_asked(bench)
    await bench.plug(2)
    await bench.status("Preparing", 2)
    await bench.swipe(OTHER_CARD, 2)
    await bench.central.expect("Authorize", idTag=OTHER_CARD)
    await bench.central.quiet("StartTransaction", for_s=2)


@in_memory(keys=FROM_LIST)
async def test_tc_008_2_remote_start_with_id_in_the_local_list(bench: Bench) -> None:
    """So does a remote start that must be authorised."""
    await bench.booted()
    assert await _send(bench, 1, _entry(CARD)) == "Accepted"
    assert await bench.central.order("RemoteStartTransaction", idTag=CARD, connectorId=1) == "Accepted"
    await bench.status("Preparing")
    await bench.plug()
    await _nobody_is_asked(bench)


@in_memory(keys={"LocalAuthListEnabled": False})
async def test_tc_042_1_local_list_version_not_supported(bench: Bench) -> None:
    """-1 while there are no lists, also where one was sent before."""
    await bench.booted()
    assert await _version(bench) == -1
    await bench.central.configure(LocalAuthListEnabled=True)
    assert await _send(bench, 4, _entry(CARD)) == "Accepted"
    await bench.central.configure(LocalAuthListEnabled=False)
    assert await _version(bench) == -1


@in_memory()
async def test_tc_042_2_local_list_version_empty(bench: Bench) -> None:
    """0 while the list is empty: at first, and after a Full list without entries, whatever its version."""
    await bench.booted()
    assert await _version(bench) == 0
    assert await _send(bench, 7, _entry(CARD)) == "Accepted"
    assert await _version(bench) == 7
    assert await _send(bench, 3) == "Accepted"
    assert await _version(bench) == 0


@in_memory(keys=FROM_LIST)
async def test_tc_043_send_local_list(bench: Bench) -> None:
    """Full replaces, Differential changes and removes; a power cut takes none of it."""
    bench.central.answers.tag("GONE", "Invalid")
    await bench.booted()
    assert await _send(bench, 1, _entry("REPLACED")) == "Accepted"
    assert await _send(bench, 2, _entry("GONE"), _entry(OTHER_CARD, "Blocked")) == "Accepted"
    assert await _version(bench) == 2
    changes = (_entry("GONE", None), _entry(CARD))
    assert await _send(bench, 3, *changes, kind="Differential") == "Accepted"
    assert await _version(bench) == 3
    await bench.cut_power()
    await bench.central.expect("BootNotification")
    await bench.statuses("Available", "Available", "Available")
    assert await _version(bench) == 3
    await bench.plug()
    await bench.status("Preparing")
    await bench.swipe("GONE")
    await bench.central.expect("Authorize", idTag="GONE")
    await bench.central.quiet("StartTransaction", for_s=1)
    asked = len(bench.central.sent("Authorize"))
    await bench.swipe()
    await bench.central.expect("StartTransaction", idTag=CARD)
    await bench.status("Charging")
    assert len(bench.central.sent("Authorize")) == asked


@in_memory(keys={"LocalAuthListEnabled": False})
async def test_tc_043_1_send_local_list_not_supported(bench: Bench) -> None:
    """NotSupported, and nothing has been kept once lists are switched on."""
    await bench.booted()
    assert await _send(bench, 1, _entry(CARD)) == "NotSupported"
    assert await _send(bench, 2, _entry(CARD), kind="Differential") == "NotSupported"
    await bench.central.configure(LocalAuthListEnabled=True)
    assert await _version(bench) == 0


@in_memory()
async def test_tc_043_2_send_local_list_version_mismatch(bench: Bench) -> None:
    """A Differential list needs a version beyond the present one; a Full list does not."""
    await bench.booted()
    assert await _send(bench, 5, _entry(CARD)) == "Accepted"
    for version in (4, 5):
        assert await _send(bench, version, _entry(OTHER_CARD), kind="Differential") == "VersionMismatch"
        assert await _version(bench) == 5
    assert await _send(bench, 2, _entry(OTHER_CARD)) == "Accepted"
    assert await _version(bench) == 2


@in_memory(keys=FROM_LIST | NO_ROOM)
async def test_tc_043_3_send_local_list_failed(bench: Bench) -> None:
    """More than there is room for, or an id twice: Failed, and list and version stay as they were."""
    await bench.booted()
    assert await _send(bench, 5, _entry(CARD), _entry("B")) == "Accepted"
    assert await _send(bench, 6, *map(_entry, "BCD")) == "Failed"
    assert await _send(bench, 6, *map(_entry, "CD"), kind="Differential") == "Failed"
    assert await _send(bench, 6, _entry("C"), _entry("c")) == "Failed"
    assert await _version(bench) == 5
    await bench.plug()
    await bench.status("Preparing")
    await bench.swipe()
    await _nobody_is_asked(bench)
