"""Transport."""

from __future__ import annotations

from telegym.envs.base_station.engine import MINUTE_S, handles
from telegym.envs.base_station.faults._fields import built, configuration_fault, field_fault, ids
from telegym.envs.base_station.faults._renewal import set_rain
from telegym.envs.base_station.faults._traffic import link_traffic_mbps
from telegym.envs.base_station.faults.registry import Fault, Parameters, register
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import choice, integer, uniform
from telegym.envs.base_station.objects import Node, Router, TransportLink
from telegym.envs.base_station.physics.transport import rain_attenuation_db_per_km
from telegym.envs.base_station.process.records import Notice

__all__ = ["CONGESTION"]


def _ends(network: Network, element: str) -> tuple[str, ...]:
    link = network.get(TransportLink, element)
    return (element, link.a_id, link.b_id)


# --- cut, rain, congestion ------------------------------------------------------------------------------

_cut = field_fault(
    "backhaul_fibre_cut",
    TransportLink,
    lambda network, element, seed: {"share": round(0.05 + 0.9 * uniform(seed, "cut", element), 3)},
    lambda network, element, details: {
        "cut": True,
        "cut_at_km": round(float(details["share"]) * network.get(TransportLink, element).length_km, 3),
    },
    test=lambda link: not link.kind.startswith("mw") and link.role == "primary",
    accepted=_ends,
)


def _frequency(link: TransportLink) -> float:
    return float(link.kind.partition("_")[2])


def _feels_rain(link: TransportLink) -> bool:
    return link.kind in ("mw_18", "mw_23") and link.length_km > 1.5


def _draw_rain(network: Network, element: str, seed: int) -> Parameters:
    return {
        "rate_mm_h": integer(25, 90, seed, "rain", element),
        "minutes": integer(20, 80, seed, "shower", element),
    }


def _rain(network: Network, element: str, details: Parameters) -> None:
    link = network.get(TransportLink, element)
    loss = rain_attenuation_db_per_km(float(details["rate_mm_h"]), _frequency(link)) * min(link.length_km, 7.0)
    network.update(link, fade_db=round(loss, 2))
    sites = [f"S{end[4:]}" for end in (link.a_id, link.b_id) if end.startswith("CSR")]
    end = network.now + int(details["minutes"]) * MINUTE_S
    for site in sites:
        set_rain(network, site, float(details["rate_mm_h"]))
    network.add(Notice(f"WEATHER-{element}", "weather", tuple(sites), network.now, end, "Heavy showers.", network.now))
    network.schedule(end, "rain_ends", element)


@handles("rain_ends")
def _dry(network: Network, element: str) -> None:
    link = network.get(TransportLink, element)
    network.update(link, fade_db=0.0)
    for end in (link.a_id, link.b_id):
        if end.startswith("CSR"):
            set_rain(network, f"S{end[4:]}", 0.0)


register(
    Fault(
        "microwave_rain_fade",
        lambda network: ids(
            network, TransportLink, lambda link: link.kind in ("mw_18", "mw_23") and link.length_km > 1.5
        ),
        _draw_rain,
        _rain,
        lambda network, element, details: network.get(TransportLink, element).fade_db > 0,
        lambda network, element, details: _dry(network, element),
        _ends,
        form="self_clearing",
    )
)


def _draw_growth(network: Network, element: str, seed: int) -> Parameters:
    """Draw how far above its capacity a link is asked to go in the busy hour: by half to by the whole of it."""
    link = network.get(TransportLink, element)
    load = link_traffic_mbps(network).get(element, 0.0) / (link.capacity_mbps * link.members)
    return {"growth": round((1.5 + 0.5 * uniform(seed, "growth", element)) / max(load, 1e-3), 2)}


def _moved(network: Network, details: Parameters) -> list[Router]:
    """Return the routers of sites that somebody moved to their secondary paths."""
    return [network.get(Router, f"CSR-{site[1:]}") for site in str(details.get("rerouted", "")).split()]


def _fill(network: Network, element: str, details: Parameters) -> None:
    network.update(network.get(TransportLink, element), growth=float(details["growth"]))
    for router in _moved(network, details):
        network.configure(router, "active_path", "secondary", "noc-transport", str(details.get("change", "")))


def _full(network: Network, element: str, details: Parameters) -> bool:
    """Return whether a link carries too much: what has grown, or what was moved to it and forgotten."""
    moved = _moved(network, details)
    if moved:
        return any(router.active_path == "secondary" for router in moved)
    return bool(network.get(TransportLink, element).growth != built(network, element, "growth"))


def _relieve(network: Network, element: str, details: Parameters) -> None:
    network.update(network.get(TransportLink, element), growth=float(built(network, element, "growth")))
    for router in _moved(network, details):
        network.update(router, active_path="primary")


CONGESTION = register(
    Fault(
        "transport_congestion",
        lambda network: ids(network, TransportLink, lambda link: link.role == "primary"),
        _draw_growth,
        _fill,
        _full,
        _relieve,
        _ends,
    )
)
"""A link whose traffic has outgrown it, or that carries what was moved to it and forgotten."""


# --- ports and addresses --------------------------------------------------------------------------------


def _ports(network: Network) -> list[str]:
    """Return the ports on whose failure a site is cut off: towards the base station, and towards the core."""
    found = []
    for site, ways in network.region.transport.paths.items():
        router = network.get(Router, f"CSR-{site[1:]}")
        found += [port.id for port in router.ports if port.link_id in (None, ways["primary"][0])]
    return found


def _optical(network: Network, element: str) -> bool:
    """Return whether a port has a module that can die: those to microwave radios are electrical."""
    _, port = network.port(element)
    return port.link_id is None or not network.get(TransportLink, port.link_id).kind.startswith("mw")


def _break_port(network: Network, element: str, details: Parameters) -> None:
    network.set_port(element, hung=bool(details["hung"]), sfp_failed=not details["hung"])


def _port_bad(network: Network, element: str) -> bool:
    _, port = network.port(element)
    return port.hung or port.sfp_failed


register(
    Fault(
        "csr_port_or_sfp_failure",
        _ports,
        lambda network, element, seed: {
            "hung": not _optical(network, element) or uniform(seed, "hang", element) < 0.35
        },
        _break_port,
        lambda network, element, details: _port_bad(network, element),
        lambda network, element, details: network.set_port(element, hung=False, sfp_failed=False),
        lambda network, element: (element, element.rpartition("-")[0]),
    )
)


def _draw_address(network: Network, element: str, seed: int) -> Parameters:
    parameter = choice(("vlan_id", "next_hop", "amf_ip", "oam_vlan_id"), seed, "parameter", element)
    return {"parameter": parameter, "digit": integer(1, 9, seed, "digit", element)}


def _wrong_address(network: Network, element: str, details: Parameters) -> dict[str, object]:
    name, digit = str(details["parameter"]), int(details["digit"])
    right = getattr(network.region.records[element], name)
    if isinstance(right, int):
        return {name: right + digit}
    head, _, last = right.rpartition(".")
    return {name: f"{head}.{(int(last) + digit) % 250 + 1}"}


configuration_fault("vlan_ip_misconfiguration", Node, _draw_address, _wrong_address, user="night-change")
