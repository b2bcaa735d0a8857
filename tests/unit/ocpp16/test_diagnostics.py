"""What leaves the charger in an archive, and what does not."""

import io
import json
import logging
import random
import tarfile
import time

from evcharge_agent.ocpp16.diagnostics import MAX_LOG_BYTES, Pieces, Window, file_name, pack, scrub
from evcharge_agent.runtime.recent_log import MAX_CHARACTERS, MAX_LINE, MAX_LINES, RecentLog
from tests.support.virtual_time import START_UTC_S


def unpacked(data):
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive.getmembers()}


def test_secrets_and_id_tags_are_taken_out_of_everything():
    text = (
        b'{"a": "s3cret-CANARY"} ftp://user:p%40ss@host/dir/file?token=1 DEADBEEF01 deadbeef01 xDEADBEEF01x'
        b" https://host.example/path/CANARY-path ws://h:p@h2/x"
    )
    found = scrub(text, ["s3cret-CANARY", ""], ["DEADBEEF01", "1"])
    for hidden in (b"CANARY", b"p%40ss", b"user:", b"token", b" DEADBEEF01", b"deadbeef01", b"h:p@"):
        assert hidden not in found, hidden
    assert "DEAD…".encode() in found
    assert b"ftp://host" in found


def test_odd_tags_are_shortened_too_also_as_json_writes_them():
    tags = ['A"B-0001', "B+C/0002", "é-card-0003", "0004"]
    text = json.dumps({"tags": tags, "raw": "b+c/0002, xB+C/0002"}) + " é-card-0003 É 00041 0004"
    found = scrub(text.encode(), ['p"w-CANARY'], tags).decode()
    for hidden in ("B-0001", " b+c/0002", "card-0003", '"0004"'):
        assert hidden not in found, hidden
    assert "xB+C/0002" in found
    assert found.endswith(" 00041 00…")
    assert b"CANARY" not in scrub(json.dumps('p"w-CANARY').encode(), ['p"w-CANARY'], [])


def test_a_thousand_cards_cost_no_more_than_one():
    """The archive is made before GetDiagnostics is answered, on a board a hundred times slower than this."""
    log = b'{"event": "card_presented", "connector": 1, "number": 123456789}\n' * 15_000
    began_s = time.process_time()
    scrub(log, [], [f"CARD{number:08d}" for number in range(1000)])
    assert time.process_time() - began_s < 5.0


def test_nothing_to_say_is_no_archive():
    assert pack(Pieces({}), START_UTC_S) is None
    assert pack(Pieces({"log": b""}), START_UTC_S) is None


def test_an_archive_is_bounded_and_keeps_the_newest():
    limit = 200_000
    found = unpacked(pack(Pieces({"log": b"old" + bytes(160_000) + b"new", "view": b"v"}), START_UTC_S, limit))
    assert found["log"].endswith(b"new")
    assert not found["log"].startswith(b"old")
    noise = random.Random(1).randbytes(190_000)
    packed = pack(Pieces({"a": noise, "b": noise[::-1], "c": b"small"}), START_UTC_S, limit)
    assert len(packed) <= limit
    assert "c" in unpacked(packed)
    assert MAX_LOG_BYTES == 16 * 1024 * 1024


def test_a_window():
    assert Window().holds(0.0)
    assert Window(10.0, 20.0).holds(10.0)
    assert not Window(10.0, 20.0).holds(20.5)
    assert not Window(10.0).holds(9.0)


def test_names_are_ours():
    assert file_name("diagnostics", START_UTC_S) == "diagnostics-20250615T150640Z.tar.gz"
    assert file_name("security", START_UTC_S) == "security-20250615T150640Z.log"


def test_the_newest_lines_are_kept_redacted_and_bounded():
    now = [5.0]
    recent = RecentLog(lambda: now[0])
    logger = logging.Logger("test")  # noqa: LOG001 - one of its own, which nobody else sees
    logger.addHandler(recent)
    for number in range(MAX_LINES + 10):
        logger.info("line %d", number)
    logger.info("x" * 10_000)
    logger.info({"event": "card", "id_tag": "DEADBEEF01", "password": "CANARY"})
    now[0] = 6.0
    logger.warning("last")
    lines = recent.lines()
    assert len(lines) == MAX_LINES
    assert all(len(text) <= MAX_LINE for _, text in lines)
    assert lines[-1][0] == 6.0
    assert "last" in lines[-1][1]
    assert '"level": "warning"' in lines[-1][1]


def test_a_flood_of_long_lines_takes_no_more_memory():
    recent = RecentLog(lambda: 5.0)
    logger = logging.Logger("test")  # noqa: LOG001 - one of its own, which nobody else sees
    logger.addHandler(recent)
    for _ in range(2000):
        logger.info("x" * 10_000)
    logger.info("last")
    lines = recent.lines()
    assert sum(len(text) for _, text in lines) <= MAX_CHARACTERS
    assert len(lines) > 700
    assert "last" in lines[-1][1]
