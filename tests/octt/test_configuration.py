"""GetConfiguration and ChangeConfiguration."""

from tests.octt.bench import Bench, in_memory

REQUIRED = (
    *("AuthorizeRemoteTxRequests", "ClockAlignedDataInterval", "ConnectionTimeOut", "ConnectorPhaseRotation"),
    *("GetConfigurationMaxKeys", "HeartbeatInterval", "LocalAuthorizeOffline", "LocalPreAuthorize"),
    *("MeterValuesAlignedData", "MeterValuesSampledData", "MeterValueSampleInterval", "NumberOfConnectors"),
    *("ResetRetries", "StopTransactionOnEVSideDisconnect", "StopTransactionOnInvalidId", "StopTxnAlignedData"),
    *("StopTxnSampledData", "SupportedFeatureProfiles", "TransactionMessageAttempts"),
    *("TransactionMessageRetryInterval", "UnlockConnectorOnEVSideDisconnect"),
)
"""Keys every charge point has (OCPP 1.6, 9.1)."""


async def _value(bench: Bench, key: str) -> str:
    (line,) = (await bench.central.call("GetConfiguration", key=[key]))["configurationKey"]
    return str(line["value"])


@in_memory()
async def test_tc_019_retrieve_configuration(bench: Bench) -> None:
    """All keys, one key in any case, and one nobody knows."""
    await bench.booted()
    for everything in (
        await bench.central.call("GetConfiguration"),
        await bench.central.call("GetConfiguration", key=[]),
    ):
        lines = {line["key"]: line for line in everything["configurationKey"]}
        assert set(REQUIRED) <= set(lines)
        assert lines["NumberOfConnectors"] == {"key": "NumberOfConnectors", "readonly": True, "value": "2"}
        assert "Core" in lines["SupportedFeatureProfiles"]["value"].split(",")
    some = await bench.central.call("GetConfiguration", key=["meterValueSampleInterval", "NoSuchKey"])
    (line,) = some["configurationKey"]
    assert (line["readonly"], line["value"]) == (False, "3")
    assert some["unknownKey"] == ["NoSuchKey"]


@in_memory()
async def test_tc_021_change_configuration(bench: Bench) -> None:
    """Accepted, shown, and still there after a restart."""
    await bench.booted()
    await bench.central.configure(MeterValueSampleInterval=4, StopTransactionOnInvalidId=False)
    assert await _value(bench, "MeterValueSampleInterval") == "4"
    assert await bench.central.order("Reset", type="Soft") == "Accepted"
    await bench.booted()
    assert await _value(bench, "MeterValueSampleInterval") == "4"
    assert await _value(bench, "StopTransactionOnInvalidId") == "false"


@in_memory()
async def test_tc_040_1_configuration_key_not_supported(bench: Bench) -> None:
    """A key nobody knows."""
    await bench.booted()
    assert await bench.central.order("ChangeConfiguration", key="NoSuchKey", value="1") == "NotSupported"


@in_memory()
async def test_tc_040_2_configuration_invalid_value(bench: Bench) -> None:
    """Rejected, and the old value stays."""
    await bench.booted()
    for value in ("-1", "abc", ""):
        assert (
            await bench.central.order("ChangeConfiguration", key="MeterValueSampleInterval", value=value) == "Rejected"
        )
    assert await _value(bench, "MeterValueSampleInterval") == "3"
    assert await bench.central.order("ChangeConfiguration", key="MeterValuesSampledData", value="Nothing") == "Rejected"
    assert await bench.central.order("ChangeConfiguration", key="NumberOfConnectors", value="7") == "Rejected"
