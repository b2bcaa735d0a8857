"""Reservations, whatever is asked for in whatever order: never two on one connector, never in their owner's way."""

from hypothesis import given, settings
from hypothesis import strategies as st

from evcharge_agent.core.facts import IdTag
from evcharge_agent.core.reservations import Admission, Place, Reservation, admit, decide, find_on, find_used

NUMBERS = (1, 2, 3)
NOBODY = IdTag("nobody")


@st.composite
def histories(draw):
    """Places that change, reservations that are asked for, strangers who come."""
    place = st.sampled_from([Place.FREE, Place.FREE, *Place])
    wanted = st.tuples(st.integers(1, 5), st.integers(0, 4), st.sampled_from(["a", "b", "A"]))
    step = st.one_of(
        st.tuples(st.just("reserve"), wanted),
        st.tuples(st.just("come"), st.sampled_from(NUMBERS)),
    )
    return {number: draw(place) for number in NUMBERS}, draw(st.lists(step, max_size=15))


@settings(max_examples=400, deadline=None, derandomize=True)
@given(histories())
def test_never_two_on_one_connector_and_never_in_their_owner_s_way(history):
    places, steps = history
    book = {}
    for kind, what in steps:
        if kind == "reserve":
            number, connector, id_tag = what
            wanted = Reservation(number, connector, IdTag(id_tag), None, 2000.0)
            if decide(book, wanted, places, 1000.0, takes_station=True) is None:
                book = book | {number: wanted}
        elif places[what] is Place.FREE:
            free = [number for number in NUMBERS if places[number] is Place.FREE]
            if admit(book, what, NOBODY, None, free) is Admission.YES:
                places = places | {what: Place.OCCUPIED}
        check(book, places)


def check(book, places):
    connectors = [one.connector for one in book.values() if one.connector]
    assert len(set(connectors)) == len(connectors)
    free = [number for number in NUMBERS if places[number] is Place.FREE]
    open_to_all = [number for number in free if find_on(book, number) is None]
    of_station = [one for one in book.values() if one.connector == 0]
    assert len(open_to_all) >= len(of_station), "as many are kept free as are promised"
    for one in book.values():
        where = [one.connector] if one.connector else open_to_all
        for number in where:
            assert admit(book, number, one.id_tag, None, free) is Admission.YES
            assert find_used(book, number, one.id_tag, None) is not None
            if one.connector:
                assert admit(book, number, NOBODY, None, free) is Admission.NO
