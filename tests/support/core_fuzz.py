"""Random lives of a station: every kind of event in any order, with restarts, power cuts and broken commits."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from hypothesis import strategies as st

from evcharge_agent.core import events as e
from evcharge_agent.core.charging_profiles import Purpose
from evcharge_agent.core.effects import (
    Answer,
    CommitSample,
    CommitStart,
    Effect,
    Keep,
    KeepRegister,
    RememberAvailability,
    TellGuard,
)
from evcharge_agent.core.events import RequestId
from evcharge_agent.core.facts import (
    AuthorizationStatus,
    HeldStop,
    IdTag,
    IdTagInfo,
    Measurand,
    MeterReading,
    OpenTransaction,
    Shelf,
    TransactionKey,
)
from evcharge_agent.core.local_list import Update, UpdateKind, from_kept
from evcharge_agent.core.reservations import Reservation
from evcharge_agent.core.rules import StandAlone
from evcharge_agent.core.step import initial, next_deadline_s, step
from evcharge_hal.contract.channel import (
    Ceiling,
    CeilingSource,
    ClearFault,
    EventKind,
    GuardEvent,
    Reply,
    ResetGuard,
    Wait,
)
from evcharge_hal.contract.faults import FaultCode
from evcharge_hal.contract.units import Amps, PerPhase, WattHours
from tests.support.charging_moves import place, some_criteria, some_profile
from tests.support.core_laws import Laws
from tests.support.core_station import Station, TestRules, rated

TAGS = [IdTag("one"), IdTag("ONE"), IdTag("two"), IdTag("three")]
PARENTS = [None, IdTag("Family")]
WAITS = [None, *Wait]
FAULTS = [frozenset[FaultCode](), *(frozenset({code}) for code in FaultCode)]
CEILINGS_A = [0.0, 5.0, 6.0, 10.0, 16.0, 32.0]
PAUSES_S = [0.0, 0.0, 0.3, 1.0, 3.0, 6.0, 40.0]


@dataclass(frozen=True)
class Move:
    """One thing that happens, after a pause; `a` and `b` choose among its possibilities."""

    name: str
    pause_s: float
    connector: int
    a: int
    b: int


class Life(Station):
    """A station whose every step is judged by the laws."""

    def __init__(self, rules: TestRules, change: Callable[[tuple[Effect, ...]], tuple[Effect, ...]] | None = None):
        super().__init__(rules, connectors=2)
        self.has_lock = True
        self.laws = Laws()
        self.runs = 0
        self.requests = 0
        self.change_effects = change
        self.energies: dict[TransactionKey, tuple[WattHours, float]] = {}
        self.trace: list[tuple[e.Event, float]] = []
        self.keeps: list[Keep] = []
        """Writes to shelves that have not been carried out, oldest first."""
        self.shelves: dict[Shelf, dict[str, object]] = {shelf: {} for shelf in Shelf}
        self.restart()

    def tell(self, event: e.Event) -> tuple[Effect, ...]:
        before = self.state
        self.state, effects = step(before, event, self.now)
        if self.change_effects is not None:
            effects = self.change_effects(effects)
        self.trace.append((event, self.now_s))
        self.laws.observe(event, before, self.state, effects, self.now)
        self.effects += [(self.now_s, effect) for effect in effects]
        for effect in effects:
            if isinstance(effect, CommitStart):
                self.energies[effect.start.transaction] = (effect.start.meter_start_wh, self.now_s)
            elif isinstance(effect, CommitSample) and effect.sample.reading.energy_wh is not None:
                key = effect.sample.transaction
                if key is not None:
                    self.energies[key] = (effect.sample.reading.energy_wh, effect.sample.taken.monotonic_s)
            elif isinstance(effect, KeepRegister):
                self.energies[effect.transaction] = (effect.energy_wh, effect.at.monotonic_s)
            elif isinstance(effect, Keep):
                self.keeps.append(effect)
        return effects

    def write_shelves(self, *, is_well: bool = True) -> None:
        """The disk does what was asked of it, or fails at all of it."""
        while self.keeps:
            keep = self.keeps.pop(0)
            if is_well:
                self._write(keep)
            self.tell(e.Kept(keep.shelf, is_well, keep.request))

    def _write(self, keep: Keep) -> None:
        shelf = {} if keep.is_whole else self.shelves[keep.shelf]
        self.shelves[keep.shelf] = {name: value for name, value in shelf.items() if name not in keep.remove} | dict(
            keep.put
        )

    def restart(self, *, is_boot: bool = False, is_pending_written: bool = True) -> None:
        """A new process on the same store, perhaps after a kernel boot."""
        if is_pending_written:
            self.laws.committed |= self.laws.pending
        else:
            for key in self.laws.pending:
                del self.laws.starts[key]
        for keep in self.keeps if is_pending_written else []:
            self._write(keep)
        self.keeps.clear()
        before = self.boot_id
        if is_boot:
            self.boot_id += "+"
        found = tuple(self._kept(key, before) for key in self.laws.open)
        held = tuple(HeldStop(self._kept(key, before), self.laws.stops[key], before) for key in self.laws.held)
        self.laws.begin_run(found, self.now_s)
        self.runs += 1
        self.state = initial(self.now)
        inoperative = self.laws.inoperative
        self.begin(
            open_transactions=found,
            held_stops=held,
            run_id=f"run{self.runs}",
            is_online=False,
            inoperative=inoperative,
            local_list=from_kept(self.shelves[Shelf.LOCAL_LIST]),  # type: ignore[arg-type]
            charging_profiles=tuple(self.shelves[Shelf.CHARGING_PROFILES].values()),  # type: ignore[arg-type]
            reservations=tuple(self.shelves[Shelf.RESERVATIONS].values()),  # type: ignore[arg-type]
        )

    def _kept(self, key: TransactionKey, boot_id: str) -> OpenTransaction:
        energy_wh, at_s = self.energies[key]
        info = IdTagInfo(AuthorizationStatus.ACCEPTED)
        return OpenTransaction(self.laws.starts[key], None, info, energy_wh, self.at(at_s), boot_id)

    def live(self, move: Move) -> None:
        """Let the pause pass with every deadline kept, then do the move."""
        self.pass_time(move.pause_s)
        if self.laws.is_leaving:
            self.restart()
        MOVES[move.name](self, move)

    def pass_time(self, seconds: float) -> None:
        end_s = self.now_s + seconds
        second_s = self.now_s + 1.0
        while (due_s := min(next_deadline_s(self.state) or end_s, second_s)) < end_s:
            self.now_s = due_s
            self.tell(e.TimePassed())
            if due_s == second_s:
                second_s += 1.0
                if self.meters_speak:
                    self.read_meters()
        self.now_s = end_s
        self.tell(e.TimePassed())

    def request(self) -> RequestId:
        self.requests += 1
        return RequestId(f"q{self.requests}")

    def finish(self) -> None:
        """Everybody who waits is answered in the end."""
        self.tell(e.GuardLost())
        self.pass_time(self.rules.connection_time_out_s + 1.0)
        self.tell(e.GuardLost())
        self.write_shelves()
        assert not self.laws.waiting


def _info(move: Move) -> IdTagInfo | None:
    answers: list[IdTagInfo | None] = [None]
    answers += [IdTagInfo(status, parent) for status in AuthorizationStatus for parent in PARENTS]
    answers += [IdTagInfo(AuthorizationStatus.ACCEPTED)] * 6
    return answers[move.a % len(answers)]


def _some_info(move: Move) -> IdTagInfo:
    return _info(move) or IdTagInfo(AuthorizationStatus.ACCEPTED)


def _some_key(life: Life, move: Move) -> TransactionKey:
    keys = [*life.laws.starts, TransactionKey("nobody")]
    return keys[move.b % len(keys)]


def _see(life: Life, move: Move) -> None:
    outlet = life.outlets[move.connector]
    outlet.wait = WAITS[move.a % len(WAITS)]
    if outlet.plug_id is not None and move.b % 3 == 0:
        life.close(move.connector)
    elif outlet.plug_id is not None and move.b % 3 == 1:
        life.open(move.connector, outlet.wait)
    else:
        life.send_status(is_coprocessor_up=move.b % 5 != 0)


def _unplug(life: Life, move: Move) -> None:
    if move.a % 2:
        life.pull(move.connector)
        life.send_status()
    else:
        life.unplug(move.connector)


def _limit(life: Life, move: Move) -> None:
    ceiling = Ceiling(CeilingSource.TEMPERATURE, Amps(CEILINGS_A[move.a % len(CEILINGS_A)]))
    life.outlets[move.connector].ceilings = (*rated(), ceiling)
    life.send_status()


def _reboot_coprocessor(life: Life, move: Move) -> None:
    life.coprocessor_boot += 1
    life.tell(e.GuardReported(life.ring(EventKind.COPROCESSOR_UP)))
    if move.a % 2:
        life.tell(e.GuardReported(life.ring(EventKind.POWER_RESTORED)))
    for outlet in life.outlets.values():
        if outlet.plug_id is not None:
            outlet.plug_id = f"00ff-{life.coprocessor_boot}-{outlet.number}.0"
    life.send_status()


def _report(life: Life, move: Move) -> None:
    kind = list(EventKind)[move.a % len(EventKind)]
    plug_id = life.outlets[move.connector].plug_id if move.b % 2 else "other-1-1.1"
    life.tell(e.GuardReported(life.ring(kind, move.connector, plug_id)))


def _connect(life: Life, move: Move) -> None:
    life.tell(e.GuardLost())
    missed: tuple[GuardEvent, ...] = ()
    if move.b % 2:
        missed = (life.ring(EventKind.UNPLUGGED, move.connector, life.outlets[move.connector].plug_id),)
    life.connect_guard(*missed, guard_id=f"guard-{move.a % 2}", is_status_sent=move.b % 3 != 0)


def _answer(life: Life, move: Move) -> None:
    waiting = [*life.state.pending.inquiries, RequestId("nobody")]
    life.tell(e.AuthorizeAnswered(waiting[move.b % len(waiting)], _info(move)))


def _commit(life: Life, move: Move) -> None:
    for key in sorted(life.laws.pending):
        is_written = move.a % 4 != 0
        life.tell(e.StartCommitted(key) if is_written else e.CommitFailed(key, is_start=True, reason="full"))


def _read(life: Life, move: Move) -> None:
    life.registers[move.connector] += move.a * 10 - 30
    energy_wh = None if move.b % 7 == 0 else WattHours(life.registers[move.connector])
    current_a = PerPhase.uniform(float(move.b * 3)) if move.b % 5 else None
    power_w = float("nan") if move.b == 11 else 100.0 * move.b
    life.tell(e.MeterRead(move.connector, MeterReading(energy_wh, power_w, current_a)))


def _clear(life: Life, move: Move) -> None:
    code = list(FaultCode)[move.a % len(FaultCode)]
    effects = life.tell(e.ClearFaultRequested(life.request(), move.connector, code))
    for effect in effects:
        if isinstance(effect, TellGuard) and isinstance(effect.message, ClearFault) and move.b % 2:
            life.tell(e.GuardReplied(Reply(effect.message.request, is_accepted=move.b % 4 == 1)))


def _change(life: Life, move: Move) -> None:
    choices: list[dict[str, object]] = [
        {"user_limit_a": CEILINGS_A[2 + move.b % 4]},
        {"installer_limit_a": CEILINGS_A[2 + move.b % 4]},
        {"meter_value_sample_interval_s": [0, 1, 7, 10][move.b % 4]},
        {"stop_transaction_on_ev_side_disconnect": bool(move.b % 2)},
        {"stop_transaction_on_invalid_id": bool(move.b % 2)},
        {"continue_charging_after_power_loss": bool(move.b % 2)},
        {"connection_time_out_s": [5, 60][move.b % 2]},
        {"local_pre_authorize": bool(move.b % 2)},
        {"authorize_remote_tx_requests": bool(move.b % 2)},
        {"clock_aligned_data_interval_s": [0, 1, 7, 60][move.b % 4]},
        {"uses_local_list": bool(move.b % 2)},
        {"authorization_cache_enabled": bool(move.b % 2)},
        {"max_energy_on_invalid_id_wh": [0, 50, 100_000][move.b % 3]},
    ]
    life.change(**choices[move.a % len(choices)])


def _order(life: Life, move: Move) -> None:
    connector, is_operative = [0, 1, 2, 3][move.b % 4], move.a % 3 == 1
    request = life.request()
    effects = life.tell(e.AvailabilityAsked(request, connector, is_operative))
    if any(isinstance(effect, RememberAvailability) for effect in effects):
        if move.a == 11:
            return  # some writes never end
        effects = life.tell(e.AvailabilityKept(move.a != 10, request))
    is_accepted = any(isinstance(effect, Answer) and effect.is_accepted for effect in effects)
    if is_accepted and move.a != 9:  # some answers cannot be sent
        life.tell(e.AvailabilityOrdered(connector, is_operative))


def _send_list(life: Life, move: Move) -> None:
    entries = tuple((tag, _info(move) if move.b % 3 else None) for tag in TAGS[0 if move.b == 11 else 1 + move.b % 2 :])
    kind = UpdateKind.FULL if move.a % 3 == 0 else UpdateKind.DIFFERENTIAL
    life.tell(e.LocalListSent(life.request(), Update(kind, move.a + move.b, entries)))


def _reserve(life: Life, move: Move) -> None:
    expiry_utc_s = life.now.utc_s + [-1.0, 5.0, 50.0, 500.0][move.b % 4]
    parent = PARENTS[1] if move.a % 4 == 0 else None
    wanted = Reservation(move.b % 3, [0, 1, 2, 3][move.a % 4], TAGS[move.b % len(TAGS)], parent, expiry_utc_s)
    life.tell(e.ReserveRequested(life.request(), wanted))


def _reset(life: Life, move: Move) -> None:
    effects = life.tell(e.ResetOrdered(is_hard=bool(move.a % 2)))
    for effect in effects:
        if isinstance(effect, TellGuard) and isinstance(effect.message, ResetGuard) and move.b % 3:
            life.tell(e.GuardReplied(Reply(effect.message.request, is_accepted=True)))


def _reply_to_unlock(life: Life, move: Move) -> None:
    """The guard's word on a cable that was asked back, or on nothing."""
    asked = [one.asked for one in life.state.pending.unlocks.values() if one.asked is not None]
    life.tell(e.GuardReplied(Reply([*asked, 0][move.b % (len(asked) + 1)], is_accepted=bool(move.a % 3))))


def _serve(life: Life, move: Move) -> None:
    """What has to come together for a charge, so that lives have something to disturb."""
    number = move.connector
    _connect(life, replace(move, a=0, b=2))
    life.outlets[number].faults = frozenset()
    if life.outlets[number].plug_id is None:
        life.plug(number)
    life.read_meter(number)
    life.swipe(TAGS[move.a % len(TAGS)], number)
    for request in list(life.state.pending.inquiries):
        life.tell(e.AuthorizeAnswered(request, IdTagInfo(AuthorizationStatus.ACCEPTED, PARENTS[move.b % 2])))
    _commit(life, replace(move, a=move.b))
    if move.b % 3:
        life.close(number)


def _start_remotely(life: Life, move: Move) -> None:
    one = some_profile(move.a, move.b, life.now.utc_s, Purpose.TX) if move.a > 5 else None
    connector = [None, 0, 1, 2, 3][move.b % 5]
    life.tell(e.RemoteStartRequested(life.request(), TAGS[move.a % 4], connector, one))


def _set_profile(life: Life, move: Move) -> None:
    connector = place(move.a)[1] if move.b != 10 else 3
    life.tell(e.ChargingProfileSet(life.request(), connector, some_profile(move.a, move.b, life.now.utc_s)))


def _lose_time(life: Life, move: Move) -> None:
    """A new process does not know the time until somebody tells."""
    life.is_clock_trusted = False
    life.restart(is_boot=bool(move.a % 2))


MOVES: dict[str, Callable[[Life, Move], object]] = {
    "serve": _serve,
    "plug": lambda life, move: life.plug(move.connector),
    "unplug": _unplug,
    "see": _see,
    "latch": lambda life, move: life.latch(*FAULTS[move.a % len(FAULTS)], connector=move.connector),
    "unlatch": lambda life, move: life.latch(connector=move.connector),
    "limit": _limit,
    "reboot_coprocessor": _reboot_coprocessor,
    "report": _report,
    "connect": _connect,
    "lose": lambda life, _: life.tell(e.GuardLost()),
    "swipe": lambda life, move: life.swipe(TAGS[move.a % len(TAGS)], *([], [1], [2], [7])[move.b % 4]),
    "answer": _answer,
    "commit": _commit,
    "fail_stop": lambda life, move: life.tell(e.CommitFailed(_some_key(life, move), is_start=False, reason="full")),
    "central": lambda life, move: life.tell(e.CentralSystemChanged(bool(move.a % 2), bool(move.b % 4))),
    "register": lambda life, move: life.tell(e.TransactionRegistered(_some_key(life, move), move.b, _some_info(move))),
    "learn": lambda life, move: life.tell(e.TagInfoLearned(TAGS[move.b % len(TAGS)], _some_info(move))),
    "remote_start": _start_remotely,
    "remote_stop": lambda life, move: life.tell(e.RemoteStopRequested(life.request(), move.b)),
    "start": lambda life, move: life.tell(e.StartRequested(life.request(), move.b % 4, TAGS[move.a % 4])),
    "stop": lambda life, move: life.tell(e.StopRequested(life.request(), move.b % 4)),
    "clear": _clear,
    "order": _order,
    "reset": _reset,
    "await_update": lambda life, move: life.tell(e.UpdateAwaited(is_awaited=bool(move.a % 2))),
    "ask_update": lambda life, _: life.tell(e.UpdateAsked(life.request())),
    "unlock": lambda life, move: life.tell(e.UnlockAsked(life.request(), [1, 2, 0, 3][move.b % 4])),
    "reply_to_unlock": _reply_to_unlock,
    "clear_cache": lambda life, _: life.tell(e.CacheClearRequested(life.request())),
    "send_list": _send_list,
    "reserve": _reserve,
    "cancel": lambda life, move: life.tell(e.CancelRequested(life.request(), move.b % 3)),
    "write_shelves": lambda life, move: life.write_shelves(is_well=move.a % 4 != 0),
    "set_profile": _set_profile,
    "clear_profiles": lambda life, move: life.tell(
        e.ChargingProfilesCleared(life.request(), some_criteria(move.a, move.b))
    ),
    "lose_time": _lose_time,
    "learn_time": lambda life, _: setattr(life, "is_clock_trusted", True),
    "sample": lambda life, move: life.tell(e.SampleRequested([None, 1, 2, 3][move.b % 4])),
    "read": _read,
    "silence": lambda life, move: setattr(life, "meters_speak", bool(move.a % 3)),
    "fail_meter": lambda life, move: life.tell(e.MeterFailed(move.connector, "no answer")),
    "change": _change,
    "restart": lambda life, move: life.restart(is_boot=move.a % 3 == 0, is_pending_written=bool(move.b % 2)),
}

OFTEN = [
    "serve",
    "serve",
    "serve",
    "plug",
    "swipe",
    "answer",
    "commit",
    "commit",
    "see",
    "read",
    "read",
    "central",
    "connect",
    "unplug",
    "write_shelves",
    "set_profile",
    "learn_time",
]


def moves() -> st.SearchStrategy[list[Move]]:
    """Any moves in any order, the ones a charge is made of more often."""
    names = st.one_of(st.sampled_from(OFTEN), st.sampled_from(sorted(MOVES)))
    small = st.integers(0, 11)
    return st.lists(
        st.builds(Move, names, st.sampled_from(PAUSES_S), st.integers(1, 2), small, small), min_size=12, max_size=40
    )


def rules() -> st.SearchStrategy[TestRules]:
    """Rules in which most things can happen."""
    return st.builds(
        TestRules,
        allow_offline_tx_for_unknown_id=st.booleans(),
        is_central_system_enabled=st.booleans(),
        has_public_meter=st.booleans(),
        stop_transaction_on_invalid_id=st.booleans(),
        stop_transaction_on_ev_side_disconnect=st.booleans(),
        continue_charging_after_power_loss=st.booleans(),
        minimum_status_duration_s=st.sampled_from([0, 0, 2]),
        meter_value_sample_interval_s=st.sampled_from([0, 3, 10]),
        clock_aligned_data_interval_s=st.sampled_from([0, 0, 5, 60]),
        meter_values_aligned_data=st.just((Measurand.ENERGY_IMPORT,)),
        connection_time_out_s=st.sampled_from([5, 60]),
        stand_alone=st.sampled_from(StandAlone),
        local_pre_authorize=st.booleans(),
        max_energy_on_invalid_id_wh=st.sampled_from([0, 0, 100]),
    )
