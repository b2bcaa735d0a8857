"""What the local socket can be asked: the daemon's side of `status`, `why`, `start`, `stop` and the like."""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from evcharge_agent.core.events import ClearFaultRequested, Event, RequestId, StartRequested, StopRequested
from evcharge_agent.core.facts import IdTag
from evcharge_agent.core.view import StationView, as_json
from evcharge_agent.runtime.control import CommandHandler, Request, Response, StreamHandler
from evcharge_agent.runtime.inbox import Inbox
from evcharge_agent.runtime.snapshots import SnapshotHub
from evcharge_agent.settings import control
from evcharge_agent.settings.live import LiveSettings
from evcharge_agent.store.store import Store
from evcharge_hal.contract.channel import MAX_CONNECTORS
from evcharge_hal.contract.errors import InvalidFieldError
from evcharge_hal.contract.faults import FaultCode
from evcharge_hal.contract.schema import encode

MAX_ID_TAG_LENGTH = 20
MAX_SESSIONS = 10_000
DEFAULT_SESSIONS = 20


class LocalCommands:
    """Commands over the core's inbox and its read-only view.

    `central_system` tells of the connection, None where none is wanted.
    """

    def __init__(
        self,
        inbox: Inbox,
        snapshots: SnapshotHub[StationView],
        live: LiveSettings,
        store: Store,
        central_system: Callable[[], Mapping[str, object] | None],
    ) -> None:
        self._inbox = inbox
        self._snapshots = snapshots
        self._live = live
        self._store = store
        self._central_system = central_system

    def handlers(self) -> Mapping[str, CommandHandler]:
        """Commands that are answered once."""
        return {
            "status": self._status,
            "start": self._start,
            "stop": self._stop,
            "clear-fault": self._clear_fault,
            "sessions": self._sessions,
            control.GET: self._get_settings,
            control.SET: self._set_setting,
            control.RESET_KEYS: self._reset_keys,
        }

    def streams(self) -> Mapping[str, StreamHandler]:
        """Commands that are answered again on every change."""
        return {"watch": self._watch}

    async def _status(self, _: Request) -> Response:
        return self._view(self._snapshots.latest)

    async def _watch(self, _: Request) -> AsyncIterator[Response]:
        async for view in self._snapshots.follow():
            yield self._view(view)

    def _view(self, view: StationView) -> dict[str, Any]:
        messages = {"queued": self._store.outbox_size(), "parked": self._store.parked()}
        storage = {"is_failing": self._store.failure is not None, "reason": self._store.failure}
        line = self._central_system()
        return {
            **as_json(view),
            "central_system": None if line is None else {**line, **messages},
            "central_system_messages": messages,
            "storage": storage,
        }

    async def _start(self, request: Request) -> Response:
        connector, id_tag = _connector(request), _text(request, "id_tag", MAX_ID_TAG_LENGTH)
        return await self._ask(lambda name: StartRequested(name, connector, IdTag(id_tag)))

    async def _stop(self, request: Request) -> Response:
        connector = _connector(request)
        return await self._ask(lambda name: StopRequested(name, connector))

    async def _clear_fault(self, request: Request) -> Response:
        connector, text = _connector(request), _text(request, "code", 64)
        codes = {code.value: code for code in FaultCode}
        if text not in codes:
            raise InvalidFieldError("code", text, "one of " + ", ".join(sorted(codes)))
        return await self._ask(lambda name: ClearFaultRequested(name, connector, codes[text]))

    async def _sessions(self, request: Request) -> Response:
        limit = request.get("limit", DEFAULT_SESSIONS)
        if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_SESSIONS:
            raise InvalidFieldError("limit", limit, f"a whole number from 1 to {MAX_SESSIONS}")
        rows = await self._store.sessions(limit)
        return {"sessions": [{**encode(row), "energy_wh": row.energy_wh} for row in rows]}

    async def _get_settings(self, request: Request) -> Response:
        return control.get(self._live, request)

    async def _set_setting(self, request: Request) -> Response:
        return await control.put(self._live, request)

    async def _reset_keys(self, _: Request) -> Response:
        return await control.reset_keys(self._live)

    async def _ask(self, build: Callable[[RequestId], Event]) -> Response:
        answer = await self._inbox.ask(build)
        return {"is_accepted": answer.is_accepted, "reason": answer.reason, "text": answer.text}


def _connector(request: Request) -> int:
    value = request.get("connector")
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_CONNECTORS:
        raise InvalidFieldError("connector", value, f"a whole number from 1 to {MAX_CONNECTORS}")
    return value


def _text(request: Request, name: str, longest: int) -> str:
    value = request.get(name)
    # Half a surrogate pair is not printable either; it could be neither stored nor sent.
    if not isinstance(value, str) or not 1 <= len(value) <= longest or not value.isprintable():
        raise InvalidFieldError(name, value, f"a text of 1 to {longest} printable characters")
    return value
