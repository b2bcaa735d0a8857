"""One case of each group with real processes, a real serial line and a real WebSocket."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.octt import (
    test_cache,
    test_certificates,
    test_cold_boot,
    test_configuration,
    test_data_transfer,
    test_fault,
    test_firmware,
    test_local_list,
    test_lock,
    test_meter_values,
    test_non_happy,
    test_offline,
    test_power_failure,
    test_remote,
    test_reservation,
    test_reset,
    test_security,
    test_signed_firmware,
    test_smart_charging,
    test_start,
    test_stop,
    test_trigger,
    test_unlock,
)
from tests.octt.bench import with_processes

pytestmark = pytest.mark.system

ONE_OF_EACH = (
    test_cold_boot.test_tc_001_cold_boot,
    test_start.test_tc_003_start_plugin_first,
    test_stop.test_tc_068_stop_with_same_id_tag,
    test_cache.test_tc_007_1_start_with_cached_id,
    test_remote.test_tc_012_remote_stop,
    test_reset.test_tc_015_hard_reset_with_transaction,
    test_unlock.test_tc_018_2_unlock_with_session_fixed_cable,
    test_configuration.test_tc_021_change_configuration,
    test_meter_values.test_tc_071_clock_aligned_meter_values,
    test_non_happy.test_tc_023_4_local_start_authorize_invalid,
    test_power_failure.test_tc_032_2_power_failure_stops_after_going_down,
    test_offline.test_tc_036_connection_loss_during_transaction,
    test_fault.test_tc_041_fault_behaviour,
    test_trigger.test_tc_054_trigger_message,
    test_data_transfer.test_tc_062_data_transfer,
    test_local_list.test_tc_043_send_local_list,
    test_reservation.test_tc_046_1_reservation_of_a_connector_local_start,
    test_smart_charging.test_tc_082_tx_default_profile_with_a_transaction_running,
    test_lock.test_tc_018_1_unlock_with_session_no_fixed_cable,
    test_firmware.test_tc_044_1_firmware_download_and_install,
    test_firmware.test_tc_045_1_get_diagnostics,
    test_signed_firmware.test_tc_080_secure_firmware_update,
    test_certificates.test_tc_074_update_charge_point_certificate,
    test_security.test_tc_083_upgrade_security_profile,
    test_security.test_tc_085_basic_authentication,
)


@pytest.mark.parametrize("case", ONE_OF_EACH, ids=lambda case: case.__name__.removeprefix("test_"))
def test_with_processes(case: Callable[[Path], None], tmp_path: Path) -> None:
    try:
        with_processes(case, tmp_path)
    finally:
        print((tmp_path / "log").read_text())  # noqa: T201 - shown by pytest where the case fails
