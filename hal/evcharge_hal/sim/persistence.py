"""Where a simulated world keeps what outlives a power cut: EEPROM, meter registers, counters, the plugged car."""

import json
import logging
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from evcharge_hal.contract.errors import InvalidFieldError
from evcharge_hal.contract.schema import declare, decode, encode
from evcharge_hal.sim.plant.memory import PlantMemory

log = logging.getLogger(__name__)

FILE_NAME = "world.json"
_UID = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Memory:
    """Everything that outlives a power cut."""

    uid: str = declare("Of the pilot co-processor, 16 hexadecimal digits", max_length=16)
    boot_count: int = declare("Starts of the co-processor", ge=0, le=0xFFFFFFFF, default=0)
    plant: PlantMemory = declare("The physical world", default_factory=PlantMemory)


class Persistence(Protocol):
    """Where the memory is kept."""

    def load(self) -> Memory:
        """Return what was saved last, or the memory of a board fresh from the factory."""
        ...

    def save(self, memory: Memory) -> None:
        """Replace what is kept; it must survive the death of the process at any instruction."""
        ...


class InMemoryPersistence:
    """For worlds that live inside a test."""

    def __init__(self, uid: str = "51b0a2d000000001") -> None:
        self.memory = Memory(uid)

    def load(self) -> Memory:
        """Return what was saved last."""
        return self.memory

    def save(self, memory: Memory) -> None:
        """Keep it."""
        self.memory = memory


class FilePersistence:
    """One JSON file, replaced atomically.

    There is no fsync: the file must survive SIGKILL of the world, which stands for a power cut of the
    simulated board, not one of the machine that simulates it.
    """

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / FILE_NAME
        self._has_failed = False

    def load(self) -> Memory:
        """Read the file; a damaged one is moved aside and the board starts fresh."""
        try:
            return _read_memory(self._path.read_bytes())
        except FileNotFoundError:
            log.info("%s does not exist: a new board", self._path)
        except (OSError, ValueError, RecursionError, InvalidFieldError) as error:
            log.warning("%s cannot be used and is moved aside: %s", self._path, error)
            self._move_aside()
        return Memory(secrets.token_hex(8))

    def save(self, memory: Memory) -> None:
        """Write a new file and put it in the place of the old one; a full disk is logged once."""
        scratch = self._path.with_suffix(".new")
        try:
            scratch.write_text(json.dumps(encode(memory)) + "\n", "utf-8")
            os.replace(scratch, self._path)  # noqa: PTH105 - Path.replace says less about being atomic
        except OSError as error:
            if not self._has_failed:
                log.error("%s cannot be written: %s", self._path, error)  # noqa: TRY400 - no bug of ours
            self._has_failed = True
        else:
            self._has_failed = False

    def _move_aside(self) -> None:
        try:
            self._path.replace(self._path.with_suffix(".damaged"))
        except OSError as error:
            log.warning("%s cannot be moved aside: %s", self._path, error)


def _read_memory(data: bytes) -> Memory:
    memory = decode(Memory, json.loads(data))
    if not _UID.fullmatch(memory.uid):
        raise InvalidFieldError("uid", memory.uid, "16 hexadecimal digits")
    return memory
