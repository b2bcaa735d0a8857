"""The other side in a process of its own: the demo central system, two meters, and a storm of requests."""

import asyncio
import contextlib
import json
import logging
import struct
import sys
import time
from typing import Any

from ocpp.exceptions import OCPPError

from evcharge_agent.demo.central_system import CentralSystem
from evcharge_agent.demo.frames import Direction
from evcharge_hal.contract.errors import EvchargeError
from evcharge_hal.contract.units import PerPhase, WattHours
from evcharge_hal.sim.config import RegisterMap
from evcharge_hal.sim.meters import MeterValues, register_image

DRAW_A = 0.5
"""So little that no offer is overdrawn, whatever the cars do."""
SHORTEST_INTERVAL_S, INTERVALS = 300, 100


class Load:
    """Everything the agent talks to but the guard."""

    def __init__(self) -> None:
        self.central = CentralSystem()
        self._storm: asyncio.Task[None] | None = None
        self._is_storming = False
        self._answered = self._refused = 0
        self._stormed_s = 0.0

    async def do_listen(self) -> dict[str, Any]:
        """Open both doors."""
        meters = await asyncio.start_server(serve_meter, "127.0.0.1", 0)
        return {"url": await self.central.listen(), "meter_port": meters.sockets[0].getsockname()[1]}

    async def do_boots(self) -> list[dict[str, float]]:
        """When each boot was asked for and answered, UTC."""
        frames = self.central.frames.all()
        boots = []
        for frame in frames:
            if frame.direction is Direction.FROM_CHARGER and frame.summary == "BootNotification":
                boots.append({"asked": frame.at_utc_s})
            elif frame.direction is Direction.FROM_CENTRAL and frame.summary == "BootNotification answered" and boots:
                boots[-1]["answered"] = frame.at_utc_s
        return boots

    async def do_count(self, action: str) -> int:
        """How many requests of one action came."""
        return len(self.central.of(action))

    async def do_ask(self, count: int, keys: list[str]) -> list[float]:
        """Ask for keys, one request after another; no keys are all. Seconds each took."""
        took_s = []
        for _ in range(count):
            began_s = time.perf_counter()
            await self.central.get_configuration(*keys)
            took_s.append(time.perf_counter() - began_s)
        return took_s

    async def do_storm(self, is_on: bool) -> dict[str, float]:
        """Begin to ask without pause, or end it and say how many requests a second were answered and refused."""
        if is_on:
            self._answered, self._refused, self._stormed_s = 0, 0, time.monotonic()
            self._is_storming = True
            self._storm = asyncio.create_task(self._ask_until_stopped())
            return {}
        if self._storm is not None:
            # Not cancelled: a request that is answered at that very moment would swallow it.
            self._is_storming = False
            await self._storm
        stormed_s = time.monotonic() - self._stormed_s
        return {"answered_per_s": self._answered / stormed_s, "refused_per_s": self._refused / stormed_s}

    async def _ask_until_stopped(self) -> None:
        """All keys, checked against the schema on both sides, then one that is written to the disk, and again.

        The agent answers ten a second (after a burst of 200) and refuses the rest, which is load as well.
        """
        number = 0
        while self._is_storming:
            number += 1
            interval_s = SHORTEST_INTERVAL_S + number % INTERVALS
            try:
                await self.central.get_configuration()
                self._answered += 1
                await self.central.change_configuration("HeartbeatInterval", str(interval_s))
                self._answered += 1
            except OCPPError:
                self._refused += 1
            except (EvchargeError, TimeoutError):
                await asyncio.sleep(0.1)  # the agent is being restarted


async def serve_meter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as an SDM630 that counts half an ampere on three phases; Modbus TCP, function 4."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        while True:
            transaction, _, length, unit = struct.unpack(">HHHB", await reader.readexactly(7))
            function, address, count = struct.unpack(">BHH", await reader.readexactly(length - 1))
            words = meter_words()[address : address + count]
            pdu = struct.pack(f">BB{len(words)}H", function, 2 * len(words), *words)
            writer.write(struct.pack(">HHHB", transaction, 0, len(pdu) + 1, unit) + pdu)
            await writer.drain()
    writer.close()


def meter_words() -> tuple[int, ...]:
    """The registers now."""
    watts = 230.0 * DRAW_A
    counted_wh = WattHours(int(3.0 * watts * time.monotonic() / 3600.0))
    values = MeterValues(
        PerPhase.uniform(230.0), PerPhase.uniform(DRAW_A), PerPhase.uniform(watts), 50.0, counted_wh, WattHours(0)
    )
    return register_image(RegisterMap.SDM630, values)


async def serve_stdin() -> None:
    """Do what stdin says until it ends."""
    load = Load()
    requests = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(requests), sys.stdin)
    while line := await requests.readline():
        request = json.loads(line)
        try:
            answer = await getattr(load, "do_" + request.pop("do"))(**request)
        except (TimeoutError, EvchargeError) as error:
            answer = {"failed": str(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    # The library logs each refusal with a traceback.
    logging.getLogger("ocpp").setLevel(logging.CRITICAL)
    asyncio.run(serve_stdin())
