"""Sends a file to where a central system wants it, and tells how that went; one at a time of each kind.

A new request ends the one before (security white paper N01.FR.12). An upload that a restart ends is not taken up again:
the central system can ask once more.
"""

import asyncio
import enum
import functools
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import structlog

from evcharge_agent.ocpp16.line import Line
from evcharge_agent.ocpp16.telling import deliver
from evcharge_agent.ocpp16.transfer.network import TransferError
from evcharge_agent.ocpp16.transfer.spool import SpoolError
from evcharge_agent.ocpp16.transfer.transfer import Attempts, Transfers

_LOG = structlog.get_logger(__name__)


class UploadState(enum.Enum):
    """How far an upload is."""

    UPLOADING = "uploading"
    UPLOADED = "uploaded"
    FAILED = "failed"
    DENIED = "denied"
    """The server does not accept the credentials."""


@dataclass(frozen=True, slots=True)
class Upload:
    """One file to be sent."""

    location: str
    name: str
    """Under which it is sent."""
    content: bytes
    attempts: Attempts
    notify: Callable[[UploadState], object]
    """Makes the notification of a state."""

    def __repr__(self) -> str:
        return f"Upload({self.name})"


class Uploader:
    """Sends the files of one kind. `run` it beside the handlers."""

    def __init__(self, kind: str, line: Line, transfers: Transfers) -> None:
        self._kind = kind
        self._line = line
        self._transfers = transfers
        self._queue: asyncio.Queue[Upload] = asyncio.Queue()
        self._current: asyncio.Task[None] | None = None
        self._upload: Upload | None = None

    @property
    def upload(self) -> Upload | None:
        """What is under way."""
        return self._upload

    def begin(self, upload: Upload) -> None:
        """Send this now; what is under way ends, and what waits never begins."""
        while not self._queue.empty():
            self._queue.get_nowait()
        self._upload = upload
        self._queue.put_nowait(upload)

    async def run(self) -> None:
        """Remove what an earlier run left, then send what is asked for, until cancelled."""
        with suppress(SpoolError):
            await self._transfers.run(functools.partial(self._transfers.spool.discard, self._kind))
        async with asyncio.TaskGroup() as tasks:
            while True:
                upload = await self._queue.get()
                if self._current is not None and not self._current.done():
                    self._current.cancel()
                    await asyncio.gather(self._current, return_exceptions=True)
                self._current = tasks.create_task(self._send(upload))

    async def _send(self, upload: Upload) -> None:
        try:
            await deliver(self._line, upload.notify(UploadState.UPLOADING))
            state = await self._attempts(upload)
            if self._upload is upload:
                self._upload = None
            await deliver(self._line, upload.notify(state))
        finally:
            if self._upload is upload:
                self._upload = None

    async def _attempts(self, upload: Upload) -> UploadState:
        state = UploadState.FAILED
        for attempt in range(1, upload.attempts.number + 1):
            try:
                await self._attempt(upload)
            except (TransferError, SpoolError) as error:
                is_final = isinstance(error, SpoolError) or error.is_final
                is_denied = isinstance(error, TransferError) and error.is_denied
                state = UploadState.DENIED if is_denied else UploadState.FAILED
                _LOG.warning("upload_failed", file=upload.name, reason=str(error), attempt=attempt, is_final=is_final)
                if is_final or attempt == upload.attempts.number:
                    break
                await asyncio.sleep(upload.attempts.interval_s)
            except Exception:  # noqa: BLE001 - a mistake of ours fails this upload, not the connection
                _LOG.exception("upload_broke")
                return UploadState.FAILED
            else:
                return UploadState.UPLOADED
        return state

    async def _attempt(self, upload: Upload) -> None:
        spool, run = self._transfers.spool, self._transfers.run

        def put() -> None:
            file = spool.open_new(self._kind, max(len(upload.content), 1))
            try:
                file.expect(len(upload.content))
                file.write(upload.content)
            finally:
                file.close()

        await run(put)
        try:
            await self._transfers.send(upload.location, spool.path(self._kind), upload.name)
        finally:
            with suppress(SpoolError):
                await asyncio.shield(run(functools.partial(spool.discard, self._kind)))
