"""Security profiles, over real sockets."""

from tests.octt.bench import IDENTITY, Bench, in_memory
from tests.support.strict.central import StrictCentral

KEY = "0123456789abcdef0123456789abcdef"


def _demand_key(central: StrictCentral) -> None:
    central.passwords[IDENTITY] = bytes.fromhex(KEY)


@in_memory(ocpp={"security_profile": 1, "authorization_key": KEY}, prepare=_demand_key, has_sockets=True)
async def test_tc_085_basic_authentication(bench: Bench) -> None:
    """Identity and key by HTTP Basic, the key decoded to bytes; also after a lost line."""
    await bench.booted()
    await bench.central.drop()
    await bench.central.until(lambda: len(bench.central.trace.lives) > 1, "the second connection")
    await bench.charging()
