"""All scenarios."""

from tests.scenario.core_profile_scripts import CORE_PROFILE_SCENARIOS
from tests.scenario.power_scripts import POWER_SCENARIOS
from tests.scenario.scripts import SCENARIOS

ALL = (*SCENARIOS, *POWER_SCENARIOS, *CORE_PROFILE_SCENARIOS)
