"""Every import contract of pyproject.toml is broken by the import it forbids; `make check` shows that none is."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.arch.source import AGENT, HARDWARE, ROOT

PLANTED = {
    "Agent: app": ("evcharge_agent/core/planted.py", "import evcharge_agent.store.records"),
    "Hardware: guard": ("evcharge_hal/link/planted.py", "import evcharge_hal.guard.events"),
    "The hardware side": ("evcharge_hal/contract/planted.py", "import evcharge_agent.core.facts"),
    "The agent reaches": ("evcharge_agent/runtime/planted.py", "import evcharge_hal.gpio.relay"),
    "The guard and the contract": ("evcharge_hal/guard/planted.py", "import asyncio"),
    "The contract is": ("evcharge_hal/contract/planted2.py", "import time"),
    "The agent's core": ("evcharge_agent/core/planted2.py", "def f():\n    import random"),
    "ocpp and websockets": ("evcharge_agent/runtime/planted2.py", "import websockets"),
    "pymodbus has": ("evcharge_agent/runtime/planted3.py", "from pymodbus.client import AsyncModbusTcpClient"),
    "gpiozero has": ("evcharge_hal/link/planted2.py", "import gpiozero"),
    "pyserial has": ("evcharge_hal/gpio/planted.py", "import serial"),
    "sqlite3 is": ("evcharge_agent/runtime/planted4.py", "import sqlite3"),
    "pydantic checks": ("evcharge_agent/runtime/planted5.py", "from pydantic import BaseModel"),
    "Firmware is installed": ("evcharge_agent/ocpp16/planted.py", "import evcharge_agent.updates.simulated"),
    "What installs": ("evcharge_agent/updates/planted.py", "import subprocess"),
    "starlette and uvicorn": ("evcharge_agent/runtime/planted6.py", "import uvicorn"),
}


def test_every_contract_can_be_broken(tmp_path: Path) -> None:
    ignore = shutil.ignore_patterns("__pycache__")
    for package in (AGENT, HARDWARE):
        shutil.copytree(package, tmp_path / package.name, ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name, text in PLANTED.values():
        (tmp_path / name).write_text(text + "\n")

    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    verdicts = dict(re.findall(r"^(.+?) ?(KEPT|BROKEN)\b", done.stdout, re.MULTILINE))
    broken = {name for name, verdict in verdicts.items() if verdict == "BROKEN"}
    assert len(verdicts) == len(PLANTED), done.stdout
    assert {begin for begin in PLANTED if any(name.startswith(begin) for name in broken)} == set(PLANTED), done.stdout
