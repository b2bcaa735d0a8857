"""`cryptography` costs 8 MB: an agent that uses no certificates never loads it."""

import subprocess
import sys

SCRIPT = """
import sys
from pathlib import Path
from evcharge_agent import app
from evcharge_agent.ocpp16.security.vault import Vault
from evcharge_agent.runtime.clock import Clock
vault = Vault.open(Path(sys.argv[1]), None, Clock(), "boot")
assert vault.certificates.manufacturer_roots() == ()
sys.exit("cryptography" in sys.modules)
"""


def test_an_agent_without_certificates_does_not_load_cryptography(tmp_path):
    result = subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path)], check=False, timeout=60)
    assert result.returncode == 0


def test_a_charger_without_certificates_never_loads_it(tmp_path):
    """Not even to look whether one is to be renewed, which every charger does every hour."""
    code = f"""
import sys
from pathlib import Path
from evcharge_agent.ocpp16.keys import Station
from evcharge_agent.ocpp16.security.files import store_of
from evcharge_agent.ocpp16.security.vault import Vault
from evcharge_agent.runtime.clock import Clock
from evcharge_agent.settings.ocpp_section import Ocpp
vault = Vault.open(Path({str(tmp_path)!r}), None, Clock(), "boot")
settings = lambda: Ocpp(url="ws://127.0.0.1:9")
own, roots = vault.own(settings, Station("a", "b", "c", "d", "e")), vault.roots(settings)
assert own.next_change_utc_s() is None
assert not own.is_renewal_due()
assert own.candidates() == ()
own.prune()
assert not roots.has_installed() and roots.ids("CentralSystemRootCertificate") == []
sys.exit("cryptography" in sys.modules)
"""
    result = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    assert result.returncode == 0
