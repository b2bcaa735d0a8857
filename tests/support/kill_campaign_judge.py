"""Exactly one start and one stop for every session, with the energies of the plant's true register."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evcharge_agent.demo.central_script import Received, TransactionRecord
from evcharge_agent.demo.central_system import CentralSystem
from tests.support.kill_campaign_killer import Tally
from tests.support.kill_campaign_plan import Plan
from tests.support.rig import Json

_REGISTER = "Energy.Active.Import.Register"
SHORTFALL_WH = 30
"""What may be missing in a stop for loss of power, which ends with the register as last written."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What happened in one session, by the plant's register."""

    plan: Plan
    before_wh: int
    ordered_wh: int
    """When the order to stop was given."""
    after_wh: int


def judge(central: CentralSystem, truths: Sequence[Truth], tally: Tally) -> list[str]:
    """Every violation, in words; nobody but these sessions may have been told of."""
    starts, problems = _by_message(central.of("StartTransaction"), tally)
    stops, more = _by_message(central.of("StopTransaction"), tally)
    problems += more
    tags = [start.payload["id_tag"] for start in starts]
    known = {truth.plan.tag for truth in truths}
    problems += [f"{tag}: a start of no session" for tag in set(tags) - known]
    told = {record.transaction_id for record in central.transactions.values()}
    problems += [f"a stop of no transaction: {stop}" for stop in stops if stop.payload["transaction_id"] not in told]
    for truth in truths:
        problems += _judge_one(central, truth, stops, tags.count(truth.plan.tag), tally)
    return problems


def _judge_one(central: CentralSystem, truth: Truth, stops: list[Received], starts: int, tally: Tally) -> list[str]:
    tag = truth.plan.tag
    if starts != 1:
        return [f"{tag}: {starts} starts"]
    (record,) = (one for one in central.transactions.values() if one.id_tag == tag)
    own = [stop for stop in stops if stop.payload["transaction_id"] == record.transaction_id]
    if len(own) != 1:
        return [f"{tag}: {len(own)} stops"]
    problems = []
    if record.connector != truth.plan.connector:
        problems.append(f"{tag}: on connector {record.connector}")
    if record.meter_start_wh != truth.before_wh:
        problems.append(f"{tag}: began at {record.meter_start_wh} Wh, truly at {truth.before_wh} Wh")
    assert record.meter_stop_wh is not None
    missing_wh = truth.after_wh - record.meter_stop_wh
    if missing_wh:
        tally.shortfalls_wh.append(missing_wh)
    may_miss_wh = SHORTFALL_WH if record.reason == "PowerLoss" else 0
    if not 0 <= missing_wh <= may_miss_wh:
        problems.append(
            f"{tag}: ended at {record.meter_stop_wh} Wh, truly at {truth.after_wh} Wh"
            f" ({truth.ordered_wh} Wh when told to stop), {record.reason}"
        )
    return problems + _judge_samples(central, record)


def _judge_samples(central: CentralSystem, record: TransactionRecord) -> list[str]:
    values, problems = _by_message(
        [one for one in central.of("MeterValues") if one.payload.get("transaction_id") == record.transaction_id]
    )
    known = [wh for one in values for wh in _registers_wh(one.payload)]
    if known != sorted(known):
        problems.append(f"{record.id_tag}: the register fell: {known}")
    assert record.meter_stop_wh is not None
    if not all(record.meter_start_wh <= wh <= record.meter_stop_wh for wh in known):
        problems.append(
            f"{record.id_tag}: a sample outside of {record.meter_start_wh}..{record.meter_stop_wh}: {known}"
        )
    return problems


def _registers_wh(payload: Json) -> list[int]:
    """The central system keeps names in snake_case."""
    sampled = [sample for value in payload["meter_value"] for sample in value["sampled_value"]]
    return [round(float(one["value"])) for one in sampled if one.get("measurand", _REGISTER) == _REGISTER]


def _by_message(received: Sequence[Received], tally: Tally | None = None) -> tuple[list[Received], list[str]]:
    """The first of each message id, in order; a later one may only say the same again, but for a corrected clock."""
    grouped: dict[str, list[Received]] = defaultdict(list)
    for one in received:
        grouped[one.message_id].append(one)
    problems = [
        f"{message_id} was sent with different contents: {[one.payload for one in same]}"
        for message_id, same in grouped.items()
        if len({_contents(one.payload) for one in same}) > 1
    ]
    if tally is not None:
        tally.resent += len(received) - len(grouped)
    return [same[0] for same in grouped.values()], problems


def _contents(payload: Any) -> str:
    return json.dumps(_without_stamps(payload), sort_keys=True, default=str)


def _without_stamps(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_stamps(one) for name, one in value.items() if name != "timestamp"}
    if isinstance(value, list):
        return [_without_stamps(one) for one in value]
    return value
