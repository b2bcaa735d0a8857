"""Laws about what a connection is opened with (OCPP security white paper, 2)."""

import base64
import itertools
from collections.abc import Iterator

from tests.support.strict.expectations import Expectations
from tests.support.strict.law import Finding
from tests.support.strict.trace import Opened, Refused, Trace


def credentials_are_right(trace: Trace, expectations: Expectations) -> Iterator[Finding]:
    """HTTP Basic carries identity and key; without a key nothing is carried."""
    for entry in trace.entries:
        if not isinstance(entry, Opened) or entry.path is None:
            continue
        keys = valid_keys(trace, expectations, entry.at_s)
        if not keys and entry.authorization is not None:
            yield entry.at_s, "credentials nobody asked for"
        elif keys and entry.authorization not in {_basic(expectations.identity, key) for key in keys}:
            yield entry.at_s, f"wrong credentials {entry.authorization}"


def a_refused_key_is_not_the_last_word(trace: Trace, expectations: Expectations) -> Iterator[Finding]:
    """A new key that is refused makes way for the one that worked (rule 20)."""
    attempts = [entry for entry in trace.entries if isinstance(entry, Opened | Refused) and entry.path is not None]
    worked = False
    for before, after in itertools.pairwise(attempts):
        worked = worked or isinstance(before, Opened)
        is_refused_twice = isinstance(before, Refused) and isinstance(after, Refused)
        is_same = before.authorization is not None and before.authorization == after.authorization
        keys = valid_keys(trace, expectations, after.at_s)
        if worked and is_refused_twice and is_same and len(keys) > 1:
            yield after.at_s, "a key that was refused, again"


def valid_keys(trace: Trace, expectations: Expectations, at_s: float) -> list[bytes]:
    """The key at the start and those that were accepted since, newest last."""
    found = [] if expectations.password is None else [expectations.password]
    for call in trace.asked("ChangeConfiguration"):
        is_key = str(call.payload["key"]).casefold() == "authorizationkey"
        if is_key and call.status == "Accepted" and call.answered_s is not None and call.answered_s <= at_s:
            found.append(key_bytes(str(call.payload["value"])))
    return found


def key_bytes(text: str) -> bytes:
    """An even number of 32 to 40 hex digits is bytes, anything else stands for itself."""
    if 32 <= len(text) <= 40 and len(text) % 2 == 0:
        try:
            return bytes.fromhex(text)
        except ValueError:
            pass
    return text.encode()


def _basic(identity: str, key: bytes) -> str:
    return "Basic " + base64.b64encode(identity.encode() + b":" + key).decode()


CREDENTIAL_LAWS = (credentials_are_right, a_refused_key_is_not_the_last_word)
