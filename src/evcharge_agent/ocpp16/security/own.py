"""The charger's own certificates: requesting, taking, choosing, renewing (A02, A03). Every method blocks for files."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from evcharge_agent.ocpp16.keys import ConnectionSettings, Station
from evcharge_agent.ocpp16.security.certificate_store import CertificateStore, Kind, Stored
from evcharge_agent.ocpp16.security.errors import BadCertificateError
from evcharge_agent.ocpp16.security.memory import LinkMemory
from evcharge_agent.ocpp16.security.roots import Roots
from evcharge_agent.ocpp16.security.tls import OwnCertificate, Validity

MONTH_S = 30 * 86_400.0
"""A new certificate is requested this long before the end; a replaced one is kept this long as fallback."""


@dataclass(frozen=True, slots=True)
class _Dated:
    files: OwnCertificate
    not_before_utc_s: float
    not_after_utc_s: float


class OwnCertificates:
    """Those a central system had signed, and the installer's."""

    def __init__(
        self,
        store: CertificateStore,
        settings: Callable[[], ConnectionSettings],
        station: Station,
        roots: Roots,
        memory: LinkMemory,
        moments: Validity,
    ) -> None:
        self._store = store
        self._settings = settings
        self._station = station
        self._roots = roots
        self._memory = memory
        self._moments = moments

    def request(self) -> str:
        """Make a new key pair, keep it, and return the request to certify it.

        Raises:
            OSError: it cannot be kept; nothing must be requested then.
        """
        from evcharge_agent.ocpp16.security import certificates  # noqa: PLC0415 - 8 MB that few chargers need

        made = certificates.make_request(self._station.serial, self._settings().keys.cpo_name)
        return self._store.add_request(made.key_pem, made.request_pem).request

    def take(self, chain_pem: str) -> str | None:
        """Take a signed certificate; say why not, None: it is kept (A02.FR.06).

        Raises:
            OSError: it cannot be kept.
        """
        from evcharge_agent.ocpp16.security import certificates  # noqa: PLC0415 - 8 MB that few chargers need

        longest = self._settings().keys.certificate_signed_max_chain_size
        if len(chain_pem) > longest:
            return f"longer than {longest} characters"
        try:
            chain = certificates.read_chain(chain_pem)
            roots = [certificates.read_one(pem) for pem in self._roots.operator_roots()]
        except BadCertificateError as error:
            return str(error)
        plain = certificates.write_pem(*chain)
        if any(stored.certificates == plain for stored in self._store.all(Kind.CHARGE_POINT)):
            return None  # our answer was lost
        window = certificates.window_of(chain[0])
        # One that begins later is judged as of then (A02.FR.08).
        moments = self._moments.within(float("-inf"), window.not_after_utc_s)
        if not moments:
            return "it has expired"
        path = certificates.common_window(chain)
        later = self._moments.within(path.not_before_utc_s, path.not_after_utc_s) or (window.not_before_utc_s,)
        fault = certificates.find_chain_fault(chain, roots, [max(one, window.not_before_utc_s) for one in later])
        if fault is not None:
            return fault
        faults = []
        for request in self._store.all(Kind.REQUEST):
            fault = certificates.find_leaf_fault(chain[0], request.request)
            if fault is None:
                self._store.add_charge_point(plain, request)
                return None
            faults.append(fault)
        # Of the request whose key it is, if there is one, the fault says more.
        return next((one for one in faults if "key" not in one), "nobody requested it")

    def candidates(self) -> tuple[OwnCertificate, ...]:
        """Usable ones, the best first: the newest that is valid, then what it replaced, then the installer's."""
        valid = [one for one in self._signed() if self._moments.within(one.not_before_utc_s, one.not_after_utc_s)]
        valid.sort(key=lambda one: (one.not_before_utc_s, one.files.number or 0), reverse=True)
        settings = self._settings()
        files = [one.files for one in valid]
        if settings.client_certificate_file is not None and settings.client_key_file is not None:
            files.append(OwnCertificate(Path(settings.client_certificate_file), Path(settings.client_key_file)))
        return tuple(files)

    def is_renewal_due(self) -> bool:
        """The best certificate ends within a month and none is there to follow it (A03.FR.02)."""
        now = self._moments.now_utc_s()
        ends = [one.not_after_utc_s for one in self._signed()]
        path = self._settings().client_certificate_file
        if not ends and path is not None:
            from evcharge_agent.ocpp16.security import certificates  # noqa: PLC0415 - 8 MB that few chargers need

            try:
                ends = [
                    certificates.window_of(certificates.read_chain(Path(path).read_text("ascii"))[0]).not_after_utc_s
                ]
            except (OSError, UnicodeDecodeError, BadCertificateError):
                return False
        return bool(ends) and max(ends) - now <= MONTH_S

    def next_change_utc_s(self) -> float | None:
        """When the next certificate that waits for its time begins."""
        now = self._moments.now_utc_s()
        return min((one.not_before_utc_s for one in self._signed() if one.not_before_utc_s > now), default=None)

    def prune(self) -> None:
        """Take away what was replaced more than a month ago by one that has worked since (A02.FR.10)."""
        now = self._moments.now_utc_s()
        for stored in self._store.all(Kind.CHARGE_POINT):
            worked = (
                self._memory.own_worked_utc_s(newer.number)
                for newer in self._store.all(Kind.CHARGE_POINT)
                if newer.number > stored.number
            )
            if any(since is not None and now - since > MONTH_S for since in worked):
                self._store.remove(stored)

    def _signed(self) -> list[_Dated]:
        found = self._store.all(Kind.CHARGE_POINT)
        if not found:
            return []
        from evcharge_agent.ocpp16.security import certificates  # noqa: PLC0415 - 8 MB that few chargers need

        dated = []
        for stored in found:
            try:
                window = certificates.window_of(certificates.read_chain(stored.certificates)[0])
            except BadCertificateError:
                continue  # said when it was read
            dated.append(_Dated(_files_of(stored), window.not_before_utc_s, window.not_after_utc_s))
        return dated


def _files_of(stored: Stored) -> OwnCertificate:
    return OwnCertificate(stored.path, number=stored.number)
