"""Capacity: crowds, and the consequences of somebody else's outage."""

from __future__ import annotations

from telegym.envs.base_station.engine import MINUTE_S, handles
from telegym.envs.base_station.faults._fields import ids
from telegym.envs.base_station.faults.registry import Fault, Parameters, register
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import integer, uniform
from telegym.envs.base_station.objects import Board, Cell, Node, Site
from telegym.envs.base_station.process.records import Notice

__all__ = ["CROWD"]


def _crowd_cells(network: Network, site_id: str) -> list[Cell]:
    return network.at_site(Cell, site_id)


def _gather(network: Network, element: str, details: Parameters) -> None:
    for cell in _crowd_cells(network, element):
        network.update(cell, demand_factor=float(details["factor"]))
    end = network.now + int(details["minutes"]) * MINUTE_S
    place = network.get(Site, element).name
    text = f"Public event near {place}, several thousand visitors."
    network.add(Notice(f"EVENT-{element}", "event", (element,), network.now, end, text, -1))
    network.schedule(end, "event_ends", element)


@handles("event_ends")
def _disperse(network: Network, element: str) -> None:
    for cell in _crowd_cells(network, element):
        network.update(cell, demand_factor=1.0)


CROWD = register(
    Fault(
        "mass_event_congestion",
        lambda network: ids(network, Site),
        lambda network, element, seed: {
            "factor": round(2.5 + 4.5 * uniform(seed, "crowd", element), 2),
            "minutes": 60 * integer(3, 5, seed, "hours", element),
        },
        _gather,
        lambda network, element, details: any(c.demand_factor > 1.0 for c in _crowd_cells(network, element)),
        lambda network, element, details: _disperse(network, element),
        lambda network, element: (element, *(cell.id for cell in _crowd_cells(network, element))),
        form="self_clearing",
    )
)
"""Thousands of people in one place."""


def _main_boards(network: Network, site_id: str) -> list[Board]:
    return [network.get(Board, f"{node.id}-B1") for node in network.at_site(Node, site_id)]


def _fail_site(network: Network, element: str, details: Parameters) -> None:
    for board in _main_boards(network, element):
        network.update(board, failed=True)


def _revive_site(network: Network, element: str, details: Parameters) -> None:
    for board in _main_boards(network, element):
        network.update(board, failed=False)


register(
    Fault(
        "outage_spillover",
        lambda network: ids(network, Site),
        lambda network, element, seed: {},
        _fail_site,
        lambda network, element, details: any(board.failed for board in _main_boards(network, element)),
        _revive_site,
        lambda network, element: (element, *(node.id for node in network.at_site(Node, element))),
    )
)
