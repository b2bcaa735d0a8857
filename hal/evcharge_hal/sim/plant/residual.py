"""The residual current monitor: trips on leakage or its test winding, and releases by itself.

The latch is the guard's business (DESIGN D6); the device only reports what flows now.
"""

TRIP_A = 0.006
"""DC threshold of an RDC-DD (IEC 62955; hardware.md 3.5)."""
TRIP_DELAY_S = 0.010
TEST_DELAY_S = 0.240
"""The test winding must be driven this long (hardware.md 3.5: 250 ms)."""
RELEASE_S = 0.300

LEAKAGE_A = 0.030
"""What the simulated insulation fault leaks."""


class ResidualMonitor:
    """One monitor with a trip output and a test winding."""

    def __init__(self) -> None:
        self.is_tripped = False
        self.is_test_driven = False
        self.is_test_broken = False
        """The winding is driven and nothing happens."""
        self.residual_a = 0.0
        self._cause_s = 0.0
        self._quiet_s = 0.0

    def next_change_s(self) -> float:
        """Seconds until the output changes; infinite when it will not."""
        if self._delay_s is None:
            return RELEASE_S - self._quiet_s if self.is_tripped else float("inf")
        return float("inf") if self.is_tripped else self._delay_s - self._cause_s

    def step(self, dt_s: float) -> None:
        """Let time pass."""
        if self._delay_s is None:
            self._cause_s = 0.0
            self._quiet_s += dt_s
            if self._quiet_s >= RELEASE_S - 1e-9:
                self.is_tripped = False
        else:
            self._quiet_s = 0.0
            self._cause_s += dt_s
            if self._cause_s >= self._delay_s - 1e-9:
                self.is_tripped = True

    @property
    def _delay_s(self) -> float | None:
        """How long the present cause must last; None without a cause."""
        if self.residual_a >= TRIP_A:
            return TRIP_DELAY_S
        return TEST_DELAY_S if self.is_test_driven and not self.is_test_broken else None
