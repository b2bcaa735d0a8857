"""What each fault means to OCPP, to the LED and to a person."""

import pytest

from evcharge_agent.core.faults import MEANINGS, ErrorCode, by_weight, is_blocked, is_faulted, primary
from evcharge_hal.contract.faults import CATALOGUE, FaultCode, Severity

OCPP_ERROR_CODES = {
    *("ConnectorLockFailure", "EVCommunicationError", "GroundFailure", "HighTemperature", "InternalError"),
    *("LocalListConflict", "NoError", "OtherError", "OverCurrentFailure", "OverVoltage", "PowerMeterFailure"),
    *("PowerSwitchFailure", "ReaderFailure", "ResetFailure", "UnderVoltage", "WeakSignal"),
}


@pytest.mark.parametrize("code", FaultCode)
def test_every_fault_has_its_words(code):
    meaning = MEANINGS[code]
    assert meaning.error_code.value in OCPP_ERROR_CODES - {"NoError"}
    assert meaning.vendor_error_code == code.value
    assert meaning.what_to_do.endswith(".")


@pytest.mark.parametrize("code", FaultCode)
def test_a_trip_makes_the_connector_faulted_unless_the_car_is_to_blame(code):
    meaning = MEANINGS[code]
    is_trip = CATALOGUE[code].severity is Severity.TRIP
    is_cars = meaning.error_code is ErrorCode.EV_COMMUNICATION_ERROR
    assert is_faulted([code]) is (meaning.is_of_station or (is_trip and not is_cars))
    assert not (meaning.is_faulting and is_cars)


@pytest.mark.parametrize("code", FaultCode)
def test_all_but_warnings_keep_the_energy_away(code):
    assert is_blocked([code]) is (CATALOGUE[code].severity is not Severity.WARNING)


def test_the_most_severe_is_the_one_that_is_told():
    codes = {FaultCode.METER_LOST, FaultCode.OVERCURRENT, FaultCode.RCM_TRIP}
    assert by_weight(codes) == (FaultCode.RCM_TRIP, FaultCode.OVERCURRENT, FaultCode.METER_LOST)
    found = primary(codes)
    assert found is not None
    assert found.code is FaultCode.RCM_TRIP
    assert primary([]) is None


def test_what_is_told_with_faulted_is_what_made_it_so():
    found = primary({FaultCode.VENTILATION_REQUIRED, FaultCode.COPROCESSOR_LOST})
    assert found is not None
    assert found.code is FaultCode.COPROCESSOR_LOST
