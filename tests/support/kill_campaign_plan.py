"""What a session of a kill campaign does, and where in it who is killed: drawn from a seed, never from a clock."""

import enum
import random
from dataclasses import dataclass

CLOSINGS = 6
"""What the wear guard of a connector grants in ten minutes of one kernel boot (security.md H16)."""


class Victim(enum.Enum):
    """Who gets the SIGKILL."""

    AGENT = "agent"
    GUARD = "guard"
    POWER = "power"
    """Guard, agent and the world with its co-processor at once; then a new boot on what lasts."""


class Moment(enum.Enum):
    """Where in a session; `Kill.delay_s` is counted from there."""

    IDLE = "before the plug"
    PLUGGED = "after the plug"
    SWIPED = "after the swipe"
    START_WRITE = "start: at a write to the disk"
    START_UNSENT = "start: committed, central system away"
    START_UNANSWERED = "start: sent, not answered"
    CHARGING = "charging"
    STOPPING = "after the order to stop"
    STOP_WRITE = "stop: at a write to the disk"
    STOP_UNSENT = "stop: committed, central system away"
    STOP_UNANSWERED = "stop: sent, not answered"
    DRAINING = "while the outbox drains"
    FINISHED = "stopped, still plugged in"
    STARTING_UP = "during the start-up after a kill"
    """Never planned by itself: see `Kill.again_s`."""


BEGINNINGS = (Moment.SWIPED, Moment.START_WRITE, Moment.START_UNSENT, Moment.START_UNANSWERED)
ENDINGS = (Moment.STOPPING, Moment.STOP_WRITE, Moment.STOP_UNSENT, Moment.STOP_UNANSWERED)
WRITES = (Moment.START_WRITE, Moment.STOP_WRITE)

_LONGEST_DELAY_S = {
    Moment.IDLE: 0.5,
    Moment.PLUGGED: 1.5,
    Moment.SWIPED: 1.0,
    Moment.START_WRITE: 0.020,
    Moment.START_UNSENT: 2.0,
    Moment.START_UNANSWERED: 1.0,
    Moment.CHARGING: 3.0,
    Moment.STOPPING: 5.0,
    Moment.STOP_WRITE: 0.020,
    Moment.STOP_UNSENT: 3.0,
    Moment.STOP_UNANSWERED: 1.0,
    Moment.DRAINING: 0.8,
    Moment.FINISHED: 1.0,
}
_STARTING_UP_S = 1.3
_MOST_WRITES = 6


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill, and those that follow it before all is up again."""

    moment: Moment
    delay_s: float = 0.0
    again_s: tuple[float, ...] = ()
    """The same victim is killed again so long after each of its starts."""
    down_s: float = 0.0
    """Guard and agent, but not at a write: kept down that long; 0: started again as the service manager does."""
    write: int = 1
    """At which write to the database, counted from 1, for the moments that are writes."""

    @property
    def count(self) -> int:
        """How many kills this is."""
        return 1 + len(self.again_s)


@dataclass(frozen=True, slots=True)
class Plan:
    """One session: plug, card, charge, stop, unplug."""

    tag: str
    connector: int
    victim: Victim
    kills: tuple[Kill, ...]
    charge_s: float = 1.0
    is_ended_by_unplug: bool = False
    is_offline: bool = False
    """The central system is away from before the card until the transaction is over."""
    is_resume_awaited: bool = True
    """After each kill energy flows again before the session goes on."""

    @property
    def count(self) -> int:
        """How many kills there are in it."""
        return sum(kill.count for kill in self.kills)

    def at(self, *moments: Moment) -> tuple[Kill, ...]:
        """The kills at these moments."""
        return tuple(kill for kill in self.kills if kill.moment in moments)


def draw_batch(seed: str, victim: Victim) -> tuple[Plan, ...]:
    """The sessions of one booted charger; within what the wear guard grants each connector."""
    dice = random.Random(seed)
    sessions = {Victim.AGENT: 8, Victim.GUARD: 2, Victim.POWER: 8}[victim]
    draw = {Victim.AGENT: _agent_session, Victim.GUARD: _guard_session, Victim.POWER: _power_session}[victim]
    return tuple(draw(dice, f"S{number}", 1 + number % 2) for number in range(sessions))


def _agent_session(dice: random.Random, tag: str, connector: int) -> Plan:
    is_offline = dice.random() < 0.25
    is_offline_moment = {Moment.START_UNANSWERED, Moment.STOP_UNANSWERED}
    moments = [dice.choice([at for at in BEGINNINGS if not (is_offline and at in is_offline_moment)])]
    moments += [Moment.CHARGING] * dice.randint(0, 2)
    moments += [dice.choice([at for at in ENDINGS if not (is_offline and at in is_offline_moment)])]
    moments += [at for at in (Moment.IDLE, Moment.PLUGGED, Moment.FINISHED) if dice.random() < 0.2]
    moments += [Moment.DRAINING] * is_offline
    kills = tuple(_kill(dice, at, may_hold=True) for at in moments)
    return _plan(dice, tag, connector, Victim.AGENT, kills, is_offline=is_offline)


def _guard_session(dice: random.Random, tag: str, connector: int) -> Plan:
    moments = [at for at in (Moment.IDLE, Moment.PLUGGED, Moment.SWIPED) if dice.random() < 0.4]
    moments += [Moment.CHARGING] * dice.randint(2, 3)
    moments += [at for at in (Moment.STOPPING, Moment.FINISHED) if dice.random() < 0.5]
    kills = tuple(_kill(dice, at, may_hold=True) for at in moments)
    return _plan(dice, tag, connector, Victim.GUARD, kills)


def _power_session(dice: random.Random, tag: str, connector: int) -> Plan:
    is_offline = dice.random() < 0.2
    moments = [dice.choice([Moment.SWIPED, Moment.START_WRITE, Moment.START_UNSENT] if is_offline else BEGINNINGS)]
    moments += [Moment.CHARGING] * dice.randint(0, 2)
    moments += [dice.choice([Moment.STOPPING, Moment.STOP_WRITE, Moment.STOP_UNSENT] if is_offline else ENDINGS)]
    moments += [at for at in (Moment.IDLE, Moment.PLUGGED, Moment.FINISHED) if dice.random() < 0.2]
    moments += [Moment.DRAINING] * is_offline
    kills = tuple(_kill(dice, at, may_hold=False) for at in moments)
    return _plan(dice, tag, connector, Victim.POWER, kills, is_offline=is_offline)


def _plan(
    dice: random.Random,
    tag: str,
    connector: int,
    victim: Victim,
    kills: tuple[Kill, ...],
    *,
    is_offline: bool = False,
) -> Plan:
    return Plan(
        tag,
        connector,
        victim,
        kills,
        charge_s=dice.uniform(0.0, 3.0),
        is_ended_by_unplug=dice.random() < 0.3,
        is_offline=is_offline,
        is_resume_awaited=victim is not Victim.POWER or dice.random() < 0.5,
    )


def _kill(dice: random.Random, moment: Moment, *, may_hold: bool) -> Kill:
    again = dice.choice([0] * 8 + [1, 1, 2])
    return Kill(
        moment,
        delay_s=dice.uniform(0.0, _LONGEST_DELAY_S[moment]),
        again_s=tuple(dice.uniform(0.0, _STARTING_UP_S) for _ in range(again)),
        down_s=dice.uniform(0.5, 7.0) if dice.random() < 0.2 and may_hold and moment not in WRITES else 0.0,
        write=dice.randint(1, _MOST_WRITES),
    )
