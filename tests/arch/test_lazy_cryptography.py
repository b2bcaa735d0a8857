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
