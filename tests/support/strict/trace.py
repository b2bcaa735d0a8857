"""What went over the wire, and what the world did meanwhile: the record the laws judge.

Entries are in the order in which they happened. `Trace` pairs calls with their answers and groups what belongs
to one transaction; it decides nothing.
"""

import functools
import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from tests.support.strict.schema import Breach, breaches, exact

Payload = Mapping[str, Any]

TRANSACTION_ACTIONS = ("StartTransaction", "MeterValues", "StopTransaction")
FOREVER_S = float("inf")


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection was taken in. `path` and what follows is None where no HTTP was spoken."""

    at_s: float
    line: int
    path: str | None = None
    authorization: str | None = None
    subprotocols: tuple[str, ...] | None = None
    is_tls: bool = False
    client: int | None = None
    """Serial number of the certificate the charger showed."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A connection was attempted and not taken in."""

    at_s: float
    path: str | None = None
    authorization: str | None = None


@dataclass(frozen=True, slots=True)
class Closed:
    """A connection ended."""

    at_s: float
    line: int


@dataclass(frozen=True, slots=True)
class Frame:
    """One text frame."""

    at_s: float
    line: int
    is_from_charger: bool
    text: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Something the central system cannot see: `power` (the charger lost it), `restart`, `plug`, `unplug`, `swipe`."""

    at_s: float
    what: str
    connector: int | None = None
    detail: str = ""


Entry = Opened | Refused | Closed | Frame | Mark


@dataclass(frozen=True, slots=True)
class Call:
    """One CALL and what became of it. `number` and `answer_number` are places in the trace."""

    number: int
    at_s: float
    line: int
    is_from_charger: bool
    id: str
    action: str
    payload: Payload
    answer_number: int | None = None
    answered_s: float | None = None
    result: Payload | None = None
    error: str | None = None

    @property
    def status(self) -> str | None:
        """Status of the result, its idTagInfo's where it has one."""
        if self.result is None:
            return None
        found = self.result.get("status", self.result.get("idTagInfo", {}).get("status"))
        return None if found is None else str(found)

    @property
    def connector(self) -> int | None:
        """The connector the call names."""
        found = self.payload.get("connectorId")
        return found if isinstance(found, int) else None

    def __str__(self) -> str:
        return f"{self.action} {dict(self.payload)} at {self.at_s:.2f}"


@dataclass(frozen=True, slots=True)
class Transaction:
    """All that was said of one transaction; `start` is its first send."""

    start: Call
    sends: tuple[Call, ...]
    id: int | None
    info: Payload | None
    values: tuple[Call, ...]
    stops: tuple[Call, ...]

    @property
    def connector(self) -> int:
        """Where it ran."""
        return int(self.start.payload["connectorId"])

    @property
    def stop(self) -> Call | None:
        """First send of its stop."""
        return self.stops[0] if self.stops else None

    def is_open_at(self, number: int) -> bool:
        """At that place of the trace the central system had given it a number and was not told of its end."""
        known = next((one.answer_number for one in self.sends if one.result is not None), None)
        return known is not None and known < number and (self.stop is None or self.stop.number > number)


@dataclass(frozen=True, slots=True)
class Life:
    """One connection."""

    line: int
    opened_s: float
    closed_s: float


@dataclass(frozen=True, slots=True)
class Run:
    """The charger from one start to the next; `first` to before `last` are places in the trace."""

    first: int
    last: int
    began_s: float
    ended_s: float
    boots: tuple[Call, ...]

    @property
    def accepted(self) -> Call | None:
        """The boot that was accepted."""
        return next((boot for boot in self.boots if boot.status == "Accepted"), None)

    @property
    def accepted_s(self) -> float | None:
        """When its boot was accepted."""
        return None if self.accepted is None else self.accepted.answered_s

    def has(self, call: Call) -> bool:
        """The call belongs to this run."""
        return self.first <= call.number < self.last


class Trace:
    """Entries up to `ended_s`; `utc_offset_s` added to a monotonic time is the central system's clock."""

    def __init__(self, entries: Iterable[Entry], ended_s: float, utc_offset_s: float) -> None:
        self.entries = tuple(entries)
        self.ended_s = ended_s
        self.utc_offset_s = utc_offset_s

    @functools.cached_property
    def frames(self) -> tuple[Frame, ...]:
        """All frames."""
        return tuple(entry for entry in self.entries if isinstance(entry, Frame))

    @functools.cached_property
    def calls(self) -> tuple[Call, ...]:
        """Every CALL of both sides that has the shape of one, in order."""
        pairing = Pairing()
        for number, entry in enumerate(self.entries):
            pairing.add(number, entry)
        return tuple(pairing.calls)

    def sent(self, *actions: str) -> list[Call]:
        """The charger's calls, of these actions or of all."""
        return [call for call in self.calls if call.is_from_charger and (not actions or call.action in actions)]

    def asked(self, *actions: str) -> list[Call]:
        """The central system's calls."""
        return [call for call in self.calls if not call.is_from_charger and (not actions or call.action in actions)]

    def marks(self, *what: str) -> list[Mark]:
        """Marks of these kinds."""
        return [entry for entry in self.entries if isinstance(entry, Mark) and entry.what in what]

    def statuses(self, connector: int) -> list[Call]:
        """StatusNotifications of one connector."""
        return [call for call in self.sent("StatusNotification") if call.connector == connector]

    @functools.cached_property
    def lives(self) -> tuple[Life, ...]:
        """Connections in order."""
        closed = {entry.line: entry.at_s for entry in self.entries if isinstance(entry, Closed)}
        opened = [entry for entry in self.entries if isinstance(entry, Opened)]
        return tuple(Life(entry.line, entry.at_s, closed.get(entry.line, FOREVER_S)) for entry in opened)

    def is_up(self, from_s: float, to_s: float) -> bool:
        """One connection lasted from the one moment to the other."""
        return any(life.opened_s <= from_s and to_s < life.closed_s for life in self.lives)

    @functools.cached_property
    def starts(self) -> tuple[int, ...]:
        """Where the charger started: at first, after each mark that says so and after each reset it accepted."""
        kinds = ("power", "restart")
        found = [place for place, entry in enumerate(self.entries) if isinstance(entry, Opened)][:1]
        for place, mark in enumerate(self.entries):
            if isinstance(mark, Mark) and mark.what in kinds:
                found.append(self._after_last_words(place))
        for reset in self.asked("Reset"):
            if reset.status == "Accepted":
                closed = [place for place, one in enumerate(self.entries) if isinstance(one, Closed)]
                found += [place for place in closed if place > reset.number][:1]
        return tuple(sorted(set(found)))

    def _after_last_words(self, place: int) -> int:
        """Where the line closes that was open at that place: what comes until then was on its way."""
        lines = [one for one in self.entries[:place] if isinstance(one, Opened | Closed)]
        if not lines or isinstance(lines[-1], Closed):
            return place
        later = range(place, len(self.entries))
        return next((number for number in later if isinstance(self.entries[number], Closed)), place)

    @functools.cached_property
    def runs(self) -> tuple[Run, ...]:
        """The charger's life, cut at its starts."""
        boots = self.sent("BootNotification")
        bounds = [*self.starts, len(self.entries)]
        times = [*(self.entries[place].at_s for place in self.starts), FOREVER_S]
        return tuple(
            Run(first, last, began_s, ended_s, tuple(boot for boot in boots if first <= boot.number < last))
            for (first, last), (began_s, ended_s) in zip(
                itertools.pairwise(bounds), itertools.pairwise(times), strict=True
            )
        )

    def run_of(self, call: Call) -> Run | None:
        """The run a call belongs to."""
        return next((run for run in self.runs if run.has(call)), None)

    def is_same_run(self, one: Call, other: Call) -> bool:
        """The charger did not start anew between the two."""
        return self.run_of(one) == self.run_of(other)

    def is_without_start(self, from_s: float, to_s: float) -> bool:
        """The charger did not start anew between the two moments."""
        return not any(from_s <= self.entries[place].at_s <= to_s for place in self.starts)

    @functools.cached_property
    def sends(self) -> tuple[tuple[Call, ...], ...]:
        """The charger's calls, those with the same message id together."""
        found: dict[str, list[Call]] = {}
        for call in self.sent():
            found.setdefault(call.id, []).append(call)
        return tuple(tuple(calls) for calls in found.values())

    @functools.cached_property
    def transactions(self) -> tuple[Transaction, ...]:
        """Everything that began with a StartTransaction, in order."""
        found = []
        for sends in self.sends:
            if sends[0].action != "StartTransaction":
                continue
            result = next((one.result for one in sends if one.result is not None), None)
            number = None if result is None else result["transactionId"]
            mine = [one for one in self.sent("MeterValues", "StopTransaction") if _names(one, number)]
            found.append(
                Transaction(
                    start=sends[0],
                    sends=sends,
                    id=number,
                    info=None if result is None else result["idTagInfo"],
                    values=tuple(one for one in mine if one.action == "MeterValues"),
                    stops=tuple(one for one in mine if one.action == "StopTransaction"),
                )
            )
        return tuple(found)

    @functools.cached_property
    def breaches(self) -> tuple[tuple[Frame, Breach], ...]:
        """Where payloads of the charger do not fit their schemas."""
        asked = {call.answer_number: call.action for call in self.asked() if call.result is not None}
        found: list[tuple[Frame, Breach]] = []
        for number, frame in enumerate(self.entries):
            if not (isinstance(frame, Frame) and frame.is_from_charger):
                continue
            match exact(frame.text):
                case [2, str(), str(action), dict(payload)]:
                    found += [(frame, breach) for breach in breaches(action, payload)]
                case [3, str(), dict(payload)] if number in asked:
                    found += [(frame, breach) for breach in breaches(f"{asked[number]}Response", payload)]
        return tuple(found)

    def utc_s(self, at_s: float) -> float:
        """The central system's wall clock at a monotonic moment."""
        return at_s + self.utc_offset_s


def stamp_s(text: str) -> float:
    """Seconds since 1970 of an RFC 3339 stamp; one without a zone raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"no zone in {text}")
    return moment.timestamp()


def to_stamp(utc_s: float) -> str:
    """RFC 3339 with milliseconds and Z."""
    moment = datetime.fromtimestamp(round(utc_s, 3), tz=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Pairing:
    """Reads the calls out of the frames and gives each the first answer the other side sent on the same line."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._open: dict[tuple[int, bool, str], list[int]] = {}

    def add(self, number: int, entry: Entry) -> None:
        """Take in the entry at that place of the trace."""
        if not isinstance(entry, Frame):
            return
        match read(entry.text):
            case [2, str(id_), str(action), dict(payload)]:
                self._open.setdefault((entry.line, entry.is_from_charger, id_), []).append(len(self.calls))
                self.calls.append(Call(number, entry.at_s, entry.line, entry.is_from_charger, id_, action, payload))
            case [3, str(id_), dict(payload)]:
                self._answer(number, entry, id_, payload, None)
            case [4, str(id_), str(code), *_]:
                self._answer(number, entry, id_, None, code)

    def _answer(self, number: int, entry: Frame, id_: str, result: Payload | None, error: str | None) -> None:
        places = self._open.get((entry.line, not entry.is_from_charger, id_))
        if places:
            place = places.pop(0)
            self.calls[place] = replace(
                self.calls[place], answer_number=number, answered_s=entry.at_s, result=result, error=error
            )


def read(text: str) -> Any:
    """The frame as JSON, None when it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def pairs(calls: Iterable[Call]) -> Iterable[tuple[Call, Call]]:
    """Each call with the one after it."""
    return itertools.pairwise(calls)


def _names(call: Call, transaction_id: int | None) -> bool:
    return transaction_id is not None and call.payload.get("transactionId") == transaction_id
