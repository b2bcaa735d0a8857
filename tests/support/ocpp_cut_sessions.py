"""Interrupted at every write: what belongs to sessions."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ocpp.v16 import call

from tests.support.ocpp_cut_scenarios import ReserveNow, SetProfile
from tests.support.ocpp_cuts import CutRig, Scenario
from tests.support.rig import CARD


class ReservationUsed(ReserveNow):
    """The owner charges; the same number is then given again, elsewhere."""

    async def prepare(self) -> None:
        assert await self.reserve(41, 1, CARD) == "Accepted"
        await self.rig.plug()
        self.may = [frozenset({(41, 1, CARD)}), frozenset()]

    async def act(self) -> None:
        await self.rig.begin()
        self.may = [frozenset()]
        await self.asked(self.reserve(41, 2, "OTHER"), frozenset({(41, 2, "OTHER")}))
        await self.rig.end()

    async def check(self) -> None:
        rig = self.rig
        self.found(self.held())
        is_used = rig.core.connectors[1].session.transaction is not None or bool(rig.central.of("StartTransaction"))
        assert ((41, 1, CARD) in self.held()) is not is_used
        if not is_used:
            await rig.begin()
            assert self.held() == frozenset()
        await rig.end()
        await rig.leave()
        await rig.drained()
        starts = {one.message_id: one.payload.get("reservation_id") for one in rig.central.of("StartTransaction")}
        assert list(starts.values()) == [41]


class TxProfileEnds(SetProfile):
    """A profile for the running transaction goes when that goes."""

    async def prepare(self) -> None:
        await self.rig.plug()
        await self.rig.begin()
        await self.rig.drained()
        self.may = [{}]

    async def act(self) -> None:
        number = next(iter(self.rig.central.transactions))
        profile = self.profile(5, 8.0, purpose="TxProfile", transaction_id=number)
        await self.asked(self.set(1, profile), {5: (1, 8.0)})
        self.may.append({})
        await self.rig.end()
        await self.rig.drained()
        self.may = [{}]
        await self.rig.leave()

    async def check(self) -> None:
        self.found(self.installed())
        runs = self.rig.core.connectors[1].session.transaction is not None
        assert runs or not self.installed()
        if self.installed():
            await self.rig.until_world("limited", lambda at: 0.0 < at["current_a"]["l1"] <= 8.0)
        await self.rig.end()
        await self.rig.leave()
        assert self.installed() == {}
        assert self.rig.store is not None
        assert await self.rig.store.kept("charging_profiles") == {}


class RemoteStartWithProfile(TxProfileEnds):
    """The transaction a RemoteStartTransaction brings a profile for is never without it."""

    async def prepare(self) -> None:
        await self.rig.plug()

    async def act(self) -> None:
        request = call.RemoteStartTransaction(
            id_tag=CARD, connector_id=1, charging_profile=self.profile(5, 8.0, purpose="TxProfile")
        )
        assert str((await self.rig.central.command(request)).status) == "Accepted"
        await self.rig.until_state("Charging")
        await self.rig.sleep(4.0)

    async def check(self) -> None:
        rig = self.rig
        runs = rig.core.connectors[1].session.transaction is not None
        assert self.installed() == ({5: (1, 8.0)} if runs else {})
        assert rig.plant.outlets[1].drawn_a <= 8.0
        if runs:
            await rig.until_state("Charging")
            await rig.sleep(3.0)
        await rig.end()
        await rig.leave()


class OfflineQueue(Scenario):
    """Three sessions without a central system, then it is back."""

    keys: Mapping[str, Any] = MappingProxyType({"AllowOfflineTxForUnknownId": True})
    is_in_second_copy = True
    cards: tuple[str, ...] = ("ONE", "TWO", "THREE")

    def __init__(self, rig: CutRig) -> None:
        super().__init__(rig)
        self.step = 0

    async def prepare(self) -> None:
        self.rig.central.is_reachable = False
        await self.rig.central.drop()
        await self.rig.until_view("offline", lambda _: not self.rig.latest.is_central_system_connected)

    async def act(self) -> None:
        """Goes on where the process before ended: every step does nothing where it is done."""
        while self.step < 4 * len(self.cards):
            card = self.cards[self.step // 4]
            match self.step % 4:
                case 0:
                    await self.rig.plug()
                case 1:
                    await self.rig.begin(card)
                case 2:
                    await self.rig.end(card)
                case 3:
                    await self.rig.leave()
            await self.rig.process.hang_if_dead()
            self.step += 1
        await self.rig.drained()

    async def check(self) -> None:
        await self.act()
        starts = self.rig.central.of("StartTransaction")
        assert list({one.message_id: one.payload["id_tag"] for one in starts}.values()) == list(self.cards)


class HeldStop(OfflineQueue):
    """One session with a central system; the stop waits for the register after the contactor has opened."""

    keys = MappingProxyType({})
    cards = (CARD,)

    async def prepare(self) -> None:
        await self.rig.plug()
        await self.rig.begin()
        self.step = 2


class ScheduledAvailability(Scenario):
    """Taken out of service while a car charges, and put back later."""

    async def prepare(self) -> None:
        await self.rig.plug()
        await self.rig.begin()
        self.may = [frozenset()]

    async def act(self) -> None:
        ask = self.rig.central.change_availability
        await self.asked(ask(1, "Inoperative"), frozenset({1}), "Scheduled")
        await self.rig.end()
        await self.rig.leave()
        await self.rig.until_state("Unavailable")
        await self.asked(ask(2, "Inoperative"), frozenset({1, 2}))
        await self.asked(ask(0, "Operative"), frozenset())

    async def check(self) -> None:
        rig = self.rig
        self.found(rig.core.orders.inoperative)
        is_out = 1 in rig.core.orders.inoperative
        if rig.plant.outlets[1].has_car:
            await rig.end()
            await rig.leave()
        await rig.until_central("told", lambda: rig.central.states(1)[-1] == ("Unavailable" if is_out else "Available"))


SESSIONS: tuple[type[Scenario], ...] = (
    ReservationUsed,
    TxProfileEnds,
    RemoteStartWithProfile,
    OfflineQueue,
    HeldStop,
    ScheduledAvailability,
)
