"""A notification that is to arrive: sent when there is a line, again when it breaks."""

import asyncio

import structlog

from evcharge_agent.ocpp16.errors import CallFailedError, LinkClosedError
from evcharge_agent.ocpp16.line import Line

SENDS = 3
"""Of a notification that is not answered while the line holds."""
AGAIN_AFTER_S = 1.0

_LOG = structlog.get_logger(__name__)


async def deliver(line: Line, payload: object) -> None:
    """Send `payload` until it is answered; returns as well when the central system refuses it, or stays silent."""
    sends = 0
    while sends < SENDS:
        await line.ready()
        try:
            await line.call(payload)
        except LinkClosedError:
            await asyncio.sleep(AGAIN_AFTER_S)
        except CallFailedError as error:
            sends = SENDS if hasattr(error, "code") else sends + 1
            _LOG.warning("notification_not_taken", action=type(payload).__name__, reason=str(error))
        else:
            return
