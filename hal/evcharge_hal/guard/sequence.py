"""The IEC 61851 sequence of one connector, as a table that can be printed.

Rules of this file
==================
- The table decides; nothing else changes the sequence state. Every (state, signal) pair is written down.
- A signal is the *first* line of `Signal` that holds now, worked out by `guard.closing.classify`; its
  order is the order of urgency, so a fault hides a wish and never the other way round.
- What the outputs do depends on the state alone (`OUTPUTS`). The contactor's coil needs the relay line *and*
  the co-processor's permit; only CLOSING, CHARGING and STOPPING energise the relay line.
- `python -m evcharge_hal.guard.sequence` prints `docs/guard-sequence.md`; a test keeps the file in step.

Theory
======
IEC 61851-1 Annex A names a letter for the vehicle (A absent, B connected, C asks for energy) and a digit for
the station (1: steady +12 V, 2: PWM). The contactor is closed only in C2. Going up takes one proof per state:

    CONNECTED (B1) -- offer --> OFFERED (B2) -- C --> REQUESTED -- every condition --> PERMITTING
        -- permit reported --> CLOSING -- feedback --> CHARGING (C2)

Going down has two ways. At once: a fault, an unplugged or replaced car, a car that opened S2, a permit that
vanished, a co-processor that rebooted. Gracefully through STOPPING: PWM away, the car must leave C, and is cut
off under load when its time is over (Table A.6 seq 8, 10.2). A stop that has begun is finished; what comes
after is a new closing with all its conditions.
"""

import enum
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from evcharge_hal.contract.pilot import PilotOutput


class SequenceState(enum.Enum):
    """Where one connector is."""

    START_UP = "start_up"
    """No usable word from the co-processor yet, or no more."""
    EMPTY = "empty"
    """A."""
    CONNECTED = "connected"
    """B1, or C1 with a car that does not let go; nothing is offered."""
    OFFERED = "offered"
    """B2."""
    REQUESTED = "requested"
    """The car asks for energy; a condition for closing is missing."""
    PERMITTING = "permitting"
    """All conditions hold; the co-processor is asked for its permit."""
    CLOSING = "closing"
    """The relay is driven; the feedback is awaited."""
    CHARGING = "charging"
    """C2, closed."""
    STOPPING = "stopping"
    """C1, still closed: the car has to let go."""
    TRIPPED = "tripped"
    """A fault that may not wait is latched."""


class Signal(enum.Enum):
    """What is true now; the first line that holds is the signal."""

    TRIP = "trip"
    """A fault of severity TRIP is latched."""
    OVERDUE = "overdue"
    """The time of this state is over (STOPPING, PERMITTING)."""
    LOST = "lost"
    """The co-processor gives no fresh word."""
    UNREADY = "unready"
    """No handshake, or no report since the co-processor started."""
    GONE = "gone"
    """State A, or another car than the sequence was running for."""
    B_PAUSED = "b_paused"
    """Vehicle in B, nothing may be offered."""
    B_OFFERED = "b_offered"
    """Vehicle in B, a current may be offered."""
    C_REFUSED = "c_refused"
    """Vehicle in C, nothing may be offered, no permit reported."""
    C_PAUSED = "c_paused"
    """Vehicle in C, nothing may be offered; the co-processor reports its permit."""
    C_HELD = "c_held"
    """Vehicle in C, offered; a closing condition is missing; no permit reported."""
    C_READY = "c_ready"
    """Vehicle in C, offered; every closing condition holds; no permit reported."""
    C_PERMITTED_HELD = "c_permitted_held"
    """As C_HELD, and the co-processor reports its permit."""
    C_PERMITTED = "c_permitted"
    """As C_READY, and the co-processor reports its permit."""
    C_CLOSED = "c_closed"
    """Vehicle in C, permit reported, relay driven, and the feedback says closed (or there is none)."""


@dataclass(frozen=True, slots=True)
class Output:
    """What a state drives."""

    pilot: PilotOutput
    permit: bool
    is_relay_closed: bool


_X1, _X2 = PilotOutput.X1, PilotOutput.X2

OUTPUTS: Mapping[SequenceState, Output] = {
    SequenceState.START_UP: Output(_X1, permit=False, is_relay_closed=False),
    SequenceState.EMPTY: Output(_X1, permit=False, is_relay_closed=False),
    SequenceState.CONNECTED: Output(_X1, permit=False, is_relay_closed=False),
    SequenceState.OFFERED: Output(_X2, permit=False, is_relay_closed=False),
    SequenceState.REQUESTED: Output(_X2, permit=False, is_relay_closed=False),
    SequenceState.PERMITTING: Output(_X2, permit=True, is_relay_closed=False),
    SequenceState.CLOSING: Output(_X2, permit=True, is_relay_closed=True),
    SequenceState.CHARGING: Output(_X2, permit=True, is_relay_closed=True),
    SequenceState.STOPPING: Output(_X1, permit=True, is_relay_closed=True),
    SequenceState.TRIPPED: Output(_X1, permit=False, is_relay_closed=False),
}

_COLUMNS = tuple(SequenceState)
_SHORT = {
    "strt": SequenceState.START_UP,
    "empt": SequenceState.EMPTY,
    "conn": SequenceState.CONNECTED,
    "offr": SequenceState.OFFERED,
    "rqst": SequenceState.REQUESTED,
    "perm": SequenceState.PERMITTING,
    "clos": SequenceState.CLOSING,
    "chrg": SequenceState.CHARGING,
    "stop": SequenceState.STOPPING,
    "trip": SequenceState.TRIPPED,
}

# One row for each signal, one column for each state in the order of SequenceState. A dot stays where it is.
# fmt: off
_ROWS: Mapping[Signal, str] = {
    #                         START EMPTY CONN  OFFER REQST PERM  CLOSE CHARG STOP  TRIP
    Signal.TRIP:             "trip  trip  trip  trip  trip  trip  trip  trip  trip  .   ",
    # Table A.6 seq 10.2: a car that does not let go is cut off; a permit that never came is asked for anew.
    Signal.OVERDUE:          ".     .     .     .     .     rqst  .     .     conn  .   ",
    # DESIGN D2: the guard follows the co-processor's stages; STOPPING ends by its deadline, 3 s after the loss.
    Signal.LOST:             ".     strt  strt  strt  strt  strt  strt  stop  .     strt",
    # The co-processor has booted: its pilot and permit are gone, and the car with them.
    Signal.UNREADY:          ".     strt  strt  strt  strt  strt  strt  strt  strt  strt",
    # seq 2.2: unplugged, even under load, is open within 100 ms.
    Signal.GONE:             "empt  .     empt  empt  empt  empt  empt  empt  empt  empt",
    # seq 7: the car has opened S2; the contactor is open within 100 ms.
    Signal.B_PAUSED:         "conn  conn  .     conn  conn  conn  conn  conn  conn  conn",
    Signal.B_OFFERED:        "conn  conn  offr  .     offr  offr  offr  offr  conn  conn",
    Signal.C_REFUSED:        "conn  conn  .     conn  conn  conn  conn  conn  conn  conn",
    # seq 8: the station stops; pilot first, contactor after. Before CHARGING is proven nothing is drawn: open.
    Signal.C_PAUSED:         "conn  conn  .     conn  conn  conn  conn  stop  .     conn",
    Signal.C_HELD:           "conn  conn  rqst  rqst  .     rqst  rqst  rqst  conn  conn",
    # seq 4: closed within 3 s of C, in three proofs.
    Signal.C_READY:          "conn  conn  rqst  rqst  perm  .     rqst  rqst  conn  conn",
    Signal.C_PERMITTED_HELD: "conn  conn  rqst  rqst  .     rqst  .     .     .     conn",
    Signal.C_PERMITTED:      "conn  conn  rqst  rqst  .     clos  .     .     .     conn",
    Signal.C_CLOSED:         "conn  conn  rqst  rqst  .     rqst  chrg  .     .     conn",
}
# fmt: on

TABLE: Mapping[SequenceState, Mapping[Signal, SequenceState]] = {
    state: {
        signal: state if row.split()[column] == "." else _SHORT[row.split()[column]] for signal, row in _ROWS.items()
    }
    for column, state in enumerate(_COLUMNS)
}


def render_markdown() -> str:
    """The table, the outputs and a diagram, as `docs/guard-sequence.md` shows them."""
    lines = [
        "# The guard's sequence",
        "",
        "Generated from the table: `python -m evcharge_hal.guard.sequence > docs/guard-sequence.md`.",
        "",
        "## Outputs of each state",
        "",
        "| state | pilot | permit | relay |",
        "|---|---|---|---|",
        *(
            f"| {state.name} | {output.pilot.name} | {'yes' if output.permit else 'no'} | "
            f"{'closed' if output.is_relay_closed else 'open'} |"
            for state, output in OUTPUTS.items()
        ),
        "",
        "## Next state",
        "",
        "Signals are in order of urgency; the first that holds counts. A dash stays.",
        "",
        "| signal | " + " | ".join(state.name for state in _COLUMNS) + " |",
        "|---" * (len(_COLUMNS) + 1) + "|",
        *(
            f"| {signal.name} | "
            + " | ".join("-" if TABLE[state][signal] is state else TABLE[state][signal].name for state in _COLUMNS)
            + " |"
            for signal in Signal
        ),
        "",
        "## Diagram",
        "",
        "TRIP leads to TRIPPED from everywhere and is left out.",
        "",
        "```mermaid",
        "stateDiagram-v2",
        "    [*] --> START_UP",
        *_diagram_edges(),
        "```",
    ]
    return "\n".join(lines) + "\n"


def _diagram_edges() -> list[str]:
    edges: dict[tuple[SequenceState, SequenceState], list[str]] = {}
    for state, row in TABLE.items():
        for signal, target in row.items():
            if target is not state and signal is not Signal.TRIP:
                edges.setdefault((state, target), []).append(signal.value)
    return [f"    {source.name} --> {target.name}: {', '.join(names)}" for (source, target), names in edges.items()]


if __name__ == "__main__":
    sys.stdout.write(render_markdown())
