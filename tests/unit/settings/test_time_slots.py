"""Off-peak hours as a central system writes them."""

import pytest

from evcharge_agent.settings.time_slots import check_time_slots, read_time_slots


@pytest.mark.parametrize(
    ("text", "slots"),
    [
        ("", ()),
        ("11:00-16:00,22:00-08:00", ((660, 960), (1320, 480))),
        (" 11:00-16:00 , 16:00-17:30", ((660, 960), (960, 1050))),
        ("00:00-00:00", ((0, 0),)),
        ("23:59-00:00", ((1439, 0),)),
    ],
)
def test_slots_are_read_in_minutes_since_midnight(text, slots):
    assert read_time_slots(text) == slots
    assert read_time_slots(check_time_slots(text)) == slots


@pytest.mark.parametrize(
    "text",
    [
        "11:00",
        "24:00-01:00",
        "11:60-12:00",
        "1:00-2:00",
        "11:00-16:00,",
        "11:00-16:00;22:00-08:00",
        "11:00-16:00,15:59-17:00",
        "22:00-08:00,07:00-09:00",
        "00:00-00:00,12:00-13:00",
        "\u0661\u0661:00-12:00",
        ",".join(f"{hour:02d}:00-{hour:02d}:30" for hour in range(9)),
    ],
)
def test_what_is_no_list_of_slots_is_refused(text):
    with pytest.raises(ValueError, match="times of day"):
        read_time_slots(text)
