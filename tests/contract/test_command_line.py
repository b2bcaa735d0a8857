"""Commands as a user runs them, against a real control socket: texts, exit codes, no traceback."""

import asyncio
import contextlib
import json
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from evcharge_agent.cli import main
from evcharge_agent.runtime.control import ControlServer
from evcharge_agent.runtime.paths import RUNTIME_DIR_VARIABLE
from evcharge_hal.contract.errors import InvalidFieldError
from tests.support.short_paths import short_directory

VIEW: Mapping[str, Any] = {
    "state": "Available",
    "is_central_system_enabled": False,
    "is_central_system_connected": False,
    "is_central_system_accepted": False,
    "is_guard_connected": True,
    "is_clock_trusted": False,
    "connectors": [],
}


@pytest.fixture(autouse=True)
def _own_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give back what a command changes in its process: the environment and the root logger."""
    monkeypatch.setenv(RUNTIME_DIR_VARIABLE, "")
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


async def status(_: Mapping[str, Any]) -> Mapping[str, Any]:
    return VIEW


async def stop(request: Mapping[str, Any]) -> Mapping[str, Any]:
    if request["connector"] != 1:
        raise InvalidFieldError("connector", request["connector"], "1")
    return {"is_accepted": False, "reason": "no_transaction", "text": "Nothing runs."}


async def start(_: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"is_accepted": True, "reason": "", "text": ""}


async def sessions(request: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"sessions": [], "limit": request["limit"]}


async def settings(request: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"values": {str(request["name"]): "16"}}


@pytest.fixture
def daemon() -> Iterator[Path]:
    """A control socket with known answers, served from a thread as a daemon would from its process."""
    with short_directory() as directory:
        loop = asyncio.new_event_loop()
        handlers = {"status": status, "stop": stop, "start": start, "sessions": sessions, "config.get": settings}
        server = ControlServer(directory / "agent.sock", handlers)
        task = loop.create_task(server.run())
        thread = threading.Thread(target=lambda: run_quietly(loop, task))
        thread.start()
        while not (directory / "agent.sock").exists():
            time.sleep(0.005)
        yield directory
        loop.call_soon_threadsafe(task.cancel)
        thread.join()
        loop.close()


def run_quietly(loop: asyncio.AbstractEventLoop, task: "asyncio.Task[None]") -> None:
    with contextlib.suppress(asyncio.CancelledError):
        loop.run_until_complete(task)


@pytest.mark.parametrize(
    ("arguments", "code", "out", "err"),
    [
        (["status"], 0, "no central system", ""),
        (["start", "1", "CARD"], 0, "accepted", ""),
        (["stop", "1"], 1, "", "refused: Nothing runs."),
        (["stop", "9"], 2, "", "connector = 9: allowed: 1"),
        (["sessions", "list"], 0, "no transactions yet", ""),
        (["clear-fault", "1", "diode"], 2, "", "command"),
    ],
)
def test_commands(
    daemon: Path, arguments: list[str], code: int, out: str, err: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--runtime-dir", str(daemon)]) == code
    shown = capsys.readouterr()
    assert out in shown.out
    assert err in shown.err
    assert "Traceback" not in shown.err


def test_json_is_the_view_itself(daemon: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--json", "--runtime-dir", str(daemon)]) == 0
    assert json.loads(capsys.readouterr().out) == VIEW


@pytest.mark.parametrize("command", [["status"], ["why"], ["sessions", "list"], ["start", "1", "CARD"]])
def test_where_nothing_answers_it_says_so(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--runtime-dir", str(tmp_path)]) == 3
    assert "no agent at" in capsys.readouterr().err


def test_a_wrong_configuration_file_ends_the_daemon_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "agent.toml"
    path.write_text("[limits]\nuser_limit_a = 5\n")
    arguments = ["run", "--config", str(path), "--runtime-dir", str(tmp_path), "--state-dir", str(tmp_path)]
    assert main([*arguments, "--log-level", "error"]) == 2
    assert "limits.user_limit_a = 5: allowed: a number from 6 to 80 A" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["demo", "--speed", "0"], ["sim", "plgu"], ["stop"], []])
def test_wrong_arguments_are_explained(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: evcharge-agent" in capsys.readouterr().err
