"""One presentation for each touch: a card that stays at the reader is presented once. Pure."""

from dataclasses import dataclass

AWAY_S = 1.0
"""A card counts as new only after it was away for so long: radio fields flicker."""


@dataclass(frozen=True, slots=True)
class Touch:
    """The card that was presented last, and when it was seen last."""

    card: str | None = None
    seen_s: float = 0.0


def see(state: Touch, card: str, now_s: float) -> tuple[Touch, bool]:
    """Take a sighting in; True when it is a new touch. Another card always is one."""
    is_held = card == state.card and now_s - state.seen_s < AWAY_S
    return Touch(card, now_s), not is_held
