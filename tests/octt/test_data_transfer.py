"""DataTransfer to the charge point."""

from tests.octt.bench import Bench, in_memory


@in_memory()
async def test_tc_062_data_transfer(bench: Bench) -> None:
    """A vendor and a message nobody knows."""
    await bench.booted()
    answer = await bench.central.order("DataTransfer", vendorId="com.example.nobody", messageId="x", data="y")
    assert answer == "UnknownVendorId"
    assert await bench.central.order("DataTransfer", vendorId="evcharge", messageId="x") == "UnknownMessageId"
