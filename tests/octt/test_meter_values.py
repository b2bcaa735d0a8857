"""Sampled and clock-aligned meter values; the laws judge beat, boundaries, measurands and registers."""

from tests.octt.bench import Bench, in_memory


@in_memory()
async def test_tc_070_sampled_meter_values(bench: Bench) -> None:
    """Interval and measurands as configured, as long as the transaction lasts and no longer."""
    await bench.booted()
    await bench.central.configure(
        MeterValueSampleInterval=2, MeterValuesSampledData="Energy.Active.Import.Register,Power.Active.Import"
    )
    start = await bench.charging()
    assert start.result is not None
    for _ in range(4):
        await bench.central.expect("MeterValues", within_s=4, transactionId=start.result["transactionId"])
    await bench.swipe()
    await bench.stopped(start)
    await bench.central.quiet("MeterValues", for_s=5)


@in_memory(keys={"MeterValueSampleInterval": 0})
async def test_tc_071_clock_aligned_meter_values(bench: Bench) -> None:
    """On the clock's multiples, with and without a transaction."""
    await bench.booted()
    await bench.central.configure(
        ClockAlignedDataInterval=5, MeterValuesAlignedData="Energy.Active.Import.Register,Voltage"
    )
    for connector in (1, 2):
        await bench.central.expect("MeterValues", connectorId=connector, transactionId=None)
    start = await bench.charging()
    assert start.result is not None
    for _ in range(2):
        await bench.central.expect("MeterValues", connectorId=1, transactionId=start.result["transactionId"])
    await bench.central.configure(ClockAlignedDataInterval=0)
    await bench.central.quiet("MeterValues", for_s=6)
