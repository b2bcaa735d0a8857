"""Register maps: what a Modbus meter offers, as TOML data (`maps/*.toml`), checked when loaded.

Addresses are 0-based wire addresses. `scale` turns the register's number into the base unit: Wh, W, A, V,
Hz, 1; a meter that counts kWh has 1000.
"""

import enum
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
    POWER = "power"
    CURRENT = "current"
    VOLTAGE = "voltage"
    POWER_FACTOR = "power_factor"
    FREQUENCY = "frequency"


PER_PHASE = frozenset({Quantity.CURRENT, Quantity.VOLTAGE})


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


@dataclass(frozen=True, slots=True)
class Register:
    """One number of the meter."""

    quantity: Quantity = declare("What it says")
    address: int = declare("Wire address of its first register", ge=0, le=LAST_ADDRESS)
    type: RegisterType = declare("How it is stored")
    scale: float = declare("Factor to the base unit; negative turns the sign", ge=-1e6, le=1e6, default=1.0)
    phase: Phase | None = declare("Phase, for current and voltage", default=None)
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
    max_hole: int = declare("Registers nobody asked for that may be read over", ge=0, le=124, default=0)
    gap_ms: float = declare("Rest the meter needs between requests", unit="ms", ge=0.0, le=1000.0, default=0.0)


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
        if name not in shipped:
            raise InvalidFieldError("map", name, "one of " + ", ".join(shipped) + ", or a path ending in .toml")
        text = resources.files(MAPS).joinpath(f"{name}.toml").read_text("utf-8")
    return parse_map(text)


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
