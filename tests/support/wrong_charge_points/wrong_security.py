"""Charge points that are not to be trusted."""

from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.certificates import ec_key
from tests.support.wrong_charge_points.base import ChargePoint
from tests.support.wrong_charge_points.registry import breaks


@breaks("lines_are_as_secure_as_the_profile")
class ForgetsItsTls(ChargePoint):
    """It had TLS once."""

    has_had_tls = False

    def is_tls(self) -> bool:
        wanted, self.has_had_tls = super().is_tls() and not self.has_had_tls, super().is_tls()
        return wanted


@breaks("the_start_is_told")
class StartsInSecret(ChargePoint):
    tells_its_start = False


@breaks("security_events_have_names")
class NamesEventsItself(ChargePoint):
    async def tell_start(self) -> None:
        await super().tell_start()
        await self.call("SecurityEventNotification", type="InvalidTlsVersion", timestamp=self.stamp())


@breaks("statuses_name_their_request")
class CountsRequestsItself(ChargePoint):
    request_id_offset = 1


@breaks("certificates_are_requested_properly")
class KeepsItsKey(ChargePoint):
    key: ec.EllipticCurvePrivateKey | None = None

    def new_key(self) -> ec.EllipticCurvePrivateKey:
        self.key = self.key or ec_key()
        return self.key


@breaks("certificates_are_requested_properly")
class BelongsToNobody(ChargePoint):
    def operator(self) -> str:
        return "Nobody"


@breaks("certificates_are_requested_properly")
class CannotWriteRequests(ChargePoint):
    def spoil(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        return {"csr": "-----BEGIN CERTIFICATE REQUEST-----"} if action == "SignCertificate" else payload
