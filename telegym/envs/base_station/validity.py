"""Licences and certificates over time: the second at which one ends, or is about to, is put on the agenda."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telegym.envs.base_station.conditions import NOTICE_S
from telegym.envs.base_station.engine import follows, handles
from telegym.envs.base_station.objects import Node

if TYPE_CHECKING:
    from telegym.envs.base_station.network import Network

__all__ = ["turning_points_s"]


def turning_points_s(node: Node) -> list[int]:
    """Return when licences and certificates of a node end, or begin to be reported as ending."""
    ends = [licence.expires_s for licence in node.licences]
    ends += [certificate.expires_s for certificate in node.certificates if not certificate.auto_renew]
    return sorted({*ends, *(end - NOTICE_S for end in ends)})


@follows(40)
def plan(network: Network, sites: list[str]) -> None:
    """Plan the next moment at which something ends, for nodes that are not as built: the others' is far away."""
    for site_id in sites:
        for node in network.at_site(Node, site_id):
            if node.id in network.altered:
                following = [moment for moment in turning_points_s(node) if moment > network.now]
                if following:
                    network.schedule(following[0], "validity.review", node.id)
                    continue
            network.cancel("validity.review", node.id)


@handles("validity.review")
def _review(network: Network, node_id: str) -> None:
    site_id = network.index.site_of.get(node_id)
    if site_id is not None:
        network.touch_site(site_id)
