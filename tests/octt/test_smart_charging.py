"""Charging profiles: what is taken, what it limits, and what is told of it."""

from typing import Any

from tests.octt.bench import Bench, in_memory
from tests.support.strict.trace import Call, to_stamp

FULL_A = 16.0
"""What the car takes when nothing limits it."""
MARGIN_A = 0.3
STATION = 0
DEFAULT, MAX, TX = "TxDefaultProfile", "ChargePointMaxProfile", "TxProfile"


def _profile(purpose: str, *steps: tuple[int, float], number: int = 1, level: int = 0, **more: Any) -> dict[str, Any]:
    """Limits in ampere from the begin of the transaction on; `duration` and `startSchedule` go into the schedule."""
    schedule = {name: more.pop(name) for name in ("duration", "startSchedule") if name in more}
    periods = [{"startPeriod": at_s, "limit": limit_a} for at_s, limit_a in steps]
    return {
        "chargingProfileId": number,
        "stackLevel": level,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Absolute" if "startSchedule" in schedule else "Relative",
        "chargingSchedule": {"chargingRateUnit": "A", "chargingSchedulePeriod": periods, **schedule},
        **more,
    }


async def _set(bench: Bench, connector: int, profile: dict[str, Any]) -> str:
    return await bench.central.order("SetChargingProfile", connectorId=connector, csChargingProfiles=profile)


async def _clear(bench: Bench, **criteria: Any) -> str:
    return await bench.central.order("ClearChargingProfile", **criteria)


async def _schedule(
    bench: Bench, connector: int = 1, duration_s: int = 300, unit: str = "A"
) -> list[tuple[int, float]]:
    """The composite schedule as it is told."""
    told = await bench.central.call(
        "GetCompositeSchedule", connectorId=connector, duration=duration_s, chargingRateUnit=unit
    )
    assert told["status"] == "Accepted"
    return [(one["startPeriod"], one["limit"]) for one in told["chargingSchedule"]["chargingSchedulePeriod"]]


async def _draws(bench: Bench, current_a: float, within_s: float = 12.0) -> None:
    await bench.rig.until_world(
        f"{current_a:g} A", lambda at: abs(at["current_a"]["l1"] - current_a) < MARGIN_A, within_s=within_s
    )


def _number(start: Call) -> int:
    assert start.result is not None
    return int(start.result["transactionId"])


@in_memory()
async def test_tc_056_tx_default_profile(bench: Bench) -> None:
    """Limits the transactions to come on its connector, and no other."""
    await bench.booted()
    assert await _set(bench, 1, _profile(DEFAULT, (0, 8.0), (15, 10.0))) == "Accepted"
    assert await _schedule(bench) == [(0, 8.0), (15, 10.0)]
    await bench.charging()
    await _draws(bench, 8.0)
    await _draws(bench, 10.0, within_s=20)
    assert await _schedule(bench) == [(0, 10.0)]
    await bench.charging("CARD-2", 2)
    await bench.sleep(6)
    assert abs((await bench.world(2))["current_a"]["l1"] - FULL_A) < MARGIN_A


@in_memory()
async def test_tc_057_tx_profile(bench: Bench) -> None:
    """Limits its transaction before any TxDefaultProfile, also upwards, and ends with it."""
    await bench.booted()
    assert await _set(bench, STATION, _profile(DEFAULT, (0, 8.0), number=1)) == "Accepted"
    start = await bench.charging()
    await _draws(bench, 8.0)
    profile = _profile(TX, (0, 11.0), number=2, transactionId=_number(start))
    assert await _set(bench, 1, profile) == "Accepted"
    await _draws(bench, 11.0)
    assert await _schedule(bench) == [(0, 11.0)]
    await bench.swipe()
    await bench.stopped(start)
    assert await _schedule(bench) == [(0, 8.0)]
    assert await _clear(bench, id=2) == "Unknown"


@in_memory()
async def test_tc_058_1_tx_profile_without_transaction(bench: Bench) -> None:
    """Rejected, on a connector where nothing runs and for the charge point; nothing of it stays."""
    await bench.booted()
    for connector in (1, STATION):
        assert await _set(bench, connector, _profile(TX, (0, 8.0))) == "Rejected"
    await bench.charging()
    await _draws(bench, FULL_A)
    assert await _clear(bench) == "Unknown"


@in_memory()
async def test_tc_058_2_tx_profile_with_wrong_transaction_id(bench: Bench) -> None:
    """Rejected; the transaction that runs is not limited by it."""
    await bench.booted()
    start = await bench.charging()
    for connector, number in ((1, _number(start) + 1), (2, _number(start))):
        assert await _set(bench, connector, _profile(TX, (0, 8.0), transactionId=number)) == "Rejected"
    await bench.sleep(6)
    await _draws(bench, FULL_A, within_s=1)
    assert await _clear(bench) == "Unknown"


@in_memory()
async def test_tc_059_remote_start_with_profile(bench: Bench) -> None:
    """The profile acts from the first ampere on, is told, and ends with its transaction."""
    await bench.booted()
    await bench.plug()
    await bench.status("Preparing")
    order = {"idTag": "APP", "connectorId": 1, "chargingProfile": _profile(TX, (0, 8.0), (12, 10.0))}
    assert await bench.central.order("RemoteStartTransaction", **order) == "Accepted"
    start = await bench.central.expect("StartTransaction", idTag="APP")
    await bench.status("Charging")
    await _draws(bench, 8.0)
    assert (await _schedule(bench))[-1][1] == 10.0
    await _draws(bench, 10.0, within_s=20)
    assert await bench.central.order("RemoteStopTransaction", transactionId=_number(start)) == "Accepted"
    await bench.stopped(start, "Remote")
    assert await _clear(bench, id=1) == "Unknown"


@in_memory()
async def test_tc_060_remote_start_with_profile_rejected(bench: Bench) -> None:
    """Nothing but a TxProfile without a transactionId can come with it, and nothing begins."""
    await bench.booted()
    await bench.plug()
    await bench.status("Preparing")
    for profile in (_profile(DEFAULT, (0, 8.0)), _profile(MAX, (0, 8.0)), _profile(TX, (0, 8.0), transactionId=1)):
        order = {"idTag": "APP", "connectorId": 1, "chargingProfile": profile}
        assert await bench.central.order("RemoteStartTransaction", **order) == "Rejected"
    await bench.central.quiet("StartTransaction", for_s=2)
    assert await _clear(bench) == "Unknown"


@in_memory()
async def test_tc_066_get_composite_schedule(bench: Bench) -> None:
    """At every second the lowest of what acts, for the connector and for the station, in both units."""
    await bench.booted()
    start = await bench.charging()
    begin = to_stamp(bench.central.utc_s())
    most = _profile(MAX, (0, 12.0), (100, 7.0), (200, 14.0), number=1, startSchedule=begin)
    default = _profile(DEFAULT, (0, 9.0), (150, 13.0), number=2, startSchedule=begin)
    own = _profile(TX, (0, 10.0), (50, 15.0), number=3, startSchedule=begin, duration=250)
    assert await _set(bench, STATION, most) == "Accepted"
    assert await _set(bench, STATION, default) == "Accepted"
    assert await _set(bench, 1, {**own, "transactionId": _number(start)}) == "Accepted"
    expected = [(0, 10.0), (50, 12.0), (100, 7.0), (200, 14.0), (250, 13.0)]
    _agree(await _schedule(bench, duration_s=400), expected)
    _agree(await _schedule(bench, duration_s=400, unit="W"), [(at_s, limit_a * 690) for at_s, limit_a in expected])
    _agree(await _schedule(bench, STATION, 400), [(0, 12.0), (100, 7.0), (200, 14.0)])
    await _draws(bench, 10.0)
    for connector, duration_s in ((9, 60), (1, -1)):
        told = await bench.central.call("GetCompositeSchedule", connectorId=connector, duration=duration_s)
        assert told["status"] == "Rejected"


def _agree(told: list[tuple[int, float]], expected: list[tuple[int, float]]) -> None:
    """The same limits one after the other; what began a moment ago ends a moment earlier."""
    assert [limit for _, limit in told] == [limit for _, limit in expected], told
    assert all(0 <= due_s - at_s <= 1 for (at_s, _), (due_s, _) in zip(told, expected, strict=True)), told


@in_memory()
async def test_tc_067_clear_charging_profile(bench: Bench) -> None:
    """By id, by what is common to several, and all; what is cleared limits nothing from then on."""
    await bench.booted()
    await bench.charging()
    for number, (connector, purpose, level, limit_a) in enumerate(
        ((1, DEFAULT, 2, 7.0), (1, DEFAULT, 1, 9.0), (STATION, DEFAULT, 1, 10.0), (STATION, MAX, 0, 13.0)), 1
    ):
        profile = _profile(purpose, (0, limit_a), number=number, level=level)
        assert await _set(bench, connector, profile) == "Accepted"
    await _draws(bench, 7.0)
    assert await _clear(bench, id=1) == "Accepted"
    assert await _clear(bench, id=1) == "Unknown"
    await _draws(bench, 9.0)
    assert await _clear(bench, connectorId=2, chargingProfilePurpose=DEFAULT) == "Unknown"
    assert await _clear(bench, connectorId=1, chargingProfilePurpose=DEFAULT, stackLevel=1) == "Accepted"
    assert await _schedule(bench) == [(0, 10.0)]
    assert await _clear(bench, chargingProfilePurpose=MAX) == "Accepted"
    assert await _clear(bench) == "Accepted"
    await _draws(bench, FULL_A)
    assert await _clear(bench) == "Unknown"


@in_memory()
async def test_tc_072_stacking_charging_profiles(bench: Bench) -> None:
    """The highest level that says something acts; where it ends, the next lower one takes over."""
    await bench.booted()
    begin = to_stamp(bench.central.utc_s())
    low = _profile(DEFAULT, (0, 8.0), number=1, level=0)
    middle = _profile(DEFAULT, (0, 12.0), number=2, level=1, startSchedule=begin, duration=35)
    high = _profile(DEFAULT, (0, 10.0), number=3, level=2, startSchedule=begin, duration=20)
    for profile in (high, low, middle):
        assert await _set(bench, 1, profile) == "Accepted"
    _agree(await _schedule(bench), [(0, 10.0), (20, 12.0), (35, 8.0)])
    await bench.charging()
    await _draws(bench, 10.0)
    await _draws(bench, 12.0, within_s=25)
    await _draws(bench, 8.0, within_s=20)
    same_place = _profile(DEFAULT, (0, 9.0), number=4, level=0)
    assert await _set(bench, 1, same_place) == "Accepted"
    await _draws(bench, 9.0)
    assert await _clear(bench, id=1) == "Unknown", "it gave way to the one in its place"


@in_memory()
async def test_tc_082_tx_default_profile_with_a_transaction_running(bench: Bench) -> None:
    """A new one acts at once, 0 is a pause, and its end is felt; the transaction goes on throughout."""
    await bench.booted()
    start = await bench.charging()
    await _draws(bench, FULL_A)
    assert await _set(bench, STATION, _profile(DEFAULT, (0, 10.0), number=1)) == "Accepted"
    await _draws(bench, 10.0)
    assert await _set(bench, 1, _profile(DEFAULT, (0, 0.0), number=2)) == "Accepted"
    await bench.status("SuspendedEVSE")
    await bench.rig.until_world("open", lambda at: not at["is_contactor_closed"], within_s=5.0)
    assert await _clear(bench, id=2) == "Accepted"
    await bench.status("Charging", within_s=30)
    await _draws(bench, 10.0)
    await bench.swipe()
    await bench.stopped(start)
    assert len(bench.central.sent("StartTransaction")) == 1
