"""A central system that is away while cars charge, comes back unwell, and at last is well again.

`play` writes down what really happened; `judge` compares what the central system was told with it, and what went
over the line with how a charger may behave. Times are monotonic seconds of the rig unless they say UTC.
"""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evcharge_agent.demo.central_script import Behaviour, Received, Script
from evcharge_agent.demo.central_system import CentralSystem, MemoryConnector
from evcharge_agent.ocpp16.link import Connection
from evcharge_agent.ocpp16.stamps import from_stamp
from tests.support.coarse_rig import METER_EVERY_S, STEP_S, CoarseRig
from tests.support.virtual_time import START_UTC_S, virtual_loop

CALL, RESULT, ERROR = 2, 3, 4
TRANSACTION_ACTIONS = ("StartTransaction", "MeterValues", "StopTransaction")
STAMP_S = METER_EVERY_S + 4 * STEP_S
"""How far a stamp may be from the moment this script saw: the meter's period and the rig's coarseness."""
CALL_TIMEOUT_S = 30
RECONNECT_MAX_S = 60
ATTEMPTS_PER_MINUTE = 8
"""1, 2, 4, 8, 16, 32 s of waiting, each at least half of it, are six attempts in the first minute."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long everything lasts, s."""

    charges_s: Sequence[float]
    """One entry for each session; the first begins before the outage."""
    pauses_s: float
    sample_interval_s: int
    unwell_messages: int
    """So many requests meet a central system that cuts, loses and delays."""


@dataclass(slots=True)
class Truth:
    """One session as it really was."""

    card: str
    connector: int
    start_wh: int
    started_utc_s: float
    stop_wh: int = 0
    stopped_utc_s: float = 0.0


@dataclass(slots=True)
class Line:
    """Watches every connection of the charger; satisfies `ocpp16.link.Connector`."""

    central: CentralSystem
    attempts_s: list[float] = field(default_factory=list)
    overlaps: list[str] = field(default_factory=list)
    """Calls made while another one was under way."""

    async def connect(self) -> Connection:
        """Connect, or fail as the central system has it."""
        self.attempts_s.append(virtual_loop().time())
        return WatchedConnection(self, await MemoryConnector(self.central, "RIG-1").connect())

    def most_in_a_minute(self) -> int:
        """The busiest minute."""
        times, most, first = self.attempts_s, 0, 0
        for last, at_s in enumerate(times):
            while times[first] <= at_s - 60.0:
                first += 1
            most = max(most, last - first + 1)
        return most


class WatchedConnection:
    """One connection, with an eye on how many calls wait for an answer."""

    def __init__(self, line: Line, inner: Connection) -> None:
        self._line = line
        self._inner = inner
        self._waiting: tuple[str, float] | None = None

    async def recv(self) -> str | bytes:
        text = await self._inner.recv()
        frame = json.loads(text)
        if frame[0] in (RESULT, ERROR) and self._waiting is not None and frame[1] == self._waiting[0]:
            self._waiting = None
        return text

    async def send(self, message: str) -> None:
        frame = json.loads(message)
        now_s = virtual_loop().time()
        if frame[0] == CALL:
            if self._waiting is not None and now_s < self._waiting[1] + CALL_TIMEOUT_S - 1e-6:
                self._line.overlaps.append(f"{frame[2]} at {now_s:.1f} s")
            self._waiting = (frame[1], now_s)
        await self._inner.send(message)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await self._inner.close(code, reason)

    def set_ping_interval(self, interval_s: float) -> None:
        self._inner.set_ping_interval(interval_s)


@dataclass(slots=True)
class UnwellScript(Script):
    """Cuts after a few messages, loses answers, answers late; for so many requests, then it is well."""

    luck: random.Random = field(default_factory=lambda: random.Random(0))
    unwell: int = 0
    late_ids: int = 0

    def next_behaviour(self, action: str) -> Behaviour | None:
        if self.unwell <= 0:
            return None
        self.unwell -= 1
        chance = self.luck.random()
        if action == "StartTransaction" and chance < 0.5:
            # Between a start and its answer: taken in or not, the charger cannot know.
            return (
                Behaviour(is_answer_lost=True, is_cut=True) if chance < 0.3 else Behaviour(is_silent=True, is_cut=True)
            )
        if chance < 0.1:
            return Behaviour(is_cut=True)
        if chance < 0.15:
            return Behaviour(is_answer_lost=True, is_cut=True)
        if chance < 0.25:
            return Behaviour(delay_s=self.luck.uniform(0.5, 10.0))
        if chance < 0.26 and action != "BootNotification":
            self.late_ids += 1
            return Behaviour(delay_s=CALL_TIMEOUT_S + 2.0)
        return None


class OutageRig(CoarseRig):
    """A coarse rig whose connections are watched."""

    def __init__(self, settings: Mapping[str, Any], state_dir: Path, *more: Any) -> None:
        super().__init__(settings, state_dir, *more)
        self.line = Line(self.central)
        self.came_back_utc_s = 0.0
        self._make_connector = lambda _, __: self.line


def settings_for(base: dict[str, Any], plan: Plan) -> dict[str, Any]:
    """The rig's settings with the plan's."""
    keys = {**base["ocpp"]["keys"], "MeterValueSampleInterval": plan.sample_interval_s}
    ocpp = {**base["ocpp"], "reconnect_max_s": RECONNECT_MAX_S, "call_timeout_s": CALL_TIMEOUT_S, "keys": keys}
    return {**base, "ocpp": ocpp}


def utc_s(monotonic_s: float) -> float:
    """The true time of the rig."""
    return START_UTC_S + monotonic_s


async def play(rig: OutageRig, plan: Plan, luck: random.Random) -> list[Truth]:
    """Charge through the outage; return when the central system has been told everything."""
    await rig.until_online()
    assert await rig.central.change_configuration("AllowOfflineTxForUnknownId", "true") == "Accepted"
    truths = [await begin(rig, 0)]
    await rig.sleep(20.0)
    rig.central.is_reachable = False
    await rig.central.drop()
    for number, charge_s in enumerate(plan.charges_s):
        if number > 0:
            truths.append(await begin(rig, number))
        await rig.sleep(charge_s)
        await end(rig, truths[-1])
        await rig.sleep(plan.pauses_s)
    assert len(rig.central.of("StopTransaction")) == 0, "nothing came through"
    rig.central.script = UnwellScript(
        luck=luck, unwell=plan.unwell_messages, next_transaction_id=rig.central.script.next_transaction_id
    )
    rig.central.is_reachable = True
    rig.came_back_utc_s = utc_s(rig.now_s())
    stops = len(plan.charges_s)
    await rig.until_central(
        "every session",
        lambda: sum(1 for record in rig.central.transactions.values() if record.stopped is not None) >= stops,
        within_s=4 * 3600.0,
    )
    await rig.sleep(300.0)
    return truths


async def begin(rig: CoarseRig, number: int) -> Truth:
    """Plug in and hold a card; it charges."""
    connector = 1 + number % 2
    card = f"CARD-{number}"
    before_wh = (await rig.at(connector))["energy_wh"]
    await rig.do("plug", connector=connector)
    await rig.until_state("Preparing", connector)
    truth = Truth(card, connector, before_wh, utc_s(rig.now_s()))
    await rig.do("swipe", id_tag=card, connectors=[connector])
    await rig.until_state("Charging", connector)
    return truth


async def end(rig: CoarseRig, truth: Truth) -> None:
    """The card again, then the cable."""
    await rig.do("swipe", id_tag=truth.card, connectors=[truth.connector])
    await rig.until_state("Finishing", truth.connector)
    truth.stopped_utc_s = utc_s(rig.now_s())
    truth.stop_wh = (await rig.at(truth.connector))["energy_wh"]
    await rig.do("unplug", connector=truth.connector)
    await rig.until_state("Available", truth.connector)


# --- what must be true afterwards -------------------------------------------------------------------------------


def judge(rig: OutageRig, truths: Sequence[Truth]) -> None:
    """Compare everything told with everything that was."""
    central = rig.central
    first = first_receipts(central.received)
    judge_sessions(central, truths, first)
    judge_order(first, truths)
    judge_states(central, rig.came_back_utc_s)
    assert rig.line.overlaps == [], "one call at a time"
    assert rig.line.most_in_a_minute() <= ATTEMPTS_PER_MINUTE, "no storm of connections"


def first_receipts(received: Sequence[Received]) -> list[Received]:
    """Transaction messages without repetitions; what is repeated is the same to the letter."""
    known: dict[str, Received] = {}
    for one in received:
        if one.action in TRANSACTION_ACTIONS:
            before = known.setdefault(one.message_id, one)
            assert (before.action, before.payload) == (one.action, one.payload), "repeated with another content"
    return list(known.values())


def judge_sessions(central: CentralSystem, truths: Sequence[Truth], first: Sequence[Received]) -> None:
    """One start and one stop each, with the right energies and true stamps."""
    for action in ("StartTransaction", "StopTransaction"):
        assert sum(1 for one in first if one.action == action) == len(truths), f"one {action} for each session"
    records = {record.id_tag: record for record in central.transactions.values()}
    assert len(central.transactions) == len(records) == len(truths)
    for truth in truths:
        record = records[truth.card]
        assert (record.connector, record.meter_start_wh) == (truth.connector, truth.start_wh), truth
        assert record.meter_stop_wh == truth.stop_wh, (truth, record.meter_stop_wh)
        assert truth.stop_wh > truth.start_wh, truth
        assert abs(stamp_s(record.started) - truth.started_utc_s) <= STAMP_S, (truth, record.started)
        assert abs(stamp_s(record.stopped) - truth.stopped_utc_s) <= STAMP_S, (truth, record.stopped)


def judge_order(first: Sequence[Received], truths: Sequence[Truth]) -> None:
    """Everything in the order in which it happened; nothing of one session after its stop."""
    told = [stamps_of(one) for one in first]
    flat = [stamp for stamps in told for stamp in stamps]
    assert flat == sorted(flat), "oldest first"
    cards = [one.payload["id_tag"] for one in first if one.action == "StartTransaction"]
    assert cards == [truth.card for truth in truths]
    is_open = False
    for one in first:
        assert is_open is (one.action != "StartTransaction"), "samples and stop belong between start and stop"
        is_open = one.action != "StopTransaction"


def judge_states(central: CentralSystem, came_back_utc_s: float) -> None:
    """After the outage only what is so now is told, once for each connection; no state of the meantime."""
    late = [one for one in central.of("StatusNotification") if one.at_utc_s >= came_back_utc_s]
    assert {one.payload["status"] for one in late} <= {"Available"}
    repeated = len({one.message_id for one in late})
    assert repeated <= 3 * central.connections


def stamps_of(one: Received) -> list[float]:
    """All times a message speaks of, UTC s."""
    if one.action == "MeterValues":
        return [stamp_s(value["timestamp"]) for value in one.payload["meter_value"]]
    return [stamp_s(one.payload["timestamp"])]


def stamp_s(text: str | None) -> float:
    """UTC s of a stamp."""
    utc = None if text is None else from_stamp(text)
    assert utc is not None, text
    return utc
