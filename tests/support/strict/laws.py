"""All laws a charger is held to."""

from tests.support.strict.laws_answers import ANSWER_LAWS
from tests.support.strict.laws_boot import BOOT_LAWS
from tests.support.strict.laws_charging import CHARGING_LAWS
from tests.support.strict.laws_credentials import CREDENTIAL_LAWS
from tests.support.strict.laws_frames import FRAME_LAWS, READABLE_LAWS
from tests.support.strict.laws_meter import METER_LAWS
from tests.support.strict.laws_profiles import PROFILE_LAWS
from tests.support.strict.laws_reservations import RESERVATION_LAWS
from tests.support.strict.laws_security import SECURITY_LAWS
from tests.support.strict.laws_status import STATUS_LAWS
from tests.support.strict.laws_timing import TIMING_LAWS
from tests.support.strict.laws_transactions import TRANSACTION_LAWS

LAWS = (
    *FRAME_LAWS,
    *BOOT_LAWS,
    *CREDENTIAL_LAWS,
    *STATUS_LAWS,
    *TRANSACTION_LAWS,
    *TIMING_LAWS,
    *METER_LAWS,
    *ANSWER_LAWS,
    *PROFILE_LAWS,
    *SECURITY_LAWS,
    *RESERVATION_LAWS,
    *CHARGING_LAWS,
)

__all__ = ["LAWS", "READABLE_LAWS"]
