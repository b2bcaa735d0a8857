"""The services under a real systemd: install, charge, be killed, hang, be found in the journal, be gone."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evcharge_hal.host.message_ids import MESSAGE_IDS
from tests.arch.source import ROOT
from tests.support.container import Container, booted, fresh_root, until

pytestmark = pytest.mark.container

BOARD = '[board]\nname = "sim"\n[[sim.meters]]\nname = "m"\nrole = "session"\nconnector = 1\nport = 15020\n'
AGENT = """
[store]
dir = "/var/lib/evcharge-agent"
[ocpp.keys]
AllowOfflineTxForUnknownId = true
MeterValueSampleInterval = 5
[[reader]]
name = "front"
kind = "sim"
connectors = [1]
[[meter]]
name = "m"
role = "session"
connector = 1
map = "sdm630"
host = "127.0.0.1"
port = 15020
"""


def make(*arguments: str) -> str:
    done = subprocess.run(
        ["make", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False, env=os.environ
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def charger(tmp_path: Path) -> Iterator[Container]:
    with fresh_root(tmp_path) as root:
        make("install", f"DESTDIR={root}")
        (root / "etc/evcharge/board.toml").write_text(BOARD)
        (root / "etc/evcharge/evcharge-agent.toml").write_text(AGENT)
        with booted(root) as container:
            try:
                yield container
            finally:
                print(container.run("journalctl", "--no-pager", check=False))  # noqa: T201 - shown where the test fails


def start(charger: Container) -> None:
    """The world as a third unit, as the guard's user: it owns the serial line."""
    charger.run(
        *("systemd-run", "--unit=evcharge-world", "--property=User=evcharge-guard", "--property=Group=evcharge"),
        *("--property=UMask=0007", "--property=StateDirectory=evcharge-world"),
        *("/usr/bin/evcharge-sim", "run", "--config", "/etc/evcharge/board.toml"),
        *("--runtime-dir", "/run/evcharge", "--state-dir", "/var/lib/evcharge-world"),
    )
    charger.run("systemctl", "enable", "--now", "evcharge.target", "evcharge-guard", "evcharge-agent")


def view(charger: Container) -> dict[str, Any]:
    text = charger.run("evcharge-agent", "status", "--json", check=False)
    found: dict[str, Any] = json.loads(text) if text else {}
    return found


def connector(charger: Container) -> dict[str, Any]:
    connectors: list[dict[str, Any]] = view(charger).get("connectors", [])
    return connectors[0] if connectors else {}


def is_charging(charger: Container) -> bool:
    return connector(charger).get("state") == "Charging"


def shown(charger: Container, unit: str, name: str) -> str:
    return charger.run("systemctl", "show", "--value", f"--property={name}", unit)


def entries(charger: Container, *match: str) -> list[dict[str, Any]]:
    lines = charger.run("journalctl", "--no-pager", "--output=json", *match, check=False).splitlines()
    return [json.loads(line) for line in lines]


def test_a_life_as_a_service(charger: Container) -> None:
    start(charger)
    for unit in ("evcharge-guard", "evcharge-agent"):
        assert shown(charger, unit, "ActiveState") == "active", charger.run("journalctl", "--no-pager")
    until(lambda: shown(charger, "evcharge-agent", "StatusText").startswith("1: Available"), "status")
    assert shown(charger, "evcharge-guard", "StatusText") == "guarding board 'sim', connectors 1, 2"

    # A charge.
    charger.run("evcharge-agent", "sim", "plug", "1")
    charger.run("evcharge-agent", "sim", "swipe", "CARD0001SECRET")
    until(lambda: is_charging(charger), "charging")
    until(lambda: "1: Charging 32.0 A" in shown(charger, "evcharge-agent", "StatusText"), "status of a charge")
    transaction = connector(charger)["session"]["transaction"]

    # The agent dies: systemd brings it back to the same transaction, and the contactor never moved.
    first_pid = shown(charger, "evcharge-agent", "MainPID")
    charger.run("systemctl", "kill", "--signal=KILL", "evcharge-agent")
    until(lambda: shown(charger, "evcharge-agent", "MainPID") not in {"0", first_pid}, "the agent again")
    until(lambda: is_charging(charger), "the charge goes on")
    assert connector(charger)["session"]["transaction"] == transaction
    assert len(entries(charger, "EVC_EVENT=contactor_closed")) == 1
    assert entries(charger, "EVC_EVENT=contactor_opened") == []

    # The guard hangs: the watchdog ends it, the contactor opens, and the new guard charges on.
    first_pid = shown(charger, "evcharge-guard", "MainPID")
    charger.run("systemctl", "kill", "--kill-whom=main", "--signal=STOP", "evcharge-guard")
    until(lambda: shown(charger, "evcharge-guard", "MainPID") not in {"0", first_pid}, "the guard again")
    assert entries(charger, "UNIT=evcharge-guard.service", "--grep=Watchdog timeout")
    until(lambda: is_charging(charger), "the charge goes on under the new guard")
    assert len(entries(charger, "EVC_EVENT=contactor_closed")) == 2
    assert connector(charger)["session"]["transaction"] == transaction

    # The journal by field; the card is nowhere in it.
    (started,) = entries(charger, "EVC_EVENT=transaction_started", "EVC_CONNECTOR=1")
    assert started["EVC_TRANSACTION"] == transaction
    assert started["MESSAGE_ID"] == MESSAGE_IDS["transaction_started"]
    assert (started["_SYSTEMD_UNIT"], started["SYSLOG_IDENTIFIER"]) == ("evcharge-agent.service", "evcharge-agent")
    assert {entry["SYSLOG_IDENTIFIER"] for entry in entries(charger, "EVC_CONNECTOR=1")} == {
        "evcharge-agent",
        "evcharge-guard",
    }
    own = charger.run("journalctl", "--no-pager", "--output=export", "_SYSTEMD_UNIT=evcharge-agent.service")
    assert "CARD…" in own
    assert "CARD0001SECRET" not in own
    charger.run("journalctl", "--update-catalog")
    assert "A transaction has begun at connector 1" in charger.run(
        "journalctl", "--no-pager", "-x", "EVC_EVENT=transaction_started"
    )

    # Stopping is orderly: the guard opens before it goes.
    charger.run("systemctl", "stop", "evcharge-agent", "evcharge-guard")
    assert shown(charger, "evcharge-guard", "Result") == shown(charger, "evcharge-agent", "Result") == "success"
    world = json.loads(charger.run("evcharge-agent", "sim", "state", "--json"))
    assert world["connectors"]["1"]["is_contactor_closed"] is False

    # Gone without a trace, but for what a person made and the charger remembers; then these too.
    charger.run("systemctl", "stop", "evcharge-world")
    shutil.copy(ROOT / "systemd" / "setup.sh", charger.root / "root")
    left = charger.run("sh", "/root/setup.sh", "uninstall").splitlines()
    assert [line.split()[1] for line in left] == [
        "/etc/evcharge",
        "/var/lib/evcharge-agent",
        "/var/lib/evcharge-guard",
    ]
    assert charger.run("env", "PURGE=1", "sh", "/root/setup.sh", "uninstall") == ""
    assert charger.run("systemctl", "list-unit-files", "--no-legend", "evcharge*", check=False) == ""
    assert charger.run("find", "/etc", "/usr", "/opt", "/run", "/var/lib", "-xdev", "-name", "*evcharge*") == (
        "/var/lib/evcharge-world"
    )
    assert "evcharge" not in charger.run("cat", "/etc/passwd", "/etc/group")
