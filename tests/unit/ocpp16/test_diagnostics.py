"""What leaves the charger in an archive, and what does not."""

import io
import logging
import random
import tarfile

from evcharge_agent.ocpp16.diagnostics import MAX_LOG_BYTES, Pieces, Window, file_name, pack, scrub
from evcharge_agent.runtime.recent_log import MAX_LINE, MAX_LINES, RecentLog
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
