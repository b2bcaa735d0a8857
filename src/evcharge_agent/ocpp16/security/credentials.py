"""What each attempt to connect shows and believes, and what is learned from how it ended (white paper, 2 and A05)."""

import asyncio
import base64
import hashlib
import re
from dataclasses import dataclass

import structlog

from evcharge_agent.ocpp16.errors import ConnectFailedError
from evcharge_agent.ocpp16.keys import Configuration, ConnectionSettings, Station
from evcharge_agent.ocpp16.security.attempts import Attempts
from evcharge_agent.ocpp16.security.ports import SecurityEvent
from evcharge_agent.ocpp16.security.tls import CheckedContext, OwnCertificate, Trust, make_context
from evcharge_agent.ocpp16.security.vault import Vault
from evcharge_agent.settings.ocpp_section import BASIC_AUTH_PROFILES

PROFILE_WITH_CERTIFICATE = 3
TLS_FROM_PROFILE = 2
MIN_KEY_BYTES = 16
_HEX_KEY = re.compile(r"(?:[0-9A-Fa-f]{2}){16,20}", re.ASCII)
_LOG = structlog.get_logger(__name__)


def key_bytes(authorization_key: str) -> bytes:
    """Decode an even number of 32 to 40 hex digits; anything else is used literally.

    The white paper wants hex, central systems send both (spec ocpp16 5, AuthorizationKey).
    """
    if _HEX_KEY.fullmatch(authorization_key):
        return bytes.fromhex(authorization_key)
    return authorization_key.encode()


def basic_authorization(identity: str, authorization_key: str) -> str:
    """Write the value of the Authorization header (RFC 7617)."""
    return "Basic " + base64.b64encode(identity.encode() + b":" + key_bytes(authorization_key)).decode()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to connect."""

    profile: int
    url: str
    key: str | None
    trust: Trust | None
    """None: without TLS."""
    own: OwnCertificate | None
    context: CheckedContext | None

    def __repr__(self) -> str:
        """Show no key."""
        return f"Attempt(profile={self.profile})"


class Credentials:
    """Chooses for each attempt; `configuration` must take back what failed whatever central systems may change."""

    def __init__(self, configuration: Configuration, vault: Vault, identity: str) -> None:
        self._configuration = configuration
        self._vault = vault
        self._memory = vault.memory
        self._roots = vault.roots(lambda: configuration.connection)
        # The station's serial number matters for requests only, which are not made here.
        station = Station(identity, "", "", "", "")
        self._own = vault.own(lambda: configuration.connection, station)
        self._attempts = Attempts()
        self._good_key: str | None = None
        self._told: set[SecurityEvent] = set()
        self._shown: OwnCertificate | None = None
        self._basis: tuple[object, ...] = ()

    async def next(self) -> Attempt:
        """Choose what to try now.

        Raises:
            ConnectFailedError: something is missing; the text says what.
        """
        await self._memory.load()
        settings = self._configuration.connection
        if settings.url is None:
            raise ConnectFailedError("no central system is configured")
        self._begin_anew_when_changed(settings)
        profile = self._profile(settings)
        url = _secure(settings.url) if profile >= TLS_FROM_PROFILE else settings.url
        key = self._key(settings) if profile in BASIC_AUTH_PROFILES else None
        own = await asyncio.to_thread(self._certificate) if profile == PROFILE_WITH_CERTIFICATE else None
        self._shown = own
        if not url.startswith("wss://"):
            return Attempt(profile, url, key, None, None, None)
        if not settings.verify_host:
            _LOG.warning("ocpp_host_not_checked")
        trust = await asyncio.to_thread(self._trust)
        # Reading the system's roots takes a noticeable time on a small board.
        context = await asyncio.to_thread(
            make_context,
            trust,
            settings.ciphers,
            self._vault.moments,
            own,
            verify_host=settings.verify_host,
        )
        return Attempt(profile, url, key, trust, own, context)

    def failed(self, meaning: SecurityEvent | None, reason: str, *, is_key_refused: bool = False) -> None:
        """Learn from a failure: what refused takes turns with what worked before. The same is told once."""
        is_certificate_refused = meaning in {
            SecurityEvent.FAILED_TO_AUTHENTICATE,
            SecurityEvent.INVALID_TLS_CIPHER_SUITE,
        }
        self._attempts = self._attempts.failed(
            key=is_key_refused,
            server=meaning is SecurityEvent.INVALID_CENTRAL_SYSTEM_CERTIFICATE,
            certificate=is_certificate_refused or self._is_certificate_on_trial(),
        )
        if is_key_refused:
            meaning = SecurityEvent.FAILED_TO_AUTHENTICATE
        if meaning is not None and meaning not in self._told:
            self._told.add(meaning)
            self._vault.events.report(meaning, reason)

    def skipped(self) -> None:
        """Count an attempt that could not even be made, so that what worked before gets its turn."""
        self._attempts = self._attempts.failed(certificate=self._is_certificate_on_trial())

    def is_outdated(self) -> bool:
        """The settings were changed since `next`: what the attempt shows of the old ones says nothing of the new."""
        return self._basis_of(self._configuration.connection) != self._basis

    async def succeeded(self, attempt: Attempt) -> None:
        """Learn from a connection: what it was made with stays, what was before it goes, or comes back."""
        self._attempts = Attempts()
        self._told.clear()
        await self._settle_profile(attempt)
        await self._settle_key(attempt)
        if attempt.context is not None and attempt.trust is not None:
            await self._settle_trust(attempt.context, attempt.trust)
        else:
            self._memory.anchor = None
        self._memory.own_in_use = None if attempt.own is None else attempt.own.number
        if attempt.own is not None and attempt.own.number is not None:
            await self._memory.note_own(attempt.own.number, self._vault.moments.now_utc_s())
        self._basis = self._basis_of(self._configuration.connection)

    def _is_certificate_on_trial(self) -> bool:
        """The last attempt showed a certificate that has not worked yet: many servers refuse without a word."""
        number = None if self._shown is None else self._shown.number
        return number is not None and self._memory.own_worked_utc_s(number) is None

    # --- choosing -----------------------------------------------------------------------------------------

    def _profile(self, settings: ConnectionSettings) -> int:
        trial = self._memory.trial(settings.security_profile)
        if trial is not None and self._attempts.is_old_profile_due:
            return trial.before
        return settings.security_profile

    def _key(self, settings: ConnectionSettings) -> str | None:
        if settings.authorization_key is None:
            return None
        key = settings.authorization_key.get_secret_value()
        before = self._memory.key_before or self._good_key
        return before if before is not None and self._attempts.is_old_key_due else key

    def _certificate(self) -> OwnCertificate:
        candidates = self._own.candidates()
        if not candidates:
            raise ConnectFailedError("there is no valid client certificate, which security profile 3 needs")
        return candidates[self._attempts.certificate_index(len(candidates))]

    def _trust(self) -> Trust:
        alternatives = self._roots.alternatives()
        return alternatives[self._attempts.trust_index(len(alternatives))]

    def _begin_anew_when_changed(self, settings: ConnectionSettings) -> None:
        """Old failures say nothing of new settings."""
        basis = self._basis_of(settings)
        if basis != self._basis:
            self._basis = basis
            self._attempts = Attempts()

    def _basis_of(self, settings: ConnectionSettings) -> tuple[object, ...]:
        key = settings.authorization_key
        return settings.url, settings.security_profile, None if key is None else key.get_secret_value()

    # --- learning -----------------------------------------------------------------------------------------

    async def _settle_profile(self, attempt: Attempt) -> None:
        """The old profile worked and the new did not: back. The new one worked: never back again (A05.FR.08)."""
        wanted = self._configuration.connection.security_profile
        if attempt.profile < wanted:
            _LOG.warning("ocpp_security_profile_reverted", profile=attempt.profile, wanted=wanted)
            await self._configuration.change("SecurityProfile", str(attempt.profile))
        await self._memory.end_trial()

    async def _settle_key(self, attempt: Attempt) -> None:
        """Remember the key that worked; when it is not the configured one, configure it again."""
        if attempt.key is None:
            return
        self._good_key = attempt.key
        configured = self._configuration.connection.authorization_key
        if configured is not None and configured.get_secret_value() != attempt.key:
            _LOG.warning("ocpp_authorization_key_reverted")
            await self._configuration.change("AuthorizationKey", attempt.key)
        await self._memory.forget_key()

    async def _settle_trust(self, context: CheckedContext, trust: Trust) -> None:
        if context.seen.chain:
            self._memory.anchor = hashlib.sha256(context.seen.chain[-1]).hexdigest()
            await self._vault.moments.note(context.seen.not_after_utc_s)
        if not trust.are_installed:
            return
        await self._memory.note_installed_root()
        if self._configuration.connection.keys.additional_root_certificate_check:
            (newest, *_) = await asyncio.to_thread(self._roots.alternatives)
            if newest.roots == trust.roots:
                try:
                    retired = await asyncio.to_thread(self._roots.retire_old)
                except OSError as error:
                    _LOG.warning("ocpp_old_root_not_removed", reason=str(error))
                else:
                    for stored in retired:
                        self._vault.events.report(SecurityEvent.RECONFIGURATION, f"{stored.path.stem} removed")


def _secure(url: str) -> str:
    return "wss://" + url.removeprefix("ws://") if url.startswith("ws://") else url
