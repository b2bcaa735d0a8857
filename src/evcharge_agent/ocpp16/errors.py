"""Why a call got no usable answer."""

from evcharge_hal.contract.errors import EvchargeError


class CallFailedError(EvchargeError):
    """A CALL was not answered with a usable CALLRESULT."""


class CallRefusedError(CallFailedError):
    """The central system answered with a CALLERROR, or with a CALLRESULT that breaks the schema."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(f"{code}: {description}" if description else code)
        self.code = code


class CallTimedOutError(CallFailedError):
    """No answer came within the call time-out."""


class LinkClosedError(CallFailedError):
    """The connection is not there, or broke before an answer came. Never counts as an attempt."""


class ConnectFailedError(EvchargeError):
    """No connection could be made; the text says why."""


class CredentialsRefusedError(ConnectFailedError):
    """The central system did not accept the charge point's credentials (HTTP 401)."""
