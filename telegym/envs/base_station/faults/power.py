"""Power and environment."""

from __future__ import annotations

from dataclasses import replace

from telegym.envs.base_station.engine import HOUR_S, MINUTE_S, handles
from telegym.envs.base_station.faults._fields import field_fault, ids
from telegym.envs.base_station.faults._renewal import set_warmth
from telegym.envs.base_station.faults.registry import Fault, Parameters, register
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import choice, integer, lognormal, uniform
from telegym.envs.base_station.objects import BreakerState, Cabinet, PowerSystem, Site
from telegym.envs.base_station.process.records import Notice, WorkOrder, WorkState

__all__ = ["BREAKER", "COOLING", "MAINS", "RECTIFIERS", "WEAK_BATTERY", "feeder"]


# --- utility_mains_outage -------------------------------------------------------------------------------


def feeder(network: Network, power_id: str) -> list[PowerSystem]:
    """Return the power systems on the same feeder."""
    zone = network.get(Site, f"S{power_id[4:]}").utility_zone
    return [p for p in network.all(PowerSystem) if network.get(Site, p.site_id).utility_zone == zone]


def _zone_names(network: Network, element: str) -> tuple[str, ...]:
    systems = feeder(network, element)
    zone = network.get(Site, systems[0].site_id).utility_zone
    return (zone, *(name for power in systems for name in (power.id, power.site_id)))


def _draw_outage(network: Network, element: str, seed: int) -> Parameters:
    minutes = min(max(lognormal(95.0, 0.9, seed, "outage", element), 25.0), 600.0)
    said = minutes * (0.8 + 0.4 * uniform(seed, "estimate", element))
    return {"minutes": round(minutes), "estimate_min": round(said)}


def _cut_mains(network: Network, element: str, details: Parameters) -> None:
    systems = feeder(network, element)
    for power in systems:
        network.update(power, mains_ok=False)
    end = network.now + int(details["minutes"]) * MINUTE_S
    network.schedule(end, "mains_return", element)
    zone = network.get(Site, systems[0].site_id).utility_zone
    network.add(
        Notice(
            id=f"UTIL-{zone}",
            kind="utility_outage",
            scope=(zone, *(power.site_id for power in systems)),
            start_s=network.now,
            end_s=network.now + int(details["estimate_min"]) * MINUTE_S,
            text=f"Feeder {zone} is without voltage.",
            published_s=network.now + 10 * MINUTE_S,
        )
    )


@handles("mains_return")
def _return_mains(network: Network, element: str) -> None:
    for power in feeder(network, element):
        network.update(power, mains_ok=True)


MAINS = register(
    Fault(
        "utility_mains_outage",
        lambda network: ids(network, PowerSystem),
        _draw_outage,
        _cut_mains,
        lambda network, element, details: any(not power.mains_ok for power in feeder(network, element)),
        lambda network, element, details: _return_mains(network, element),
        _zone_names,
        form="self_clearing",
    )
)
"""The utility's feeder is without voltage."""


# --- breakers -------------------------------------------------------------------------------------------


def _main_breakers(network: Network) -> list[str]:
    return [power.breakers[0].id for power in network.all(PowerSystem)]


def _feeds(network: Network) -> list[str]:
    return [breaker.id for power in network.all(PowerSystem) for breaker in power.breakers[2:]]


def _owner(network: Network, breaker_id: str) -> tuple[str, ...]:
    power, breaker = network.breaker(breaker_id)
    return (breaker_id, power.id, *(breaker.feeds if not breaker_id.endswith("Q1") else ()))


def _open(network: Network, breaker_id: str) -> bool:
    _, breaker = network.breaker(breaker_id)
    return breaker.state is not BreakerState.CLOSED or breaker.shorted


def _close(network: Network, element: str, details: Parameters) -> None:
    network.set_breaker(element, state=BreakerState.CLOSED, shorted=False, recloses=0)


def _trip(network: Network, element: str, details: Parameters) -> None:
    network.set_breaker(element, state=BreakerState.TRIPPED, shorted=bool(details["shorted"]))


BREAKER = register(
    Fault(
        "site_mains_breaker_trip",
        _main_breakers,
        lambda network, element, seed: {"shorted": uniform(seed, "short", element) < 0.4},
        _trip,
        lambda network, element, details: _open(network, element),
        _close,
        _owner,
    )
)
"""The main breaker of a site has tripped."""


def _leave_open(network: Network, element: str, details: Parameters) -> None:
    """Open a feed, as somebody did who worked there some hours ago."""
    power, _ = network.breaker(element)
    arrived = network.now - HOUR_S
    order = WorkOrder(
        id=f"WO-{int(details['order']):05}",
        ticket_id="INC-10001",
        visit_site_id=power.site_id,
        task="radio_hw",
        technician_id="TECH-02",
        created_s=arrived - 2 * HOUR_S,
        arrival_s=arrived,
        state=WorkState.DONE,
        left_s=network.now + 10 * MINUTE_S,
        note="Yearly inspection of the radio feeds.",
    )
    network.add(order)
    network.set_breaker(element, state=BreakerState.OPEN)


register(
    Fault(
        "dc_breaker_left_open",
        _feeds,
        lambda network, element, seed: {"order": integer(2, 9, seed, "order", element)},
        _leave_open,
        lambda network, element, details: _open(network, element),
        _close,
        _owner,
    )
)


# --- modules, strings, cooling --------------------------------------------------------------------------


def _with_dead_modules(network: Network, element: str, details: Parameters) -> dict[str, object]:
    power = network.region.records[element]
    modules = power.rectifiers if isinstance(power, PowerSystem) else ()
    count = int(details["count"])
    return {"rectifiers": tuple(replace(m, failed=index < count) for index, m in enumerate(modules))}


RECTIFIERS = field_fault(
    "rectifier_module_failure",
    PowerSystem,
    lambda network, element, seed: {"count": 1 + (uniform(seed, "modules", element) < 0.3)},
    _with_dead_modules,
    accepted=lambda network, element: (element, f"S{element[4:]}"),
)
"""One or two dead rectifiers."""


def _with_weak_strings(network: Network, element: str, details: Parameters) -> dict[str, object]:
    power = network.region.records[element]
    strings = power.strings if isinstance(power, PowerSystem) else ()
    return {"strings": tuple(replace(string, soh=float(details["soh"])) for string in strings)}


WEAK_BATTERY = field_fault(
    "battery_capacity_degraded",
    PowerSystem,
    lambda network, element, seed: {"soh": round(0.2 + 0.35 * uniform(seed, "health", element), 3)},
    _with_weak_strings,
    accepted=lambda network, element: (element, f"S{element[4:]}"),
)
"""Battery strings that hold less than they should."""


def _stop_cooling(network: Network, element: str, details: Parameters) -> None:
    site = network.get(Cabinet, element).site_id
    set_warmth(network, site, float(details["warmer_c"]))
    network.update(network.get(Cabinet, element), cooling_failed=True)


def _restart_cooling(network: Network, element: str, details: Parameters) -> None:
    cabinet = network.get(Cabinet, element)
    set_warmth(network, cabinet.site_id, 0.0)
    network.update(cabinet, cooling_failed=False)


COOLING = register(
    Fault(
        "cooling_system_failure",
        lambda network: ids(network, Cabinet),
        lambda network, element, seed: {"warmer_c": float(choice((6, 8, 10, 12), seed, "heat", element))},
        _stop_cooling,
        lambda network, element, details: network.get(Cabinet, element).cooling_failed,
        _restart_cooling,
        lambda network, element: (element, f"S{element[4:]}", f"PWR-{element[4:]}"),
    )
)
"""Dead air conditioner or fans, on a warm day."""
