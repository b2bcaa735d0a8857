"""Rules 10 and 19: remote start and stop, configuration keys."""

import asyncio

import pytest

from evcharge_agent.core.events import RemoteStartRequested, RemoteStopRequested
from evcharge_agent.demo.central_script import Script
from evcharge_agent.settings.keys import OcppKeys
from tests.support.ocpp_charger import on_site


def ask(frame):
    """Send a raw request, return the raw answer."""

    async def test(site, __, central):
        site.is_central_judged = False
        known = len(central.frames.all())
        await central.session.send_raw(frame)
        await central.until(lambda: len(central.frames.all()) > known + 1)
        return central.frames.all()[-1].text

    return test


@pytest.mark.parametrize("connector", [None, 1, 2])
@pytest.mark.parametrize("is_accepted", [True, False])
def test_the_core_decides_on_a_remote_start(tmp_path, connector, is_accepted):
    async def test(_, charger, central):
        charger.accepts_remote = is_accepted
        status = await central.remote_start(connector, "CARD1")
        return status, [(one.id_tag, one.connector) for one in charger.all(RemoteStartRequested)]

    assert on_site(tmp_path, test) == ("Accepted" if is_accepted else "Rejected", [("CARD1", connector)])


@pytest.mark.parametrize("connector", [0, -1])
def test_a_remote_start_on_connector_0_is_rejected(tmp_path, connector):
    async def test(_, charger, central):
        return await central.remote_start(connector, "CARD1"), charger.all(RemoteStartRequested)

    assert on_site(tmp_path, test) == ("Rejected", [])


@pytest.mark.parametrize("transaction_id", [0, 1, -1, 2**31 - 1])
def test_the_core_decides_on_a_remote_stop(tmp_path, transaction_id):
    async def test(_, charger, central):
        status = await central.remote_stop(transaction_id)
        return status, [one.transaction_id for one in charger.all(RemoteStopRequested)]

    assert on_site(tmp_path, test) == ("Accepted", [transaction_id])


def test_a_core_that_does_not_answer_rejects(tmp_path):
    async def test(_, charger, central):
        charger.answers_remote = False
        return await central.remote_start(1, "CARD1")

    assert on_site(tmp_path, test) == "Rejected"


@pytest.mark.parametrize(("features", "is_heeded"), [("Core", False), ("Core,SmartCharging", True)])
def test_a_profile_in_a_remote_start_is_ignored_without_smart_charging(tmp_path, features, is_heeded):
    profile = (
        '{"chargingProfileId":1,"stackLevel":0,"chargingProfilePurpose":"TxProfile","chargingProfileKind":"Relative",'
        '"chargingSchedule":{"chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":6.1}]}}'
    )
    frame = f'[2,"x","RemoteStartTransaction",{{"idTag":"A","connectorId":1,"chargingProfile":{profile}}}]'

    async def test(site, charger, central):
        answer = await ask(frame)(site, charger, central)
        return answer, [one.profile is not None for one in charger.all(RemoteStartRequested)]

    keys = {"keys": {"SupportedFeatureProfiles": features}}
    assert on_site(tmp_path, test, ocpp=keys) == ('[3,"x",{"status":"Accepted"}]', [is_heeded])


@pytest.mark.parametrize("action", ["SetChargingProfile", "ClearChargingProfile", "GetCompositeSchedule"])
def test_smart_charging_is_not_supported_where_it_is_switched_off(tmp_path, action):
    keys = {"keys": {"SupportedFeatureProfiles": "Core"}}
    assert '"NotSupported"' in on_site(tmp_path, ask(f'[2,"x","{action}",{{}}]'), ocpp=keys)


@pytest.mark.parametrize("payload", ["{}", '{"key":[]}'])
def test_all_keys_are_reported_without_names_and_with_an_empty_list(tmp_path, payload):
    answer = on_site(tmp_path, ask(f'[2,"x","GetConfiguration",{payload}]'))
    for key in ("HeartbeatInterval", "SupportedFeatureProfiles", "NumberOfConnectors", "AuthorizationKey"):
        assert f'"key":"{key}"' in answer
    assert "unknownKey" not in answer


def test_keys_come_in_request_order_without_case_and_unknown_ones_apart(tmp_path):
    names = '["webSocketPINGinterval","Nonsense","HeartbeatInterval","nonsense,HeartbeatInterval"]'
    answer = on_site(tmp_path, ask(f'[2,"x","GetConfiguration",{{"key":{names}}}]'))
    assert answer == (
        '[3,"x",{"configurationKey":[{"key":"WebSocketPingInterval","readonly":false,"value":"30"},'
        '{"key":"HeartbeatInterval","readonly":false,"value":"300"}],'
        '"unknownKey":["Nonsense","nonsense,HeartbeatInterval"]}]'
    )


def test_only_unknown_keys(tmp_path):
    answer = on_site(tmp_path, ask('[2,"x","GetConfiguration",{"key":["Nonsense"]}]'))
    assert answer == '[3,"x",{"unknownKey":["Nonsense"]}]'


def test_the_authorization_key_is_never_echoed(tmp_path):
    async def test(_, __, central):
        status = await central.change_configuration("AuthorizationKey", "CANARY-SECRET-0123")
        return status, await central.get_configuration(), [f.text for f in central.frames.all()][-1]

    status, keys, last = on_site(tmp_path, test)
    assert status == "Accepted"
    assert keys["AuthorizationKey"] is None
    assert "CANARY" not in last


@pytest.mark.parametrize(
    ("key", "value", "status", "kept"),
    [
        ("HeartbeatInterval", "60", "Accepted", "60"),
        ("HEARTBEATINTERVAL", " 60 ", "Accepted", "60"),
        ("HeartbeatInterval", "-1", "Rejected", "300"),
        ("HeartbeatInterval", "soon", "Rejected", "300"),
        ("HeartbeatInterval", "", "Rejected", "300"),
        ("LocalPreAuthorize", "TRUE", "Accepted", "true"),
        ("LocalPreAuthorize", "yes", "Rejected", "false"),
        ("SupportedFeatureProfiles", "Core,Everything", "Rejected", OcppKeys().supported_feature_profiles),
        ("MeterValuesSampledData", "Voltage.L1,SoC", "Accepted", "Voltage.L1,SoC"),
        ("MeterValuesSampledData", "Voltage,Mood", "Rejected", None),
        ("Nonsense", "1", "NotSupported", None),
    ],
)
def test_a_change_is_answered_and_a_refused_one_keeps_the_old_value(tmp_path, key, value, status, kept):
    async def test(_, __, central):
        answer = await central.change_configuration(key, value)
        keys = {name.casefold(): shown for name, shown in (await central.get_configuration()).items()}
        return answer, keys.get(key.casefold())

    answer, now = on_site(tmp_path, test)
    assert answer == status
    assert kept is None or now == kept


def test_all_measurands_of_the_standard_at_once_are_accepted(tmp_path):
    everything = (
        "Current.Export,Current.Import,Current.Offered,Energy.Active.Export.Register,Energy.Active.Import.Register,"
        "Energy.Reactive.Export.Register,Energy.Reactive.Import.Register,Energy.Active.Export.Interval,"
        "Energy.Active.Import.Interval,Energy.Reactive.Export.Interval,Energy.Reactive.Import.Interval,Frequency,"
        "Power.Active.Export,Power.Active.Import,Power.Factor,Power.Offered,Power.Reactive.Export,"
        "Power.Reactive.Import,RPM,SoC,Temperature,Voltage"
    )

    async def test(_, __, central):
        status = await central.change_configuration("MeterValuesSampledData", everything)
        return status, await central.get_configuration("MeterValuesSampledData")

    assert on_site(tmp_path, test) == ("Accepted", {"MeterValuesSampledData": everything})


def test_changed_keys_outlive_a_restart(tmp_path):
    async def change(_, __, central):
        await central.change_configuration("WebSocketPingInterval", "55")

    async def restarted(_, charger, __):
        return await charger.store.overlay()

    on_site(tmp_path, change)
    assert "55" in (on_site(tmp_path, restarted)).values()


@pytest.mark.parametrize(
    "action", ["ReserveNow", "GetDiagnostics", "UpdateFirmware", "SetChargingProfile", "SendLocalList"]
)
def test_actions_this_version_does_not_have_are_not_supported(tmp_path, action):
    assert on_site(tmp_path, ask(f'[2,"x","{action}",{{}}]')).startswith('[4,"x","NotSupported"')


def test_commands_at_the_same_moment_as_our_own_calls_do_not_deadlock(tmp_path):
    async def test(_, charger, central):
        for number in range(20):
            charger.report(1 + number)
        starts = [central.remote_start(1, f"CARD{number}") for number in range(5)]
        return await asyncio.gather(*starts), len(central.of("StatusNotification"))

    statuses, _ = on_site(tmp_path, test, Script())
    assert statuses == ["Accepted"] * 5
