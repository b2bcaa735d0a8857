"""What of an OCPP payload may be logged. Pure (spec security 3.12: secrets and full id tags never are)."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from evcharge_agent.runtime.redaction import REDACTED, shorten_id_tag

_HIDDEN_NAMES = frozenset({"csr", "certificate", "certificatechain", "signature", "signingcertificate", "data"})
_TAG_NAMES = frozenset({"idtag", "parentidtag"})
_ADDRESS_NAMES = frozenset({"location", "remotelocation"})
_SECRET_KEYS = frozenset({"authorizationkey"})


def redacted(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Copy a payload without what is secret or personal."""
    shown = {name: _shown(name.replace("_", "").casefold(), value) for name, value in payload.items()}
    key = payload.get("key")
    if isinstance(key, str) and key.strip().casefold() in _SECRET_KEYS and "value" in shown:
        shown["value"] = REDACTED
    return shown


def _shown(name: str, value: Any) -> Any:
    if name in _HIDDEN_NAMES:
        return REDACTED
    if isinstance(value, Mapping):
        return redacted(value)
    if isinstance(value, list):
        return [_shown(name, item) for item in value]
    if isinstance(value, str) and name in _TAG_NAMES:
        return shorten_id_tag(value)
    if isinstance(value, str) and name in _ADDRESS_NAMES and ":" in value:
        return _host_of(value)
    return value


def _host_of(address: str) -> str:
    """Upload and download addresses carry credentials; the host is enough."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return REDACTED
    return f"{parts.scheme}://{parts.hostname or ''}"
