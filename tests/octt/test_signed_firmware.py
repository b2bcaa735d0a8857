"""The security log, and firmware that is signed; real file servers on this machine."""

import json
from collections.abc import Iterable

from tests.octt.bench import Bench, in_memory
from tests.scenario.firmware_scripts import LONG_AGO, served
from tests.support.file_servers import Behaviour, http_server
from tests.support.firmware import Signer, bundle, make_root, make_signer

FIRMWARE, LOG, EVENT = "SignedFirmwareStatusNotification", "LogStatusNotification", "SecurityEventNotification"


@in_memory()
async def test_tc_079_get_security_log(bench: Bench) -> None:
    """One file under the name that was answered, told under the request's id; the start is in it."""
    await bench.booted()
    behaviour = Behaviour()
    with http_server(behaviour) as port:
        order = {"logType": "SecurityLog", "requestId": 21, "log": {"remoteLocation": f"http://127.0.0.1:{port}/logs"}}
        answer = await bench.central.call("GetLog", **order)
        assert answer["status"] == "Accepted"
        for status in ("Uploading", "Uploaded"):
            await bench.central.expect(LOG, status=status, requestId=21)
    ((path, content),) = behaviour.stored.items()
    assert path.rpartition("/")[2] == answer["filename"]
    assert "StartupOfTheDevice" in {json.loads(line).get("event") for line in content.splitlines()}


@in_memory()
async def test_tc_080_secure_firmware_update(bench: Bench) -> None:
    """Every status with the request's id, the new version at the boot, FirmwareUpdated."""
    await bench.booted()
    signer, content = await _manufacturer(bench), bundle("3.0.0")
    with served(content) as location:
        assert await _update(bench, location, signer, signer.sign(content)) == "Accepted"
        await _told(bench, "Downloading Downloaded SignatureVerified Installing InstallRebooting".split())
        bench.central.mark("restart")
        await bench.central.expect("BootNotification", firmwareVersion="3.0.0")
        await _told(bench, ["Installed"])
    await bench.central.until(lambda: "FirmwareUpdated" in _events(bench), "the event")
    await bench.charging()


@in_memory()
async def test_tc_081_secure_firmware_update_invalid_signature(bench: Bench) -> None:
    """InvalidSignature and its event; nothing is installed, and it charges on."""
    await bench.booted()
    signer, content = await _manufacturer(bench), bundle("3.0.0")
    with served(content) as location:
        assert await _update(bench, location, signer, signer.sign(content + b"x")) == "Accepted"
        await _told(bench, ["Downloading", "Downloaded", "InvalidSignature"])
    await bench.central.until(lambda: "InvalidFirmwareSignature" in _events(bench), "the event")
    await bench.central.quiet(FIRMWARE, for_s=3)
    assert len(bench.central.sent("BootNotification")) == 1
    assert bench.central.states(1)[-1] == "Available"
    await bench.charging()


async def _manufacturer(bench: Bench) -> Signer:
    """A root the charger was given, and a signer under it."""
    root = make_root()
    order = {"certificateType": "ManufacturerRootCertificate", "certificate": root.pem}
    assert await bench.central.order("InstallCertificate", **order) == "Accepted"
    return make_signer(root)


async def _update(bench: Bench, location: str, signer: Signer, signature: str) -> str:
    firmware = {"location": location, "retrieveDateTime": LONG_AGO, "signingCertificate": signer.pem}
    firmware |= {"signature": signature}
    return await bench.central.order("SignedUpdateFirmware", requestId=7, retries=1, firmware=firmware)


async def _told(bench: Bench, statuses: Iterable[str]) -> None:
    for status in statuses:
        await bench.central.expect(FIRMWARE, status=status, requestId=7)


def _events(bench: Bench) -> list[str]:
    return [call.payload["type"] for call in bench.central.sent(EVENT)]
