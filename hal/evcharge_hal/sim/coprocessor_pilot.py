"""How the fake co-processor reads a pilot and states a current: windows, debounce, duty.

Written from the standard's tables only, without a look at the guard or the link driver: two independent
readings of the same rule are worth more than one shared function.
"""

from collections.abc import Mapping

from evcharge_hal.contract.pilot import PilotOutput, PilotState

SHORT_DEBOUNCE_S = 0.025
"""Whatever opens the contactor is believed soon: A and E from anywhere, anything after C and D."""
LONG_DEBOUNCE_S = 0.2
"""Whatever leads towards energy, and a plug whose contacts bounce, has to last."""
INVALID_AFTER_S = 0.5
"""Longest time a state is held without a sample that shows it."""

_WINDOWS_V: Mapping[PilotState, tuple[float, float]] = {
    PilotState.A: (11.0, 13.0),
    PilotState.B: (8.0, 10.0),
    PilotState.C: (5.0, 7.0),
    PilotState.D: (2.0, 4.0),
    PilotState.E: (-1.0, 1.0),
}
_NEGATIVE_V = (-13.0, -11.0)
_CABLES_MA = ((75.0, 150.0, 63_000), (150.0, 330.0, 32_000), (330.0, 1000.0, 20_000), (1000.0, 2200.0, 13_000))
_LOWEST_MA, _KNEE_MA, _HIGHEST_MA = 6_000, 51_000, 80_000


def classify(high_v: float, output: PilotOutput) -> PilotState | None:
    """The state whose window holds `high_v` (IEC 61851-1 Table A.2); None between two windows."""
    if output is PilotOutput.E:
        return PilotState.E
    if output is PilotOutput.F:
        if is_negative(high_v):
            return PilotState.F
        low_v, top_v = _WINDOWS_V[PilotState.E]
        return PilotState.E if low_v <= high_v <= top_v else None
    for state, (low_v, top_v) in _WINDOWS_V.items():
        if low_v <= high_v <= top_v:
            return state
    return None


def is_negative(voltage_v: float) -> bool:
    """Whether a half-wave is at -12 V, as it is behind a car's diode."""
    return _NEGATIVE_V[0] <= voltage_v <= _NEGATIVE_V[1]


def duty_centipercent(limit_ma: int) -> int | None:
    """The duty that states at most `limit_ma`, in 0.01 %; None below 6 A, which only steady +12 V can say.

    IEC 61851-1 Table A.7: 6..51 A is I/0.6, above it I/2.5 + 64.
    """
    if limit_ma < _LOWEST_MA:
        return None
    if limit_ma <= _KNEE_MA:
        return limit_ma // 6
    return 6400 + min(limit_ma, _HIGHEST_MA) // 25


def cable_limit_ma(pp_ohm: float) -> int | None:
    """What a cable with this proximity resistor carries; None where no cable is like that (Table B.2)."""
    for from_ohm, to_ohm, limit_ma in _CABLES_MA:
        if from_ohm <= pp_ohm <= to_ohm:
            return limit_ma
    return None


class StateDetector:
    """Debounces classified samples; a state that is not seen any more becomes INVALID."""

    def __init__(self, first: PilotState | None, now_s: float) -> None:
        self.state = first or PilotState.INVALID
        self._seen_s = now_s
        self._candidate: PilotState | None = None
        self._candidate_since_s = now_s

    @property
    def is_settling(self) -> bool:
        """Another state is waiting to be believed; sample more often."""
        return self._candidate is not None

    def feed(self, sample: PilotState | None, now_s: float) -> PilotState:
        """Take one sample; returns the state after it."""
        if sample is self.state:
            self._seen_s, self._candidate = now_s, None
            return self.state
        if sample is None or sample is not self._candidate:
            self._candidate, self._candidate_since_s = sample, now_s
        if self._candidate is not None and now_s - self._candidate_since_s >= self._debounce_s(self._candidate):
            self.state, self._candidate, self._seen_s = self._candidate, None, now_s
        elif now_s - self._seen_s >= INVALID_AFTER_S:
            self.state = PilotState.INVALID
        return self.state

    def _debounce_s(self, candidate: PilotState) -> float:
        leaves_c = self.state in (PilotState.C, PilotState.D) and candidate is not PilotState.C
        is_soon = leaves_c or candidate in (PilotState.A, PilotState.E, PilotState.F)
        return SHORT_DEBOUNCE_S if is_soon else LONG_DEBOUNCE_S
