"""What there is, and what depends on what: `list_elements`, `get_element_info`, `get_topology`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from telegym.envs.base_station import dependencies, power_model
from telegym.envs.base_station.index import index_of
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.objects import (
    AntennaLine,
    Board,
    BoardKind,
    Cabinet,
    Cell,
    ClockSource,
    ClockUnit,
    CorePeer,
    FronthaulLink,
    Node,
    PowerSystem,
    RadioUnit,
    Record,
    RetUnit,
    Router,
    Site,
    TransportLink,
)
from telegym.envs.base_station.physics.spectrum import LAYERS
from telegym.envs.base_station.region import build_region
from telegym.tools.base_station import _elements as elements
from telegym.tools.base_station._errors import Code, refusal
from telegym.tools.base_station._format import Report, cell

__all__ = ["get_element_info", "get_topology", "list_elements"]


# --- list_elements ----------------------------------------------------------------------------------------


def list_elements(
    network: Network,
    report: Report,
    element_type: str = "any",
    parent_id: str | None = None,
    filter_text: str | None = None,
    limit: int = 40,
) -> Report:
    """Search the inventory."""
    if parent_id is None or parent_id == elements.REGION:
        candidates: Iterator[Record] = (item for item in network.objects.values() if type(item) in elements.TYPES)
    else:
        candidates = _below(network, elements.element(network, parent_id))
    needle = (filter_text or "").lower()
    found = [
        record
        for record in candidates
        if element_type in ("any", elements.kind_name(record)) and (not needle or needle in _words(record))
    ]
    report.fields(total=len(found))
    rows = [(item.id, elements.kind_name(item), parent_of(item), cell(_summary(item))) for item in found[:limit]]
    return report.table(("element_id", "type", "parent", "info"), rows, details=2, more=len(found) - len(rows))


def _below(network: Network, parent: Record) -> Iterator[Record]:
    """Yield what is part of an element, directly or through others, or behind a router or link."""
    site = elements.site_id_of(network, parent)
    if isinstance(parent, Router | TransportLink) and site is None:
        yield from (network.get(Site, name) for name in elements.sites_behind(network, parent))
        return
    if site is None:
        return
    region = network.region
    for name in _descendants(region.archetype, region.seed, site, parent.id):
        if name in network.objects:
            yield network.objects[name]


@lru_cache(maxsize=4096)
def _descendants(archetype: str, region_seed: int, site: str, parent: str) -> tuple[str, ...]:
    """Return the ids of what is part of an element at a site, directly or through others."""
    built = build_region(archetype, region_seed).records
    names = index_of(archetype, region_seed).at_site[site]
    ancestors = {name: parent_of(built[name]) for name in names}
    found = []
    for name in names:
        above = ancestors[name]
        while above != parent and above in ancestors:
            above = ancestors[above]
        if above == parent:
            found.append(name)
    return tuple(found)


_PARENTS: dict[type[Record], str] = {
    **dict.fromkeys((Cell, RadioUnit, Board), "node_id"),
    **dict.fromkeys((AntennaLine, FronthaulLink), "ru_id"),
    RetUnit: "cell_id",
    TransportLink: "a_id",
}
"""Fields with the id of the element that contains this one; of others it is the site."""


def parent_of(record: Record) -> str:
    """Return the id of the element that contains this one."""
    return getattr(record, _PARENTS.get(type(record), "site_id"), None) or elements.REGION


def _words(record: Record) -> str:
    parts = [record.id, *(str(getattr(record, name, "")) for name in ("name", "layer", "model", "part_type", "kind"))]
    if isinstance(record, Cell):
        parts += [record.rat, LAYERS[record.layer].band]
    return " ".join(parts).lower()


_SUMMARIES: dict[type[Record], Callable[[Any], str]] = {
    Site: lambda site: f"{site.name} {site.site_type}",
    **dict.fromkeys((Cell, RadioUnit), lambda item: f"{item.layer} sector {item.sector}"),
    Node: lambda node: f"{node.kind} {node.model}",
    Board: lambda board: f"slot {board.slot} {board.kind.value}",
    TransportLink: lambda link: f"{link.kind} {link.a_id}-{link.b_id}",
    AntennaLine: lambda line: f"branch {'ABCDEFGH'[line.branch]}",
    RetUnit: lambda unit: "remote electrical tilt",
    Router: lambda router: f"{router.kind} {len(router.ports)} ports",
}


def _summary(record: Record) -> str:
    summary = _SUMMARIES.get(type(record))
    return "" if summary is None else summary(record)


# --- get_element_info -------------------------------------------------------------------------------------


def get_element_info(network: Network, report: Report, element_id: str) -> Report:
    """Answer with the inventory record of an element."""
    record = elements.element(network, element_id)
    report.fields(element_id=element_id, type=elements.kind_name(record), parent=parent_of(record))
    describe: Callable[[Network, Report, Any], None] | None = _DESCRIPTIONS.get(type(record))
    if describe is not None:
        describe(network, report, record)
    return report


def _site(network: Network, report: Report, site: Site) -> None:
    cells = network.at_site(Cell, site.id)
    layers = sorted({item.layer for item in cells})
    report.fields(name=site.name, site_type=site.site_type, area=site.area_type, lat=site.lat, lon=site.lon)
    report.fields(vip=site.vip, emergency_area=site.emergency, access=site.access.value, travel_km=site.travel_km)
    report.details(utility_zone=site.utility_zone, tower_company=site.tower_company, test_phone=site.probe)
    report.details(design_autonomy_h=site.design_autonomy_h, x_m=round(site.x_m), y_m=round(site.y_m))
    report.fields(
        nodes=tuple(node.id for node in network.at_site(Node, site.id)),
        layers=tuple(layers),
        cells=len(cells),
        transport_paths=tuple(network.region.transport.paths[site.id]),
    )


def _cell(network: Network, report: Report, item: Cell) -> None:
    layer = LAYERS[item.layer]
    report.fields(site=item.site_id, node=item.node_id, ru=item.ru_id, board=item.board_id)
    report.fields(rat=item.rat, layer=item.layer, band=layer.band, duplex="TDD" if item.tdd else "FDD")
    report.fields(sector=item.sector, planned_azimuth_deg=item.azimuth_deg, antenna_height_m=item.height_m)
    report.details(
        gain_dbi=layer.gain_dbi,
        beam_width_deg=65,
        mechanical_tilt_deg=item.mechanical_tilt_deg,
        subcarrier_khz=layer.subcarrier_khz,
        resource_blocks=layer.prbs,
    )


def _node(network: Network, report: Report, node: Node) -> None:
    report.fields(site=node.site_id, kind=node.kind, vendor=node.dialect, model=node.model, router=node.router_id)
    boards = network.at_site(Board, node.site_id)
    report.fields(
        boards=tuple(board.id for board in boards if board.node_id == node.id),
        cells=sum(item.node_id == node.id for item in network.at_site(Cell, node.site_id)),
    )
    report.details(core=node.core_peers, cu=node.cu_id, software=node.software)


def _board(network: Network, report: Report, board: Board) -> None:
    report.fields(slot=board.slot, kind=board.kind, redundancy="none")
    if board.kind is BoardKind.BASEBAND:
        site = network.get(Node, board.node_id).site_id
        report.fields(cells=tuple(item.id for item in network.at_site(Cell, site) if item.board_id == board.id))


def _radio_unit(network: Network, report: Report, unit: RadioUnit) -> None:
    report.fields(site=unit.site_id, board=unit.board_id, layer=unit.layer, sector=unit.sector)
    report.fields(transceivers=unit.transceivers, max_power_dbm=unit.max_power_dbm, spare_part=unit.part_type)
    report.details(breaker=unit.breaker_id, shed_first=unit.low_priority, serial=f"SN{unit.serial:04d}")


def _power(network: Network, report: Report, power: PowerSystem) -> None:
    modules = power.rectifiers
    remote = sum(item.remote for item in power.breakers)
    report.fields(rectifiers=f"{len(modules)} x {modules[0].power_w:.0f} W", redundancy="N+1")
    report.fields(
        battery=power.strings[0].kind if power.strings else None,
        strings=len(power.strings),
        capacity_ah=sum(item.capacity_ah for item in power.strings),
    )
    generator = "fixed" if power.generator and not power.generator.mobile else "none"
    report.fields(
        generator=generator,
        mobile_generator_inlet=power.mobile_inlet,
        breakers=len(power.breakers),
        remote_breakers=remote,
    )


def _clock(network: Network, report: Report, clock: ClockUnit) -> None:
    report.fields(provisioned=tuple(source.value for source in clock.provisioned))
    report.fields(holdover_limit_h=clock.holdover_limit_h, second_reference=clock.monitored)


def _router(network: Network, report: Report, router: Router) -> None:
    report.fields(kind=router.kind, site=router.site_id)
    report.table(("port", "link"), [(port.id, port.link_id or "base station") for port in router.ports])


def _link(network: Network, report: Report, link: TransportLink) -> None:
    report.fields(kind=link.kind, a=link.a_id, b=link.b_id, role=link.role, provider=link.provider)
    report.fields(length_km=link.length_km, capacity_mbps=link.capacity_mbps, spare_members=link.spare_members)


def _fronthaul(network: Network, report: Report, link: FronthaulLink) -> None:
    report.fields(board=link.board_id, ru=link.ru_id, standard=link.standard, rate=link.rate)
    report.fields(sfp_type=link.sfp_type, length_km=link.length_km)


def _antenna_line(network: Network, report: Report, line: AntennaLine) -> None:
    report.fields(ru=line.ru_id, branch="ABCDEFGH"[line.branch], cable_loss_db=line.cable_loss_db)
    report.fields(commissioned_vswr=line.healthy_vswr)


def _cabinet(network: Network, report: Report, cabinet: Cabinet) -> None:
    report.fields(site=cabinet.site_id, cooling="air conditioner" if cabinet.has_air_conditioner else "fans")


def _core(network: Network, report: Report, peer: CorePeer) -> None:
    report.fields(kind=peer.kind)


_DESCRIPTIONS: dict[type[Record], Callable[[Network, Report, Any], None]] = {
    Site: _site,
    Cell: _cell,
    Node: _node,
    Board: _board,
    RadioUnit: _radio_unit,
    PowerSystem: _power,
    ClockUnit: _clock,
    Router: _router,
    TransportLink: _link,
    FronthaulLink: _fronthaul,
    AntennaLine: _antenna_line,
    Cabinet: _cabinet,
    CorePeer: _core,
}


# --- get_topology -----------------------------------------------------------------------------------------

Step = tuple[int, str, str, str]
"""Hops away, `up` or `down`, element, note."""
Walk = Callable[[Network, Record, int], Iterator[Step]]


def get_topology(
    network: Network, report: Report, element_id: str, layer: str, direction: str = "both", depth: int = 2
) -> Report:
    """Answer with what an element depends on, and what depends on it."""
    record = elements.element(network, element_id)
    steps = [
        step
        for step in _LAYERS[layer](network, record, depth)
        if step[0] <= depth and direction in ("both", {"up": "upstream", "down": "downstream"}[step[1]])
    ]
    report.fields(element=element_id, layer=layer, direction=direction, found=len(steps))
    rows = [(str(hop), way, name, _state(network, name), cell(note)) for hop, way, name, note in steps]
    return report.table(("hop", "direction", "element_id", "state", "note"), rows, details=1)


def _not_applicable(record: Record, layer: str) -> Exception:
    return refusal(Code.INVALID_ARGUMENT, f"{record.id} is a {elements.kind_name(record)}, outside the {layer} layer")


def _transport(network: Network, record: Record, depth: int) -> Iterator[Step]:
    site = elements.site_id_of(network, record)
    if isinstance(record, TransportLink) or (isinstance(record, Router) and site is None):
        yield from _beyond(network, record)
        behind = elements.sites_behind(network, record)
        for name in behind:
            yield 1, "down", name, f"{len(behind)} sites behind"
        return
    if site is None or isinstance(record, CorePeer):
        raise _not_applicable(record, "transport")
    router = f"CSR-{site[1:]}"
    if record.id != router:
        yield 1, "up", router, "site router"
    for role, links in network.region.transport.paths[site].items():
        active = role == network.get(Router, router).active_path
        yield from _along(network, router, links, f"{role}{' in use' if active else ''}")
    if record.id in (router, site):
        yield from ((1, "down", node.id, "node") for node in network.at_site(Node, site))
        yield from _dependants(network, router, site)


def _along(network: Network, router: str, links: tuple[str, ...], note: str) -> Iterator[Step]:
    """Yield links and routers on the way to the core; a link and its far end are one hop."""
    at = router
    for hop, name in enumerate(links, start=1):
        link = network.get(TransportLink, name)
        at = link.b_id if at == link.a_id else link.a_id
        yield hop, "up", name, note
        yield hop, "up", at, note


def _beyond(network: Network, record: Record) -> Iterator[Step]:
    """Yield what lies between a link and the core, on the way of a site that uses it."""
    if isinstance(record, Router):
        return
    for site in elements.sites_behind(network, record):
        links = dependencies.path_links(network, site)
        steps = list(_along(network, f"CSR-{site[1:]}", links, "towards the core"))
        place = next(index for index, step in enumerate(steps) if step[2] == record.id)
        start = steps[place][0]
        yield from ((hop - start + 1, way, name, note) for hop, way, name, note in steps[place + 1 :])
        return


def _dependants(network: Network, router: str, own: str) -> Iterator[Step]:
    record = network.get(Router, router)
    for site in elements.sites_behind(network, record):
        if site != own:
            yield 2, "down", site, "traffic passes through"


def _power_layer(network: Network, record: Record, depth: int) -> Iterator[Step]:
    site_id = elements.site_id_of(network, record)
    if site_id is None:
        raise _not_applicable(record, "power")
    site, power = network.get(Site, site_id), network.get(PowerSystem, f"PWR-{site_id[1:]}")
    if record.id != power.id:
        feed = next((item for item in power.breakers if record.id in item.feeds), None)
        yield 1, "up", power.id, f"breaker {feed.id} {feed.state.value}" if feed and feed.monitored else ""
    for other in network.all(Site):
        if other.utility_zone == site.utility_zone and other.id != site.id:
            yield 2, "up", other.id, f"same utility zone {site.utility_zone}"
    if isinstance(record, PowerSystem | Site):
        for item in power.breakers[1:]:
            note = f"breaker {item.id} {item.state.value if item.monitored else 'not monitored'}"
            yield from ((1 if isinstance(record, PowerSystem) else 2, "down", name, note) for name in item.feeds)


def _fronthaul_layer(network: Network, record: Record, depth: int) -> Iterator[Step]:
    site = elements.site_id_of(network, record)
    if site is None or isinstance(record, PowerSystem | ClockUnit | Cabinet | Router):
        raise _not_applicable(record, "fronthaul")
    for unit in network.at_site(RadioUnit, site):
        link, own = f"FH-{unit.id[3:]}", f"{site}-{unit.layer}-{unit.sector}"
        chain = [unit.node_id, unit.board_id, link, unit.id, own]
        if record.id == site:
            yield from ((hop, "down", name, "") for hop, name in enumerate(chain[2:], start=1))
        elif record.id in chain:
            place = chain.index(record.id)
            for other, name in enumerate(chain):
                if other != place and not (other < place and _seen_before(network, unit, record)):
                    yield abs(other - place), "up" if other < place else "down", name, ""


def _seen_before(network: Network, unit: RadioUnit, record: Record) -> bool:
    """Return whether what is above a board or node has been told with an earlier radio unit."""
    same = [item for item in network.at_site(RadioUnit, unit.site_id) if record.id in (item.board_id, item.node_id)]
    return bool(same) and same[0].id != unit.id


def _sync_layer(network: Network, record: Record, depth: int) -> Iterator[Step]:
    site = elements.site_id_of(network, record)
    if site is None or isinstance(record, PowerSystem | Cabinet | AntennaLine | FronthaulLink):
        if not isinstance(record, Router):
            raise _not_applicable(record, "sync")
        yield from _slaves(network, record)
        return
    clock = network.get(ClockUnit, f"CLK-{site[1:]}")
    start = 0 if record.id == clock.id else 1
    if start:
        yield 1, "up", clock.id, f"source {clock.source.value}"
    if clock.source in (ClockSource.PTP, ClockSource.SYNCE):
        links = dependencies.path_links(network, site)
        for hop, way, name, _ in _along(network, f"CSR-{site[1:]}", links, ""):
            if name.startswith(("CSR", "AGG")):
                yield hop + start, way, name, "boundary clock"
    if start == 0:
        yield from ((1, "down", node.id, "uses the clock") for node in network.at_site(Node, site))


def _slaves(network: Network, record: Record) -> Iterator[Step]:
    for site in elements.sites_behind(network, record):
        clock = network.get(ClockUnit, f"CLK-{site[1:]}")
        if clock.source in (ClockSource.PTP, ClockSource.SYNCE):
            yield 1, "down", clock.id, f"source {clock.source.value}"


def _radio_layer(network: Network, record: Record, depth: int) -> Iterator[Step]:
    """Yield the neighbours that handovers go to, the nearest first."""
    if not isinstance(record, Cell | Site):
        raise _not_applicable(record, "radio")
    own = elements.cells_in(network, record.id)
    names = {item.id for item in own}
    here = network.get(Site, elements.site_id_of(network, record) or "")
    found: dict[str, float] = {}
    for relation in network.relations.values():
        if relation.source_id in names and relation.target_id not in names:
            target = network.objects.get(relation.target_id)
            if isinstance(target, Cell):
                there = network.get(Site, target.site_id)
                found[target.id] = math.hypot(here.x_m - there.x_m, here.y_m - there.y_m)
    for name, distance in sorted(found.items(), key=lambda item: (item[1], item[0])):
        yield 1, "down", name, f"neighbour at {distance:.0f} m"


_LAYERS: dict[str, Walk] = {
    "transport": _transport,
    "power": _power_layer,
    "fronthaul": _fronthaul_layer,
    "sync": _sync_layer,
    "radio": _radio_layer,
}


def _state(network: Network, name: str) -> str:
    """Return an element's state as the management systems know it."""
    record = network.objects[name]
    state = _STATES.get(type(record))
    return "-" if state is None else state(network, record)


def _node_state(network: Network, node_id: str) -> str:
    return "ENABLED" if dependencies.oam_reachable(network, node_id) else "UNREACHABLE"


def _if_reachable(network: Network, node_id: str, works: bool) -> str:
    if not dependencies.oam_reachable(network, node_id):
        return "UNKNOWN"
    return "ENABLED" if works else "DISABLED"


def _site_state(network: Network, site: Site) -> str:
    nodes = network.at_site(Node, site.id)
    up = sum(dependencies.oam_reachable(network, node.id) for node in nodes)
    return "REACHABLE" if up == len(nodes) else "UNREACHABLE" if up == 0 else "PARTLY_REACHABLE"


def _power_state(network: Network, power: PowerSystem) -> str:
    if not dependencies.power_controller_reachable(network, power.site_id):
        return "UNREACHABLE"
    if power.dark:
        return "NO_POWER"
    return "ON_MAINS" if power_model.mains_live(power) else "ON_BATTERY"


_STATES: dict[type[Record], Callable[[Network, Any], str]] = {
    Cell: lambda network, item: _if_reachable(network, item.node_id, dependencies.cell_works(network, item.id)),
    RadioUnit: lambda network, item: _if_reachable(
        network, item.node_id, dependencies.radio_unit_works(network, item.id)
    ),
    Board: lambda network, item: _if_reachable(network, item.node_id, dependencies.board_works(network, item.id)),
    FronthaulLink: lambda network, item: _if_reachable(
        network, network.get(RadioUnit, item.ru_id).node_id, dependencies.fronthaul_synced(network, item.ru_id)
    ),
    Node: lambda network, item: _node_state(network, item.id),
    Site: _site_state,
    Router: lambda network, item: "ENABLED" if dependencies.router_reachable(network, item.id) else "UNREACHABLE",
    TransportLink: lambda network, item: "UP" if dependencies.link_up(network, item.id) else "DOWN",
    PowerSystem: _power_state,
    ClockUnit: lambda network, item: item.state.value,
}
