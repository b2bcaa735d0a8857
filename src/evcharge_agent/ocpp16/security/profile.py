"""The security white paper's actions: certificates are installed, listed, deleted and signed; events are told.

No option: it has no name in `SupportedFeatureProfiles`, so it is always on.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from ocpp.v16 import call_result
from ocpp.v16.enums import (
    Action,
    CertificateSignedStatus,
    CertificateStatus,
    DeleteCertificateStatus,
    GetInstalledCertificateStatus,
)

from evcharge_agent.ocpp16.profile import Context, Feature, Handler, Reply, Send
from evcharge_agent.ocpp16.security.credentials import PROFILE_WITH_CERTIFICATE
from evcharge_agent.ocpp16.security.ports import SecurityEvent
from evcharge_agent.ocpp16.security.renewal import Renewal
from evcharge_agent.ocpp16.security.roots import ACCEPTED, FAILED, NOT_FOUND, REJECTED
from evcharge_agent.ocpp16.security.vault import Vault

SIGN_CERTIFICATE = "SignChargePointCertificate"


class SecurityProfile:
    """Handlers, the renewal of the charger's own certificate, and the delivery of events."""

    def __init__(self, context: Context, vault: Vault) -> None:
        self._context = context
        self._vault = vault
        configuration = context.configuration
        self._roots = vault.roots(lambda: configuration.connection)
        self._own = vault.own(lambda: configuration.connection, context.station)
        self._renewal = Renewal(
            self._own,
            context.line,
            vault.moments,
            is_wanted=lambda: configuration.connection.security_profile == PROFILE_WITH_CERTIFICATE,
            in_use=lambda: vault.memory.own_in_use,
            reconnect=context.reconnect,
        )
        self._turn = asyncio.Lock()

    @property
    def feature(self) -> Feature | None:
        """No option."""
        return None

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """By action."""
        return {
            Action.install_certificate: self._install,
            Action.delete_certificate: self._delete,
            Action.get_installed_certificate_ids: self._list,
            Action.certificate_signed: self._take,
        }

    @property
    def triggers(self) -> Mapping[str, Send]:
        """A certificate can be asked for."""
        return {SIGN_CERTIFICATE: self._ask_for_certificate}

    async def run(self) -> None:
        """Renew and deliver, for ever."""
        await self._vault.memory.load()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._renewal.run())
            tasks.create_task(
                self._vault.events.deliver(
                    self._context.line, lambda: self._context.configuration.connection.security_events
                )
            )

    async def _ask_for_certificate(self) -> None:
        self._renewal.ask()

    async def _install(self, payload: Mapping[str, Any]) -> Reply:
        """M05."""
        use = payload["certificate_type"]
        async with self._turn:
            status, why = await asyncio.to_thread(self._roots.install, use, payload["certificate"])
        self._tell(status, f"{use} {'installed' if status == ACCEPTED else 'refused'}: {why}")
        return Reply(call_result.InstallCertificate(status=CertificateStatus(status)))

    async def _delete(self, payload: Mapping[str, Any]) -> Reply:
        """M04."""
        async with self._turn:
            status, why = await asyncio.to_thread(self._roots.delete, payload["certificate_hash_data"])
            if not await asyncio.to_thread(self._roots.has_installed):
                await self._vault.memory.forget_installed_root()
        self._tell(status, f"certificate deleted: {why}")
        return Reply(call_result.DeleteCertificate(status=DeleteCertificateStatus(status)))

    async def _list(self, payload: Mapping[str, Any]) -> Reply:
        """M03."""
        ids = await asyncio.to_thread(self._roots.ids, payload["certificate_type"])
        status = GetInstalledCertificateStatus(ACCEPTED if ids else NOT_FOUND)
        return Reply(call_result.GetInstalledCertificateIds(status=status, certificate_hash_data=ids or None))

    async def _take(self, payload: Mapping[str, Any]) -> Reply:
        """A02.FR.06: judged before it is answered, put to work after."""
        async with self._turn:
            try:
                fault = await asyncio.to_thread(self._own.take, payload["certificate_chain"])
            except OSError as error:
                fault = f"it cannot be kept: {error.strerror}"
        if fault is None:
            self._tell(ACCEPTED, "charge point certificate installed")
        else:
            self._vault.events.report(SecurityEvent.INVALID_CHARGE_POINT_CERTIFICATE, fault)
        is_taken = fault is None
        return Reply(
            call_result.CertificateSigned(status=CertificateSignedStatus(ACCEPTED if is_taken else REJECTED)),
            lambda: self._renewal.answered(is_taken=is_taken),
        )

    def _tell(self, status: str, what: str) -> None:
        if status in {ACCEPTED, FAILED}:
            self._vault.events.report(SecurityEvent.RECONFIGURATION, what if status == ACCEPTED else f"failed: {what}")
