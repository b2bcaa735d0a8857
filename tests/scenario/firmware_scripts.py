"""Firmware and logs as a central system orders them, with real file servers (OCTT TC_044, 045, 079, 080, 081)."""

import contextlib
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

from ocpp.v16 import call

from evcharge_agent.ocpp16.security.certificate_store import Kind
from evcharge_agent.ocpp16.security.files import store_of
from tests.scenario.scripts import Scenario, is_closed
from tests.support.file_servers import PASSWORD, USER, Behaviour, ftp_server, http_server
from tests.support.firmware import Signer, bundle, make_root, make_signer
from tests.support.rig import CARD, Rig

LONG_AGO = "2020-01-01T00:00:00Z"
FOREIGN_TAG = "DEADBEEFCAFE0042"


def told(rig: Rig, action: str) -> list[str]:
    return [one.payload["status"] for one in rig.central.of(action)]


async def until_told(rig: Rig, action: str, *statuses: str) -> None:
    """Wait for the last of the notifications, then compare all of them."""
    await rig.until_central(f"{statuses[-1]}", lambda: statuses[-1] in told(rig, action), within_s=40.0)
    await rig.sleep(1.5)
    assert told(rig, action) == list(statuses)


async def update(rig: Rig, location: str, **fields: object) -> None:
    request: dict[str, object] = {"location": location, "retrieve_date": LONG_AGO, "retries": 1, **fields}
    await rig.central.command(call.UpdateFirmware(**request))  # type: ignore[arg-type]


async def order_signed(rig: Rig, location: str, signer: Signer, signature: str, **fields: str) -> str:
    firmware = {
        "location": location,
        "retrieveDateTime": LONG_AGO,
        "signingCertificate": signer.pem,
        "signature": signature,
        **fields,
    }
    answer = await rig.central.command(call.SignedUpdateFirmware(request_id=7, firmware=firmware, retries=1))
    return str(answer.status)


def manufacturer(rig: Rig) -> Signer:
    """A root the charger knows, as if it had been installed, and a signer under it."""
    root = make_root()
    store_of(rig.agent_dir).add_root(Kind.MANUFACTURER_ROOT, root.pem)
    return make_signer(root)


@contextlib.contextmanager
def served(content: bytes, **behaviour: object) -> Iterator[str]:
    with http_server(Behaviour(content, **behaviour)) as port:  # type: ignore[arg-type]
        yield f"http://127.0.0.1:{port}/firmware.bin"


def boots(rig: Rig) -> list[str]:
    return [one.payload.get("firmware_version", "") for one in rig.central.of("BootNotification")]


# --- firmware ---------------------------------------------------------------------------------------------


async def unsigned_update_installs_and_reports_after_the_restart(rig: Rig) -> None:
    """TC_044_1: Downloading, Downloaded, Installing, a boot with the new version, Installed; Idle only when asked."""
    await rig.until_online()
    with served(bundle("2.0.0"), cut_after=[7000]) as location:
        await update(rig, location, retries=2, retry_interval=1)
        await until_told(rig, "FirmwareStatusNotification", "Downloading", "Downloaded", "Installing", "Installed")
    assert boots(rig)[-1] == "2.0.0"
    assert len(boots(rig)) == 2
    assert rig.restarts["agent"] == 1
    actions = [one.action for one in rig.central.received]
    second_boot = [place for place, action in enumerate(actions) if action == "BootNotification"][1]
    last_status = len(actions) - 1 - actions[::-1].index("FirmwareStatusNotification")
    assert second_boot < last_status, "the result is told after the restart"
    await rig.until_state("Available")
    assert await rig.central.trigger("FirmwareStatusNotification") == "Accepted"
    await rig.until_central("idle", lambda: told(rig, "FirmwareStatusNotification")[-1] == "Idle")
    assert not list((rig.agent_dir / "spool").iterdir())
    await rig.plug_and_charge()


async def update_waits_for_the_transaction_and_holds_the_others(rig: Rig) -> None:
    """Free connectors are Unavailable while a car charges; nothing of it ends, then the update goes on."""
    await rig.until_online()
    await rig.plug_and_charge()
    with served(bundle("2.1.0")) as location:
        await update(rig, location)
        await rig.until_central("downloaded", lambda: "Downloaded" in told(rig, "FirmwareStatusNotification"))
        await rig.until_central("held", lambda: rig.central.states(2)[-1] == "Unavailable")
        await rig.sleep(5.0)
        assert is_closed(await rig.at())
        assert told(rig, "FirmwareStatusNotification") == ["Downloading", "Downloaded"]
        assert await rig.central.remote_start(2, "APP") == "Rejected"
        await rig.do("swipe", id_tag=CARD, connectors=[1])
        await rig.until_stopped()
        await until_told(rig, "FirmwareStatusNotification", "Downloading", "Downloaded", "Installing", "Installed")
    assert boots(rig)[-1] == "2.1.0"
    assert [one.payload.get("reason") for one in rig.central.of("StopTransaction")] == ["Local"]
    await rig.until_central("back", lambda: rig.central.states(2)[-1] == "Available")


async def update_whose_download_fails(rig: Rig) -> None:
    """TC_044_2: the file is not there; the charger goes on as it was."""
    await rig.until_online()
    with served(b"", status=404) as location:
        await update(rig, location)
        await until_told(rig, "FirmwareStatusNotification", "Downloading", "DownloadFailed")
    await update(rig, "gopher://127.0.0.1/x")
    await rig.until_central("refused", lambda: told(rig, "FirmwareStatusNotification").count("DownloadFailed") == 2)
    assert len(boots(rig)) == 1
    await rig.plug_and_charge()


async def update_whose_installation_fails(rig: Rig) -> None:
    """TC_044_3: no bundle, and an older version; connectors come back, nothing restarts."""
    await rig.until_online()
    statuses = ["Downloading", "Downloaded", "Installing", "InstallationFailed"]
    with served(b"\x5a" * 5000) as location:
        await update(rig, location)
        await until_told(rig, "FirmwareStatusNotification", *statuses)
    await rig.until_central("back", lambda: rig.central.states(1)[-1] == "Available")
    assert len(boots(rig)) == 1
    await rig.plug_and_charge()


async def signed_update_installs(rig: Rig) -> None:
    """TC_080: every status with the request's id, in order."""
    await rig.until_online()
    signer = manufacturer(rig)
    content = bundle("3.0.0")
    with served(content) as location:
        assert await order_signed(rig, location, signer, signer.sign(content)) == "Accepted"
        await until_told(
            rig,
            "SignedFirmwareStatusNotification",
            "Downloading",
            "Downloaded",
            "SignatureVerified",
            "Installing",
            "InstallRebooting",
            "Installed",
        )
    assert boots(rig)[-1] == "3.0.0"
    assert {one.payload["request_id"] for one in rig.central.of("SignedFirmwareStatusNotification")} == {7}


async def signed_update_with_a_wrong_signature(rig: Rig) -> None:
    """TC_081: InvalidSignature, nothing is installed; a signer nobody knows is refused at once."""
    await rig.until_online()
    signer = manufacturer(rig)
    stranger = make_signer(make_root("Stranger"))
    content = bundle("3.0.0")
    with served(content) as location:
        assert await order_signed(rig, location, stranger, stranger.sign(content)) == "InvalidCertificate"
        await rig.sleep(1.0)
        assert told(rig, "SignedFirmwareStatusNotification") == []
        assert await order_signed(rig, location, signer, signer.sign(content + b"x")) == "Accepted"
        await until_told(rig, "SignedFirmwareStatusNotification", "Downloading", "Downloaded", "InvalidSignature")
    assert len(boots(rig)) == 1
    assert rig.central.states(1)[-1] == "Available"


# --- logs -------------------------------------------------------------------------------------------------


async def diagnostics_arrive_without_secrets(rig: Rig) -> None:
    """TC_045_1: one archive by FTP; no password, no full id tag in it."""
    await rig.until_online()
    await rig.plug_and_charge(card=FOREIGN_TAG)
    await rig.until_view("number", lambda at: at["session"]["transaction_id"] is not None)
    directory = rig.agent_dir / "uploaded"
    directory.mkdir()
    with ftp_server(directory) as port:
        location = f"ftp://{USER}:p%40ss-CANARY-url@127.0.0.1:{port}/"
        answer = await rig.central.command(call.GetDiagnostics(location=location, retries=1))
        await until_told(rig, "DiagnosticsStatusNotification", "Uploading", "Uploaded")
    (path,) = directory.iterdir()
    assert path.name == answer.file_name
    found = unpacked(path)
    assert {"log.jsonl", "settings.json", "station.json", "sessions.json", "versions.json"} <= set(found)
    whole = b"".join(found.values())
    for secret in (PASSWORD, "CANARY", FOREIGN_TAG):
        assert secret.encode() not in whole
    assert b"DEAD" in found["sessions.json"]
    assert json.loads(found["station.json"])["connectors"][0]["state"] == "Charging"
    assert await rig.central.trigger("DiagnosticsStatusNotification") == "Accepted"
    await rig.until_central("idle", lambda: told(rig, "DiagnosticsStatusNotification")[-1] == "Idle")


async def diagnostics_that_cannot_be_sent(rig: Rig) -> None:
    """TC_045_2."""
    await rig.until_online()
    await rig.central.command(call.GetDiagnostics(location="ftp://127.0.0.1:1/", retries=2, retry_interval=1))
    await until_told(rig, "DiagnosticsStatusNotification", "Uploading", "UploadFailed")


async def log_with_its_request_id(rig: Rig) -> None:
    """TC_079 for the diagnostics log: status by request id; an address outside the rules is rejected."""
    await rig.until_online()
    behaviour = Behaviour()
    with http_server(behaviour) as port:
        log = {"remoteLocation": f"http://127.0.0.1:{port}/logs"}
        answer = await rig.central.command(call.GetLog(log=log, log_type="DiagnosticsLog", request_id=21))  # type: ignore[arg-type]
        assert answer.status == "Accepted"
        await until_told(rig, "LogStatusNotification", "Uploading", "Uploaded")
        bad = {"remoteLocation": "http://169.254.169.254:80:80/"}
        answer = await rig.central.command(call.GetLog(log=bad, log_type="DiagnosticsLog", request_id=22))  # type: ignore[arg-type]
        assert answer.status == "Rejected"
    assert {one.payload["request_id"] for one in rig.central.of("LogStatusNotification")} == {21}
    assert len(behaviour.stored) == 1


def unpacked(path: Path) -> dict[str, bytes]:
    """The files of an archive."""
    with tarfile.open(fileobj=io.BytesIO(path.read_bytes())) as archive:
        found = {}
        for member in archive.getmembers():
            file = archive.extractfile(member)
            assert file is not None
            found[member.name] = file.read()
        return found


FIRMWARE_SCENARIOS: tuple[Scenario, ...] = (
    unsigned_update_installs_and_reports_after_the_restart,
    update_waits_for_the_transaction_and_holds_the_others,
    update_whose_download_fails,
    update_whose_installation_fails,
    signed_update_installs,
    signed_update_with_a_wrong_signature,
    diagnostics_arrive_without_secrets,
    diagnostics_that_cannot_be_sent,
    log_with_its_request_id,
)
