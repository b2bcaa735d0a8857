"""The least a charge point can be: connect, BootNotification, end. What the agent's start is measured beside."""

import asyncio
import sys

from ocpp.v16 import ChargePoint, call
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol


async def boot(url: str) -> None:
    async with connect(f"{url}/BARE", subprotocols=[Subprotocol("ocpp1.6")]) as socket:
        charge_point = ChargePoint("BARE", socket)
        route = asyncio.create_task(charge_point.start())
        await charge_point.call(call.BootNotification(charge_point_model="bare", charge_point_vendor="bench"))
        route.cancel()


if __name__ == "__main__":
    asyncio.run(boot(sys.argv[1]))
