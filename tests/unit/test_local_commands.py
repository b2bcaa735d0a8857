"""The daemon's side of the local socket, in a whole charger in memory."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from evcharge_hal.contract.errors import InvalidFieldError
from tests.support.memory_rig import MemoryRig
from tests.support.rig_settings import RIG_SETTINGS
from tests.support.virtual_time import run_virtual


def in_rig(tmp_path: Path, test: Callable[[MemoryRig], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        async with MemoryRig.running(RIG_SETTINGS, tmp_path) as rig:
            await rig.until_online()
            return await test(rig)

    return run_virtual(main())


def test_status_says_why_there_is_no_connection_and_what_waits_for_one(tmp_path: Path) -> None:
    async def test(rig: MemoryRig) -> list[Any]:
        seen = [await rig.ask("status")]
        await rig.plug_and_charge()
        rig.central.is_reachable = False
        await rig.central.drop()
        await rig.sleep(20.0)
        return [*seen, await rig.ask("status")]

    online, offline = [view["central_system"] for view in in_rig(tmp_path, test)]
    assert online == {
        "url": "ws://central.invalid/ocpp",
        "identity": "RIG-1",
        "is_connected": True,
        "registration": "Accepted",
        "last_error": None,
        "queued": 0,
        "parked": 0,
        "firmware": {"stage": None, "status": "Idle", "transfers": []},
    }
    assert not offline["is_connected"]
    assert offline["last_error"] == "the central system is not reachable"
    assert offline["queued"] > 0


def test_whoever_is_refused_reads_why(tmp_path: Path) -> None:
    async def test(rig: MemoryRig) -> list[Any]:
        return [
            await rig.ask("stop", connector=1),
            await rig.ask("start", connector=1, id_tag="CARD"),
        ]

    stopped, started = in_rig(tmp_path, test)
    assert stopped == {"is_accepted": False, "reason": "no_transaction", "text": "There is no such session."}
    assert started == {"is_accepted": True, "reason": "", "text": ""}


@pytest.mark.parametrize("id_tag", ["", "x" * 21, "CA\nRD", "CA\x00RD", "\x1b[2J", "\ud800", 7, None])
def test_an_id_tag_that_cannot_be_stored_or_shown_is_refused(tmp_path: Path, id_tag: object) -> None:
    async def test(rig: MemoryRig) -> None:
        with pytest.raises(InvalidFieldError, match="allowed: a text of 1 to 20 printable characters"):
            await rig.ask("start", connector=1, id_tag=id_tag)

    in_rig(tmp_path, test)


@pytest.mark.parametrize("alias", ["two\nlines", "\x00", "\x1b[2J", "\x9b2J", "\ud800", "\u2028"])
def test_a_text_setting_that_cannot_be_stored_or_shown_is_refused(tmp_path: Path, alias: str) -> None:
    async def test(rig: MemoryRig) -> Any:
        with pytest.raises(InvalidFieldError, match=r"station\.alias"):
            await rig.ask("config.set", name="station.alias", value=alias)
        await rig.ask("config.set", name="station.alias", value="Käthe \U0001f469\u200d\U0001f527")
        return await rig.ask("config.get", name="station.alias")

    assert in_rig(tmp_path, test) == {"values": {"station.alias": "Käthe \U0001f469\u200d\U0001f527"}}
