"""Certificates of one case: the central system's, the charger's, and those of strangers.

They are valid at the moment virtual time begins and, because a server checks the charger's against the real clock,
also now.
"""

import enum
import ssl
import time
from collections.abc import Mapping
from pathlib import Path

from tests.support.certificates import DAY_S, Made, root, server_context
from tests.support.virtual_time import START_UTC_S

HOST = "127.0.0.1"
SERIAL = "RIG-1"
OPERATOR = "Operator"


class Tls(enum.Enum):
    """What the central system speaks at first, and what the charger has for it."""

    LATER = "no TLS yet, but the charger has the root for it"
    SERVER = "the server shows a certificate"
    MUTUAL = "both sides do"


class Pki:
    """Made anew for each case; files are in `directory`."""

    def __init__(self, tls: Tls, directory: Path) -> None:
        self._tls = tls
        self._directory = directory / "pki"
        self._directory.mkdir()
        self.root = self.new_root("central system")
        self.server = self.root.server(HOST, **validity())
        self.client = self.root.client(SERIAL, OPERATOR, **validity())

    @staticmethod
    def new_root(name: str) -> Made:
        """An authority."""
        return root(name, **validity())

    @property
    def settings(self) -> Mapping[str, object]:
        """What the installer gave the charger."""
        ca_file, _ = self.root.write(self._directory, "root")
        files = {"ca_file": str(ca_file)}
        if self._tls is Tls.MUTUAL:
            certificate, key = self.client.write(self._directory, "client")
            files |= {"client_certificate_file": str(certificate), "client_key_file": str(key)}
        return files

    @property
    def at_first(self) -> ssl.SSLContext | None:
        """How the central system listens when the charger comes."""
        return None if self._tls is Tls.LATER else self.context()

    def context(self, server: Made | None = None) -> ssl.SSLContext:
        """The central system's TLS, with another certificate if one is given."""
        client_root = self.root if self._tls is Tls.MUTUAL else None
        return server_context(self._directory, server or self.server, client_root=client_root)


def validity() -> dict[str, object]:
    """From the day before virtual time begins until ten years from now."""
    return {"from_s": START_UTC_S - time.time() - DAY_S, "to_s": 3650 * DAY_S}
