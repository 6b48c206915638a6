"""Epochs: when what indicators depend on has changed, and to what.

A view is put together from those parts that differ from the region as it was built, so that a fault at one site costs
no more than that site; when everything is repaired the view is the very one of the healthy region again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from functools import lru_cache
from operator import is_
from typing import TYPE_CHECKING, TypeVar

from telegym.envs.base_station import dependencies as works
from telegym.envs.base_station.clock_model import phase_error_us
from telegym.envs.base_station.engine import OBSERVERS, follows
from telegym.envs.base_station.memory import KEPT_REGIONS
from telegym.envs.base_station.objects import (
    AntennaLine,
    Cell,
    ClockUnit,
    Emitter,
    FronthaulLink,
    LicenceFeature,
    Node,
    RadioUnit,
    TransportLink,
)
from telegym.envs.base_station.view import CellView, Epoch, LinkView, NodeView, View

if TYPE_CHECKING:
    from telegym.envs.base_station.network import Network

__all__ = ["healthy_view", "open_epoch", "view_at"]

_Part = TypeVar("_Part", CellView, NodeView, LinkView)

_TRANSPORT = ("TL-", "CSR-", "AGG-", "PWR-")

BEGINNING_S = -(1 << 40)
"""When the first epoch of every network began."""
FLAP_ERRORS, CALM_ERRORS = 0.12, 0.04
"""Share of frames lost on a fronthaul link that comes and goes: while it is bad, and in between."""
WEAK_ERRORS = 0.06
"""Share of frames lost per dB that a fronthaul link is nearer than 2 dB to its limit."""


def view_at(network: Network, at_s: int) -> View:
    """Return the view of a time: what held at the beginning of that second, or became so in it."""
    network.settle()
    place = bisect_right(network.epochs, at_s, key=lambda epoch: epoch.start_s) - 1
    return network.epochs[max(place, 0)].view


def healthy_view(network: Network) -> View:
    """Return the view of the region as it was built: for one network always the very same."""
    if network.epochs:
        return network.epochs[0].view
    return _healthy(network.region.archetype, network.region.seed)


@lru_cache(maxsize=KEPT_REGIONS)
def _healthy(archetype: str, region_seed: int) -> View:
    from telegym.envs.base_station.network import Network

    network = Network(archetype, region_seed)
    return View(
        cells={cell.id: cell_view(network, cell) for cell in network.all(Cell)},
        nodes={node.id: node_view(network, node) for node in network.all(Node)},
        links={link.id: link_view(network, link) for link in network.all(TransportLink)},
        relations=network.region.relations,
        emitters={},
    )


@follows(OBSERVERS + 50)
def open_epoch(network: Network, sites: list[str]) -> None:
    """Begin an epoch if anything that indicators depend on has changed."""
    healthy = healthy_view(network)
    if not network.epochs:
        network.epochs = (Epoch(BEGINNING_S, healthy),)
    last = network.epochs[-1].view
    if last is healthy and not network.altered:
        return
    view = _next_view(network, last, healthy, sites)
    if view is last:
        return
    earlier = network.epochs[:-1] if network.epochs[-1].start_s == network.now else network.epochs
    if earlier and earlier[-1].view is view:
        network.epochs = earlier
    else:
        network.epochs = (*earlier, Epoch(network.now, view))


def _next_view(network: Network, last: View, healthy: View, sites: list[str]) -> View:
    cells, nodes, links = dict(last.cells), dict(last.nodes), dict(last.links)
    for site_id in sites:
        whole = works.sound_but_cells(network, site_id)
        for cell in network.at_site(Cell, site_id):
            if whole and cell.id not in network.altered:
                cells[cell.id] = healthy.cells[cell.id]
            else:
                cells[cell.id] = _same(cell_view(network, cell), last.cells[cell.id], healthy.cells[cell.id])
        for node in network.at_site(Node, site_id):
            nodes[node.id] = _same(node_view(network, node), last.nodes[node.id], healthy.nodes[node.id])
    if last.links is not healthy.links or any(name.startswith(_TRANSPORT) for name in network.altered):
        for link in network.all(TransportLink):
            links[link.id] = _same(link_view(network, link), last.links[link.id], healthy.links[link.id])
    built = network.region.relations
    relations = network.frozen("relations") if any(">" in name for name in network.altered) else built
    emitters = {item.id: item for item in network.all(Emitter) if not item.silent} if network.altered else {}
    for known in (last, healthy):
        if (
            (known.relations is relations or known.relations == relations)
            and known.emitters == emitters
            and _same_parts(cells, known.cells)
            and _same_parts(nodes, known.nodes)
            and _same_parts(links, known.links)
        ):
            return known
    return View(cells, nodes, links, last.relations if last.relations == relations else relations, emitters)


def _same_parts(new: Mapping[str, _Part], known: Mapping[str, _Part]) -> bool:
    """Return whether all parts are the very same objects; the names are the same, in the same order."""
    return all(map(is_, new.values(), known.values()))


def _same(new: _Part, last: _Part, healthy: _Part) -> _Part:
    """Return an object that is known already, if it is equal."""
    if new == healthy:
        return healthy
    return last if new == last else new


def cell_view(network: Network, cell: Cell) -> CellView:
    """Return what indicators depend on of a cell."""
    unit = network.get(RadioUnit, cell.ru_id)
    on_air = works.on_air(network, cell.id)
    clock = network.get(ClockUnit, f"CLK-{cell.site_id[1:]}")
    pim_dbm, branch = _intermodulation(network, cell.ru_id)
    return CellView(
        cell=cell,
        on_air=on_air,
        muted=unit.muted,
        access_ok=not cell.access_hung,
        power_offset_db=works.power_offset_db(network, cell.ru_id),
        branches=works.active_branches(network, cell.ru_id) / unit.branches,
        capability=works.capability(network, cell.id),
        qam256=works.licence_valid(network, cell.node_id, LicenceFeature.QAM256),
        pim_dbm=pim_dbm,
        pim_branch=branch,
        bit_errors=_bit_errors(network, cell.ru_id),
        phase_us=phase_error_us(network, clock) if on_air and cell.tdd else 0.0,
        frequency_ppm=0.0,
        tilt_deg=cell.electrical_tilt_deg,
        azimuth_deg=cell.azimuth_deg if cell.true_azimuth_deg is None else cell.true_azimuth_deg,
        rank=works.licensed_rank(network, cell.node_id),
    )


def _intermodulation(network: Network, ru_id: str) -> tuple[float | None, int]:
    names = network.index.lines_of.get(ru_id, ()) if network.altered else ()
    lines = [network.get(AntennaLine, name) for name in names if name in network.altered]
    found = [(works.intermodulation_dbm(network, line), line.branch) for line in lines]
    levels = [(level, branch) for level, branch in found if level is not None]
    return max(levels, default=(None, 0))


def _bit_errors(network: Network, ru_id: str) -> float:
    name = network.index.fronthaul_of[ru_id]
    if name not in network.altered or not works.fronthaul_synced(network, ru_id):
        return 0.0
    link = network.get(FronthaulLink, name)
    margin = works.fronthaul_level_dbm(link) - link.loss_limit_dbm
    weak = WEAK_ERRORS * max(2.0 - margin, 0.0)
    shaky = link.flapping and link.extra_loss_db > 0
    return round(max(weak, (FLAP_ERRORS if link.flap_down else CALM_ERRORS) if shaky else 0.0), 6)


def node_view(network: Network, node: Node) -> NodeView:
    """Return what indicators depend on of a node."""
    reached = works.service(network, node.id)
    split = len(node.core_peers)
    users = [item.capacity for item in node.licences if item.feature is LicenceFeature.CONNECTED_USERS]
    if node.id in network.index.site_of:
        way = works.path(network, node.site_id)
        links, mtu_ok, dscp_ok, shaper = way.links, way.mtu_ok, way.dscp_ok, way.shaper_mbps
    else:
        links, mtu_ok, dscp_ok, shaper = (), True, True, 0.0
    return NodeView(
        up=works.node_up(network, node.id),
        control=1.0 - len(reached.core_down) / split if split else 1.0,
        user_plane=reached.user_plane,
        peers_down=works.peers_down(network, node.id),
        links=links,
        mtu_ok=mtu_ok,
        dscp_ok=dscp_ok,
        shaper_mbps=shaper,
        cpu_extra_pct=node.cpu_extra_pct,
        users_limit=min(users, default=0),
        software=node.software,
    )


def link_view(network: Network, link: TransportLink) -> LinkView:
    """Return what indicators depend on of a link."""
    return LinkView(
        up=works.link_up(network, link.id),
        capacity_mbps=works.link_capacity_mbps(link),
        delay_ms=link.delay_ms,
        growth=link.growth,
        microwave=link.kind.startswith("mw"),
    )
