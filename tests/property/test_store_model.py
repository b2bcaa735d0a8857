"""The store against a model of it, with the power cut between any two operations and within any write.

A cut is played by continuing on a copy of the files as they are at that moment (kill -9: what was written is
there, the shared memory is not), or with the log ending anywhere inside the last write (power loss before its
fsync returned). What was committed must be there, once, in order; what was not must have left no trace.
"""

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from evcharge_agent.core.facts import (
    AuthorizationStatus,
    IdTagInfo,
    Instant,
    MeterSample,
    TransactionStart,
    TransactionStop,
)
from evcharge_agent.store.database import FILE_NAME
from tests.unit.store.examples import at, end_sample, inline_store, sample, start, stop

ACCEPTED = IdTagInfo(AuthorizationStatus.ACCEPTED)
Fact = TransactionStart | TransactionStop | MeterSample
KEYS = st.sampled_from(["a", "b", "c"])


@dataclass
class Queued:
    """One message of the model."""

    fact: Fact
    attempts: int = 0


@dataclass
class Model:
    """What the store must hold."""

    queue: list[Queued] = field(default_factory=list)
    parked: list[Queued] = field(default_factory=list)
    started: dict[str, TransactionStart] = field(default_factory=dict)
    stopped: set[str] = field(default_factory=set)
    transaction_ids: dict[str, int] = field(default_factory=dict)
    energy_wh: dict[str, int] = field(default_factory=dict)
    settings: dict[str, object] = field(default_factory=dict)
    held: dict[str, tuple[MeterSample, TransactionStop]] = field(default_factory=dict)

    @property
    def open(self) -> set[str]:
        return set(self.started) - self.stopped

    def number_of(self, key: str) -> int | None:
        is_given_up = any(
            isinstance(item.fact, TransactionStart) and item.fact.transaction == key for item in self.parked
        )
        return self.transaction_ids.get(key, -1 if is_given_up else None)


class StoreMachine(RuleBasedStateMachine):
    """Random operations, each followed by a comparison with the model."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="store-"))
        self.runner = asyncio.Runner()
        self.numbers = itertools.count(1)
        self.directory = self.root / "0"
        self.store = inline_store(self.directory)
        self.model = Model()

    def run(self, work: Awaitable[object]) -> object:
        async def awaited() -> object:
            return await work

        return self.runner.run(awaited())

    def teardown(self) -> None:
        for item in self.model.queue:
            message = self.run(self.store.oldest())
            assert message.fact == item.fact
            self.run(self.store.acknowledge(message.sequence, 1))
        assert self.run(self.store.oldest()) is None
        self.store.close()
        self.runner.close()
        shutil.rmtree(self.root)

    # --- operations ---------------------------------------------------------------------------------------

    def operation(self, name: str, key: str) -> tuple[Callable[[], object], Callable[[], None]] | None:
        """The operation on the store and, to be called if it happened, its twin on the model."""
        now = at(float(next(self.numbers)))
        model, store = self.model, self.store
        if name == "start" and key not in model.started:
            fact = start(key, now)
            return lambda: self.run(store.commit_start(fact)), lambda: self.note_start(fact)
        if name == "sample" and key in model.open:
            taken = sample(key, now, 1000 + int(now.monotonic_s))
            return lambda: self.run(store.commit_sample(taken)), lambda: self.note_sample(taken)
        if name == "stop" and key in model.open:
            end = stop(key, now)
            return lambda: self.run(store.commit_stop(end)), lambda: self.note_stop(end)
        if name == "hold" and key in model.open:
            end, last = stop(key, now), end_sample(key, now)
            return (
                lambda: self.run(store.commit_stop(end, end=last, is_held=True)),
                lambda: self.note_held(last, end),
            )
        if name == "finish" and key in model.held:
            wh = 1990 + int(now.monotonic_s)
            return (
                lambda: self.run(store.finish_stop(key, wh, now, end_sample(key, now, wh))),
                lambda: self.note_finished(key, now, max(wh, 2000)),
            )
        if name == "setting":
            value = now.monotonic_s
            return lambda: self.run(store.set_setting(key, value)), lambda: model.settings.update({key: value})
        if name in ("acknowledge", "park", "attempt") and model.queue:
            return self.outbox_operation(name)
        return None

    def outbox_operation(self, name: str) -> tuple[Callable[[], object], Callable[[], None]]:
        store, message = self.store, self.run(self.store.oldest())
        if name == "acknowledge":
            number = 100 + message.sequence
            return (
                lambda: self.run(store.acknowledge(message.sequence, number, ACCEPTED)),
                lambda: self.note_acknowledged(number),
            )
        if name == "park":
            return (
                lambda: self.run(store.park(message.sequence)),
                lambda: self.model.parked.append(self.model.queue.pop(0)),
            )
        return lambda: self.run(store.count_attempt(message.sequence)), self.note_attempt

    def note_start(self, fact: TransactionStart) -> None:
        self.model.started[fact.transaction] = fact
        self.model.energy_wh[fact.transaction] = fact.meter_start_wh
        self.model.queue.append(Queued(fact))

    def note_sample(self, taken: MeterSample) -> None:
        self.model.energy_wh[taken.transaction] = taken.reading.energy_wh
        self.model.queue.append(Queued(taken))

    def note_stop(self, end: TransactionStop) -> None:
        self.model.stopped.add(end.transaction)
        self.model.queue.append(Queued(end))

    def note_held(self, last: MeterSample, end: TransactionStop) -> None:
        self.model.stopped.add(end.transaction)
        self.model.held[end.transaction] = (last, end)

    def note_finished(self, key: str, moment: Instant, wh: int) -> None:
        _, end = self.model.held.pop(key)
        self.model.queue += [
            Queued(end_sample(key, moment, wh)),
            Queued(replace(end, meter_stop_wh=wh, stopped=moment)),
        ]

    def note_acknowledged(self, number: int) -> None:
        fact = self.model.queue.pop(0).fact
        if isinstance(fact, TransactionStart):
            self.model.transaction_ids[fact.transaction] = number

    def note_attempt(self) -> None:
        self.model.queue[0].attempts += 1

    # --- rules --------------------------------------------------------------------------------------------

    names = st.sampled_from(
        ["start", "sample", "sample", "stop", "hold", "hold", "finish", "acknowledge", "park", "attempt", "setting"]
    )

    @initialize()
    def first(self) -> None:
        self.operate("start", "a")

    @rule(name=names, key=KEYS)
    def operate(self, name: str, key: str) -> None:
        if (chosen := self.operation(name, key)) is not None:
            chosen[0]()
            chosen[1]()

    @precondition(lambda self: self.model.started)
    @rule(key=KEYS)
    def repeat(self, key: str) -> None:
        """A fact that is there already changes nothing."""
        if key in self.model.started:
            assert self.run(self.store.commit_start(self.model.started[key])) is False
        if key in self.model.stopped and key not in self.model.held:
            assert self.run(self.store.finish_stop(key, 9999, at(9e6))) is False
        if key in self.model.stopped:
            assert self.run(self.store.commit_stop(stop(key, at(9e6)))) is False
            assert self.run(self.store.commit_sample(sample(key, at(9e6)))) is False

    @precondition(lambda self: self.model.open)
    @rule()
    def hold(self) -> None:
        self.operate("hold", min(self.model.open))

    @precondition(lambda self: self.model.held)
    @rule()
    def finish(self) -> None:
        self.operate("finish", min(self.model.held))

    @rule()
    def kill(self) -> None:
        self.continue_on(self.log_bytes())

    @rule(name=names, key=KEYS, share=st.floats(0.0, 1.0, exclude_max=True))
    def cut_within(self, name: str, key: str, share: float) -> None:
        before = self.log_bytes()
        chosen = self.operation(name, key)
        if chosen is None:
            return
        chosen[0]()
        after = self.log_bytes()
        if not after.startswith(before) or after == before:
            chosen[1]()  # the log was begun anew or not needed
            return
        self.continue_on(after[: len(before) + int((len(after) - len(before)) * share)])

    def log_bytes(self) -> bytes:
        log = self.directory / f"{FILE_NAME}-wal"
        return log.read_bytes() if log.exists() else b""

    def continue_on(self, log: bytes) -> None:
        copy = self.root / str(next(self.numbers))
        copy.mkdir()
        shutil.copy(self.directory / FILE_NAME, copy / FILE_NAME)
        (copy / f"{FILE_NAME}-wal").write_bytes(log)
        self.store.close()
        self.directory = copy
        self.store = inline_store(copy)

    # --- comparison ---------------------------------------------------------------------------------------

    @invariant()
    def the_head_of_the_queue_is_the_models(self) -> None:
        message = self.run(self.store.oldest())
        assert self.store.outbox_size() == len(self.model.queue)
        assert self.store.parked() == len(self.model.parked)
        if not self.model.queue:
            assert message is None
            return
        head = self.model.queue[0]
        assert (message.fact, message.attempts) == (head.fact, head.attempts)
        assert message.transaction_id == self.model.number_of(message.transaction)
        # A transaction's id is known before anything but its start is given out.
        assert isinstance(message.fact, TransactionStart) or message.transaction_id is not None

    @invariant()
    def the_ledger_is_the_models(self) -> None:
        found = self.run(self.store.open_transactions())
        assert {entry.start.transaction: entry.last_energy_wh for entry in found} == {
            key: self.model.energy_wh[key] for key in self.model.open
        }
        rows = self.run(self.store.sessions(10))
        assert {row.start.transaction: row.stop is not None for row in rows} == {
            key: key in self.model.stopped for key in self.model.started
        }
        assert [message.fact for message in self.run(self.store.parked_messages())] == [
            item.fact for item in self.model.parked
        ]
        assert self.run(self.store.overlay()) == self.model.settings


TestStore = StoreMachine.TestCase
TestStore.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
