"""Configuration keys of the security white paper.

SecurityProfile and AuthorizationKey are settings of `[ocpp]` itself.
"""

from evcharge_agent.settings.declare import Section
from evcharge_agent.settings.keys.declaring import RW, R, key

MAX_CHAIN_LENGTH = 10_000
"""Characters of CertificateSigned.req's certificateChain, by its schema."""


class SecurityKeys(Section):
    """Keys of certificates."""

    additional_root_certificate_check: bool = key(
        "AdditionalRootCertificateCheck",
        R,
        "Only one root for central systems is installed, and a new one must be signed by it; the old one stays for the"
        " case that the new one does not work, until it has worked once.",
        default=False,
    )
    certificate_signed_max_chain_size: int = key(
        "CertificateSignedMaxChainSize",
        R,
        "Longest chain CertificateSigned may bring, in characters.",
        default=MAX_CHAIN_LENGTH,
        ge=1,
        le=MAX_CHAIN_LENGTH,
    )
    certificate_store_max_length: int = key(
        "CertificateStoreMaxLength",
        R,
        "Roots that can be installed, of all types together.",
        default=16,
        ge=1,
        le=100,
    )
    cpo_name: str = key(
        "CpoName",
        RW,
        "Name of the operator, the O= of requested charge point certificates; without it none can be requested.",
        default="",
        max_length=64,
    )
