"""Steps a second of both cores, and commits a second of the store."""

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from bench.results import Figure, Results
from evcharge_agent.core import events as e
from evcharge_agent.core.effects import CommitStart
from evcharge_agent.core.facts import (
    AuthorizationStatus,
    IdTag,
    IdTagInfo,
    Instant,
    Measurand,
    MeterReading,
    MeterSample,
    ReadingContext,
    TransactionKey,
    TransactionStart,
)
from evcharge_agent.core.step import initial, step
from evcharge_agent.settings.rules import rules_of
from evcharge_agent.settings.sections import Settings
from evcharge_agent.store.store import Store
from evcharge_hal.boards.loader import build_board
from evcharge_hal.contract.channel import (
    CHANNEL_VERSION,
    ConnectorRating,
    ConnectorStatus,
    ContactorState,
    LeaseState,
    SetPoint,
    Status,
    Welcome,
)
from evcharge_hal.contract.pilot import (
    CoprocessorFault,
    CoprocessorIdentity,
    LinkUp,
    PilotOutput,
    PilotReport,
    PilotState,
    ResetCause,
)
from evcharge_hal.contract.units import Amps, Celsius, PerPhase, WattHours
from evcharge_hal.guard import core as guard
from evcharge_hal.guard.effects import Drive, Remember
from evcharge_hal.guard.events import GuardInput, LinesRead, TimePassed

PAGE = bytes(4096)
MOST_COMMITS = 2000
"""Nobody empties the outbox here; far beyond this the store begins to thin it."""
PLUG_ID = "be-1-{}.1"


def measure(duration_s: float, results: Results) -> None:
    """Measure each for about `duration_s`."""
    bare = _rate(_replace_for_ever(), duration_s / 2.0)
    how = "two connectors charging; beside: dataclasses.replace of 8 fields"
    results.figures += [
        Figure("agent's core", _rate(_agent_steps(), duration_s), "steps/s", how, bare),
        Figure("guard's core", _rate(_guard_steps(), duration_s), "steps/s", how, bare),
    ]
    folder = Path(tempfile.mkdtemp(prefix="evcharge-bench-", dir="/var/tmp"))
    try:
        commits = asyncio.run(_commit(folder, duration_s))
        syncs = _rate(_sync_for_ever(folder), duration_s / 2.0)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    how = "samples, one after another; beside: write 4 KiB + fdatasync"
    results.figures.append(Figure("store", commits, "commits/s", how, syncs))


def _rate(work: Iterator[None], duration_s: float) -> float:
    """How often a second `work` can be advanced."""
    next(work)  # what is done once
    count, began_s = 0, time.perf_counter()
    while time.perf_counter() - began_s < duration_s:
        for _ in range(10):
            next(work)
        count += 10
    return count / (time.perf_counter() - began_s)


@dataclass(frozen=True, slots=True)
class _Eight:
    one: int = 1
    two: int = 2
    three: int = 3
    four: int = 4
    five: int = 5
    six: int = 6
    seven: int = 7
    eight: int = 8


def _replace_for_ever() -> Iterator[None]:
    value = _Eight()
    while True:
        value = replace(value, one=value.one + 1)
        yield


def _sync_for_ever(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder / "page", os.O_RDWR | os.O_CREAT)
    try:
        while True:
            os.pwrite(descriptor, PAGE, 0)
            os.fdatasync(descriptor)
            yield
    finally:
        os.close(descriptor)


# --- the agent's core -----------------------------------------------------------------------------------------


def _agent_steps() -> Iterator[None]:
    """Meters and status once a second, deadlines twice."""
    now_s = 1000.0
    state = initial(_at(now_s))
    welcome = Welcome(
        CHANNEL_VERSION, "guard", "boot", "sim", tuple(ConnectorRating(at, Amps(32.0), 3, False) for at in (1, 2)), ()
    )
    opening: list[e.Event] = [
        e.Restored(rules_of(Settings()), (), {IdTag("CARD"): IdTagInfo(AuthorizationStatus.ACCEPTED)}, "boot", "run"),
        e.GuardConnected(welcome),
        _status(now_s, PilotState.B),
        _reading(1, 0),
        _reading(2, 0),
        e.CardPresented(IdTag("CARD"), (1,)),
        e.CardPresented(IdTag("CARD"), (2,)),
    ]
    for event in opening:
        state, effects = step(state, event, _at(now_s))
        for effect in effects:
            if isinstance(effect, CommitStart):
                state, _ = step(state, e.StartCommitted(effect.start.transaction), _at(now_s))
    yield
    for second in range(1 << 30):
        now_s = 1001.0 + second
        turn: list[e.Event] = [
            _status(now_s, PilotState.C),
            _reading(1, second),
            _reading(2, second),
            e.TimePassed(),
            e.TimePassed(),
        ]
        for event in turn:
            state, _ = step(state, event, _at(now_s))
            yield


def _at(now_s: float) -> Instant:
    return Instant(now_s, 1_700_000_000.0 + now_s, is_utc_trusted=True)


def _reading(connector: int, second: int) -> e.MeterRead:
    energy_wh = WattHours(1000 + 3 * second)
    return e.MeterRead(connector, MeterReading(energy_wh, 11_040.0, PerPhase.uniform(16.0), PerPhase.uniform(230.0)))


def _status(now_s: float, pilot: PilotState) -> e.StatusReceived:
    contactor = ContactorState.CLOSED if pilot is PilotState.C else ContactorState.OPEN
    connectors = tuple(
        ConnectorStatus(
            at,
            PLUG_ID.format(at),
            pilot,
            PilotOutput.X2,
            Amps(16.0),
            contactor,
            LeaseState.HELD,
            None,
            (),
            frozenset(),
        )
        for at in (1, 2)
    )
    return e.StatusReceived(Status(now_s, True, connectors))


# --- the guard's core -----------------------------------------------------------------------------------------


def _guard_steps() -> Iterator[None]:
    """Ten reports a second from each connector, a set-point and a reading of the lines each second."""
    board = build_board({}, Path("board.toml"))
    now_s = 100.0
    state = guard.start(board, Remember({}, {}), now_s)
    identity = CoprocessorIdentity("be", "1.0.0", 1, ResetCause.POWER_ON, 2, Amps(32.0))
    state, _ = guard.step(state, LinkUp(identity, is_restart=False), now_s)
    drives: dict[int, Drive] = {}
    yield
    for tenth in range(1 << 30):
        now_s = 100.0 + tenth / 10.0
        for event in _guard_inputs(tenth, now_s, drives):
            state, effects = guard.step(state, event, now_s)
            drives.update({effect.connector: effect for effect in effects if isinstance(effect, Drive)})
            yield


def _guard_inputs(tenth: int, now_s: float, drives: dict[int, Drive]) -> list[GuardInput]:
    inputs: list[GuardInput] = [TimePassed()]
    for at in (1, 2):
        drive = drives.get(at)
        output = PilotOutput.X1 if drive is None else drive.pilot.output
        is_on = drive is not None and drive.pilot.permit
        state = PilotState.A if tenth < 5 else PilotState.C if output is PilotOutput.X2 else PilotState.B
        inputs.append(_report(at, now_s, state, output, is_permitted=is_on and state is PilotState.C))
        if tenth % 10 == 0 or (drive is not None and drive.is_rcm_test_active):
            is_closed = drive is not None and drive.is_relay_closed and is_on
            is_tripped = drive is not None and drive.is_rcm_test_active
            inputs.append(LinesRead(at, is_contactor_closed=is_closed, is_rcm_tripped=is_tripped))
        if tenth % 10 == 0:
            inputs.append(SetPoint(at, PLUG_ID.format(at), Amps(16.0), True))
    return inputs


def _report(at: int, now_s: float, state: PilotState, output: PilotOutput, *, is_permitted: bool) -> PilotReport:
    is_pwm = output is PilotOutput.X2
    high_v = {PilotState.A: 12.0, PilotState.B: 9.0}.get(state, 6.0)
    return PilotReport(
        connector=at,
        received_s=now_s,
        sample_age_s=0.0,
        state=state,
        output=output,
        duty=0.2667 if is_pwm else 1.0,
        high_v=high_v,
        low_v=-12.0 if is_pwm else high_v,
        pp_ohm=220.0,
        is_permitted=is_permitted,
        is_locked=False,
        temperature_c=Celsius(30.0),
        active=CoprocessorFault.NONE,
        latched=CoprocessorFault.NONE,
        boot_count=1,
        plug_count=0 if state is PilotState.A else 1,
    )


# --- the store ------------------------------------------------------------------------------------------------


async def _commit(folder: Path, duration_s: float) -> float:
    store = Store.open(folder, boot_id="boot")
    key = TransactionKey("bench")
    try:
        await store.commit_start(TransactionStart(key, 1, IdTag("CARD"), WattHours(0), _at(0.0), "plug"))
        count, began_s = 0, time.perf_counter()
        while count < MOST_COMMITS and time.perf_counter() - began_s < duration_s:
            count += 1
            await store.commit_sample(_sample(key, count))
        return count / (time.perf_counter() - began_s)
    finally:
        store.close()


def _sample(key: TransactionKey, count: int) -> MeterSample:
    reading = MeterReading(WattHours(count), 11_040.0, PerPhase.uniform(16.0), PerPhase.uniform(230.0))
    measurands = (Measurand.ENERGY_IMPORT, Measurand.POWER_IMPORT, Measurand.CURRENT_IMPORT)
    return MeterSample(1, key, _at(float(count)), ReadingContext.PERIODIC, reading, measurands, 16.0)
