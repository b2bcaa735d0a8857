"""`evcharge-agent demo` and `evcharge-agent simulate`."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

from evcharge_agent.demo.central_system import CentralSystem
from evcharge_agent.demo.charge import ChargeReport, ScriptedCharge
from evcharge_agent.demo.frames import Direction, LoggedFrame
from evcharge_agent.demo.live_view import Screen
from evcharge_agent.demo.plan import demo_plan, plan_from_file
from evcharge_agent.demo.simulation import Simulation
from evcharge_agent.runtime.control import ControlError, control_request

CONTROL_SOCKET = "agent.sock"
REDRAW_S = 0.5
_HOME_AND_CLEAR = "\x1b[H\x1b[J"


def run_simulation(config: Path, state_dir: Path | None) -> int:
    """Run world, guard and agent until a signal; return the exit code.

    Raises:
        EvchargeError: the file cannot be used, or a part could not be started.
    """
    plan = plan_from_file(config)

    async def main() -> int:
        with _state_dir(state_dir) as directory:
            async with Simulation(plan, directory) as simulation:
                sys.stderr.write(f"simulation runs; runtime directory {simulation.runtime_dir}\n")
                await simulation.wait()
        return 0

    return _until_signalled(main())


def run_demo(*, is_once: bool, speed: float, as_json: bool, state_dir: Path | None) -> int:
    """Charge a simulated car; return the exit code.

    Raises:
        EvchargeError: a part could not be started, or a step of the charge did not happen.
    """

    async def main() -> int:
        with _state_dir(state_dir) as directory:
            async with _started(directory, speed, is_quiet=is_once or sys.stdout.isatty()) as demo:
                if is_once:
                    report = await demo.charge_once()
                    sys.stdout.write(_report_text(report, as_json=as_json))
                    return 0 if report.start_accepted and report.stop_accepted else 1
                await demo.charge_for_ever()
        return 0

    return _until_signalled(main())


class Demo:
    """One running simulation with its central system and its story."""

    def __init__(self, simulation: Simulation, central: CentralSystem, screen: Screen, began_s: float) -> None:
        self._simulation = simulation
        self._central = central
        self._screen = screen
        self._began_s = began_s
        self._socket = simulation.runtime_dir / CONTROL_SOCKET
        self._is_live = sys.stdout.isatty()

    async def charge_once(self) -> ChargeReport:
        """One charge by card; steps are told on stderr."""
        script = ScriptedCharge(self._simulation.sim, self._socket, self._central, _tell_stderr)
        boot_s = await self._booted(script)
        return await script.run(1, boot_s)

    async def charge_for_ever(self) -> None:
        """Charges by card on connector 1 and by app on connector 2, in turn, with the live view."""
        drawing = asyncio.create_task(self._draw())
        try:
            script = ScriptedCharge(self._simulation.sim, self._socket, self._central, self._tell)
            boot_s = await self._booted(script)
            await script.run_for_ever(boot_s)
        finally:
            drawing.cancel()

    async def _booted(self, script: ScriptedCharge) -> float:
        await script.wait_ready()
        return asyncio.get_running_loop().time() - self._began_s

    async def _draw(self) -> None:
        while True:
            view: dict[str, Any] | None = None
            with contextlib.suppress(ControlError):
                view = await asyncio.to_thread(control_request, self._socket, {"command": "status"})
                self._screen.remember(view)
            if self._is_live:
                frames = [_frame_text(frame) for frame in self._central.frames.all()]
                sys.stdout.write(_HOME_AND_CLEAR + self._screen.render(view, frames) + "\n")
                sys.stdout.flush()
            await asyncio.sleep(REDRAW_S)

    def _tell(self, step: str) -> None:
        self._screen.story = step
        if not self._is_live:
            sys.stdout.write(step + "\n")
            sys.stdout.flush()


@contextlib.asynccontextmanager
async def _started(state_dir: Path, speed: float, *, is_quiet: bool) -> AsyncIterator[Demo]:
    """A demo with all its parts; the log of the three processes goes to a file when the screen is in use."""
    began_s = asyncio.get_running_loop().time()
    central = CentralSystem()
    url = await central.listen()
    log_file = state_dir / "demo.log" if is_quiet else None
    try:
        async with Simulation(demo_plan(url, speed), state_dir, log_file) as simulation:
            screen = Screen(
                title="evcharge-agent demo: simulated charger, real daemons",
                hint=f"log: {log_file} · in another terminal: evcharge-agent status, why, sim state · Ctrl-C stops",
                is_coloured=sys.stdout.isatty() and "NO_COLOR" not in os.environ,
            )
            yield Demo(simulation, central, screen, began_s)
    finally:
        await central.stop()


@contextlib.contextmanager
def _state_dir(named: Path | None) -> Any:
    """The named directory, which stays, or a temporary one, which goes."""
    if named is not None:
        named.mkdir(parents=True, exist_ok=True)
        yield named
        return
    directory = Path(tempfile.mkdtemp(prefix="evcharge-demo-"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _until_signalled(work: Coroutine[Any, Any, int]) -> int:
    """Run `work`; SIGINT and SIGTERM end it in order, which is a success."""

    async def main() -> int:
        task = asyncio.ensure_future(work)
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        try:
            return await task
        except asyncio.CancelledError:
            return 0

    return asyncio.run(main())


def _frame_text(frame: LoggedFrame) -> str:
    arrow = "→" if frame.direction is Direction.FROM_CHARGER else "←"
    return f"{arrow} {frame.summary}"


def _tell_stderr(step: str) -> None:
    sys.stderr.write(f"{step}\n")


def _report_text(report: ChargeReport, *, as_json: bool) -> str:
    if as_json:
        return json.dumps(report.as_json()) + "\n"
    return (
        f"{report.energy_wh} Wh in transaction {report.transaction_id}, card {report.id_tag}:"
        f" start {'accepted' if report.start_accepted else 'refused'},"
        f" stop {'accepted' if report.stop_accepted else 'missing'},"
        f" {report.meter_values} meter values, at most {report.max_current_a} A\n"
    )
