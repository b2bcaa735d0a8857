"""All scenarios."""

from tests.scenario.authorisation_scripts import AUTHORISATION_SCENARIOS
from tests.scenario.core_profile_scripts import CORE_PROFILE_SCENARIOS
from tests.scenario.firmware_scripts import FIRMWARE_SCENARIOS
from tests.scenario.lock_scripts import LOCK_SCENARIOS
from tests.scenario.power_scripts import POWER_SCENARIOS
from tests.scenario.reservation_scripts import RESERVATION_SCENARIOS
from tests.scenario.scripts import SCENARIOS
from tests.scenario.smart_charging_scripts import SMART_CHARGING_SCENARIOS

ALL = (
    *SCENARIOS,
    *POWER_SCENARIOS,
    *CORE_PROFILE_SCENARIOS,
    *LOCK_SCENARIOS,
    *FIRMWARE_SCENARIOS,
    *AUTHORISATION_SCENARIOS,
    *RESERVATION_SCENARIOS,
    *SMART_CHARGING_SCENARIOS,
)

SAMPLE = frozenset(
    {
        *SCENARIOS,
        *POWER_SCENARIOS,
        *(scenario for scenario in CORE_PROFILE_SCENARIOS if "reset" in scenario.__name__),
        *LOCK_SCENARIOS[1:3],
        *FIRMWARE_SCENARIOS[4:5],
        *AUTHORISATION_SCENARIOS[:1],
        *RESERVATION_SCENARIOS[1:2],
        *SMART_CHARGING_SCENARIOS[2:4],
    }
)
"""Those that tell most with real processes: they kill, cut and restart. The others run so in `make soak`."""
