"""The journal's native protocol: what is sent is read back as systemd's specification says, on a real socket."""

import io
import logging
import os
import re
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evcharge_hal.contract.channel import EventKind
from evcharge_hal.guard.journal import EVENT_ATTRIBUTE, configure_logging
from evcharge_hal.host.journald import JournaldHandler, JournalSocket, encode_entry, field_name, is_journal
from evcharge_hal.host.message_ids import MESSAGE_IDS
from tests.arch.source import ROOT, core_files
from tests.support.short_paths import short_directory


def decode(datagram: bytes) -> dict[str, str]:
    """Read a datagram as journald does."""
    fields = {}
    while datagram:
        line, datagram = datagram.split(b"\n", 1)
        name, is_plain, value = line.partition(b"=")
        if not is_plain:
            length = int.from_bytes(datagram[:8], "little")
            value, datagram = datagram[8 : 8 + length], datagram[8 + length + 1 :]
        fields[name.decode()] = value.decode()
    return fields


class Journal:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.listen()

    def listen(self) -> None:
        self.path.unlink(missing_ok=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind(str(self.path))

    def entries(self) -> list[dict[str, str]]:
        found = []
        while True:
            try:
                found.append(decode(self.socket.recv(1 << 20)))
            except BlockingIOError:
                return found


@pytest.fixture
def journal() -> Iterator[Journal]:
    with short_directory() as folder:
        made = Journal(folder / "journal")
        yield made
        made.socket.close()


NAMES = st.from_regex(r"[A-Z][A-Z0-9_]{0,20}", fullmatch=True)


@settings(deadline=None, max_examples=100)
@given(st.dictionaries(NAMES, st.text(max_size=200).filter(lambda text: text.isprintable() or "\n" in text)))
def test_whatever_is_said_is_read_back(entry: dict[str, str]) -> None:
    expected = {name: text.encode("utf-8", "backslashreplace").decode() for name, text in entry.items()}
    assert decode(encode_entry(entry)) == expected


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=100))
def test_every_name_becomes_a_name_of_the_journals(name: str) -> None:
    assert re.fullmatch(r"EVC_[A-Z0-9_]{0,60}", field_name(name))


def test_a_text_that_is_too_long_is_cut() -> None:
    assert len(encode_entry({"MESSAGE": "x" * 10_000_000})) < 40_000


def record(level: int, text: str, fields: Mapping[str, object] | None = None) -> logging.LogRecord:
    made = logging.LogRecord("evcharge_hal.guard", level, __file__, 1, text, None, None)
    if fields is not None:
        setattr(made, EVENT_ATTRIBUTE, fields)
    return made


def handler_of(journal: Journal) -> JournaldHandler:
    return JournaldHandler(JournalSocket(journal.path), "me", lambda made: {"MESSAGE": made.getMessage()})


def test_a_journal_that_is_behind_loses_lines_and_is_told(journal: Journal) -> None:
    handler = handler_of(journal)
    for number in range(2000):
        handler.handle(record(logging.INFO, f"{number}"))
    kept = journal.entries()
    assert 0 < len(kept) < 2000
    handler.handle(record(logging.INFO, "last"))
    told, last = journal.entries()
    assert told["MESSAGE"] == f"({2000 - len(kept)} lines were lost here)"
    assert told["PRIORITY"] == "4"
    assert last["MESSAGE"] == "last"
    handler.close()


def test_a_journal_that_was_restarted_is_found_again(journal: Journal) -> None:
    handler = handler_of(journal)
    journal.socket.close()
    handler.handle(record(logging.INFO, "nobody hears"))
    journal.listen()
    handler.handle(record(logging.ERROR, "again"))
    assert [entry["MESSAGE"] for entry in journal.entries()] == ["(1 lines were lost here)", "again"]
    handler.close()


def test_a_record_that_cannot_be_formatted_fails_nobody(journal: Journal, capsys: pytest.CaptureFixture[str]) -> None:
    handler = handler_of(journal)
    handler.handle(logging.LogRecord("x", logging.INFO, __file__, 1, "%d", ("no number",), None))
    assert journal.entries() == []
    assert "Logging error" in capsys.readouterr().err
    handler.close()


@pytest.fixture
def _root_logger() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.usefixtures("_root_logger")
def test_the_guard_speaks_to_the_journal_its_stream_leads_to(journal: Journal, tmp_path: Path) -> None:
    with (tmp_path / "stderr").open("w") as stream:
        found = os.fstat(stream.fileno())
        environment = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
        handler = configure_logging("info", stream, environment, journal.path)
        fields = {"event": "fault_raised", "connector": 2, "plug_id": None, "fault": "rcm_trip"}
        logging.getLogger("x").warning("connector %s: tripped", 2, extra={EVENT_ATTRIBUTE: fields})
        handler.close()
    assert (tmp_path / "stderr").read_text() == ""
    assert journal.entries() == [
        {
            "PRIORITY": "4",
            "SYSLOG_IDENTIFIER": "evcharge-guard",
            "MESSAGE": "connector 2: tripped",
            "EVC_LOGGER": "x",
            "MESSAGE_ID": MESSAGE_IDS["fault_raised"],
            "EVC_EVENT": "fault_raised",
            "EVC_CONNECTOR": "2",
            "EVC_FAULT": "rcm_trip",
        }
    ]


@pytest.mark.usefixtures("_root_logger")
def test_without_the_journals_socket_the_guard_writes_lines_with_priorities(tmp_path: Path) -> None:
    with (tmp_path / "stderr").open("w") as stream:
        found = os.fstat(stream.fileno())
        environment = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
        handler = configure_logging("info", stream, environment, tmp_path / "nobody")
        logging.getLogger("x").info("hot")
        handler.close()
    assert (tmp_path / "stderr").read_text() == "<6>x: hot\n"


def test_only_the_stream_systemd_names_is_the_journal() -> None:
    assert not is_journal(io.StringIO(), {"JOURNAL_STREAM": "1:2"})


# --- the ids ----------------------------------------------------------------------------------------------


def test_ids_are_whole_and_used_once() -> None:
    assert all(re.fullmatch(r"[0-9a-f]{32}", number) for number in MESSAGE_IDS.values())
    assert len(set(MESSAGE_IDS.values())) == len(MESSAGE_IDS)


def test_the_catalogue_explains_every_id_and_no_other() -> None:
    text = (ROOT / "systemd" / "evcharge.catalog").read_text()
    assert sorted(re.findall(r"^-- ([0-9a-f]{32})$", text, re.MULTILINE)) == sorted(MESSAGE_IDS.values())
    assert text.count("\nSubject: ") == len(MESSAGE_IDS)


def test_every_id_is_of_an_event_that_is_written() -> None:
    kinds = {kind.value for kind in EventKind}
    agent = [ROOT / "src/evcharge_agent/app.py", ROOT / "src/evcharge_agent/runtime/logs.py", *core_files()]
    written = "".join(path.read_text() for path in agent)
    assert [name for name in MESSAGE_IDS if name not in kinds and f'"{name}"' not in written] == []
    assert kinds <= set(MESSAGE_IDS), "each fact in the guard's event ring has an id"
