"""Log lines: form, priority, and a reader that has stopped reading."""

import io
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from evcharge_hal.guard.journal import (
    EVENT_ATTRIBUTE,
    BackgroundHandler,
    JournalFormatter,
    Throttle,
    configure_logging,
    is_journal,
    journal_entry,
)


def record(level: int, text: str, **more: object) -> logging.LogRecord:
    made = logging.LogRecord("evcharge_hal.guard", level, __file__, 1, text, None, None)
    made.__dict__.update(more)
    return made


@pytest.mark.parametrize(
    ("level", "priority"),
    [(logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (logging.DEBUG, 7)],
)
def test_journald_gets_the_priority_in_front(level: int, priority: int) -> None:
    text = JournalFormatter(has_priority=True).format(record(level, "hot"))
    assert text == f"<{priority}>evcharge_hal.guard: hot"


def test_every_line_of_a_traceback_has_its_priority() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        _ = 1 / 0
    info = (caught.type, caught.value, caught.tb)
    text = JournalFormatter(has_priority=True).format(record(logging.DEBUG, "where", exc_info=info))
    assert len(text.splitlines()) > 2
    assert all(line.startswith("<7>") for line in text.splitlines())


HOSTILE = "plug \n<0>evcharge_hal.guard: all is well \r\x1b[2J \u2028 \u202e \x85 é"
ESCAPED = r"plug \n<0>evcharge_hal.guard: all is well \r\x1b[2J \u2028 \u202e \x85 é"


@pytest.mark.parametrize("has_priority", [True, False])
def test_what_a_peer_says_makes_no_line_and_moves_no_cursor(has_priority: bool) -> None:
    text = JournalFormatter(has_priority=has_priority).format(record(logging.WARNING, HOSTILE))
    assert text.endswith("evcharge_hal.guard: " + ESCAPED)
    assert len(text.splitlines()) == 1


def test_the_journals_fields_hold_no_control_characters() -> None:
    event = {"event": "notice", "plug_id": HOSTILE}
    entry = journal_entry(record(logging.WARNING, HOSTILE, **{EVENT_ATTRIBUTE: event}))
    assert (entry["MESSAGE"], entry["EVC_PLUG_ID"]) == (ESCAPED, ESCAPED)


def test_an_error_that_quotes_a_peer_makes_no_line_of_its_own() -> None:
    with pytest.raises(ValueError, match="all is well") as caught:
        raise ValueError(HOSTILE.replace("\n", "\x0b"))
    info = (caught.type, caught.value, caught.tb)
    text = JournalFormatter(has_priority=False).format(record(logging.DEBUG, "where", exc_info=info))
    assert text.splitlines()[-1].endswith(ESCAPED.replace(r"\n", r"\x0b"))


def test_a_terminal_gets_time_and_level() -> None:
    text = JournalFormatter(has_priority=False).format(record(logging.INFO, "hot"))
    assert text.endswith(" INFO    evcharge_hal.guard: hot")


def test_only_the_stream_systemd_names_is_the_journal(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as stream:
        found = os.fstat(stream.fileno())
        assert is_journal(stream, {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"})
        assert not is_journal(stream, {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino + 1}"})
        assert not is_journal(stream, {})
    assert not is_journal(io.StringIO(), {"JOURNAL_STREAM": "1:2"})


@pytest.fixture
def _root_logger() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.usefixtures("_root_logger")
def test_lines_reach_the_stream_in_order_and_below_the_level_nothing() -> None:
    stream = io.StringIO()
    handler = configure_logging("info", stream, {})
    for number in range(5):
        logging.getLogger("x").info("line %d", number)
        logging.getLogger("x").debug("not this")
    handler.close()
    assert [line[-6:] for line in stream.getvalue().splitlines()] == [f"line {n}" for n in range(5)]


def read_all(descriptor: int) -> list[str]:
    with os.fdopen(descriptor) as reader:
        return reader.read().splitlines()


def test_a_reader_that_stopped_costs_lines_and_never_time() -> None:
    read_fd, write_fd = os.pipe()
    with ThreadPoolExecutor(1) as readers:
        with os.fdopen(write_fd, "w") as stream:
            handler = BackgroundHandler(stream)
            handler.setFormatter(logging.Formatter("%(message)s"))
            for number in range(3000):
                handler.handle(record(logging.INFO, f"{number:05d}" + "x" * 100))  # 300 kB; the pipe holds 64
            reading = readers.submit(read_all, read_fd)
            wait_until(lambda: handler._lines.qsize() == 0)
            handler.handle(record(logging.INFO, "last"))
            handler.close()
        read = reading.result()
    assert [line[:5] for line in read[:1000]] == [f"{number:05d}" for number in range(1000)]
    dropped = sum(int(line[1:].split(" ")[0]) for line in read if line.startswith("("))
    passed = [line for line in read if not line.startswith("(")]
    assert dropped > 0
    assert len(passed) + dropped == 3001
    assert passed[-1] == "last"


def wait_until(is_true: Callable[[], bool]) -> None:
    for _ in range(1000):
        if is_true():
            return
        time.sleep(0.01)
    raise AssertionError


def test_a_process_whose_log_nobody_reads_still_ends() -> None:
    script = """
import logging, os
from evcharge_hal.guard.journal import configure_logging
with open(os.dup(2), "w") as stream:
    handler = configure_logging("info", stream, {})
    for _ in range(3000):
        logging.info("x" * 100)
    handler.close()
"""
    with subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE) as process:
        try:
            assert process.wait(10.0) == 0
        finally:
            process.kill()


def test_text_that_cannot_be_encoded_does_not_end_the_log() -> None:
    read_fd, write_fd = os.pipe()
    with os.fdopen(write_fd, "w") as stream:
        handler = BackgroundHandler(stream)
        for text in ("half \ud800", "next"):
            handler.handle(record(logging.INFO, text))
        handler.close()
    assert read_all(read_fd) == ["half \\ud800", "next"]


def test_a_closed_reader_ends_the_thread_quietly() -> None:
    read_fd, write_fd = os.pipe()
    os.close(read_fd)
    with os.fdopen(write_fd, "w") as stream:
        handler = BackgroundHandler(stream)
        handler.handle(record(logging.INFO, "hot"))
        handler.close()
    assert not handler._thread.is_alive()


def test_a_throttle_lets_one_line_through_per_period_and_key() -> None:
    throttle = Throttle(10.0)
    assert [throttle.admits("a", now_s) for now_s in (0.0, 9.9, 10.0, 19.9)] == [True, False, True, False]
    assert throttle.admits("b", 10.1)
