"""The GPIO socket: guards claim and drive lines here, the world tells them of its inputs."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from evcharge_hal.contract.errors import EvchargeError, ProtocolError
from evcharge_hal.sim.config import GpioAtDeath
from evcharge_hal.sim.gpio_lines import MAX_LINE_BYTES, Claim, Level, SetLevel, read_command
from evcharge_hal.sim.unix_server import UnixServer
from evcharge_hal.sim.world import World

log = logging.getLogger(__name__)


class GpioServer:
    """Serves the lines of one world; it belongs to the loop's thread."""

    def __init__(self, world: World, catch_up: Callable[[], None]) -> None:
        self._world = world
        self._catch_up = catch_up
        self._outputs: dict[asyncio.StreamWriter, set[int]] = {}
        self._server = UnixServer(self._serve, max_line_bytes=MAX_LINE_BYTES)
        world.on_line_change = self._tell_all

    @property
    def is_guard_connected(self) -> bool:
        """A guard holds the lines."""
        return bool(self._outputs)

    async def start(self, path: Path) -> None:
        """Listen on a unix socket whose path is free.

        Raises:
            OSError: the path cannot be used.
        """
        await self._server.start(path)

    async def stop(self) -> None:
        """Close every connection."""
        await self._server.stop()

    def _tell_all(self, pin: int, is_high: bool) -> None:
        for writer in self._outputs:
            writer.write(Level(pin, is_high).line())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._outputs[writer] = set()
        log.info("a guard holds the lines")
        try:
            while line := await reader.readline():
                self._take(line, writer)
        except ValueError:
            log.warning("a guard sent a line of more than %d bytes and is dropped", MAX_LINE_BYTES)
        except OSError as error:
            log.info("connection of the guard: %s", error)
        finally:
            self._let_go(writer)

    def _take(self, line: bytes, writer: asyncio.StreamWriter) -> None:
        self._catch_up()
        try:
            command = read_command(line)
            if isinstance(command, Claim):
                (self._outputs[writer].add if command.is_output else self._outputs[writer].discard)(command.pin)
                writer.write(Level(command.pin, self._world.line(command.pin)).line())
            elif isinstance(command, SetLevel):
                if command.pin not in self._outputs[writer]:
                    raise ProtocolError(f"line {command.pin} is set without a claim")
                self._world.set_line(command.pin, command.is_high)
            else:
                raise ProtocolError("only the world says 'level'")
        except EvchargeError as error:
            log.warning("from the guard: %s", error)
            writer.write(f"error {error}\n".encode())

    def _let_go(self, writer: asyncio.StreamWriter) -> None:
        """The guard is gone; what its lines do then is what the configuration says (DESIGN D2)."""
        pins = self._outputs.pop(writer)
        log.info("the guard is gone; its lines are %s", self._world.config.gpio_at_death.value)
        if self._world.config.gpio_at_death is not GpioAtDeath.RELEASED:
            return
        self._catch_up()
        held = set().union(*self._outputs.values())
        for pin in pins - held:
            self._world.release_line(pin)
