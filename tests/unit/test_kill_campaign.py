"""The kill campaigns' own judge finds what it is there for, and their plans are what a charger allows."""

import subprocess
import sys
from pathlib import Path

import pytest

from evcharge_agent.demo.central_system import CentralSystem
from tests.support.kill_campaign import Orders
from tests.support.kill_campaign_evidence import Found, look
from tests.support.kill_campaign_judge import Truth, judge
from tests.support.kill_campaign_killer import Tally
from tests.support.kill_campaign_plan import CLOSINGS, Kill, Moment, Plan, Victim, draw_batch
from tests.support.kill_campaign_watch import WriteTrigger

PLAN = Plan("S0", 1, Victim.AGENT, (Kill(Moment.CHARGING),))
TRUTH = Truth(PLAN, before_wh=100, ordered_wh=150, after_wh=155)


def start(central, message_id="start-1", id_tag="S0", connector=1, wh=100, stamp="2026-01-01T00:00:00Z"):
    payload = {"connector_id": connector, "id_tag": id_tag, "meter_start": wh, "timestamp": stamp}
    central.start(message_id, payload)


def stop(central, message_id="stop-1", transaction_id=1, wh=155, reason="Local"):
    stamp = "2026-01-01T00:01:00Z"
    payload = {"transaction_id": transaction_id, "meter_stop": wh, "timestamp": stamp, "reason": reason}
    central.stop_transaction(message_id, payload)


def sample(central, message_id, *registers_wh):
    sampled = [{"value": str(wh)} for wh in registers_wh]
    central.add_meter_values(
        message_id, {"transaction_id": 1, "meter_value": [{"timestamp": "", "sampled_value": sampled}]}
    )


def verdict(central, truth=TRUTH):
    tally = Tally()
    return judge(central, [truth], tally), tally


def test_one_start_and_one_stop_with_the_true_register_are_right():
    central = CentralSystem()
    start(central)
    sample(central, "values-1", 100, 120)
    sample(central, "values-2", 120)
    stop(central)
    assert verdict(central)[0] == []


def test_what_is_sent_again_with_its_own_id_is_the_same_message():
    central = CentralSystem()
    start(central)
    start(central, stamp="2026-01-01T00:00:07Z")  # the clock was corrected in between
    sample(central, "values-1", 120)
    sample(central, "values-1", 120)
    stop(central)
    stop(central)
    problems, tally = verdict(central)
    assert problems == []
    assert tally.resent == 2


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ([start, lambda at: start(at, "start-2"), stop], "2 starts"),
        ([], "0 starts"),
        ([start], "0 stops"),
        ([start, stop, lambda at: stop(at, "stop-2")], "2 stops"),
        ([start, stop, lambda at: stop(at, "stop-2", transaction_id=9)], "a stop of no transaction"),
        ([start, stop, lambda at: start(at, "start-2", id_tag="S1")], "a start of no session"),
        ([lambda at: start(at, wh=101), stop], "began at 101 Wh"),
        ([lambda at: start(at, connector=2), stop], "on connector 2"),
        ([start, lambda at: stop(at, wh=154)], "ended at 154 Wh"),
        ([start, lambda at: stop(at, wh=156)], "ended at 156 Wh"),
        ([start, lambda at: start(at, wh=99), stop], "different contents"),
        ([start, lambda at: sample(at, "values-1", 120, 119), stop], "the register fell"),
        ([start, lambda at: sample(at, "values-1", 99), stop], "outside of 100..155"),
        ([start, stop, lambda at: sample(at, "values-1", 156)], "outside of 100..155"),
    ],
)
def test_planted(wrong, said):
    central = CentralSystem()
    for act in wrong:
        act(central)
    problems, _ = verdict(central)
    assert any(said in problem for problem in problems), problems


@pytest.mark.parametrize(
    ("reason", "wh", "is_right"),
    [
        ("PowerLoss", 125, True),
        ("PowerLoss", 124, False),
        ("PowerLoss", 156, False),
        ("Local", 154, False),
    ],
)
def test_a_last_reading_may_be_missing_where_the_power_was_lost(reason, wh, is_right):
    central = CentralSystem()
    start(central)
    stop(central, wh=wh, reason=reason)
    problems, tally = verdict(central, TRUTH)
    assert (problems == []) is is_right
    assert tally.shortfalls_wh == [155 - wh]


@pytest.mark.parametrize("victim", Victim)
def test_a_batch_depends_on_its_seed_alone_and_keeps_within_the_wear_guard(victim):
    assert draw_batch("7-0", victim) == draw_batch("7-0", victim) != draw_batch("7-1", victim)
    for seed in range(50):
        plans = draw_batch(str(seed), victim)
        assert len({plan.tag for plan in plans}) == len(plans)
        if victim is Victim.POWER:
            continue  # every cut is another kernel boot
        for connector in (1, 2):
            own = [plan for plan in plans if plan.connector == connector]
            reclosed = (
                sum(len(plan.at(Moment.SWIPED, Moment.CHARGING)) for plan in own) if victim is Victim.GUARD else 0
            )
            assert len(own) + reclosed <= CLOSINGS


def test_every_moment_is_drawn():
    drawn = {
        kill.moment
        for victim in Victim
        for seed in range(50)
        for plan in draw_batch(str(seed), victim)
        for kill in plan.kills
    }
    assert drawn == set(Moment) - {Moment.STARTING_UP}


def test_the_environment_chooses_seed_batch_and_counts(monkeypatch):
    monkeypatch.setenv("EVC_SOAK_SEED", "4711/3")
    monkeypatch.setenv("EVC_SOAK_KILLS", "guard=7")
    assert Orders.read(Victim.GUARD) == Orders("4711", 3, 7)
    assert Orders.read(Victim.POWER) == Orders("4711", 3, 200)
    monkeypatch.setenv("EVC_SOAK_KILLS", "guards=7")
    with pytest.raises(ValueError, match="allowed: agent, guard, power"):
        Orders.read(Victim.GUARD)


@pytest.mark.parametrize(("count", "is_killed"), [(3, True), (4, False)])
def test_a_process_is_killed_at_its_nth_write(tmp_path: Path, count: int, is_killed: bool) -> None:
    path = tmp_path / "file"
    path.touch()
    script = "import sys\nfor line in sys.stdin: open(sys.argv[1], 'a').write(line); print(flush=True)"
    command = [sys.executable, "-c", script, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        trigger = WriteTrigger(path, [process.pid], count, delay_s=0.0, within_s=10.0 if is_killed else 1.0)
        for _ in range(3):
            process.stdin.write("x\n")
            process.stdin.flush()
            process.stdout.readline()
            # The kernel makes one event of equal ones that nobody has read yet.
            (tmp_path / "another").write_text("does not count")
        fired_s = trigger.wait()
        process.stdin.close()
        assert (fired_s is not None) is is_killed
        assert process.wait(10.0) == (-9 if is_killed else 0)


def test_without_a_database_nothing_was_found(tmp_path: Path) -> None:
    assert look(tmp_path, set()) == Found()
    assert list(tmp_path.iterdir()) == []
