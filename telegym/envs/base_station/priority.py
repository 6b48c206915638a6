"""How urgent a ticket is, from the state of the network: whole sites, single cells, worse service, nothing."""

from __future__ import annotations

from telegym.envs.base_station import dependencies as works
from telegym.envs.base_station import epochs
from telegym.envs.base_station.impact import lost_users
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.objects import Cell
from telegym.envs.base_station.policy.trace import Priority
from telegym.envs.base_station.process.records import Ticket

__all__ = ["MANY_SITES", "priorities"]

MANY_SITES = 3
"""Sites with cells out of service from which a trouble is as urgent as a whole site."""
NOTICED_USERS = 1.0
"""Users without their usual service from which customers notice something."""


def priorities(network: Network, ticket: Ticket) -> tuple[Priority, ...]:
    """Return the priorities that the state asks for: the right one first, then those that can be defended as well.

    P1: a whole site, or three sites with cells out. P2: a cell is out. P3: service is worse. P4: nobody notices.
    Whether worse service is critical is a matter of judgement, so P2 and P3 pass for it alike.

    Args:
        network: The network when the ticket was taken.
        ticket: The ticket.
    """
    out: dict[str, int] = {}
    for cell in network.all(Cell):
        if not works.in_service(network, cell.id) and not works.asleep(cell):
            out[cell.site_id] = out.get(cell.site_id, 0) + 1
    whole = [site for site, count in out.items() if count == len(network.at_site(Cell, site))]
    if whole or len(out) >= MANY_SITES:
        return ("P1",)
    if out:
        return ("P2",)
    lost = _lost(network)
    if _mute(network):
        return ("P2", "P3", "P1")
    if lost >= NOTICED_USERS:
        return ("P3", "P2")
    return ("P4", "P3") if lost <= 0 else ("P3", "P4", "P2")


def _lost(network: Network) -> float:
    network.settle()
    view, healthy = network.epochs[-1].view, epochs.healthy_view(network)
    return float(lost_users(network.region, view, healthy, network.hour_of_week).sum())


def _mute(network: Network) -> bool:
    """Return whether a cell serves nobody though it is in service."""
    network.settle()
    view = network.epochs[-1].view
    return any(
        state.cell.cell_barred
        or works.asleep(state.cell)
        or not state.access_ok
        or state.muted
        or not view.nodes[state.cell.node_id].user_plane
        for state in view.cells.values()
    )
