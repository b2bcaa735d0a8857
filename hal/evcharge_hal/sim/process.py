"""The process around one world: pty, GPIO socket, meters, card reader and control interface on one loop."""

import asyncio
import logging
import os
import time
from pathlib import Path
from typing import Any

from evcharge_hal.sim.card_reader import CardReaderServer
from evcharge_hal.sim.config import LoadedConfig
from evcharge_hal.sim.control import ControlServer, build_app
from evcharge_hal.sim.meter_server import MeterServer
from evcharge_hal.sim.persistence import FilePersistence
from evcharge_hal.sim.pins import GpioServer
from evcharge_hal.sim.serial_pty import SerialPty
from evcharge_hal.sim.world import World

log = logging.getLogger(__name__)

TICK_S = 0.010
CONTROL_SOCKET = "sim.sock"
GPIO_SOCKET = "gpio.sock"
READER_SOCKET = "reader.sock"
PILOT_LINK = "pilot"

_MOST_CATCH_UP_S = 1.0
"""The world is advanced by at most this much before the loop may serve others again."""


class WorldProcess:
    """One world with all its doors."""

    def __init__(self, config: LoadedConfig, runtime_dir: Path, state_dir: Path) -> None:
        self._runtime_dir = runtime_dir
        self.world = World(
            config.sim, config.board, FilePersistence(state_dir), time.monotonic(), profile=config.profile
        )
        self._started_s = self.world.now_s
        self._gpio = GpioServer(self.world, self._catch_up)
        self._readers = CardReaderServer()
        self._meters = {meter.name: MeterServer(self.world, meter, self._catch_up) for meter in config.sim.meters}
        self._meter_ports: dict[str, int] = {}
        self._control = ControlServer(build_app(self.world, self._catch_up, self.health))
        self._tcp_port: int | None = None
        self._pty: SerialPty | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set, then leave the registers saved.

        Raises:
            OSError: a socket or the pty cannot be made.
            MeterServerError: a meter's port is taken.
        """
        try:
            await self._open()
            log.info("the world is up: %s", self.health())
            due_s = time.monotonic()
            while not stop.is_set():
                self._tick()
                # On a grid: a controller's 10 Hz does not drift by what each tick takes.
                due_s = max(due_s + TICK_S, time.monotonic())
                await asyncio.sleep(due_s - time.monotonic())
        finally:
            await self._close()
            self.world.save()

    def health(self) -> dict[str, Any]:
        """Who is there."""
        return {
            "world": {
                "is_up": True,
                "pid": os.getpid(),
                "uptime_s": round(time.monotonic() - self._started_s, 3),
                "boot_count": self.world.memory.boot_count,
            },
            "guard": {"is_connected": self._gpio.is_guard_connected},
            "reader": {"listeners": self._readers.listeners},
            "meters": self._meter_ports,
            "tcp_port": self._tcp_port,
        }

    async def _open(self) -> None:
        self._free_sockets()
        self._pty = SerialPty(self._runtime_dir / PILOT_LINK)
        asyncio.get_running_loop().add_reader(self._pty.fileno, self._read_serial)
        await self._gpio.start(self._runtime_dir / GPIO_SOCKET)
        await self._readers.start(self._runtime_dir / READER_SOCKET)
        for name, server in self._meters.items():
            self._meter_ports[name] = await server.start()
        # Last, since an answer here means that everything else is there.
        self._tcp_port = await self._control.start(self._runtime_dir / CONTROL_SOCKET, self.world.config.tcp_port)

    async def _close(self) -> None:
        await self._control.stop()
        for server in self._meters.values():
            await server.stop()
        await self._readers.stop()
        await self._gpio.stop()
        if self._pty is not None:
            asyncio.get_running_loop().remove_reader(self._pty.fileno)
            self._pty.close()
        self._free_sockets()

    def _free_sockets(self) -> None:
        for name in (CONTROL_SOCKET, GPIO_SOCKET, READER_SOCKET):
            (self._runtime_dir / name).unlink(missing_ok=True)

    def _tick(self) -> None:
        self.world.advance(min(time.monotonic(), self.world.now_s + _MOST_CATCH_UP_S))
        self._write_serial()
        self._readers.tell(self.world.take_swipes())

    def _catch_up(self) -> None:
        self.world.advance(time.monotonic())

    def _read_serial(self) -> None:
        if self._pty is None:
            return
        self.world.serial_receive(self._pty.read(), time.monotonic())
        self._write_serial()

    def _write_serial(self) -> None:
        data = self.world.serial_take()
        if data and self._pty is not None:
            self._pty.write(data)
