"""Latencies of everything that opens a contactor or lowers a current, with the agent idle and under load."""

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from bench import echo
from bench.proc import read_usage
from bench.results import Figure, Latency, Results
from bench.throughput import PAGE
from bench.wired import CONNECTORS, HIGHEST_A, WiredRig
from evcharge_agent.runtime.control import control_request

STEP_A = 0.1
"""The smallest step there is. Only cuts are timed: raises are five seconds apart on purpose."""
EDGE_GAP_S = 0.004
RCM_AIM = "p99 ≤ 5, p99.9 ≤ 10 (≤ 1 with FIFO)"


@dataclass(frozen=True, slots=True)
class Counts:
    """How often each thing is tried, under each load."""

    edges: int
    plugs: int
    rounds: int
    cuts: int
    kills: int


@dataclass(slots=True)
class _Tries:
    """Outcomes by what was timed; None is a trial without outcome."""

    found: dict[str, list[float | None]] = field(default_factory=dict)

    def add(self, name: str, *values: float | None) -> None:
        self.found.setdefault(name, []).extend(values)

    def latency(self, name: str, text: str, load: str, bare: str = "", aim: str = "") -> Latency:
        values = self.found.get(name, [])
        return Latency(
            text, load, list(_seen(values)), list(_seen(self.found.get(bare, []))), aim, sum(v is None for v in values)
        )


def measure(log: Path, counts: Counts, results: Results, say: Callable[[str], None]) -> None:
    """Measure everything the stand-in can time."""
    with WiredRig(log) as rig:
        for load in ("idle", "OCPP storm"):
            _measure_load(rig, load, counts, results, say)
        say("killing guard and agent")
        _measure_kills(rig, counts.kills, results)


def _measure_load(rig: WiredRig, load: str, counts: Counts, results: Results, say: Callable[[str], None]) -> None:
    is_storm = load != "idle"
    # A guard that remembers no closing, so that both loads get the same number of them.
    rig.kill("guard")
    rig.spawn_guard()
    rig.until("the guard", lambda: rig.view(1).get("state") == "Available")
    tries = _Tries()
    if is_storm:
        rig.central.ask("storm", is_on=True)
    before, began_s = read_usage(rig.pid("agent")), time.monotonic()
    for number in range(counts.rounds):
        say(f"{load}: closed contactors, round {number + 1} of {counts.rounds}")
        _round(rig, counts.cuts, tries)
    say(f"{load}: {counts.plugs} plug-ins")
    plugs = rig.world.ask("plugs", count=counts.plugs)
    say(f"{load}: {counts.edges} RCM edges")
    edges = rig.world.ask("edges", connector=1, count=counts.edges, gap_s=EDGE_GAP_S)
    cpu_pct = 100.0 * (read_usage(rig.pid("agent")).cpu_s - before.cpu_s) / (time.monotonic() - began_s)
    tries.add("edge", *edges["real"])
    tries.add("edge echo", *edges["echo"])
    tries.add("frame", *plugs["real"])
    tries.add("frame echo", *plugs["echo"], *tries.found.get("short echo", []))
    rig.leave()
    if is_storm:
        rates = rig.central.ask("storm", is_on=False)
        how = f"{rates['answered_per_s']:.0f} requests/s answered, {rates['refused_per_s']:.0f} refused"
        results.figures.append(Figure("agent's CPU during the storm", cpu_pct, "% of a core", how))
    results.latencies += [
        tries.latency("edge", "RCM edge → relay-off line", load, "edge echo", RCM_AIM),
        tries.latency("trip relay", "the same, contactor closed", load, "edge echo", RCM_AIM),
        tries.latency("trip permit", "RCM edge → permit dropped", load),
        tries.latency("frame", "STATUS frame → relay line driven off", load, "frame echo"),
        tries.latency("short guard", "STATUS frame with E → relay line off", load, "frame echo"),
        tries.latency("short relay", "pilot E → relay line off (25 ms debounce)", load),
        tries.latency("short permit", "pilot E → permit dropped (25 ms debounce)", load),
        tries.latency("cut", "user limit cut → CONTROL frame", load, "cut echo", "p99 ≤ 50"),
        tries.latency("sync", "beside it: 4 KiB written and synced on the same disk", load),
    ]


def _round(rig: WiredRig, cuts: int, tries: _Tries) -> None:
    """Charge at both connectors, lower the limit step by step, then trip one in each of the two ways."""
    rig.charge()
    time.sleep(0.3)
    for number in range(cuts):
        limit_a = HIGHEST_A - STEP_A * (number + 1)
        rig.world.ask("forget")
        asked_s = rig.set_limit(limit_a)
        told_s = rig.world.ask("limit", connector=1, limit_ma=round(limit_a * 1000.0))
        tries.add("cut", None if told_s is None else told_s - asked_s)
        tries.add("cut echo", _echo_cut(rig))
        tries.add("sync", _sync(rig.state))
        time.sleep(0.005 + 0.02 * (number * 0.618 % 1.0))
    short = rig.world.ask("short", connector=1)
    trip = rig.world.ask("trip", connector=2)
    for what, outcome in (("short", short), ("trip", trip)):
        for name, value in outcome.items():
            tries.add(f"{what} {name}", value)
    rig.leave()


def _echo_cut(rig: WiredRig) -> float | None:
    """The same hops without anything of ours: control socket, asyncio, unix socket, selectors, pty."""
    rig.world.ask("forget")
    asked_s = time.monotonic()
    control_request(rig.folder / echo.AGENT_SOCKET, {"command": "config.set"})
    told_s = rig.world.ask("mark", name="echo_duty", within_s=2.0)
    return None if told_s is None else told_s - asked_s


def _sync(folder: Path) -> float:
    """What the disk alone takes of a setting that is durable before it acts."""
    began_s = time.monotonic()
    with (folder / "page").open("wb", buffering=0) as file:
        file.write(PAGE)
        os.fdatasync(file.fileno())
    return time.monotonic() - began_s


def _measure_kills(rig: WiredRig, count: int, results: Results) -> None:
    tries = _Tries()
    rig.charge()
    for _ in range(count):
        rig.wait_closed()
        _kill_agent(rig, tries)
        rig.world.ask("forget")
        killed_s = rig.kill("guard")
        for name in ("pwm_off_1", "permit_off_1"):
            at_s = rig.world.ask("mark", name=name, within_s=6.0)
            tries.add(name, None if at_s is None else at_s - killed_s)
        rig.world.ask("forget")
        spawned_s = rig.spawn_guard()
        ready_s = rig.world.ask("mark", name="control", within_s=5.0)
        tries.add("ready", None if ready_s is None else ready_s - spawned_s)
    results.latencies += [
        tries.latency("pwm_off_1", "kill -9 of the guard → PWM gone", "idle", aim="≤ 1050"),
        tries.latency("permit_off_1", "kill -9 of the guard → permit dropped", "idle", aim="≤ 1050"),
        tries.latency("ready", "guard started → first CONTROL frame", "idle", aim="≤ 600"),
        tries.latency("agent back", "agent restarted → same transaction", "idle"),
    ]


def _kill_agent(rig: WiredRig, tries: _Tries) -> None:
    """The transaction before and after a restart is the same, and the contactors stay closed."""
    rig.until("Charging", lambda: _transaction(rig) is not None)
    before = _transaction(rig)
    rig.kill("agent")
    spawned_s = rig.spawn_agent()
    back_s = rig.until("the same transaction", lambda: _transaction(rig) == before)
    is_still_closed = rig.world.ask("health")["closed"] == list(CONNECTORS)
    tries.add("agent back", back_s - spawned_s if is_still_closed else None)


def _transaction(rig: WiredRig) -> str | None:
    view = rig.view(1)
    session = view.get("session") if view.get("state") == "Charging" else None
    return str(session["transaction"]) if session else None


def _seen(values: Iterable[float | None]) -> Iterable[float]:
    return (value for value in values if value is not None)
