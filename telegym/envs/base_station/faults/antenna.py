"""Antenna lines."""

from __future__ import annotations

from telegym.envs.base_station.dependencies import DIALECT_VSWR
from telegym.envs.base_station.faults._fields import field_fault
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import uniform
from telegym.envs.base_station.objects import AntennaLine, Node, RadioUnit

__all__ = ["INTERMODULATION", "MISMATCH", "vswr_thresholds"]


def _with_unit(network: Network, element: str) -> tuple[str, ...]:
    unit = network.get(AntennaLine, element).ru_id
    return (element, unit, f"S{unit[3:]}")


def vswr_thresholds(network: Network, element: str) -> tuple[float, float]:
    """Return the ratios at which the unit of an antenna line raises a major and a critical alarm."""
    unit = network.get(RadioUnit, network.get(AntennaLine, element).ru_id)
    return DIALECT_VSWR[network.get(Node, unit.node_id).dialect]


def _poor_match(network: Network, element: str, seed: int) -> dict[str, float]:
    """Draw a ratio between the two thresholds of the unit's vendor."""
    major, critical = vswr_thresholds(network, element)
    return {
        "vswr": round(major + 0.08 + (critical - major - 0.16) * uniform(seed, "vswr", element), 2),
        "at_m": round(0.8 + 2.4 * uniform(seed, "place", element), 1),
    }


MISMATCH = field_fault(
    "vswr_connector_degradation",
    AntennaLine,
    _poor_match,
    lambda network, element, details: {
        "vswr": float(details["vswr"]),
        "fault_at_m": float(details["at_m"]),
        "rain_sensitive": True,
    },
    accepted=_with_unit,
)
"""Water in a connector."""
field_fault(
    "feeder_disconnected",
    AntennaLine,
    lambda network, element, seed: {"at_m": round(0.5 + uniform(seed, "place", element), 1)},
    lambda network, element, details: {"disconnected": True, "fault_at_m": float(details["at_m"])},
    accepted=_with_unit,
)
INTERMODULATION = field_fault(
    "passive_intermodulation",
    AntennaLine,
    lambda network, element, seed: {"level_dbm": round(-96.0 + 8.0 * uniform(seed, "level", element), 1)},
    lambda network, element, details: {"pim_dbm": float(details["level_dbm"])},
    accepted=_with_unit,
)
"""A loose or rusty joint."""
