"""A station in front of the agent's core: speaks for guard, meters, store and central system in virtual time.

Nothing is patched: the core is handed events and moments, and everything it asks for is kept.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from evcharge_agent.core import events as e
from evcharge_agent.core.charging_profiles import Installed
from evcharge_agent.core.effects import (
    Answer,
    CommitSample,
    CommitStart,
    CommitStop,
    Effect,
    FinishStop,
    Keep,
    RememberAvailability,
    ReportStatus,
    TellGuard,
)
from evcharge_agent.core.events import RequestId
from evcharge_agent.core.facts import (
    AuthorizationStatus,
    HeldStop,
    IdTag,
    IdTagInfo,
    Instant,
    Measurand,
    MeterReading,
    OpenTransaction,
    TransactionKey,
)
from evcharge_agent.core.local_list import LocalList
from evcharge_agent.core.reservations import Reservation
from evcharge_agent.core.rules import StandAlone
from evcharge_agent.core.step import initial, next_deadline_s, step
from evcharge_agent.core.view import ConnectorView, StationView, view
from evcharge_hal.contract.channel import (
    CHANNEL_VERSION,
    Ceiling,
    CeilingSource,
    ConnectorRating,
    ConnectorStatus,
    ContactorState,
    EventKind,
    GuardEvent,
    LeaseState,
    SetPoint,
    Status,
    Wait,
    Welcome,
)
from evcharge_hal.contract.faults import FaultCode
from evcharge_hal.contract.pilot import PilotOutput, PilotState
from evcharge_hal.contract.units import Amps, PerPhase, WattHours

UTC_OFFSET_S = 1_700_000_000.0
BOOT = "boot-1"
TAG = IdTag("Card-1")
ACCEPTED = IdTagInfo(AuthorizationStatus.ACCEPTED)
RATED_A = 32.0

E = TypeVar("E", bound=Effect)


@dataclass(frozen=True)
class TestRules:
    """Every setting the core reads, flat; the sections are the object itself."""

    __test__ = False

    local_authorize_offline: bool = True
    local_pre_authorize: bool = False
    authorization_cache_enabled: bool = True
    allow_offline_tx_for_unknown_id: bool = False
    authorize_remote_tx_requests: bool = False
    stop_transaction_on_invalid_id: bool = True
    max_energy_on_invalid_id_wh: int = 0
    uses_local_list: bool = True
    local_auth_list_max_length: int = 1000
    send_local_list_max_length: int = 250
    takes_reservations: bool = True
    reserve_connector_zero_supported: bool = True
    stand_alone: StandAlone = StandAlone.ACCEPT_ALL
    stand_alone_ids: frozenset[IdTag] = frozenset()
    connection_time_out_s: int = 60
    stop_transaction_on_ev_side_disconnect: bool = True
    continue_charging_after_power_loss: bool = True
    minimum_status_duration_s: int = 0
    meter_value_sample_interval_s: int = 10
    meter_values_sampled_data: tuple[Measurand, ...] = (Measurand.ENERGY_IMPORT,)
    reset_retries: int = 1
    clock_aligned_data_interval_s: int = 0
    meter_values_aligned_data: tuple[Measurand, ...] = ()
    stop_txn_sampled_data: tuple[Measurand, ...] = ()
    stop_txn_aligned_data: tuple[Measurand, ...] = ()
    uses_charging_profiles: bool = True
    charge_profile_max_stack_level: int = 100
    charging_rate_units: tuple[str, ...] = ("Current", "Power")
    charging_schedule_max_periods: int = 10
    max_charging_profiles_installed: int = 5
    user_limit_a: float = 32.0
    installer_limit_a: float = 32.0
    agent_lost_a: float = 6.0
    agent_lost_hold_s: float = 120.0
    is_central_system_enabled: bool = True
    has_public_meter: bool = False

    @property
    def authorisation(self) -> "TestRules":
        return self

    @property
    def site(self) -> "TestRules":
        return self

    @property
    def reservation(self) -> "TestRules":
        return self

    @property
    def session(self) -> "TestRules":
        return self

    @property
    def sampling(self) -> "TestRules":
        return self

    @property
    def charging(self) -> "TestRules":
        return self

    @property
    def limits(self) -> "TestRules":
        return self


def rated(limit_a: float = RATED_A) -> tuple[Ceiling, ...]:
    """The one ceiling every connector has."""
    return (Ceiling(CeilingSource.RATING, Amps(limit_a)),)


@dataclass
class Outlet:
    """One connector as the guard reports it."""

    number: int
    plug_id: str | None = None
    pilot: PilotState = PilotState.A
    contactor: ContactorState = ContactorState.OPEN
    wait: Wait | None = None
    ceilings: tuple[Ceiling, ...] = field(default_factory=rated)
    faults: frozenset[FaultCode] = frozenset()
    plugs: int = 0
    is_cable_present: bool | None = None

    def status(self) -> ConnectorStatus:
        return ConnectorStatus(
            self.number,
            self.plug_id,
            self.pilot,
            PilotOutput.X1,
            Amps(0.0),
            self.contactor,
            LeaseState.HELD,
            self.wait,
            self.ceilings,
            self.faults,
            is_cable_present=self.is_cable_present,
        )


class Station:
    """Drives the core; `effects` holds everything it asked for, oldest first, with the time."""

    def __init__(self, rules: TestRules | None = None, connectors: int = 1, *, at_s: float = 1000.0) -> None:
        self.now_s = at_s
        self.rules = rules or TestRules()
        self.boot_id = BOOT
        self.is_clock_trusted = True
        self.is_committing = True
        self.is_disk_well = True
        self.meters_speak = True
        self.outlets = {number: Outlet(number) for number in range(1, connectors + 1)}
        self.registers = dict.fromkeys(self.outlets, 1000)
        self.currents = dict.fromkeys(self.outlets, 0.0)
        self.effects: list[tuple[float, Effect]] = []
        self.turn: tuple[Effect, ...] = ()
        self.state = initial(self.now)
        self._events = 0
        self.coprocessor_boot = 1
        self.has_lock = False

    @property
    def now(self) -> Instant:
        return Instant(self.now_s, UTC_OFFSET_S + self.now_s, self.is_clock_trusted)

    def at(self, monotonic_s: float) -> Instant:
        return Instant(monotonic_s, UTC_OFFSET_S + monotonic_s, self.is_clock_trusted)

    # --- driving ------------------------------------------------------------------------------------------

    def tell(self, event: e.Event) -> tuple[Effect, ...]:
        """One step; a commit that is asked for is confirmed in a step of its own right after."""
        self.state, effects = step(self.state, event, self.now)
        self.turn = effects
        self.effects += [(self.now_s, effect) for effect in effects]
        deadline_s = next_deadline_s(self.state)
        assert deadline_s is None or deadline_s > self.now_s
        committed = [item.start.transaction for item in effects if isinstance(item, CommitStart)]
        kept = [item for item in effects if isinstance(item, RememberAvailability)]
        shelved = [item for item in effects if isinstance(item, Keep)]
        if self.is_committing:
            for key in committed:
                effects += self.tell(e.StartCommitted(key))
            for item in kept:
                effects += self.tell(e.AvailabilityKept(self.is_disk_well, item.request))
            for keep in shelved:
                effects += self.tell(e.Kept(keep.shelf, self.is_disk_well, keep.request))
        return effects

    def order_availability(self, connector: int = 1, *, is_operative: bool = False) -> Answer | None:
        """Ask and, once it was answered, carry out, as the OCPP side does; None while there is no answer."""
        request = RequestId(f"availability-{len(self.effects)}")
        self.tell(e.AvailabilityAsked(request, connector, is_operative))
        answer = self.answers().get(request)
        if answer is not None and answer.is_accepted:
            self.tell(e.AvailabilityOrdered(connector, is_operative))
        return answer

    def wait(self, seconds: float) -> None:
        """Let time pass: every deadline gets its step, and every second the meters speak."""
        end_s = self.now_s + seconds
        next_second_s = self.now_s + 1.0
        while True:
            due_s = next_deadline_s(self.state)
            next_s = min(end_s, next_second_s, due_s if due_s is not None else end_s)
            self.now_s = next_s
            if next_s == next_second_s:
                next_second_s += 1.0
                if self.meters_speak:
                    self.read_meters()
            self.tell(e.TimePassed())
            if next_s >= end_s:
                return

    def tell_at(self, monotonic_s: float, clock_moved_s: float) -> tuple[Effect, ...]:
        """Time passes to a moment at which the wall clock has been moved."""
        moment = Instant(monotonic_s, UTC_OFFSET_S + monotonic_s + clock_moved_s, self.is_clock_trusted)
        self.state, effects = step(self.state, e.TimePassed(), moment)
        self.effects += [(monotonic_s, effect) for effect in effects]
        return effects

    def begin(
        self,
        *,
        open_transactions: tuple[OpenTransaction, ...] = (),
        authorisations: Mapping[IdTag, IdTagInfo] | None = None,
        run_id: str = "run",
        is_online: bool = True,
        inoperative: frozenset[int] = frozenset(),
        local_list: LocalList | None = None,
        charging_profiles: tuple[Installed, ...] = (),
        reservations: tuple[Reservation, ...] = (),
        held_stops: tuple[HeldStop, ...] = (),
    ) -> "Station":
        """Start the run: store, guard, meters, central system."""
        known = authorisations or {}
        listed = local_list or LocalList()
        self.tell(
            e.Restored(
                self.rules,
                open_transactions,
                known,
                self.boot_id,
                run_id,
                inoperative,
                listed,
                charging_profiles=charging_profiles,
                reservations=reservations,
                held_stops=held_stops,
            )
        )
        if is_online:
            self.tell(e.CentralSystemChanged(is_connected=True, is_accepted=True))
        return self

    def connect_guard(self, *missed: GuardEvent, guard_id: str = "guard-1", is_status_sent: bool = True) -> "Station":
        """Handshake with missed events, then the first status."""
        ratings = tuple(
            ConnectorRating(number, Amps(RATED_A), 3, False, has_lock=self.has_lock) for number in self.outlets
        )
        self.tell(e.GuardConnected(Welcome(CHANNEL_VERSION, guard_id, self.boot_id, "sim", ratings, missed)))
        if is_status_sent:
            self.send_status()
        return self

    def ready(self) -> "Station":
        """A station in normal operation."""
        self.begin()
        self.connect_guard()
        self.read_meters()
        return self

    # --- the world ----------------------------------------------------------------------------------------

    def send_status(self, *, is_coprocessor_up: bool = True) -> None:
        connectors = tuple(outlet.status() for outlet in self.outlets.values())
        self.tell(e.StatusReceived(Status(self.now_s, is_coprocessor_up, connectors)))

    def ring(self, kind: EventKind, connector: int | None = None, plug_id: str | None = None) -> GuardEvent:
        """A fact of the guard's ring that happens now."""
        self._events += 1
        return GuardEvent(self._events, self.now_s, kind, connector, plug_id)

    def plug(self, connector: int = 1, *, pilot: PilotState = PilotState.B) -> str:
        outlet = self.outlets[connector]
        outlet.plugs += 1
        outlet.plug_id = f"00ff-{self.coprocessor_boot}-{connector}.{outlet.plugs}"
        outlet.pilot = pilot
        self.tell(e.GuardReported(self.ring(EventKind.PLUGGED, connector, outlet.plug_id)))
        self.send_status()
        return outlet.plug_id

    def unplug(self, connector: int = 1) -> None:
        outlet = self.outlets[connector]
        event = self.ring(EventKind.UNPLUGGED, connector, outlet.plug_id)
        self.pull(connector)
        self.tell(e.GuardReported(event))
        self.send_status()

    def pull(self, connector: int = 1) -> None:
        """The car leaves and nobody tells the core."""
        outlet = self.outlets[connector]
        outlet.plug_id, outlet.pilot, outlet.contactor, outlet.wait = None, PilotState.A, ContactorState.OPEN, None
        self.currents[connector] = 0.0

    def close(self, connector: int = 1) -> None:
        """The car asks for energy and the guard closes."""
        outlet = self.outlets[connector]
        outlet.pilot, outlet.contactor, outlet.wait = PilotState.C, ContactorState.CLOSED, None
        self.send_status()

    def open(self, connector: int = 1, wait: Wait | None = Wait.VEHICLE) -> None:
        """The guard has opened the contactor."""
        outlet = self.outlets[connector]
        outlet.pilot, outlet.contactor, outlet.wait = PilotState.B, ContactorState.OPEN, wait
        self.send_status()

    def latch(self, *codes: FaultCode, connector: int = 1) -> None:
        self.outlets[connector].faults = frozenset(codes)
        self.send_status()

    def read_meters(self) -> None:
        for number in self.outlets:
            self.read_meter(number)

    def read_meter(self, connector: int = 1) -> None:
        current_a = PerPhase.uniform(self.currents[connector])
        reading = MeterReading(WattHours(self.registers[connector]), 230.0 * current_a.total, current_a)
        self.tell(e.MeterRead(connector, reading))

    def swipe(self, id_tag: str = TAG, *connectors: int) -> tuple[Effect, ...]:
        return self.tell(e.CardPresented(IdTag(id_tag), connectors or tuple(self.outlets)))

    def answer_authorize(self, info: IdTagInfo | None) -> tuple[Effect, ...]:
        """Answer the oldest Authorize that waits."""
        request = next(iter(self.state.pending.inquiries))
        return self.tell(e.AuthorizeAnswered(request, info))

    def start(self, id_tag: str = TAG, connector: int = 1) -> TransactionKey:
        """Plug in, swipe, be accepted: an open transaction."""
        self.plug(connector)
        self.swipe(id_tag, connector)
        if self.state.pending.inquiries:
            self.answer_authorize(ACCEPTED)
        transaction = self.state.connectors[connector].session.transaction
        assert transaction is not None
        return transaction.start.transaction

    # --- what came of it ----------------------------------------------------------------------------------

    def all(self, kind: type[E]) -> list[E]:
        return [effect for _, effect in self.effects if isinstance(effect, kind)]

    def last(self, kind: type[E]) -> E:
        return self.all(kind)[-1]

    def set_point(self, connector: int = 1) -> SetPoint:
        return set_points(self.all(TellGuard), connector)[-1]

    def statuses(self, connector: int = 1) -> list[str]:
        return [item.state.value for item in self.all(ReportStatus) if item.connector == connector]

    def samples(self, *, context: str | None = None) -> list[CommitSample]:
        return [item for item in self.all(CommitSample) if context in (None, item.sample.context.value)]

    def stops(self) -> list[CommitStop]:
        return self.all(CommitStop)

    def finishes(self) -> list[FinishStop]:
        return self.all(FinishStop)

    def answers(self) -> dict[str, Answer]:
        return {item.request: item for item in self.all(Answer)}

    def phase(self, connector: int = 1) -> str:
        return self.state.connectors[connector].session.phase.value

    def view(self) -> StationView:
        return view(self.state, self.now)

    def seen(self, connector: int = 1) -> ConnectorView:
        return next(item for item in self.view().connectors if item.connector == connector)

    def change(self, **rules: object) -> None:
        """Change settings at run time."""
        self.rules = replace(self.rules, **rules)  # type: ignore[arg-type]
        self.tell(e.RulesChanged(self.rules))


def set_points(effects: Iterable[Effect], connector: int) -> list[SetPoint]:
    """The set-points among effects."""
    messages = [effect.message for effect in effects if isinstance(effect, TellGuard)]
    return [item for item in messages if isinstance(item, SetPoint) and item.connector == connector]
