"""The `[sim]` table: what the simulated world offers and how it behaves."""

import enum
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evcharge_hal.boards.board import Board
from evcharge_hal.boards.loader import load_board
from evcharge_hal.contract.channel import MAX_CONNECTORS
from evcharge_hal.contract.errors import EvchargeError, InvalidFieldError
from evcharge_hal.contract.schema import declare, decode
from evcharge_hal.sim.plant.site import HouseProfile, parse_profile


class GpioAtDeath(enum.Enum):
    """What the lines do when the process that drove them dies."""

    RETAINED = "retained"
    """They stay as they are: what a Raspberry Pi's kernel does, and the worst case (DESIGN D2)."""
    RELEASED = "released"
    """They fall to their pull, which is off."""


class MeterRole(enum.Enum):
    """What a simulated meter measures."""

    SESSION = "session"
    GRID = "grid"


class RegisterMap(enum.Enum):
    """Whose registers a simulated meter has."""

    SDM630 = "sdm630"


@dataclass(frozen=True, slots=True)
class SimMeter:
    """One Modbus TCP meter."""

    name: str = declare("Name, shown with its port in `health`", max_length=40)
    role: MeterRole = declare("What it measures")
    connector: int | None = declare("Connector a session meter belongs to", ge=1, le=MAX_CONNECTORS, default=None)
    map: RegisterMap = declare("Whose registers it has", default=RegisterMap.SDM630)
    port: int = declare("TCP port on the loopback; 0: any free one", ge=0, le=65535, default=0)
    unit: int = declare("Modbus unit", ge=1, le=247, default=1)


@dataclass(frozen=True, slots=True)
class SimConfig:
    """The simulated world."""

    gpio_at_death: GpioAtDeath = declare("What the lines do when the guard dies", default=GpioAtDeath.RETAINED)
    tcp_port: int | None = declare(
        "Control interface also on this loopback port; 0: any free one; none: unix socket only",
        ge=0,
        le=65535,
        default=None,
    )
    speed: float = declare("How many times faster batteries fill", ge=0.1, le=10_000.0, default=1.0)
    nominal_v: float = declare("Grid voltage", unit="V", ge=100.0, le=260.0, default=230.0)
    house: str | None = declare("CSV file: time_s,l1_a,l2_a,l3_a,pv_w", max_length=400, default=None)
    meters: tuple[SimMeter, ...] = declare("Meters", max_length=16, default=())


class SimConfigError(EvchargeError):
    """The configuration cannot be used; the text names file, key and what would be allowed."""


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """Everything a world is built from."""

    sim: SimConfig
    board: Board
    profile: HouseProfile | None


def load_config(path: Path) -> LoadedConfig:
    """Read the `[sim]` table and the board tables of one TOML file, and the CSV it names.

    Raises:
        SimConfigError: a file cannot be read or a value in it is wrong.
        BoardFileError: the board tables are wrong.
    """
    board = load_board(path)
    table = _read_table(path)
    try:
        sim = decode(SimConfig, table, "sim")
        check_meters(sim, board)
    except InvalidFieldError as error:
        msg = f"{path}: {error}"
        raise SimConfigError(msg) from error
    return LoadedConfig(sim, board, None if sim.house is None else _read_profile(path.parent / sim.house))


def check_meters(sim: SimConfig, board: Board) -> None:
    """Refuse meters that share a name or measure a connector that is not there.

    Raises:
        InvalidFieldError: names the meter.
    """
    numbers = [section.id for section in board.connector]
    names: set[str] = set()
    for index, meter in enumerate(sim.meters):
        path = f"sim.meters[{index}]"
        if meter.name in names:
            raise InvalidFieldError(f"{path}.name", meter.name, "a name of its own")
        names.add(meter.name)
        if meter.role is MeterRole.SESSION and meter.connector not in numbers:
            allowed = "one of the connectors " + ", ".join(map(str, numbers))
            raise InvalidFieldError(f"{path}.connector", meter.connector, allowed)


def _read_table(path: Path) -> Any:
    try:
        return tomllib.loads(path.read_bytes().decode()).get("sim", {})
    except (OSError, ValueError) as error:
        msg = f"{path}: cannot be read: {error}"
        raise SimConfigError(msg) from error


def _read_profile(path: Path) -> HouseProfile:
    try:
        return parse_profile(path.read_text("utf-8"))
    except (OSError, ValueError, InvalidFieldError) as error:
        msg = f"{path}: {error}"
        raise SimConfigError(msg) from error
