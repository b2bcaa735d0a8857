"""Transfers as the rest of the OCPP side sees them: in threads, cancellable, with progress (OCPP 1.6, 4.4, 4.5).

An attempt is one try; how often and how far apart they are is `Attempts`.
"""

import asyncio
import functools
import hashlib
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import structlog

from evcharge_agent.ocpp16.transfer import ftp, http
from evcharge_agent.ocpp16.transfer.network import Cancellation, Network, TransferCancelledError, TransferError
from evcharge_agent.ocpp16.transfer.progress import Continuation, Progress
from evcharge_agent.ocpp16.transfer.spool import Spool, SpoolError, SpoolFile
from evcharge_agent.ocpp16.transfer.urls import Url

DEFAULT_ATTEMPTS = 3
DEFAULT_INTERVAL_S = 60
MAX_ATTEMPTS = 100
MAX_INTERVAL_S = 86_400
LONGEST_S = 4 * 3600.0
"""One attempt; a peer that sends a byte a minute is given up then."""
_READ_BYTES = 1024 * 1024

_LOG = structlog.get_logger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Attempts:
    """How often a transfer is tried, and how long after a failure."""

    number: int = DEFAULT_ATTEMPTS
    interval_s: int = DEFAULT_INTERVAL_S


def attempts_of(retries: int | None, retry_interval: int | None) -> Attempts:
    """Read `retries` and `retryInterval`: "how many times to try before giving up" (OCPP 1.6, 6.55), at least once."""
    number = DEFAULT_ATTEMPTS if retries is None else min(max(retries, 1), MAX_ATTEMPTS)
    interval_s = DEFAULT_INTERVAL_S if retry_interval is None else min(max(retry_interval, 0), MAX_INTERVAL_S)
    return Attempts(number, interval_s)


@dataclass(slots=True)
class TransferView:
    """A transfer for people to see."""

    what: str
    peer: str
    done_bytes: int = 0
    total_bytes: int | None = None

    def as_json(self) -> dict[str, object]:
        """Plain data; names are only added."""
        return {"what": self.what, "peer": self.peer, "bytes": self.done_bytes, "total_bytes": self.total_bytes}


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that has arrived."""

    path: Path
    digest: str
    """SHA-256, hexadecimal."""


class Fetch:
    """One file to be got, over as many attempts as it takes."""

    def __init__(self, name: str, file: SpoolFile, path: Path) -> None:
        self.name = name
        self.file = file
        self.path = path
        self.continuation = Continuation()


def threads() -> Executor:
    """Where transfers and what they need to wait for run."""
    return ThreadPoolExecutor(max_workers=4, thread_name_prefix="transfer")


class Transfers:
    """Gets and sends files, in threads of `executor`."""

    def __init__(self, spool: Spool, network: Network, executor: Executor, longest_s: float = LONGEST_S) -> None:
        self.spool = spool
        self.network = network
        self._executor = executor
        self._longest_s = longest_s
        self.running: dict[str, TransferView] = {}
        """What is under way, by the name of the file."""

    async def run(self, work: Callable[[], T]) -> T:
        """Do blocking work; a caller that is cancelled does not end it."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    async def begin(self, name: str, limit_bytes: int) -> Fetch:
        """Make room for a file; raises `SpoolError`."""
        file = await self.run(functools.partial(self.spool.open_new, name, limit_bytes))
        return Fetch(name, file, self.spool.path(name))

    async def fetch(self, location: str, fetch: Fetch) -> Fetched:
        """Make one attempt to get a file; cancelling ends it.

        Raises:
            TransferError, SpoolError: it was not got.
        """
        url = self.network.parse(location)
        get = http.download if url.scheme.is_http else ftp.download

        def work(cancellation: Cancellation, progress: Progress) -> None:
            get(self.network, url, fetch.file, fetch.continuation, cancellation, progress)
            fetch.file.finish()

        await self._attempt(fetch.name, url, work)
        try:
            return Fetched(fetch.path, await self.run(functools.partial(digest_of, fetch.path)))
        except OSError as error:
            raise SpoolError(f"the file cannot be read: {error.strerror}") from None

    async def send(self, location: str, path: Path, name: str) -> None:
        """Make one attempt to send a file as `name`; cancelling ends it. Raises as `fetch`."""
        url = beneath(self.network.parse(location), name)
        put = http.upload if url.scheme.is_http else ftp.upload
        await self._attempt(name, url, functools.partial(put, self.network, url, path))

    async def _attempt(self, name: str, url: Url, work: Callable[[Cancellation, Progress], None]) -> None:
        loop = asyncio.get_running_loop()
        cancellation = Cancellation()
        view = self.running[name] = TransferView(name, str(url))
        steps = _Steps(view)
        _LOG.info("transfer_begun", file=name, peer=str(url))
        is_too_long = loop.call_later(self._longest_s, cancellation.cancel)
        try:
            await loop.run_in_executor(self._executor, work, cancellation, steps.take)
        except asyncio.CancelledError:
            cancellation.cancel()
            raise
        except TransferCancelledError:
            raise TransferError(f"{url} took too long") from None
        except OSError as error:
            raise SpoolError(f"the file cannot be used: {error.strerror}") from None
        finally:
            is_too_long.cancel()
            cancellation.release()
            del self.running[name]
        _LOG.info("transfer_done", file=name, peer=str(url), bytes=view.done_bytes)


class _Steps:
    """Notes the progress; a line in the log for each tenth of a known size, each 4 MiB of an unknown one."""

    def __init__(self, view: TransferView) -> None:
        self._view = view
        self._next = 0

    def take(self, done_bytes: int, total_bytes: int | None) -> None:
        """Take a report in; runs in the transfer's thread."""
        self._view.done_bytes, self._view.total_bytes = done_bytes, total_bytes
        if done_bytes >= self._next:
            self._next = done_bytes + max((total_bytes or 0) // 10, 4 * 1024 * 1024)
            _LOG.info("transfer_progress", file=self._view.what, bytes=done_bytes, total_bytes=total_bytes)


def beneath(url: Url, name: str) -> Url:
    """Where a file of ours goes: below the directory the address names (OCPP 1.6, 6.25).

    An address with a query, as object stores hand them out, stands for the file itself.
    """
    if url.query is not None:
        return url
    return replace(url, path=f"{url.path.rstrip('/')}/{quote(name)}")


def digest_of(path: Path) -> str:
    """SHA-256 of a file. Blocking."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_READ_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
