"""Memory, CPU and bytes written of world, guard and agent, with two connectors, idle and charging."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.child import Child, ChildError
from bench.proc import Usage, read_memory_mb, read_usage
from bench.results import Figure, Results
from bench.stats import per_hour
from bench.wired import CONNECTORS
from evcharge_agent.demo.plan import make_plan
from evcharge_agent.demo.simulation import MODULES, Simulation
from evcharge_agent.runtime.control import ControlError, control_request

SETTLE_S = 3.0
_MB = 1 << 20
_MEMORY_AIMS = {"agent": "≤ 60", "guard": "≤ 25"}
_CPU_AIM = {"agent": "≤ 0.5", "guard": "≤ 0.5"}
CAR = {"request": "charge", "soc_pct": 20.0, "battery_wh": 60_000.0, "current_a": 16.0, "phases": 3}


def measure(log: Path, idle_s: float, charging_s: float, results: Results, say: Callable[[str], None]) -> None:
    """Run the simulated charger with the real world's process."""
    with Child("bench.central", log=log) as central:
        url = central.ask("listen")["url"]
        asyncio.run(_measure(url, log, (idle_s, charging_s), results, say))


async def _measure(
    url: str, log: Path, windows_s: tuple[float, float], results: Results, say: Callable[[str], None]
) -> None:
    agent = {
        "station": {"serial": "BENCH-3"},
        "ocpp": {"url": url},
        "meter": [{"name": f"meter-{at}", "connector": at, "map": "sdm630"} for at in CONNECTORS],
        "reader": [{"name": "reader", "kind": "sim", "connectors": list(CONNECTORS)}],
    }
    # Not in memory: what a tmpfs takes is not counted as written.
    state = Path(tempfile.mkdtemp(prefix="evcharge-bench-", dir="/var/tmp"))
    try:
        async with Simulation(make_plan(agent, {"board": {"name": "sim"}}, {}), state, log) as simulation:
            await _until(simulation, "Available")
            say(f"idle for {windows_s[0]:.0f} s")
            await _window(simulation, "idle", windows_s[0], results)
            for at in CONNECTORS:
                await asyncio.to_thread(simulation.sim.perform, "ev", connector=at, **CAR)
                await asyncio.to_thread(simulation.sim.perform, "plug", connector=at)
                await asyncio.to_thread(simulation.sim.perform, "swipe", id_tag=f"CARD{at}", connectors=[at])
            await _until(simulation, "Charging")
            say(f"charging at both connectors for {windows_s[1]:.0f} s")
            await _window(simulation, "charging", windows_s[1], results)
    finally:
        shutil.rmtree(state, ignore_errors=True)


async def _window(simulation: Simulation, load: str, duration_s: float, results: Results) -> None:
    await asyncio.sleep(SETTLE_S)
    before = {name: read_usage(simulation.pid(name)) for name in MODULES}
    began_s = time.monotonic()
    await asyncio.sleep(duration_s)
    measured_s = time.monotonic() - began_s
    for name in ("guard", "agent", "world"):
        _report(name, load, simulation.pid(name), before[name], measured_s, results)


def _report(name: str, load: str, pid: int, before: Usage, measured_s: float, results: Results) -> None:
    now = read_usage(pid)
    rss_mb, pss_mb = read_memory_mb(pid)
    cpu_pct = 100.0 * (now.cpu_s - before.cpu_s) / measured_s
    written_mb = per_hour((now.written_bytes - before.written_bytes) / _MB, measured_s)
    is_idle = load == "idle"
    results.figures += [
        Figure(f"{name} {load}: RSS", rss_mb, "MB", f"PSS {pss_mb:.1f} MB", aim=_MEMORY_AIMS.get(name, "")),
        Figure(
            f"{name} {load}: CPU",
            cpu_pct,
            "% of a core",
            f"over {measured_s:.0f} s",
            aim=_CPU_AIM.get(name, "") if is_idle else "",
        ),
    ]
    if name != "world":
        aim = "≤ 0.2 (5 a day)" if is_idle and name == "agent" else ""
        how = f"extrapolated from {measured_s:.0f} s"
        results.figures.append(Figure(f"{name} {load}: written", written_mb, "MB/h", how, aim=aim))


async def _until(simulation: Simulation, state: str, within_s: float = 30.0) -> None:
    end_s = time.monotonic() + within_s
    while time.monotonic() < end_s:
        view = await asyncio.to_thread(_view, simulation.runtime_dir / "agent.sock")
        if [at["state"] for at in view.get("connectors", [])] == [state] * len(CONNECTORS):
            return
        await asyncio.sleep(0.1)
    raise ChildError(f"waited {within_s:.0f} s in vain for {state}")


def _view(socket_path: Path) -> dict[str, Any]:
    try:
        return control_request(socket_path, {"command": "status"})
    except ControlError:
        return {}
