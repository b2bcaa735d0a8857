"""The OCPP side over real WebSockets against the embedded central system, and against worse servers."""

import asyncio
import base64
import contextlib
import dataclasses
import os

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

from evcharge_agent.core.effects import AskAuthorize, ConnectorState
from evcharge_agent.core.events import AuthorizeAnswered, RemoteStartRequested, RequestId, TransactionRegistered
from evcharge_agent.core.facts import AuthorizationStatus, IdTag, StopReason
from evcharge_agent.demo.central_script import Behaviour
from evcharge_agent.demo.central_system import CentralSystem
from evcharge_agent.demo.frames import Direction
from evcharge_agent.ocpp16.envelope import MAX_FRAME_LENGTH
from evcharge_agent.ocpp16.errors import ConnectFailedError, CredentialsRefusedError, LinkClosedError
from evcharge_agent.ocpp16.keys import RegistryConfiguration
from evcharge_agent.ocpp16.security.credentials import basic_authorization, key_bytes
from evcharge_agent.ocpp16.websocket import SUBPROTOCOL, WebSocketConnection, WebSocketConnector, endpoint
from evcharge_agent.runtime.clock import Clock
from evcharge_agent.settings.ocpp_section import Ocpp
from tests.support.ocpp_charger import Charger
from tests.support.schemas import check_frames

IDENTITY = "EVC 1/ä"
WITHIN_S = 10.0


@contextlib.asynccontextmanager
async def central_system():
    central = CentralSystem()
    url = await central.listen()
    try:
        yield central, url
    finally:
        await central.stop()


def charger_at(url, directory, **ocpp):
    return Charger(directory, Clock(), WebSocketConnector, {"url": url, "identity": IDENTITY} | ocpp)


async def until(is_true):
    async with asyncio.timeout(WITHIN_S):
        while not is_true():  # noqa: ASYNC110 - two sides and a disk are watched at once
            await asyncio.sleep(0.01)


async def test_a_whole_day_over_real_sockets(tmp_path):
    """Boot, authorise, start, meter, stop, remote start; drop, reconnect, drain what happened offline."""
    async with central_system() as (central, url), charger_at(url, tmp_path).running() as charger:
        for connector in (0, 1):
            charger.report(connector)
        await until(lambda: len(central.of("StatusNotification")) == 2)
        assert central.session is not None
        assert central.session.id == IDENTITY

        await charger.service.ask_authorize(AskAuthorize(RequestId("r"), IdTag("CARD1")))
        key = await charger.start("one")
        await charger.sample(key, 600)
        await charger.stop(key, id_tag="CARD1")
        await charger.drained(WITHIN_S)
        assert central.transactions[1].energy_wh == 1000
        assert await central.remote_start(1, "CARD2") == "Accepted"
        assert (await central.get_configuration("HeartbeatInterval")) == {"HeartbeatInterval": "300"}

        central.is_reachable = False
        await central.drop()
        await until(lambda: not charger.service.view.is_connected)
        charger.report(1, ConnectorState.CHARGING)
        ids = []
        for name in ("two", "three"):
            key = await charger.start(name)
            ids.append((await charger.store.oldest()).message_id)
            await charger.sample(key, 600)
            await charger.stop(key, reason=StopReason.EV_DISCONNECTED)
        central.is_reachable = True
        await charger.drained(WITHIN_S)
        await until(lambda: central.states(1)[-1] == "Charging")

        messages = ["StartTransaction", "MeterValues", "StopTransaction"]
        assert [one.action for one in central.received if one.action in messages] == messages * 3
        assert central.of("StartTransaction")[1].message_id == ids[0] == ids[1]
        assert len(central.of("BootNotification")) == 1
        assert [one.transaction_id for one in charger.all(TransactionRegistered)] == [1, 2, 3]
        assert [one.info.status for one in charger.all(AuthorizeAnswered)] == [AuthorizationStatus.ACCEPTED]
        assert [one.id_tag for one in charger.all(RemoteStartRequested)] == ["CARD2"]
        frames = central.frames.all()
        assert check_frames(frame.text for frame in frames) == len(frames)
        assert {frame.direction for frame in frames} == set(Direction)


async def test_a_line_cut_between_start_and_answer_makes_one_transaction(tmp_path):
    async with central_system() as (central, url), charger_at(url, tmp_path).running() as charger:
        central.script.expect("StartTransaction", Behaviour(is_answer_lost=True, is_cut=True))
        await charger.start("one")
        await charger.drained(WITHIN_S)
        sent = [frame for frame in central.frames.all() if frame.summary == "StartTransaction"]
        assert len(sent) == 2
        assert sent[0].text == sent[1].text
        assert list(central.transactions) == [1]


@pytest.mark.parametrize("key", ["0123456789abcdef", "00112233445566778899AABBCCDDEEFF", "ünïcödé-kéy-0123"])
async def test_basic_auth_is_sent_with_every_connection(tmp_path, key):
    async with central_system() as (central, url):
        central.passwords[IDENTITY] = key_bytes(key)
        charger = charger_at(url, tmp_path, security_profile=1, authorization_key=key)
        async with charger.running():
            await until(lambda: len(central.of("BootNotification")) == 1)
            await central.drop()
            await until(lambda: central.connections == 2)


async def test_wrong_credentials_are_refused_and_never_shown(tmp_path):
    async with central_system() as (central, url):
        central.passwords[IDENTITY] = b"right"
        charger = charger_at(url, tmp_path, security_profile=1, authorization_key="CANARY-SECRET-01")
        async with charger.running():
            await until(lambda: charger.service.view.last_error is not None)
            assert "401" in (charger.service.view.last_error or "")
            assert "CANARY" not in (charger.service.view.last_error or "")
        assert central.connections == 0


async def test_a_new_key_the_central_system_refuses_makes_way_for_the_old_one(tmp_path):
    old, new = "old-key-01234567", "new-key-01234567"
    async with central_system() as (central, url):
        central.passwords[IDENTITY] = old.encode()
        charger = charger_at(url, tmp_path, security_profile=1, authorization_key=old)
        async with charger.running():
            await until(lambda: len(central.of("BootNotification")) == 1)
            assert await central.change_configuration("AuthorizationKey", new) == "Accepted"
            await until(lambda: central.connections == 2)
            await until(lambda: _key(charger) == old)
            assert await charger.store.overlay() == {"ocpp.authorization_key": old}


async def test_a_new_key_the_central_system_accepts_is_used_and_kept(tmp_path):
    old, new = "old-key-01234567", "00112233445566778899aabbccddeeff00112233"
    async with central_system() as (central, url):
        central.passwords[IDENTITY] = old.encode()
        charger = charger_at(url, tmp_path, security_profile=1, authorization_key=old)
        async with charger.running():
            await until(lambda: len(central.of("BootNotification")) == 1)
            central.passwords[IDENTITY] = bytes.fromhex(new)
            assert await central.change_configuration("AuthorizationKey", new) == "Accepted"
            await until(lambda: central.connections == 2)
            assert _key(charger) == new


def _key(charger):
    return charger.registry.live.settings.ocpp.authorization_key.get_secret_value()


async def test_environment_proxies_do_not_redirect_the_charger(tmp_path, monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "ws_proxy", "socks_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
        monkeypatch.setenv(name.upper(), "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    assert "http_proxy" in os.environ
    async with central_system() as (central, url), charger_at(url, tmp_path).running():
        await until(lambda: len(central.of("BootNotification")) == 1)


# --- servers that are no central system -------------------------------------------------------------------


@contextlib.asynccontextmanager
async def raw_server(handle):
    """A server that answers the first bytes of every connection by itself."""
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ocpp"
    finally:
        server.close()
        await server.wait_closed()


def connector_to(url, directory, **ocpp):
    charger = charger_at(url, directory, **ocpp)
    return charger, WebSocketConnector(RegistryConfiguration(charger.registry), IDENTITY)


@dataclasses.dataclass
class Fixed:
    """Settings as they are."""

    connection: object


async def test_a_host_name_no_resolver_takes_is_told_and_is_no_traceback():
    connection = Ocpp().model_copy(update={"url": "ws://csms..example.com/"})
    with pytest.raises(ConnectFailedError, match="label"):
        await WebSocketConnector(Fixed(connection), IDENTITY).connect()


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", CredentialsRefusedError, "401"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", ConnectFailedError, "404"),
        (b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 9\r\nContent-Length: 0\r\n\r\n", ConnectFailedError, "429"),
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", ConnectFailedError, "503"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", ConnectFailedError, "200"),
        (b"\x15\x03\x01\x00\x02\x02\x28", ConnectFailedError, "no WebSocket"),
        (b"", ConnectFailedError, "no WebSocket|reset|closed"),
    ],
)
async def test_a_server_that_is_no_central_system_is_named(tmp_path, answer, error, words):
    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with raw_server(handle) as url:
        charger, connector = connector_to(url, tmp_path)
        with pytest.raises(error, match=words):
            await connector.connect()
        charger.store.close()


async def test_nobody_listening_is_named(tmp_path):
    async with raw_server(lambda _, writer: writer.close()) as url:
        pass
    charger, connector = connector_to(url, tmp_path)
    with pytest.raises(ConnectFailedError, match="onnect"):
        await connector.connect()
    charger.store.close()


@pytest.mark.parametrize("content", [None, "no certificate"])
async def test_a_ca_file_that_cannot_be_used_is_named_and_survived(tmp_path, content):
    ca_file = tmp_path / "ca.pem"
    if content is not None:
        ca_file.write_text(content)
    charger, connector = connector_to("wss://127.0.0.1:1/ocpp", tmp_path, ca_file=str(ca_file))
    with pytest.raises(ConnectFailedError, match=r"file|PEM|certificate"):
        await connector.connect()
    charger.store.close()


async def test_a_server_without_tls_gets_no_credentials_over_wss(tmp_path):
    heard = []

    async def handle(reader, writer):
        heard.append(await reader.read(1000))
        writer.close()

    async with raw_server(handle) as url:
        ocpp = {"security_profile": 1, "authorization_key": "CANARY-SECRET-01"}
        charger, connector = connector_to(url.replace("ws://", "wss://"), tmp_path, **ocpp)
        with pytest.raises(ConnectFailedError):
            await connector.connect()
        charger.store.close()
    assert heard[0][:1] == b"\x16"  # a TLS handshake, nothing else


async def test_a_server_without_ocpp16_is_left(tmp_path):
    async with serve(lambda socket: socket.wait_closed(), "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        charger, connector = connector_to(url, tmp_path)
        with pytest.raises(ConnectFailedError, match=r"ocpp1\.6|subprotocol"):
            await connector.connect()
        charger.store.close()


async def test_what_is_asked_of_the_server(tmp_path):
    heard = []

    async def handle(reader, writer):
        heard.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.close()

    async with raw_server(handle) as url:
        charger, connector = connector_to(url, tmp_path, security_profile=1, authorization_key="key")
        with pytest.raises(ConnectFailedError):
            await connector.connect()
        charger.store.close()
    request = heard[0]
    assert request.startswith("GET /ocpp/EVC%201%2F%C3%A4 HTTP/1.1\r\n")
    assert "Sec-WebSocket-Protocol: ocpp1.6\r\n" in request
    assert "permessage-deflate" not in request
    expected = base64.b64encode(f"{IDENTITY}:key".encode()).decode()
    assert f"Authorization: Basic {expected}\r\n" in request


async def test_an_oversized_frame_ends_the_connection_and_not_the_charger(tmp_path):
    async with central_system() as (central, url), charger_at(url, tmp_path).running():
        await until(lambda: len(central.of("BootNotification")) == 1)
        assert central.session is not None
        await central.session.send_raw('[2,"1","ClearCache",{"a":"' + "x" * MAX_FRAME_LENGTH + '"}]')
        await until(lambda: central.connections == 2)
        assert len(central.of("BootNotification")) == 1


async def test_a_missing_pong_cuts_the_connection():
    is_over = asyncio.Event()

    async def deaf(socket):
        socket.transport.pause_reading()
        await is_over.wait()
        socket.transport.abort()

    async with serve(deaf, "127.0.0.1", 0, subprotocols=[SUBPROTOCOL], ping_interval=None) as server:
        port = server.sockets[0].getsockname()[1]
        socket = await connect(f"ws://127.0.0.1:{port}", subprotocols=[SUBPROTOCOL], ping_interval=None)
        connection = WebSocketConnection(socket, pong_within_s=0.1)
        connection.set_ping_interval(0.05)
        async with asyncio.timeout(WITHIN_S):
            with pytest.raises(LinkClosedError, match="broke"):
                await connection.recv()
        is_over.set()
        await connection.close()


async def test_pings_that_are_answered_keep_the_connection():
    async with central_system() as (central, url):
        socket = await connect(f"{url}/x", subprotocols=[SUBPROTOCOL], ping_interval=None)
        connection = WebSocketConnection(socket, pong_within_s=5.0)
        connection.set_ping_interval(0.01)
        await asyncio.sleep(0.2)
        await connection.send('[2,"1","Heartbeat",{}]')
        assert str(await connection.recv()).startswith('[3,"1"')
        assert len(central.of("Heartbeat")) == 1
        await connection.close()


@pytest.mark.parametrize(
    ("url", "identity", "joined"),
    [
        ("ws://host/ocpp", "CP 1", "ws://host/ocpp/CP%201"),
        ("wss://host/", "a/b?c#d", "wss://host/a%2Fb%3Fc%23d"),
        ("ws://host", "ä", "ws://host/%C3%A4"),
    ],
)
def test_the_identity_is_percent_encoded(url, identity, joined):
    assert endpoint(url, identity) == joined


@pytest.mark.parametrize(
    ("key", "decoded"),
    [
        ("0" * 32, bytes(16)),
        ("0" * 40, bytes(20)),
        ("aAbB" * 9, bytes.fromhex("aabb" * 9)),
        ("0" * 33, b"0" * 33),
        ("0" * 30, b"0" * 30),
        ("0" * 42, b"0" * 42),
        ("g" * 32, b"g" * 32),
        ("0" * 32 + "\n", b"0" * 32 + b"\n"),
        ("password", b"password"),
    ],
)
def test_only_32_to_40_hex_digits_of_even_number_are_decoded(key, decoded):
    assert key_bytes(key) == decoded
    header = base64.b64decode(basic_authorization("id", key).removeprefix("Basic "))
    assert header == b"id:" + decoded
