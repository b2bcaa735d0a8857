"""Hardware abstraction of the charge point: the guard, its drivers and the simulated world."""
