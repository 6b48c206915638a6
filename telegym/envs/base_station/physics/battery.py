"""Power of a site: load, discharge of a 48 V battery, low-voltage disconnects, generator fuel.

A site on battery draws constant power, so the state of charge falls along a straight line and crossings are known in
advance. Voltages are positive magnitudes of the -48 V bus.
"""

from __future__ import annotations

import math
from typing import Literal

__all__ = [
    "BLVD_V",
    "LLVD_V",
    "RECONNECT_V",
    "RadioLoad",
    "autonomy_h",
    "bus_voltage_v",
    "charge_rate_per_s",
    "discharge_rate_per_s",
    "fuel_l_per_h",
    "radio_load_w",
    "soc_at_voltage",
]

Kind = Literal["VRLA", "LI"]

NOMINAL_V = 48.0
"""Nominal voltage."""
EFFICIENCY = 0.92
"""Share of the charge that reaches the load."""
LLVD_V = 46.0
"""Low-load disconnect: loads of low priority are shed."""
BLVD_V = 43.2
"""Battery disconnect: 1.80 V a cell; the site goes dark."""
RECONNECT_V = 49.0
"""Shed loads come back."""
FLOAT_V = 54.0
"""Voltage while the rectifiers carry the load."""

RadioLoad = tuple[float, float]
"""Idle and full power draw in watts."""
RRU_LOAD: RadioLoad = (180.0, 420.0)
AAU_LOAD: RadioLoad = (420.0, 980.0)


def radio_load_w(load: RadioLoad, utilisation: float) -> float:
    """Return what a radio unit draws: linear in its utilisation, as in the EARTH model of macro stations."""
    idle, full = load
    return idle + (full - idle) * utilisation


def autonomy_h(load_kw: float, capacity_ah: float, soh: float = 1.0, depth: float = 0.8) -> float:
    """Return how long a battery carries a load, in hours.

    Args:
        load_kw: Constant load.
        capacity_ah: Rated capacity.
        soh: State of health, 0-1.
        depth: Depth of discharge, 0-1.
    """
    return depth * NOMINAL_V * capacity_ah * soh * EFFICIENCY / (1e3 * load_kw)


def discharge_rate_per_s(load_w: float, capacity_ah: float, soh: float = 1.0) -> float:
    """Return the change of the state of charge under a load; negative."""
    return -load_w / (NOMINAL_V * capacity_ah * soh * EFFICIENCY) / 3600.0


def charge_rate_per_s(spare_w: float, capacity_ah: float, soh: float = 1.0) -> float:
    """Return the change of the state of charge while charging: a tenth of the capacity an hour, if there is power."""
    current_a = min(0.1 * capacity_ah, max(spare_w, 0.0) / NOMINAL_V)
    return current_a / (capacity_ah * soh) / 3600.0


def bus_voltage_v(soc: float, current_a: float, kind: Kind) -> float:
    """Return the voltage of a battery under load.

    Args:
        soc: State of charge, 0-1.
        current_a: Discharge current of one string per 100 Ah scaled to the whole battery; positive.
        kind: Lead-acid falls steadily; lithium iron phosphate stays flat down to 8 per cent and then falls off.
    """
    soc = min(max(soc, 0.0), 1.0)
    if kind == "VRLA":
        return 51.2 - 6.0 * math.pow(1.0 - soc, 1.3) - 0.012 * current_a
    knee = 0.08
    if soc >= knee:
        return 50.5 + (soc - knee) / (1 - knee) - 0.004 * current_a
    return 50.5 - 8.0 * (knee - soc) / knee - 0.004 * current_a


def soc_at_voltage(voltage_v: float, current_a: float, kind: Kind) -> float:
    """Return the state of charge at which a battery under load falls to a voltage; 0 if it never does, 1 if at once."""
    if kind == "VRLA":
        drop = (51.2 - 0.012 * current_a - voltage_v) / 6.0
        return min(max(1.0 - math.pow(max(drop, 0.0), 1 / 1.3), 0.0), 1.0)
    top = 50.5 - 0.004 * current_a
    knee = 0.08
    if voltage_v >= top:
        return min(max(knee + (voltage_v - top) * (1 - knee), 0.0), 1.0)
    return min(max(knee * (1 - (top - voltage_v) / 8.0), 0.0), 1.0)


def fuel_l_per_h(load_kw: float) -> float:
    """Return a generator's consumption in litres per hour."""
    return 3.2 + 0.25 * load_kw
