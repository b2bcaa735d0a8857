"""Error codes of OCPP 1.6 for schema violations, strict for requests and lenient for answers."""

import pytest

from evcharge_agent.ocpp16.validation import CALL, RESULT, find_violation, without_extras


@pytest.mark.parametrize(
    ("action", "payload", "code"),
    [
        ("RemoteStartTransaction", {"idTag": "A"}, None),
        ("RemoteStartTransaction", {}, "OccurenceConstraintViolation"),
        ("RemoteStartTransaction", {"idTag": 7}, "TypeConstraintViolation"),
        ("RemoteStartTransaction", {"idTag": None}, "TypeConstraintViolation"),
        ("RemoteStartTransaction", {"idTag": "A" * 21}, "PropertyConstraintViolation"),
        ("RemoteStartTransaction", {"idTag": "A", "connectorId": "1"}, "TypeConstraintViolation"),
        ("RemoteStartTransaction", {"idTag": "A", "vendor": 1}, "FormationViolation"),
        ("Reset", {"type": "Gentle"}, "PropertyConstraintViolation"),
        ("SendLocalList", {"listVersion": 1}, "OccurenceConstraintViolation"),
        ("GetConfiguration", {"key": "A"}, "TypeConstraintViolation"),
        ("GetConfiguration", {"key": ["A" * 51]}, "PropertyConstraintViolation"),
    ],
)
def test_each_kind_of_violation_has_its_code(action, payload, code):
    violation = find_violation(CALL, action, payload)
    assert (None if violation is None else violation.code.value) == code


@pytest.mark.parametrize(("limit", "is_valid"), [(16, True), (16.1, True), (0.1, True), (16.15, False)])
def test_limits_have_one_decimal(limit, is_valid):
    profile = {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": {
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}],
        },
    }
    violation = find_violation(CALL, "RemoteStartTransaction", {"idTag": "A", "chargingProfile": profile})
    assert (violation is None) == is_valid


def test_the_description_names_the_member_and_never_the_value():
    violation = find_violation(CALL, "ChangeConfiguration", {"key": "AuthorizationKey", "value": ["canary"]})
    assert violation is not None
    assert violation.description == "value: type"


def test_unknown_and_null_members_of_an_answer_are_dropped():
    answer = {
        "transactionId": 1,
        "idTagInfo": {"status": "Accepted", "parentIdTag": None, "expiryDate": None, "vendor": 1},
        "vendor": {"x": 1},
    }
    cleaned = without_extras("StartTransaction", answer)
    assert cleaned == {"transactionId": 1, "idTagInfo": {"status": "Accepted"}}
    assert find_violation(RESULT, "StartTransaction", cleaned) is None
