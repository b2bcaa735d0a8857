"""Kills at random moments of real sessions, hundreds of them, with two booted chargers at a time.

Everything that is random comes from one seed: `EVC_SOAK_SEED=4711` repeats a whole campaign, `EVC_SOAK_SEED=4711/3`
only its batch 3 (one booted charger with its sessions). `EVC_SOAK_KILLS=agent=20,guard=10,power=20` changes how many
kills there are at least.
"""

import asyncio
import os
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.stats import quantile

from tests.support.kill_campaign_judge import Truth, judge
from tests.support.kill_campaign_killer import Killer, Tally
from tests.support.kill_campaign_plan import Plan, Victim, draw_batch
from tests.support.kill_campaign_session import SessionRun
from tests.support.process_rig import ProcessRig
from tests.support.rig_settings import RIG_SETTINGS
from tests.support.schemas import FrameChecker

LANES = 2
DEFAULT_KILLS = {Victim.AGENT: 200, Victim.GUARD: 100, Victim.POWER: 200}
SEED_VARIABLE = "EVC_SOAK_SEED"
KILLS_VARIABLE = "EVC_SOAK_KILLS"
_KEYS = {**RIG_SETTINGS["ocpp"]["keys"], "MeterValueSampleInterval": 1, "AllowOfflineTxForUnknownId": True}
SETTINGS: dict[str, Any] = {**RIG_SETTINGS, "ocpp": {**RIG_SETTINGS["ocpp"], "reconnect_max_s": 2, "keys": _KEYS}}
"""The rig's, with more messages in the outbox, and no long wait for a central system that is back again."""


@dataclass(frozen=True, slots=True)
class Orders:
    """What the environment wants."""

    seed: str
    batch: int | None
    kills: int

    @classmethod
    def read(cls, victim: Victim) -> "Orders":
        """Raises `ValueError` for a variable that is not understood."""
        seed, _, batch = os.environ.get(SEED_VARIABLE, str(secrets.randbelow(1_000_000))).partition("/")
        counts = {one.value: count for one, count in DEFAULT_KILLS.items()}
        for item in filter(None, os.environ.get(KILLS_VARIABLE, "").split(",")):
            name, _, count = item.partition("=")
            if name not in counts or not count.isdecimal():
                raise ValueError(f"{KILLS_VARIABLE}: {item!r}: allowed: {', '.join(counts)}, each with =COUNT")
            counts[name] = int(count)
        return cls(seed, int(batch) if batch else None, counts[victim.value])


class Campaign:
    """Call `run` once; `problems` is empty where nothing was lost, nothing was doubled and nothing stayed closed."""

    def __init__(self, victim: Victim, orders: Orders, directory: Path, say: Callable[[str], None]) -> None:
        self._victim = victim
        self._orders = orders
        self._directory = directory
        self._say = say
        self._next_batch = orders.batch or 0
        self._planned = 0
        self._began_s = time.monotonic()
        self.tally = Tally()
        self.problems: list[str] = []

    async def run(self) -> None:
        """Run batches until there were enough kills."""
        await asyncio.gather(*(self._lane() for _ in range(1 if self._orders.batch is not None else LANES)))

    async def _lane(self) -> None:
        while self._planned < self._orders.kills:
            number, self._next_batch = self._next_batch, self._next_batch + 1
            plans = draw_batch(f"{self._orders.seed}-{self._victim.value}-{number}", self._victim)
            self._planned += sum(plan.count for plan in plans)
            state_dir = self._directory / f"{self._victim.value}-{number}"
            state_dir.mkdir(parents=True)
            found = await play(plans, state_dir, self.tally)
            repeat = f"{SEED_VARIABLE}={self._orders.seed}/{number}"
            self.problems += [f"{self._victim.value} batch {number} ({repeat}): {problem}" for problem in found]
            self._say(self._progress(number, found))
            if self._orders.batch is not None:
                return

    def _progress(self, number: int, found: Sequence[str]) -> str:
        elapsed_s = time.monotonic() - self._began_s
        return (
            f"kills of {self._victim.value}, seed {self._orders.seed}, batch {number} done after {elapsed_s:.0f} s:"
            f" {self.tally.kills.total()} of {self._orders.kills} kills, {self.tally.sessions} sessions,"
            f" {len(self.problems)} violations" + "".join(f"\n  {problem}" for problem in found)
        )

    def summary(self) -> str:
        """Figures for people."""
        tally = self.tally
        elapsed_s = time.monotonic() - self._began_s
        head = f"{tally.kills.total()} kills of {self._victim.value}, {tally.sessions} sessions, {elapsed_s:.0f} s"
        lines = [
            f"{head}, seed {self._orders.seed}, {len(self.problems)} violations",
            *(f"  {count:4d} {moment}" for moment, count in tally.kills.most_common()),
            *(f"  {count:4d} found {what}" for what, count in tally.evidence.most_common() if count),
            f"  {tally.resent:4d} starts and stops were sent again, with their own message id",
            _distribution("all up again", tally.recoveries_s),
            _distribution("energy flows again", tally.resumes_s),
            _distribution("contactor open after the guard's death", tally.openings_s),
        ]
        if tally.shortfalls_wh:
            highest = max(tally.shortfalls_wh)
            lines.append(f"  {len(tally.shortfalls_wh):4d} stops without the last reading, at most {highest} Wh low")
        return "\n".join(filter(None, lines))


async def play(plans: Sequence[Plan], state_dir: Path, tally: Tally) -> list[str]:
    """Boot a charger, play the sessions one after the other, judge; return the violations."""
    truths: list[Truth] = []
    problems: list[str] = []
    try:
        async with ProcessRig.running(SETTINGS, state_dir) as rig:
            await rig.until_online()
            killer = Killer(rig, state_dir, tally)
            for plan in plans:
                try:
                    truths.append(await SessionRun(rig, killer, tally, plan).run())
                except Exception as error:
                    error.add_note(f"in {plan}")
                    raise
            problems += judge(rig.central, truths, tally)
            problems += _check_frames(rig)
            problems += _check_restarts(rig, killer, {plan.victim for plan in plans})
    except Exception as error:  # noqa: BLE001 - whatever it was, it is told, and the other batches go on
        problems.append(" / ".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", [])]))
    problems += _check_log(state_dir / "log")
    return problems


def _check_frames(rig: ProcessRig) -> list[str]:
    checker = FrameChecker()
    problems = []
    for frame in rig.central.frames.all():
        try:
            checker.check(frame.text)
        except AssertionError as error:
            problems.append(str(error))
    return problems


def _check_restarts(rig: ProcessRig, killer: Killer, victims: set[Victim]) -> list[str]:
    """Nobody ended but those who were killed; with power cuts there is no telling who was restarted."""
    if Victim.POWER in victims:
        return []
    return [
        f"{name} ended {count} times, and was killed {killer.shots[name]} times"
        for name, count in rig.restarts.items()
        if count != killer.shots[name]
    ]


def _check_log(log: Path) -> list[str]:
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return [f"{log}:{number}: {line}" for number, line in enumerate(lines, start=1) if "Traceback" in line]


def _distribution(what: str, values_s: Sequence[float]) -> str:
    if not values_s:
        return ""
    ordered = sorted(values_s)
    middle_s, high_s = quantile(ordered, 0.5), quantile(ordered, 0.99)
    return f"  {what}: p50 {middle_s:.2f} s, p99 {high_s:.2f} s, max {ordered[-1]:.2f} s ({len(ordered)} times)"
