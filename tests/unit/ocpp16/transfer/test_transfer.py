"""Transfers against real servers on loopback."""

import asyncio
import contextlib
import functools
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from evcharge_agent.ocpp16.transfer.network import MAX_RESOLVERS, Network, TransferError
from evcharge_agent.ocpp16.transfer.spool import RESERVE_BYTES, Spool, SpoolError
from evcharge_agent.ocpp16.transfer.transfer import Fetch, Fetched, Transfers, attempts_of, digest_of
from evcharge_agent.ocpp16.transfer.urls import HostPolicy, Scheme
from tests.support.file_servers import (
    PASSWORD,
    USER,
    Behaviour,
    client_tls,
    ftp_server,
    http_server,
    make_certificate,
    server_tls,
)

CONTENT = bytes(range(256)) * 4000
LIMIT = 4 * 1024 * 1024
LOOPBACK = ("localhost", "127.0.0.0/8")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@contextlib.contextmanager
def transfers(directory: Path, allow: tuple[str, ...] = LOOPBACK, **network: Any) -> Iterator[Transfers]:
    executor = ThreadPoolExecutor(2)
    try:
        settings: dict[str, Any] = {"protocols": frozenset(Scheme), "idle_timeout_s": 2.0, **network}
        yield Transfers(Spool(directory), Network(HostPolicy(allow), **settings), executor)
    finally:
        executor.shutdown()


async def attempt(files: Transfers, location: str, fetch: Fetch) -> Fetched | Exception:
    try:
        return await files.fetch(location, fetch)
    except (TransferError, SpoolError) as error:
        return error


def fetch(directory: Path, location: str, tries: int = 1, limit: int = LIMIT, **options: Any) -> list[Any]:
    """Make `tries` attempts; what became of each."""

    async def main() -> list[Any]:
        with transfers(directory, **options) as files:
            fetch = await files.begin("firmware", limit)
            try:
                return [await attempt(files, location, fetch) for _ in range(tries)]
            finally:
                fetch.file.close()

    return asyncio.run(main())


def send(directory: Path, location: str, path: Path, **options: Any) -> None:
    async def main() -> None:
        with transfers(directory, **options) as files:
            await files.send(location, path, "log 1.tar.gz")

    asyncio.run(main())


def failure(found: list[Any]) -> TransferError:
    (error,) = found
    assert isinstance(error, TransferError)
    return error


# --- HTTP -------------------------------------------------------------------------------------------------


def test_a_file_arrives_whole_in_the_spool_under_our_name(tmp_path: Path) -> None:
    with http_server(Behaviour(CONTENT)) as port:
        (found,) = fetch(tmp_path, f"http://127.0.0.1:{port}/evil%20name.bin")
    assert found.path == tmp_path / "spool" / "firmware"
    assert found.path.read_bytes() == CONTENT
    assert found.digest == digest_of(found.path)
    assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o700
    assert found.path.stat().st_mode & 0o777 == 0o600


def test_a_broken_line_is_continued_where_it_broke(tmp_path: Path) -> None:
    behaviour = Behaviour(CONTENT, cut_after=[300_000, 100_000])
    with http_server(behaviour) as port:
        found = fetch(tmp_path, f"http://127.0.0.1:{port}/f", tries=3)
    assert [type(one) for one in found] == [TransferError, TransferError, Fetched]
    assert not found[0].is_final
    assert found[2].path.read_bytes() == CONTENT
    assert [headers.get("Range") for _, _, headers in behaviour.seen] == [None, "bytes=300000-", "bytes=400000-"]


def test_a_file_that_changed_meanwhile_is_fetched_anew(tmp_path: Path) -> None:
    behaviour = Behaviour(CONTENT, cut_after=[300_000])

    async def main() -> Fetched | Exception:
        with http_server(behaviour) as port, transfers(tmp_path) as files:
            one = await files.begin("firmware", LIMIT)
            await attempt(files, f"http://127.0.0.1:{port}/f", one)
            behaviour.content, behaviour.etag = CONTENT[::-1], '"two"'
            found = await attempt(files, f"http://127.0.0.1:{port}/f", one)
            one.file.close()
            return found

    found = asyncio.run(main())
    assert isinstance(found, Fetched)
    assert found.path.read_bytes() == CONTENT[::-1]


def test_a_server_without_ranges_begins_anew(tmp_path: Path) -> None:
    with http_server(Behaviour(CONTENT, cut_after=[300_000], has_ranges=False)) as port:
        found = fetch(tmp_path, f"http://127.0.0.1:{port}/f", tries=2)
    assert found[1].path.read_bytes() == CONTENT


@pytest.mark.parametrize("etag", ['W/"weak"', "", "no quotes"])
def test_without_a_strong_validator_nothing_is_glued_together(tmp_path: Path, etag: str) -> None:
    behaviour = Behaviour(CONTENT, cut_after=[300_000], etag=etag)
    with http_server(behaviour) as port:
        found = fetch(tmp_path, f"http://127.0.0.1:{port}/f", tries=2)
    assert found[1].path.read_bytes() == CONTENT
    assert all("Range" not in headers for _, _, headers in behaviour.seen)


def test_a_length_that_is_too_long_is_a_broken_line(tmp_path: Path) -> None:
    with http_server(Behaviour(b"short", told_more=10)) as port:
        error = failure(fetch(tmp_path, f"http://127.0.0.1:{port}/f"))
    assert "5 of 15 bytes" in str(error)


def test_a_length_that_is_too_short_ends_the_file(tmp_path: Path) -> None:
    with http_server(Behaviour(CONTENT, told_more=-1000)) as port:
        (found,) = fetch(tmp_path, f"http://127.0.0.1:{port}/f")
    assert found.path.read_bytes() == CONTENT[:-1000]


@pytest.mark.parametrize("is_length_told", [True, False])
def test_a_file_beyond_the_limit_is_given_up(tmp_path: Path, is_length_told: bool) -> None:
    with http_server(Behaviour(CONTENT, is_length_told=is_length_told)) as port:
        (error,) = fetch(tmp_path, f"http://127.0.0.1:{port}/f", limit=1000)
    assert isinstance(error, SpoolError)
    assert (tmp_path / "spool" / "firmware").stat().st_size <= 1000


def test_a_silent_server_is_given_up(tmp_path: Path) -> None:
    began_s = time.monotonic()
    with http_server(Behaviour(CONTENT, silent_after=1000)) as port:
        error = failure(fetch(tmp_path, f"http://127.0.0.1:{port}/f", idle_timeout_s=0.2))
        elapsed_s = time.monotonic() - began_s
    assert "silent" in str(error)
    assert not error.is_final
    assert elapsed_s < 5.0


def test_a_transfer_that_waits_ends_when_cancelled(tmp_path: Path) -> None:
    async def main() -> float:
        behaviour = Behaviour(CONTENT, silent_after=1000)
        with http_server(behaviour) as port, transfers(tmp_path, idle_timeout_s=8.0) as files:
            one = await files.begin("firmware", LIMIT)
            task = asyncio.create_task(files.fetch(f"http://127.0.0.1:{port}/f", one))
            while not (files.running and files.running["firmware"].done_bytes):  # noqa: ASYNC110 - it is a thread's
                await asyncio.sleep(0.01)
            began_s = time.monotonic()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            one.file.close()
            assert files.running == {}
        return time.monotonic() - began_s

    assert asyncio.run(main()) < 3.0, "the thread ended, too"


@pytest.mark.parametrize(
    ("status", "is_final", "is_denied"), [(404, True, False), (403, True, True), (503, False, False)]
)
def test_what_a_status_means(tmp_path: Path, status: int, is_final: bool, is_denied: bool) -> None:
    with http_server(Behaviour(status=status)) as port:
        error = failure(fetch(tmp_path, f"http://127.0.0.1:{port}/f"))
    assert (error.is_final, error.is_denied) == (is_final, is_denied)


def test_credentials_go_to_their_host_and_into_no_text(tmp_path: Path) -> None:
    other = Behaviour(CONTENT)
    with http_server(other) as there:
        first = Behaviour(redirect=f"http://127.0.0.1:{there}/f", needs_login=True)
        with http_server(first) as here:
            location = f"http://{USER}:p%40ss-CANARY-url@127.0.0.1:{here}/f?token=CANARY-query"
            (found,) = fetch(tmp_path, location)
    assert isinstance(found, Fetched)
    assert "Authorization" in first.seen[0][2]
    assert "Authorization" not in other.seen[0][2]


def test_an_error_names_no_secret(tmp_path: Path) -> None:
    with http_server(Behaviour(status=500)) as port:
        error = failure(fetch(tmp_path, f"http://u:CANARY@127.0.0.1:{port}/CANARY?CANARY"))
    assert "CANARY" not in str(error) + repr(error)


def test_uploads(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(CONTENT)
    behaviour = Behaviour()
    with http_server(behaviour) as port:
        send(tmp_path, f"http://127.0.0.1:{port}/logs/", source)
        send(tmp_path, f"http://127.0.0.1:{port}/signed?token=x", source)
    assert behaviour.stored == {"/logs/log%201.tar.gz": CONTENT, "/signed?token=x": CONTENT}


# --- where to ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "location",
    [
        "http://localhost:{port}/f",
        "http://127.0.0.1:{port}/f",
        "http://[::1]:{port}/f",
        "http://[::ffff:127.0.0.1]:{port}/f",
        "http://0.0.0.0:{port}/f",
    ],
)
def test_loopback_is_denied_unless_it_is_listed(tmp_path: Path, location: str) -> None:
    behaviour = Behaviour(CONTENT)
    with http_server(behaviour) as port:
        error = failure(fetch(tmp_path, location.format(port=port), allow=()))
    assert error.is_final
    assert "allow_hosts" in str(error)
    assert behaviour.seen == []


def test_a_redirect_is_judged_like_the_first_address(tmp_path: Path) -> None:
    inner = Behaviour(CONTENT)
    with http_server(inner) as there:
        outer = Behaviour(redirect=f"http://127.0.0.1:{there}/f")
        with http_server(outer) as here:
            allowed = ("files.example",)
            found = fetch(
                tmp_path, f"http://files.example:{here}/f", allow=allowed, resolve=lambda host, _: ["127.0.0.1"]
            )
    assert "127.0.0.1 is not allowed" in str(failure(found))
    assert (len(outer.seen), inner.seen) == (1, [])


@pytest.mark.parametrize(
    "target",
    [
        "ftp://127.0.0.1/f",
        "file:///etc/passwd",
        "http://127.0.0.1:1/\r\nX: y",
        "gopher://127.0.0.1",
        "//127.1/f",
        "http://[::1%25lo]/",
    ],
)
def test_a_redirect_leads_nowhere_else(tmp_path: Path, target: str) -> None:
    with http_server(Behaviour(redirect=target.replace("\r\n", "\r\n "))) as port:
        error = failure(fetch(tmp_path, f"http://127.0.0.1:{port}/f"))
    assert error.is_final


def test_redirects_end(tmp_path: Path) -> None:
    behaviour = Behaviour(redirect="/again")
    with http_server(behaviour) as port:
        error = failure(fetch(tmp_path, f"http://127.0.0.1:{port}/f"))
    assert error.is_final
    assert len(behaviour.seen) == 6


def seconds_to_cancel(directory: Path, location: str, begun: threading.Event, **network: Any) -> float:
    """How long after it was cancelled a transfer's thread has ended."""

    async def main() -> float:
        with transfers(directory, **network) as files:
            one = await files.begin("firmware", LIMIT)
            task = asyncio.create_task(files.fetch(location, one))
            await asyncio.to_thread(begun.wait, 10.0)
            began_s = time.monotonic()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            one.file.close()
        return time.monotonic() - began_s

    return asyncio.run(main())


def test_a_resolver_that_hangs_holds_nobody(tmp_path: Path) -> None:
    """Four threads serve all transfers and GetLog; a lookup takes half a minute where there is no network."""
    asked, over = threading.Event(), threading.Event()

    def hang(*_: object) -> list[str]:
        asked.set()
        over.wait(20.0)
        return []

    try:
        assert seconds_to_cancel(tmp_path, "http://slow.example/f", asked, resolve=hang) < 2.0
        began_s = time.monotonic()
        error = failure(fetch(tmp_path, "http://slow.example/f", resolve=hang, resolve_timeout_s=0.5))
        assert "no address" in str(error)
        assert time.monotonic() - began_s < 5.0
    finally:
        over.set()


def test_only_a_few_threads_ask_the_resolver(tmp_path: Path) -> None:
    over, asked = threading.Event(), []

    def hang(*_: object) -> list[str]:
        asked.append(threading.current_thread())
        over.wait(20.0)
        return []

    try:
        found = fetch(tmp_path, "http://slow.example/f", tries=7, resolve=hang, resolve_timeout_s=0.3)
        assert len(found) == 7
        assert len(asked) == MAX_RESOLVERS
        assert all(one.daemon for one in asked)
    finally:
        over.set()


def test_a_host_that_swallows_packets_holds_nobody(tmp_path: Path) -> None:
    dialled = threading.Event()

    def resolve(*_: object) -> list[str]:
        dialled.set()
        return ["127.0.0.1"]

    with contextlib.ExitStack() as stack:
        # Nobody accepts, and the queue of those who wait is full: further calls are not answered at all.
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(full.getsockname())
        location = f"http://full.example:{full.getsockname()[1]}/f"
        assert seconds_to_cancel(tmp_path, location, dialled, resolve=resolve, connect_timeout_s=15.0) < 3.0


def test_a_name_that_resolves_to_something_else_a_moment_later_changes_nothing(tmp_path: Path) -> None:
    """DNS rebinding: one question for each connection, and the judged address is the one that is used."""
    behaviour = Behaviour(CONTENT)
    asked: list[str] = []

    def rebinding(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["192.0.2.1"] if len(asked) == 1 else ["127.0.0.1"]

    with http_server(behaviour) as port:
        found = fetch(
            tmp_path,
            f"http://rebind.example:{port}/f",
            tries=3,
            allow=("192.0.2.0/24",),
            resolve=rebinding,
            connect_timeout_s=0.2,
        )
    assert all(isinstance(one, TransferError) for one in found)
    assert asked == ["rebind.example"] * 3
    assert behaviour.seen == []


def test_of_several_addresses_only_the_allowed_ones_are_used(tmp_path: Path) -> None:
    behaviour = Behaviour(CONTENT)
    with http_server(behaviour) as port:
        location = f"http://two.example:{port}/f"
        found = fetch(tmp_path, location, allow=(), resolve=lambda *_: ["127.0.0.1", "::1", "10.0.0.1", "fe80::1%lo"])
    assert failure(found).is_final
    assert behaviour.seen == []


def test_a_protocol_that_is_not_allowed(tmp_path: Path) -> None:
    error = failure(fetch(tmp_path, "http://127.0.0.1/f", protocols=frozenset({Scheme.HTTPS})))
    assert "files.protocols" in str(error)


@pytest.mark.parametrize(
    ("address", "is_allowed"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False),
        ("127.255.0.3", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("255.255.255.255", False),
        ("240.0.0.1", False),
        ("224.0.0.251", False),
        ("::", False),
        ("::1", False),
        ("fe80::1", False),
        ("fc00::1", False),
        ("fd12::1", False),
        ("ff02::fb", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:93.184.216.34", True),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
        ("2002:c0a8:101::1", False),
        ("fe80::1%eth0", False),
        ("not an address", False),
    ],
)
def test_the_policy_without_a_list(address: str, is_allowed: bool) -> None:
    assert HostPolicy().allows("example.com", address) is is_allowed


def test_what_is_listed() -> None:
    policy = HostPolicy(["files.LAN", "192.168.7.0/24", "::1", "0.0.0.0"])
    assert policy.allows("FILES.lan", "10.0.0.1")
    assert not policy.allows("x.files.lan", "10.0.0.1")
    assert policy.allows("any.example", "192.168.7.9")
    assert policy.allows("any.example", "::ffff:192.168.7.9")
    assert not policy.allows("any.example", "192.168.8.9")
    assert policy.allows("any.example", "::1")
    assert not policy.allows("files.lan", "0.0.0.0")
    assert not policy.allows("files.lan", "224.0.0.1")


# --- TLS and FTP ------------------------------------------------------------------------------------------


def test_https_with_a_certificate_we_know(tmp_path: Path, certificate: Path) -> None:
    with http_server(Behaviour(CONTENT), server_tls(certificate)) as port:
        tls = functools.partial(client_tls, certificate)
        (found,) = fetch(tmp_path, f"https://localhost:{port}/f", make_tls=tls, resolve=lambda *_: ["127.0.0.1"])
        assert found.path.read_bytes() == CONTENT
        (stranger,) = fetch(tmp_path, f"https://127.0.0.1:{port}/f")
        other = fetch(
            tmp_path,
            f"https://other.example:{port}/f",
            allow=("other.example",),
            make_tls=tls,
            resolve=lambda *_: ["127.0.0.1"],
        )
    assert stranger.is_final
    assert "certificate" in str(stranger)
    assert "certificate" in str(failure(other)), "the name in the URL counts, not the address"


def test_no_redirect_away_from_tls(tmp_path: Path, certificate: Path) -> None:
    with http_server(Behaviour(redirect="http://127.0.0.1:9/f"), server_tls(certificate)) as port:
        tls = functools.partial(client_tls, certificate)
        error = failure(fetch(tmp_path, f"https://127.0.0.1:{port}/f", make_tls=tls))
    assert "without TLS" in str(error)


@pytest.mark.parametrize("scheme", ["ftp", "ftps"])
def test_ftp_there_and_back_with_a_broken_line(tmp_path: Path, certificate: Path, scheme: str) -> None:
    served = tmp_path / "served"
    (served / "dir").mkdir(parents=True)
    (served / "dir" / "file.bin").write_bytes(CONTENT)
    pem = certificate if scheme == "ftps" else None
    options: dict[str, Any] = {"make_tls": functools.partial(client_tls, certificate)}
    with ftp_server(served, pem, cut_after=[300_000]) as port:
        base = f"{scheme}://{USER}:p%40ss-CANARY-url@127.0.0.1:{port}/dir"
        found = fetch(tmp_path, f"{base}/file.bin", tries=2, **options)
        assert isinstance(found[0], TransferError)
        assert found[1].path.read_bytes() == CONTENT
        send(tmp_path, base, found[1].path, **options)
        missing = failure(fetch(tmp_path, f"{base}/none", **options))
        denied = failure(fetch(tmp_path, f"{scheme}://{USER}:no@127.0.0.1:{port}/dir/file.bin", **options))
    assert (served / "dir" / "log 1.tar.gz").read_bytes() == CONTENT
    assert missing.is_final
    assert denied.is_denied
    assert PASSWORD not in str(missing) + str(denied)


def test_an_answer_without_an_end_is_given_up(tmp_path: Path) -> None:
    """It would fill the memory of a small board within a minute."""
    sent = [0]

    def flood(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.sendall(b"220-hello\r\n")
            while sent[0] < 50_000_000:
                sent[0] += connection.send(b"220-and so on\r\n" * 1000)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=flood, args=(listener,))
        server.start()
        error = failure(fetch(tmp_path, f"ftp://127.0.0.1:{listener.getsockname()[1]}/f"))
        server.join()
    assert "answer" in str(error)
    assert sent[0] < 10_000_000


def test_ftp_on_loopback_is_denied_unless_it_is_listed(tmp_path: Path) -> None:
    served = tmp_path / "served"
    served.mkdir()
    with ftp_server(served) as port:
        assert "allow_hosts" in str(failure(fetch(tmp_path, f"ftp://127.0.0.1:{port}/f", allow=())))


# --- the spool --------------------------------------------------------------------------------------------


def test_no_transfer_fills_the_disk(tmp_path: Path) -> None:
    spool = Spool(tmp_path, free=lambda _: RESERVE_BYTES + 1000)
    file = spool.open_new("firmware", LIMIT)
    file.expect(1000)
    with pytest.raises(SpoolError, match="room"):
        file.expect(1001)
    with pytest.raises(SpoolError, match="room"):
        file.write(b"x")
    file.close()


def test_a_link_in_our_place_is_replaced_never_followed(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.prepare()
    outside = tmp_path / "outside"
    outside.write_text("stays")
    (spool.directory / "firmware").symlink_to(outside)
    file = spool.open_new("firmware", LIMIT)
    file.write(b"new")
    file.close()
    assert outside.read_text() == "stays"


def test_a_closed_file_takes_nothing(tmp_path: Path) -> None:
    file = Spool(tmp_path).open_new("firmware", LIMIT)
    file.close()
    file.close()
    with pytest.raises(SpoolError, match="given up"):
        file.write(b"x")


@pytest.mark.parametrize(
    ("retries", "interval", "wanted"),
    [(None, None, (3, 60)), (0, 0, (1, 0)), (-5, -5, (1, 0)), (2, 10, (2, 10)), (10**9, 10**9, (100, 86_400))],
)
def test_how_often_and_how_far_apart(retries: int | None, interval: int | None, wanted: tuple[int, int]) -> None:
    found = attempts_of(retries, interval)
    assert (found.number, found.interval_s) == wanted
