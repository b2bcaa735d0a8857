"""The session table: what happens to one connector for each thing that can happen to it.

Rules of the file: a `Trigger` is decided elsewhere (whose card, which plug, which rule); here stands only
what it does in each phase. Every (phase, trigger) pair has a row; a move that needs to know whether a car
is plugged in has two targets. Nothing but `next_move` changes a phase.

A session runs IDLE, PLUGGED, AUTHORISING, AUTHORISED, STARTING, ACTIVE, STOPPING, FINISHED and back to
IDLE; identification may come before the plug. Energy may flow only in ACTIVE, which is reached only over
a start that is on the disk (DESIGN D12); leaving ACTIVE takes the permission away in the same step.

`python -m evcharge_agent.core.session` prints the table for docs/session-table.md.
"""

import enum
import sys
from collections.abc import Mapping
from dataclasses import dataclass


class Phase(enum.Enum):
    """Where a connector stands."""

    IDLE = "idle"
    PLUGGED = "plugged"
    AUTHORISING = "authorising"
    AUTHORISED = "authorised"
    STARTING = "starting"
    ACTIVE = "active"
    STOPPING = "stopping"
    FINISHED = "finished"
    RESUMING = "resuming"


class Trigger(enum.Enum):
    """What can happen to a session."""

    PLUG = "plug"
    UNPLUG = "unplug"
    UNPLUG_KEPT = "unplug_kept"
    CLAIM = "claim"
    ACCEPT = "accept"
    REFUSE = "refuse"
    LAPSE = "lapse"
    READY = "ready"
    COMMITTED = "committed"
    COMMIT_FAILED = "commit_failed"
    STOP = "stop"
    ENERGY_OFF = "energy_off"
    GO_ON = "go_on"


class Action(enum.Enum):
    """What a move does besides changing the phase."""

    IGNORE = "ignore"
    BIND = "bind"
    """Take the plug."""
    UNBIND = "unbind"
    """Forget the plug, keep the rest."""
    CLEAR = "clear"
    """Forget plug and refusal."""
    ASK = "ask"
    """Take the claim and seek a verdict."""
    GRANT = "grant"
    """Keep the verdict; the time-out begins."""
    DROP = "drop"
    """Give up the claim and say why."""
    START = "start"
    """Write the start."""
    OPEN = "open"
    """The transaction is open: first sample; a held stop follows at once."""
    HOLD_STOP = "hold_stop"
    """Remember the stop until the start is on the disk."""
    RECORD_STOP = "record_stop"
    """Withdraw the permission, write the stop; it goes out when the last register is read."""


PHASE_MEANING: Mapping[Phase, str] = {
    Phase.IDLE: "Nothing plugged in, nobody authorised.",
    Phase.PLUGGED: "A car waits for authorisation.",
    Phase.AUTHORISING: "An id was presented and the verdict is awaited.",
    Phase.AUTHORISED: "Accepted; waits for the car (ConnectionTimeOut), the guard and a meter value.",
    Phase.STARTING: "The start is being written; no energy yet.",
    Phase.ACTIVE: "An open transaction.",
    Phase.STOPPING: "The stop is written, but held, and the permission withdrawn; the contactor is not proven open.",
    Phase.FINISHED: "No transaction, the cable still in; the stop goes out with the next reading.",
    Phase.RESUMING: "A transaction of an earlier run; the guard has not yet told what became of the plug.",
}

TRIGGER_MEANING: Mapping[Trigger, str] = {
    Trigger.PLUG: "A car is there that was not.",
    Trigger.UNPLUG: "The car has gone, and with it what needs it.",
    Trigger.UNPLUG_KEPT: "The car has gone, but its transaction survives (StopTransactionOnEVSideDisconnect = false).",
    Trigger.CLAIM: "Somebody wants to charge.",
    Trigger.ACCEPT: "The id is accepted.",
    Trigger.REFUSE: "The id is not accepted, or the session may not begin.",
    Trigger.LAPSE: "ConnectionTimeOut is over.",
    Trigger.READY: "Car, authorisation, guard and meter value are all there, and the stop before has gone out.",
    Trigger.COMMITTED: "The start is on the disk.",
    Trigger.COMMIT_FAILED: "The start could not be written.",
    Trigger.STOP: "Tag, remote, page, de-authorisation, lost meter, power loss: the session shall end.",
    Trigger.ENERGY_OFF: "The contactor is proven open; the next reading is what the stop ends with.",
    Trigger.GO_ON: "After a restart or power loss the same transaction goes on with the plug that is there.",
}


@dataclass(frozen=True, slots=True)
class Move:
    """One row: what to do and where it leads."""

    action: Action
    with_car: Phase
    without_car: Phase

    def target(self, is_plugged: bool) -> Phase:
        """Phase after the move; `is_plugged` as it is after the event."""
        return self.with_car if is_plugged else self.without_car


_A, _P, _T = Action, Phase, Trigger

_ROWS: Mapping[Phase, Mapping[Trigger, tuple[Action, Phase, Phase]]] = {
    _P.IDLE: {
        _T.PLUG: (_A.BIND, _P.PLUGGED, _P.PLUGGED),
        _T.CLAIM: (_A.ASK, _P.AUTHORISING, _P.AUTHORISING),
    },
    _P.PLUGGED: {
        _T.PLUG: (_A.BIND, _P.PLUGGED, _P.PLUGGED),
        _T.UNPLUG: (_A.CLEAR, _P.IDLE, _P.IDLE),
        _T.CLAIM: (_A.ASK, _P.AUTHORISING, _P.AUTHORISING),
        # "Plugged but never authorised: after ConnectionTimeOut -> Finishing" (ocpp16.md).
        _T.LAPSE: (_A.DROP, _P.FINISHED, _P.IDLE),
    },
    _P.AUTHORISING: {
        _T.PLUG: (_A.BIND, _P.AUTHORISING, _P.AUTHORISING),
        _T.UNPLUG: (_A.UNBIND, _P.AUTHORISING, _P.AUTHORISING),
        _T.ACCEPT: (_A.GRANT, _P.AUTHORISED, _P.AUTHORISED),
        _T.REFUSE: (_A.DROP, _P.PLUGGED, _P.IDLE),
        _T.LAPSE: (_A.DROP, _P.FINISHED, _P.IDLE),
        _T.STOP: (_A.DROP, _P.FINISHED, _P.IDLE),
    },
    _P.AUTHORISED: {
        _T.PLUG: (_A.BIND, _P.AUTHORISED, _P.AUTHORISED),
        _T.UNPLUG: (_A.UNBIND, _P.AUTHORISED, _P.AUTHORISED),
        _T.REFUSE: (_A.DROP, _P.FINISHED, _P.IDLE),
        _T.LAPSE: (_A.DROP, _P.FINISHED, _P.IDLE),
        _T.READY: (_A.START, _P.STARTING, _P.AUTHORISED),
        _T.STOP: (_A.DROP, _P.FINISHED, _P.IDLE),
    },
    _P.STARTING: {
        _T.PLUG: (_A.BIND, _P.STARTING, _P.STARTING),
        _T.UNPLUG: (_A.HOLD_STOP, _P.STARTING, _P.STARTING),
        _T.UNPLUG_KEPT: (_A.UNBIND, _P.STARTING, _P.STARTING),
        _T.COMMITTED: (_A.OPEN, _P.ACTIVE, _P.ACTIVE),
        _T.COMMIT_FAILED: (_A.DROP, _P.FINISHED, _P.IDLE),
        _T.STOP: (_A.HOLD_STOP, _P.STARTING, _P.STARTING),
        _T.GO_ON: (_A.BIND, _P.STARTING, _P.STARTING),
    },
    _P.ACTIVE: {
        _T.PLUG: (_A.BIND, _P.ACTIVE, _P.ACTIVE),
        _T.UNPLUG: (_A.RECORD_STOP, _P.STOPPING, _P.IDLE),
        _T.UNPLUG_KEPT: (_A.UNBIND, _P.ACTIVE, _P.ACTIVE),
        _T.STOP: (_A.RECORD_STOP, _P.STOPPING, _P.IDLE),
        _T.GO_ON: (_A.BIND, _P.ACTIVE, _P.ACTIVE),
    },
    _P.STOPPING: {
        _T.PLUG: (_A.BIND, _P.STOPPING, _P.STOPPING),
        _T.UNPLUG: (_A.CLEAR, _P.IDLE, _P.IDLE),
        _T.ENERGY_OFF: (_A.IGNORE, _P.FINISHED, _P.IDLE),
    },
    _P.FINISHED: {
        _T.PLUG: (_A.BIND, _P.PLUGGED, _P.PLUGGED),
        _T.UNPLUG: (_A.CLEAR, _P.IDLE, _P.IDLE),
        # OCPP 1.6 status transition F2: the same car may be authorised again.
        _T.CLAIM: (_A.ASK, _P.AUTHORISING, _P.AUTHORISING),
    },
    _P.RESUMING: {
        _T.STOP: (_A.RECORD_STOP, _P.STOPPING, _P.IDLE),
        _T.GO_ON: (_A.BIND, _P.ACTIVE, _P.ACTIVE),
    },
}

_IGNORED: Mapping[Phase, frozenset[Trigger]] = {
    # Late news of something that is over changes nothing; nothing is running that could be stopped.
    _P.IDLE: frozenset(Trigger) - {_T.PLUG, _T.CLAIM},
    _P.PLUGGED: frozenset(
        {
            *(_T.UNPLUG_KEPT, _T.ACCEPT, _T.REFUSE, _T.READY, _T.COMMITTED, _T.COMMIT_FAILED),
            *(_T.STOP, _T.ENERGY_OFF, _T.GO_ON),
        }
    ),
    # The connector is taken: a second claim waits for its turn (it is answered "busy").
    _P.AUTHORISING: frozenset(
        {_T.UNPLUG_KEPT, _T.CLAIM, _T.READY, _T.COMMITTED, _T.COMMIT_FAILED, _T.ENERGY_OFF, _T.GO_ON}
    ),
    _P.AUTHORISED: frozenset(
        {_T.UNPLUG_KEPT, _T.CLAIM, _T.ACCEPT, _T.COMMITTED, _T.COMMIT_FAILED, _T.ENERGY_OFF, _T.GO_ON}
    ),
    # The write cannot be called back; what ends the session is held until it is done.
    _P.STARTING: frozenset({_T.CLAIM, _T.ACCEPT, _T.REFUSE, _T.LAPSE, _T.READY, _T.ENERGY_OFF}),
    _P.ACTIVE: frozenset(
        {*(_T.CLAIM, _T.ACCEPT, _T.REFUSE, _T.LAPSE, _T.READY, _T.COMMITTED, _T.COMMIT_FAILED), _T.ENERGY_OFF}
    ),
    _P.STOPPING: frozenset(Trigger) - {_T.PLUG, _T.UNPLUG, _T.ENERGY_OFF},
    _P.FINISHED: frozenset(Trigger) - {_T.PLUG, _T.UNPLUG, _T.CLAIM},
    # What became of the plug is decided in one place (`continuation`), and comes as STOP or GO_ON.
    _P.RESUMING: frozenset(Trigger) - {_T.STOP, _T.GO_ON},
}


def _table() -> Mapping[tuple[Phase, Trigger], Move]:
    moves = {(phase, trigger): Move(*row) for phase, rows in _ROWS.items() for trigger, row in rows.items()}
    idle = {(phase, trigger): Move(_A.IGNORE, phase, phase) for phase, names in _IGNORED.items() for trigger in names}
    return moves | idle


TABLE: Mapping[tuple[Phase, Trigger], Move] = _table()
"""Every pair, decided by exactly one of the two lists above (tests/unit/core/test_session.py)."""


def next_move(phase: Phase, trigger: Trigger) -> Move:
    """The move for a trigger in a phase."""
    return TABLE[phase, trigger]


def as_markdown() -> str:
    """The table as docs/session-table.md shows it."""
    lines = [
        "# The session table",
        "",
        "Generated by `python -m evcharge_agent.core.session`; do not edit.",
        "",
        "A cell says *action* → next phase; `a / b` is with a car / without; `·` leaves everything as it is.",
        "",
        "## Phases",
        "",
        *(f"- **{phase.name}**: {PHASE_MEANING[phase]}" for phase in Phase),
        "",
        "## Triggers",
        "",
        *(f"- **{trigger.name}**: {TRIGGER_MEANING[trigger]}" for trigger in Trigger),
        "",
        "## Moves",
        "",
        "| trigger | " + " | ".join(phase.name for phase in Phase) + " |",
        "|---|" + "---|" * len(Phase),
        *(
            f"| {trigger.name} | " + " | ".join(_cell(phase, TABLE[phase, trigger]) for phase in Phase) + " |"
            for trigger in Trigger
        ),
        "",
    ]
    return "\n".join(lines)


def _cell(phase: Phase, move: Move) -> str:
    if move.action is Action.IGNORE and move.with_car is move.without_car is phase:
        return "·"
    target = move.with_car.name
    if move.without_car is not move.with_car:
        target += f" / {move.without_car.name}"
    return f"{move.action.value} → {target}"


if __name__ == "__main__":
    sys.stdout.write(as_markdown())
