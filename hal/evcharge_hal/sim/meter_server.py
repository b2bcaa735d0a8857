"""Modbus TCP servers in front of the simulated meters, one each."""

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from evcharge_hal.contract.errors import EvchargeError
from evcharge_hal.sim.config import SimMeter
from evcharge_hal.sim.meters import IMAGE_WORDS
from evcharge_hal.sim.world import World

if TYPE_CHECKING:
    from pymodbus.constants import ExcCodes
    from pymodbus.server import ModbusTcpServer

HOST = "127.0.0.1"
READ_INPUT_REGISTERS = 4
MOST_WORDS = 80
"""The SDM630 refuses to send more than 40 values at once."""


class MeterServerError(EvchargeError):
    """A meter cannot listen on its port."""


class MeterServer:
    """One meter on one port. All registers of one answer are of one instant."""

    def __init__(self, world: World, meter: SimMeter, catch_up: Callable[[], None]) -> None:
        self._world = world
        self._meter = meter
        self._catch_up = catch_up
        self._server: ModbusTcpServer | None = None

    async def start(self) -> int:
        """Listen and return the port.

        Raises:
            MeterServerError: the port is taken.
        """
        # Imported late: pymodbus costs every process that only wants the world's types.
        from pymodbus.server import ModbusTcpServer  # noqa: PLC0415
        from pymodbus.simulator import DataType, SimData, SimDevice  # noqa: PLC0415

        # A failed request is the client's to report; the library would print tracebacks of its own.
        logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
        registers = SimData(0, values=[0] * IMAGE_WORDS, datatype=DataType.REGISTERS, readonly=True)
        device = SimDevice(self._meter.unit, simdata=[registers], action=self._answer)
        server = ModbusTcpServer(device, address=(HOST, self._meter.port), trace_packet=self._pass_packet)
        if not await server.listen() or not isinstance(server.transport, asyncio.Server):
            raise MeterServerError(f"meter '{self._meter.name}': port {self._meter.port} cannot be used")
        self._server = server
        return int(server.transport.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Close every connection."""
        if self._server is not None:
            await self._server.shutdown()  # type: ignore[no-untyped-call]

    async def _answer(
        self,
        function_code: int,
        _start: int,
        _address: int,
        count: int,
        registers: list[int],
        _written: list[int] | list[bool] | None,
    ) -> "ExcCodes | None":
        from pymodbus.constants import ExcCodes  # noqa: PLC0415 - as above

        if function_code != READ_INPUT_REGISTERS:
            return ExcCodes.ILLEGAL_FUNCTION
        if count > MOST_WORDS:
            return ExcCodes.ILLEGAL_VALUE
        self._catch_up()
        image = self._world.register_image(self._meter.name)
        if image is not None:
            registers[:IMAGE_WORDS] = image
        return None

    def _pass_packet(self, is_sending: bool, data: bytes) -> bytes:
        """A silent meter is there and says nothing."""
        return b"" if is_sending and self._meter.name in self._world.silent_meters else data
