"""Whatever the central system does: every message arrives in order and once, or is parked and shown."""

import asyncio
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from evcharge_agent.demo.central_script import Behaviour, Script
from evcharge_agent.ocpp16.outbox_policy import Park, Retry, decide_next
from tests.support.ocpp_charger import on_site

ACTIONS = ("StartTransaction", "MeterValues", "StopTransaction")
ATTEMPTS = 3
OCPP = {
    "call_timeout_s": 5,
    "reconnect_max_s": 30,
    "keys": {"TransactionMessageAttempts": ATTEMPTS, "TransactionMessageRetryInterval": 10},
}

misbehaviour = st.builds(
    Behaviour,
    delay_s=st.sampled_from([0.0, 0.0, 1.0, 8.0]),
    refusal=st.sampled_from([None, None, "GenericError", "FormationViolation", "Nonsense"]),
    is_silent=st.booleans(),
    is_answer_lost=st.booleans(),
    is_cut=st.booleans(),
)


@settings(max_examples=40, deadline=None)
@given(
    misbehaviours=st.dictionaries(
        st.sampled_from((*ACTIONS, "Heartbeat", "BootNotification")), st.lists(misbehaviour, max_size=6), max_size=4
    ),
    outages_s=st.lists(st.sampled_from([1.0, 40.0, 3600.0]), max_size=3),
    next_transaction_id=st.sampled_from([0, 1, -5, 2**31 - 10]),
)
def test_messages_arrive_in_order_with_one_id_each(misbehaviours, outages_s, next_transaction_id):
    script = Script(next_transaction_id=next_transaction_id, heartbeat_interval_s=60)
    for action, behaviours in misbehaviours.items():
        script.expect(action, *behaviours)

    async def test(site, charger, central):
        site.is_central_judged = False
        for number in range(2):
            key = await charger.start(f"tx-{number}")
            for meter_wh in (300, 600):
                await asyncio.sleep(60.0)
                await charger.sample(key, meter_wh)
            await charger.stop(key)
            for outage_s in outages_s:
                central.is_reachable = False
                await central.drop()
                await asyncio.sleep(outage_s)
                central.is_reachable = True
        await charger.drained(86_400.0)
        await asyncio.sleep(120.0)
        parked = [message.message_id for message in await charger.store.parked_messages()]
        return central, parked

    with tempfile.TemporaryDirectory() as directory:
        central, parked = on_site(Path(directory), test, script, OCPP, is_accepted=False)

    taken = [one for one in central.received if one.action in ACTIONS]
    first_seen = list(dict.fromkeys(one.message_id for one in taken))
    # In order: what was queued first is taken in first. A parked one may be missing, or be taken in long after
    # its line went.
    stamps = [
        next(one.payload for one in taken if one.message_id == message_id)
        for message_id in first_seen
        if message_id not in parked
    ]
    order = [stamp.get("timestamp") or stamp["meter_value"][0]["timestamp"] for stamp in stamps]
    assert order == sorted(order)
    # Complete: eight messages, each either taken in or parked (or both, when only its answers were lost).
    assert len(set(first_seen) | set(parked)) == 8
    # Same id, same content.
    for message_id in first_seen:
        assert len({str(one.payload) for one in taken if one.message_id == message_id}) == 1
    # One transaction for each start, and never a placeholder: -1 only after a parked start.
    assert len(central.transactions) == len({one.message_id for one in taken if one.action == "StartTransaction"})
    known = set(central.transactions) | ({-1} if parked else set())
    assert {one.payload["transaction_id"] for one in taken if one.action != "StartTransaction"} <= known


@given(attempts=st.integers(-5, 100), interval_s=st.floats(0, 3600), sends=st.integers(1, 200))
def test_retries_end_and_waits_grow(attempts, interval_s, sends):
    decision = decide_next(sends, attempts, interval_s)
    if sends >= max(attempts, 1):
        assert decision == Park()
    else:
        assert decision == Retry(interval_s * sends)
