"""Interrupted at every write: what a central system asks for and is answered. Each class knows what must be left."""

from collections.abc import Mapping
from typing import Any

from ocpp.v16 import call

from evcharge_agent.ocpp16.security.ports import SecurityEvent
from tests.support.ocpp_cuts import CutRig, Scenario
from tests.support.rig import CARD

Reserved = frozenset[tuple[int, int, str]]
"""(number, connector, id tag)"""


class ReserveNow(Scenario):
    """Two reservations, each answered."""

    async def prepare(self) -> None:
        self.may = [frozenset()]

    async def act(self) -> None:
        one, other = (41, 1, CARD), (42, 2, "OTHER")
        await self.asked(self.reserve(*one), frozenset({one}))
        await self.asked(self.reserve(*other), frozenset({one, other}))

    async def reserve(self, number: int, connector: int, card: str) -> str:
        return await self.rig.central.reserve(connector, card, number)

    def held(self) -> Reserved:
        """As the core has it."""
        held = self.rig.core.reserved.held
        return frozenset((number, one.connector, one.id_tag) for number, one in held.items())

    async def check(self) -> None:
        self.found(self.held())
        for connector in (1, 2):
            is_reserved = any(one[1] == connector for one in self.held())
            last = self.rig.central.states(connector)[-1]
            assert last == ("Reserved" if is_reserved else "Available"), (connector, last)
            if is_reserved:
                assert await self.rig.central.remote_start(connector, "STRANGER") == "Rejected"
        for number, _, _ in self.held():
            assert await self.rig.central.cancel_reservation(number) == "Accepted"


class ReservationReplacedThenCancelled(ReserveNow):
    """The number moves to another connector and card, then it is withdrawn."""

    async def prepare(self) -> None:
        assert await self.reserve(41, 1, CARD) == "Accepted"
        self.may = [frozenset({(41, 1, CARD)})]

    async def act(self) -> None:
        await self.asked(self.reserve(41, 2, "OTHER"), frozenset({(41, 2, "OTHER")}))
        await self.asked(self.rig.central.cancel_reservation(41), frozenset())


class LocalListFull(Scenario):
    """Three whole lists, the last one empty."""

    lists: tuple[tuple[int, Mapping[str, str]], ...] = (
        (1, {"A": "Accepted", "B": "Blocked"}),
        (7, {"B": "Accepted", "C": "Accepted", "D": "Expired"}),
        (0, {}),
    )

    async def prepare(self) -> None:
        self.may = [(0, {})]

    async def act(self) -> None:
        for version, tags in self.lists:
            question = self.rig.central.send_local_list(version or 9, tags)
            await self.asked(question, (version, tags))

    def listed(self) -> tuple[int, Mapping[str, str]]:
        """As the core has it."""
        current = self.rig.core.listed.current
        return current.version, {tag: info.status.value for tag, info in current.entries.items()}

    async def check(self) -> None:
        self.found(self.listed())
        version = self.listed()[0]
        assert await self.rig.central.local_list_version() == version
        assert await self.rig.central.send_local_list(version + 1, {"Z": "Accepted"}, "Differential") == "Accepted"


class LocalListDifferential(LocalListFull):
    """Entries are put, changed and removed; never are they of one version and the number of another."""

    async def prepare(self) -> None:
        first = {"A": "Accepted", "B": "Blocked", "C": "Accepted"}
        assert await self.rig.central.send_local_list(3, first) == "Accepted"
        self.may = [(3, first)]

    async def act(self) -> None:
        change: Any = self.rig.central.send_local_list
        await self.asked(
            change(4, {"B": None, "D": "Expired"}, "Differential"),
            (4, {"A": "Accepted", "C": "Accepted", "D": "Expired"}),
        )
        await self.asked(
            change(9, {"A": "Blocked", "C": None, "D": None}, "Differential"),
            (9, {"A": "Blocked"}),
        )
        await self.asked(change(10, {"A": None}, "Differential"), (0, {}))


class SetProfile(Scenario):
    """Profiles replace others: by their id, and by purpose and stack level."""

    def profile(self, number: int, limit: float, *, purpose: str = "TxDefaultProfile", **more: Any) -> dict[str, Any]:
        return {
            "charging_profile_id": number,
            "stack_level": 0,
            "charging_profile_purpose": purpose,
            "charging_profile_kind": "Relative",
            "charging_schedule": {
                "charging_rate_unit": "A",
                "charging_schedule_period": [{"start_period": 0, "limit": limit}],
            },
            **more,
        }

    async def set(self, connector: int, profile: dict[str, Any]) -> str:
        request = call.SetChargingProfile(connector_id=connector, cs_charging_profiles=profile)
        return str((await self.rig.central.command(request)).status)

    def installed(self) -> dict[int, tuple[int, float]]:
        """Connector and limit of each profile, by id."""
        profiles = self.rig.latest.charging.profiles
        return {one.profile.id: (one.connector, one.profile.schedule.periods[0].limit) for one in profiles}

    async def limit(self, connector: int) -> float:
        """What GetCompositeSchedule says, A."""
        answer = await self.rig.central.command(call.GetCompositeSchedule(connector_id=connector, duration=60))
        return float(answer.charging_schedule["charging_schedule_period"][0]["limit"])

    async def prepare(self) -> None:
        assert await self.set(1, self.profile(1, 10.0)) == "Accepted"
        self.may = [{1: (1, 10.0)}]

    async def act(self) -> None:
        await self.asked(self.set(1, self.profile(1, 8.0)), {1: (1, 8.0)})
        await self.asked(self.set(1, self.profile(2, 7.0)), {2: (1, 7.0)})
        await self.asked(self.set(2, self.profile(2, 9.0)), {2: (2, 9.0)})

    async def check(self) -> None:
        self.found(self.installed())
        for connector, limit in self.installed().values():
            assert await self.limit(connector) == limit


class ClearProfiles(SetProfile):
    """Three of four go with one request, all or none."""

    async def prepare(self) -> None:
        for number in (1, 2, 3):
            assert await self.set(1, self.profile(number, 6.0 + number, stack_level=number)) == "Accepted"
        most = self.profile(4, 15.0, purpose="ChargePointMaxProfile", charging_profile_kind="Absolute")
        assert await self.set(0, most) == "Accepted"
        self.may = [{1: (1, 7.0), 2: (1, 8.0), 3: (1, 9.0), 4: (0, 15.0)}]

    async def act(self) -> None:
        await self.asked(self.clear(charging_profile_purpose="TxDefaultProfile"), {4: (0, 15.0)})
        await self.asked(self.clear(), {})

    async def clear(self, **criteria: Any) -> str:
        return str((await self.rig.central.command(call.ClearChargingProfile(**criteria))).status)

    async def check(self) -> None:
        self.found(self.installed())


class ChangeConfiguration(Scenario):
    """Keys of several kinds, one after the other, one of them twice."""

    changes = (
        ("WebSocketPingInterval", "77"),
        ("MeterValuesSampledData", "Power.Active.Import"),
        ("LocalAuthorizeOffline", "false"),
        ("WebSocketPingInterval", "78"),
        ("ConnectionTimeOut", "99"),
        ("StopTransactionOnInvalidId", "false"),
    )

    async def read(self) -> dict[str, str | None]:
        """As GetConfiguration tells."""
        return await self.rig.central.get_configuration(*dict(self.changes))

    async def prepare(self) -> None:
        self.may = [await self.read()]

    async def act(self) -> None:
        now = await self.read()
        for key, value in self.changes:
            now = {**now, key: value}
            await self.asked(self.rig.central.change_configuration(key, value), now)

    async def check(self) -> None:
        self.found(await self.read())


class SecurityEvents(Scenario):
    """Critical ones reach the central system in order, whoever was away when they happened."""

    wanted = (
        SecurityEvent.TAMPER_DETECTION_ACTIVATED,
        SecurityEvent.MEMORY_EXHAUSTION,
        SecurityEvent.INVALID_MESSAGES,
        SecurityEvent.TAMPER_DETECTION_ACTIVATED,
        SecurityEvent.FIRMWARE_UPDATED,
    )

    def __init__(self, rig: CutRig) -> None:
        super().__init__(rig)
        self.sure: list[str] = []
        """Critical ones that were on the disk."""

    async def prepare(self) -> None:
        self.rig.central.is_reachable = False
        await self.rig.central.drop()

    async def act(self) -> None:
        rig = self.rig
        assert rig.vault is not None
        for number, event in enumerate(self.wanted):
            if number == 3:
                rig.central.is_reachable = True
                await rig.until_view("online", lambda _: rig.latest.is_central_system_accepted)
                await rig.sleep(1.0)
            rig.vault.events.report(event, f"number {number}")
            await rig.vault.events.settle(60.0)
            await rig.process.hang_if_dead()
            if event.is_critical:
                self.sure.append(f"number {number}")
        await rig.sleep(5.0)

    async def check(self) -> None:
        rig = self.rig
        assert rig.vault is not None
        assert rig.vault.log is not None
        rig.central.is_reachable = True
        await rig.until_central("told", lambda: rig.vault is not None and rig.vault.events.waiting == 0, 120.0)
        told = [one.payload.get("tech_info") for one in rig.central.of("SecurityEventNotification")]
        numbers = [text for text in told if text is not None and text.startswith("number")]
        critical = [one for one in dict.fromkeys(numbers) if self.wanted[int(one.split()[1])].is_critical]
        logged = rig.vault.log.read().decode()
        written = [
            f"number {number}"
            for number, event in enumerate(self.wanted)
            if event.is_critical and f'"number {number}"' in logged
        ]
        assert critical == sorted(critical), critical
        assert set(self.sure) <= set(critical), f"{self.sure} were on the disk, {critical} were told"
        assert set(written) <= set(critical), f"{written} are in the log, {critical} were told"
        assert set(self.sure) <= set(written), f"{self.sure} happened, {written} are in the log"
        assert rig.vault.log.verify().problems == ()


QUESTIONS: tuple[type[Scenario], ...] = (
    ReserveNow,
    ReservationReplacedThenCancelled,
    LocalListFull,
    LocalListDifferential,
    SetProfile,
    ClearProfiles,
    ChangeConfiguration,
    SecurityEvents,
)
