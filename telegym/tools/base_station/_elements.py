"""Elements by id: what they are, where they stand, what they contain."""

from __future__ import annotations

from telegym.envs.base_station import dependencies
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.objects import (
    AntennaLine,
    Board,
    Breaker,
    Cabinet,
    Cell,
    ClockUnit,
    CorePeer,
    FronthaulLink,
    Node,
    Port,
    PowerSystem,
    RadioUnit,
    Record,
    RetUnit,
    Router,
    Site,
    TransportLink,
)
from telegym.tools.base_station._errors import Code, not_found, refusal

__all__ = [
    "REGION",
    "TYPES",
    "breaker",
    "cells_in",
    "element",
    "kind_name",
    "nodes_in",
    "port",
    "reachable_node",
    "records_at",
    "site_id_of",
    "sites_in",
]

REGION = "region"
"""The scope that covers everything."""

TYPES: dict[type[Record], str] = {
    Site: "site",
    Node: "node",
    Board: "board",
    RadioUnit: "radio_unit",
    Cell: "cell",
    AntennaLine: "antenna",
    RetUnit: "antenna",
    TransportLink: "transport_link",
    Router: "router",
    PowerSystem: "power_system",
    ClockUnit: "clock_unit",
    Cabinet: "cabinet",
    FronthaulLink: "fronthaul_link",
    CorePeer: "core_node",
}
"""What kinds of elements are called; other records are no elements of the inventory."""


def kind_name(record: Record) -> str:
    """Return what an element is called."""
    return TYPES[type(record)]


def element(network: Network, name: str) -> Record:
    """Return any element of the inventory.

    Raises:
        ToolError: If there is none of this id.
    """
    record = network.objects.get(name)
    if record is not None and type(record) in TYPES:
        return record
    if "-P" in name and (found := _port_owner(network, name)) is not None:
        return found
    power = network.objects.get(name[:7])
    if isinstance(power, PowerSystem) and any(item.id == name for item in power.breakers):
        return power
    raise not_found("element", name, _ids(network))


def _ids(network: Network) -> list[str]:
    return [name for name, record in network.objects.items() if type(record) in TYPES]


def _port_owner(network: Network, name: str) -> Router | None:
    router = network.objects.get(name.rpartition("-P")[0])
    if isinstance(router, Router) and any(item.id == name for item in router.ports):
        return router
    return None


def port(network: Network, name: str) -> tuple[Router, Port]:
    """Return a port and its router.

    Raises:
        ToolError: If there is no such port.
    """
    router = _port_owner(network, name)
    if router is None:
        known = [item.id for other in network.all(Router) for item in other.ports]
        raise not_found("port", name, known)
    return router, next(item for item in router.ports if item.id == name)


def breaker(network: Network, power: PowerSystem, name: str) -> Breaker:
    """Return a breaker of a power system; `Q1` is short for `PWR-012-Q1`.

    Raises:
        ToolError: If there is no such breaker.
    """
    for item in power.breakers:
        if name in (item.id, item.id.rpartition("-")[2]):
            return item
    raise not_found("breaker", name, [item.id for item in power.breakers])


def site_id_of(network: Network, record: Record) -> str | None:
    """Return where an element stands; None for what stands between or beyond sites."""
    if isinstance(record, Site):
        return record.id
    return network.index.site_of.get(record.id)


def sites_in(network: Network, scope: str) -> list[str]:
    """Return the ids of the sites a scope covers: the region, an element at a site, a link or router.

    Raises:
        ToolError: If there is no such scope.
    """
    if scope == REGION:
        return list(network.region.transport.paths)
    record = element(network, scope)
    site = site_id_of(network, record)
    if site is not None:
        return [site]
    return sites_behind(network, record)


def sites_behind(network: Network, record: Record) -> list[str]:
    """Return the sites whose present way to the core leads through a link or an aggregation router."""
    found = []
    for site in network.region.transport.paths:
        links = dependencies.path_links(network, site)
        ends = {end for name in links for end in _ends(network, name)}
        if record.id in links or record.id in ends:
            found.append(site)
    return found


def _ends(network: Network, link_id: str) -> tuple[str, str]:
    link = network.get(TransportLink, link_id)
    return link.a_id, link.b_id


def records_at(network: Network, site_id: str) -> list[Record]:
    """Return the elements that stand at a site, the site itself first."""
    return [network.objects[name] for name in network.index.at_site[site_id] if name in network.objects]


def cells_in(network: Network, scope: str) -> list[Cell]:
    """Return the cells a scope covers: the region, a site, node, board, radio unit or cell.

    Raises:
        ToolError: If there is no such scope.
    """
    if scope == REGION:
        return list(network.all(Cell))
    record = element(network, scope)
    if isinstance(record, Cell):
        return [record]
    site = site_id_of(network, record)
    if site is None:
        return [cell for name in sites_behind(network, record) for cell in network.at_site(Cell, name)]
    if isinstance(record, Node | Board | RadioUnit):
        return [network.get(Cell, name) for name in network.index.cells_of.get(record.id, ())]
    return network.at_site(Cell, site)


def nodes_in(network: Network, scope: str) -> list[Node]:
    """Return the nodes a scope covers.

    Raises:
        ToolError: If there is no such scope.
    """
    if scope == REGION:
        return list(network.all(Node))
    record = element(network, scope)
    if isinstance(record, Node):
        return [record]
    if isinstance(record, Cell | Board | RadioUnit):
        return [network.get(Node, record.node_id)]
    return [node for site in sites_in(network, scope) for node in network.at_site(Node, site)]


def reachable_node(network: Network, node_id: str) -> Node:
    """Return a node that answers its management system.

    Raises:
        ToolError: If there is no such node, or it does not answer.
    """
    node = network.get(Node, node_id)
    if not dependencies.oam_reachable(network, node.id):
        raise refusal(Code.ELEMENT_UNREACHABLE, f"{node.id} does not answer its management system")
    return node
