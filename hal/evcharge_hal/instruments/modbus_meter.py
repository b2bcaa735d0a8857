"""A meter on Modbus TCP, by any register map. The only door to pymodbus's client (DESIGN D10).

pymodbus checks unit and transaction number of an answer, but neither its function code nor its length, and
an answer it cannot decode ends in a traceback of the event loop while the request waits for its time-out.
So answers are screened before it sees them, and any trouble but a proper Modbus exception costs the
connection: what may still arrive on it belongs to nobody.
"""

import asyncio
import logging

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException

from evcharge_hal.contract.units import Seconds
from evcharge_hal.instruments.blocks import Block, decode_values, plan_blocks
from evcharge_hal.instruments.registers import RegisterMap
from evcharge_hal.instruments.values import InstrumentError, MeterValues

DEFAULT_TIMEOUT_S = Seconds(1.0)
_HEADER_BYTES = 8
"""MBAP header and function code."""
_EXCEPTION_FLAG = 0x80
_READ_HOLDING = 3
_ILLEGAL_ADDRESS_OR_VALUE = (2, 3)
"""What meters answer to a block that is too long or has undefined registers in it."""

# What it would say is said by InstrumentError, once.
logging.getLogger("pymodbus").setLevel(logging.CRITICAL)


class ModbusMeter:
    """Reads the registers of `register_map` from unit `unit` behind `host`:`port`; see `values.Meter`.

    One request is in flight at a time, `timeout_s` limits the connection and each request.
    """

    def __init__(
        self, host: str, port: int, unit: int, register_map: RegisterMap, timeout_s: Seconds = DEFAULT_TIMEOUT_S
    ) -> None:
        self._host = host
        self._port = port
        self._unit = unit
        self._map = register_map
        self._timeout_s = timeout_s
        self._blocks = plan_blocks(register_map)
        self._client: AsyncModbusTcpClient | None = None
        self._lock = asyncio.Lock()
        self._rest_until_s = 0.0
        self._expected = Block(0, 0)
        self._screened_out = ""

    async def read(self) -> MeterValues:
        """Read all blocks and decode them; see `values.Meter.read`."""
        async with self._lock:
            try:
                return await self._read_all()
            except BaseException:
                # Also on cancellation: the answer to what was asked must not meet the next question.
                self._disconnect()
                raise

    async def close(self) -> None:
        """Close the connection; the next `read` opens a new one."""
        async with self._lock:
            self._disconnect()

    async def _read_all(self) -> MeterValues:
        client = await self._connected()
        words_by_block: dict[Block, list[int]] = {}
        pending = list(self._blocks)
        while pending:
            block = pending[0]
            words, exception_code = await self._ask(client, block)
            if exception_code in _ILLEGAL_ADDRESS_OR_VALUE and self._fall_back():
                words_by_block.clear()
                pending = list(self._blocks)
            elif exception_code:
                raise InstrumentError(f"{self._name}: exception {exception_code} at 0x{block.address:04X}")
            else:
                words_by_block[pending.pop(0)] = words
        return decode_values(self._map, words_by_block)

    async def _connected(self) -> AsyncModbusTcpClient:
        if self._client is not None and not self._client.connected:
            self._disconnect()
        if self._client is None:
            client = AsyncModbusTcpClient(
                self._host,
                port=self._port,
                timeout=self._timeout_s,
                retries=0,
                reconnect_delay=0,
                trace_packet=self._screen,
            )
            self._client = client
            if not await client.connect():
                raise InstrumentError(f"{self._name}: no connection")
        return self._client

    async def _ask(self, client: AsyncModbusTcpClient, block: Block) -> tuple[list[int], int]:
        """Read one block; return its registers, or none and the exception code of the refusal."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, self._rest_until_s - loop.time()))
        self._expected, self._screened_out = block, ""
        read = (
            client.read_holding_registers if self._map.function_code == _READ_HOLDING else client.read_input_registers
        )
        try:
            answer = await read(block.address, count=block.count, device_id=self._unit)
        except (ModbusException, OSError) as error:
            reason = self._screened_out or f"no answer within {self._timeout_s:g} s"
            raise InstrumentError(f"{self._name}: {reason}") from error
        finally:
            self._rest_until_s = loop.time() + self._map.gap_ms / 1000.0
        if answer.isError():
            return [], int(answer.exception_code)
        return list(answer.registers), 0

    def _screen(self, is_sending: bool, data: bytes) -> bytes:
        """Let pass what pymodbus can take: requests, parts of answers, whole right answers (Modbus TCP 3.1)."""
        if is_sending or len(data) < _HEADER_BYTES:
            return data
        length, function_code = int.from_bytes(data[4:6], "big"), data[7]
        if data[2:4] != b"\x00\x00" or not 3 <= length <= 254:  # noqa: PLR2004 - unit, function and one byte to 254
            return self._screen_out("an answer that is not Modbus")
        if len(data) < 6 + length:
            return data
        if function_code == self._map.function_code | _EXCEPTION_FLAG:
            return data
        if function_code != self._map.function_code:
            return self._screen_out(f"an answer to function {function_code}")
        wanted_bytes = 2 * self._expected.count
        if data[8] != wanted_bytes or length != 3 + wanted_bytes:
            return self._screen_out(f"an answer of {length - 3} bytes instead of {wanted_bytes}")
        return data

    def _screen_out(self, reason: str) -> bytes:
        self._screened_out = reason
        return b""

    def _fall_back(self) -> bool:
        """Ask for defined registers only from now on; False when that is what was done already."""
        smaller = plan_blocks(self._map, with_holes=False)
        if smaller == self._blocks:
            return False
        self._blocks = smaller
        return True

    def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()

    @property
    def _name(self) -> str:
        return f"{self._map.name} at {self._host}:{self._port} unit {self._unit}"
