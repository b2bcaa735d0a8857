"""GetConfiguration and ChangeConfiguration over the settings."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evcharge_agent.core.facts import Measurand
from evcharge_agent.settings.catalogue import ocpp_entries, resettable_keys
from evcharge_agent.settings.keys import OcppKeys
from evcharge_agent.settings.measurands import OCPP_MEASURANDS
from evcharge_agent.settings.ocpp_keys import ChangeStatus, KeyRegistry, KeyValue
from evcharge_agent.settings.overlay import apply
from evcharge_agent.settings.sections import Settings
from evcharge_hal.contract.errors import EvchargeError


class Overlay:
    """Keeps what was written; full on request."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.is_full = False

    async def clear_setting(self, name: str) -> bool:
        await asyncio.sleep(0)
        if self.is_full:
            raise EvchargeError("the disk is full")
        return self.values.pop(name, None) is not None

    async def set_setting(self, name: str, value: str) -> None:
        await asyncio.sleep(0)
        if self.is_full:
            raise EvchargeError("the disk is full")
        self.values[name] = value


class Desk:
    """A registry with everything it talks to."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.overlay = Overlay()
        self.seen: list[Settings] = []
        self.file = settings or Settings()
        self.registry = KeyRegistry(self.file, self.overlay, self.seen.append, lambda: 2)

    def value(self, name: str) -> str | None:
        ((found,), unknown) = self.registry.report([name])
        assert unknown == []
        return found.value


def test_all_keys_without_names_in_alphabetical_order() -> None:
    known, unknown = Desk().registry.report()
    assert unknown == []
    assert [value.key for value in known] == sorted((value.key for value in known), key=str.casefold)
    assert len(known) == len(ocpp_entries())


def test_names_compare_without_case_and_keep_the_order_of_the_request() -> None:
    known, unknown = Desk().registry.report(["nope", "RESETRETRIES", "heartbeatinterval", "", "HeartBeatInterval"])
    assert [value.key for value in known] == ["ResetRetries", "HeartbeatInterval", "HeartbeatInterval"]
    assert unknown == ["nope", ""]


@pytest.mark.parametrize(
    ("name", "is_readonly", "value"),
    [
        ("HeartbeatInterval", False, "300"),
        ("LocalPreAuthorize", False, "false"),
        ("ContinueChargingAfterPowerLoss", False, "true"),
        ("NumberOfConnectors", True, "2"),
        ("SupportedFeatureProfiles", True, OcppKeys().supported_feature_profiles),
        ("StopTxnSampledData", False, ""),
        ("ClockAlignedDataInterval", False, "0"),
        ("MeterValuesAlignedData", False, "Energy.Active.Import.Register"),
        ("MeterValuesAlignedDataMaxLength", True, "44"),
        ("StopTxnAlignedDataMaxLength", True, "44"),
        ("StopTransactionMaxMeterValues", False, "30"),
        ("MaxEnergyOnInvalidId", False, "0"),
        ("LightIntensity", False, "100"),
        ("BlinkRepeat", False, "0"),
        ("ReserveConnectorZeroSupported", True, "true"),
        ("LocalAuthListMaxLength", True, "1000"),
        ("SupportedFeatureProfilesMaxLength", True, "6"),
        ("ConnectorPhaseRotationMaxLength", True, "3"),
        ("SecurityProfile", False, "0"),
        ("MessageTimeout", False, "30"),
        ("AuthorizationKey", False, None),
    ],
)
def test_values_as_a_central_system_sees_them(name: str, is_readonly: bool, value: str | None) -> None:
    assert Desk().registry.report([name]) == ([KeyValue(name, is_readonly, value)], [])


@pytest.mark.parametrize(
    ("name", "text", "status", "shown"),
    [
        ("HeartbeatInterval", "60", "Accepted", "60"),
        ("heartbeatINTERVAL", " 60 ", "Accepted", "60"),
        ("HeartbeatInterval", "060", "Accepted", "60"),
        ("HeartbeatInterval", "0", "Rejected", "300"),
        ("HeartbeatInterval", "-1", "Rejected", "300"),
        ("HeartbeatInterval", "1_0", "Rejected", "300"),
        ("HeartbeatInterval", "1e2", "Rejected", "300"),
        ("HeartbeatInterval", "٦٠", "Rejected", "300"),
        ("HeartbeatInterval", "", "Rejected", "300"),
        ("HeartbeatInterval", "9" * 400, "Rejected", "300"),
        ("LocalPreAuthorize", "TRUE", "Accepted", "true"),
        ("LocalPreAuthorize", "True", "Accepted", "true"),
        ("LocalPreAuthorize", "1", "Rejected", "false"),
        ("LocalPreAuthorize", "yes", "Rejected", "false"),
        ("ResetRetries", "3", "Accepted", "3"),
        ("ResetRetries", "11", "Rejected", "1"),
        ("ClockAlignedDataInterval", "900", "Accepted", "900"),
        ("ClockAlignedDataInterval", "86401", "Rejected", "0"),
        ("ClockAlignedDataInterval", "-1", "Rejected", "0"),
        ("MeterValuesAlignedData", "Voltage.L1,SoC", "Accepted", "Voltage.L1,SoC"),
        ("MeterValuesAlignedData", "Mood", "Rejected", "Energy.Active.Import.Register"),
        ("StopTxnSampledData", "Voltage", "Accepted", "Voltage"),
        ("StopTxnAlignedData", "Mood", "Rejected", ""),
        ("StopTransactionMaxMeterValues", "1", "Rejected", "30"),
        ("LightIntensity", "101", "Rejected", "100"),
        ("ConnectorPhaseRotation", "0.RST, 1.RTS", "Accepted", "0.RST,1.RTS"),
        ("ConnectorPhaseRotation", "1.NotApplicable,2.Unknown", "Accepted", "1.NotApplicable,2.Unknown"),
        ("ConnectorPhaseRotation", "", "Accepted", ""),
        ("ConnectorPhaseRotation", "RST", "Rejected", "0.Unknown"),
        ("ConnectorPhaseRotation", "1.RST,1.RTS", "Rejected", "0.Unknown"),
        ("ConnectorPhaseRotation", "3.RST", "Rejected", "0.Unknown"),
        ("ConnectorPhaseRotation", "1.RSR", "Rejected", "0.Unknown"),
        ("ConnectorPhaseRotation", "1.RST,", "Rejected", "0.Unknown"),
        ("NumberOfConnectors", "1", "Rejected", "2"),
        ("MeterValuesSampledData", "Voltage.L1, SoC", "Accepted", "Voltage.L1,SoC"),
        ("MeterValuesSampledData", ",".join(sorted(OCPP_MEASURANDS)), "Accepted", ",".join(sorted(OCPP_MEASURANDS))),
        ("MeterValuesSampledData", "", "Accepted", ""),
        ("MessageTimeout", "5", "Accepted", "5"),
        ("AuthorizationKey", "0123456789abcdef0123456789abcdef", "Accepted", None),
        ("AuthorizationKey", "x" * 41, "Rejected", None),
        ("AuthorizationKey", "", "Rejected", None),
    ],
)
async def test_changes(name: str, text: str, status: str, shown: str | None) -> None:
    desk = Desk()
    assert await desk.registry.change(name, text) is ChangeStatus(status)
    assert desk.value(name) == shown
    assert len(desk.seen) == (status == "Accepted" and desk.registry.live.settings != desk.file)


@pytest.mark.parametrize("text", ["Voltage.L4", "Voltage,", "voltage", "Energy", "Voltage;SoC", ",".join(["SoC"] * 45)])
async def test_a_refused_measurand_list_leaves_the_old_one(text: str) -> None:
    desk = Desk()
    before = desk.value("MeterValuesSampledData")
    assert await desk.registry.change("MeterValuesSampledData", text) is ChangeStatus.REJECTED
    assert desk.value("MeterValuesSampledData") == before
    assert desk.overlay.values == {}
    assert desk.seen == []


@pytest.mark.parametrize(
    ("name", "text", "status"),
    [
        ("UnlockConnectorOnEVSideDisconnect", "TRUE", "Accepted"),
        ("UnlockConnectorOnEVSideDisconnect", "false", "Rejected"),
        ("UnlockConnectorOnEVSideDisconnect", "perhaps", "Rejected"),
        ("NumberOfConnectors", "2", "Rejected"),
        ("GetConfigurationMaxKeys", "100", "Rejected"),
        ("CertificateStoreMaxLength", "16", "Rejected"),
    ],
)
async def test_a_fixed_key_takes_the_value_it_has_where_the_standard_lets_it_be_changed(
    name: str, text: str, status: str
) -> None:
    desk = Desk()
    before = desk.registry.report()
    assert await desk.registry.change(name, text) is ChangeStatus(status)
    assert desk.registry.report() == before
    assert (desk.overlay.values, desk.seen) == ({}, [])


async def test_unknown_keys_are_not_supported() -> None:
    assert await Desk().registry.change("Nonsense", "1") is ChangeStatus.NOT_SUPPORTED


async def test_measurands_the_meters_cannot_give_are_left_out() -> None:
    desk = Desk()
    await desk.registry.change("MeterValuesSampledData", "SoC,Voltage.L1,Power.Factor,Voltage.L2-N,RPM")
    keys = desk.registry.live.settings.ocpp.keys
    assert keys.meter_values_sampled_data == (Measurand.VOLTAGE, Measurand.POWER_FACTOR)


async def test_a_change_is_durable_before_it_is_visible() -> None:
    desk = Desk()
    desk.overlay.is_full = True
    assert await desk.registry.change("HeartbeatInterval", "60") is ChangeStatus.REJECTED
    assert desk.value("HeartbeatInterval") == "300"
    assert desk.seen == []


async def test_changes_at_once_are_all_kept() -> None:
    desk = Desk()
    changes = (("HeartbeatInterval", "60"), ("ConnectionTimeOut", "70"), ("MinimumStatusDuration", "3"))
    await asyncio.gather(*(desk.registry.change(name, text) for name, text in changes))
    assert [desk.value(name) for name, _ in changes] == ["60", "70", "3"]
    assert apply(desk.file, desk.overlay.values) == desk.registry.live.settings == desk.seen[-1]


async def test_the_same_value_again_is_accepted_and_not_written() -> None:
    desk = Desk()
    assert await desk.registry.change("HeartbeatInterval", "300") is ChangeStatus.ACCEPTED
    assert desk.overlay.values == {}


async def test_a_credential_needed_by_the_profile_changes_and_stays_hidden() -> None:
    desk = Desk()
    await desk.registry.change("AuthorizationKey", "geheim")
    assert desk.value("AuthorizationKey") is None
    assert desk.registry.live.get("ocpp.authorization_key") == "(hidden)"
    key = desk.registry.live.settings.ocpp.authorization_key
    assert key is not None
    assert key.get_secret_value() == "geheim"
    await desk.registry.change("HeartbeatInterval", "60")
    rebuilt = desk.registry.live.settings.ocpp.authorization_key
    assert rebuilt == key, "another change does not lose it"


def key_names() -> st.SearchStrategy[str]:
    known = [entry.meaning.ocpp_key.name for entry in ocpp_entries().values() if entry.meaning.ocpp_key]
    return st.one_of(st.sampled_from(known), st.sampled_from(known).map(str.swapcase), st.text(max_size=10))


def key_texts() -> st.SearchStrategy[str]:
    return st.one_of(
        st.text(max_size=20),
        st.integers(-2, 100_000).map(str),
        st.sampled_from(["true", "FALSE", "Voltage", "SoC,RPM"]),
    )


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(key_names(), key_texts()), max_size=6))
def test_whatever_a_central_system_sends_the_answers_are_consistent(changes: list[tuple[str, str]]) -> None:
    async def play() -> None:
        desk = Desk()
        for name, text in changes:
            before = desk.registry.report()
            status = await desk.registry.change(name, text)
            is_known = name.casefold() in ocpp_entries()
            assert (status is ChangeStatus.NOT_SUPPORTED) == (not is_known)
            if status is not ChangeStatus.ACCEPTED:
                assert desk.registry.report() == before
        assert apply(desk.file, desk.overlay.values) == desk.registry.live.settings

    asyncio.run(play())


async def test_all_keys_but_the_credentials_are_put_back_to_what_the_file_says() -> None:
    file = Settings.model_validate({"ocpp": {"keys": {"HeartbeatInterval": 60}}})
    desk = Desk(file)
    for name, text in (
        ("HeartbeatInterval", "30"),
        ("MessageTimeout", "5"),
        ("LocalPreAuthorize", "true"),
        ("AuthorizationKey", "0123456789abcdef"),
    ):
        assert await desk.registry.change(name, text) is ChangeStatus.ACCEPTED
    desk.seen.clear()
    done = await desk.registry.live.reset(resettable_keys())
    assert done == ["ocpp.keys.HeartbeatInterval", "ocpp.keys.LocalPreAuthorize", "ocpp.call_timeout_s"]
    assert [desk.value(name) for name in ("HeartbeatInterval", "MessageTimeout", "LocalPreAuthorize")] == [
        "60",
        "30",
        "false",
    ]
    assert list(desk.overlay.values) == ["ocpp.authorization_key"]
    assert desk.seen == [desk.registry.live.settings], "told once"
    assert await desk.registry.live.reset(resettable_keys()) == []


async def test_keys_are_put_back_to_the_file_also_when_the_run_began_with_changed_ones() -> None:
    desk = Desk()
    changed = apply(desk.file, {"ocpp.keys.ResetRetries": "4"})
    registry = KeyRegistry(changed, desk.overlay, desk.seen.append, factory=desk.file)
    desk.overlay.values["ocpp.keys.ResetRetries"] = "4"
    assert await registry.live.reset(resettable_keys()) == ["ocpp.keys.ResetRetries"]
    assert registry.live.settings == desk.file
    assert desk.overlay.values == {}


async def test_a_key_that_cannot_be_put_back_stays_as_it_is() -> None:
    desk = Desk()
    await desk.registry.change("ResetRetries", "4")
    desk.overlay.is_full = True
    with pytest.raises(EvchargeError):
        await desk.registry.live.reset(resettable_keys())
    assert desk.value("ResetRetries") == "4"
