"""Configuration keys of the Firmware Management profile (OCPP 1.6, 9.3)."""

from evcharge_agent.settings.declare import Section
from evcharge_agent.settings.keys.declaring import R, key


class FirmwareKeys(Section):
    """Keys of a charge point that fetches and sends files."""

    supported_file_transfer_protocols: str | None = key(
        "SupportedFileTransferProtocols",
        R,
        "Protocols addresses of files may have; without a value those of `files.protocols`.",
        default=None,
        max_length=500,
    )
