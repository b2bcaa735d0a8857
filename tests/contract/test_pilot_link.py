"""Pilot link v1 as a contract: golden vectors both ways, both ends against each other, the stated times, a real pty."""

import json
import os
import pty
import random
import select
import tty
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import evcharge_hal
from evcharge_hal.contract.pilot import (
    CoprocessorFault,
    LinkDown,
    LinkIncompatible,
    LinkNoticed,
    LinkUp,
    PilotOutput,
    PilotState,
    ResetCause,
)
from evcharge_hal.link.frames import (
    BadFrame,
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
from evcharge_hal.link.serial_port import SerialPort
from tests.support.pilot_bench import CONNECTED_V, NO_CAR_V, READY_V, UID, Bench, command

VECTORS = json.loads((Path(evcharge_hal.__file__).parents[1] / "protocol" / "vectors.json").read_text())
GOOD = {vector["name"]: vector for vector in VECTORS["good"]}

# --- a second reading of the specification, sharing nothing with the codec --------------------------------

LAYOUTS: dict[int, tuple[str, tuple[tuple[str, int], ...]]] = {
    1: ("hello", (("proto_min", 1), ("proto_max", 1), ("nonce", 4))),
    2: (
        "hello_ack",
        (
            ("proto_min", 1),
            ("proto_max", 1),
            ("nonce", 4),
            ("firmware_major", 1),
            ("firmware_minor", 1),
            ("firmware_patch", 1),
            ("firmware_commit", 4),
            ("hardware_id", 2),
            ("uid", 8),
            ("boot_count", 4),
            ("reset_cause", 1),
            ("capabilities", 2),
            ("connectors", 1),
            ("max_current_ma", 4),
        ),
    ),
    3: (
        "control",
        (
            ("connector", 1),
            ("mode", 1),
            ("limit_ma", 4),
            ("is_permitted", 1),
            ("is_locked", 1),
            ("phases", 1),
            ("session_id", 2),
            ("deadline_ms", 2),
        ),
    ),
    4: (
        "status",
        (
            ("connector", 1),
            ("state", 1),
            ("output", 1),
            ("high_mv", -2),
            ("low_mv", -2),
            ("duty_centipercent", 2),
            ("pp_ohm", 2),
            ("is_permitted", 1),
            ("is_locked", 1),
            ("temperature_decicelsius", -2),
            ("active_faults", 2),
            ("latched_faults", 2),
            ("first_fault", 2),
            ("last_control_seq", 1),
            ("control_age_ms", 2),
            ("sample_age_ms", 2),
            ("boot_count", 4),
            ("plug_count", 4),
            ("uptime_ms", 4),
        ),
    ),
    5: ("event", (("number", 1), ("connector", 1), ("code", 1), ("detail", 4), ("uptime_ms", 4))),
    6: ("request", (("connector", 1), ("kind", 1), ("argument", 2))),
    7: ("reply", (("connector", 1), ("kind", 1), ("argument", 2), ("result", 1), ("measured_ms", 2))),
    8: ("nak", (("reason", 1), ("refused_type", 1))),
}


def read_wire(wire: bytes) -> dict[str, Any]:
    """Decode one good frame the simplest way; negative widths are signed."""
    assert wire[-1] == 0
    stuffed, frame, position = wire[:-1], b"", 0
    while position < len(stuffed):
        code = stuffed[position]
        frame += stuffed[position + 1 : position + code] + b"\0"
        position += code
    frame = frame[:-1]
    assert 7 <= len(frame) <= 64
    assert zlib.crc32(frame[:-4]) == int.from_bytes(frame[-4:], "little")
    name, layout = LAYOUTS[frame[0] & 15]
    decoded: dict[str, Any] = {"type": name, "version": frame[0] >> 4, "seq": frame[1], "ack": frame[2]}
    position, decoded["fields"] = 3, {}
    for field, width in layout:
        raw = frame[position : position + abs(width)]
        assert len(raw) == abs(width)
        decoded["fields"][field] = int.from_bytes(raw, "little", signed=width < 0)
        position += abs(width)
    return decoded


# What some vectors mean; the rest is read back through its numbers.
MEANINGS: dict[str, Frame] = {
    "hello": Hello(1, 1, 0x01020304, seq=1),
    "hello_ack": HelloAck(
        proto_min=1,
        proto_max=1,
        nonce=0x01020304,
        firmware_major=1,
        firmware_minor=4,
        firmware_patch=2,
        firmware_commit=0x46A3FBAF,
        hardware_id=0x5157,
        uid=0x00112233445566AA,
        boot_count=41,
        reset_cause=ResetCause.POWER_ON,
        capabilities=0b110111,
        connectors=2,
        max_current_ma=32_000,
        seq=2,
        ack=1,
    ),
    "control_charge_16_a": Control(1, PilotOutput.X2, 16_000, True, True, 3, 513, 1000, seq=255, ack=9),
    "control_second_connector_not_available": Control(2, PilotOutput.F, 0, False, False, 1, 65_535, 200, seq=1),
    "control_longer": Control(1, PilotOutput.E, 6000, False, True, 1, 1, 2000, seq=12),
    "status_charging": Status(
        connector=1,
        state=PilotState.C,
        output=PilotOutput.X2,
        high_mv=6012,
        low_mv=-11_980,
        duty_centipercent=2666,
        pp_ohm=220,
        is_permitted=True,
        is_locked=True,
        temperature_decicelsius=412,
        active_faults=0,
        latched_faults=0,
        first_fault=0,
        last_control_seq=255,
        control_age_ms=37,
        sample_age_ms=4,
        boot_count=41,
        plug_count=3,
        uptime_ms=86_400_000,
        seq=77,
    ),
    "event_permit_opened": Event(9, 1, 2, 5, 90_061_001, seq=90),
    "event_unknown_code": Event(255, 1, 200, 0xDEADBEEF, 1, seq=91),
    "request_clear_latch": Request(1, RequestKind.CLEAR_LATCH, 0xFFFF, seq=33, ack=9),
    "request_reset": Request(1, RequestKind.RESET, 0x5253, seq=34, ack=9),
    "reply_refused": Reply(1, RequestKind.CLEAR_LATCH, 0xFFFF, Result.REFUSED, 0, seq=92, ack=33),
    "nak_no_hello": Nak(NakReason.NO_HELLO, 3, seq=3, ack=10),
}


@pytest.mark.parametrize("vector", VECTORS["good"], ids=lambda vector: vector["name"])
def test_good_vectors_both_ways(vector: dict[str, Any]) -> None:
    wire = bytes.fromhex(vector["wire"])
    decoded = read_wire(wire)
    assert decoded == {
        "type": vector["type"],
        "version": vector.get("version", 1),
        "seq": vector["seq"],
        "ack": vector["ack"],
        "fields": vector["fields"],
    }
    (frame,) = FrameDecoder().feed(wire)
    assert not isinstance(frame, BadFrame)
    again = encode(frame, vector.get("version", 1))
    assert read_wire(again) == decoded
    if not vector["name"].startswith("control_long"):
        assert again == wire


@pytest.mark.parametrize("name", MEANINGS)
def test_vectors_mean_what_they_say(name: str) -> None:
    assert FrameDecoder().feed(bytes.fromhex(GOOD[name]["wire"])) == [MEANINGS[name]]


def test_absent_values_are_none() -> None:
    (frame,) = FrameDecoder().feed(bytes.fromhex(GOOD["status_after_boot"]["wire"]))
    assert isinstance(frame, Status)
    assert (frame.pp_ohm, frame.temperature_decicelsius) == (None, None)


@pytest.mark.parametrize("vector", VECTORS["bad"], ids=lambda vector: vector["name"])
def test_bad_vectors_are_refused_for_their_reason(vector: dict[str, Any]) -> None:
    (frame,) = FrameDecoder().feed(bytes.fromhex(vector["wire"]))
    assert isinstance(frame, BadFrame)
    assert frame.reason.value == vector["reason"]


def test_every_type_and_every_refusal_has_a_vector() -> None:
    assert {vector["type"] for vector in VECTORS["good"]} == {name for name, _ in LAYOUTS.values()}
    assert {vector["reason"] for vector in VECTORS["bad"]} == {
        "too_long",
        "not_cobs",
        "too_short",
        "checksum",
        "version",
        "unknown_type",
        "short_payload",
        "bad_value",
    }


# --- both ends --------------------------------------------------------------------------------------------


def test_a_charge_from_plug_to_unplug() -> None:
    bench = Bench()
    bench.command(command())
    bench.run(0.3)
    assert isinstance(bench.events[0], LinkUp)
    assert bench.events[0].identity.uid == f"{UID:016x}"
    assert (bench.report.state, bench.report.plug_count, bench.report.duty) == (PilotState.A, 0, 1.0)
    bench.circuit.high_v = CONNECTED_V
    assert bench.run(1.0, lambda: bench.report.state is PilotState.B) <= 0.25
    assert bench.report.plug_count == 1
    bench.command(command(PilotOutput.X2, 16.0, permit=True))
    assert bench.run(1.0, lambda: bench.circuit.output is PilotOutput.X2) <= 0.021
    assert bench.circuit.duty == pytest.approx(0.2666)
    bench.run(0.5)
    assert not bench.circuit.is_permitted
    bench.circuit.high_v = READY_V
    assert bench.run(3.0, lambda: bench.report.is_permitted) <= 0.25
    bench.command(command(PilotOutput.X1, permit=True))
    bench.run(1.0)
    assert bench.report.is_permitted, "the car is given time to let go"
    bench.circuit.high_v = CONNECTED_V
    assert bench.run(1.0, lambda: not bench.report.is_permitted) <= 0.05
    bench.circuit.high_v = NO_CAR_V
    assert bench.run(1.0, lambda: bench.report.state is PilotState.A) <= 0.05
    codes = [event.code for event in bench.facts() if isinstance(event, LinkNoticed)]
    assert codes == ["permit_closed", "permit_opened"]


def test_two_connectors_do_not_know_each_other() -> None:
    bench = Bench((1, 2))
    bench.command(command(connector=2))
    bench.charge()
    assert bench.circuits[1].is_permitted
    assert not bench.circuits[2].is_permitted
    assert bench.circuits[2].output is PilotOutput.X1
    assert bench.reports(2)[-1].state is PilotState.A


def test_reports_come_at_10_hz_and_at_once_on_change() -> None:
    bench = Bench()
    bench.command(command())
    bench.run(1.0)
    seen = len(bench.reports())
    bench.run(10.0)
    assert len(bench.reports()) - seen == pytest.approx(100, abs=10)
    seen = len(bench.reports())
    bench.command(command(PilotOutput.F))
    assert bench.run(1.0, lambda: len(bench.reports()) > seen) <= 0.021
    assert bench.report.output is PilotOutput.F


@pytest.mark.parametrize("step_s", [0.001, 0.01, 0.05])
@pytest.mark.parametrize("car", ["stays in C", "lets go"])
def test_a_dead_host_pwm_off_within_1_1_s_and_permit_within_4_1_s(step_s: float, car: str) -> None:
    bench = Bench(step_s=step_s)
    bench.charge()
    bench.is_host_alive = False
    last_control_s = bench.sent[-1][0]
    bench.run(2.0, lambda: bench.circuit.output is PilotOutput.X1)
    pwm_off_s = bench.now_s - last_control_s
    assert 0.9 <= pwm_off_s <= 1.1
    assert bench.circuit.is_permitted, "the car is given time to let go"
    if car == "lets go":
        bench.run(0.5)
        bench.circuit.high_v = CONNECTED_V
        bench.run(1.0, lambda: not bench.circuit.is_permitted)
        assert bench.now_s - last_control_s <= pwm_off_s + 0.5 + 0.1 + step_s
    else:
        bench.run(5.0, lambda: not bench.circuit.is_permitted)
        assert 3.9 <= bench.now_s - last_control_s <= 4.1
    bench.run(20.0)
    assert bench.circuit.permits[-1] is False


def test_a_host_that_comes_back_needs_a_fresh_edge() -> None:
    bench = Bench()
    bench.charge()
    bench.is_host_alive = False
    bench.run(6.0)
    bench.is_host_alive = True
    bench.run(1.0)
    # The driver itself has taken the permit back; a wish without an edge comes from a wire or a stuck host.
    assert bench.report.latched is CoprocessorFault.NONE
    assert not bench.circuit.is_permitted
    bench.run(10.0)
    assert not bench.circuit.is_permitted
    bench.command(command(PilotOutput.X2, 16.0, permit=True))
    bench.run(0.5)
    assert bench.circuit.is_permitted


@pytest.mark.parametrize("cause", list(ResetCause))
def test_a_reset_in_c_opens_at_once_and_is_seen(cause: ResetCause) -> None:
    bench = Bench()
    bench.charge()
    seen = len(bench.facts())
    bench.coprocessor.reset(cause, bench.now_s)
    assert bench.circuit.is_permitted is False
    assert bench.circuit.output is PilotOutput.X1
    bench.run(0.2)
    down, up = bench.facts()[seen:]
    assert isinstance(down, LinkDown)
    assert isinstance(up, LinkUp)
    assert (up.is_restart, up.identity.reset_cause, up.identity.boot_count) == (True, cause, 8)
    assert bench.report.plug_count == 0, "the car was there at boot"
    bench.run(15.0)
    assert not bench.circuit.is_permitted
    bench.command(command(PilotOutput.X2, 16.0, permit=True))
    bench.run(1.0)
    assert bench.circuit.is_permitted


def test_the_host_has_it_start_again_once_and_finds_it_with_open_permits() -> None:
    bench = Bench()
    bench.charge()
    seen = len(bench.facts())
    bench.command(command(permit=False))
    bench.host.reset()
    bench.run(0.3)
    down, up = [fact for fact in bench.facts()[seen:] if isinstance(fact, LinkDown | LinkUp)]
    assert isinstance(down, LinkDown)
    assert isinstance(up, LinkUp)
    assert (up.identity.reset_cause, up.identity.boot_count) == (ResetCause.SOFTWARE, 8)
    assert bench.circuit.is_permitted is False
    bench.run(3.0)
    assert bench.coprocessor.boot_count == 8, "the request was not repeated into the new boot"


def test_a_silent_line_is_down_on_both_sides() -> None:
    bench = Bench()
    bench.charge()
    bench.bend = lambda _: ()
    assert bench.run(2.0, lambda: isinstance(bench.events[-1], LinkDown)) == pytest.approx(1.0, abs=0.11)
    bench.run(4.0)
    assert not bench.circuit.is_permitted
    bench.bend = lambda data: (data,)
    bench.run(0.5)
    up = [event for event in bench.events if isinstance(event, LinkUp)]
    assert [event.is_restart for event in up] == [False, False]


def test_a_mute_co_processor_is_told_nothing_and_opens_by_itself() -> None:
    bench = Bench()
    bench.charge()
    bench.coprocessor.is_silent = True
    bench.run(1.2)
    assert isinstance(bench.facts()[-1], LinkDown)
    assert bench.run(6.0, lambda: bench.circuit.is_permitted is False) <= 4.1


def test_a_hung_co_processor_is_found_out_although_it_reports() -> None:
    bench = Bench()
    bench.charge()
    bench.coprocessor.is_hung = True
    bench.run(1.3)
    (down,) = [event for event in bench.events if isinstance(event, LinkDown)]
    assert "taken no set-point" in down.reason
    bench.run(20.0)
    assert sum(isinstance(event, LinkDown) for event in bench.events) <= 5


def test_another_version_keeps_both_apart() -> None:
    bench = Bench()
    bench.charge()
    bench.coprocessor.protocol_version = 2
    bench.coprocessor.reset(ResetCause.SOFTWARE, bench.now_s)
    bench.run(3.0)
    assert isinstance(bench.facts()[-1], LinkIncompatible)
    seen = len(bench.sent)
    bench.command(command(PilotOutput.X2, 16.0, permit=True))
    bench.run(10.0)
    decoder = FrameDecoder()
    assert {type(frame) for _, data in bench.sent[seen:] for frame in decoder.feed(data)} == {Hello}
    assert bench.circuit.output is PilotOutput.X1
    assert not bench.circuit.is_permitted


def test_every_event_arrives_once_even_if_half_of_all_frames_are_lost() -> None:
    bench = Bench()
    bench.charge()
    luck = random.Random(1)
    bench.bend = lambda data: (data,) if luck.random() < 0.5 else ()
    bench.circuit.low_v = -READY_V
    bench.run(2.0)
    bench.circuit.high_v, bench.circuit.low_v = NO_CAR_V, -12.0
    bench.run(4.0)
    codes = [event.code for event in bench.facts() if isinstance(event, LinkNoticed) and "_" in event.code]
    assert [code for code in codes if code != "status_late"] == [
        "permit_closed",
        "fault_latched",
        "permit_opened",
        "latch_cleared",
    ]


# --- a real line ------------------------------------------------------------------------------------------


class PtyBench(Bench):
    """The bench with a pty between its ends: the host through `SerialPort`, the co-processor on the master."""

    def __init__(self) -> None:
        self.master, self.slave = pty.openpty()
        tty.setraw(self.master)
        self.port = SerialPort(os.ttyname(self.slave), 115_200)
        super().__init__(step_s=0.02)

    def close(self) -> None:
        self.port.close()
        os.close(self.master)
        os.close(self.slave)

    def _carry(self) -> None:
        for _ in range(3):
            if self.is_host_alive and (data := self.host.outgoing()):
                self.sent.append((self.now_s, data))
                self.port.write(data)
                assert not self.port.wants_write
                self.coprocessor.receive(self._collect(self.master, len(data), self._read_master), self.now_s)
            if data := self.coprocessor.take_output():
                os.write(self.master, data)
                arrived = self._collect(self.port.fileno(), len(data), self.port.read)
                if self.is_host_alive:
                    self.events += self.host.receive(arrived, self.now_s)

    def _read_master(self) -> bytes:
        return os.read(self.master, 4096)

    @staticmethod
    def _collect(descriptor: int, length: int, read: Callable[[], bytes]) -> bytes:
        """The kernel moves bytes in its own time; time on the bench stands still meanwhile."""
        data = b""
        while len(data) < length:
            assert select.select([descriptor], [], [], 5.0)[0], "the pty swallowed bytes"
            data += read()
        return data


def test_the_same_over_a_real_pty() -> None:
    bench = PtyBench()
    try:
        bench.charge()
        assert bench.report.is_permitted
        assert bench.report.duty == pytest.approx(0.2666)
        bench.coprocessor.reset(ResetCause.BROWN_OUT, bench.now_s)
        bench.run(0.2)
        up = bench.facts()[-1]
        assert isinstance(up, LinkUp)
        assert up.is_restart
        assert up.identity.reset_cause.is_power_loss
        bench.command(command(PilotOutput.X2, 10.0, permit=True))
        bench.run(0.5)
        assert bench.report.is_permitted
        bench.is_host_alive = False
        last_control_s = bench.sent[-1][0]
        bench.run(6.0, lambda: not bench.circuit.is_permitted)
        assert bench.now_s - last_control_s <= 4.1
    finally:
        bench.close()
