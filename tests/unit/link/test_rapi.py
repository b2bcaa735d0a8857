"""The RAPI driver against the fake board: the port's contract, and each trap of these boards by name."""

import math

import pytest

from evcharge_hal.contract.errors import InvalidFieldError
from evcharge_hal.contract.faults import CATALOGUE, FaultCode
from evcharge_hal.contract.pilot import (
    CoprocessorFault,
    LinkDown,
    LinkIncompatible,
    LinkNoticed,
    LinkUp,
    PilotCommand,
    PilotOutput,
    PilotReport,
    PilotState,
)
from evcharge_hal.contract.units import Amps
from evcharge_hal.link.rapi import SILENCE_S, RapiLink
from evcharge_hal.link.rapi_view import FAULTS
from tests.support import rapi_board
from tests.support.rapi_bench import Bench, run_at, stop
from tests.support.rapi_board import Eeprom, RapiBoard

POLLS = ("GS", "SY", "GC", "GP")


def said(bench: Bench, since: int = 0) -> list[str]:
    return [command for command in bench.board.commands[since:] if command not in POLLS]


def notices(bench: Bench, code: str) -> list[str]:
    return [event.detail for event in bench.events if isinstance(event, LinkNoticed) and event.code == code]


def ups(bench: Bench) -> list[LinkUp]:
    return [event for event in bench.events if isinstance(event, LinkUp)]


# --- the port ---------------------------------------------------------------------------------------------


def test_the_first_thing_said_is_stop_and_then_6_a() -> None:
    assert said(Bench().up())[:5] == ["FS", "FS", "FS", "FS", "SC 6 V"]


def test_a_board_is_asked_what_it_can_and_not_believed_what_version_it_is() -> None:
    bench = Bench(RapiBoard(eeprom=Eeprom(capacity_a=24))).up()
    identity = ups(bench)[0].identity
    assert (identity.max_a, identity.connectors, identity.firmware) == (24.0, 1, "8.2.1 5.2.1")
    assert len(identity.uid) == 16


def test_a_charge_from_a_to_c_and_back() -> None:
    bench = Bench().up()
    assert bench.report.state is PilotState.A
    bench.board.car = rapi_board.B
    assert bench.run(1.0).report.state is PilotState.B
    assert bench.report.output is PilotOutput.X1
    assert bench.report.duty == 1.0
    bench.tell(run_at(16.0)).run(1.0)
    assert bench.report.output is PilotOutput.X2
    assert bench.report.duty == pytest.approx(16 / 60)
    bench.board.car = rapi_board.C
    bench.run(2.5)
    assert bench.report.state is PilotState.C
    assert bench.report.is_permitted
    bench.tell(stop()).run(4.0)
    assert not bench.board.relay_closed
    assert bench.board.capacity_a == 6
    bench.board.car = rapi_board.A
    assert bench.run(0.5).report.state is PilotState.A


def test_what_nobody_measures_is_not_a_number() -> None:
    report = Bench().up().report
    assert math.isnan(report.high_v)
    assert math.isnan(report.low_v)
    assert report.pp_ohm is None


@pytest.mark.parametrize(("limit_a", "amps"), [(6.0, 6), (6.9, 6), (15.999, 15), (15.9999999, 16), (32.0, 32)])
def test_current_is_rounded_down_to_whole_amperes(limit_a: float, amps: int) -> None:
    assert Bench().charge(limit_a).board.capacity_a == amps


@pytest.mark.parametrize("limit_a", [0.0, 5.0, 5.99, math.nan, -1.0])
def test_trap_below_6_a_is_a_pause_and_no_lower_number(limit_a: float) -> None:
    bench = Bench().charge(16.0)
    bench.tell(run_at(limit_a)).run(4.0)
    assert bench.board.state == rapi_board.SLEEPING
    assert not bench.board.relay_closed
    assert all(not body.startswith(f"SC {amps} ") for body in said(bench) for amps in range(6))


def test_pwm_without_a_permit_cannot_be_said_and_is_a_stop() -> None:
    bench = Bench().up()
    bench.board.car = rapi_board.C
    bench.tell(PilotCommand(1, PilotOutput.X2, Amps(16.0), permit=False)).run(3.0)
    assert "FE" not in bench.board.commands
    assert not bench.board.relay_closed


def test_a_stop_lets_the_car_go_first_and_opens_under_load_after_3_s() -> None:
    for reacts_s, opens_s in ((1.0, 1.0), (math.inf, 3.0)):
        bench = Bench(RapiBoard(reacts_s=reacts_s)).charge(16.0)
        at_s = bench.now_s
        bench.tell(stop()).run(5.0)
        opened_s, is_closed = bench.board.relay_changes[-1]
        assert not is_closed
        assert opened_s - at_s == pytest.approx(opens_s, abs=0.1)
        assert "FD" not in bench.board.commands


def test_a_withdrawn_permit_opens_at_once_and_the_car_is_seen_to_leave_after_it() -> None:
    bench = Bench(RapiBoard(reacts_s=math.inf)).charge(16.0)
    at_s = bench.now_s
    bench.tell(stop(permit=False)).run(2.0)
    assert bench.board.relay_changes[-1][0] - at_s < 0.1
    assert said(bench)[-3:] == ["FD", "FS", "SC 6 V"]
    bench.board.car = rapi_board.A
    assert bench.run(0.5).report.state is PilotState.A


def test_state_f_is_disable() -> None:
    bench = Bench().up()
    bench.tell(PilotCommand(1, PilotOutput.F, Amps(0.0), permit=False)).run(1.0)
    assert bench.board.state == rapi_board.DISABLED
    assert bench.report.output is PilotOutput.F
    assert bench.report.state is PilotState.A


def test_a_stop_waits_for_no_answer() -> None:
    bench = Bench(RapiBoard()).up()
    bench.board.car = rapi_board.B
    bench.run(1.0)
    bench.tell(run_at(16.0)).run(1.0)
    bench.board.car = rapi_board.C
    bench.run(0.4)  # the board tests its sensor now and says nothing for 1 s
    bench.tell(run_at(10.0))
    bench.tell(stop(permit=False))
    assert b"$FS" in bench.link.outgoing()


def test_a_stop_is_said_whatever_an_unasked_line_claims() -> None:
    bench = Bench().charge(16.0)
    bench.run(0.05)
    bench.link.outgoing()
    bench.link.receive(rapi_board._checked("$AT fe 02 6 0100"), bench.now_s)
    bench.tell(stop())
    assert b"$FS" in bench.link.outgoing()


def test_a_lower_limit_is_said_whatever_an_unasked_line_claims() -> None:
    bench = Bench().charge(12.0)
    bench.tell(run_at(16.0)).run(0.1)
    bench.link.receive(rapi_board._checked("$AT 03 03 10 0140"), bench.now_s)
    bench.tell(run_at(10.0)).run(0.1)
    assert bench.board.offered_a == 10


def test_a_fault_that_leaves_the_relay_closed_is_opened_at_once() -> None:
    """Too hot, the firmware goes to +12 V and holds its relay for up to 5 s."""
    bench = Bench(RapiBoard(reacts_s=math.inf)).charge(16.0)
    at_s = bench.now_s
    bench.board.state = rapi_board.HOT
    bench.run(1.0)
    assert bench.board.relay_changes[-1][1] is False
    assert bench.board.relay_changes[-1][0] - at_s < 0.4


def test_another_connector_is_refused() -> None:
    link = RapiLink()
    with pytest.raises(InvalidFieldError, match="connector"):
        link.command(PilotCommand(2, PilotOutput.X1, Amps(0.0), permit=False), 0.0)
    with pytest.raises(InvalidFieldError, match="connector"):
        link.clear_latch(2)


def test_a_reset_waits_for_the_open_relay_and_is_seen_as_a_restart() -> None:
    bench = Bench().charge(16.0)
    bench.link.reset()
    bench.run(12.0)
    closed, opened = bench.board.relay_changes[-2:]
    assert (closed[1], opened[1]) == (True, False)
    assert bench.board.boots == 3
    assert bench.kinds().count("LinkDown") == 1
    assert ups(bench)[1].is_restart
    assert not bench.board.relay_closed


def test_a_port_that_nobody_takes_from_does_not_pile_up() -> None:
    bench = Bench().up()
    for step in range(2000):
        bench.link.advance(bench.now_s + step * 0.1)
    assert len(bench.link.outgoing()) < 64


def test_the_car_has_another_number_for_each_plug_and_after_each_blind_spell() -> None:
    bench = Bench().up()
    assert bench.report.plug_count == 0
    for count in (1, 2):
        bench.board.car = rapi_board.B
        assert bench.run(1.0).report.plug_count == count
        bench.board.car = rapi_board.A
        bench.run(1.0)
    bench.board.car = rapi_board.B
    bench.run(1.0)
    bench.is_host_alive = False
    bench.run(SILENCE_S + 1.0)
    bench.is_host_alive = True
    assert bench.run(2.0).report.plug_count == 4


def test_a_car_that_was_there_at_boot_is_number_0_and_no_other_process_gives_the_same_id() -> None:
    board = RapiBoard(car=rapi_board.B)
    first = Bench(board).up()
    assert first.report.plug_count == 0
    second = Bench(board, now_s=first.now_s + 1.0).up()
    assert second.report.boot_count != first.report.boot_count


# --- traps of the line ------------------------------------------------------------------------------------


def test_trap_a_board_is_deaf_for_up_to_8_s_after_power_on() -> None:
    for post_s in (3.0, 8.0):
        bench = Bench(RapiBoard(post_s=post_s)).run(post_s + 2.0)
        assert [kind for kind in bench.kinds() if kind != "LinkNoticed"] == ["LinkUp"]


def test_trap_answers_that_queued_up_during_boot_are_dropped() -> None:
    bench = Bench(RapiBoard(post_s=8.0)).up()
    late = notices(bench, "late_reply")
    assert late[:2] == ["id 01", "id 02"]
    assert ups(bench)[0].identity.max_a == 32.0


def test_trap_text_at_boot_is_no_answer() -> None:
    assert "text" in notices(Bench().up(), "noise")[0]


def test_trap_asynchronous_lines_between_command_and_answer() -> None:
    bench = Bench().up()

    def put_in_front(data: bytes) -> bytes:
        line = rapi_board._checked("$AT 02 02 6 0100")
        return b"".join(line + part + b"\r" for part in data.split(b"\r") if part)

    bench.to_host = put_in_front
    bench.run(5.0)
    assert "LinkDown" not in bench.kinds()
    assert bench.report.state is PilotState.A  # the answers to GS are still taken for the answers to GS


def test_trap_a_late_answer_belongs_to_no_later_command() -> None:
    bench = Bench().up()
    held = bytearray()

    def hold(data: bytes) -> bytes:
        held.extend(data)
        return b""

    bench.to_host = hold
    bench.run(1.5)
    bench.to_host = bytes
    sent = len(bench.board.commands)
    bench.events += bench.link.receive(bytes(held), bench.now_s)
    assert notices(bench, "late_reply")
    bench.run(1.0)
    assert len(bench.board.commands) > sent
    assert "LinkDown" not in bench.kinds()


def test_trap_a_command_that_arrived_damaged_is_said_again() -> None:
    bench = Bench().up()
    damaged: list[bytes] = []

    def damage_the_first_limit(data: bytes) -> bytes:
        if b"$SC 20 V" in data and not damaged:
            damaged.append(data)
            return data.replace(b"$SC 20", b"$SC 30")
        return data

    bench.to_board = damage_the_first_limit
    bench.board.car = rapi_board.B
    bench.tell(run_at(20.0)).run(1.0)
    assert damaged
    assert notices(bench, "damaged_command") == ["SC 20 V"]
    assert bench.board.offered_a == 20
    assert all(amps in (None, 20) for _, amps in bench.offered[2:])


def test_trap_a_board_of_before_the_ids_is_refused() -> None:
    bench = Bench(RapiBoard(has_ids=False)).run(12.0)
    assert bench.kinds().count("LinkIncompatible") == 1
    assert "sequence ids" in next(event.reason for event in bench.events if isinstance(event, LinkIncompatible))
    assert set(bench.board.commands) == {"FS"}


def test_silence_of_3_s_is_the_end_of_the_link_and_1_s_of_self_test_is_not() -> None:
    bench = Bench().charge(16.0)
    assert "LinkDown" not in bench.kinds()
    bench.to_host = lambda _data: b""
    bench.run(SILENCE_S - 0.3)
    assert "LinkDown" not in bench.kinds()
    bench.run(0.5)
    assert "LinkDown" in bench.kinds()


def test_what_waited_while_the_host_stood_still_is_as_old_as_that() -> None:
    bench = Bench().up()
    line = rapi_board._checked("$AT 02 02 6 0100")
    bench.link.advance(bench.now_s)
    reports = [event for event in bench.link.receive(line, bench.now_s + 2.0) if isinstance(event, PilotReport)]
    assert reports[0].sample_age_s == pytest.approx(2.0)
    assert isinstance(bench.link.receive(line, bench.now_s + 9.0)[0], LinkDown)


def test_a_permit_from_before_the_silence_is_not_the_first_thing_said_after_it() -> None:
    bench = Bench().charge(16.0)
    said_before = len(bench.board.commands)
    bench.is_host_alive = False
    bench.run(SILENCE_S + 0.5)
    bench.is_host_alive = True
    bench.run(3.0)
    after = said(bench, said_before)
    assert after[0] == "FS"
    assert "FE" not in after
    assert not bench.board.relay_closed
    bench.tell(run_at(16.0)).run(4.0)
    assert bench.board.relay_closed


# --- traps of the limit -----------------------------------------------------------------------------------


def test_trap_nk_to_a_limit_means_clamped_and_is_taken_for_what_it_says() -> None:
    bench = Bench(RapiBoard(eeprom=Eeprom(capacity_a=16))).charge(25.0)
    assert bench.board.relay_closed
    assert bench.report.duty == pytest.approx(16 / 60)
    assert said(bench).count("SC 25 V") == 1
    bench.run(31.0)
    assert said(bench).count("SC 25 V") == 2  # it may have been clamped by heat


def test_trap_a_board_that_cannot_go_as_low_as_asked_is_not_enabled() -> None:
    bench = Bench(RapiBoard(lowest_a=10, car=rapi_board.C)).up()
    bench.tell(run_at(8.0)).run(4.0)
    assert "FE" not in bench.board.commands
    assert not bench.board.relay_closed
    assert len(said(bench)) < 20


def test_trap_a_limit_is_always_volatile_and_the_eeprom_is_never_written_by_one() -> None:
    bench = Bench().charge(16.0)
    for amps in (10.0, 32.0, 6.0, 0.0, 20.0):
        bench.tell(run_at(amps)).run(2.0)
    limits = [body for body in said(bench) if body.startswith("SC")]
    assert len(limits) > 5
    assert all(body.endswith(" V") for body in limits)
    assert bench.board.eeprom.writes == ["heartbeat_s=5", "heartbeat_a=6"]


def test_the_heartbeats_settings_are_written_once_in_a_boards_life() -> None:
    eeprom = Eeprom()
    armed = [Bench(RapiBoard(eeprom=eeprom)).up().board.commands.count("SY 5 6") for _ in range(3)]
    assert armed == [1, 0, 0]
    assert len(eeprom.writes) == 2


def test_trap_a_hot_board_refuses_to_be_raised_and_goes_to_its_maximum_when_it_has_cooled() -> None:
    bench = Bench().charge(10.0)
    bench.board.is_hot = True
    bench.tell(run_at(16.0)).run(2.0)
    assert bench.board.capacity_a == 10
    assert bench.board.relay_closed
    bench.board.cool_down()
    at_s = bench.now_s
    bench.run(1.0)
    over = [moment for moment, amps in bench.offered if moment > at_s and amps == 32]
    back = [moment for moment, amps in bench.offered if moment > at_s and amps == 16]
    assert over
    assert back
    assert back[0] - over[0] <= 0.1


def test_trap_self_tests_are_never_switched_off_and_one_that_is_off_is_told() -> None:
    bench = Bench(RapiBoard(settings=0x0001 | 0x0002 | 0x0200)).charge(16.0)
    assert not [body for body in bench.board.commands if body.startswith("FF")]
    assert notices(bench, "self_test_off") == ["switched off on the board: diode, residual current self-test"]


def test_boot_lock_and_authentication_lock_are_opened_to_charge_and_not_before() -> None:
    bench = Bench(RapiBoard(is_boot_locked=True)).up()
    bench.board.flags |= rapi_board.AUTH_LOCK
    bench.board.car = rapi_board.B
    bench.run(1.0)
    assert not {"SB", "S4 0"} & set(bench.board.commands)
    bench.tell(run_at(16.0)).run(2.0)
    assert bench.board.offered_a == 16
    assert {"SB", "S4 0"} < set(bench.board.commands)


# --- traps of the heartbeat -------------------------------------------------------------------------------


@pytest.mark.parametrize("heartbeat_s", [0, -1, 1, 2, 61, 66, 70, 165])
def test_trap_intervals_that_a_board_gets_wrong_are_refused(heartbeat_s: int) -> None:
    with pytest.raises(InvalidFieldError, match="heartbeat_s"):
        RapiLink(heartbeat_s)


def test_trap_70_s_expire_after_4_5_s_on_a_board() -> None:
    """The reason for the bound, shown on the fake: 70000 ms in 16 bits."""
    board = RapiBoard(eeprom=Eeprom(heartbeat_s=70, heartbeat_a=6))
    board.advance(4.2)
    assert board.missed == 0
    board.advance(4.0 + 4.6)
    assert board.missed == 2


@pytest.mark.parametrize("heartbeat_s", [3, 5, 60])
def test_the_heartbeat_is_fed_in_time_and_only_by_its_own_command(heartbeat_s: int) -> None:
    bench = Bench(link=RapiLink(heartbeat_s)).charge(16.0)
    bench.run(10.0)
    assert bench.board.missed == 0
    bench.to_board = lambda data: b"" if b"$SY" in data else data
    bench.run(min(heartbeat_s + 2.0, 8.0))
    assert bench.board.missed == (2 if heartbeat_s < 60 else 0)


def test_trap_without_its_host_a_board_derates_to_6_a_and_never_stops() -> None:
    bench = Bench().charge(32.0)
    at_s = bench.now_s
    bench.is_host_alive = False
    bench.run(120.0)
    assert bench.board.relay_closed
    assert bench.board.offered_a == 6
    assert next(moment for moment, amps in bench.offered if amps == 6 and moment > at_s) - at_s <= 5.1


def test_trap_the_order_of_the_acknowledgement_and_its_window_above_the_limit() -> None:
    """Window measured: one command of the board, 20 ms here; the driver writes both lines in one go."""
    bench = Bench().charge(10.0)
    bench.to_board = lambda data: b"" if b"$SY" in data else data
    bench.run(5.5)
    assert bench.board.missed == 2
    assert 6 in [amps for _, amps in bench.offered]
    at_s, said_before = bench.now_s, len(bench.board.commands)
    bench.to_board = bytes
    bench.run(3.0)
    assert said(bench, said_before) == ["SC 6 V", "SY 165", "SC 10 V"]
    assert notices(bench, "heartbeat_missed") == ["the board went to 6 A"]
    assert bench.board.missed == 1
    assert bench.board.offered_a == 10
    over_s = [moment for moment, amps in bench.offered if moment > at_s and amps == 32]
    back_s = [moment for moment, amps in bench.offered if moment > at_s and amps == 10]
    assert len(over_s) == 1
    assert back_s[-1] - over_s[0] <= 0.05
    assert CoprocessorFault.HOST_LOST in next(
        event.latched for event in bench.events if isinstance(event, PilotReport) and event.latched
    )


def test_a_stop_that_meets_a_missed_heartbeat_comes_first() -> None:
    bench = Bench().charge(10.0)
    bench.to_board = lambda data: b"" if b"$SY" in data else data
    bench.run(5.5)
    said_before = len(bench.board.commands)
    bench.to_board = bytes
    bench.tell(stop()).run(4.0)
    after = said(bench, said_before)
    assert after[0] == "FS"
    assert after[-3:] == ["SC 6 V", "SY 165", "SC 6 V"]
    assert not bench.board.relay_closed
    assert 32 not in [amps for _, amps in bench.offered]


def test_trap_a_host_that_restarts_while_the_heartbeat_is_missed_gets_its_current_back() -> None:
    first = Bench().charge(16.0)
    first.is_host_alive = False
    first.run(20.0)
    assert first.board.missed == 2
    second = Bench.__new__(Bench)
    Bench.__init__(second, board=RapiBoard())
    second.board = first.board
    second.now_s = first.now_s
    second.run(3.0)
    assert first.board.missed == 1
    assert not first.board.relay_closed  # stopped before it is lifted: the pilot never states the maximum
    assert 32 not in [amps for _, amps in second.offered]
    second.tell(run_at(16.0)).run(5.0)
    assert first.board.offered_a == 16
    assert first.board.relay_closed


def test_trap_a_board_without_a_heartbeat_is_refused_and_stays_stopped() -> None:
    bench = Bench(RapiBoard(has_heartbeat=False, car=rapi_board.C))
    bench.tell(run_at(16.0)).run(30.0)
    assert bench.kinds().count("LinkIncompatible") == 1
    assert "FE" not in bench.board.commands
    assert not bench.board.relay_closed


def test_settings_of_the_heartbeat_that_somebody_changed_are_set_again_once_a_minute() -> None:
    bench = Bench().up()
    for _ in range(30):
        bench.board.eeprom.heartbeat_a = 20
        bench.run(1.0)
    assert said(bench).count("SY 5 6") == 2


# --- restarts and faults ----------------------------------------------------------------------------------


def test_trap_a_board_that_restarts_charges_by_itself_until_it_is_stopped() -> None:
    bench = Bench().charge(10.0)
    boot = bench.report.boot_count
    bench.board.restart()
    bench.run(bench.board.post_s + 4.0)
    assert "LinkDown" in bench.kinds()
    assert ups(bench)[-1].is_restart
    assert bench.report.boot_count == boot + 1
    assert not bench.board.relay_closed
    assert [is_closed for _, is_closed in bench.board.relay_changes][-1] is False
    bench.tell(run_at(10.0)).run(4.0)
    assert bench.board.offered_a == 10


@pytest.mark.parametrize(("code", "bit"), [(7, "NO_GROUND"), (8, "RELAY_STUCK"), (9, "RESIDUAL_SELF_TEST")])
def test_a_failed_self_test_at_boot_is_latched_and_told(code: int, bit: str) -> None:
    bench = Bench().up()
    bench.board.restart(code)
    bench.run(bench.board.post_s + 3.0)
    assert CoprocessorFault[bit] in bench.report.latched
    assert len(notices(bench, "fault_latched")) == 1
    # Stopped, as the greeting leaves it, the board says nothing of it any more; it is not believed.
    bench.link.clear_latch(1)
    bench.board.car = rapi_board.B
    bench.tell(run_at(16.0)).run(3.0)
    assert CoprocessorFault[bit] in bench.report.latched
    assert "FE" not in bench.board.commands


def break_board(bench: Bench, name: str) -> None:
    board = bench.board
    match name:
        case "residual":
            board.is_gfi_tripped = True
        case "ground":
            board.is_ground_missing = True
        case "diode":
            board.has_diode = False
        case "ventilation":
            board.car = rapi_board.D
        case "hot":
            board.state = rapi_board.HOT
        case _:
            board.state = rapi_board.NOT_CLOSED
            board._set_relay(False)


@pytest.mark.parametrize(
    ("name", "bit"),
    [
        ("residual", CoprocessorFault.RESIDUAL_CURRENT),
        ("ground", CoprocessorFault.NO_GROUND),
        ("diode", CoprocessorFault.DIODE),
        ("ventilation", CoprocessorFault.VENTILATION),
        ("hot", CoprocessorFault.OVER_TEMPERATURE),
        ("not_closed", CoprocessorFault.RELAY_DID_NOT_CLOSE),
    ],
)
def test_trap_a_fault_is_latched_and_the_board_may_not_go_on_by_itself(name: str, bit: CoprocessorFault) -> None:
    bench = Bench().charge(16.0)
    break_board(bench, name)
    bench.run(1.5)
    assert bit in bench.report.latched
    assert not bench.board.relay_closed
    assert len(notices(bench, "fault_latched")) == 1
    # The cause goes; the board would charge again by itself, and the set-point still says so.
    bench.board.is_gfi_tripped = bench.board.is_ground_missing = False
    bench.board.has_diode = True
    if not bench.board.flags & rapi_board.HARD_FAULT:
        bench.board.car = rapi_board.C
    bench.run(5.0)
    assert bit in bench.report.latched
    assert not bench.board.relay_closed
    # The car leaves: the latch goes with it.
    bench.board.car = rapi_board.A
    bench.run(2.0)
    assert not bench.report.latched


def test_a_latch_is_cleared_on_request_only_when_its_cause_has_gone() -> None:
    bench = Bench().charge(16.0)
    bench.board.is_gfi_tripped = True
    bench.run(0.3)
    bench.link.clear_latch(1)
    assert CoprocessorFault.RESIDUAL_CURRENT in bench.run(0.5).report.latched
    bench.board.is_gfi_tripped = False
    bench.run(1.0)
    bench.link.clear_latch(1)
    bench.run(5.0)
    assert not bench.report.latched
    assert bench.board.relay_closed


def test_trap_asleep_a_board_hides_its_faults_and_its_pilot_state_is_an_old_one() -> None:
    bench = Bench().charge(16.0)
    bench.tell(stop()).run(4.0)
    assert bench.board._pilot_told == rapi_board.C
    assert bench.report.state is PilotState.B
    bench.board.car = rapi_board.A
    assert bench.run(0.5).report.state is PilotState.A
    bench.board.car = rapi_board.B
    bench.board.flags |= rapi_board.HARD_FAULT
    assert CoprocessorFault.HARD_FAULT in bench.run(0.5).report.latched


def test_every_state_that_means_a_fault_has_a_row_of_the_catalogue_and_a_bit_of_its_own() -> None:
    assert all(fault.code in CATALOGUE for fault in FAULTS.values())
    assert len({fault.bit for fault in FAULTS.values()}) == len(FAULTS)
    assert set(FAULTS) == {*range(4, 12), 14}
    assert FAULTS[6].code is FaultCode.RCM_TRIP
    assert FAULTS[8].code is FaultCode.CONTACTOR_WELDED


def test_a_sensor_that_is_not_fitted_is_no_temperature() -> None:
    assert Bench(RapiBoard(has_temperature=False)).up().report.temperature_c is None
    assert Bench().up().report.temperature_c == pytest.approx(31.2)


def test_states_no_table_knows_are_invalid_and_not_a_car_that_asks() -> None:
    bench = Bench().up()
    bench.board.say_checked("$AT 42 01 6 0000")
    bench.run(0.1)
    assert PilotState.INVALID in [event.state for event in bench.events if isinstance(event, PilotReport)]
