"""How commands find the charger that runs here."""

from pathlib import Path

import pytest

from evcharge_agent.runtime.paths import RUNTIME_DIR_VARIABLE, SERVICE_RUNTIME_DIR, find_runtime_dir, forget, point_to


@pytest.fixture(autouse=True)
def _own_pointer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv(RUNTIME_DIR_VARIABLE, raising=False)


def test_the_environment_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    point_to(tmp_path)
    monkeypatch.setenv(RUNTIME_DIR_VARIABLE, "/somewhere")
    assert find_runtime_dir() == Path("/somewhere")


def test_without_a_simulation_it_is_the_services_directory() -> None:
    assert find_runtime_dir() == SERVICE_RUNTIME_DIR


def test_the_latest_simulation_is_found_and_forgotten(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    point_to(first)
    point_to(second)
    assert find_runtime_dir() == second
    forget(first)
    assert find_runtime_dir() == second, "the first one ended, the second one runs"
    forget(second)
    assert find_runtime_dir() == SERVICE_RUNTIME_DIR


def test_something_else_in_the_pointers_place_is_not_followed(tmp_path: Path) -> None:
    point_to(tmp_path)
    (pointer,) = tmp_path.glob("evcharge-*")
    pointer.unlink()
    pointer.mkdir()
    assert find_runtime_dir() == SERVICE_RUNTIME_DIR
