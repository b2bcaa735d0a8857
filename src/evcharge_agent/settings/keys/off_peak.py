"""Keys of the off-peak and delay rules (features SCH-8). They are kept for the version that follows them."""

from evcharge_agent.settings.declare import Section
from evcharge_agent.settings.keys.declaring import RW, R, key
from evcharge_agent.settings.time_slots import SLOTS_ALLOWED, TimeSlots

_NOT_YET = " Kept; this version does not follow it."


class OffPeakKeys(Section):
    """Vendor keys that stand in no profile of the standard."""

    off_peak_charging: bool = key(
        "OffPeakCharging",
        RW,
        "Charge in off-peak hours only, unless somebody wants it otherwise." + _NOT_YET,
        default=False,
    )
    off_peak_charging_time_slots: TimeSlots = key(
        "OffPeakChargingTimeSlots",
        RW,
        "The off-peak hours, in the site's time zone." + _NOT_YET,
        default="11:00-16:00,22:00-08:00",
        max_length=200,
        allowed=SLOTS_ALLOWED,
    )
    off_peak_charging_weekend: bool = key(
        "OffPeakChargingWeekend", RW, "Off-peak hours bind on Saturday and Sunday too." + _NOT_YET, default=False
    )
    continue_after_off_peak_hour: bool = key(
        "ContinueAfterOffPeakHour", RW, "A charge that runs when off-peak ends goes on." + _NOT_YET, default=False
    )
    randomised_delay_max_s: int = key(
        "RandomisedDelayMaxSeconds",
        RW,
        "Longest random delay before energy begins to flow; 0 is off." + _NOT_YET,
        default=0,
        unit="s",
        ge=0,
        le=1800,
    )
    current_session_random_delay_s: int = key(
        "CurrentSessionRandomDelay",
        R,
        "What is left of the running session's random delay; there is none in this version.",
        default=0,
        unit="s",
        ge=0,
        le=1800,
    )
    forced_charging: bool = key(
        "ForcedCharging", RW, "Waits for off-peak and delay are over for the running session." + _NOT_YET, default=False
    )
