"""The security white paper's rules of connections, over real TLS: profiles, servers that are none, what is on trial.

Row numbers are those of the rules a charge point must satisfy.
"""

import asyncio
import ssl

import pytest

from evcharge_agent.ocpp16.errors import ConnectFailedError, CredentialsRefusedError
from evcharge_agent.ocpp16.security.credentials import Credentials
from evcharge_agent.ocpp16.security.errors import InsecureError
from evcharge_agent.ocpp16.security.moments import RELEASED_UTC_S
from evcharge_agent.ocpp16.security.ports import SecurityEvent
from evcharge_agent.runtime.clock import Clock
from evcharge_agent.settings.declare import Role
from evcharge_agent.settings.ocpp_section import CipherPolicy
from tests.support.blocking_tls import shaking_hands
from tests.support.certificates import DAY_S, make, root, rsa_key, server_context, with_sha1
from tests.support.secure_charger import KEY, SecureCharger, place, until

ROOT = root("operator")
SERVER = ROOT.server("localhost")
CHARGER = ROOT.client("SERIAL-7", "Operator")
NEW_KEY = "fedcba9876543210"


@pytest.fixture
def ca_file(tmp_path):
    path = tmp_path / "roots.pem"
    path.write_text(ROOT.pem)
    return str(path)


@pytest.fixture
def own(tmp_path):
    certificate, key = CHARGER.write(tmp_path, "charger")
    return {"client_certificate_file": str(certificate), "client_key_file": str(key)}


@pytest.fixture
def tls(tmp_path):
    return server_context(tmp_path, SERVER)


def profile_2(ca_file, **more):
    return {"security_profile": 2, "authorization_key": KEY, "ca_file": ca_file} | more


def profile_3(ca_file, own):
    return {"security_profile": 3, "ca_file": ca_file} | own


# --- the profiles -----------------------------------------------------------------------------------------


async def test_row_03_profile_2_shows_name_and_password_with_every_connection_over_tls(tmp_path, tls, ca_file):
    async with place(tls, KEY) as port, SecureCharger.started(tmp_path, port.url(), **profile_2(ca_file)):
        await port.booted()
        await port.central.drop()
        await port.online(2)
        assert len(port.central.of("BootNotification")) == 1


async def test_profiles_2_and_3_turn_ws_into_wss(tmp_path, tls, ca_file):
    async with place(tls, KEY) as port, SecureCharger.started(tmp_path, port.url("ws"), **profile_2(ca_file)):
        await port.booted()


async def test_tc_087_profile_3_shows_a_certificate(tmp_path, ca_file, own):
    tls = server_context(tmp_path, SERVER, client_root=ROOT)
    async with place(tls) as port, SecureCharger.started(tmp_path, port.url(), **profile_3(ca_file, own)):
        await port.booted()


async def test_row_01_a_server_that_wants_another_profile_is_left(tmp_path, tls, ca_file, own):
    """In profile 3 no password is ever shown, so a server that asks for one gets no charger; and the other way."""
    async with place(tls, KEY) as port:
        table = profile_3(ca_file, own) | {"authorization_key": KEY}
        async with SecureCharger.started(tmp_path / "3", port.url(), **table) as charger:
            await charger.until_logged(SecurityEvent.FAILED_TO_AUTHENTICATE)
    tls = server_context(tmp_path, SERVER, client_root=ROOT)
    async with place(tls) as port:
        table = profile_2(ca_file) | own
        async with SecureCharger.started(tmp_path / "2", port.url(), **table) as charger:
            await until(lambda: charger.service.view.last_error is not None)
            assert port.central.connections == 0


async def test_profile_3_without_a_certificate_says_so(tmp_path, tls, ca_file):
    table = {"security_profile": 3, "ca_file": ca_file}
    async with place(tls) as port, SecureCharger.started(tmp_path, port.url(), **table) as charger:
        await until(lambda: "client certificate" in (charger.service.view.last_error or ""))


async def test_a_refused_client_certificate_is_a_failure_to_authenticate(tmp_path, ca_file):
    stranger = root("stranger").client("SERIAL-7", "Operator")
    certificate, key = stranger.write(tmp_path, "stranger")
    own = {"client_certificate_file": str(certificate), "client_key_file": str(key)}
    context = server_context(tmp_path, SERVER, client_root=ROOT)
    event = await event_at(tmp_path, context, **profile_3(ca_file, own))
    assert event == SecurityEvent.FAILED_TO_AUTHENTICATE.value


# --- servers that are none (row 6 to 9, and the matrix of 3.9) ---------------------------------------------


def trusted_clock():
    """A clock that NTP has set."""
    clock = Clock()
    clock.learn_utc(clock.now().utc_s)
    return clock


async def event_at(tmp_path, context, **ocpp):
    """The first security event of a charger at a server that only shakes hands."""
    with shaking_hands(context) as port:
        async with SecureCharger.started(tmp_path, f"wss://localhost:{port}", **ocpp) as charger:
            await until(lambda: bool(charger.logged()))
            return charger.logged()[0]


async def refusal_of(tmp_path, context, ca_file, *, host="localhost", **more):
    """Why a charger does not connect to a server with this context."""
    async with place(context, KEY) as port:
        table = profile_2(ca_file, **more)
        async with SecureCharger.started(tmp_path, port.url(host=host), clock=trusted_clock(), **table) as charger:
            await until(lambda: charger.service.view.last_error is not None or port.central.connections > 0)
            if port.central.connections:
                return None
            await until(lambda: bool(charger.logged()))
            return charger.logged()[0]


INTERMEDIATE = ROOT.authority("intermediate")
LEAF_AS_AUTHORITY = ROOT.server("localhost")


@pytest.mark.parametrize(
    ("server", "chain"),
    [
        pytest.param(ROOT.server("localhost", from_s=-400 * DAY_S, to_s=-DAY_S), (), id="expired"),
        pytest.param(ROOT.server("localhost", from_s=DAY_S), (), id="not yet valid"),
        pytest.param(ROOT.server("other.example"), (), id="wrong host"),
        pytest.param(ROOT.server("127.0.0.2"), (), id="another address"),
        pytest.param(root("other").server("localhost"), (), id="wrong root"),
        pytest.param(root("operator").server("localhost"), (), id="another root of that name"),
        pytest.param(make("localhost", names=("localhost",)), (), id="self-signed"),
        pytest.param(LEAF_AS_AUTHORITY.server("localhost"), (LEAF_AS_AUTHORITY,), id="signed by a server"),
        pytest.param(INTERMEDIATE.server("localhost"), (), id="chain not complete"),
        pytest.param(CHARGER, (), id="a charger's certificate"),
        pytest.param(ROOT.server(common_name="other.example"), (), id="wrong common name"),
        pytest.param(ROOT.server("other.example", common_name="localhost"), (), id="names beat the common name"),
        pytest.param(ROOT.authority(from_s=-9 * DAY_S, to_s=-DAY_S).server("localhost"), (), id="lost intermediate"),
    ],
)
async def test_row_06_a_server_that_does_not_prove_itself_is_no_central_system(tmp_path, ca_file, server, chain):
    event = await refusal_of(tmp_path, server_context(tmp_path, server, *chain), ca_file)
    assert event == "InvalidCentralSystemCertificate"


async def test_row_06_an_intermediate_that_has_expired(tmp_path, ca_file):
    old = ROOT.authority(from_s=-9 * DAY_S, to_s=-DAY_S)
    event = await refusal_of(tmp_path, server_context(tmp_path, old.server("localhost"), old), ca_file)
    assert event == "InvalidCentralSystemCertificate"


@pytest.mark.parametrize("server", [ROOT.server("localhost", key=rsa_key(1024)), with_sha1(SERVER, ROOT)])
async def test_row_06_weak_certificates_are_refused(tmp_path, ca_file, server):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.load_cert_chain(*server.write(tmp_path, "weak"))
    event = await refusal_of(tmp_path, context, ca_file)
    assert event == "InvalidCentralSystemCertificate"


@pytest.mark.parametrize(
    ("server", "chain", "host"),
    [
        pytest.param(INTERMEDIATE.server("localhost"), (INTERMEDIATE,), "localhost", id="an intermediate"),
        pytest.param(ROOT.server("127.0.0.1"), (), "127.0.0.1", id="an address"),
        pytest.param(ROOT.server(common_name="localhost"), (), "localhost", id="a common name only"),
        pytest.param(ROOT.server("localhost", key=rsa_key()), (), "localhost", id="RSA"),
    ],
)
async def test_row_06_good_servers_are_believed_also_by_common_name(tmp_path, ca_file, server, chain, host):
    assert await refusal_of(tmp_path, server_context(tmp_path, server, *chain), ca_file, host=host) is None


async def test_row_07_a_server_below_tls_1_2_is_left(tmp_path, ca_file):
    context = server_context(tmp_path, SERVER, version=ssl.TLSVersion.TLSv1_1)
    assert await event_at(tmp_path, context, **profile_2(ca_file)) == "InvalidTLSVersion"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_row_07_tls_1_2_and_1_3_are_spoken(tmp_path, ca_file, version):
    assert await refusal_of(tmp_path, server_context(tmp_path, SERVER, version=version), ca_file) is None


RSA_SERVER = ROOT.server("localhost", key=rsa_key())


@pytest.mark.parametrize(
    ("server", "cipher", "policy", "event"),
    [
        (SERVER, "ECDHE-ECDSA-AES128-GCM-SHA256", CipherPolicy.STANDARD, None),
        (SERVER, "ECDHE-ECDSA-AES256-GCM-SHA384", CipherPolicy.STANDARD, None),
        (RSA_SERVER, "ECDHE-RSA-AES128-GCM-SHA256", CipherPolicy.STANDARD, None),
        (RSA_SERVER, "AES128-GCM-SHA256", CipherPolicy.STANDARD, "InvalidTLSCipherSuite"),
        (RSA_SERVER, "AES256-GCM-SHA384", CipherPolicy.STANDARD, "InvalidTLSCipherSuite"),
        (RSA_SERVER, "AES128-GCM-SHA256", CipherPolicy.ALL, None),
        (RSA_SERVER, "AES256-GCM-SHA384", CipherPolicy.ALL, None),
        (RSA_SERVER, "AES128-SHA256", CipherPolicy.ALL, "InvalidTLSCipherSuite"),
        (RSA_SERVER, "ECDHE-RSA-AES128-SHA256", CipherPolicy.ALL, "InvalidTLSCipherSuite"),
        (RSA_SERVER, "NULL-SHA256:@SECLEVEL=0", CipherPolicy.ALL, "InvalidTLSCipherSuite"),
    ],
)
async def test_rows_08_and_09_ciphers_are_those_of_the_white_paper(tmp_path, ca_file, server, cipher, policy, event):
    context = server_context(tmp_path, server, version=ssl.TLSVersion.TLSv1_2, ciphers=cipher)
    if event is None:
        assert await refusal_of(tmp_path, context, ca_file, ciphers=policy) is None
    else:
        assert await event_at(tmp_path, context, **profile_2(ca_file, ciphers=policy)) == event


async def test_rows_06_to_09_are_told_once_an_outage_and_later_by_the_line(tmp_path, tls, ca_file):
    bad = server_context(tmp_path, root("other").server("localhost"))
    async with (
        place(bad, KEY) as port,
        SecureCharger.started(tmp_path, port.url(), **profile_2(ca_file)) as charger,
    ):
        await asyncio.sleep(2.5)  # several attempts
        await port.open(tls)
        await port.booted()
        await until(lambda: "InvalidCentralSystemCertificate" in port.told())
        assert charger.logged().count("InvalidCentralSystemCertificate") == 1


async def test_a_redirect_is_followed_nowhere(tmp_path):
    asked = []

    async def elsewhere(reader, writer):
        asked.append(await reader.read(1000))
        writer.close()

    async def redirecting(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 307 X\r\nLocation: ws://127.0.0.1:%d/\r\nContent-Length: 0\r\n\r\n" % target)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(elsewhere, "127.0.0.1", 0)
    target = server.sockets[0].getsockname()[1]
    first = await asyncio.start_server(redirecting, "127.0.0.1", 0)
    url = f"ws://127.0.0.1:{first.sockets[0].getsockname()[1]}"
    table = {"security_profile": 1, "authorization_key": KEY}
    async with server, first, SecureCharger.started(tmp_path, url, **table) as charger:
        await until(lambda: "307" in (charger.service.view.last_error or ""))
    assert asked == []


# --- time -------------------------------------------------------------------------------------------------


def clock_at(utc_s):
    """A clock whose system believes it is `utc_s`."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    return Clock(loop.time, lambda: utc_s + loop.time() - began_s)


async def test_a_charger_that_wakes_up_in_1970_finds_its_central_system(tmp_path, tls, ca_file):
    async with place(tls, KEY) as port:
        clock = clock_at(0.0)
        async with SecureCharger.started(tmp_path, port.url(), clock=clock, **profile_2(ca_file)) as charger:
            await port.booted()
            await charger.until_logged(SecurityEvent.SETTING_SYSTEM_TIME)
            assert clock.is_trusted


async def test_an_unknown_time_is_no_excuse_for_what_expired_before_this_software_was_made(tmp_path, ca_file):
    age_s = Clock().now().utc_s - RELEASED_UTC_S
    server = ROOT.server("localhost", from_s=-age_s - 90 * DAY_S, to_s=-age_s - DAY_S)
    async with place(server_context(tmp_path, server), KEY) as port:
        table = profile_2(ca_file)
        async with SecureCharger.started(tmp_path, port.url(), clock=clock_at(0.0), **table) as charger:
            await charger.until_logged(SecurityEvent.INVALID_CENTRAL_SYSTEM_CERTIFICATE)
            assert port.central.connections == 0


async def test_the_last_known_time_counts_after_a_restart_in_1970(tmp_path, tls, ca_file):
    """A certificate that had expired by the last time that was known is refused, whatever the clock says now."""
    async with place(tls, KEY) as port:
        async with SecureCharger.started(tmp_path, port.url(), **profile_2(ca_file)) as charger:
            await port.booted()
            await until(lambda: charger.vault.moments.is_time_known)
            await port.central.drop()
            await port.online(2)
            await until(lambda: charger.vault.memory.known_utc_s > RELEASED_UTC_S)
        now_utc_s = Clock().now().utc_s
        late = ROOT.server("localhost", from_s=-3 * DAY_S, to_s=-DAY_S)
        assert now_utc_s - DAY_S > RELEASED_UTC_S
        await port.open(server_context(tmp_path, late))
        table = profile_2(ca_file)
        async with SecureCharger.started(tmp_path, port.url(), clock=clock_at(0.0), **table) as charger:
            await charger.until_logged(SecurityEvent.INVALID_CENTRAL_SYSTEM_CERTIFICATE)


async def test_a_central_system_whose_clock_is_wrong_by_years_locks_nobody_out(tmp_path, tls, ca_file):
    async with (
        place(tls, KEY) as port,
        SecureCharger.started(tmp_path, port.url(), **profile_2(ca_file)) as charger,
    ):
        port.central._now_utc_s = lambda: Clock().now().utc_s + 20 * 365 * DAY_S
        await until(lambda: charger.vault.moments.is_time_known)
        await port.central.drop()
        await port.online(2)


# --- keys on trial ----------------------------------------------------------------------------------------


async def test_row_05_a_new_password_is_answered_first_then_used_and_logged_without_its_value(tmp_path):
    async with place(None, KEY) as port:
        table = {"security_profile": 1, "authorization_key": KEY}
        async with SecureCharger.started(tmp_path, port.url("ws"), **table) as charger:
            await port.booted()
            port.central.passwords["EVC-1"] = NEW_KEY.encode()
            assert await port.change("AuthorizationKey", NEW_KEY) == "Accepted"
            await port.online(2)
            await charger.until_logged(SecurityEvent.RECONFIGURATION)
            assert charger.vault.memory.key_before is None
            content = charger.vault.log.read()
            assert b"AuthorizationKey" in content
            assert NEW_KEY.encode() not in content
            await until(lambda: "ReconfigurationOfSecurityParameters" in port.told())


async def test_a_refused_password_makes_way_for_the_old_one_also_after_a_restart(tmp_path):
    table = {"security_profile": 1, "authorization_key": KEY}
    async with place(None, KEY) as port:
        async with SecureCharger.started(tmp_path, port.url("ws"), **table) as charger:
            await port.booted()
            port.central.is_reachable = False
            assert await port.change("AuthorizationKey", NEW_KEY) == "Accepted"
            await until(lambda: not charger.service.view.is_connected)
        port.central.is_reachable = True
        async with SecureCharger.started(tmp_path, port.url("ws"), **table) as charger:
            await port.online(2)
            await until(lambda: charger.configuration.connection.authorization_key.get_secret_value() == KEY)


@pytest.mark.parametrize("key", ["short", "0" * 15, "g" * 15, "x" * 41])
async def test_row_04_a_password_of_less_than_16_bytes_is_rejected(tmp_path, key):
    async with place(None, KEY) as port:
        table = {"security_profile": 1, "authorization_key": KEY}
        async with SecureCharger.started(tmp_path, port.url("ws"), **table) as charger:
            await port.booted()
            assert await port.change("AuthorizationKey", key) == "Rejected"
            assert charger.configuration.connection.authorization_key.get_secret_value() == KEY


async def test_row_04_the_password_is_never_told(tmp_path):
    async with place(None, KEY) as port:
        table = {"security_profile": 1, "authorization_key": KEY}
        async with SecureCharger.started(tmp_path, port.url("ws"), **table):
            await port.booted()
            told = await port.central.get_configuration()
            assert told["AuthorizationKey"] is None
            assert KEY not in str(told) + str(await port.central.get_configuration("AuthorizationKey"))


# --- profiles on trial ------------------------------------------------------------------------------------


def profile_1(**more):
    return {"security_profile": 1, "authorization_key": KEY} | more


async def test_row_14_an_upgrade_reconnects_with_the_new_profile(tmp_path, tls, ca_file):
    async with place(None, KEY) as port:
        table = profile_1(ca_file=ca_file)
        async with SecureCharger.started(tmp_path, port.url("ws"), **table) as charger:
            await port.booted()
            assert await port.change("SecurityProfile", "2") == "Accepted"
            await port.open(tls)
            await port.online()
            assert charger.profile == 2
            await until(lambda: charger.vault.memory.trial(2) is None)


@pytest.mark.parametrize(
    ("table", "wanted"),
    [
        pytest.param({}, "1", id="1 without a key"),
        pytest.param({}, "2", id="2 without key and root"),
        pytest.param({"authorization_key": KEY}, "2", id="2 without a root"),
        pytest.param({"authorization_key": KEY}, "3", id="3 without root and certificate"),
        pytest.param({"authorization_key": KEY}, "4", id="no profile"),
        pytest.param({"authorization_key": KEY}, "-1", id="below"),
        pytest.param({"authorization_key": KEY}, "two", id="no number"),
    ],
)
async def test_row_14_an_upgrade_without_what_it_needs_is_rejected(tmp_path, table, wanted):
    async with place() as port, SecureCharger.started(tmp_path, port.url("ws"), **table) as charger:
        await port.booted()
        assert await port.change("SecurityProfile", wanted) == "Rejected"
        assert charger.profile == 0
        assert port.central.connections == 1


async def test_row_14_profile_3_needs_a_client_certificate(tmp_path, ca_file):
    async with (
        place(None, KEY) as port,
        SecureCharger.started(tmp_path, port.url("ws"), **profile_1(ca_file=ca_file)),
    ):
        await port.booted()
        assert await port.change("SecurityProfile", "3") == "Rejected"


async def test_row_15_a_profile_that_does_not_work_makes_way_for_the_old_one(tmp_path, ca_file):
    async with (
        place(None, KEY) as port,
        SecureCharger.started(tmp_path, port.url("ws"), **profile_1(ca_file=ca_file)) as charger,
    ):
        await port.booted()
        assert await port.change("SecurityProfile", "2") == "Accepted"
        await until(lambda: not charger.service.view.is_connected)
        await port.online(2)
        assert charger.profile == 1
        assert charger.vault.memory.trial(2) is None


async def test_tc_083_after_a_restart_in_the_middle_of_an_upgrade_the_new_profile_comes_first(tmp_path, tls, ca_file):
    table = profile_1(ca_file=ca_file)
    async with place(None, KEY) as port:
        async with SecureCharger.started(tmp_path, port.url("ws"), **table) as charger:
            await port.booted()
            port.central.is_reachable = False
            assert await port.change("SecurityProfile", "2") == "Accepted"
            await until(lambda: not charger.service.view.is_connected)
        await port.open(tls)
        async with SecureCharger.started(tmp_path, port.url("ws"), **table) as charger:
            assert charger.profile == 2
            await port.booted()
            assert charger.profile == 2


async def test_row_15_once_the_new_profile_has_worked_the_old_one_never_comes_back(tmp_path, tls, ca_file):
    table = profile_1(ca_file=ca_file)
    async with place(None, KEY) as port:
        async with SecureCharger.started(tmp_path, port.url("ws"), **table) as charger:
            await port.booted()
            assert await port.change("SecurityProfile", "2") == "Accepted"
            await port.open(tls)
            await port.online()
            await port.open()  # without TLS again
            await asyncio.sleep(2.5)
            assert (port.central.connections, charger.profile) == (0, 2)
        async with SecureCharger.started(tmp_path, port.url("ws"), **table) as charger:
            await asyncio.sleep(2.5)
            assert (port.central.connections, charger.profile) == (0, 2)


async def test_row_02_a_central_system_never_lowers_the_profile_and_the_installer_can(tmp_path, tls, ca_file):
    async with (
        place(tls, KEY) as port,
        SecureCharger.started(tmp_path, port.url(), **profile_2(ca_file)) as charger,
    ):
        await port.booted()
        for wanted in ("0", "1", " 1", "01"):
            assert await port.change("SecurityProfile", wanted) == "Rejected"
        assert await port.change("sEcurityprofile", "1") == "Rejected"
        assert await port.change("SecurityProfile", "2") == "Accepted"
        assert await port.central.transfer_data("evcharge", "SecurityProfile", "1") != "Accepted"
        assert (charger.profile, port.central.connections) == (2, 1)
        await charger.registry.live.set("ocpp.security_profile", "1", Role.INSTALLER)
        await port.online(2)
        assert charger.profile == 1


# --- the way there ----------------------------------------------------------------------------------------


async def test_an_explicit_proxy_carries_tls_from_end_to_end(tmp_path, tls, ca_file):
    async def relay(reader, writer):
        try:
            while data := await reader.read(4096):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    asked = []

    async def tunnel(reader, writer):
        asked.append((await reader.readuntil(b"\r\n\r\n")).splitlines()[0].decode())
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port.number)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(relay(reader, far_writer), relay(far_reader, writer))

    async with place(tls, KEY) as port:
        server = await asyncio.start_server(tunnel, "127.0.0.1", 0)
        proxy = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with SecureCharger.started(tmp_path, port.url(), **profile_2(ca_file, proxy=proxy)):
            await port.booted()
        server.close()
    assert asked[0] == f"CONNECT localhost:{port.number} HTTP/1.1"


async def test_a_proxy_that_is_away_is_named(tmp_path):
    table = {"proxy": "http://127.0.0.1:1"}
    async with SecureCharger.started(tmp_path, "ws://localhost:1", **table) as charger:
        await until(lambda: charger.service.view.last_error is not None)


async def test_an_attempt_shows_no_password_in_a_log(tmp_path):
    async with SecureCharger.started(tmp_path, "ws://localhost:1", **profile_1()) as charger:
        attempt = await Credentials(charger.configuration, charger.vault, "x").next()
        assert attempt.key == KEY
        assert KEY not in repr(attempt)


def test_errors_of_security_are_errors_of_connecting():
    assert issubclass(InsecureError, ConnectFailedError)
    assert issubclass(CredentialsRefusedError, ConnectFailedError)
