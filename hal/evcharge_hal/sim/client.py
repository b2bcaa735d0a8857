"""Client of the control interface: plain HTTP over the unix socket, synchronous, standard library only."""

import http.client
import json
import socket
from pathlib import Path
from typing import Any

from evcharge_hal.contract.errors import EvchargeError

TIMEOUT_S = 5.0
_OK = 200


class SimError(EvchargeError):
    """A call to the simulated world failed."""


class SimUnreachableError(SimError):
    """No simulated world answers on the socket."""


class SimRefusedError(SimError):
    """The world refused; the text says why and what would be allowed."""

    def __init__(self, text: str, detail: dict[str, Any]) -> None:
        super().__init__(text)
        self.detail = detail
        """The answer's `error` object: field, value, allowed."""


class SimClient:
    """Speaks to one world; every call is a connection of its own."""

    def __init__(self, socket_path: Path, *, timeout_s: float = TIMEOUT_S) -> None:
        self._path = socket_path
        self._timeout_s = timeout_s

    def perform(self, verb: str, **fields: Any) -> dict[str, Any]:
        """Do what a verb says and return the state after it.

        Raises:
            SimRefusedError: the verb or one of its fields is wrong.
            SimUnreachableError: no world answers.
        """
        return self._call("POST", f"/sim/{verb}", fields)

    def state(self) -> dict[str, Any]:
        """Return the true state of the plant; raises as `perform`."""
        return self._call("GET", "/sim/state")

    def health(self) -> dict[str, Any]:
        """Return who is there and the ports of the meters; raises as `perform`."""
        return self._call("GET", "/sim/health")

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        connection = _UnixConnection(self._path, self._timeout_s)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, body=text, headers={"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            msg = f"{self._path}: no simulated world answers: {error}"
            raise SimUnreachableError(msg) from error
        finally:
            connection.close()
        if not isinstance(answer, dict):
            msg = f"{self._path}: this is not a simulated world"
            raise SimUnreachableError(msg)
        if response.status != _OK:
            detail = answer.get("error", {})
            raise SimRefusedError(str(detail.get("text", f"refused with {response.status}")), detail)
        return answer


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
