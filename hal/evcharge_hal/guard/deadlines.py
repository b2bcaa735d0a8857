"""Every duration the guard's core waits for, with its source. Seconds unless the name says otherwise.

Figures marked "unsure" in the hardware notes were not checked against the purchased standard.
"""

from typing import Final

# --- co-processor ----------------------------------------------------------------------------------------
REPORT_LOST_S: Final = 1.0
"""Without a pilot sample for this long the co-processor counts as lost (DESIGN D2, security.md H11)."""

LOST_OPEN_AFTER_S: Final = 3.0
"""Second stage after the loss: the relay is open at the latest now (DESIGN D2, hardware.md 2 "Failsafe")."""

LATCH_CLEAR_AFTER_S: Final = 60.0
"""A latch of the co-processor is dropped after a replug or this long (security.md H2)."""

LATCH_CLEAR_APART_S: Final = 1.0
"""Between two requests to drop it."""

LINK_GRACE_S: Final = 5.0
"""After the start of the guard; a missing co-processor is a fault from then on."""

SENSOR_SETTLE_S: Final = 1.0
"""After a handshake; a temperature that is still missing then is a lost sensor. Its ceiling holds from the first."""

# --- pilot -----------------------------------------------------------------------------------------------
SAMPLE_AGE_MAX_S: Final = 0.3
"""Oldest pilot sample the contactor may be closed on (DESIGN 4b)."""

C_DEBOUNCE_S: Final = 0.25
"""State C is believed after reports have said so for this long (hardware.md 3.3; allowed inside the 3 s)."""

DIODE_LOWS_NEEDED: Final = 3
"""Consecutive PWM lows near -12 V before the first closing (hardware.md 3.3 "Diode check")."""

X1_DWELL_S: Final = 3.0
"""Least time without PWM before PWM again (hardware.md 3.3 "min dwell in X1")."""

CABLE_SETTLE_S: Final = 1.0
"""From plug-in; a proximity resistor without a defined value is a fault from then on."""

# --- offer -----------------------------------------------------------------------------------------------
RAISE_APART_S: Final = 5.0
"""Between two raises of the offer (DESIGN D4; IEC 61851-1: the car follows a change within 5 s)."""

FOLLOW_S: Final = 5.0
"""A car may still draw the earlier offer for this long after a cut (IEC 61851-1, hardware.md 3.3)."""

# --- contactor -------------------------------------------------------------------------------------------
NO_CLOSE_AFTER_START_S: Final = 5.0
"""No closing in the first seconds of the guard (security.md H14)."""

PERMIT_OFF_S: Final = 0.3
"""Permit 0 is sent at least this long, three control frames, so that the next permit is a fresh edge (D2)."""

PERMIT_WAIT_S: Final = 1.0
"""The co-processor answers a permit within this time, or the edge is tried again."""

FEEDBACK_WAIT_S: Final = 0.5
"""The mirror contact follows the coil within this time."""

WELD_CHECK_S: Final = 1.0
"""After opening; a contact that still reads closed is welded (DESIGN 4b)."""

STOP_UNDER_LOAD_S: Final = 6.0
"""From X1; the car has 3 s to leave C, and is cut off under load now (IEC 61851-1 Table A.6 seq 8, 10.2)."""

CLOSINGS_WINDOW_S: Final = 600.0
"""The window of `closings_per_10_min` (security.md H16)."""

# --- lock ------------------------------------------------------------------------------------------------
LOCK_MOVE_S: Final = 1.0
"""A lock follows its drive within this time, or it is tried again; under load it must not be seen open for longer."""

LOCK_RELEASE_S: Final = 0.3
"""Between two tries it is let go for this long."""

LOCK_TRIES: Final = 3
"""Then it is jammed (features.md HW-5 asks for retries and names no number)."""

UNLOCK_AFTER_OPEN_S: Final = 0.5
"""From the proof that the contactor is open; no current for this long (security.md H18)."""

# --- residual current monitor ------------------------------------------------------------------------------
RCM_TRIP_WITHIN_S: Final = 1.0
"""From the test current to the trip (hardware.md 3.5)."""

RCM_STALL_S: Final = 0.3
"""A process that stood still for so long cannot tell when the monitor tripped; it reads its inputs every 0.1 s."""

RCM_TURN_S: Final = 0.1
"""While a self-test runs the core wants to be called at least this often, so that its own sleep is no such stall."""

RCM_CLEAR_WITHIN_S: Final = 3.0
"""From the end of the test current to a healthy input (hardware.md 3.5)."""

RCM_SETTLE_S: Final = 0.1
"""From the end of the test current; an input read as healthy before says nothing yet."""

RCM_VALID_S: Final = 86_400.0
"""A passed self-test counts for this long, and for one plug-in only (DESIGN 4b)."""

LINES_AGE_MAX_S: Final = 2.0
"""Oldest reading of the digital inputs the contactor may be closed on; they are read every second."""

# --- lease -------------------------------------------------------------------------------------------------
HOLD_REFILL_S: Final = 60.0
"""Unbroken lease that refills the hold budget (DESIGN D2)."""

IDLE_TURN_S: Final = 1.0
"""The core wants to be called at least this often, so that no deadline depends on a list being complete."""
