"""Certificates over OCPP: roots come and go, the charger's own is requested, judged, put to work and renewed.

Row numbers are those of the rules a charge point must satisfy.
"""

import asyncio
import hashlib
import stat

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from ocpp.charge_point import snake_to_camel_case
from ocpp.v16 import call

from evcharge_agent.ocpp16.security.certificate_store import Kind
from evcharge_agent.ocpp16.security.ports import SecurityEvent
from evcharge_agent.settings.keys import OcppKeys
from evcharge_agent.settings.ocpp_section import SecurityEventNames
from tests.support.certificates import DAY_S, make, root, rsa_key, server_context
from tests.support.failing_disk import FailingDisk
from tests.support.secure_charger import KEY, SecureCharger, place, until

CENTRAL = "CentralSystemRootCertificate"
MANUFACTURER = "ManufacturerRootCertificate"
ROOT = root("operator")
SERVER = ROOT.server("localhost")


async def install(port, pem, use=CENTRAL):
    return str((await port.command(call.InstallCertificate(certificate_type=use, certificate=pem))).status)


async def listed(port, use=CENTRAL):
    answer = await port.command(call.GetInstalledCertificateIds(certificate_type=use))
    return str(answer.status), [snake_to_camel_case(data) for data in answer.certificate_hash_data or []]


async def delete(port, data):
    return str((await port.command(call.DeleteCertificate(certificate_hash_data=data))).status)


async def signed(port, chain):
    return str((await port.command(call.CertificateSigned(certificate_chain=chain))).status)


def keys(**values):
    """Factory values, read-only keys included."""
    return {"keys": OcppKeys.model_validate(values)}


def hash_data(made, issuer=None, algorithm="SHA256"):
    """CertificateHashData, written by other means than the charger's."""
    digest = getattr(hashlib, algorithm.lower())
    key = (issuer or made).certificate.public_key()
    is_ec = isinstance(key, ec.EllipticCurvePublicKey)
    encoding, form = (
        (serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
        if is_ec
        else (serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    )
    return {
        "hashAlgorithm": algorithm,
        "issuerNameHash": digest(made.certificate.issuer.public_bytes()).hexdigest(),
        "issuerKeyHash": digest(key.public_bytes(encoding, form)).hexdigest(),
        "serialNumber": f"{made.certificate.serial_number:x}",
    }


# --- roots ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("use", [CENTRAL, MANUFACTURER])
async def test_tc_075_rows_16_and_19_a_root_is_installed_listed_and_deleted(tmp_path, use):
    made = root("new", serial=0x0A0B)
    async with place() as port, SecureCharger.started(tmp_path, port.url("ws")) as charger:
        await port.booted()
        assert await listed(port, use) == ("NotFound", [])
        assert await install(port, made.pem, use) == "Accepted"
        assert await listed(port, use) == ("Accepted", [hash_data(made)])
        assert hash_data(made)["serialNumber"] == "a0b"
        assert await listed(port, MANUFACTURER if use == CENTRAL else CENTRAL) == ("NotFound", [])
        assert await delete(port, hash_data(made)) == "Accepted"
        assert await listed(port, use) == ("NotFound", [])
        assert await delete(port, hash_data(made)) == "NotFound"
        assert charger.logged().count("ReconfigurationOfSecurityParameters") >= 1


@pytest.mark.parametrize(
    ("kind", "algorithm"), [("EC", "SHA256"), ("EC", "SHA384"), ("RSA", "SHA512"), ("RSA", "SHA256")]
)
async def test_tc_076_row_18_a_root_is_deleted_by_any_hash_however_it_is_written(tmp_path, kind, algorithm):
    made = root("new", key=rsa_key() if kind == "RSA" else None)
    data = {name: value.upper() for name, value in hash_data(made, algorithm=algorithm).items()}
    data["serialNumber"] = "00" + data["serialNumber"] if len(data["serialNumber"]) < 38 else data["serialNumber"]
    async with place() as port, SecureCharger.started(tmp_path, port.url("ws")):
        await port.booted()
        assert await install(port, made.pem) == "Accepted"
        assert await delete(port, data | {"issuerKeyHash": "00"}) == "NotFound"
        assert await delete(port, data) == "Accepted"


@pytest.mark.parametrize(
    "pem",
    [
        pytest.param("", id="nothing"),
        pytest.param("no certificate", id="no certificate"),
        pytest.param("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", id="rubbish"),
        pytest.param(ROOT.pem + SERVER.pem, id="two"),
        pytest.param(ROOT.pem[:-60], id="cut off"),
        pytest.param(SERVER.pem, id="a server"),
        pytest.param(make("x").pem, id="no authority"),
        pytest.param(root(from_s=-9 * DAY_S, to_s=-DAY_S).pem, id="expired"),
        pytest.param(root(key=rsa_key(1024)).pem, id="short key"),
        pytest.param(ROOT.key_pem, id="a key"),
    ],
)
async def test_row_16_what_is_no_root_is_rejected(tmp_path, pem):
    async with place() as port, SecureCharger.started(tmp_path, port.url("ws")):
        await port.booted()
        assert await install(port, pem) == "Rejected"
        assert await listed(port) == ("NotFound", [])


async def test_row_16_a_full_store_rejects_and_a_repetition_needs_no_room(tmp_path):
    first = root("first")
    table = keys(CertificateStoreMaxLength=2)
    async with place() as port, SecureCharger.started(tmp_path, port.url("ws"), **table):
        await port.booted()
        assert await install(port, first.pem) == "Accepted"
        assert await install(port, root("second").pem, MANUFACTURER) == "Accepted"
        assert await install(port, root("third").pem) == "Rejected"
        assert await install(port, first.pem) == "Accepted"
        assert len((await listed(port))[1]) == 1


async def test_row_16_a_disk_that_does_not_take_it_fails(tmp_path):
    disk = FailingDisk()
    async with place() as port, SecureCharger.started(tmp_path, port.url("ws"), disk=disk):
        await port.booted()
        disk.is_full = True
        assert await install(port, ROOT.pem) == "Failed"
        disk.is_full = False
        assert await install(port, ROOT.pem) == "Accepted"


async def test_row_18_the_root_in_use_and_charge_point_certificates_are_not_deleted(tmp_path):
    ca_file = tmp_path / "ca.pem"
    ca_file.write_text(ROOT.pem)
    tls = server_context(tmp_path, SERVER, client_root=ROOT)
    charger = ROOT.client("SERIAL-7", "Operator")
    certificate, key = charger.write(tmp_path, "c")
    table = {"security_profile": 3, "client_certificate_file": str(certificate), "client_key_file": str(key)}
    async with place(tls) as port, SecureCharger.started(tmp_path, port.url(), ca_file=str(ca_file), **table):
        await port.booted()
        assert await install(port, ROOT.pem) == "Accepted"
        assert await delete(port, hash_data(ROOT)) == "Failed"
        assert await delete(port, hash_data(charger, issuer=ROOT)) == "Failed"
        other = root("other")
        assert await install(port, other.pem) == "Accepted"
        assert await delete(port, hash_data(other)) == "Accepted"


async def test_an_installed_root_is_believed_at_once_and_after_a_restart(tmp_path):
    tls = server_context(tmp_path, SERVER)
    async with place(None, KEY) as port:
        table = {"security_profile": 1, "authorization_key": KEY}
        async with SecureCharger.started(tmp_path, port.url("ws"), **table) as charger:
            await port.booted()
            assert await port.change("SecurityProfile", "2") == "Rejected"
            assert await install(port, ROOT.pem) == "Accepted"
            assert await port.change("SecurityProfile", "2") == "Accepted"
            await port.open(tls)
            await port.online()
            await until(lambda: charger.vault.memory.has_installed_root_worked)
        async with SecureCharger.started(tmp_path, port.url("ws"), **table) as charger:
            await port.booted()
            assert charger.profile == 2


# --- AdditionalRootCertificateCheck (row 17) ----------------------------------------------------------------


def strict_profile_2(**more):
    return {"security_profile": 2, "authorization_key": KEY, **keys(AdditionalRootCertificateCheck=True)} | more


async def test_row_17_a_new_root_must_be_signed_by_the_old_one(tmp_path):
    async with place() as port:
        table = keys(AdditionalRootCertificateCheck=True)
        async with SecureCharger.started(tmp_path, port.url("ws"), **table):
            await port.booted()
            assert await install(port, ROOT.pem) == "Accepted"
            assert await install(port, root("operator").pem) == "Rejected"
            assert await install(port, ROOT.authority("successor").pem) == "Accepted"
            assert await install(port, root("firmware").pem, MANUFACTURER) == "Accepted"


async def test_row_17_the_old_root_is_fallback_until_the_new_one_has_worked(tmp_path):
    ca_file = tmp_path / "ca.pem"
    ca_file.write_text(ROOT.pem)
    new = ROOT.authority("successor")
    async with place(server_context(tmp_path, SERVER), KEY) as port:
        table = strict_profile_2(ca_file=str(ca_file))
        async with SecureCharger.started(tmp_path, port.url(), **table) as charger:
            await port.booted()
            assert await install(port, ROOT.pem) == "Accepted"
            assert await install(port, new.pem) == "Accepted"
            # The server still shows a certificate of the old root: invalid under the new one, so the old is tried.
            await port.central.drop()
            await port.online(2)
            assert "InvalidCentralSystemCertificate" in charger.logged()
            assert len(charger.vault.certificates.all(Kind.CENTRAL_SYSTEM_ROOT)) == 2
            await port.open(server_context(tmp_path, new.server("localhost")))
            await port.online()
            await until(lambda: len(charger.vault.certificates.all(Kind.CENTRAL_SYSTEM_ROOT)) == 1)
            assert (await listed(port))[1] == [hash_data(new, issuer=ROOT)]
            # After one success the old root is nothing any more.
            await port.open(server_context(tmp_path, SERVER))
            await asyncio.sleep(2.0)
            assert port.central.connections == 0


# --- the charger's own certificate (rows 10 to 13) -----------------------------------------------------------


async def asked(port):
    """Trigger a request and return it."""
    before = len(port.central.of("SignCertificate"))
    answer = await port.command(call.ExtendedTriggerMessage(requested_message="SignChargePointCertificate"))
    assert str(answer.status) == "Accepted"
    await until(lambda: len(port.central.of("SignCertificate")) > before)
    return port.central.of("SignCertificate")[-1].payload["csr"]


def settings_for_requests(tmp_path, **more):
    ca_file = tmp_path / "ca.pem"
    ca_file.write_text(ROOT.pem)
    return {"ca_file": str(ca_file), **keys(CpoName="Operator")} | more


async def test_rows_10_and_11_each_request_has_a_key_of_its_own_that_nobody_sees(tmp_path):
    async with place() as port:
        async with SecureCharger.started(tmp_path, port.url("ws"), **settings_for_requests(tmp_path)) as charger:
            await port.booted()
            first, second = await asked(port), await asked(port)
            told = str(await port.central.get_configuration())
        requests = [x509.load_pem_x509_csr(pem.encode()) for pem in (first, second)]
        assert all(request.is_signature_valid for request in requests)
        assert requests[0].public_key() != requests[1].public_key()
        assert isinstance(requests[0].public_key().curve, ec.SECP256R1)
        names = {attribute.oid: attribute.value for attribute in requests[0].subject}
        assert names == {NameOID.COMMON_NAME: "SERIAL-7", NameOID.ORGANIZATION_NAME: "Operator"}
        assert len(first) <= 5500
        stored = charger.vault.certificates.all(Kind.REQUEST)
        assert {stat.S_IMODE(one.path.stat().st_mode) for one in stored} == {0o600}
        frames = "".join(frame.text for frame in port.central.frames.all())
        secrets = [line for one in stored for line in one.key.splitlines()[1:-1]]
        assert not any(secret in frames + told + charger.vault.log.read().decode() for secret in secrets)


async def test_tc_074_row_12_a_signed_certificate_is_taken_and_used(tmp_path):
    table = settings_for_requests(tmp_path, security_profile=1, authorization_key=KEY)
    async with (
        place(None, KEY) as port,
        SecureCharger.started(tmp_path, port.url("ws"), **table) as charger,
    ):
        await port.booted()
        assert await port.change("SecurityProfile", "3") == "Rejected"
        certificate = ROOT.sign(await asked(port))
        assert await signed(port, certificate) == "Accepted"
        assert await signed(port, certificate) == "Accepted"  # the answer may have been lost
        assert len(charger.vault.certificates.all(Kind.CHARGE_POINT)) == 1
        assert await port.change("SecurityProfile", "3") == "Accepted"
        port.central.passwords.clear()
        await port.open(server_context(tmp_path, SERVER, client_root=ROOT))
        await port.online()
        # A renewal acts at once.
        assert await signed(port, ROOT.sign(await asked(port))) == "Accepted"
        await port.online(2)
        newest = charger.vault.certificates.all(Kind.CHARGE_POINT)[0].number
        await until(lambda: charger.vault.memory.own_in_use == newest)
        assert len(charger.vault.certificates.all(Kind.CHARGE_POINT)) == 2  # the old one stays for a month


def renamed(csr):
    """A certificate for the requested key with another common name."""
    request = x509.load_pem_x509_csr(csr.encode())
    return make("OTHER", issuer=ROOT, organisation="Operator", public_key=request.public_key()).pem


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda csr: "rubbish", id="rubbish"),
        pytest.param(lambda csr: root("operator").sign(csr), id="another root of that name"),
        pytest.param(lambda csr: ROOT.authority("sub").sign(csr), id="chain not complete"),
        pytest.param(lambda csr: ROOT.client("SERIAL-7", "Operator").pem, id="another key"),
        pytest.param(lambda csr: ROOT.sign(csr, from_s=-9 * DAY_S, to_s=-DAY_S), id="expired"),
        pytest.param(lambda csr: ROOT.sign(csr, is_authority=True), id="an authority"),
        pytest.param(lambda csr: SERVER.sign(csr) + SERVER.pem, id="signed by no authority"),
        pytest.param(lambda csr: ROOT.sign(csr) * 12, id="too many"),
        pytest.param(renamed, id="another name"),
    ],
)
async def test_tc_077_row_12_what_is_not_ours_or_not_good_is_rejected_and_told(tmp_path, answer):
    async with (
        place() as port,
        SecureCharger.started(tmp_path, port.url("ws"), **settings_for_requests(tmp_path)) as charger,
    ):
        await port.booted()
        assert await signed(port, answer(await asked(port))) == "Rejected"
        await until(lambda: "InvalidChargePointCertificate" in port.told())
        assert charger.vault.certificates.all(Kind.CHARGE_POINT) == ()


async def test_row_12_a_chain_longer_than_the_key_says_is_rejected(tmp_path):
    table = settings_for_requests(tmp_path) | keys(CpoName="Operator", CertificateSignedMaxChainSize=300)
    async with place() as port, SecureCharger.started(tmp_path, port.url("ws"), **table):
        await port.booted()
        assert await signed(port, ROOT.sign(await asked(port))) == "Rejected"


async def test_row_12_a_chain_with_an_intermediate_and_an_answer_to_an_older_request_are_taken(tmp_path):
    sub = ROOT.authority("sub")
    async with (
        place() as port,
        SecureCharger.started(tmp_path, port.url("ws"), **settings_for_requests(tmp_path)),
    ):
        await port.booted()
        old, new = await asked(port), await asked(port)
        assert await signed(port, sub.sign(new) + sub.pem) == "Accepted"
        assert await signed(port, sub.sign(old) + sub.pem) == "Accepted"


async def test_row_13_the_newest_valid_certificate_wins_and_one_of_tomorrow_waits(tmp_path):
    async with place() as port:
        table = settings_for_requests(tmp_path)
        async with SecureCharger.started(tmp_path, port.url("ws"), **table) as charger:
            await port.booted()
            await until(lambda: charger.vault.moments.is_time_known)
            assert await signed(port, ROOT.sign(await asked(port), from_s=-2 * DAY_S)) == "Accepted"
            assert await signed(port, ROOT.sign(await asked(port), from_s=-DAY_S)) == "Accepted"
            assert await signed(port, ROOT.sign(await asked(port), from_s=DAY_S)) == "Accepted"
            own = charger.vault.own(lambda: charger.configuration.connection, None)
            numbers = [one.number for one in charger.vault.certificates.all(Kind.CHARGE_POINT)]
            assert [one.number for one in own.candidates()] == [numbers[1], numbers[2]]
            now_utc_s = charger.vault.moments.now_utc_s()
            assert abs(own.next_change_utc_s() - now_utc_s - DAY_S) < 60.0


async def test_row_13_the_old_certificate_is_shown_when_the_new_one_is_refused(tmp_path):
    """The central system forgot the authority of the new one."""
    other = root("other")
    old = ROOT.client("SERIAL-7", "Operator")
    certificate, key = old.write(tmp_path, "old")
    own = {"client_certificate_file": str(certificate), "client_key_file": str(key)}
    ca_file = tmp_path / "ca2.pem"
    ca_file.write_text(ROOT.pem + other.pem)
    table = settings_for_requests(tmp_path, security_profile=3, **own) | {"ca_file": str(ca_file)}
    async with (
        place(server_context(tmp_path, SERVER, client_root=ROOT)) as port,
        SecureCharger.started(tmp_path, port.url(), **table) as charger,
    ):
        await port.booted()
        assert await signed(port, other.sign(await asked(port))) == "Accepted"
        await port.online(2)
        assert charger.vault.memory.own_in_use is None


async def test_row_11_a_certificate_that_ends_within_a_month_is_renewed_unasked(tmp_path):
    old = ROOT.client("SERIAL-7", "Operator", to_s=20 * DAY_S)
    certificate, key = old.write(tmp_path, "old")
    own = {"client_certificate_file": str(certificate), "client_key_file": str(key)}
    table = settings_for_requests(tmp_path, security_profile=3, **own)
    async with (
        place(server_context(tmp_path, SERVER, client_root=ROOT)) as port,
        SecureCharger.started(tmp_path, port.url(), **table) as charger,
    ):
        await until(lambda: len(port.central.of("SignCertificate")) == 1)
        assert await signed(port, ROOT.sign(port.central.of("SignCertificate")[0].payload["csr"])) == "Accepted"
        await port.online(2)
        await until(lambda: charger.vault.memory.own_in_use is not None)


async def test_extended_triggers_ask_for_other_messages_too(tmp_path):
    async with place() as port, SecureCharger.started(tmp_path, port.url("ws")):
        await port.booted()
        answer = await port.command(call.ExtendedTriggerMessage(requested_message="Heartbeat"))
        assert str(answer.status) == "Accepted"
        await until(lambda: len(port.central.of("Heartbeat")) == 1)
        answer = await port.command(call.ExtendedTriggerMessage(requested_message="LogStatusNotification"))
        assert str(answer.status) == "NotImplemented"
        answer = await port.command(call.ExtendedTriggerMessage(requested_message="Heartbeat", connector_id=9))
        assert str(answer.status) == "Rejected"


# --- keys and events (rows 20, 21 and 26) --------------------------------------------------------------------


async def test_row_26_the_keys_of_the_white_paper(tmp_path):
    async with place(None, KEY) as port:
        table = {"security_profile": 1, "authorization_key": KEY}
        async with SecureCharger.started(tmp_path, port.url("ws"), **table) as charger:
            await port.booted()
            answer = await port.command(call.GetConfiguration())
            lines = {line["key"]: (line["readonly"], line.get("value")) for line in answer.configuration_key}
            assert lines["AdditionalRootCertificateCheck"] == (True, "false")
            assert lines["CertificateSignedMaxChainSize"] == (True, "10000")
            assert lines["CertificateStoreMaxLength"] == (True, "16")
            assert lines["CpoName"] == (False, "")
            assert lines["SecurityProfile"] == (False, "1")
            assert lines["AuthorizationKey"] == (False, None)
            assert await port.change("CertificateStoreMaxLength", "99") == "Rejected"
            assert await port.change("CpoName", "Operator") == "Accepted"
            assert await port.change("CpoName", "x" * 65) == "Rejected"
            await charger.until_logged(SecurityEvent.RECONFIGURATION)


async def test_rows_20_and_21_events_are_logged_and_told_critical_ones_also_after_a_restart_offline(tmp_path):
    async with place() as port:
        url = port.url("ws")
        await port.central.stop()
        async with SecureCharger.started(tmp_path, url) as charger:
            charger.vault.events.report(SecurityEvent.STARTUP_OF_THE_DEVICE, "first")
            charger.vault.events.report(SecurityEvent.INVALID_MESSAGES, "gone with the restart")
            charger.vault.events.report(SecurityEvent.RESET_OR_REBOOT, "second")
            await charger.vault.events.settle(5.0)
        async with SecureCharger.started(tmp_path, url) as charger:
            charger.vault.events.report(SecurityEvent.STARTUP_OF_THE_DEVICE, "third")
            await port.open()
            await until(lambda: len(port.told()) >= 3)
            infos = [one.payload["tech_info"] for one in port.central.of("SecurityEventNotification")]
            assert [info for info in infos if info in {"first", "second", "third"}] == ["first", "second", "third"]
            assert "gone with the restart" not in infos
            await until(lambda: charger.vault.events.waiting == 0)
            assert await charger.store.kept("security_events") == {}
            assert charger.logged()[:3] == ["StartupOfTheDevice", "InvalidMessages", "ResetOrReboot"]


async def test_the_fourth_editions_spelling_and_none_at_all(tmp_path):
    for names, told in (
        (SecurityEventNames.EDITION_3, ["FailedToAuthenticationAtCentralSystem"]),
        (SecurityEventNames.EDITION_4, ["FailedToAuthenticateAtCentralSystem"]),
        (SecurityEventNames.OFF, []),
    ):
        async with place() as port:
            directory = tmp_path / names.value
            async with SecureCharger.started(directory, port.url("ws"), security_events=names) as charger:
                await port.booted()
                charger.vault.events.report(SecurityEvent.FAILED_TO_AUTHENTICATE, "x")
                await charger.vault.events.settle(5.0)
                await until(
                    lambda told=told, port=port: [one for one in port.told() if one.startswith("Failed")] == told
                )


async def test_another_root_brings_no_system_roots_back(tmp_path):
    async with place() as port, SecureCharger.started(tmp_path, port.url("ws")) as charger:
        await port.booted()
        memory = charger.vault.memory
        made = root("one")
        assert await install(port, made.pem) == "Accepted"
        await memory.note_installed_root()
        assert await install(port, root("two").pem) == "Accepted"
        assert await install(port, root("three").pem, MANUFACTURER) == "Accepted"
        assert memory.has_installed_root_worked


async def test_frames_that_are_none_are_told_and_nothing_of_them(tmp_path):
    async with place() as port, SecureCharger.started(tmp_path, port.url("ws")) as charger:
        await port.booted()
        for _ in range(100):
            await port.central.session.send_raw('{"CANARY": 1}')
        await until(lambda: "InvalidMessages" in port.told())
        await until(lambda: charger.vault.events.waiting == 0)
        content = charger.vault.log.read()
        assert b"CANARY" not in content
        assert content.count(b"InvalidMessages") <= 11
