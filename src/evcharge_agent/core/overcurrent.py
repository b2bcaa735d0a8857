"""The car may not take more than it was offered (DESIGN 4b, H6). Only a meter sees it, so this is no barrier.

Draw above 1.1 times the highest offer of the last 7 s plus 1 A is noted; after 5 s of it the guard is told.
The 7 s are the 5 s a car has to follow a change, and the age of a reading.
"""

import enum
import math
from dataclasses import replace

from evcharge_agent.core.state import Draw
from evcharge_hal.contract.units import PerPhase

WINDOW_S = 7.0
PATIENCE_S = 5.0
_FACTOR = 1.1
_SLACK_A = 1.0


class Finding(enum.Enum):
    """What a reading shows that was not known before."""

    WARNING = "warning"
    OVERCURRENT = "overcurrent"
    OVER = "over"


def note_offer(draw: Draw, offer_a: float, now_s: float) -> Draw:
    """Remember an offer; those that left the window are forgotten, but for the one that covers its begin."""
    if draw.offers and draw.offers[-1][1] == offer_a:
        return draw
    offers = (*draw.offers, (now_s, offer_a))
    outdated = sum(1 for since_s, _ in offers[1:] if since_s <= now_s - WINDOW_S)
    return replace(draw, offers=offers[outdated:])


def highest_offer_a(draw: Draw, now_s: float) -> float:
    """Highest offer in force within the last 7 s; infinite where we do not know that far back."""
    begin_s = now_s - WINDOW_S
    if not draw.offers or draw.offers[0][0] > begin_s:
        return math.inf
    covering = max(index for index, (since_s, _) in enumerate(draw.offers) if since_s <= begin_s)
    return max(offer_a for _, offer_a in draw.offers[covering:])


def watch(draw: Draw, current_a: PerPhase, now_s: float) -> tuple[Draw, Finding | None]:
    """Judge a fresh reading of the car's current."""
    if current_a.maximum <= _FACTOR * highest_offer_a(draw, now_s) + _SLACK_A:
        finding = Finding.OVER if draw.is_overcurrent else None
        return replace(draw, exceeded_since_s=None, is_overcurrent=False), finding
    if draw.exceeded_since_s is None:
        return replace(draw, exceeded_since_s=now_s), Finding.WARNING
    if not draw.is_overcurrent and now_s >= draw.exceeded_since_s + PATIENCE_S:
        return replace(draw, is_overcurrent=True), Finding.OVERCURRENT
    return draw, None
