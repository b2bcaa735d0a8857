"""What the laws hold a charger to: its size, its configuration and the tolerances."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tests.support.strict.trace import Trace

DEFAULT_KEYS: Mapping[str, str] = {
    "AllowOfflineTxForUnknownId": "false",
    "AuthorizationCacheEnabled": "true",
    "AuthorizeRemoteTxRequests": "false",
    "ClockAlignedDataInterval": "0",
    "ConnectionTimeOut": "60",
    "HeartbeatInterval": "300",
    "LocalAuthListEnabled": "true",
    "LocalPreAuthorize": "false",
    "MessageTimeout": "30",
    "MeterValueSampleInterval": "60",
    "MeterValuesAlignedData": "Energy.Active.Import.Register",
    "MeterValuesSampledData": "Energy.Active.Import.Register",
    "MinimumStatusDuration": "0",
    "StopTransactionOnInvalidId": "true",
    "StopTxnAlignedData": "",
    "StopTxnSampledData": "",
    "TransactionMessageAttempts": "5",
    "TransactionMessageRetryInterval": "30",
}


@dataclass(frozen=True, slots=True)
class Expectations:
    """What is known of the charger before it speaks."""

    connectors: int = 2
    keys: Mapping[str, str] = field(default_factory=lambda: dict(DEFAULT_KEYS))
    """Configuration at the start; later changes are read from the trace."""
    identity: str = "charger"
    password: bytes | None = None
    """What HTTP Basic must carry; None: no credentials may be sent."""
    security_profile: int = 0
    """At the start; later changes are read from the trace."""
    meter_gives: frozenset[str] = frozenset({"Energy.Active.Import.Register"})
    """Measurands that must be there where they are configured."""
    reconnect_within_s: float = 30.0
    """Longest pause between two attempts to connect."""
    answer_within_s: float = 10.0
    follow_within_s: float = 10.0
    """How soon what was ordered must be seen."""
    waived: frozenset[str] = frozenset()
    """Laws a scenario breaks on purpose, by name."""

    def with_keys(self, **keys: str) -> "Expectations":
        """Other configuration at the start."""
        return replace(self, keys={**self.keys, **keys})

    def without(self, *laws: str) -> "Expectations":
        """Waive laws."""
        return replace(self, waived=self.waived | set(laws))


def key_at(trace: Trace, expectations: Expectations, name: str, at_s: float) -> str:
    """A configuration key as it was at a moment, from its start value and the changes that were accepted."""
    value, since_s = expectations.keys[name], float("-inf")
    for call in trace.asked("ChangeConfiguration"):
        is_mine = str(call.payload["key"]).casefold() == name.casefold() and call.status == "Accepted"
        if is_mine and call.answered_s is not None and since_s <= call.answered_s <= at_s:
            value, since_s = call.payload["value"], call.answered_s
    if name == "HeartbeatInterval":
        for boot in trace.sent("BootNotification"):
            is_mine = boot.status == "Accepted" and boot.answered_s is not None and boot.answered_s <= at_s
            if is_mine and boot.result is not None and boot.result["interval"] > 0 and boot.at_s >= since_s:
                value, since_s = str(boot.result["interval"]), boot.at_s
    return str(value)


def seconds_at(trace: Trace, expectations: Expectations, name: str, at_s: float) -> float:
    """A key that is a number of seconds."""
    return float(key_at(trace, expectations, name, at_s))


def is_at(trace: Trace, expectations: Expectations, name: str, at_s: float) -> bool:
    """A key that is true or false."""
    return key_at(trace, expectations, name, at_s).casefold() == "true"


def list_at(trace: Trace, expectations: Expectations, name: str, at_s: float) -> frozenset[str]:
    """A key that is a list."""
    text = key_at(trace, expectations, name, at_s)
    return frozenset(part.strip() for part in text.split(",") if part.strip())
