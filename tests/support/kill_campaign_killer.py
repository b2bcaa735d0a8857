"""Kills guard, agent or everything, waits until all is up again, and measures how long that took."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from evcharge_agent.demo.frames import FrameLog
from tests.support.kill_campaign_evidence import WAL_NAME, SentFrames, count, look
from tests.support.kill_campaign_plan import Kill, Moment, Plan, Victim
from tests.support.kill_campaign_watch import WriteTrigger, kill_all
from tests.support.process_rig import ProcessRig

OPEN_WITHIN_S = 4.1
"""DESIGN D2: the contactor after the last frame of the guard."""
LOOK_S = 0.05
"""How closely a rig can look."""
SETTLED_WITHIN_S = 40.0
_ARRIVES_WITHIN_S = 0.05
"""What a dead process had written to its socket."""
_WRITES_WITHIN_S = 6.0
_NAMES = {Victim.AGENT: ("agent",), Victim.GUARD: ("guard",), Victim.POWER: ("agent", "guard", "world")}


@dataclass
class Tally:
    """What happened, over all rigs of a campaign."""

    kills: Counter[str] = field(default_factory=Counter)
    """By moment."""
    evidence: Counter[str] = field(default_factory=Counter)
    """What was on the disk of the killed agent."""
    recoveries_s: list[float] = field(default_factory=list)
    """From the last kill until guard, agent and, where it can be reached, the central system are together."""
    openings_s: list[float] = field(default_factory=list)
    """From the death of the guard until the closed contactor was open."""
    resumes_s: list[float] = field(default_factory=list)
    """From the last kill until energy flowed again, where the session waited for that."""
    sessions: int = 0
    resent: int = 0
    """Transaction messages the central system got more than once, with the same message id."""
    shortfalls_wh: list[int] = field(default_factory=list)
    """What a stop said too little, where the kill came while it was written."""


class Killer:
    """One rig's misfortune."""

    def __init__(self, rig: ProcessRig, state_dir: Path, tally: Tally) -> None:
        self._rig = rig
        self._agent_dir = state_dir / "agent"
        # All frames are needed, to know which messages had been sent.
        rig.central.frames = FrameLog(kept=1_000_000)
        self._sent = SentFrames(rig.central.frames)
        self._tally = tally
        self.killed_s = 0.0
        """Monotonic time of the last kill."""
        self.shots: Counter[str] = Counter()
        """Kills after which the simulation itself starts the process again."""

    async def strike(self, plan: Plan, kill: Kill) -> None:
        """Wait, kill, and return when all is up again."""
        await self._rig.sleep(kill.delay_s)
        is_closed = await self._is_closed(plan)
        pids = self._pids(plan.victim)
        if kill.down_s:
            self.killed_s = time.monotonic()
            await self._rig.kill(plan.victim.value)
        else:
            self._shoot(plan.victim)
        await self._after(plan, kill, pids, is_closed=is_closed)

    def arm(self, plan: Plan, kill: Kill) -> WriteTrigger:
        """Make ready to kill at the write the kill names; `spring` waits for it."""
        pids = self._pids(plan.victim)
        return WriteTrigger(self._agent_dir / WAL_NAME, pids, kill.write, kill.delay_s, _WRITES_WITHIN_S)

    async def spring(self, plan: Plan, kill: Kill, trigger: WriteTrigger) -> None:
        """As `strike`, at the write; where there are not so many writes, a while after them."""
        pids = self._pids(plan.victim)
        fired_s = await asyncio.to_thread(trigger.wait)
        if fired_s is None:
            await self.strike(plan, kill)
            return
        self.killed_s = fired_s
        self.shots.update(name for name in _NAMES[plan.victim] if name != "world")
        await self._after(plan, kill, pids, is_closed=False)

    async def _after(self, plan: Plan, kill: Kill, pids: Sequence[int], *, is_closed: bool) -> None:
        self._tally.kills[kill.moment.value] += 1
        await self._until_gone(pids)
        if plan.victim is not Victim.GUARD:
            await self._look()
        if plan.victim is Victim.POWER:
            await self._rig.cut_power()
            await self._cut_again(kill)
        else:
            if is_closed and plan.victim is Victim.GUARD:
                await self._until_open(plan)
            await self._bring_back(plan, kill)
            await self._kill_again(plan, kill)
        await self._settle(plan)

    async def _cut_again(self, kill: Kill) -> None:
        for delay_s in kill.again_s:
            await self._rig.sleep(delay_s)
            self.killed_s = time.monotonic()
            self._tally.kills[Moment.STARTING_UP.value] += 1
            await self._rig.cut_power()

    async def _bring_back(self, plan: Plan, kill: Kill) -> None:
        """Start a process that was kept down."""
        if kill.down_s:
            await self._rig.sleep(kill.down_s)
            await self._rig.start(plan.victim.value)
            self.killed_s = time.monotonic()

    async def _until_open(self, plan: Plan) -> None:
        while await self._is_closed(plan):
            assert time.monotonic() - self.killed_s <= OPEN_WITHIN_S + LOOK_S, "the contactor stays closed"
            await self._rig.sleep(self._rig.poll_s)
        opened_s = time.monotonic() - self.killed_s
        assert opened_s <= OPEN_WITHIN_S + LOOK_S, f"the contactor opened only after {opened_s:.2f} s"
        self._tally.openings_s.append(opened_s)

    async def _kill_again(self, plan: Plan, kill: Kill) -> None:
        for delay_s in kill.again_s:
            await self._until_back(plan.victim.value)
            await self._rig.sleep(delay_s)
            self._tally.kills[Moment.STARTING_UP.value] += 1
            await self._until_gone(self._shoot(plan.victim))
            if plan.victim is Victim.AGENT:
                await self._look()

    async def _settle(self, plan: Plan) -> None:
        if plan.victim is not Victim.POWER:
            await self._until_back(plan.victim.value)
        while not await self._is_settled(plan):
            waited_s = time.monotonic() - self.killed_s
            assert waited_s < SETTLED_WITHIN_S, f"{waited_s:.0f} s after the kill not everything is up again"
            await self._rig.sleep(self._rig.poll_s)
        self._tally.recoveries_s.append(time.monotonic() - self.killed_s)

    async def _is_settled(self, plan: Plan) -> bool:
        station = await self._rig.ask("status")
        if not station or not station["is_guard_connected"]:
            return False
        if self._rig.central.is_reachable and not station["is_central_system_accepted"]:
            return False
        view = await self._rig.view(plan.connector)
        return bool(view) and view["state"] != "Unavailable"

    async def _is_closed(self, plan: Plan) -> bool:
        return bool((await self._rig.at(plan.connector))["is_contactor_closed"])

    async def _look(self) -> None:
        await self._rig.sleep(_ARRIVES_WITHIN_S)
        found = await asyncio.to_thread(look, self._agent_dir, set(self._sent.update()))
        count(found, self._tally.evidence)

    def _pids(self, victim: Victim) -> tuple[int, ...]:
        return tuple(self._rig.pid(name) for name in _NAMES[victim])

    def _shoot(self, victim: Victim) -> tuple[int, ...]:
        """SIGKILL now; return who it hit."""
        pids = self._pids(victim)
        kill_all(pids)
        self.killed_s = time.monotonic()
        self.shots.update(name for name in _NAMES[victim] if name != "world")
        return pids

    async def _until_gone(self, pids: Sequence[int]) -> None:
        for pid in pids:
            while not _is_gone(pid):
                await self._rig.sleep(0.001)
        self._gone = frozenset(pids)

    async def _until_back(self, name: str) -> None:
        """Wait until the simulation has started the one that was killed again."""
        while self._rig.pid(name) in self._gone:
            assert time.monotonic() - self.killed_s < SETTLED_WITHIN_S, f"{name} was not started again"
            await self._rig.sleep(self._rig.poll_s)


def _is_gone(pid: int) -> bool:
    """A dead process whose parent has not taken note yet is gone as well."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rpartition(")")[2].split()[0] in "ZX"
