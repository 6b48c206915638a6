"""Traffic of sites and links in the busy hour, as the region was planned."""

from __future__ import annotations

from collections.abc import Container

from telegym.envs.base_station import epochs, radio
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.objects import Site

__all__ = ["BUSY_HOUR", "link_traffic_mbps", "site_traffic_mbps"]

BUSY_HOUR = 18
"""Hour of the week, on Monday, in which most areas are busy."""


def site_traffic_mbps(network: Network) -> dict[str, float]:
    """Return what the users of each site ask for in the busy hour, in Mbit/s."""
    layers = radio.hour(network.region, epochs.healthy_view(network), BUSY_HOUR).layers
    offered = dict.fromkeys((site.id for site in network.all(Site)), 0.0)
    for tag, layer in layers.items():
        for name, value in zip(network.region.cells_of[tag], layer.offered_mbps.tolist(), strict=True):
            offered[name.partition("-")[0]] += value
    return offered


def link_traffic_mbps(network: Network, rerouted: Container[str] = ()) -> dict[str, float]:
    """Return the traffic of each link in the busy hour, in Mbit/s.

    Args:
        network: The network.
        rerouted: Sites that use their secondary path; the others use their primary one.
    """
    traffic: dict[str, float] = {}
    for site, mbps in site_traffic_mbps(network).items():
        ways = network.region.transport.paths[site]
        for link in ways["secondary" if site in rerouted else "primary"]:
            traffic[link] = traffic.get(link, 0.0) + mbps
    return {link: round(mbps, 6) for link, mbps in traffic.items()}
