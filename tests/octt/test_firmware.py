"""Firmware and diagnostics, with real file servers on this machine."""

from tests.octt.bench import Bench, in_memory
from tests.scenario.firmware_scripts import LONG_AGO, served, unpacked
from tests.support.file_servers import PASSWORD, USER, ftp_server
from tests.support.firmware import bundle
from tests.support.rig import CARD

FIRMWARE, DIAGNOSTICS = "FirmwareStatusNotification", "DiagnosticsStatusNotification"
NOBODY_LISTENS = "ftp://127.0.0.1:1/"


@in_memory()
async def test_tc_044_1_firmware_download_and_install(bench: Bench) -> None:
    """Every status in order, the result after the restart, under the new version; the charger charges on."""
    await bench.booted()
    with served(bundle("2.0.0")) as location:
        assert await bench.central.call("UpdateFirmware", location=location, retrieveDate=LONG_AGO) == {}
        for status in ("Downloading", "Downloaded", "Installing"):
            await bench.central.expect(FIRMWARE, status=status)
        bench.central.mark("restart")
        await bench.central.expect("BootNotification", firmwareVersion="2.0.0")
        await bench.central.expect(FIRMWARE, status="Installed")
    await bench.central.quiet(FIRMWARE, for_s=3)
    assert bench.central.states(1)[-1] == "Available"
    await bench.charging()


@in_memory()
async def test_tc_044_2_firmware_download_failed(bench: Bench) -> None:
    """The file is not there: DownloadFailed, and nothing else happens to the charger."""
    await bench.booted()
    with served(b"", status=404) as location:
        await bench.central.call("UpdateFirmware", location=location, retrieveDate=LONG_AGO, retries=1, retryInterval=1)
        for status in ("Downloading", "DownloadFailed"):
            await bench.central.expect(FIRMWARE, status=status)
    await bench.central.quiet(FIRMWARE, for_s=3)
    assert len(bench.central.sent("BootNotification")) == 1
    await bench.charging()


@in_memory()
async def test_tc_044_3_firmware_installation_failed(bench: Bench) -> None:
    """What came is no firmware: InstallationFailed, and the charger is what it was."""
    await bench.booted()
    with served(b"\x5a" * 5000) as location:
        await bench.central.call("UpdateFirmware", location=location, retrieveDate=LONG_AGO)
        for status in ("Downloading", "Downloaded", "Installing", "InstallationFailed"):
            await bench.central.expect(FIRMWARE, status=status)
    await bench.central.quiet(FIRMWARE, for_s=3)
    assert len(bench.central.sent("BootNotification")) == 1
    assert bench.central.states(1)[-1] == "Available"
    await bench.charging()


@in_memory()
async def test_tc_045_1_get_diagnostics(bench: Bench) -> None:
    """The named file is there when Uploaded is told."""
    await bench.booted()
    start = await bench.charging()
    directory = bench.rig.agent_dir / "uploaded"
    directory.mkdir()
    with ftp_server(directory) as port:
        location = f"ftp://{USER}:{PASSWORD.replace('@', '%40')}@127.0.0.1:{port}/"
        answer = await bench.central.call("GetDiagnostics", location=location, retries=1)
        await bench.central.expect(DIAGNOSTICS, status="Uploading")
        await bench.central.expect(DIAGNOSTICS, status="Uploaded")
    (path,) = directory.iterdir()
    assert path.name == answer["fileName"]
    assert "log.jsonl" in unpacked(path)
    await bench.swipe(CARD)
    await bench.stopped(start)


@in_memory()
async def test_tc_045_2_get_diagnostics_upload_failed(bench: Bench) -> None:
    """Nobody takes the file: UploadFailed, after the retries that were asked for."""
    await bench.booted()
    answer = await bench.central.call("GetDiagnostics", location=NOBODY_LISTENS, retries=2, retryInterval=3)
    assert answer["fileName"]
    begun = await bench.central.expect(DIAGNOSTICS, status="Uploading")
    failed = await bench.central.expect(DIAGNOSTICS, status="UploadFailed")
    assert failed.at_s - begun.at_s >= 2.9
    await bench.central.quiet(DIAGNOSTICS, for_s=5)
