"""Modbus TCP: the only door to pymodbus's client (DESIGN D10).

pymodbus checks unit and transaction number of an answer, but neither its function code nor its length, and
an answer it cannot decode ends in a traceback of the event loop while the request waits for its time-out.
So answers are screened before it sees them, and any trouble but a proper Modbus exception costs the
connection: what may still arrive on it belongs to nobody.
"""

import logging

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException

from evcharge_hal.contract.units import Seconds
from evcharge_hal.instruments.rtu_frames import EXCEPTION_FLAG, Answer, Request
from evcharge_hal.instruments.values import InstrumentError

DEFAULT_TIMEOUT_S = Seconds(1.0)
_HEADER_BYTES = 8
"""MBAP header and function code."""
_READ_HOLDING = 3

# What it would say is said by InstrumentError, once.
logging.getLogger("pymodbus").setLevel(logging.CRITICAL)


class TcpTransport:
    """A meter or gateway at `host`:`port`; see `modbus_line.Transport`. `timeout_s` limits each step."""

    def __init__(self, host: str, port: int, timeout_s: Seconds = DEFAULT_TIMEOUT_S) -> None:
        self._host = host
        self._port = port
        self._timeout_s = timeout_s
        self._client: AsyncModbusTcpClient | None = None
        self._asked = Request(0, 0, 0, 0)
        self._screened_out = ""

    @property
    def name(self) -> str:
        """Host and port."""
        return f"{self._host}:{self._port}"

    async def ask(self, request: Request) -> Answer:
        """Send a request and wait for its answer; see `modbus_line.Transport.ask`."""
        try:
            return await self._exchange(await self._connected(), request)
        except BaseException:
            # Also on cancellation: the answer to what was asked must not meet the next question.
            self.disconnect()
            raise

    def disconnect(self) -> None:
        """Close the connection; the next `ask` opens a new one."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    async def _connected(self) -> AsyncModbusTcpClient:
        if self._client is not None and not self._client.connected:
            self.disconnect()
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
                raise InstrumentError("no connection")
        return self._client

    async def _exchange(self, client: AsyncModbusTcpClient, request: Request) -> Answer:
        self._asked, self._screened_out = request, ""
        is_holding = request.function_code == _READ_HOLDING
        read = client.read_holding_registers if is_holding else client.read_input_registers
        try:
            answer = await read(request.address, count=request.count, device_id=request.unit)
        except (ModbusException, OSError) as error:
            reason = self._screened_out or f"no answer within {self._timeout_s:g} s"
            raise InstrumentError(reason) from error
        if answer.isError():
            return Answer(exception_code=int(answer.exception_code))
        return Answer(tuple(answer.registers))

    def _screen(self, is_sending: bool, data: bytes) -> bytes:
        """Let pass what pymodbus can take: requests, parts of answers, whole right answers (Modbus TCP 3.1)."""
        if is_sending or len(data) < _HEADER_BYTES:
            return data
        length, function_code = int.from_bytes(data[4:6], "big"), data[7]
        if data[2:4] != b"\x00\x00" or not 3 <= length <= 254:  # noqa: PLR2004 - unit, function and one byte to 254
            return self._screen_out("an answer that is not Modbus")
        if len(data) < 6 + length:
            return data
        if function_code == self._asked.function_code | EXCEPTION_FLAG:
            return data
        if function_code != self._asked.function_code:
            return self._screen_out(f"an answer to function {function_code}")
        wanted_bytes = 2 * self._asked.count
        if data[8] != wanted_bytes or length != 3 + wanted_bytes:
            return self._screen_out(f"an answer of {length - 3} bytes instead of {wanted_bytes}")
        return data

    def _screen_out(self, reason: str) -> bytes:
        self._screened_out = reason
        return b""
