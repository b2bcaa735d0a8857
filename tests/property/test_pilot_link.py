"""Laws of the pilot link: stuffing, codec, hostile bytes, and what no history may lead to."""

import random
from dataclasses import replace

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from evcharge_hal.contract.pilot import LinkNoticed, LinkUp, PilotOutput, PilotState, ResetCause
from evcharge_hal.link import cobs
from evcharge_hal.link.frames import (
    MAX_WIRE_BYTES,
    Control,
    Event,
    Frame,
    FrameDecoder,
    Hello,
    HelloAck,
    Nak,
    NakReason,
    Reply,
    Request,
    RequestKind,
    Result,
    Status,
    encode,
)
from evcharge_hal.link.native import NativeLink
from evcharge_hal.link.setpoint import limit_to_ma
from evcharge_hal.sim.coprocessor_connector import CoprocessorConnector
from evcharge_hal.sim.coprocessor_pilot import duty_centipercent
from tests.support.broken_coprocessors import (
    ClosesInAnyState,
    HasNoDeadline,
    HoldsForEver,
    IgnoresTheCarLeaving,
    IsArmedAtBoot,
    LetsAReturningHostGoOn,
)
from tests.support.coprocessor_rig import CHARGE, IDLE, Rig
from tests.support.pilot_bench import (
    CONNECTED_V,
    NO_CAR_V,
    READY_V,
    SHORT_V,
    VENTILATION_V,
    Bench,
    FakeCircuit,
    command,
)

U8, U16, U32 = st.integers(0, 0xFF), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)
I16 = st.integers(-0x7FFF, 0x7FFF)
OUTPUTS, STATES = st.sampled_from(PilotOutput), st.sampled_from(PilotState)
KINDS = st.sampled_from(RequestKind)
SEQ = {"seq": U8, "ack": U8}
CONTROLS = st.builds(
    Control,
    connector=U8,
    mode=OUTPUTS,
    limit_ma=U32,
    is_permitted=st.booleans(),
    is_locked=st.booleans(),
    phases=U8,
    session_id=U16,
    deadline_ms=U16,
    **SEQ,
)
STATUSES = st.builds(
    Status,
    connector=U8,
    state=STATES,
    output=OUTPUTS,
    high_mv=I16,
    low_mv=I16,
    duty_centipercent=U16,
    pp_ohm=st.none() | st.integers(0, 0xFFFE),
    is_permitted=st.booleans(),
    is_locked=st.booleans(),
    temperature_decicelsius=st.none() | I16,
    active_faults=U16,
    latched_faults=U16,
    first_fault=U16,
    last_control_seq=U8,
    control_age_ms=U16,
    sample_age_ms=U16,
    boot_count=U32,
    plug_count=U32,
    uptime_ms=U32,
    **SEQ,
)
ACKS = st.builds(
    HelloAck,
    proto_min=U8,
    proto_max=U8,
    nonce=U32,
    firmware_major=U8,
    firmware_minor=U8,
    firmware_patch=U8,
    firmware_commit=U32,
    hardware_id=U16,
    uid=st.integers(0, 2**64 - 1),
    boot_count=U32,
    reset_cause=st.sampled_from(ResetCause),
    capabilities=U16,
    connectors=U8,
    max_current_ma=U32,
    **SEQ,
)
FRAMES: st.SearchStrategy[Frame] = st.one_of(
    CONTROLS,
    STATUSES,
    ACKS,
    st.builds(Hello, proto_min=U8, proto_max=U8, nonce=U32, **SEQ),
    st.builds(Event, number=U8, connector=U8, code=U8, detail=U32, uptime_ms=U32, **SEQ),
    st.builds(Request, connector=U8, kind=KINDS, argument=U16, **SEQ),
    st.builds(Reply, connector=U8, kind=KINDS, argument=U16, result=st.sampled_from(Result), measured_ms=U16, **SEQ),
    st.builds(Nak, reason=st.sampled_from(NakReason), refused_type=U8, **SEQ),
)


@given(st.binary(max_size=1100))
@settings(deadline=None, max_examples=200)
def test_stuffing_can_be_undone_has_no_zero_and_adds_little(data: bytes) -> None:
    stuffed = cobs.encode(data)
    assert cobs.decode(stuffed) == data
    assert 0 not in stuffed
    assert len(data) + 1 <= len(stuffed) <= len(data) + 1 + len(data) // 254


@given(st.integers(0, 600), st.integers(1, 255))
@settings(deadline=None, max_examples=100)
def test_stuffing_of_runs_without_a_zero(length: int, byte: int) -> None:
    data = bytes([byte]) * length
    assert cobs.decode(cobs.encode(data)) == data


@given(FRAMES)
@settings(deadline=None, max_examples=300)
def test_a_frame_is_what_it_was(frame: Frame) -> None:
    wire = encode(frame)
    assert wire.count(0) == 1
    assert len(wire) <= MAX_WIRE_BYTES
    assert FrameDecoder().feed(wire) == [frame]


@given(st.lists(FRAMES, min_size=1, max_size=8), st.data())
@settings(deadline=None, max_examples=100)
def test_it_does_not_matter_how_a_stream_is_cut(frames: list[Frame], data: st.DataObject) -> None:
    wire = b"".join(encode(frame) for frame in frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=12)))
    decoder, seen, start = FrameDecoder(), [], 0
    for cut in [*cuts, len(wire)]:
        seen += decoder.feed(wire[start:cut])
        start = cut
    assert seen == frames


@given(st.binary(max_size=300), FRAMES)
@settings(deadline=None, max_examples=200)
def test_after_any_noise_the_next_frame_is_read(noise: bytes, frame: Frame) -> None:
    decoder = FrameDecoder()
    decoder.feed(noise)
    assert decoder.feed(b"\0" + encode(frame))[-1] == frame


@given(st.floats(allow_nan=True, allow_infinity=True) | st.floats(0.0, 90.0))
@settings(deadline=None, max_examples=500)
def test_a_limit_is_never_raised_and_never_between_0_and_6_a(limit_a: float) -> None:
    limit_ma = limit_to_ma(limit_a)
    assert limit_ma == 0 or 6_000 <= limit_ma <= 80_000
    assert limit_ma == 0 or limit_ma / 1000.0 <= limit_a + 1e-8
    if 6.0 <= limit_a <= 80.0:
        assert limit_a - limit_ma / 1000.0 < 0.001


@given(st.integers(0, 100_000))
@settings(deadline=None, max_examples=500)
def test_a_duty_never_states_more_than_the_limit(limit_ma: int) -> None:
    duty = duty_centipercent(limit_ma)
    if duty is None:
        assert limit_ma < 6_000
        return
    assert 1_000 <= duty <= 9_600
    stated_ma = duty * 6 if duty <= 8_500 else (duty - 6_400) * 25
    assert stated_ma <= limit_ma


# --- hostile bytes ----------------------------------------------------------------------------------------


def mangle(wire: bytes, luck: random.Random) -> bytes:
    """One frame after something happened to it; never the frame itself."""
    kind = luck.randrange(6)
    body = bytearray(wire[:-1])
    if kind == 0:  # bit flips
        for _ in range(luck.randint(1, 4)):
            body[luck.randrange(len(body))] ^= 1 << luck.randrange(8)
    elif kind == 1:  # cut short, the terminator came through
        del body[luck.randrange(len(body)) :]
    elif kind == 2:  # its beginning is missing
        del body[: luck.randint(1, len(body))]
    elif kind == 3:  # a byte twice
        position = luck.randrange(len(body))
        body.insert(position, body[position])
    elif kind == 4:  # something in the middle
        position = luck.randrange(len(body))
        body[position:position] = luck.randbytes(luck.randint(1, 80))
    else:  # nothing but noise
        body[:] = luck.randbytes(luck.randint(1, 200))
    # A zero inside would let the rest stand as a frame of its own.
    mangled = bytes(body).replace(b"\0", b"\1") + b"\0"
    return mangled if mangled != wire else b"\0"


def test_12000_mangled_frames_change_no_set_point() -> None:
    luck = random.Random(20)
    rig = Rig()
    rig.charge()
    connector = rig.mcu._connectors[1]
    before = (connector.control, connector.control_s, connector.latched)
    wishes = [replace(IDLE, mode=mode, is_permitted=luck.random() < 0.5) for mode in PilotOutput]
    for step in range(12_000):
        wire = encode(replace(wishes[step % 4], limit_ma=luck.randrange(80_000), seq=step % 255 + 1))
        rig.mcu.receive(mangle(wire, luck), rig.now_s)
        assert (connector.control, connector.control_s, connector.latched) == before
        assert len(rig.mcu._decoder._partial) <= MAX_WIRE_BYTES
    rig.mcu.take_output()
    rig.say(IDLE)
    assert not rig.circuit.is_permitted, "and the next good one counts"


def test_a_frame_whose_end_is_lost_is_not_completed_by_a_zero_that_comes_later() -> None:
    """It would be a set-point of long ago, whole and with a good checksum."""
    rig = Rig()
    rig.charge()
    rig.say(IDLE)
    rig.run(0.3)
    rig.mcu.receive(encode(replace(CHARGE, seq=200))[:-1], rig.now_s)
    rig.fall_silent()
    rig.run(0.1)
    rig.mcu.receive(b"\0", rig.now_s)
    assert rig.circuit.output is PilotOutput.X1
    rig.say(CHARGE)
    assert rig.circuit.output is PilotOutput.X2, "and the next good one counts"


def test_12000_mangled_reports_become_noise_and_nothing_else() -> None:
    luck = random.Random(21)
    bench = Bench()
    bench.charge()
    healthy = encode(
        Status(
            1, PilotState.A, PilotOutput.X1, 0, 0, 0, None, False, False, None, 0, 0, 0, 0, 0, 0, boot_count=99,
            plug_count=5, uptime_ms=5,
        )
    )  # fmt: skip
    announcement = encode(HelloAck(1, 1, 0, 1, 0, 0, 0, 0, 1, 9, ResetCause.FAULT, 0, 1, 6000))
    for step in range(12_000):
        wire = announcement if step % 3 == 0 else healthy
        events = bench.host.receive(mangle(wire, luck), bench.now_s)
        assert all(isinstance(event, LinkNoticed) and event.code == "noise" for event in events)
    assert bench.host.receive(healthy, bench.now_s), "unmangled it counts"


@given(st.lists(st.binary(max_size=200) | FRAMES.map(encode), max_size=30))
@settings(deadline=None, max_examples=150)
def test_no_bytes_make_the_driver_raise_or_wait_for_ever(pieces: list[bytes]) -> None:
    link = NativeLink((1, 2))
    now_s = 5.0
    for piece in pieces:
        now_s += 0.07
        link.receive(piece, now_s)
        link.command(command(PilotOutput.X2, 16.0, permit=True), now_s)
        link.advance(now_s)
        assert len(link.outgoing()) <= 6 * MAX_WIRE_BYTES
        assert now_s <= link.next_deadline_s() <= now_s + 5.1


@given(st.lists(FRAMES, max_size=20))
@settings(deadline=None, max_examples=150)
def test_nothing_but_hello_before_the_link_is_up(frames: list[Frame]) -> None:
    link = NativeLink((1,))
    link.command(command(PilotOutput.X2, 16.0, permit=True), 5.0)
    link.advance(5.0)
    is_up = False
    for step, frame in enumerate(frames):
        events = link.receive(encode(frame), 5.0 + step / 10.0)
        is_up = is_up or any(isinstance(event, LinkUp) for event in events)
        sent = FrameDecoder().feed(link.outgoing())
        assert is_up or all(isinstance(out, Hello) for out in sent)


# --- no history leads to ----------------------------------------------------------------------------------

VOLTAGES = st.sampled_from([NO_CAR_V, CONNECTED_V, READY_V, READY_V, READY_V, VENTILATION_V, SHORT_V, 7.5, -12.0])
STEPS = st.one_of(
    st.tuples(st.just("car"), VOLTAGES),
    st.tuples(st.just("diode"), st.booleans()),
    st.tuples(
        st.just("control"),
        st.builds(
            replace,
            st.sampled_from([IDLE, CHARGE, CHARGE, CHARGE]),
            mode=st.sampled_from([PilotOutput.X2] * 4 + list(PilotOutput)),
            is_permitted=st.booleans(),
            limit_ma=st.sampled_from([0, 5_999, 6_000, 16_000, 80_000]),
            deadline_ms=U16,
        ),
    ),
    st.tuples(st.just("silence"), st.none()),
    st.tuples(st.just("reset"), st.sampled_from(ResetCause)),
    st.tuples(st.just("clear"), st.none()),
    st.tuples(st.just("hello"), st.none()),
    st.tuples(st.just("noise"), st.binary(min_size=1, max_size=100)),
)
HISTORY = st.lists(st.tuples(STEPS, st.sampled_from([0.01, 0.05, 0.3, 1.2, 4.0])), max_size=25)


LONGEST_DEADLINE_S = 2.0


class Watcher(Rig):
    """A rig that checks, at each change of the permit and each moment, what must never be."""

    def __init__(self, connector_type: type[CoprocessorConnector] = CoprocessorConnector) -> None:
        super().__init__(connector_type)
        self.edge_since_opening = False
        self.last_s = 0.0
        self.last_said = IDLE
        self.wrong_since_s: float | None = None

    def say(self, control: Control) -> None:
        self.edge_since_opening |= not control.is_permitted
        self.last_said = control
        super().say(control)

    def do(self, what: str, value: object) -> None:
        if what == "car" and isinstance(value, float):
            self.circuit.high_v = value
            self.wrong_since_s = None  # each voltage has its own time to be believed
        elif what == "diode":
            self.circuit.low_v = -12.0 if value else -READY_V
        elif what == "control" and isinstance(value, Control):
            self.last_s = self.now_s
            self.say(value)
        elif what == "silence":
            self.fall_silent()
        elif what == "reset" and isinstance(value, ResetCause):
            self.mcu.reset(value, self.now_s)
            self.edge_since_opening = False
            self.greet()
        elif what == "clear":
            self.send(Request(1, RequestKind.CLEAR_LATCH, 0xFFFF))
        elif what == "hello":
            self.greet()
        elif isinstance(value, bytes):
            self.mcu.receive(value.replace(b"\0", b"\1") + b"\0", self.now_s)

    def let_pass(self, duration_s: float) -> None:
        for _ in range(round(duration_s / 0.01)):
            was_closed = self.circuit.is_permitted
            silent = self.control is None
            self.run(0.01)
            self.last_s = self.last_s if silent else self.said_s
            is_closed = self.circuit.is_permitted
            if is_closed and not was_closed:
                assert self.circuit.output is PilotOutput.X2
                assert self.circuit.high_v == READY_V
                assert self.circuit.low_v == -12.0
                assert self.edge_since_opening
                assert self.last_said.is_permitted
                assert self.now_s - self.last_s <= LONGEST_DEADLINE_S
            self.check_open_in_time(is_closed is True)

    def check_open_in_time(self, is_closed: bool) -> None:
        is_wrong = self.circuit.high_v != READY_V or self.circuit.output in (PilotOutput.E, PilotOutput.F)
        is_wrong = is_wrong or (self.circuit.output is PilotOutput.X2 and self.circuit.low_v != -12.0)
        if not (is_closed and is_wrong):
            self.wrong_since_s = None
        elif self.wrong_since_s is None:
            self.wrong_since_s = self.now_s
        else:
            is_gap = self.circuit.high_v in (7.5, -12.0)
            assert self.now_s - self.wrong_since_s <= (0.55 if is_gap else 0.1)
        if self.control is None and self.now_s - self.last_s > LONGEST_DEADLINE_S:
            self.edge_since_opening = False
            assert not is_closed or self.now_s - self.last_s <= LONGEST_DEADLINE_S + 3.1


CHARGING: list[tuple[tuple[str, object], float]] = [
    (("control", IDLE), 0.3),
    (("car", CONNECTED_V), 0.3),
    (("control", CHARGE), 0.3),
    (("car", READY_V), 0.5),
]


def live(history: list[tuple[tuple[str, object], float]], kind: type[CoprocessorConnector]) -> Watcher:
    watcher = Watcher(kind)
    watcher.greet()
    for (what, value), duration_s in history:
        watcher.do(what, value)
        watcher.let_pass(duration_s)
    return watcher


def test_the_watcher_sees_a_charge() -> None:
    assert live(CHARGING, CoprocessorConnector).circuit.is_permitted


@given(HISTORY)
@settings(deadline=None, max_examples=60)
def test_no_history_closes_what_must_be_open(history: list[tuple[tuple[str, object], float]]) -> None:
    live(history, CoprocessorConnector)
    live(CHARGING + history, CoprocessorConnector)


@pytest.mark.parametrize(
    "broken",
    [
        ClosesInAnyState,
        HasNoDeadline,
        HoldsForEver,
        IgnoresTheCarLeaving,
        IsArmedAtBoot,
        LetsAReturningHostGoOn,
    ],
)
def test_some_history_finds_a_planted_bug(broken: type[CoprocessorConnector]) -> None:
    @given(HISTORY)
    @settings(deadline=None, max_examples=300, derandomize=True, database=None, phases=[Phase.generate])
    def search(history: list[tuple[tuple[str, object], float]]) -> None:
        live(CHARGING + history, broken)

    with pytest.raises(AssertionError):
        search()


def test_a_circuit_alone_is_driven_safe_at_boot() -> None:
    circuit = FakeCircuit(high_v=READY_V, is_permitted=True, output=PilotOutput.X2)
    CoprocessorConnector(circuit, 32_000, 0.0)
    assert (circuit.is_permitted, circuit.output, circuit.duty) == (False, PilotOutput.X1, 1.0)
