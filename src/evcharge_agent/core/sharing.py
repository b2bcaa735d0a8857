"""Divides what the station may take among its connectors (DESIGN D4). Pure.

Equal shares among those that want energy; where there is not the minimum for everyone, the ones that came
first are served and the others wait.
"""

from collections.abc import Sequence
from typing import TypeVar

from evcharge_hal.contract.units import MIN_CURRENT_A

Key = TypeVar("Key")


def share_equally(limit_a: float, wanting: Sequence[Key]) -> dict[Key, float]:
    """Give each of `wanting`, first come first, its share of `limit_a` in ampere per phase.

    The shares never add up to more than the limit. Whoever does not fit gets 0.
    """
    if not wanting:
        return {}
    served = min(len(wanting), int(limit_a // MIN_CURRENT_A))
    share_a = limit_a / served if served else 0.0
    return {key: share_a if place < served else 0.0 for place, key in enumerate(wanting)}
