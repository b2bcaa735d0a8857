"""Each law and the charge points that break it, and nothing else."""

from collections.abc import Callable
from typing import TypeVar

from tests.support.wrong_charge_points.base import ChargePoint

Kind = TypeVar("Kind", bound=type[ChargePoint])

WRONG: list[tuple[str, type[ChargePoint]]] = []


def breaks(law: str) -> Callable[[Kind], Kind]:
    """Enter a charge point that breaks this law."""

    def enter(kind: Kind) -> Kind:
        WRONG.append((law, kind))
        return kind

    return enter
