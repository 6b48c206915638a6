"""Power of a site over time: mains, rectifiers, battery, disconnects, generator, breakers.

While a battery is charged or discharged its state of charge is a straight line; the moments when it runs low, sheds
loads, is empty or full are put on the agenda. A line is drawn anew whenever the balance of the site changes, and at
every full hour, since the load follows the traffic. A site with mains, sound rectifiers and a full battery needs no
events at all.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, NamedTuple

from telegym.core.errors import ToolError
from telegym.envs.base_station import dependencies as works
from telegym.envs.base_station.engine import HOUR_S, follows, handles, hour_of_week
from telegym.envs.base_station.objects import (
    BatteryString,
    BreakerState,
    Cell,
    Generator,
    GeneratorState,
    Node,
    PowerSystem,
    RadioUnit,
    Site,
)
from telegym.envs.base_station.physics.battery import (
    AAU_LOAD,
    BLVD_V,
    FLOAT_V,
    LLVD_V,
    NOMINAL_V,
    RRU_LOAD,
    bus_voltage_v,
    charge_rate_per_s,
    discharge_rate_per_s,
    fuel_l_per_h,
    radio_load_w,
    soc_at_voltage,
)
from telegym.envs.base_station.physics.traffic import demand_factor

if TYPE_CHECKING:
    from telegym.envs.base_station.network import Network

__all__ = [
    "BOOT_S",
    "LOW_V",
    "Battery",
    "autonomy_min",
    "battery",
    "battery_low",
    "bus_v",
    "fuel_pct",
    "load_w",
    "mains_live",
    "reclose_breaker",
    "rectifier_w",
    "state_of_charge",
    "supplied",
]

BOOT_S = 300
"""How long nodes take to start once they have power again."""
GENERATOR_START_S = 120
"""How long a generator takes to carry the load."""
TANK_L = 200.0
"""Size of a generator's tank in litres."""
START_V = 11.5
"""Voltage of the start battery below which a generator does not start."""
START_DROP_V = 0.4
"""What a failed start takes from the start battery."""
EMPTY_PCT = 5.0
"""Fuel below which a generator does not start or stops."""
LOW_FUEL_PCT = 15.0
"""Fuel that is reported as low."""
TRIP_S = 5
"""How long a breaker that is closed on a short circuit holds."""
RECLOSES = 2
"""Recloses that a breaker survives."""
RECTIFIER_EFFICIENCY = 0.95
"""Share of a module's rating that reaches the bus."""
LOW_V = 47.0
"""Bus voltage reported as low."""
BUSY_LOAD = 0.45
"""Utilisation of a radio unit in the busiest hour."""
BASEBAND_W = 350.0
"""Power draw of a baseband unit."""
ROUTER_W = 100.0
"""Power draw of a router."""
COOLING_W = (100.0, 600.0)
"""Power draw of fans, and of an air conditioner."""


class Battery(NamedTuple):
    """All strings of a site together."""

    capacity_ah: float
    """Rated capacity of the strings that are there."""
    soh: float
    """Hidden: their state of health together, 0-1."""
    assumed_soh: float
    """Their state of health as last tested, 1 where it never was."""
    kind: str
    """`VRLA` or `LI`."""


# --- the balance ----------------------------------------------------------------------------------------


def battery(power: PowerSystem) -> Battery | None:
    """Return the battery of a site; None if nothing is left of it."""
    strings = [string for string in power.strings if string.present]
    capacity = sum(string.capacity_ah for string in strings)
    if capacity <= 0:
        return None
    soh = sum(string.capacity_ah * string.soh for string in strings) / capacity
    tested = sum(string.capacity_ah * (1.0 if string.tested_soh is None else string.tested_soh) for string in strings)
    return Battery(capacity, max(soh, 0.01), tested / capacity, strings[0].kind)


def mains_live(power: PowerSystem) -> bool:
    """Return whether the mains reach the rectifiers."""
    return power.mains_ok and power.breakers[0].state is BreakerState.CLOSED


def supplied(power: PowerSystem) -> bool:
    """Return whether mains or a generator feed the rectifiers."""
    running = power.generator is not None and power.generator.state is GeneratorState.RUNNING
    return (mains_live(power) or running) and not power.under_test


def rectifier_w(power: PowerSystem) -> float:
    """Return what the sound rectifiers can give."""
    return sum(RECTIFIER_EFFICIENCY * module.power_w for module in power.rectifiers if not module.failed)


def load_w(network: Network, site_id: str, at_s: int | None = None) -> float:
    """Return the load of a site in the hour of a time, in watts; 0 when it is dark.

    The utilisation of radio units is that of the area's planned demand, so it needs no radio computation.
    """
    hour = hour_of_week(network.now if at_s is None else at_s)
    known: dict[int, float] = network.memo.setdefault(site_id, {}).setdefault("load_w", {})
    if hour not in known:
        known[hour] = _load_w(network, site_id, hour)
    return known[hour]


def _load_w(network: Network, site_id: str, hour: int) -> float:
    site = network.get(Site, site_id)
    power = network.get(PowerSystem, f"PWR-{site_id[1:]}")
    if power.dark:
        return 0.0
    busy = BUSY_LOAD * demand_factor(site.area_type, hour)
    units = sum(_unit_w(network, unit, busy) for unit in network.at_site(RadioUnit, site_id))
    nodes = sum(BASEBAND_W for node in network.at_site(Node, site_id) if works.node_powered(network, node.id))
    cooling = COOLING_W[network.index.air_conditioned[site_id]]
    return round(units + nodes + ROUTER_W + cooling, 6)


def _unit_w(network: Network, unit: RadioUnit, busy: float) -> float:
    if not works.radio_unit_powered(network, unit.id):
        return 0.0
    cells = [network.get(Cell, name) for name in network.index.cells_of[unit.id]]
    carried = [cell for cell in cells if works.on_air(network, cell.id) and not unit.muted]
    loads = [1.0 if cell.ocns_enabled else busy for cell in carried]
    return radio_load_w(AAU_LOAD if unit.max_power_dbm > 50 else RRU_LOAD, max(loads, default=0.0))


def state_of_charge(power: PowerSystem, at_s: int) -> float:
    """Return the state of charge at a time, 0-1 of what the battery really holds."""
    value = power.soc + power.soc_per_s * (at_s - power.soc_s)
    return round(min(max(value, 0.0), 1.0), 9)


def _drain_w(network: Network, power: PowerSystem) -> float:
    """Return what the battery has to give; negative if the rectifiers have power to spare."""
    return round(load_w(network, power.site_id) - (rectifier_w(power) if supplied(power) else 0.0), 6)


def _current(load: float, cells: Battery) -> float:
    """Return the discharge current of 100 Ah of battery, in amperes."""
    return load / NOMINAL_V * 100.0 / cells.capacity_ah


def bus_v(network: Network, power: PowerSystem) -> float:
    """Return the voltage of the direct-current bus."""
    cells = battery(power)
    if power.dark:
        return 0.0
    if power.soc_per_s >= 0 and supplied(power):
        return FLOAT_V
    if cells is None:
        return 0.0
    kind: BatteryString = next(string for string in power.strings if string.present)
    drawn = _current(max(_drain_w(network, power), 0.0), cells)
    return round(bus_voltage_v(state_of_charge(power, network.now), drawn, kind.kind), 2)


def battery_low(network: Network, power: PowerSystem) -> bool:
    """Return whether a battery that is being discharged is nearly empty."""
    if power.soc_per_s >= 0 or power.dark:
        return False
    return state_of_charge(power, network.now) <= _soc_at(LOW_V, _drain_w(network, power), power)


def autonomy_min(network: Network, power: PowerSystem) -> float:
    """Return for how long the battery would carry the present load, as the power controller believes."""
    cells, load = battery(power), load_w(network, power.site_id)
    if cells is None or load <= 0:
        return 0.0
    charge = state_of_charge(power, network.now)
    return round(-charge / discharge_rate_per_s(load, cells.capacity_ah, cells.assumed_soh) / 60.0, 1)


def fuel_pct(generator: Generator, at_s: int) -> float:
    """Return the fuel of a generator at a time, per cent of the tank."""
    if generator.fuel_pct_per_s == 0:
        return generator.fuel_pct
    return round(max(generator.fuel_pct + generator.fuel_pct_per_s * (at_s - generator.fuel_s), 0.0), 6)


# --- what follows ---------------------------------------------------------------------------------------


@follows(10)
def balance(network: Network, sites: list[str]) -> None:
    """Draw the line of each site's battery anew where its balance has changed."""
    for site_id in sites:
        power = network.get(PowerSystem, f"PWR-{site_id[1:]}")
        if power.id in network.altered or network.agenda.due_s("power.review", (site_id,)) is not None:
            _balance(network, power)


@handles("power.review")
def _review(network: Network, site_id: str) -> None:
    """A crossing was predicted for now, or a new hour has begun."""
    network.touch_site(site_id, stale=False)
    _balance(network, network.get(PowerSystem, f"PWR-{site_id[1:]}"))


def _balance(network: Network, power: PowerSystem) -> None:
    power = _run_generator(network, power)
    power = _disconnect(network, power)
    rate = _rate_per_s(network, power)
    charge = state_of_charge(power, network.now)
    if rate > 0 and charge >= 1.0:
        rate = 0.0
    if rate != power.soc_per_s:
        full = rate == 0.0 and charge >= 1.0
        power = network.update(power, soc=1.0 if full else charge, soc_s=0 if full else network.now, soc_per_s=rate)
    _predict(network, power)


def _rate_per_s(network: Network, power: PowerSystem) -> float:
    """Return the change of the state of charge, per second."""
    cells = battery(power)
    if cells is None or (power.dark and not supplied(power)):
        return 0.0
    drain = _drain_w(network, power)
    if drain > 0:
        return round(discharge_rate_per_s(drain, cells.capacity_ah, cells.soh), 15)
    return 0.0 if power.charge_fault else round(charge_rate_per_s(-drain, cells.capacity_ah, cells.soh), 15)


def _disconnect(network: Network, power: PowerSystem) -> PowerSystem:
    """Shed loads, go dark, or come back, as the bus voltage says."""
    if power.dark:
        return _light(network, power) if supplied(power) and _can_carry(network, power, shed=True) else power
    drain = _drain_w(network, power)
    if drain <= 0:
        reconnect = power.low_load_shed and _can_carry(network, power)
        return network.update(power, low_load_shed=False) if reconnect else power
    if battery(power) is None:
        return _darken(network, power)
    charge = state_of_charge(power, network.now)
    if charge <= _soc_at(BLVD_V, drain, power):
        return _darken(network, power)
    if charge <= _soc_at(LLVD_V, drain, power) and not power.low_load_shed:
        return network.update(power, low_load_shed=True)
    return power


def _can_carry(network: Network, power: PowerSystem, *, shed: bool = False) -> bool:
    """Return whether the rectifiers carry all loads when they are idle, or with `shed` those of high priority."""
    units = [unit for unit in network.at_site(RadioUnit, power.site_id) if not (shed and unit.low_priority)]
    idle = sum((AAU_LOAD if unit.max_power_dbm > 50 else RRU_LOAD)[0] for unit in units)
    nodes = BASEBAND_W * len(network.at_site(Node, power.site_id))
    return rectifier_w(power) >= idle + nodes + ROUTER_W + COOLING_W[network.index.air_conditioned[power.site_id]]


def _soc_at(voltage: float, load: float, power: PowerSystem) -> float:
    cells = battery(power)
    if cells is None:
        return 1.0
    first = next(string for string in power.strings if string.present)
    return round(soc_at_voltage(voltage, _current(load, cells), first.kind), 9)


def _darken(network: Network, power: PowerSystem) -> PowerSystem:
    network.report("site_dark", power.site_id)
    charge = state_of_charge(power, network.now)
    return network.update(
        power, dark=True, dark_s=network.now, low_load_shed=False, soc=charge, soc_s=network.now, soc_per_s=0.0
    )


def _light(network: Network, power: PowerSystem) -> PowerSystem:
    """Power is back: nodes start."""
    power = network.update(power, dark=False, dark_s=None, low_load_shed=not _can_carry(network, power))
    network.report("site_powered", power.site_id)
    boot(network, power.site_id)
    return power


def boot(network: Network, site_id: str) -> None:
    """Let the nodes of a site start from cold."""
    for node in network.at_site(Node, site_id):
        network.update(node, restart_until_s=network.now + BOOT_S)
        network.schedule(network.now + BOOT_S, "power.booted", node.id)


@handles("power.booted")
def _booted(network: Network, node_id: str) -> None:
    node = network.get(Node, node_id)
    if node.restart_until_s is not None and node.restart_until_s <= network.now:
        network.update(node, restart_until_s=None, booted_s=network.now)


def _predict(network: Network, power: PowerSystem) -> None:
    """Put the next moment at which something changes on the agenda."""
    moments = [_crossing_s(network, power), _fuel_crossing_s(network, power)]
    marginal = supplied(power) and (power.low_load_shed or any(module.failed for module in power.rectifiers))
    if marginal or power.soc_per_s != 0:
        moments.append((network.now // HOUR_S + 1) * HOUR_S)
    due = [moment for moment in moments if moment is not None]
    if due:
        network.schedule(min(due), "power.review", power.site_id)
    else:
        network.cancel("power.review", power.site_id)


def _crossing_s(network: Network, power: PowerSystem) -> int | None:
    """Return when the battery is full, low, or reaches the next disconnect."""
    rate = power.soc_per_s
    if rate == 0:
        return None
    if rate > 0:
        return _reached_s(power, 1.0)
    drain = _drain_w(network, power)
    levels = [_soc_at(voltage, drain, power) for voltage in (LOW_V, LLVD_V, BLVD_V)]
    charge = state_of_charge(power, network.now)
    below = [level for level in levels if level < charge]
    return _reached_s(power, max(below)) if below else None


def _reached_s(power: PowerSystem, level: float) -> int:
    """Return the first second at which the state of charge has reached a level."""
    return power.soc_s + math.ceil(round((level - power.soc) / power.soc_per_s, 6))


# --- generator and breakers -----------------------------------------------------------------------------


def _run_generator(network: Network, power: PowerSystem) -> PowerSystem:
    """End a start after its time; burn fuel while running."""
    generator = power.generator
    if generator is None:
        return power
    now, changed = network.now, generator
    if generator.state is GeneratorState.STARTING:
        if now >= generator.since_s + GENERATOR_START_S:
            fit = generator.start_battery_v >= START_V and fuel_pct(generator, now) > EMPTY_PCT
            state = GeneratorState.RUNNING if fit else GeneratorState.FAIL_START
            voltage = generator.start_battery_v - (0.0 if fit else START_DROP_V)
            changed = dataclasses.replace(generator, state=state, since_s=now, start_battery_v=round(voltage, 2))
            network.report("generator", power.id, state.value)
    elif generator.state is GeneratorState.RUNNING and fuel_pct(generator, now) <= EMPTY_PCT:
        changed = dataclasses.replace(generator, state=GeneratorState.OFF, since_s=now)
        network.report("generator", power.id, "OFF")
    rate = 0.0
    if changed.state is GeneratorState.RUNNING:
        load_kw = load_w(network, power.site_id) / 1e3
        rate = round(-100.0 * fuel_l_per_h(load_kw) / TANK_L / HOUR_S, 12)
    if rate != changed.fuel_pct_per_s:
        fuel = fuel_pct(changed, now)
        changed = dataclasses.replace(changed, fuel_pct=fuel, fuel_s=now if rate else 0, fuel_pct_per_s=rate)
    return network.update(power, generator=changed)


def _fuel_crossing_s(network: Network, power: PowerSystem) -> int | None:
    generator = power.generator
    if generator is None:
        return None
    if generator.state is GeneratorState.STARTING:
        return generator.since_s + GENERATOR_START_S
    if generator.fuel_pct_per_s == 0:
        return None
    left = fuel_pct(generator, network.now)
    level = LOW_FUEL_PCT if left > LOW_FUEL_PCT else EMPTY_PCT
    return generator.fuel_s + math.ceil(round((level - generator.fuel_pct) / generator.fuel_pct_per_s, 6))


def reclose_breaker(network: Network, breaker_id: str) -> BreakerState:
    """Close a breaker. On a short circuit it trips again after seconds, and the third time it is damaged.

    Returns:
        The state it is in now.

    Raises:
        ToolError: If there is no such breaker, or it is damaged.
    """
    _, breaker = network.breaker(breaker_id)
    if breaker.state is BreakerState.DAMAGED:
        raise ToolError(f"PRECONDITION_FAILED: {breaker_id} is damaged and cannot be closed")
    if breaker.state is BreakerState.CLOSED:
        raise ToolError(f"NO_CHANGE: {breaker_id} is closed")
    if breaker.shorted and breaker.recloses >= RECLOSES:
        network.set_breaker(breaker_id, state=BreakerState.DAMAGED, recloses=breaker.recloses + 1)
        return BreakerState.DAMAGED
    if breaker.shorted:
        network.set_breaker(breaker_id, state=BreakerState.CLOSED, recloses=breaker.recloses + 1)
        network.schedule(network.now + TRIP_S, "power.trip", breaker_id)
    else:
        network.set_breaker(breaker_id, state=BreakerState.CLOSED, recloses=0)
    if breaker_id.endswith("-B1") and not network.breaker(breaker_id)[0].dark:
        boot(network, network.breaker(breaker_id)[0].site_id)
    return BreakerState.CLOSED


@handles("power.trip")
def _trip(network: Network, breaker_id: str) -> None:
    _, breaker = network.breaker(breaker_id)
    if breaker.shorted and breaker.state is BreakerState.CLOSED:
        network.set_breaker(breaker_id, state=BreakerState.TRIPPED)
        network.report("breaker_tripped", breaker_id)
