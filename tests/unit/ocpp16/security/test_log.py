"""The security log: chained, rolling, and no text can break out of its line."""

import json

import pytest

from evcharge_agent.cli import main
from evcharge_agent.ocpp16.security import log as log_module
from evcharge_agent.ocpp16.security.files import log_of
from evcharge_agent.ocpp16.security.log import MAX_FILES, SecurityLog
from evcharge_agent.store.disk import Disk
from tests.support.failing_disk import FailingDisk

NOW_UTC_S = 1_790_000_000.0
MAX_BYTES = 4096


def filled(directory, count=5):
    log = SecurityLog(directory)
    for number in range(count):
        log.append("StartupOfTheDevice", f"start {number}", NOW_UTC_S + number, is_time_known=True)
    return log


def only_file(directory):
    return next(iter(directory.glob("security-*.jsonl")))


def test_every_event_is_a_line_and_the_chain_goes_on_after_a_restart(tmp_path):
    filled(tmp_path)
    log = filled(tmp_path)
    entries = [json.loads(line) for line in log.read().splitlines()]
    assert [entry["n"] for entry in entries] == list(range(1, 11))
    assert entries[0]["at"] == "2026-09-21T14:13:20.000Z"
    assert log.verify().problems == ()
    assert only_file(tmp_path).stat().st_mode & 0o777 == 0o600


def test_a_stamp_nobody_vouches_for_is_marked(tmp_path):
    log = SecurityLog(tmp_path)
    log.append("ResetOrReboot", "", 0.0, is_time_known=False)
    assert json.loads(log.read())["is_time_known"] is False


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [lines[0].replace(b"start 0", b"start 9"), *lines[1:]],
        lambda lines: [lines[0], *lines[2:]],
        lambda lines: [lines[1], lines[0], *lines[2:]],
        lambda lines: [*lines[:2], lines[1], *lines[2:]],
        lambda lines: lines[:-1],
        lambda lines: [],
        lambda lines: [b"{}", *lines],
        lambda lines: [b"[" * 5000, *lines],
    ],
)
def test_a_line_that_was_changed_taken_out_put_in_or_cut_off_is_seen(tmp_path, change):
    log = filled(tmp_path)
    path = only_file(tmp_path)
    path.write_bytes(b"".join(line + b"\n" for line in change(path.read_bytes().splitlines())))
    assert log.verify().problems


def test_a_start_finds_what_was_done_to_the_newest_lines_and_tells_it_once(tmp_path):
    assert SecurityLog(tmp_path / "none").inspect() is None
    assert filled(tmp_path).inspect() is None
    path = only_file(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"start 2", b"start 9"))
    log = SecurityLog(tmp_path)
    damage = log.inspect()
    assert "a line is damaged" in damage.words
    assert not damage.is_all_gone
    log.append("TamperDetectionActivated", damage.words, NOW_UTC_S, is_time_known=True)
    assert SecurityLog(tmp_path).inspect() is None
    assert log.verify().problems != ()
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    assert "it ends with number 5 and went on to 6" in SecurityLog(tmp_path).inspect().words


def test_a_start_finds_that_the_log_was_cleared(tmp_path):
    filled(tmp_path)
    only_file(tmp_path).unlink()
    damage = SecurityLog(tmp_path).inspect()
    assert damage.is_all_gone
    log = filled(tmp_path, 1)
    assert log.inspect() is None


def test_a_rolled_log_and_one_that_a_power_cut_left_are_no_damage(tmp_path):
    log = SecurityLog(tmp_path, max_file_bytes=MAX_BYTES)
    for number in range(400):
        log.append("StartupOfTheDevice", f"start {number}", NOW_UTC_S, is_time_known=True)
    assert log.inspect() is None
    newest = max(tmp_path.glob("security-*.jsonl"))
    newest.write_bytes(newest.read_bytes() + b'{"n": 401, "at"')
    assert SecurityLog(tmp_path).inspect() is None


def test_half_a_line_of_a_power_cut_goes_and_the_chain_is_whole(tmp_path):
    filled(tmp_path)
    path = only_file(tmp_path)
    with path.open("ab") as file:
        file.write(b'{"n":6,"at":"2026')
    log = filled(tmp_path, 1)
    verdict = log.verify()
    assert (verdict.lines, verdict.problems) == (6, ())


def test_a_power_cut_between_line_and_head_breaks_nothing(tmp_path):
    filled(tmp_path)
    head = (tmp_path / "head").read_text()
    filled(tmp_path, 1)
    (tmp_path / "head").write_text(head)
    assert SecurityLog(tmp_path).verify().problems == ()


class Quick(Disk):
    """Does not wait for the disk."""

    def sync(self, descriptor):
        pass


def test_it_rolls_and_what_is_left_verifies(tmp_path):
    log = SecurityLog(tmp_path, Quick(), MAX_BYTES)
    count = (MAX_FILES + 2) * MAX_BYTES // 400
    for _ in range(count):
        log.append("InvalidMessages", "x" * 255, NOW_UTC_S, is_time_known=True)
    verdict = log.verify()
    assert verdict.problems == ()
    assert verdict.lines < count
    assert len(list(tmp_path.glob("security-*.jsonl"))) == MAX_FILES
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= MAX_FILES * MAX_BYTES + 1000


def test_hostile_texts_stay_inside_their_line(tmp_path):
    log = SecurityLog(tmp_path, Quick())
    hostile = ["a\nb", "\r\n", "\x1b[2J", "\u2028\u2029", '","hash":"', "\ud800", "\x00", "x" * 10_000]
    for text in hostile:
        log.append("InvalidMessages", text, NOW_UTC_S, is_time_known=True)
    content = log.read()
    assert content.isascii()
    assert not any(byte < 32 and byte != 10 for byte in content)
    assert [json.loads(line)["info"] for line in content.splitlines()] == [text[:255] for text in hostile]
    assert log.verify() == log_module.Verdict(len(hostile), ())


def test_a_part_of_it_can_be_read_by_time(tmp_path):
    log = filled(tmp_path)
    lines = log.read(NOW_UTC_S + 1, NOW_UTC_S + 3).splitlines()
    assert [json.loads(line)["info"] for line in lines] == ["start 1", "start 2", "start 3"]


def test_a_full_disk_costs_lines_but_not_the_chain(tmp_path):
    disk = FailingDisk()
    log = SecurityLog(tmp_path, disk)
    log.append("ResetOrReboot", "1", NOW_UTC_S, is_time_known=True)
    disk.is_full = True
    with pytest.raises(OSError, match="space"):
        log.append("ResetOrReboot", "2", NOW_UTC_S, is_time_known=True)
    disk.is_full = False
    log.append("ResetOrReboot", "3", NOW_UTC_S, is_time_known=True)
    assert [json.loads(line)["info"] for line in log.read().splitlines()] == ["1", "3"]
    assert log.verify().problems == ()


def test_the_command_shows_and_verifies(tmp_path, capsys):
    log = log_of(tmp_path)
    log.append("ResetOrReboot", "\x1b[2J", NOW_UTC_S, is_time_known=True)
    assert main(["security-log", "show", "--state-dir", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "ResetOrReboot" in shown
    assert "\x1b" not in shown
    assert main(["security-log", "verify", "--state-dir", str(tmp_path)]) == 0
    assert "1 lines, unbroken" in capsys.readouterr().out
    path = only_file(tmp_path / "security-log")
    path.write_bytes(path.read_bytes().replace(b"Reset", b"Resat"))
    assert main(["security-log", "verify", "--state-dir", str(tmp_path)]) == 1
    assert main(["security-log", "show", "--state-dir", str(tmp_path / "nothing")]) == 0
