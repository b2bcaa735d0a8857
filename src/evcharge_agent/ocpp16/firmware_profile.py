"""Firmware Management (OCPP 1.6, 5.7 and 5.19) and its successors of the security white paper (L01, N01): two plugs.

The plain ones belong to the feature FirmwareManagement, the signed ones and GetLog are always there. Both work with the
same update and the same uploads; the second one does the work in the background.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ocpp.v16 import call, call_result
from ocpp.v16.enums import (
    Action,
    DiagnosticsStatus,
    Log,
    LogStatus,
    MessageTrigger,
    UpdateFirmwareStatus,
    UploadLogStatus,
)

from evcharge_agent.ocpp16.diagnostics import Pieces, Window, file_name, pack
from evcharge_agent.ocpp16.envelope import ErrorCode
from evcharge_agent.ocpp16.firmware_job import Verdict
from evcharge_agent.ocpp16.firmware_service import FirmwareService, FirmwareTools
from evcharge_agent.ocpp16.firmware_values import LATEST_UTC_S, Order
from evcharge_agent.ocpp16.profile import Context, Feature, Handler, Reply, RequestRefusedError, Send
from evcharge_agent.ocpp16.security.extended_trigger import SIGNED_FIRMWARE_STATUS
from evcharge_agent.ocpp16.signing import SignerStatus, SignerVerdict, judge_signer
from evcharge_agent.ocpp16.stamps import from_stamp
from evcharge_agent.ocpp16.transfer.network import TransferError
from evcharge_agent.ocpp16.transfer.transfer import attempts_of
from evcharge_agent.ocpp16.uploads import Upload, Uploader, UploadState
from evcharge_agent.store.errors import StoreError
from evcharge_hal.contract.errors import EvchargeError


@dataclass(frozen=True, slots=True)
class FileSources:
    """What firmware and logs are judged by and made of."""

    tools: FirmwareTools
    has_installer: bool
    """There is something that installs; otherwise updates are NotSupported."""
    is_unsigned_allowed: bool
    """UpdateFirmware works (L01.FR.20)."""
    roots: Callable[[], Sequence[str]]
    """Manufacturer's roots, PEM; blocks."""
    revoked: Callable[[], str]
    """Revocation lists, PEM; blocks, and raises OSError where they cannot be read: then nobody is trusted."""
    diagnostics: Callable[[Window], Awaitable[Pieces]]
    security_log: Callable[[Window], bytes]
    """Blocks."""


class FirmwareManagement:
    """What both plugs share."""

    def __init__(self, context: Context, sources: FileSources) -> None:
        self.context = context
        self.sources = sources
        self.transfers = sources.tools.transfers
        self.service = FirmwareService(context, sources.tools, is_unsigned_allowed=sources.is_unsigned_allowed)
        self.diagnostics = Uploader("diagnostics", context.line, self.transfers)
        self.logs = Uploader("log", context.line, self.transfers)
        self.log_request: int | None = None

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for part in (self.service.run(), self.diagnostics.run(), self.logs.run()):
                tasks.create_task(part)

    async def diagnostics_file(self, window: Window) -> bytes | None:
        """Make the archive; None: there is nothing."""
        pieces = await self.sources.diagnostics(window)
        return await self.transfers.run(functools.partial(pack, pieces, self.context.clock.now().utc_s))


class FirmwareProfile:
    """UpdateFirmware and GetDiagnostics."""

    def __init__(self, shared: FirmwareManagement) -> None:
        self._shared = shared

    @property
    def feature(self) -> Feature:
        """FirmwareManagement."""
        return Feature.FIRMWARE_MANAGEMENT

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """By action."""
        return {Action.update_firmware: self._update_firmware, Action.get_diagnostics: self._get_diagnostics}

    @property
    def triggers(self) -> Mapping[str, Send]:
        """Both statuses; Idle while nothing is under way (OCPP 1.6, 4.4 and 4.5)."""
        return {
            MessageTrigger.firmware_status_notification: self._shared.service.send_status,
            MessageTrigger.diagnostics_status_notification: self._send_diagnostics_status,
        }

    async def run(self) -> None:
        """Nothing: the other plug does the work of both."""

    async def _update_firmware(self, payload: Mapping[str, Any]) -> Reply:
        """OCPP 1.6, 5.19. An address that is refused is a download that fails: there is no other word for it."""
        _check_installer(self._shared.sources)
        if not self._shared.sources.is_unsigned_allowed:
            raise RequestRefusedError(ErrorCode.NOT_SUPPORTED, "only SignedUpdateFirmware (firmware.allow_unsigned)")
        attempts = attempts_of(payload.get("retries"), payload.get("retry_interval"))
        order = Order(
            location=payload["location"][:4096],
            retrieve_utc_s=_moment(payload["retrieve_date"], "retrieveDate"),
            attempts=attempts.number,
            interval_s=attempts.interval_s,
        )
        verdict = await _ordered(self._shared.service, order)
        if verdict is Verdict.REJECTED:
            raise RequestRefusedError(ErrorCode.GENERIC_ERROR, "no update can be taken now: one is being installed")
        return Reply(call_result.UpdateFirmware(), self._shared.service.answered)

    async def _get_diagnostics(self, payload: Mapping[str, Any]) -> Reply:
        """OCPP 1.6, 5.7. A new request ends the upload before."""
        window = _window(payload, "start_time", "stop_time")
        content = await self._shared.diagnostics_file(window)
        if content is None:
            return Reply(call_result.GetDiagnostics())
        name = file_name("diagnostics", self._shared.context.clock.now().utc_s)
        attempts = attempts_of(payload.get("retries"), payload.get("retry_interval"))
        upload = Upload(payload["location"], name, content, attempts, _diagnostics_notification)
        return Reply(
            call_result.GetDiagnostics(file_name=name), functools.partial(self._shared.diagnostics.begin, upload)
        )

    async def _send_diagnostics_status(self) -> None:
        is_uploading = self._shared.diagnostics.upload is not None
        status = DiagnosticsStatus.uploading if is_uploading else DiagnosticsStatus.idle
        await _send(self._shared.context, call.DiagnosticsStatusNotification(status=status))


class SecureFirmwareProfile:
    """SignedUpdateFirmware and GetLog."""

    def __init__(self, shared: FirmwareManagement) -> None:
        self._shared = shared

    @property
    def feature(self) -> None:
        """None: the white paper's messages are always there."""
        return

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """By action."""
        return {Action.signed_update_firmware: self._signed_update_firmware, Action.get_log: self._get_log}

    @property
    def triggers(self) -> Mapping[str, Send]:
        """LogStatusNotification; and what ExtendedTriggerMessage means by FirmwareStatusNotification."""
        return {
            MessageTrigger.log_status_notification: self._send_log_status,
            SIGNED_FIRMWARE_STATUS: self._shared.service.send_signed_status,
        }

    async def run(self) -> None:
        """Do the work of both plugs."""
        await self._shared.run()

    async def _signed_update_firmware(self, payload: Mapping[str, Any]) -> Reply:
        """L01: the certificate first, then the address; nothing is fetched for a request that is refused."""
        _check_installer(self._shared.sources)
        firmware = payload["firmware"]
        verdict = await self._judge(firmware["signing_certificate"])
        if verdict.status is not SignerStatus.VALID:
            self._shared.sources.tools.announce("InvalidFirmwareSigningCertificate", verdict.reason)
            return _answer(_SIGNER_ANSWERS[verdict.status])
        attempts = attempts_of(payload.get("retries"), payload.get("retry_interval"))
        install = firmware.get("install_date_time")
        order = Order(
            location=firmware["location"],
            retrieve_utc_s=_moment(firmware["retrieve_date_time"], "retrieveDateTime"),
            attempts=attempts.number,
            interval_s=attempts.interval_s,
            request_id=payload["request_id"],
            install_utc_s=None if install is None else _moment(install, "installDateTime"),
            signing_certificate=firmware["signing_certificate"],
            signature=firmware["signature"],
        )
        try:
            self._shared.transfers.network.parse(order.location)
        except TransferError:
            return _answer(UpdateFirmwareStatus.rejected)
        found = await _ordered(self._shared.service, order)
        then = None if found is Verdict.REJECTED else self._shared.service.answered
        return Reply(call_result.SignedUpdateFirmware(status=UpdateFirmwareStatus(found.value)), then)

    async def _judge(self, certificate_pem: str) -> SignerVerdict:
        sources, now = self._shared.sources, self._shared.context.clock.now()

        def judge() -> SignerVerdict:
            try:
                return judge_signer(certificate_pem, sources.roots(), sources.revoked(), now.utc_s)
            except OSError as error:
                return SignerVerdict(SignerStatus.INVALID, f"the revocation lists cannot be read: {error.strerror}")

        return await self._shared.transfers.run(judge)

    async def _get_log(self, payload: Mapping[str, Any]) -> Reply:
        """N01: one file; a new request ends the one before."""
        shared, wanted = self._shared, payload["log"]
        window = _window(wanted, "oldest_timestamp", "latest_timestamp")
        try:
            shared.transfers.network.parse(wanted["remote_location"])
            content, kind = await self._log(payload["log_type"], window)
        except (TransferError, OSError):
            content, kind = None, ""
        if not content:
            return Reply(call_result.GetLog(status=LogStatus.rejected))
        is_running = shared.logs.upload is not None
        name, request_id = file_name(kind, shared.context.clock.now().utc_s), payload["request_id"]
        attempts = attempts_of(payload.get("retries"), payload.get("retry_interval"))
        notify = functools.partial(_log_notification, request_id)
        upload = Upload(wanted["remote_location"], name, content, attempts, notify)

        def begin() -> None:
            shared.log_request = request_id
            shared.logs.begin(upload)

        status = LogStatus.accepted_canceled if is_running else LogStatus.accepted
        return Reply(call_result.GetLog(status=status, filename=name), begin)

    async def _log(self, kind: str, window: Window) -> tuple[bytes | None, str]:
        if kind == Log.diagnostics_log:
            return await self._shared.diagnostics_file(window), "diagnostics"
        read = functools.partial(self._shared.sources.security_log, window)
        return await self._shared.transfers.run(read), "security"

    async def _send_log_status(self) -> None:
        shared = self._shared
        if shared.logs.upload is None or shared.log_request is None:
            # Nothing was asked for that it could belong to (N01.FR.10); the library leaves None out.
            nothing: Any = None
            await _send(shared.context, call.LogStatusNotification(status=UploadLogStatus.idle, request_id=nothing))
        else:
            await _send(shared.context, _log_notification(shared.log_request, UploadState.UPLOADING))


_SIGNER_ANSWERS = {
    SignerStatus.INVALID: UpdateFirmwareStatus.invalid_certificate,
    SignerStatus.REVOKED: UpdateFirmwareStatus.revoked_certificate,
}
_DIAGNOSTICS = {
    UploadState.UPLOADING: DiagnosticsStatus.uploading,
    UploadState.UPLOADED: DiagnosticsStatus.uploaded,
    UploadState.FAILED: DiagnosticsStatus.upload_failed,
    UploadState.DENIED: DiagnosticsStatus.upload_failed,
}
_LOGS = {
    UploadState.UPLOADING: UploadLogStatus.uploading,
    UploadState.UPLOADED: UploadLogStatus.uploaded,
    UploadState.FAILED: UploadLogStatus.upload_failure,
    UploadState.DENIED: UploadLogStatus.permission_denied,
}


def _diagnostics_notification(state: UploadState) -> object:
    return call.DiagnosticsStatusNotification(status=_DIAGNOSTICS[state])


def _log_notification(request_id: int, state: UploadState) -> object:
    return call.LogStatusNotification(status=_LOGS[state], request_id=request_id)


def _check_installer(sources: FileSources) -> None:
    if not sources.has_installer:
        raise RequestRefusedError(ErrorCode.NOT_SUPPORTED, "nothing here installs firmware (firmware.installer)")


def _answer(status: UpdateFirmwareStatus) -> Reply:
    return Reply(call_result.SignedUpdateFirmware(status=status))


async def _ordered(service: FirmwareService, order: Order) -> Verdict:
    try:
        return await service.order(order)
    except StoreError:
        return Verdict.REJECTED


async def _send(context: Context, payload: object) -> None:
    with suppress(EvchargeError):
        await context.line.call(payload)


def _window(payload: Mapping[str, Any], oldest: str, latest: str) -> Window:
    moments = [_moment(payload[name], name) if name in payload else None for name in (oldest, latest)]
    return Window(*moments)


def _moment(text: str, name: str) -> float:
    utc_s = from_stamp(text)
    if utc_s is None:
        raise RequestRefusedError(ErrorCode.PROPERTY_CONSTRAINT_VIOLATION, f"{name} is no date")
    return min(max(utc_s, 0.0), LATEST_UTC_S)
