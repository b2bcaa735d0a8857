"""Plays one session of a kill campaign as a driver would who is not told of kills: a card that did nothing is
held to the reader again."""

import json
from collections.abc import Awaitable, Callable

from evcharge_agent.demo.central_script import Behaviour, TransactionRecord
from tests.support.kill_campaign_judge import Truth
from tests.support.kill_campaign_killer import Killer, Tally
from tests.support.kill_campaign_plan import BEGINNINGS, ENDINGS, WRITES, Kill, Moment, Plan, Victim
from tests.support.process_rig import ProcessRig
from tests.support.rig import CAR, Json

WITHIN_S = 60.0
IMPATIENT_S = 2.0
"""A driver holds the card to the reader again."""
FLOWS_ABOVE_A = 5.0
_SAMPLE_ANSWERED_S = 0.1
_SAMPLES = 40
_UNSENT = (Moment.START_UNSENT, Moment.STOP_UNSENT)
_UNANSWERED = {Moment.START_UNANSWERED: "StartTransaction", Moment.STOP_UNANSWERED: "StopTransaction"}


class SessionRun:
    """Call `run` once."""

    def __init__(self, rig: ProcessRig, killer: Killer, tally: Tally, plan: Plan) -> None:
        self._rig = rig
        self._killer = killer
        self._tally = tally
        self._plan = plan
        self._swiped_s = float("-inf")
        self._is_plugged = False
        self._key: str | None = None

    async def run(self) -> Truth:
        """Plug, card, charge, stop, unplug; return what really happened."""
        rig, plan = self._rig, self._plan
        before_wh = await self._register_wh()
        await rig.do("ev", connector=plan.connector, **CAR)
        await self._strike(Moment.IDLE)
        await rig.do("plug", connector=plan.connector)
        self._is_plugged = True
        await self._strike(Moment.PLUGGED)
        await self._start()
        await self._charge()
        ordered_wh = await self._register_wh()
        await self._stop()
        await self._drain()
        await self._strike(Moment.FINISHED)
        await self._unplug()
        await self._until("gone", lambda view: view["state"] == "Available")
        await rig.until_central("the stop", self._is_stop_told, WITHIN_S)
        rig.central.script.behaviours.clear()
        self._tally.sessions += 1
        return Truth(plan, before_wh, ordered_wh, await self._register_wh())

    # --- the parts ----------------------------------------------------------------------------------------

    async def _start(self) -> None:
        await self._until("waiting for a card", lambda view: view["phase"] == "plugged")
        if self._plan.is_offline:
            await self._hide_central()
        await self._act(self._swipe, self._plan.at(*BEGINNINGS), self._is_begun)
        await self._until("session", self._is_begun, self._swipe_again)
        await self._check_same()
        await self._show_central()

    async def _charge(self) -> None:
        kills = self._plan.at(Moment.CHARGING)
        for kill in kills:
            await self._until_flowing()
            closings = (await self._rig.at(self._plan.connector))["closings"]
            await self._killer.strike(self._plan, kill)
            await self._check_same()
            if self._plan.victim is Victim.AGENT:
                at = await self._rig.at(self._plan.connector)
                assert at["is_contactor_closed"], "the contactor opened for the death of the agent"
                assert at["closings"] == closings, "the contactor opened for the death of the agent"
            if self._plan.is_resume_awaited:
                await self._until_flowing()
                self._tally.resumes_s.append(self._rig.now_s() - self._killer.killed_s)
        if self._plan.is_resume_awaited:
            await self._until_flowing()
        await self._rig.sleep(self._plan.charge_s)

    async def _stop(self) -> None:
        order = self._unplug if self._plan.is_ended_by_unplug else self._swipe
        await self._check_same()
        await self._act(order, self._plan.at(*ENDINGS), self._is_ended)
        await self._until("stopped", self._is_ended, self._swipe_again)
        if not self._plan.is_offline:
            await self._show_central()

    async def _drain(self) -> None:
        if not self._plan.is_offline:
            return
        self._rig.central.script.expect("MeterValues", *[Behaviour(delay_s=_SAMPLE_ANSWERED_S)] * _SAMPLES)
        self._show(is_reachable=True)
        await self._rig.until_central("the drain", lambda: self._is_sent("StartTransaction"), WITHIN_S)
        await self._strike(Moment.DRAINING)

    async def _act(
        self, order: Callable[[], Awaitable[None]], kills: tuple[Kill, ...], is_done: Callable[[Json], bool]
    ) -> None:
        """Give the order to start or stop, with what is to happen at that."""
        if not kills:
            await order()
            return
        (kill,) = kills
        if kill.moment in WRITES:
            trigger = self._killer.arm(self._plan, kill)
            await order()
            await self._killer.spring(self._plan, kill, trigger)
            return
        if kill.moment in _UNSENT:
            await self._hide_central()
        elif kill.moment in _UNANSWERED:
            # Sometimes the answer still comes before the kill, sometimes never.
            slow = Behaviour(delay_s=1.5 * kill.delay_s % 1.0, is_answer_lost=kill.write % 2 == 0)
            self._rig.central.script.expect(_UNANSWERED[kill.moment], slow)
        await order()
        if kill.moment in _UNSENT:
            await self._until("committed", is_done, self._swipe_again)
        elif kill.moment in _UNANSWERED:
            await self._until_sent(_UNANSWERED[kill.moment], is_done)
        await self._killer.strike(self._plan, kill)

    # --- what a driver does ------------------------------------------------------------------------------------

    async def _swipe(self) -> None:
        self._swiped_s = self._rig.now_s()
        await self._rig.do("swipe", id_tag=self._plan.tag, connectors=[self._plan.connector])

    async def _swipe_again(self, view: Json) -> None:
        """The card did nothing: there is no session when there should be one, or the other way round."""
        is_waiting = view["phase"] == ("active" if self._key is not None else "plugged")
        if self._is_plugged and is_waiting and self._rig.now_s() > self._swiped_s + IMPATIENT_S:
            await self._swipe()

    async def _unplug(self) -> None:
        if self._is_plugged:
            self._is_plugged = False
            await self._rig.do("unplug", connector=self._plan.connector)

    async def _strike(self, moment: Moment) -> None:
        for kill in self._plan.at(moment):
            await self._killer.strike(self._plan, kill)

    # --- what is seen ----------------------------------------------------------------------------------------

    def _is_begun(self, view: Json) -> bool:
        return view["session"] is not None and view["phase"] == "active"

    def _is_ended(self, view: Json) -> bool:
        return view["session"] is None and view["phase"] in ("stopping", "finished", "idle", "plugged")

    async def _check_same(self) -> None:
        """There is a transaction, ours, and the same as ever."""
        await self._until("the transaction goes on", self._is_begun)
        session = (await self._rig.view(self._plan.connector))["session"]
        assert session["id_tag"] == self._plan.tag, f"somebody else's session: {session}"
        self._key = self._key or session["transaction"]
        assert session["transaction"] == self._key, f"another transaction: {session}, not {self._key}"

    async def _until(
        self,
        what: str,
        is_true: Callable[[Json], bool],
        otherwise: Callable[[Json], Awaitable[None]] | None = None,
    ) -> None:
        """Wait for the view of this connector; `otherwise` may do something about it meanwhile."""
        began_s = self._rig.now_s()
        while not (view := await self._rig.view(self._plan.connector)) or not is_true(view):
            assert self._rig.now_s() < began_s + WITHIN_S, f"waited in vain for {what}; last seen: {view}"
            if view and otherwise is not None:
                await otherwise(view)
            await self._rig.sleep(self._rig.poll_s)

    async def _until_flowing(self) -> None:
        began_s = self._rig.now_s()
        while (await self._rig.at(self._plan.connector))["current_a"]["l1"] < FLOWS_ABOVE_A:
            if self._rig.now_s() > began_s + WITHIN_S:
                view = await self._rig.view(self._plan.connector)
                raise AssertionError(f"no energy flows; last seen: {view}")
            await self._rig.sleep(self._rig.poll_s)

    async def _until_sent(self, action: str, is_done: Callable[[Json], bool]) -> None:
        await self._until("order taken", is_done, self._swipe_again)
        await self._rig.until_central(f"{action} sent", lambda: self._is_sent(action), WITHIN_S)

    def _is_sent(self, action: str) -> bool:
        """The message of this session is on its way, taken in or not."""
        numbers = {record.transaction_id for record in self._records()}
        payloads = [json.loads(one.text)[3] for one in self._rig.central.frames.all() if one.summary == action]
        if action == "StartTransaction":
            return any(payload["idTag"] == self._plan.tag for payload in payloads)
        return any(payload["transactionId"] in numbers for payload in payloads)

    def _is_stop_told(self) -> bool:
        return any(record.meter_stop_wh is not None for record in self._records())

    def _records(self) -> list[TransactionRecord]:
        return [one for one in self._rig.central.transactions.values() if one.id_tag == self._plan.tag]

    async def _register_wh(self) -> int:
        return int((await self._rig.at(self._plan.connector))["energy_wh"])

    # --- the central system -------------------------------------------------------------------------------------

    async def _hide_central(self) -> None:
        self._show(is_reachable=False)
        await self._rig.central.drop()
        await self._rig.until_central("offline", lambda: self._rig.central.session is None)

    async def _show_central(self) -> None:
        """Back again, unless this session is to be offline as a whole."""
        if not self._plan.is_offline:
            self._show(is_reachable=True)

    def _show(self, *, is_reachable: bool) -> None:
        self._rig.central.is_reachable = is_reachable
