"""What the units promise and ask for agrees with the programs; `make install` puts everything in its place."""

import configparser
import os
import subprocess
import sys
from pathlib import Path

import pytest

from evcharge_agent.cli import CONTROL_SOCKET, build_parser
from evcharge_agent.runtime.paths import SERVICE_RUNTIME_DIR, SERVICE_STATE_DIR
from evcharge_hal.guard.__main__ import FIFO_PRIORITY
from evcharge_hal.guard.channel_server import SOCKET_NAME
from tests.arch.source import ROOT

SYSTEMD = ROOT / "systemd"


class Sections(configparser.RawConfigParser):
    """A unit file: names keep their case, and one that is said twice is kept twice."""

    def __init__(self) -> None:
        super().__init__(strict=False, delimiters=("=",), comment_prefixes=("#",))

    def optionxform(self, optionstr: str) -> str:
        return optionstr


def unit(name: str) -> Sections:
    sections = Sections()
    sections.read(SYSTEMD / name)
    return sections


@pytest.mark.parametrize("name", ["evcharge-guard.service", "evcharge-agent.service"])
def test_a_service_is_watched_restarted_and_known_to_be_ready(name: str) -> None:
    service = unit(name)["Service"]
    assert (service["Type"], service["NotifyAccess"], service["Restart"]) == ("notify", "main", "always")
    assert float(service["WatchdogSec"]) > 0
    assert unit(name)["Unit"]["StartLimitIntervalSec"] == "0", "a charger that gave up needs a person"


def test_the_guard_comes_first_and_the_agent_lives_without_it() -> None:
    agent, guard = unit("evcharge-agent.service")["Unit"], unit("evcharge-guard.service")["Unit"]
    assert "evcharge-agent.service" in guard["Before"]
    assert "evcharge-guard.service" in agent["After"].split()
    assert "evcharge-guard.service" in agent["Wants"].split()
    assert "Requires" not in agent
    assert "BindsTo" not in agent


def test_what_talks_to_the_network_reaches_no_line_and_the_other_way_round() -> None:
    agent, guard = unit("evcharge-agent.service")["Service"], unit("evcharge-guard.service")["Service"]
    assert agent["User"] != guard["User"]
    assert agent["PrivateDevices"] == "yes"
    assert "SupplementaryGroups" not in agent
    assert guard["PrivateNetwork"] == "yes"
    assert guard["RestrictAddressFamilies"] == "AF_UNIX"


def test_the_priority_that_is_asked_for_is_granted() -> None:
    guard = unit("evcharge-guard.service")["Service"]
    assert guard["LimitRTPRIO"] == str(FIFO_PRIORITY)
    assert guard["LimitMEMLOCK"] == "infinity"
    assert "RestrictRealtime" not in guard


def test_the_agents_command_is_one_it_understands() -> None:
    program, *arguments = unit("evcharge-agent.service")["Service"]["ExecStart"].split()
    assert program == "/usr/bin/evcharge-agent"
    parsed = build_parser().parse_args(arguments)
    assert parsed.runtime_dir == SERVICE_RUNTIME_DIR
    assert unit("evcharge-agent.service")["Unit"]["ConditionPathExists"] == str(parsed.config)


@pytest.mark.parametrize("line", ["ExecStart", "ExecStopPost"])
def test_the_guards_commands_are_some_it_understands(line: str) -> None:
    program, *arguments = unit("evcharge-guard.service")["Service"][line].removeprefix("-").split()
    assert program == "/usr/bin/evcharge-guard"
    done = subprocess.run(
        [sys.executable, "-m", "evcharge_hal.guard", *arguments, "--help"], capture_output=True, timeout=30, check=False
    )
    assert done.returncode == 0
    assert b"default: /etc/evcharge/board.toml" in b" ".join(done.stdout.split())


def test_folders_and_users_are_the_same_everywhere() -> None:
    agent, guard = unit("evcharge-agent.service")["Service"], unit("evcharge-guard.service")["Service"]
    (folder,) = [line.split() for line in lines(SYSTEMD / "tmpfiles.d" / "evcharge.conf")]
    assert folder == ["d", str(SERVICE_RUNTIME_DIR), "1770", "root", guard["Group"], "-"]
    assert agent["Group"] == guard["Group"]
    assert agent["ReadWritePaths"] == guard["ReadWritePaths"] == str(SERVICE_RUNTIME_DIR)
    assert f"/var/lib/{agent['StateDirectory']}" == str(SERVICE_STATE_DIR)
    users = lines(SYSTEMD / "sysusers.d" / "evcharge.conf")
    for name in (agent["User"], guard["User"]):
        assert any(line.startswith(f"u {name} ") for line in users)
    for group in guard["SupplementaryGroups"].split():
        assert f"m {guard['User']} {group}" in users
    longest = SERVICE_RUNTIME_DIR / max(SOCKET_NAME, CONTROL_SOCKET, key=len)
    assert len(str(longest)) < 108


def lines(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize(("prefix", "allowed"), [("/usr", "not ours"), ("opt", "an absolute path"), ("/", "not ours")])
@pytest.mark.parametrize("verb", ["install", "uninstall"])
def test_a_folder_that_is_not_its_own_is_left_alone(tmp_path: Path, verb: str, prefix: str, allowed: str) -> None:
    (tmp_path / "usr").mkdir()
    environment = {"PATH": os.environ["PATH"], "DESTDIR": str(tmp_path), "PREFIX": prefix}
    command = ["sh", str(SYSTEMD / "setup.sh"), verb]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert allowed in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["usr"]


@pytest.mark.system
def test_installed_elsewhere_the_programs_name_only_their_place_and_go_without_a_trace(tmp_path: Path) -> None:
    def make(*arguments: str) -> str:
        command = ["make", "--silent", "--no-print-directory", *arguments, f"DESTDIR={tmp_path}", "PREFIX=/opt/charger"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    (tmp_path / "etc/evcharge").mkdir(parents=True)
    (tmp_path / "etc/evcharge/board.toml").write_text("# mine\n")
    make("install")
    make("install")
    prefix = tmp_path / "opt/charger"
    for name in ("agent", "guard", "sim"):
        assert (tmp_path / f"usr/bin/evcharge-{name}").readlink() == Path(f"/opt/charger/bin/evcharge-{name}")
        assert (prefix / f"bin/evcharge-{name}").read_text().splitlines()[0] == "#!/opt/charger/bin/python"
    found = subprocess.run(["grep", "-rlI", str(tmp_path), str(tmp_path)], capture_output=True, text=True, check=False)
    assert found.stdout == ""
    assert "/opt/charger" in (tmp_path / "usr/lib/systemd/system/evcharge-agent.service").read_text()
    # Linux finds the environment by the program's own place, so it can be tried where it lies.
    loaded = "import evcharge_agent.app, evcharge_hal.guard.__main__, evcharge_hal.sim.process"
    subprocess.run([prefix / "bin/python", "-c", loaded], check=True, timeout=60)
    assert not list(prefix.glob("lib/python*/site-packages/hatchling"))
    assert (tmp_path / "etc/evcharge/board.toml").read_text() == "# mine\n"

    assert make("uninstall").splitlines() == [f"left: {tmp_path}/etc/evcharge (PURGE=1 removes it)"]
    files = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if not path.is_dir())
    assert files == [Path("etc/evcharge/board.toml")]
    make("uninstall", "PURGE=1")
    assert [path for path in tmp_path.rglob("*") if not path.is_dir()] == []
