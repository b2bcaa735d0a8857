"""Times of the host's side of the pilot link, in seconds (`hal/protocol/pilot-link.md`)."""

HELLO_PERIOD_S = 0.2
HELLO_SPACING_S = 0.02
HELLO_PERIOD_INCOMPATIBLE_S = 1.0
HELLO_PAUSE_IGNORED_S = 5.0
"""Pause before greeting a co-processor that reports and takes no set-points; else the link would flap."""
STATUS_LATE_S = 0.3
STATUS_LOST_S = 1.0
CONTROL_IGNORED_S = 1.0
NOISE_PERIOD_S = 1.0
