"""The whole physical world behind one board, stepped by its owner."""

from evcharge_hal.boards.board import Board
from evcharge_hal.contract.units import PerPhase
from evcharge_hal.sim.plant.connector import Connector
from evcharge_hal.sim.plant.memory import ConnectorMemory, PlantMemory
from evcharge_hal.sim.plant.site import HouseLoad, HouseProfile, grid_voltage_v, to_charger, to_grid

MAX_STEP_S = 0.05
"""Longest step; every discrete change inside is stepped to exactly."""


class Plant:
    """Connectors, house and grid."""

    def __init__(self, board: Board, nominal_v: float, memory: PlantMemory) -> None:
        remembered = {entry.connector: entry for entry in memory.connectors}
        self.connectors = {
            section.id: Connector(section, remembered.get(section.id, ConnectorMemory(section.id)))
            for section in board.connector
        }
        self.nominal_v = nominal_v
        self.speed = 1.0
        """The batteries fill as if they were this many times smaller; nothing else is scaled."""
        self.house = HouseLoad()
        self.profile: HouseProfile | None = None
        """Wins over `house` while it is set."""
        self.grid_import_wh = memory.grid_import_wh
        self.grid_export_wh = memory.grid_export_wh
        self.elapsed_s = 0.0
        self._last_mean_a = PerPhase.uniform(0.0)
        self.voltage_v = grid_voltage_v(nominal_v, self._last_mean_a, 0.0)

    def memory(self) -> PlantMemory:
        """Return what a power cut would leave."""
        return PlantMemory(
            tuple(connector.memory() for connector in self.connectors.values()),
            self.grid_import_wh,
            self.grid_export_wh,
        )

    @property
    def load(self) -> HouseLoad:
        """What the house does now."""
        return self.house if self.profile is None else self.profile.at(self.elapsed_s)

    @property
    def grid_current_a(self) -> PerPhase:
        """Net current from the grid by phase; negative while exporting."""
        return self._net_a(is_mean=False)

    @property
    def grid_power_w(self) -> PerPhase:
        """Net power from the grid by phase; negative while exporting."""
        return _times(self.voltage_v, self.grid_current_a)

    def next_step_s(self) -> float:
        """Longest step that misses no discrete change."""
        soonest_s = min(connector.next_change_s() for connector in self.connectors.values())
        return min(MAX_STEP_S, soonest_s)

    def step(self, dt_s: float) -> None:
        """Let time pass, at most `next_step_s`."""
        self.elapsed_s += dt_s
        self.voltage_v = grid_voltage_v(self.nominal_v, self._last_mean_a, self.elapsed_s)
        for connector in self.connectors.values():
            connector.step(dt_s, to_charger(self.voltage_v, connector.section.rotation), self.speed)
        self._last_mean_a = self._net_a(is_mean=True)
        net_wh = _times(self.voltage_v, self._last_mean_a).total * dt_s / 3600.0
        # One register for the sum of the phases, as the meters of our list count.
        if net_wh >= 0.0:
            self.grid_import_wh += net_wh
        else:
            self.grid_export_wh -= net_wh

    def _net_a(self, *, is_mean: bool) -> PerPhase:
        load = self.load
        sun_a = load.pv_w / 3.0 / self.nominal_v
        net_a = load.load_a.map(lambda amps: amps - sun_a)
        for connector in self.connectors.values():
            if connector.is_idle:
                continue
            drawn_a = to_grid(connector.mean_current_a if is_mean else connector.current_a, connector.section.rotation)
            net_a = PerPhase(net_a.l1 + drawn_a.l1, net_a.l2 + drawn_a.l2, net_a.l3 + drawn_a.l3)
        return net_a


def _times(a: PerPhase, b: PerPhase) -> PerPhase:
    return PerPhase(a.l1 * b.l1, a.l2 * b.l2, a.l3 * b.l3)
