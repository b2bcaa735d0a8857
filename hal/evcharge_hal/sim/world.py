"""The simulated world without I/O: plant, co-processor, lines, meters and readers under one clock.

The process (`process.py`) and in-memory scenario tests drive the same object; time is what they pass in.
"""

import dataclasses
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from evcharge_hal.boards.board import Board
from evcharge_hal.contract.pilot import ResetCause
from evcharge_hal.contract.units import PerPhase, WattHours
from evcharge_hal.sim.commands import perform
from evcharge_hal.sim.config import MeterRole, SimConfig, SimMeter, check_meters
from evcharge_hal.sim.coprocessor import Coprocessor
from evcharge_hal.sim.meters import MeterValues, register_image
from evcharge_hal.sim.persistence import Persistence
from evcharge_hal.sim.plant.plant import Plant
from evcharge_hal.sim.plant.site import HouseProfile, grid_frequency_hz
from evcharge_hal.sim.snapshot import take_snapshot
from evcharge_hal.sim.verbs import FaultKind, Swipe, read_verb
from evcharge_hal.sim.wiring import Wiring

_TIME_SLACK_S = 1e-9
_LEAST_STEP_S = 1e-4
_MOST_SWIPES = 64


def _ignore_line(_pin: int, _is_high: bool) -> None:
    """Nobody listens to the lines."""


class World:
    """Everything outside guard and agent.

    Each construction is a power-on reset: the boot count goes up, outputs are off; the registers stay and the
    car is still plugged in. Injected faults, the house and the speed are as the configuration says.
    """

    def __init__(
        self,
        config: SimConfig,
        board: Board,
        persistence: Persistence,
        now_s: float,
        profile: HouseProfile | None = None,
    ) -> None:
        check_meters(config, board)
        self.config = config
        self.now_s = now_s
        self.on_line_change: Callable[[int, bool], None] = _ignore_line
        """Called with (pin, is_high) whenever the world moves a line."""
        self.faults: set[tuple[FaultKind, int]] = set()
        """Injected faults by connector; 0 stands for the whole board."""
        self.meters: Mapping[str, SimMeter] = {meter.name: meter for meter in config.meters}
        self.silent_meters: set[str] = set()
        self.frozen_images: dict[str, tuple[int, ...]] = {}
        self._persistence = persistence
        loaded = persistence.load()
        self.memory = dataclasses.replace(loaded, boot_count=loaded.boot_count + 1)
        self.plant = Plant(board, config.nominal_v, self.memory.plant)
        self.plant.speed = config.speed
        self.plant.profile = profile
        self.wiring = Wiring(board, self.plant.connectors)
        self.coprocessor = Coprocessor(
            self.plant.connectors,
            uid=int(self.memory.uid, 16),
            boot_count=self.memory.boot_count,
            reset_cause=ResetCause.POWER_ON,
            now_s=now_s,
            max_a=max(section.max_a for section in board.connector),
        )
        self._swipes: deque[Swipe] = deque(maxlen=_MOST_SWIPES)
        self.save()

    # --- time ----------------------------------------------------------------------------------------------

    def advance(self, now_s: float) -> None:
        """Let time pass up to `now_s` in steps that miss no contact; going back is ignored."""
        while self.now_s < now_s - _TIME_SLACK_S:
            until_s = min(now_s, max(self.next_event_s(), self.now_s + _LEAST_STEP_S))
            self.plant.step(until_s - self.now_s)
            self.now_s = until_s
            self.coprocessor.advance(self.now_s)
            self._tell_lines()
        self._remember()

    def next_event_s(self) -> float:
        """When something here next changes by itself: callers under virtual time stop there."""
        return min(self.now_s + self.plant.next_step_s(), self.coprocessor.next_deadline_s(self.now_s))

    # --- the guard's side ----------------------------------------------------------------------------------

    def serial_receive(self, data: bytes, now_s: float) -> None:
        """Take bytes the guard wrote."""
        self.advance(now_s)
        if not self._is_link_lost:
            self.coprocessor.receive(data, self.now_s)
            self._tell_lines()

    def serial_take(self) -> bytes:
        """Bytes the co-processor has written since the last call."""
        data = self.coprocessor.take_output()
        return b"" if self._is_link_lost else data

    def set_line(self, pin: int, is_high: bool) -> None:
        """Drive a line from the guard's side.

        Raises:
            InvalidFieldError: the world drives this line itself.
        """
        self.wiring.drive(pin, is_high)

    def release_line(self, pin: int) -> None:
        """Let a line fall to its pull, which is off."""
        self.wiring.release(pin)

    def line(self, pin: int) -> bool:
        """Level of a line."""
        return self.wiring.level(pin)

    @property
    def _is_link_lost(self) -> bool:
        return (FaultKind.LINK_LOST, 0) in self.faults

    def _tell_lines(self) -> None:
        for pin, is_high in self.wiring.notice():
            self.on_line_change(pin, is_high)

    # --- instruments ---------------------------------------------------------------------------------------

    def register_image(self, meter: str) -> tuple[int, ...] | None:
        """16-bit words of a meter from address 0, all of one instant; None while it does not answer."""
        if meter in self.silent_meters:
            return None
        if meter in self.frozen_images:
            return self.frozen_images[meter]
        return self.live_image(meter)

    def live_image(self, meter: str) -> tuple[int, ...]:
        """What the meter would show if nothing were wrong with it."""
        configured = self.meters[meter]
        return register_image(configured.map, self._meter_values(configured))

    def _meter_values(self, meter: SimMeter) -> MeterValues:
        plant = self.plant
        frequency_hz = grid_frequency_hz(plant.elapsed_s)
        if meter.role is MeterRole.SESSION and meter.connector is not None:
            connector = plant.connectors[meter.connector]
            volts, amps = connector.voltage_v, connector.current_a
            watts = PerPhase(volts.l1 * amps.l1, volts.l2 * amps.l2, volts.l3 * amps.l3)
            return MeterValues(volts, amps, watts, frequency_hz, WattHours(int(connector.energy_wh)), WattHours(0))
        return MeterValues(
            plant.voltage_v,
            plant.grid_current_a,
            plant.grid_power_w,
            frequency_hz,
            WattHours(int(plant.grid_import_wh)),
            WattHours(int(plant.grid_export_wh)),
        )

    def hold_card(self, swipe: Swipe) -> None:
        """Queue a card for the readers."""
        self._swipes.append(swipe)

    def take_swipes(self) -> tuple[Swipe, ...]:
        """Cards held to a reader since the last call, oldest first."""
        swipes = tuple(self._swipes)
        self._swipes.clear()
        return swipes

    # --- the control interface -----------------------------------------------------------------------------

    def perform(self, verb: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Do what a verb says and return the state after it.

        Raises:
            UnknownVerbError: there is no such verb.
            InvalidFieldError: a field is missing, unknown or out of range.
        """
        perform(self, read_verb(verb, body))
        self._tell_lines()
        self.save()
        return self.state()

    def state(self) -> dict[str, Any]:
        """Return the true state of the plant, as plain JSON data."""
        return take_snapshot(self)

    def restart_coprocessor(self, cause: ResetCause) -> None:
        """Reset it; its boot count is kept in its EEPROM."""
        self.coprocessor.reset(cause, self.now_s)
        self.save()

    # --- memory --------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write down what would be left after a power cut, now."""
        self._saved = self._noticeable()
        boot_count = self.coprocessor.boot_count
        self.memory = dataclasses.replace(self.memory, plant=self.plant.memory(), boot_count=boot_count)
        self._persistence.save(self.memory)

    def _remember(self) -> None:
        """Save before anybody can read a register value that would be lost in a power cut.

        A register shows whole Wh, so this is at most a few small writes a second.
        """
        if self._noticeable() != self._saved:
            self.save()

    def _noticeable(self) -> tuple[object, ...]:
        """What somebody could notice if it went back."""
        plant = self.plant
        return (
            *((int(at.energy_wh), at.contactor.closings) for at in plant.connectors.values()),
            int(plant.grid_import_wh),
            int(plant.grid_export_wh),
            self.coprocessor.boot_count,
        )
