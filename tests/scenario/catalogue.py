"""All scenarios."""

from tests.scenario.power_scripts import POWER_SCENARIOS
from tests.scenario.scripts import SCENARIOS

ALL = (*SCENARIOS, *POWER_SCENARIOS)
