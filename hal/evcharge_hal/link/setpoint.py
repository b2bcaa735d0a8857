"""The outgoing half of one connector on the native link: what to say and when. Pure."""

import math
from dataclasses import dataclass, replace

from evcharge_hal.contract.pilot import PilotCommand, PilotOutput
from evcharge_hal.contract.units import MAX_CURRENT_A, MIN_CURRENT_A
from evcharge_hal.link.frames import Control

CONTROL_PERIOD_S = 0.1
"""A set-point is repeated this often; it is the co-processor's proof that the host lives."""
CONTROL_WINDOW_S = (0.08, 0.12)
"""Where STATUS comes as it should, every 100 ms, the repetition goes out with it: one turn of the host serves both.
It waits for it no longer than this, and without STATUS goes by its own clock."""
CONTROL_SPACING_S = 0.02
"""Changes closer together than this are merged, the latest wins: a flooding caller must not fill the port.

A cut waits only for another cut (DESIGN D4: cuts are immediate), so that there are at most two frames in this time.
"""
_STALL_S = 0.3

# Absorbs binary rounding (9.2 A is 9199.999999999998 mA) and is far below one step, so nothing is raised.
_ROUNDING_SLACK_MA = 1e-6


def limit_to_ma(limit_a: float) -> int:
    """Quantise a limit in A down to whole mA: 0, or 6000..80000. Anything a pilot cannot state becomes 0."""
    if math.isnan(limit_a) or limit_a < MIN_CURRENT_A:
        return 0
    return math.floor(min(limit_a, MAX_CURRENT_A) * 1000.0 + _ROUNDING_SLACK_MA)


def command_to_control(command: PilotCommand, deadline_ms: int) -> Control:
    """Put a command into wire units. PWM without a statable current becomes steady +12 V (IEC 61851-1 Table A.8)."""
    limit_ma = limit_to_ma(command.limit_a)
    is_pwm_unfounded = command.output is PilotOutput.X2 and limit_ma == 0
    return Control(
        connector=command.connector,
        mode=PilotOutput.X1 if is_pwm_unfounded else command.output,
        limit_ma=limit_ma,
        is_permitted=command.permit,
        is_locked=command.is_locked,
        phases=command.phases & 0xFF,
        session_id=command.session_number & 0xFFFF,
        deadline_ms=deadline_ms,
    )


def _is_cut(sent: Control, wanted: Control) -> bool:
    """The car is told of less than before."""
    return _stated_ma(wanted) < _stated_ma(sent)


def _stated_ma(control: Control) -> int:
    return control.limit_ma if control.mode is PilotOutput.X2 else 0


@dataclass(slots=True)
class SetPointPacer:
    """Holds the set-point of one connector and says when it is due on the wire."""

    deadline_ms: int
    _command: PilotCommand | None = None
    _wanted: Control | None = None
    _sent: Control | None = None
    _sent_s: float = -math.inf
    _cut_s: float = -math.inf
    """When a lower current was last sent."""
    _steady_since_s: float = math.inf
    _is_paced: bool = False
    """The last repetition went out with a STATUS."""

    def take(self, command: PilotCommand) -> None:
        """Replace the set-point."""
        self._command = command
        self._wanted = command_to_control(command, self.deadline_ms)

    def begin(self) -> None:
        """A handshake is complete: whatever is wanted is due at once."""
        self._sent = None
        self._sent_s = -math.inf
        self._steady_since_s = math.inf

    def revoke(self) -> None:
        """The link is down: a permit given before it must not be the first thing said after it."""
        if self._command is not None:
            self.take(replace(self._command, permit=False))

    def due_s(self, *, is_heard: bool = False) -> float:
        """When the next CONTROL is due; infinite before the first command. `is_heard`: a STATUS has just come."""
        if self._wanted is None:
            return math.inf
        if self._wanted == self._sent:
            earliest_s, latest_s = CONTROL_WINDOW_S if self._is_paced else (CONTROL_SPACING_S, CONTROL_PERIOD_S)
            return self._sent_s + (earliest_s if is_heard else latest_s)
        if self._sent is None:
            return self._sent_s
        # Taking the permit away waits for nothing, and cannot flood: it needs a permit on the wire before it.
        if self._sent.is_permitted and not self._wanted.is_permitted:
            return -math.inf
        before_s = self._cut_s if _is_cut(self._sent, self._wanted) else self._sent_s
        return before_s + CONTROL_SPACING_S

    def send(self, now_s: float, *, is_heard: bool = False) -> Control | None:
        """The frame to send now, without sequence numbers; None while nothing is due (see `due_s`)."""
        if self._wanted is None or now_s < self.due_s(is_heard=is_heard):
            return None
        if self._wanted == self._sent:
            self._is_paced = is_heard
        if self._sent is not None and _is_cut(self._sent, self._wanted):
            self._cut_s = now_s
        if now_s - self._sent_s > _STALL_S:
            self._steady_since_s = now_s
        self._sent, self._sent_s = self._wanted, now_s
        return self._wanted

    def steady_s(self, now_s: float) -> float:
        """How long CONTROL has been sent without a gap."""
        return max(0.0, now_s - self._steady_since_s)
