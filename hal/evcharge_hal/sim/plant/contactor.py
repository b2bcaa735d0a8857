"""A contactor: it needs time, it bounces, it can weld, and it can fail to close."""

import math

OPERATE_S = 0.020
RELEASE_S = 0.015
BOUNCE_S = 0.002
"""The contact opens once more for this long, this long after it first closed."""

_DUE_S = 1e-9  # absorbs binary rounding of step lengths; far below any figure above


class Contactor:
    """Main contacts and the mirror contact that follows them."""

    def __init__(self, closings: int = 0) -> None:
        self.is_energised = False
        self.is_closed = False
        self.closings = closings
        """Operations since the contactor was made; a bounce is not one."""
        self._is_welded = False
        self._is_stuck_open = False
        self._is_counted = True
        self._due: list[tuple[float, bool]] = []

    def energise(self, is_energised: bool) -> None:
        """Switch the coil; the contacts follow after the operate or release time."""
        if is_energised != self.is_energised:
            self.is_energised = is_energised
            self._schedule()

    def weld(self, is_welded: bool) -> None:
        """Weld the contacts together, or part them again; open contacts weld when they next close."""
        self._is_welded = is_welded
        if not is_welded and self.is_closed and not self.is_energised:
            self._schedule()

    def block(self, is_stuck_open: bool) -> None:
        """Keep the contacts from closing, or free them again; closed contacts are not moved."""
        self._is_stuck_open = is_stuck_open
        if not is_stuck_open and self.is_energised and not self.is_closed:
            self._schedule()

    def next_change_s(self) -> float:
        """Seconds until a contact moves; infinite when none will."""
        return self._due[0][0] if self._due else math.inf

    def step(self, dt_s: float) -> None:
        """Let time pass."""
        if not self._due:
            return
        self._due = [(at_s - dt_s, closes) for at_s, closes in self._due]
        while self._due and self._due[0][0] <= _DUE_S:
            self._move(self._due.pop(0)[1])

    def _schedule(self) -> None:
        if not self.is_energised:
            self._due = [(RELEASE_S, False)]
        elif self.is_closed:
            self._due = []
        else:
            self._due = [(OPERATE_S, True), (OPERATE_S + BOUNCE_S, False), (OPERATE_S + 2 * BOUNCE_S, True)]
            self._is_counted = False

    def _move(self, closes: bool) -> None:
        is_prevented = self._is_stuck_open if closes else self._is_welded
        if is_prevented:
            return
        self.is_closed = closes
        if closes and not self._is_counted:
            self._is_counted = True
            self.closings += 1
