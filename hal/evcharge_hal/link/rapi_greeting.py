"""The first words with a RAPI board: stop it, then ask command by command what it can do. Pure.

The protocol version it states is not believed (the protocol's own header says so): a board can what it answers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from evcharge_hal.contract.pilot import CoprocessorIdentity, ResetCause
from evcharge_hal.contract.units import Amps
from evcharge_hal.link.rapi_frames import RapiReply, read_hexadecimal
from evcharge_hal.link.rapi_record import BoardRecord, read_numbers
from evcharge_hal.link.rapi_setpoint import SLEEP, set_capacity
from evcharge_hal.link.rapi_view import MIN_LIMIT_A, disabled_tests, read_temperature_c, read_uid

LOWEST = set_capacity(MIN_LIMIT_A)
HEARTBEAT, CAPACITY, SETTINGS, IDENTITY, VERSION, TEMPERATURE, STATE = "GY", "GC", "GE", "GI", "GV", "GP", "GS"
_STEPS = (SLEEP, LOWEST, HEARTBEAT, CAPACITY, SETTINGS, IDENTITY, VERSION, TEMPERATURE, STATE)
_OPTIONAL = frozenset({SETTINGS, IDENTITY, VERSION, TEMPERATURE})
_CAPACITY_FIELDS = 2
NO_HEARTBEAT = "knows no heartbeat ($SY): it would charge on at full current without its host"
NO_SEQUENCE = "answers without sequence ids: an answer could belong to any command"


@dataclass(slots=True)
class Greeting:
    """One greeting; another one begins from the top."""

    arm: str
    """The command that sets the heartbeat."""
    _steps: list[str] = field(default_factory=lambda: list(_STEPS))
    _answers: dict[str, RapiReply] = field(default_factory=dict)

    @property
    def step(self) -> str:
        """The command that is due."""
        return self._steps[0]

    @property
    def is_complete(self) -> bool:
        """Everything has been answered."""
        return not self._steps

    @property
    def has_temperature(self) -> bool:
        """The board answers `$GP`."""
        return self._answers[TEMPERATURE].is_ok

    def take(self, reply: RapiReply, record: BoardRecord, now_s: float) -> str | None:
        """Take the answer to `step`; returns why this board cannot be used."""
        step = self._steps.pop(0)
        self._answers[step] = reply
        if step in (HEARTBEAT, self.arm):
            if not reply.is_ok or len(read_numbers(reply)) < len(record.heartbeat) + 1:
                return NO_HEARTBEAT
            record.take_heartbeat(reply)
            # Its settings are in the EEPROM: nothing is written that is there already. A missed one comes first.
            if step == HEARTBEAT and not record.is_armed and not record.is_missed:
                self._steps.insert(0, self.arm)
        elif step == LOWEST:
            record.take_capacity(MIN_LIMIT_A, reply, now_s)
        elif not reply.is_ok and step not in _OPTIONAL:
            return f"refuses ${step}"
        elif step == CAPACITY and len(read_numbers(reply)) < _CAPACITY_FIELDS:
            return "states no capacity"
        elif step == TEMPERATURE and reply.is_ok:
            record.temperature_c, record.temperature_s = read_temperature_c(reply.arguments), now_s
        return None

    def identity(self, boot_count: int, *, is_restart: bool) -> CoprocessorIdentity:
        """What the board said of itself."""
        limits = read_numbers(self._answers[CAPACITY])
        # minimum, maximum of the hardware, present, maximum as configured; older boards tell the first two.
        highest_a = min(limits[1], limits[3]) if len(limits) > 3 else limits[1]  # noqa: PLR2004 - the four above
        return CoprocessorIdentity(
            uid=read_uid(_words(self._answers, IDENTITY)),
            firmware=" ".join(_words(self._answers, VERSION))[:40] or "unknown",
            boot_count=boot_count,
            # Nobody says why it started. The host has lived through it, so it was no power cut of the charger.
            reset_cause=ResetCause.WATCHDOG if is_restart else ResetCause.SOFTWARE,
            connectors=1,
            max_a=Amps(float(highest_a)),
        )

    def tests_off(self) -> str:
        """Names of the self-tests that somebody switched off; empty when all are on."""
        words = _words(self._answers, SETTINGS)
        return disabled_tests(read_hexadecimal(words[1]) or 0) if len(words) > 1 else ""


def _words(answers: Mapping[str, RapiReply], step: str) -> tuple[str, ...]:
    return answers[step].arguments if answers[step].is_ok else ()
