"""What the management system still knows of a node that it cannot reach: the network as it was just before.

When a node's management connection goes down, everything as it was before the change that took it down is kept, once
for all nodes that go down together, until the connection is back. Nothing is kept of nodes that answer, so their
readings cost what they always did; records are shared with the present as long as neither of them changes.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from telegym.envs.base_station import dependencies as works
from telegym.envs.base_station.engine import MINUTE_S, Agenda, follows
from telegym.envs.base_station.epochs import BEGINNING_S, healthy_view
from telegym.envs.base_station.index import index_of
from telegym.envs.base_station.memory import KEPT_REGIONS
from telegym.envs.base_station.objects import Node, Record, Relation
from telegym.envs.base_station.view import Epoch

if TYPE_CHECKING:
    from telegym.envs.base_station.network import Network

__all__ = ["age_min", "known_state"]


def known_state(network: Network, node_id: str) -> Network | None:
    """Return the network as a node last reported it: itself while the node answers; None if nothing was kept."""
    network.settle()
    if works.oam_reachable(network, node_id):
        return network
    return network.lost.get(node_id)


def age_min(network: Network, known: Network) -> int:
    """Return how many whole minutes ago a known state was the present."""
    return (network.now - known.now) // MINUTE_S


@follows(1)
def remember(network: Network, sites: list[str]) -> None:
    """Keep what is known of nodes that have just been lost, and forget it of those that are back."""
    names = [node.id for site_id in sites for node in network.at_site(Node, site_id)]
    before: Network | None = None
    for name in (*names, *_elsewhere(network.region.archetype, network.region.seed)):
        if works.oam_reachable(network, name):
            if name in network.lost:
                del network.writable("lost")[name]
        elif name not in network.lost:
            before = before or _as_before(network)
            network.writable("lost")[name] = before


@lru_cache(maxsize=KEPT_REGIONS)
def _elsewhere(archetype: str, region_seed: int) -> tuple[str, ...]:
    """Return the nodes that stand at no site: central units."""
    index = index_of(archetype, region_seed)
    return tuple(name for name in index.of_kind.get(Node, ()) if name not in index.site_of)


def _as_before(network: Network) -> Network:
    """Return a copy of the network without what has changed since it was last settled."""
    changed = network.unsettled
    objects = _undone(network.objects, {name: old for name, old in changed.items() if ">" not in name})
    relations = _undone(network.relations, {name: old for name, old in changed.items() if ">" in name})
    gone = [name for name, old in changed.items() if old is not None and not _built(network, name)]
    return network.copy_with(
        objects=objects,
        relations=relations,
        altered=_altered(network, changed),
        added=tuple(name for name in dict.fromkeys((*network.added, *gone)) if name in objects),
        # What is lost in the very first moment was healthy before.
        epochs=network.epochs or (Epoch(BEGINNING_S, healthy_view(network)),),
        agenda=Agenda(),
        journal=(),
        **{name: {} for name in ("conditions", "queued", "outlook", "lost", "memo", "reach", "reads")},
    )


def _undone(table: dict[str, Any], changed: dict[str, Record | None]) -> dict[str, Any]:
    """Return a copy of a table with records as they were; None stands for what was not there."""
    found = {**table, **changed}
    for name, old in changed.items():
        if old is None:
            del found[name]
    return found


def _built(network: Network, name: str) -> Record | Relation | None:
    return network.region.records.get(name) or network.region.relations.get(name)


def _altered(network: Network, changed: dict[str, Record | None]) -> frozenset[str]:
    """Return which ids were not as built, given what has changed since."""
    return (network.altered - set(changed)) | {
        name for name, old in changed.items() if old is not _built(network, name)
    }
