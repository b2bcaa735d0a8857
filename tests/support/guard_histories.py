"""Histories: what may happen around the guard's core, as data that can be drawn at random and replayed.

A history charges first, or starts with cars that ask already; then acts follow each other, with time between.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from evcharge_hal.contract.faults import FaultCode
from evcharge_hal.contract.pilot import CoprocessorFault, PilotOutput, PilotReport, PilotState
from evcharge_hal.guard.events import LeaveOrdered
from tests.support.guard_world import Spot, World

Action = Callable[[World, Spot, random.Random], None]


def _set(**values: object) -> Action:
    def act(_world: World, spot: Spot, _random: random.Random) -> None:
        for name, value in values.items():
            setattr(spot, name, value)

    return act


def _unplug(_world: World, spot: Spot, _random: random.Random) -> None:
    spot.car, spot.pp_ohm = PilotState.A, 220.0


def _ask(world: World, spot: Spot, _random: random.Random) -> None:
    world.plug(spot.number, PilotState.C)


def _offer(world: World, spot: Spot, rng: random.Random) -> None:
    world.wish(
        spot.number,
        rng.choice([0.0, 5.9, 6.0, 8.3, 16.0, 32.0, 63.0]),
        permission=rng.random() < 0.85,
        on_lapse_a=rng.choice([0.0, 6.0, 10.0, 32.0]),
        hold_s=rng.choice([0.0, 5.0, 120.0]),
        restrict_at_s=rng.choice([None, None, world.now_s + 8.0]),
    )


def _clear_any(world: World, spot: Spot, rng: random.Random) -> None:
    world.clear(rng.choice([FaultCode.RCM_TRIP, FaultCode.RCM_SELF_TEST, FaultCode.CONTACTOR_WELDED]), spot.number)


def _toggle_link(world: World, _spot: Spot, _random: random.Random) -> None:
    if world.is_link_up:
        world.disconnect()
    else:
        world.connect()


def _heal(world: World, spot: Spot, _random: random.Random) -> None:
    for name in (
        "leaks",
        "is_test_broken",
        "is_welded",
        "is_stuck_open",
        "is_silent",
        "refuses_permit",
        "is_lock_jammed",
    ):
        setattr(spot, name, False)
    spot.wound, spot.has_diode, spot.temperature_c, spot.sample_age_s = None, True, 25.0, 0.005
    spot.is_agent_silent, spot.wish_plug_id, spot.rcm_release_s = False, None, 0.0
    spot.active = CoprocessorFault.NONE
    if spot.pp_ohm not in (100.0, 220.0, 680.0, 1500.0):
        spot.pp_ohm = 220.0
    for code in (FaultCode.RCM_TRIP, FaultCode.RCM_SELF_TEST, FaultCode.CONTACTOR_WELDED):
        world.clear(code, spot.number)
    if not world.is_link_up:
        world.connect()


def _recover(world: World, spot: Spot, rng: random.Random) -> None:
    """All is well again and the car asks: what does not close now is held by a law."""
    _heal(world, spot, rng)
    if spot.wish_plug_id is None:
        world.wish(spot.number, rng.choice([10.0, 32.0]))
    world.plug(spot.number, PilotState.C)
    world.run(8.0)


def _flap(world: World, spot: Spot, _random: random.Random) -> None:
    for _ in range(3):
        spot.car = PilotState.B if spot.car is PilotState.C else spot.car
        world.run(0.7)
        spot.car = PilotState.C if spot.car is PilotState.B else spot.car
        world.run(1.9)


def _hard_reset(world: World, _spot: Spot, rng: random.Random) -> None:
    """The agent orders a reset; after a while another process takes over."""
    world.feed(LeaveOrdered())
    world.run(rng.choice([0.4, 2.5, 7.0]))
    world.restart_guard()


def _lie(world: World, spot: Spot, rng: random.Random) -> None:
    """One report that does not fit the world; without a handshake a driver reports nothing."""
    if not world.is_link_up:
        return
    report = world.report(spot)
    lies: Sequence[PilotReport] = (
        replace(report, state=rng.choice(list(PilotState))),
        replace(report, output=rng.choice(list(PilotOutput))),
        replace(report, is_permitted=not report.is_permitted),
        replace(report, low_v=rng.choice([-12.0, -9.0, 6.0, 0.0])),
        replace(report, plug_count=report.plug_count + rng.choice([-1, 1])),
        replace(report, boot_count=report.boot_count + 1),
        replace(report, pp_ohm=rng.choice([None, 40.0, 100.0, 680.0])),
        replace(report, active=rng.choice(list(CoprocessorFault))),
        replace(report, latched=rng.choice(list(CoprocessorFault))),
        replace(report, sample_age_s=rng.choice([0.29, 0.31, 1.2])),
    )
    lie = rng.choice(lies)
    world.feed(lie)
    # A driver that sees another boot has lost the link.
    world.is_link_up = lie.boot_count == world.boot_count


ACTIONS: Mapping[str, Action] = {
    "plug": lambda world, spot, _random: world.plug(spot.number),
    "unplug": _unplug,
    "ask": _ask,
    "ask_again": _ask,
    "let_go": _set(car=PilotState.B),
    "ventilation": _set(car=PilotState.D),
    "heal": _heal,
    "recover": _recover,
    "recover_again": _recover,
    "flap": _flap,
    "lie": _lie,
    "lie_again": _lie,
    "offer": _offer,
    "offer_again": _offer,
    "small_offer": lambda world, spot, _random: world.wish(spot.number, 5.9),
    "tight_offer": lambda world, spot, _random: world.wish(spot.number, 6.0, on_lapse_a=16.0),
    "full_offer": lambda world, spot, _random: world.wish(spot.number, 32.0),
    "short": _set(wound=PilotState.E),
    "gap": _set(wound=PilotState.INVALID),
    "negative": _set(wound=PilotState.F),
    "break_diode": _set(has_diode=False),
    "leak": _set(leaks=True),
    "slow_rcm": _set(rcm_release_s=2.5),
    "break_rcm_test": _set(is_test_broken=True),
    "weld": _set(is_welded=True),
    "jam_lock": _set(is_lock_jammed=True),
    "lose_supply": _set(active=CoprocessorFault.SUPPLY_FAILING),
    "lose_lock": _set(is_lock_jammed=True, is_locked=False),
    "unlock": lambda world, spot, _random: world.unlock(spot.number),
    "stop": lambda world, spot, _random: world.wish(spot.number, permission=False),
    "block": _set(is_stuck_open=True),
    "hot": _set(temperature_c=66.0),
    "warm": _set(temperature_c=62.5),
    "lose_sensor": _set(temperature_c=None),
    "thin_cable": _set(pp_ohm=1500.0),
    "bad_cable": _set(pp_ohm=40.0),
    "silence": _set(is_silent=True),
    "old_samples": _set(sample_age_s=0.6),
    "refuse_permit": _set(refuses_permit=True),
    "silence_agent": _set(is_agent_silent=True),
    "stale_agent": _set(wish_plug_id="someone-else"),
    "clear": _clear_any,
    "toggle_link": _toggle_link,
    "reboot": lambda world, _spot, _random: world.reboot_coprocessor(),
    "overcurrent": lambda world, spot, _random: world.raise_fault(FaultCode.OVERCURRENT, spot.number),
    "hard_reset": _hard_reset,
    "leave": lambda world, _spot, _random: world.feed(LeaveOrdered()),
    "restart_guard": lambda world, _spot, _random: world.restart_guard(),
    "stall": lambda world, _spot, rng: world.stall(rng.choice([0.2, 0.9, 1.5, 6.0])),
}
DURATIONS_S = (0.03, 0.13, 0.31, 1.07, 2.5, 4.03, 11.0)


@dataclass(frozen=True, slots=True)
class Act:
    """One line of a history."""

    name: str
    connector: int
    then_s: float


def play(world: World, history: Sequence[Act], seed: int) -> None:
    """Charge on every connector, or start with cars that ask already, then let the history happen."""
    rng = random.Random(seed)
    for number, spot in world.spots.items():
        if rng.random() < 0.25:
            spot.car, spot.plug_count = PilotState.C, 0
            world.connect()
            world.run(0.2)
            world.wish(number, 32.0)
            world.run(9.0)
        else:
            world.charge(number, offer_a=rng.choice([10.0, 16.0, 32.0]))
    for act in history:
        ACTIONS[act.name](world, world.spots[act.connector], rng)
        world.run(act.then_s)


def random_history(seed: int, connectors: int, length: int = 25) -> list[Act]:
    """A reproducible history."""
    rng = random.Random(seed)
    names = list(ACTIONS)
    return [Act(rng.choice(names), rng.randint(1, connectors), rng.choice(DURATIONS_S)) for _ in range(length)]
