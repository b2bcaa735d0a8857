"""Having the charger's own certificate signed: asked for, or a month before the old one ends (A02, A03)."""

import asyncio
from collections.abc import Callable

import structlog
from ocpp.v16 import call

from evcharge_agent.ocpp16.errors import CallFailedError, LinkClosedError
from evcharge_agent.ocpp16.line import Line
from evcharge_agent.ocpp16.security.moments import Moments
from evcharge_agent.ocpp16.security.own import OwnCertificates
from evcharge_agent.ocpp16.waiting import Signal

LOOK_EVERY_S = 3600.0
"""Between two looks at the dates."""
WAIT_S = 60.0
"""For CertificateSigned after SignCertificate was accepted, doubled with each repetition."""
REPEATS = 5
ANEW_AFTER_S = 86_400.0
"""A renewal that came to nothing is tried again the next day."""
_LOG = structlog.get_logger(__name__)


class Renewal:
    """The task that requests certificates and puts them to work.

    `is_wanted`: a certificate of our own is used. `in_use` is the number of the one of the present connection,
    `reconnect` makes a new one.
    """

    def __init__(
        self,
        own: OwnCertificates,
        line: Line,
        moments: Moments,
        *,
        is_wanted: Callable[[], bool],
        in_use: Callable[[], int | None],
        reconnect: Callable[[str], None],
    ) -> None:
        self._own = own
        self._line = line
        self._moments = moments
        self._is_wanted = is_wanted
        self._in_use = in_use
        self._reconnect = reconnect
        self._asked = False
        self._woken = Signal()
        self._answers = 0
        self._idle_until_s = 0.0

    def ask(self) -> None:
        """Request a certificate now (SignChargePointCertificate was triggered)."""
        self._asked = True
        self._woken.notify()

    def answered(self, *, is_taken: bool) -> None:
        """A CertificateSigned came; one that was not taken leaves the request open."""
        if is_taken:
            self._answers += 1
        self._woken.notify()

    async def run(self) -> None:
        """Look after the certificates for ever."""
        while True:
            if self._asked or await self._is_due():
                await self._request()
            await self._switch()
            look_after_s = await self._look_after_s()
            if not self._asked:
                await self._woken.wait(look_after_s)

    async def _is_due(self) -> bool:
        if not self._is_wanted() or asyncio.get_running_loop().time() < self._idle_until_s:
            return False
        return await asyncio.to_thread(self._own.is_renewal_due)

    async def _request(self) -> None:
        self._asked = False
        try:
            request = await asyncio.to_thread(self._own.request)
        except OSError as error:
            _LOG.error("certificate_request_not_kept", reason=str(error))
            self._idle_until_s = asyncio.get_running_loop().time() + ANEW_AFTER_S
            return
        if not await self._have_signed(request):
            _LOG.warning("certificate_not_signed")
            self._idle_until_s = asyncio.get_running_loop().time() + ANEW_AFTER_S

    async def _have_signed(self, request: str) -> bool:
        """Send one request until it is answered by a certificate, or given up."""
        answers = self._answers
        sends = 0
        while sends <= REPEATS and not self._asked:
            await self._line.ready()
            try:
                answer = await self._line.call(call.SignCertificate(csr=request))
            except LinkClosedError:
                continue  # being offline is no attempt
            except CallFailedError as error:
                _LOG.info("certificate_request_failed", reason=str(error))
            else:
                if answer.status != "Accepted":
                    return False
            if await self._is_answered(answers, WAIT_S * 2**sends):
                return True
            sends += 1
        return False

    async def _is_answered(self, answers: int, within_s: float) -> bool:
        loop = asyncio.get_running_loop()
        until_s = loop.time() + within_s
        while self._answers == answers and not self._asked and loop.time() < until_s:
            await self._woken.wait(until_s - loop.time())
        return self._answers != answers

    async def _switch(self) -> None:
        """Put the best certificate to work once its time has come (A02.FR.08, .09).

        One that was refused gets another chance with every look, and the one before it serves in between.
        """
        if not self._is_wanted():
            return
        candidates = await asyncio.to_thread(self._own.candidates)
        best = candidates[0].number if candidates else None
        if best is not None and best != self._in_use():
            self._reconnect("a new charge point certificate is valid")
        await asyncio.to_thread(self._own.prune)

    async def _look_after_s(self) -> float:
        change_utc_s = await asyncio.to_thread(self._own.next_change_utc_s)
        now_utc_s = self._moments.now_utc_s()
        return LOOK_EVERY_S if change_utc_s is None else min(LOOK_EVERY_S, max(change_utc_s - now_utc_s, 1.0))
