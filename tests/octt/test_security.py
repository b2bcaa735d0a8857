"""Security profiles, over real sockets."""

from tests.octt.bench import IDENTITY, Bench, in_memory
from tests.octt.pki import Tls
from tests.support.strict.central import StrictCentral
from tests.support.strict.trace import Opened

KEY = "0123456789abcdef0123456789abcdef"
NEW_KEY = "a-key-that-is-no-number"


def _demand_key(central: StrictCentral) -> None:
    central.passwords[IDENTITY] = bytes.fromhex(KEY)


BASIC = {"security_profile": 1, "authorization_key": KEY}
WITH_TLS = {**BASIC, "security_profile": 2}


@in_memory(ocpp=BASIC, prepare=_demand_key, has_sockets=True)
async def test_tc_073_update_basic_authentication_password(bench: Bench) -> None:
    """Answered on the old line, then a new one with the new key; the key is never shown."""
    await bench.booted()
    assert await bench.central.order("ChangeConfiguration", key="AuthorizationKey", value=NEW_KEY) == "Accepted"
    bench.central.passwords[IDENTITY] = NEW_KEY.encode()
    await bench.central.until(lambda: _lines(bench) > 1, "a line with the new key")
    await bench.central.call("GetConfiguration", key=["AuthorizationKey"])
    await bench.charging()
    assert len(bench.central.sent("BootNotification")) == 1


@in_memory(ocpp=BASIC, prepare=_demand_key, has_sockets=True)
async def test_tc_085_basic_authentication(bench: Bench) -> None:
    """Identity and key by HTTP Basic, the key decoded to bytes; also after a lost line."""
    await bench.booted()
    await bench.central.drop()
    await bench.central.until(lambda: _lines(bench) > 1, "the second line")
    await bench.charging()


@in_memory(ocpp=BASIC, prepare=_demand_key, tls=Tls.LATER)
async def test_tc_083_upgrade_security_profile(bench: Bench) -> None:
    """It comes back over TLS, also after a hard reset, and never again without: not even where nothing else is heard."""
    await bench.booted()
    assert await _change_profile(bench, 2) == "Accepted"
    await bench.central.change_tls(bench.pki.context())
    await bench.central.until(lambda: _line(bench).is_tls, "a line with TLS")
    assert await bench.central.order("Reset", type="Hard") == "Accepted"
    await bench.booted()
    lines = _lines(bench)
    await bench.central.change_tls(None)
    await bench.sleep(20)
    assert _lines(bench) == lines, "it came back on the old profile"
    await bench.central.change_tls(bench.pki.context())
    await bench.central.until(lambda: _lines(bench) > lines, "the line after that")
    await _is_profile(bench, 2)
    await bench.charging()


@in_memory(ocpp=WITH_TLS, prepare=_demand_key, tls=Tls.SERVER)
async def test_tc_084_downgrade_security_profile_rejected(bench: Bench) -> None:
    """Rejected, whatever lower one is asked for; nothing changes, and the next line has TLS again."""
    await bench.booted()
    for lower in (1, 0):
        assert await _change_profile(bench, lower) == "Rejected"
        await _is_profile(bench, 2)
    await bench.sleep(5)
    assert _lines(bench) == 1
    await bench.central.drop()
    await bench.central.until(lambda: _lines(bench) > 1, "the second line")
    await bench.charging()


@in_memory(ocpp=WITH_TLS, prepare=_demand_key, tls=Tls.SERVER)
async def test_tc_086_tls_server_certificate(bench: Bench) -> None:
    """TLS with a server that proves itself, the key inside; also after a lost line."""
    await bench.booted()
    await bench.central.drop()
    await bench.central.until(lambda: _lines(bench) > 1, "the second line")
    assert _line(bench).authorization is not None
    await bench.charging()


@in_memory(ocpp={"security_profile": 3}, tls=Tls.MUTUAL)
async def test_tc_087_tls_client_certificate(bench: Bench) -> None:
    """TLS with a server that demands a certificate: the charger shows its own, and no key."""
    await bench.booted()
    await bench.central.drop()
    await bench.central.until(lambda: _lines(bench) > 1, "the second line")
    assert _line(bench).client == bench.pki.client.certificate.serial_number
    assert _line(bench).authorization is None
    await bench.charging()


async def _change_profile(bench: Bench, profile: int) -> str:
    return await bench.central.order("ChangeConfiguration", key="SecurityProfile", value=str(profile))


async def _is_profile(bench: Bench, profile: int) -> None:
    (line,) = (await bench.central.call("GetConfiguration", key=["SecurityProfile"]))["configurationKey"]
    assert line["value"] == str(profile)


def _line(bench: Bench) -> Opened:
    """The latest."""
    return [entry for entry in bench.central.trace.entries if isinstance(entry, Opened)][-1]


def _lines(bench: Bench) -> int:
    return len(bench.central.trace.lives)
