"""The driver alone: it is fed frames written by hand, and what it sends is read back frame by frame."""

import itertools
from dataclasses import replace

import pytest

from evcharge_hal.contract.errors import InvalidFieldError
from evcharge_hal.contract.pilot import (
    LinkDown,
    LinkEvent,
    LinkIncompatible,
    LinkNoticed,
    LinkUp,
    PilotCommand,
    PilotLink,
    PilotOutput,
    PilotReport,
    PilotState,
    ResetCause,
)
from evcharge_hal.contract.units import Amps
from evcharge_hal.link.frames import (
    Control,
    Event,
    EventCode,
    Frame,
    FrameDecoder,
    Hello,
    HelloAck,
    Nak,
    NakReason,
    OpenReason,
    Reply,
    Request,
    RequestKind,
    Result,
    Status,
    encode,
)
from evcharge_hal.link.native import NativeLink
from tests.support.pilot_bench import command

ACK = HelloAck(1, 1, 0, 1, 2, 3, 0xABCDEF01, 7, 0x00112233445566AA, 41, ResetCause.BROWN_OUT, 1, 2, 32_000)
STATUS = Status(
    connector=1,
    state=PilotState.B,
    output=PilotOutput.X2,
    high_mv=9012,
    low_mv=-11_980,
    duty_centipercent=2666,
    pp_ohm=None,
    is_permitted=False,
    is_locked=True,
    temperature_decicelsius=-55,
    active_faults=0,
    latched_faults=1,
    first_fault=1,
    last_control_seq=1,
    control_age_ms=10,
    sample_age_ms=20,
    boot_count=41,
    plug_count=3,
    uptime_ms=0,
)


class Peer:
    """The other end of the line, moved by hand."""

    def __init__(self, *connectors: int) -> None:
        self.link = NativeLink(connectors or (1,))
        self.now_s = 50.0
        self.nonce = 0

    def taken(self) -> list[Frame]:
        """What the driver wants written now."""
        frames = FrameDecoder().feed(self.link.outgoing())
        good = [frame for frame in frames if not hasattr(frame, "reason") or isinstance(frame, Nak)]
        assert len(good) == len(frames), frames
        for frame in good:
            if isinstance(frame, Hello):
                self.nonce = frame.nonce
        return good

    def controls(self) -> list[Control]:
        return [frame for frame in self.taken() if isinstance(frame, Control)]

    def give(self, *frames: Frame, version: int = 1) -> list[LinkEvent]:
        return list(self.link.receive(b"".join(encode(frame, version) for frame in frames), self.now_s))

    def status(self, **changes: object) -> list[LinkEvent]:
        uptime_ms = round(self.now_s * 1000.0)
        return self.give(replace(STATUS, **{"uptime_ms": uptime_ms, **changes}))

    def wait(self, duration_s: float) -> list[LinkEvent]:
        self.now_s += duration_s
        return list(self.link.advance(self.now_s))

    def greet(self) -> list[LinkEvent]:
        """Bring the link up."""
        self.link.advance(self.now_s)
        self.taken()
        return self.give(replace(ACK, nonce=self.nonce))


def only(events: list[LinkEvent], kind: type) -> LinkEvent:
    (event,) = events
    assert isinstance(event, kind), event
    return event


# --- handshake --------------------------------------------------------------------------------------------


def test_it_is_a_pilot_link() -> None:
    link: PilotLink = NativeLink((1, 2))
    assert link.next_deadline_s() == 0.0
    assert link.outgoing() == b""


def test_hello_is_repeated_until_answered_and_nothing_else_is_sent() -> None:
    peer = Peer()
    peer.link.command(command(PilotOutput.X2, 16.0, permit=True), peer.now_s)
    nonces = set()
    for _ in range(5):
        (hello,) = peer.taken()
        assert isinstance(hello, Hello)
        nonces.add(hello.nonce)
        assert peer.link.next_deadline_s() == pytest.approx(peer.now_s + 0.2)
        peer.wait(0.1)
        assert peer.taken() == []
        peer.wait(0.11)
    assert len(nonces) == 1
    assert 0 not in nonces


def test_the_answer_brings_the_link_up_and_the_remembered_set_point_out() -> None:
    peer = Peer()
    peer.link.command(command(PilotOutput.X2, 16.0), peer.now_s)
    up = only(peer.greet(), LinkUp)
    assert isinstance(up, LinkUp)
    assert not up.is_restart
    identity = up.identity
    assert (identity.uid, identity.firmware) == ("00112233445566aa", "1.2.3+abcdef01")
    assert (identity.boot_count, identity.connectors, identity.max_a) == (41, 2, 32.0)
    assert identity.reset_cause.is_power_loss
    assert [(control.mode, control.limit_ma) for control in peer.controls()] == [(PilotOutput.X2, 16_000)]


def test_an_answer_to_somebody_elses_hello_is_not_taken() -> None:
    peer = Peer()
    peer.wait(0.0)
    peer.taken()
    assert peer.give(replace(ACK, nonce=peer.nonce + 1)) == []
    assert peer.status() == []
    only(peer.give(replace(ACK, nonce=peer.nonce)), LinkUp)


def test_a_second_answer_to_the_same_hello_changes_nothing() -> None:
    peer = Peer()
    peer.greet()
    assert peer.give(replace(ACK, nonce=peer.nonce)) == []
    assert isinstance(peer.status()[0], PilotReport)


def test_another_major_version_is_told_nothing_but_hello() -> None:
    peer = Peer()
    peer.link.command(command(PilotOutput.X2, 16.0, permit=True), peer.now_s)
    peer.taken()
    foreign = replace(ACK, proto_min=2, proto_max=3)
    incompatible = only(peer.give(replace(foreign, nonce=peer.nonce), version=2), LinkIncompatible)
    assert isinstance(incompatible, LinkIncompatible)
    assert "2 to 3" in incompatible.reason
    sent: list[Frame] = []
    for _ in range(60):
        assert peer.wait(0.1) == []
        assert peer.give(replace(foreign, nonce=peer.nonce), version=2) == [], "said once"
        peer.link.command(command(PilotOutput.X2, 10.0, permit=True), peer.now_s)
        peer.link.clear_latch(1)
        sent += peer.taken()
    assert {type(frame) for frame in sent} == {Hello}
    assert 4 <= len(sent) <= 7
    only(peer.give(replace(ACK, nonce=peer.nonce)), LinkUp)


def test_a_peer_that_speaks_this_version_among_others_is_fine() -> None:
    peer = Peer()
    peer.wait(0.0)
    peer.taken()
    only(peer.give(replace(ACK, nonce=peer.nonce, proto_max=9), version=9), LinkUp)


def test_too_few_connectors_are_named() -> None:
    peer = Peer(1, 2, 3)
    peer.wait(0.0)
    peer.taken()
    up, missing = peer.give(replace(ACK, nonce=peer.nonce))
    assert isinstance(up, LinkUp)
    assert missing == LinkNoticed("missing_connector", None, "co-processor has 2")


@pytest.mark.parametrize("deadline_ms", [0, 199, 2001])
def test_a_deadline_the_co_processor_would_not_keep_is_refused(deadline_ms: int) -> None:
    with pytest.raises(InvalidFieldError, match="200 to 2000 ms"):
        NativeLink((1,), deadline_ms)


# --- set-points -------------------------------------------------------------------------------------------


def test_a_set_point_is_repeated_at_10_hz_with_new_sequence_numbers() -> None:
    peer = Peer()
    peer.greet()
    peer.link.command(command(PilotOutput.X2, 16.0, permit=True), peer.now_s)
    seen = peer.controls()
    for tick in range(100):
        peer.wait(0.01)
        if tick % 10 == 5:
            peer.status()
        seen += peer.controls()
    assert len(seen) in (10, 11, 12)
    assert len({control.seq for control in seen}) == len(seen)
    assert {replace(control, seq=0) for control in seen} == {
        Control(1, PilotOutput.X2, 16_000, is_permitted=True, is_locked=False, phases=3, session_id=0, deadline_ms=1000)
    }


def sent_at(peer: Peer, status_at_ms: set[int], duration_ms: int) -> list[int]:
    """When a set-point went out, in ms, while STATUS comes at these times."""
    found = []
    for now_ms in range(1, duration_ms + 1):
        peer.wait(0.001)
        if now_ms in status_at_ms:
            peer.status()
        if peer.controls():
            found.append(now_ms)
    return found


def test_a_set_point_is_repeated_together_with_status_where_that_comes_in_time() -> None:
    peer = Peer()
    peer.greet()
    peer.link.command(command(PilotOutput.X2, 16.0), peer.now_s)
    peer.controls()
    status_ms = {43, 143, 250, 342, 447, 560}
    found = sent_at(peer, status_ms, 600)
    assert set(found) == status_ms


def test_without_status_a_set_point_goes_by_its_own_clock_after_one_short_wait() -> None:
    peer = Peer()
    peer.greet()
    peer.link.command(command(PilotOutput.X2, 16.0), peer.now_s)
    peer.controls()
    found = sent_at(peer, {43, 143, 243}, 900)
    assert found[:3] == [43, 143, 243]
    gaps = [after - before for before, after in itertools.pairwise(found[2:])]
    assert gaps[0] in (120, 121)
    assert len(gaps) > 4
    assert all(gap in (100, 101) for gap in gaps[1:])


def test_status_in_a_flood_draws_no_flood_of_set_points() -> None:
    peer = Peer()
    peer.greet()
    peer.link.command(command(PilotOutput.X2, 16.0), peer.now_s)
    peer.controls()
    assert len(sent_at(peer, set(range(1, 1000)), 1000)) <= 13


def test_a_flood_of_changes_is_merged_and_the_last_one_wins() -> None:
    peer = Peer()
    peer.greet()
    peer.link.command(command(PilotOutput.X2, 6.0), peer.now_s)
    sent_s = [peer.now_s]
    assert len(peer.controls()) == 1
    for step in range(1000):
        peer.now_s += 0.0005
        peer.link.command(command(PilotOutput.X2, 6.0 + step / 100.0), peer.now_s)
        if peer.controls():
            sent_s.append(peer.now_s)
    assert min(after - before for before, after in itertools.pairwise(sent_s)) >= 0.0199
    assert 20 <= len(sent_s) <= 27
    for limit_a in (17.0, 18.0):
        peer.link.command(command(PilotOutput.X2, limit_a), peer.now_s)
    assert peer.link.next_deadline_s() <= sent_s[-1] + 0.0201
    peer.wait(0.02)
    assert [control.limit_ma for control in peer.controls()] == [18_000]


def test_taking_the_permit_away_waits_for_nothing() -> None:
    peer = Peer()
    peer.greet()
    peer.link.command(command(PilotOutput.X2, 16.0, permit=True), peer.now_s)
    assert peer.controls()[-1].is_permitted
    peer.link.command(command(PilotOutput.F), peer.now_s)
    assert not peer.controls()[-1].is_permitted
    peer.link.command(command(PilotOutput.X2, 16.0, permit=True), peer.now_s + 0.001)
    assert peer.controls() == [], "giving it back is merged as any change"


@pytest.mark.parametrize("since_ms", [0, 1, 7, 19, 21, 50, 79, 81, 99, 119])
@pytest.mark.parametrize("is_stopped", [False, True])
def test_a_cut_leaves_in_the_same_turn_wherever_the_rhythm_stands(since_ms: int, *, is_stopped: bool) -> None:
    """DESIGN D4: cuts are immediate. A withdrawn permission keeps the permit while the car lets go."""
    peer = Peer()
    peer.greet()
    peer.link.command(command(PilotOutput.X2, 16.0, permit=True), peer.now_s)
    for _ in range(5):
        peer.now_s += 0.1
        peer.status()
    peer.controls()
    peer.wait(since_ms / 1000.0)
    peer.controls()
    lower = command(PilotOutput.X1, permit=True) if is_stopped else command(PilotOutput.X2, 6.0, permit=True)
    peer.link.command(lower, peer.now_s)
    (control,) = peer.controls()
    assert (control.limit_ma, control.mode) == ((0, PilotOutput.X1) if is_stopped else (6000, PilotOutput.X2))
    peer.link.command(command(PilotOutput.X2, 16.0, permit=True), peer.now_s)
    assert peer.controls() == [], "a raise waits"


def test_a_flood_of_cuts_is_merged_too() -> None:
    peer = Peer()
    peer.greet()
    peer.link.command(command(PilotOutput.X2, 32.0), peer.now_s)
    peer.wait(0.1)
    peer.controls()
    sent: list[Control] = []
    for tenths in range(319, 59, -1):
        peer.wait(0.001)
        peer.link.command(command(PilotOutput.X2, tenths / 10.0), peer.now_s)
        sent += peer.controls()
    assert sent[0].limit_ma == 31_900
    assert 10 <= len(sent) <= 14
    peer.wait(peer.link.next_deadline_s() - peer.now_s)
    assert [control.limit_ma for control in peer.controls()] == [6000]
    assert peer.now_s <= 50.1 + 0.26 + 0.0201


def test_unsent_set_points_are_replaced_not_queued() -> None:
    peer = Peer()
    peer.greet()
    for step in range(50):
        peer.link.command(command(PilotOutput.X2, 6.0 + step), peer.now_s)
        peer.now_s += 0.05
    (control,) = peer.controls()
    assert control.limit_ma == 55_000


def test_connectors_have_set_points_of_their_own() -> None:
    peer = Peer(1, 2)
    peer.greet()
    assert peer.controls() == []
    peer.link.command(command(PilotOutput.X2, 16.0, connector=2), peer.now_s)
    assert [control.connector for control in peer.controls()] == [2]
    peer.link.command(command(PilotOutput.F, connector=1), peer.now_s)
    assert [(control.connector, control.mode) for control in peer.controls()] == [(1, PilotOutput.F)]
    peer.wait(0.101)
    assert {control.connector: control.mode for control in peer.controls()} == {1: PilotOutput.F, 2: PilotOutput.X2}
    with pytest.raises(InvalidFieldError, match="one of 1, 2"):
        peer.link.command(command(connector=3), peer.now_s)


@pytest.mark.parametrize(
    ("limit_a", "mode", "limit_ma"),
    [
        (16.0, PilotOutput.X2, 16_000),
        (9.2, PilotOutput.X2, 9_200),
        (16.0009, PilotOutput.X2, 16_000),
        (6.0, PilotOutput.X2, 6_000),
        (5.9999, PilotOutput.X1, 0),
        (0.1, PilotOutput.X1, 0),
        (0.0, PilotOutput.X1, 0),
        (-5.0, PilotOutput.X1, 0),
        (80.0, PilotOutput.X2, 80_000),
        (81.0, PilotOutput.X2, 80_000),
        (float("inf"), PilotOutput.X2, 80_000),
        (float("nan"), PilotOutput.X1, 0),
    ],
)
def test_limits_are_rounded_down_and_nothing_lies_between_0_and_6_a(
    limit_a: float, mode: PilotOutput, limit_ma: int
) -> None:
    peer = Peer()
    peer.greet()
    wish = PilotCommand(1, PilotOutput.X2, Amps(limit_a), permit=False, session_number=65_537, phases=1)
    peer.link.command(wish, peer.now_s)
    (control,) = peer.controls()
    assert (control.mode, control.limit_ma) == (mode, limit_ma)
    assert (control.session_id, control.phases) == (1, 1)


# --- reports, silence, restart ----------------------------------------------------------------------------


def test_a_status_becomes_a_report_in_si_units() -> None:
    peer = Peer()
    peer.greet()
    (report,) = peer.status()
    assert isinstance(report, PilotReport)
    assert (report.state, report.output, report.duty) == (PilotState.B, PilotOutput.X2, pytest.approx(0.2666))
    assert (report.high_v, report.low_v) == (pytest.approx(9.012), pytest.approx(-11.98))
    assert (report.pp_ohm, report.temperature_c) == (None, pytest.approx(-5.5))
    assert (report.sample_age_s, report.received_s) == (pytest.approx(0.02), peer.now_s)
    assert (report.boot_count, report.plug_count, report.latched.name) == (41, 3, "HOST_LOST")
    assert report.is_locked
    assert not report.is_permitted
    (report,) = peer.status(pp_ohm=220, temperature_decicelsius=None)
    assert isinstance(report, PilotReport)
    assert (report.pp_ohm, report.temperature_c) == (220.0, None)


def test_silence_is_noticed_at_300_ms_and_the_link_is_down_at_1_s() -> None:
    peer = Peer()
    peer.greet()
    peer.status()
    assert peer.wait(0.29) == []
    notice = only(peer.wait(0.02), LinkNoticed)
    assert isinstance(notice, LinkNoticed)
    assert (notice.code, notice.connector) == ("status_late", 1)
    assert peer.wait(0.68) == []
    assert peer.link.next_deadline_s() <= peer.now_s + 0.011
    only(peer.wait(0.02), LinkDown)
    assert {type(frame) for frame in peer.taken()} == {Hello}
    assert peer.wait(10.0) == []


def test_each_connector_has_to_report() -> None:
    peer = Peer(1, 2)
    peer.greet()
    events = []
    for _ in range(11):
        events += peer.wait(0.1)
        events += peer.status(connector=2)
    (down,) = [event for event in events if isinstance(event, LinkDown)]
    assert "connector 1" in down.reason


def test_noise_does_not_count_as_life() -> None:
    peer = Peer()
    peer.greet()
    events: list[LinkEvent] = []
    for _ in range(11):
        peer.now_s += 0.1
        events += peer.link.receive(encode(STATUS)[:-4] + b"\0", peer.now_s)
        events += peer.give(Event(1, 1, 1, 0, 0))
    assert any(isinstance(event, LinkDown) for event in events)


def test_after_silence_the_same_boot_is_no_restart_and_the_permit_has_to_be_given_again() -> None:
    peer = Peer()
    peer.greet()
    peer.link.command(command(PilotOutput.X2, 16.0, permit=True), peer.now_s)
    peer.taken()
    only([event for event in peer.wait(1.1) if not isinstance(event, LinkNoticed)], LinkDown)
    up = only(peer.greet(), LinkUp)
    assert isinstance(up, LinkUp)
    assert not up.is_restart
    (control,) = peer.controls()
    assert (control.mode, control.limit_ma, control.is_permitted) == (PilotOutput.X2, 16_000, False)


@pytest.mark.parametrize("sign", ["announcement", "boot_count"])
def test_a_restart_takes_the_link_down_and_through_a_new_handshake(sign: str) -> None:
    peer = Peer()
    peer.greet()
    peer.link.command(command(PilotOutput.X2, 16.0, permit=True), peer.now_s)
    peer.taken()
    old_nonce = peer.nonce
    peer.now_s += 0.05
    reborn = replace(ACK, boot_count=42, reset_cause=ResetCause.WATCHDOG)
    events = peer.give(reborn) if sign == "announcement" else peer.status(boot_count=42)
    only(events, LinkDown)
    assert peer.status(boot_count=42) == [], "nothing is believed before the handshake"
    (hello,) = peer.taken()
    assert isinstance(hello, Hello)
    assert hello.nonce != old_nonce
    assert peer.give(replace(reborn, nonce=old_nonce)) == []
    up = only(peer.give(replace(reborn, nonce=hello.nonce)), LinkUp)
    assert isinstance(up, LinkUp)
    assert up.is_restart
    assert not peer.controls()[0].is_permitted


def test_a_restart_during_silence_is_a_restart() -> None:
    peer = Peer()
    peer.greet()
    peer.wait(1.5)
    peer.taken()
    up = only(peer.give(replace(ACK, boot_count=42, nonce=peer.nonce)), LinkUp)
    assert isinstance(up, LinkUp)
    assert up.is_restart


def test_a_restart_with_a_lost_boot_counter_is_seen_by_its_announcement() -> None:
    peer = Peer()
    peer.greet()
    peer.wait(1.5)
    peer.taken()
    assert peer.give(ACK) == []
    up = only(peer.give(replace(ACK, nonce=peer.nonce)), LinkUp)
    assert isinstance(up, LinkUp)
    assert up.is_restart


def test_a_host_that_was_stopped_does_not_live_on_old_frames() -> None:
    peer = Peer()
    peer.greet()
    peer.status()
    peer.now_s += 5.0
    old = replace(STATUS, uptime_ms=round((peer.now_s - 4.9) * 1000.0))
    assert [type(event) for event in peer.give(old)] == [LinkDown]


def test_frames_that_sat_in_a_buffer_prove_nothing_about_now() -> None:
    peer = Peer()
    peer.greet()
    events: list[LinkEvent] = []
    for _ in range(12):
        events += peer.wait(0.1)
        events += peer.status()
    assert all(isinstance(event, PilotReport) for event in events)
    # From now on the line lags by half a second, bytes flow all the same.
    events = []
    for _ in range(12):
        events += peer.wait(0.1)
        events += peer.status(uptime_ms=round((peer.now_s - 0.5) * 1000.0))
    assert [event for event in events if isinstance(event, PilotReport)] == []
    assert any(isinstance(event, LinkDown) for event in events)


def test_transit_counts_as_age_and_a_slow_clock_does_not() -> None:
    peer = Peer()
    peer.greet()
    for tick in range(3000):  # five minutes, 1 % slow
        peer.wait(0.1)
        (report,) = peer.status(uptime_ms=round(tick * 99.0))
        assert isinstance(report, PilotReport)
    assert report.sample_age_s == pytest.approx(0.02, abs=0.005)
    peer.wait(0.1)
    peer.now_s += 0.1
    (report,) = peer.status(uptime_ms=round(3000 * 99.0))
    assert isinstance(report, PilotReport)
    assert report.sample_age_s == pytest.approx(0.12, abs=0.005)


def test_uptime_may_wrap() -> None:
    peer = Peer()
    peer.greet()
    for tick in range(20):
        peer.wait(0.1)
        (report,) = peer.status(uptime_ms=(2**32 - 1000 + tick * 100) % 2**32)
        assert isinstance(report, PilotReport)


def test_a_co_processor_that_takes_no_set_points_is_not_alive() -> None:
    peer = Peer()
    peer.greet()
    peer.link.command(command(), peer.now_s)
    events: list[LinkEvent] = []
    began_s = peer.now_s
    while not any(isinstance(event, LinkDown) for event in events):
        events += peer.wait(0.1)
        events += peer.status(control_age_ms=0xFFFF)
        assert peer.now_s < began_s + 3.0
    assert peer.now_s - began_s == pytest.approx(1.05, abs=0.1)
    peer.taken()
    assert peer.link.next_deadline_s() == pytest.approx(peer.now_s + 5.0)


def test_a_host_that_has_just_woken_does_not_blame_the_co_processor() -> None:
    peer = Peer()
    peer.greet()
    peer.link.command(command(), peer.now_s)
    peer.status()
    peer.wait(0.9)
    assert [type(event) for event in peer.status(control_age_ms=900)] == [PilotReport]
    peer.wait(0.5)
    assert [type(event) for event in peer.status(control_age_ms=1400)] == [PilotReport]


# --- events, requests, noise ------------------------------------------------------------------------------


def test_events_are_noticed_once_and_acknowledged() -> None:
    peer = Peer()
    peer.greet()
    opened = Event(1, 1, EventCode.PERMIT_OPENED, OpenReason.STOP_BACKSTOP, 5)
    assert peer.give(opened, opened) == [LinkNoticed("permit_opened", 1, "stop_backstop")]
    peer.link.command(command(), peer.now_s)
    assert peer.controls()[0].ack == 1
    assert peer.give(opened) == []
    assert peer.give(Event(2, 1, EventCode.FAULT_LATCHED, 2, 5)) == [LinkNoticed("fault_latched", 1, "diode")]
    assert peer.give(Event(3, 9, 99, 7, 5)) == [LinkNoticed("event_99", None, "detail 7")]


def test_a_new_handshake_counts_events_anew() -> None:
    peer = Peer()
    peer.greet()
    peer.give(Event(1, 1, EventCode.PERMIT_CLOSED, 0, 5))
    peer.give(ACK)
    peer.now_s += 0.05
    peer.greet()
    assert peer.give(Event(1, 1, EventCode.HOST_LOST, 1001, 5)) == [
        LinkNoticed("host_lost", 1, "last set-point 1001 ms ago")
    ]


def test_clear_latch_is_repeated_until_its_own_answer_comes() -> None:
    peer = Peer()
    peer.greet()
    peer.link.clear_latch(1)
    (request,) = peer.taken()
    assert request == Request(1, RequestKind.CLEAR_LATCH, 0xFFFF, seq=request.seq)
    peer.wait(0.21)
    (again,) = peer.taken()
    assert again == request
    reply = Reply(1, RequestKind.CLEAR_LATCH, 0xFFFF, Result.REFUSED, 0, ack=request.seq)
    assert peer.give(replace(reply, ack=request.seq % 255 + 1)) == [], "a stale reply"
    assert peer.give(replace(reply, kind=RequestKind.SELF_TEST)) == []
    assert peer.give(reply) == [LinkNoticed("clear_latch", 1, "refused")]
    assert peer.give(reply) == []
    peer.wait(0.21)
    assert peer.taken() == []


def test_clear_latch_gives_up_after_five_tries() -> None:
    peer = Peer()
    peer.greet()
    peer.link.clear_latch(1)
    tries, events = len(peer.taken()), []
    for _ in range(20):
        events += [event for event in peer.wait(0.1) if not isinstance(event, PilotReport)]
        peer.status()
        tries += len(peer.taken())
    assert tries == 5
    assert events == [LinkNoticed("clear_latch", 1, "no answer")]


def test_a_reset_is_repeated_until_the_co_processor_has_started_again() -> None:
    peer = Peer()
    peer.greet()
    peer.link.reset()
    (request,) = peer.taken()
    assert request == Request(1, RequestKind.RESET, 0x5253, seq=request.seq)
    peer.wait(0.21)
    (again,) = peer.taken()
    assert again == request
    (down,) = peer.give(replace(ACK, nonce=0, boot_count=ACK.boot_count + 1, reset_cause=ResetCause.SOFTWARE))
    assert isinstance(down, LinkDown)
    peer.wait(0.5)
    assert all(isinstance(frame, Hello) for frame in peer.taken())


def test_a_reset_nobody_carries_out_is_given_up_after_five_tries() -> None:
    peer = Peer()
    peer.greet()
    peer.link.reset()
    tries, events = len(peer.taken()), []
    for _ in range(20):
        events += [event for event in peer.wait(0.1) if not isinstance(event, PilotReport)]
        peer.status()
        tries += len(peer.taken())
    assert tries == 5
    assert events == [LinkNoticed("reset", None, "no answer")]


def test_a_reset_the_co_processor_does_not_know_is_noticed() -> None:
    peer = Peer()
    peer.greet()
    peer.link.reset()
    (request,) = peer.taken()
    reply = Reply(1, RequestKind.RESET, 0x5253, Result.UNSUPPORTED, 0, ack=request.seq)
    assert peer.give(reply) == [LinkNoticed("reset", None, "unsupported")]
    peer.wait(0.21)
    assert peer.taken() == []


def test_without_a_link_nobody_is_asked_to_start_again() -> None:
    peer = Peer()
    peer.link.reset()
    peer.greet()
    peer.wait(0.21)
    assert [frame for frame in peer.taken() if isinstance(frame, Request)] == []


def test_noise_is_noticed_at_most_once_a_second_with_a_count() -> None:
    peer = Peer()
    peer.greet()
    events: list[LinkEvent] = []
    for _ in range(250):
        peer.now_s += 0.01
        peer.status()
        events += peer.link.receive(b"\x05noise\0", peer.now_s)
    assert [type(event) for event in events] == [LinkNoticed] * 3
    assert isinstance(events[1], LinkNoticed)
    assert "(100 more before)" in events[1].detail or "(99 more before)" in events[1].detail


def test_a_flood_of_events_and_refusals_does_not_fill_the_log() -> None:
    peer = Peer()
    peer.greet()
    events: list[LinkEvent] = []
    for step in range(2000):
        peer.now_s += 0.001
        events += peer.give(Event(step % 255 + 1, step % 256, step % 3 + 1, step, 0), Nak(NakReason.BAD_VALUE, 3))
        events += peer.status(connector=step % 200 + 2)
    assert len(events) <= 5 * 8


def test_a_line_that_echoes_is_noise() -> None:
    peer = Peer()
    peer.greet()
    (notice,) = peer.give(Control(1, PilotOutput.X2, 16_000, True, True, 3, 0, 1000))
    assert isinstance(notice, LinkNoticed)
    assert notice.code == "noise"
