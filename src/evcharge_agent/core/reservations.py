"""Reservations: what a ReserveNow is answered, and whom a reservation keeps away (OCPP 1.6, 3.10, 5.13; rule 18). Pure.

A reservation of connector 0 is for any one connector: it keeps as many free as there are such reservations.
"""

import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from evcharge_agent.core.facts import IdTag, IdTagInfo, same_id

STATION = 0


@dataclass(frozen=True, slots=True)
class Reservation:
    """A connector, or with 0 any one of them, kept for an id or those with its parent until the expiry."""

    reservation_id: int
    connector: int
    id_tag: IdTag
    parent_id_tag: IdTag | None
    expiry_utc_s: float


Book = Mapping[int, Reservation]
"""Reservations by their id."""


class Place(enum.Enum):
    """What a connector is to somebody who wants to reserve it."""

    FREE = "free"
    OCCUPIED = "occupied"
    FAULTED = "faulted"
    UNAVAILABLE = "unavailable"


class Refusal(enum.Enum):
    """Why nothing is reserved; the values are OCPP's ReservationStatus."""

    OCCUPIED = "Occupied"
    FAULTED = "Faulted"
    UNAVAILABLE = "Unavailable"
    REJECTED = "Rejected"


class Admission(enum.Enum):
    """May somebody charge on a connector, as far as reservations are concerned."""

    YES = "yes"
    NO = "no"
    ASK = "ask"
    """Only if the id has the parent the reservation names, which the central system knows."""


_REFUSALS = {
    Place.OCCUPIED: Refusal.OCCUPIED,
    Place.FAULTED: Refusal.FAULTED,
    Place.UNAVAILABLE: Refusal.UNAVAILABLE,
}


def decide(
    book: Book, wanted: Reservation, places: Mapping[int, Place], utc_s: float, *, takes_station: bool
) -> Refusal | None:
    """Decide a ReserveNow, None: it is reserved; one of the same id is replaced, so it is in nobody's way."""
    others = {number: one for number, one in book.items() if number != wanted.reservation_id}
    if wanted.expiry_utc_s <= utc_s:
        return Refusal.REJECTED
    free = _free(others, [number for number, place in places.items() if place is Place.FREE])
    spare = len(free) - _count_of_station(others)
    if wanted.connector == STATION:
        return _decide_station(places, spare) if takes_station else Refusal.REJECTED
    place = places.get(wanted.connector)
    if place is None:
        return Refusal.REJECTED
    if place is not Place.FREE:
        return _REFUSALS[place]
    return None if wanted.connector in free and spare > 0 else Refusal.OCCUPIED


def admit(book: Book, connector: int, id_tag: IdTag, info: IdTagInfo | None, free: Collection[int]) -> Admission:
    """Decide whether an id may charge on a connector; `free` are the connectors where nobody is or has claimed."""
    own = find_on(book, connector)
    if own is not None:
        return _admit_to(own, id_tag, info)
    of_station = [one for one in book.values() if one.connector == STATION]
    admissions = {_admit_to(one, id_tag, info) for one in of_station}
    is_enough_left = len([number for number in _free(book, free) if number != connector]) >= len(of_station)
    if is_enough_left or Admission.YES in admissions:
        return Admission.YES
    return Admission.ASK if Admission.ASK in admissions else Admission.NO


def find_on(book: Book, connector: int) -> Reservation | None:
    """The reservation of this very connector."""
    return next((one for one in book.values() if one.connector == connector), None)


def find_used(book: Book, connector: int, id_tag: IdTag, info: IdTagInfo | None) -> Reservation | None:
    """The reservation a transaction here makes use of: the connector's, else one of the station."""
    candidates = sorted(
        (one for one in book.values() if one.connector in (connector, STATION)), key=lambda one: -one.connector
    )
    return next((one for one in candidates if _admit_to(one, id_tag, info) is Admission.YES), None)


def find_over(book: Book, places: Mapping[int, Place], utc_s: float) -> frozenset[int]:
    """Ids of reservations that have expired, or whose connector is faulted or unavailable; 0: no connector is left."""
    ends = (Place.FAULTED, Place.UNAVAILABLE)
    is_station_over = bool(places) and all(place in ends for place in places.values())
    return frozenset(
        number
        for number, one in book.items()
        if one.expiry_utc_s <= utc_s
        or (is_station_over if one.connector == STATION else places.get(one.connector) in ends)
    )


def _decide_station(places: Mapping[int, Place], spare: int) -> Refusal | None:
    if spare > 0:
        return None
    found = set(places.values())
    if found & {Place.FREE, Place.OCCUPIED}:
        return Refusal.OCCUPIED
    return Refusal.FAULTED if Place.FAULTED in found else Refusal.UNAVAILABLE


def _admit_to(one: Reservation, id_tag: IdTag, info: IdTagInfo | None) -> Admission:
    if same_id(id_tag, one.id_tag):
        return Admission.YES
    if not one.parent_id_tag:
        return Admission.NO
    parent = info.parent_id_tag if info is not None else None
    if not parent:
        return Admission.ASK
    return Admission.YES if same_id(one.parent_id_tag, parent) else Admission.NO


def _free(book: Book, free: Collection[int]) -> list[int]:
    reserved = {one.connector for one in book.values()}
    return [number for number in free if number not in reserved]


def _count_of_station(book: Book) -> int:
    return sum(one.connector == STATION for one in book.values())
