"""Readings: what counters and sensors show at this moment, computed from what holds now."""

from __future__ import annotations

from functools import lru_cache

from telegym.envs.base_station import dependencies, kpi, power_model, radio, thermal_model
from telegym.envs.base_station.engine import hour_of_day
from telegym.envs.base_station.memory import KEPT_REGIONS
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import normal
from telegym.envs.base_station.objects import AntennaLine, Cell, Node, PowerSystem, RadioUnit
from telegym.envs.base_station.physics.thermal import amplifier_temperature_c
from telegym.envs.base_station.physics.transport import LinkLoad
from telegym.envs.base_station.region import build_region
from telegym.envs.base_station.view import View

__all__ = [
    "amplifier_c",
    "battery_current_a",
    "branch_power_w",
    "branch_rx_dbm",
    "indicator_now",
    "jitter",
    "link_now",
    "load_now",
    "online_vswr",
    "processor_load_now",
    "row_of",
    "users_now",
    "view_now",
]


def view_now(network: Network) -> View:
    """Return what indicators depend on at this moment."""
    network.settle()
    view: View = network.epochs[-1].view
    return view


@lru_cache(maxsize=KEPT_REGIONS)
def _rows(archetype: str, seed: int) -> dict[str, tuple[str, int]]:
    """Return the layer and the row of every cell."""
    region = build_region(archetype, seed)
    return {name: (tag, row) for tag, names in region.cells_of.items() for row, name in enumerate(names)}


def row_of(network: Network, cell_id: str) -> tuple[str, int]:
    """Return a cell's layer and its row in the layer's arrays."""
    return _rows(network.region.archetype, network.region.seed)[cell_id]


def indicator_now(network: Network, cell_id: str, name: str) -> float:
    """Return the base value of an indicator at this moment, without scatter."""
    return kpi.value_now(network.region, view_now(network), cell_id, name, network.hour_of_week)


def users_now(network: Network, cell_id: str) -> float:
    """Return the connected users of a cell at this moment."""
    return kpi.users_now(network.region, view_now(network), cell_id, network.hour_of_week)


def processor_load_now(network: Network, cell_id: str) -> float:
    """Return the processor load that a cell causes or sees at this moment, in per cent."""
    return kpi.processor_load_now(network.region, view_now(network), cell_id, network.hour_of_week)


def load_now(network: Network, cell_id: str) -> float:
    """Return the share of resource blocks a cell uses, 0-1; 0 for a cell that does not radiate."""
    view = view_now(network)
    if not view.cells[cell_id].on_air:
        return 0.0
    tag, row = row_of(network, cell_id)
    return float(radio.layer_hour(network.region, view, tag, network.hour_of_week).solved.load[row])


def link_now(network: Network, link_id: str) -> LinkLoad:
    """Return how busy a transport link is."""
    return radio.hour(network.region, view_now(network), network.hour_of_week).links[link_id]


# --- sensors ----------------------------------------------------------------------------------------------


def battery_current_a(network: Network, power: PowerSystem) -> float:
    """Return the battery's current; negative while it discharges."""
    cells = power_model.battery(power)
    charge = power_model.state_of_charge(power, network.now)
    if cells is None or (power.soc_per_s > 0 and charge >= 1.0):
        return 0.0
    return power.soc_per_s * 3600.0 * cells.capacity_ah * cells.soh


def amplifier_c(network: Network, unit: RadioUnit) -> float:
    """Return the temperature of a radio unit's power amplifiers."""
    load = load_now(network, f"{unit.site_id}-{unit.layer}-{unit.sector}")
    blocked = 30.0 if unit.over_temperature else 0.0
    outside = thermal_model.outside_c(network, unit.site_id)
    return amplifier_temperature_c(outside, load, hour_of_day(network.now), blocked_c=blocked)


def jitter(network: Network, spread: float, *keys: str | int) -> float:
    """Return the scatter of a reading, the same for a quarter of an hour."""
    return spread * normal(network.seed, "reading", network.now // 900, *keys)


def branch_power_w(network: Network, unit: RadioUnit, cell: Cell, branch: int, line: AntennaLine | None) -> float:
    """Return what a transmit branch reports as its power."""
    if not dependencies.in_service(network, cell.id):
        return 0.0
    off = branch in unit.failed_branches
    share = 10 ** ((cell.max_tx_power_dbm - 30.0) / 10) / unit.branches
    if line is not None:
        major, critical = dependencies.DIALECT_VSWR[network.get(Node, unit.node_id).dialect]
        vswr = dependencies.true_vswr(network, line)
        off = off or vswr >= critical
        share *= 0.5 if vswr >= major else 1.0
    if off:
        return 0.0
    if unit.over_temperature:
        share *= 0.5
    if unit.muted:
        return share
    return share * (1.0 + jitter(network, 0.01, unit.id, branch))


def online_vswr(network: Network, line: AntennaLine) -> float:
    """Return the standing wave ratio as measured with traffic: coarse, a few per cent off."""
    true = dependencies.true_vswr(network, line)
    return max(true * (1.0 + jitter(network, 0.03, line.id)), 1.02)


def branch_rx_dbm(network: Network, unit: RadioUnit, cell: Cell, branch: int, line: AntennaLine | None) -> float:
    """Return the mean uplink power that a branch hears in a resource block."""
    tag, row = row_of(network, cell.id)
    layer = radio.layer_hour(network.region, view_now(network), tag, network.hour_of_week)
    excess = float(layer.branch_excess_db[row])
    worst = view_now(network).cells[cell.id].pim_branch
    level = float(layer.uplink_dbm[row]) - (0.0 if branch == worst else excess)
    if line is not None and line.disconnected:
        level -= 8.0
    return level + jitter(network, 0.4, unit.id, branch, "rx")
