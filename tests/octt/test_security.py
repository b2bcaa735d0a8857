"""Security profiles, over real sockets."""

from tests.octt.bench import IDENTITY, Bench, in_memory
from tests.support.strict.central import StrictCentral

KEY = "0123456789abcdef0123456789abcdef"
NEW_KEY = "a-key-that-is-no-number"


def _demand_key(central: StrictCentral) -> None:
    central.passwords[IDENTITY] = bytes.fromhex(KEY)


BASIC = {"security_profile": 1, "authorization_key": KEY}


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


def _lines(bench: Bench) -> int:
    return len(bench.central.trace.lives)
