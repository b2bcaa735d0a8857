"""Register maps: what a Modbus meter offers, as TOML data (`maps/*.toml`), checked when loaded.

Addresses are 0-based wire addresses. `scale` turns the register's number into the base unit: Wh, W, A, V,
Hz, 1; a meter that counts kWh has 1000.
"""

import difflib
import enum
import functools
import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from evcharge_hal.contract.errors import InvalidFieldError
from evcharge_hal.contract.schema import declare, decode

MAPS = "evcharge_hal.instruments.maps"
LAST_ADDRESS = 0xFFFF


class Quantity(enum.Enum):
    """What a register says."""

    ENERGY_IMPORT = "energy_import"
    ENERGY_EXPORT = "energy_export"
    POWER = "power"
    PHASE_POWER = "phase_power"
    CURRENT = "current"
    VOLTAGE = "voltage"
    POWER_FACTOR = "power_factor"
    FREQUENCY = "frequency"


PER_PHASE = frozenset({Quantity.CURRENT, Quantity.VOLTAGE, Quantity.PHASE_POWER})


class Phase(enum.Enum):
    """Where a per-phase register belongs."""

    L1 = "l1"
    L2 = "l2"
    L3 = "l3"


class RegisterType(enum.Enum):
    """How a number is stored."""

    U16 = "u16"
    I16 = "i16"
    U32 = "u32"
    I32 = "i32"
    F32 = "f32"
    U64 = "u64"
    I64 = "i64"

    @property
    def width(self) -> int:
        """Registers it takes."""
        return int(self.value[1:]) // 16


class WordOrder(enum.Enum):
    """Which register of a wide number comes first; bytes within one are always big-endian."""

    BIG = "big"
    LITTLE = "little"


class Unavailable(enum.Enum):
    """How a meter marks a number it does not have; NaN and infinity always mean that."""

    ALL_ONES = "all_ones"
    """FFFF… in unsigned numbers."""
    GREATEST = "greatest"
    """7FFF… in signed numbers; some meters say it on overflow."""
    LEAST = "least"
    """8000… in signed numbers."""

    def marks(self, raw: float, register_type: RegisterType) -> bool:
        """Tell whether a number of this type is the mark."""
        half = 1 << (16 * register_type.width - 1)
        if register_type.value.startswith("u"):
            return self is Unavailable.ALL_ONES and raw == 2 * half - 1
        return (
            register_type.value.startswith("i")
            and raw
            == {
                Unavailable.ALL_ONES: None,
                Unavailable.GREATEST: half - 1,
                Unavailable.LEAST: -half,
            }[self]
        )


@dataclass(frozen=True, slots=True)
class Register:
    """One number of the meter."""

    quantity: Quantity = declare("What it says")
    address: int = declare("Wire address of its first register", ge=0, le=LAST_ADDRESS)
    type: RegisterType = declare("How it is stored")
    scale: float = declare("Factor to the base unit; negative turns the sign", ge=-1e6, le=1e6, default=1.0)
    phase: Phase | None = declare("Phase, for current, voltage and phase_power", default=None)
    absent: tuple[int, ...] = declare("Raw values that mean 'not available'", max_length=4, default=())

    @property
    def end(self) -> int:
        """First address after it."""
        return self.address + self.type.width


@dataclass(frozen=True, slots=True)
class RegisterMap:
    """All that is read of one type of meter."""

    name: str = declare("Manufacturer and type", max_length=60)
    function_code: int = declare("3: holding registers, 4: input registers", ge=3, le=4)
    registers: tuple[Register, ...] = declare("What is read", max_length=64)
    word_order: WordOrder = declare("Order of the registers of a wide number", default=WordOrder.BIG)
    max_block: int = declare("Registers the meter gives in one answer", ge=1, le=125, default=60)
    also: tuple[str, ...] = declare("Other names it is found by", max_length=12, default=())
    max_hole: int = declare("Registers nobody asked for that may be read over", ge=0, le=124, default=0)
    gap_ms: float = declare("Rest the meter needs between requests", unit="ms", ge=0.0, le=1000.0, default=0.0)
    unavailable: tuple[Unavailable, ...] = declare("How it marks numbers it does not have", max_length=3, default=())
    has_unwired_phases_unavailable: bool = declare(
        "Phases nothing is wired to have no voltage in it and count as 0", default=False
    )
    has_tenfold_frequency: bool = declare(
        "Some of them tell the frequency ten times too high: 450 to 650 are tenths of a hertz", default=False
    )
    rollover_wh: float | None = declare(
        "Energy at which the import register starts at 0 again", unit="Wh", ge=1e6, le=1e15, default=None
    )
    energy_step_wh: float = declare("Smallest step of the import register", unit="Wh", ge=0.0, le=1e4, default=1.0)


def load_map(name: str) -> RegisterMap:
    """Load a shipped map by its name (`sdm630`) or one of your own by its path (`/etc/evcharge/my.toml`).

    Raises:
        InvalidFieldError: there is no such map, it is no TOML, or a value in it is not allowed.
    """
    if name.endswith(".toml"):
        try:
            text = Path(name).read_text("utf-8")
        except (OSError, ValueError) as error:
            raise InvalidFieldError("map", name, f"a readable file ({error})") from error
    else:
        shipped = shipped_maps()
        names = {other: file for file in shipped for other in _shipped(file).also} | {file: file for file in shipped}
        if name not in names:
            allowed = "one of " + ", ".join(sorted(names)) + ", or a path ending in .toml"
            nearest = difflib.get_close_matches(name, names, n=1)
            raise InvalidFieldError("map", name, allowed, nearest[0] if nearest else None)
        return _shipped(names[name])
    return parse_map(text)


@functools.cache
def _shipped(file: str) -> RegisterMap:
    return parse_map(resources.files(MAPS).joinpath(f"{file}.toml").read_text("utf-8"))


def shipped_maps() -> list[str]:
    """Names of the maps in the package."""
    files = (entry.name for entry in resources.files(MAPS).iterdir())
    return sorted(name.removesuffix(".toml") for name in files if name.endswith(".toml"))


def parse_map(text: str) -> RegisterMap:
    """Read and check the text of a map.

    Raises:
        InvalidFieldError: it is no TOML, or a value in it is not allowed.
    """
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidFieldError("map", text[:40], f"TOML ({error})") from error
    register_map = decode(RegisterMap, data)
    _check(register_map)
    return register_map


def _check(register_map: RegisterMap) -> None:
    """Check what no single field can."""
    if not register_map.registers:
        raise InvalidFieldError("registers", [], "at least one entry")
    seen = set()
    for index, register in enumerate(register_map.registers):
        path = f"registers[{index}]"
        if (register.quantity in PER_PHASE) != (register.phase is not None):
            wanted = "l1, l2 or l3" if register.quantity in PER_PHASE else f"none for {register.quantity.value}"
            raise InvalidFieldError(f"{path}.phase", register.phase, wanted)
        if (register.quantity, register.phase) in seen:
            raise InvalidFieldError(f"{path}.quantity", register.quantity.value, "each quantity and phase once")
        seen.add((register.quantity, register.phase))
        if register.end - 1 > LAST_ADDRESS:
            raise InvalidFieldError(f"{path}.address", register.address, f"at most {LAST_ADDRESS} with its width")
        if register.type.width > register_map.max_block:
            raise InvalidFieldError("max_block", register_map.max_block, f"at least {register.type.width} for {path}")
        if register.scale == 0.0:
            raise InvalidFieldError(f"{path}.scale", register.scale, "a number other than 0")
