"""Roots: which are believed in, and InstallCertificate, DeleteCertificate, GetInstalledCertificateIds (M03-M05).

Every method blocks for the time of a few files.
"""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from evcharge_agent.ocpp16.keys import ConnectionSettings
from evcharge_agent.ocpp16.security.certificate_store import CertificateStore, Kind, Stored
from evcharge_agent.ocpp16.security.errors import BadCertificateError
from evcharge_agent.ocpp16.security.memory import LinkMemory
from evcharge_agent.ocpp16.security.tls import Trust, Validity

ACCEPTED, REJECTED, FAILED, NOT_FOUND = "Accepted", "Rejected", "Failed", "NotFound"
KINDS = {
    "CentralSystemRootCertificate": Kind.CENTRAL_SYSTEM_ROOT,
    "ManufacturerRootCertificate": Kind.MANUFACTURER_ROOT,
}
TLS_FROM_PROFILE = 2

_log = logging.getLogger(__name__)


class Roots:
    """The roots of `store` under the settings as they are."""

    def __init__(
        self,
        store: CertificateStore,
        settings: Callable[[], ConnectionSettings],
        memory: LinkMemory,
        moments: Validity,
    ) -> None:
        self._store = store
        self._settings = settings
        self._memory = memory
        self._moments = moments

    # --- what is believed in ------------------------------------------------------------------------------

    def alternatives(self) -> tuple[Trust, ...]:
        """What to believe in, the best first; the others are only tried while the best has not worked once."""
        settings = self._settings()
        installed = tuple(stored.certificates for stored in self._store.all(Kind.CENTRAL_SYSTEM_ROOT))
        ca_file = settings.ca_file
        before = Trust(ca_file=ca_file, is_system=ca_file is None)
        if not installed:
            return (before,)
        has_worked = self._memory.has_installed_root_worked
        if settings.keys.additional_root_certificate_check:
            newest, *older = (Trust((pem,), are_installed=True) for pem in installed)
            return (newest, *older) if older or has_worked else (newest, before)
        together = Trust(installed, ca_file, are_installed=ca_file is None)
        return (together,) if has_worked or ca_file is not None else (together, before)

    def has_explicit_root(self) -> bool:
        """There is a root for central systems that somebody chose: installed, or in the CA file (A05.FR.03)."""
        ca_file = self._settings().ca_file
        return bool(self._store.all(Kind.CENTRAL_SYSTEM_ROOT)) or (ca_file is not None and Path(ca_file).is_file())

    def has_installed(self) -> bool:
        """A central system has installed a root for central systems."""
        return bool(self._store.all(Kind.CENTRAL_SYSTEM_ROOT))

    def operator_roots(self) -> list[str]:
        """PEM of the roots a charge point certificate must lead to."""
        installed = [stored.certificates for stored in self._store.all(Kind.CENTRAL_SYSTEM_ROOT)]
        return installed + self._of_ca_file()

    def retire_old(self) -> list[Stored]:
        """Take away what the newest root replaced, now that it has worked (M05.FR.11)."""
        older = list(self._store.all(Kind.CENTRAL_SYSTEM_ROOT)[1:])
        for stored in older:
            self._store.remove(stored)
        return older

    # --- what a central system asks for -------------------------------------------------------------------

    def install(self, use: str, pem: str) -> tuple[str, str]:
        """InstallCertificate: the status, and why in words."""
        from evcharge_agent.ocpp16.security import certificates  # noqa: PLC0415 - 8 MB that few chargers need

        kind = KINDS[use]
        try:
            certificate = certificates.read_one(pem)
            fault = certificates.find_root_fault(certificate, self._moments.within)
            if fault is not None:
                return REJECTED, fault
            plain = certificates.write_pem(certificate)
            if any(stored.certificates == plain for stored in self._store.all(kind)):
                return ACCEPTED, "it is installed"
            issuer = self._find_issuer(certificate)
            if kind is Kind.CENTRAL_SYSTEM_ROOT and self._settings().keys.additional_root_certificate_check:
                fault = self._find_succession_fault(certificate)
            if fault is not None:
                return REJECTED, fault
        except BadCertificateError as error:
            return REJECTED, str(error)
        if self._is_full(kind):
            return REJECTED, "the certificate store is full"
        try:
            self._store.add_root(kind, plain, issuer)
            self._drop_between(kind)
        except OSError as error:
            return FAILED, f"it cannot be written: {error.strerror}"
        return ACCEPTED, certificates.fingerprint(certificate)[:16]

    def delete(self, data: Mapping[str, Any]) -> tuple[str, str]:
        """DeleteCertificate by its hash data: the status, and why in words."""
        for kind in KINDS.values():
            for stored in self._store.all(kind):
                if self._is_meant(stored.certificates, stored.public_key, data):
                    return self._delete(stored)
        for stored in self._store.all(Kind.CHARGE_POINT):
            if self._is_meant(stored.certificates, None, data):
                return FAILED, "a charge point certificate is never deleted"
        path = self._settings().client_certificate_file
        if path is not None and self._is_meant(_text_of(path), None, data):
            return FAILED, "a charge point certificate is never deleted"
        return NOT_FOUND, "there is none"

    def ids(self, use: str) -> list[dict[str, str]]:
        """CertificateHashData of all roots of one type."""
        found = (self._hash_data(stored, "SHA256") for stored in self._store.all(KINDS[use]))
        return [data for data in found if data is not None]

    # --- inside -------------------------------------------------------------------------------------------

    def _delete(self, stored: Stored) -> tuple[str, str]:
        if stored.kind is Kind.CENTRAL_SYSTEM_ROOT and self._is_in_use(stored):
            return FAILED, "the central system is verified with it"
        try:
            self._store.remove(stored)
        except OSError as error:
            return FAILED, f"it cannot be removed: {error.strerror}"
        return ACCEPTED, stored.path.stem

    def _is_in_use(self, stored: Stored) -> bool:
        """It vouches for the present connection, or nothing else would for the next one (M04.FR.06)."""
        from evcharge_agent.ocpp16.security import certificates  # noqa: PLC0415 - 8 MB that few chargers need

        settings = self._settings()
        is_tls = settings.security_profile >= TLS_FROM_PROFILE or (settings.url or "").startswith("wss://")
        if not is_tls:
            return False
        if self._memory.anchor == certificates.fingerprint(certificates.read_one(stored.certificates)):
            return True
        return len(self._store.all(Kind.CENTRAL_SYSTEM_ROOT)) == 1 and settings.ca_file is None

    def _find_succession_fault(self, certificate: Any) -> str | None:
        """With AdditionalRootCertificateCheck a new root is signed by the one before (M05.FR.09)."""
        from evcharge_agent.ocpp16.security import certificates  # noqa: PLC0415 - 8 MB that few chargers need

        installed = [stored.certificates for stored in self._store.all(Kind.CENTRAL_SYSTEM_ROOT)]
        before = installed or self._of_ca_file()
        issuers = [certificates.read_one(pem) for pem in before]
        if not issuers or any(certificates.is_issued_by(certificate, issuer) for issuer in issuers):
            return None
        return "not signed by the root before it"

    def _drop_between(self, kind: Kind) -> None:
        """With AdditionalRootCertificateCheck there are two at most: the newest and the one that works."""
        if kind is Kind.CENTRAL_SYSTEM_ROOT and self._settings().keys.additional_root_certificate_check:
            for stored in self._store.all(kind)[1:-1]:
                self._store.remove(stored)

    def _find_issuer(self, certificate: Any) -> str:
        """The public key of whoever signed it, as PEM; empty where it did itself or nobody known did."""
        from evcharge_agent.ocpp16.security import certificates  # noqa: PLC0415 - 8 MB that few chargers need

        if certificate.issuer == certificate.subject:
            return ""
        known = [stored.certificates for kind in KINDS.values() for stored in self._store.all(kind)]
        for pem in known + self._of_ca_file():
            issuer = certificates.read_one(pem)
            if certificates.is_issued_by(certificate, issuer):
                return certificates.public_key_pem(issuer)
        return ""

    def _of_ca_file(self) -> list[str]:
        """The certificates of the CA file, one by one; none where it cannot be read."""
        from evcharge_agent.ocpp16.security import certificates  # noqa: PLC0415 - 8 MB that few chargers need

        path = self._settings().ca_file
        text = "" if path is None else _text_of(path)
        try:
            # Bundles are longer than a chain; only this file is trusted to be.
            return [certificates.write_pem(one) for one in certificates.read_bundle(text)] if text else []
        except BadCertificateError as error:
            _log.warning("The CA file cannot be used: %s", error)
            return []

    def _is_meant(self, pem: str, issuer_key_pem: str | None, data: Mapping[str, Any]) -> bool:
        """The first certificate of `pem` has this hash data; without an issuer's key that of the next in the chain."""
        from evcharge_agent.ocpp16.security import certificates  # noqa: PLC0415 - 8 MB that few chargers need

        try:
            leaf, *chain = certificates.read_chain(pem)
            keys = [issuer_key_pem] if issuer_key_pem else [None, *map(certificates.public_key_pem, chain)]
            if issuer_key_pem is None:
                issuers = map(certificates.read_one, self.operator_roots())
                keys += [certificates.public_key_pem(one) for one in issuers if one.subject == leaf.issuer]
            return any(_is_same(certificates.hash_data(leaf, key, data["hash_algorithm"]), data) for key in keys)
        except (BadCertificateError, ValueError):
            return False

    def _hash_data(self, stored: Stored, algorithm: str) -> dict[str, str] | None:
        from evcharge_agent.ocpp16.security import certificates  # noqa: PLC0415 - 8 MB that few chargers need

        try:
            return certificates.hash_data(
                certificates.read_one(stored.certificates), stored.public_key or None, algorithm
            )
        except BadCertificateError as error:
            _log.warning("%s cannot be used: %s", stored.path.name, error)
            return None

    def _is_full(self, kind: Kind) -> bool:
        keys = self._settings().keys
        installed = sum(len(self._store.all(one)) for one in KINDS.values())
        # One that is about to be replaced does not count.
        is_successor = kind is Kind.CENTRAL_SYSTEM_ROOT and keys.additional_root_certificate_check
        replaced = min(len(self._store.all(kind)), 1) if is_successor else 0
        return installed - replaced >= keys.certificate_store_max_length


def _is_same(own: Mapping[str, str], asked: Mapping[str, Any]) -> bool:
    """Hex is compared without case, serial numbers without leading zeros."""
    names = ("issuer_name_hash", "issuer_key_hash")
    if any(own[name].casefold() != str(asked[name]).casefold() for name in names):
        return False
    return own["serial_number"].casefold() == (str(asked["serial_number"]).casefold().lstrip("0") or "0")


def _text_of(path: str) -> str:
    try:
        return Path(path).read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        _log.warning("%s cannot be read: %s", path, type(error).__name__)
        return ""
