"""What each process loads: the guard stays small, the daemons are free of what only developers have."""

import json
import re
import subprocess
import sys

import pytest

from tests.arch.source import AGENT, ROOT

NEVER_IN_THE_GUARD = frozenset(
    "aiohttp asyncio evcharge_agent ocpp pydantic pydantic_settings pymodbus rich sqlite3 ssl starlette structlog uvicorn"
    " websockets".split()
)
NEVER_IN_THE_AGENT = frozenset(
    "aiohttp evcharge_hal.gpio evcharge_hal.guard evcharge_hal.link evcharge_hal.sim gpiozero pydantic_settings starlette"
    " uvicorn".split()
)
DEVELOPERS_ONLY = frozenset({"aiohttp", "pydantic-settings", "rich", "uvloop", "pytest", "hypothesis"})


def loaded_by(statement: str) -> set[str]:
    """Modules in `sys.modules` after a statement, in a fresh interpreter."""
    code = f"{statement}\nimport json, sys\nprint(json.dumps([n for n, m in sys.modules.items() if m is not None]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return set(json.loads(done.stdout))


def daemon_modules() -> list[str]:
    """The modules the agent's daemon is made of: all but the demo and the commands."""
    packages = [AGENT / name for name in ("core", "ocpp16", "runtime", "store")]
    files = [path for package in packages for path in sorted(package.rglob("*.py"))]
    names = [".".join(path.relative_to(AGENT.parent).with_suffix("").parts) for path in files]
    return [*names, "evcharge_agent.app", "evcharge_agent.settings.loader", "evcharge_agent.settings.ocpp_keys"]


@pytest.mark.parametrize("module", ["evcharge_hal.guard.loop", "evcharge_hal.guard.__main__"])
def test_the_guard_loads_neither_asyncio_nor_a_network_stack(module: str) -> None:
    assert not loaded_by(f"import {module}") & NEVER_IN_THE_GUARD


def test_the_agent_loads_no_gpio_no_pilot_port_and_nothing_heavy() -> None:
    # structlog takes rich when it is installed, as it is beside the linters; without it the agent must run.
    block = "import sys; sys.modules['rich'] = None"
    imports = "; ".join(f"import {name}" for name in daemon_modules())
    assert not loaded_by(f"{block}; {imports}") & NEVER_IN_THE_AGENT


def test_the_check_sees_what_is_loaded() -> None:
    assert "asyncio" in loaded_by("import asyncio")


def test_the_locked_installation_has_nothing_only_developers_need() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    packages = set(re.findall(r"^([A-Za-z0-9_.-]+)==", lock, re.MULTILINE))
    assert {"ocpp", "pydantic", "pymodbus", "websockets"} <= packages
    assert not packages & DEVELOPERS_ONLY


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_lock_files_pin_by_hash_and_name_no_index(name: str) -> None:
    lock = (ROOT / name).read_text()
    pins = re.findall(r"^[A-Za-z0-9_.-]+==[^\n]*", lock, re.MULTILINE)
    assert pins
    assert all(pin.endswith("\\") for pin in pins), "every pin is followed by its hashes"
    assert not re.search(r"index-url|find-links|https?://", lock)
