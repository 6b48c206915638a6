"""What works and what does not: operational states derived from records (ITU-T X.731, TS 28.625).

Every function asks a network about one object; answers are kept until something changes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import TypeVar

from telegym.envs.base_station.network import Network
from telegym.envs.base_station.objects import (
    AdministrativeState,
    AntennaLine,
    AvailabilityStatus,
    Board,
    BoardKind,
    BreakerState,
    Cabinet,
    Cell,
    CellState,
    ClockUnit,
    CorePeer,
    FronthaulLink,
    LicenceFeature,
    Node,
    PowerSystem,
    RadioUnit,
    Rat,
    Router,
    TransportLink,
)
from telegym.envs.base_station.physics.transport import misalignment_loss_db, modulation

__all__ = [
    "active_branches",
    "availability",
    "board_works",
    "capability",
    "cell_state",
    "cell_works",
    "control_plane_up",
    "fronthaul_rx_dbm",
    "fronthaul_synced",
    "in_service",
    "licence_valid",
    "link_capacity_mbps",
    "link_level_dbm",
    "link_up",
    "node_powered",
    "node_up",
    "oam_reachable",
    "path_links",
    "path_up",
    "radio_unit_powered",
    "radio_unit_works",
    "router_up",
    "transport_up",
]

_T = TypeVar("_T")
Question = Callable[[Network, str], _T]

DIALECT_VSWR = {"A": (1.8, 2.6), "B": (2.1, 3.1), "C": (1.5, 2.5)}
"""Standing wave ratios at which a vendor's units raise a major and a critical alarm; above the latter they stop."""


def remembered(question: Question[_T]) -> Question[_T]:
    """Keep the answers of a question until the network changes."""
    name = question.__name__

    @wraps(question)
    def answer(network: Network, element: str) -> _T:
        key = (name, element)
        if key not in network.memo:
            network.memo[key] = question(network, element)
        result: _T = network.memo[key]
        return result

    return answer


def _power(network: Network, site_id: str) -> PowerSystem:
    return network.get(PowerSystem, f"PWR-{site_id[1:]}")


def _closed(power: PowerSystem, breaker_id: str) -> bool:
    return all(breaker.state is BreakerState.CLOSED for breaker in power.breakers if breaker.id == breaker_id)


@remembered
def node_powered(network: Network, node_id: str) -> bool:
    """Return whether the baseband unit of a node has power."""
    power = _power(network, network.get(Node, node_id).site_id)
    return not power.dark and _closed(power, f"{power.id}-B1")


@remembered
def node_up(network: Network, node_id: str) -> bool:
    """Return whether a node's software runs."""
    node = network.get(Node, node_id)
    cabinet = network.get(Cabinet, f"CAB-{node.site_id[1:]}")
    main = network.get(Board, f"{node_id}-B1")
    sound = not (node.failed or main.failed or main.hang or cabinet.overheated)
    return sound and node.restart_until_s is None and main.restart_until_s is None and node_powered(network, node_id)


@remembered
def router_up(network: Network, router_id: str) -> bool:
    """Return whether a router forwards traffic."""
    router = network.get(Router, router_id)
    powered = router.site_id is None or not _power(network, router.site_id).dark
    return powered and not router.failed and not router.hang and router.restart_until_s is None


def _port_ok(router: Router, link_id: str | None) -> bool:
    ports = (port for port in router.ports if port.link_id == link_id)
    return all(not port.sfp_failed and not port.hung and port.restart_until_s is None for port in ports)


def link_level_dbm(link: TransportLink) -> float | None:
    """Return the received level of a microwave hop; None for other links."""
    if link.design_rsl_dbm is None:
        return None
    return round(link.design_rsl_dbm - link.fade_db - misalignment_loss_db(link.misaligned_deg), 6)


def link_capacity_mbps(link: TransportLink) -> float:
    """Return what a link can carry at present, if it is up."""
    level = link_level_dbm(link)
    if level is None:
        return link.capacity_mbps * link.members
    step = modulation(level)
    return link.capacity_mbps * (step.share if step else 0.0)


@remembered
def link_up(network: Network, link_id: str) -> bool:
    """Return whether a transport link carries traffic."""
    link = network.get(TransportLink, link_id)
    ends = [network.get(Router, link.a_id), network.get(Router, link.b_id)]
    works = not link.cut and link_capacity_mbps(link) > 0
    return works and all(router_up(network, end.id) and _port_ok(end, link_id) for end in ends)


def path_links(network: Network, site_id: str) -> tuple[str, ...]:
    """Return the links of the path that a site uses, from the site to the core."""
    router = network.get(Router, f"CSR-{site_id[1:]}")
    return network.region.transport.paths[site_id][router.active_path]


@remembered
def path_up(network: Network, site_id: str) -> bool:
    """Return whether a site's router reaches the core."""
    return router_up(network, f"CSR-{site_id[1:]}") and all(
        link_up(network, link) for link in path_links(network, site_id)
    )


@remembered
def transport_up(network: Network, site_id: str) -> bool:
    """Return whether the base stations of a site reach the core."""
    router = network.get(Router, f"CSR-{site_id[1:]}")
    return path_up(network, site_id) and _port_ok(router, None)


@remembered
def oam_reachable(network: Network, node_id: str) -> bool:
    """Return whether a node answers its management system."""
    node = network.get(Node, node_id)
    router = network.get(Router, node.router_id)
    same = node.oam_vlan_id == router.oam_vlan_id and node.next_hop == router.next_hop
    return same and node_up(network, node_id) and transport_up(network, node.site_id)


@remembered
def ipsec_up(network: Network, node_id: str) -> bool:
    """Return whether the security gateway accepts a node's certificate."""
    node = network.get(Node, node_id)
    return all(certificate.expires_s > network.now or certificate.auto_renew for certificate in node.certificates)


@remembered
def control_plane_up(network: Network, node_id: str) -> bool:
    """Return whether a node is associated with the core."""
    node = network.get(Node, node_id)
    router = network.get(Router, node.router_id)
    built = network.region.records[node_id]
    planned = isinstance(built, Node) and node.amf_ip == built.amf_ip
    same = node.vlan_id == router.vlan_id and node.next_hop == router.next_hop
    peers = any(network.get(CorePeer, peer).up for peer in node.core_peers)
    wired = planned and same and peers and transport_up(network, node.site_id)
    return wired and node_up(network, node_id) and ipsec_up(network, node_id)


@remembered
def board_works(network: Network, board_id: str) -> bool:
    """Return whether a board does its work."""
    board = network.get(Board, board_id)
    if not node_up(network, board.node_id) or board.administrative_state is AdministrativeState.LOCKED:
        return False
    return not board.failed and not board.hang and board.restart_until_s is None


@remembered
def radio_unit_powered(network: Network, ru_id: str) -> bool:
    """Return whether a radio unit has power."""
    unit = network.get(RadioUnit, ru_id)
    power = _power(network, unit.site_id)
    shed = unit.low_priority and (power.low_load_shed or power.saver)
    return not power.dark and not shed and _closed(power, unit.breaker_id)


def fronthaul_rx_dbm(network: Network, link: FronthaulLink, end: str = "near") -> float:
    """Return the light received at one end of a fronthaul link: `near` is the baseband unit; -40 dBm is darkness."""
    if end == "near":
        dark = link.far_sfp_failed or not radio_unit_powered(network, link.ru_id)
    else:
        dark = link.near_sfp_failed or not board_works(network, link.board_id)
    return (
        -40.0
        if dark
        else round(link.design_rx_dbm - (0.0 if link.flapping and not link.flap_down else link.extra_loss_db), 2)
    )


@remembered
def fronthaul_synced(network: Network, ru_id: str) -> bool:
    """Return whether a radio unit's fronthaul link is in synchronisation."""
    link = network.get(FronthaulLink, f"FH-{ru_id[3:]}")
    if link.near_sfp_failed or link.far_sfp_failed or link.under_test_until_s is not None:
        return False
    return all(fronthaul_rx_dbm(network, link, end) > link.loss_limit_dbm for end in ("near", "far"))


@remembered
def radio_unit_works(network: Network, ru_id: str) -> bool:
    """Return whether a radio unit can radiate."""
    unit = network.get(RadioUnit, ru_id)
    sound = not unit.failed and not unit.hang and unit.restart_until_s is None
    unlocked = unit.administrative_state is not AdministrativeState.LOCKED
    return sound and unlocked and radio_unit_powered(network, ru_id) and fronthaul_synced(network, ru_id)


def true_vswr(network: Network, line: AntennaLine) -> float:
    """Return the standing wave ratio of an antenna line at present."""
    return 12.0 if line.disconnected else (line.vswr or line.healthy_vswr)


@remembered
def active_branches(network: Network, ru_id: str) -> int:
    """Return how many transmit branches of a radio unit work."""
    unit = network.get(RadioUnit, ru_id)
    if not radio_unit_works(network, ru_id):
        return 0
    _, critical = DIALECT_VSWR[network.get(Node, unit.node_id).dialect]
    off = set(unit.failed_branches)
    for line in lines_of(network, unit):
        if true_vswr(network, line) >= critical:
            off.add(line.branch)
    return unit.branches - len(off)


def lines_of(network: Network, unit: RadioUnit) -> list[AntennaLine]:
    """Return the antenna lines of a radio unit; massive MIMO has none."""
    names = (f"ANT-{unit.id[3:]}-{letter}" for letter in "ABCDEFGH"[: unit.branches])
    return [line for name in names if isinstance(line := network.objects.get(name), AntennaLine)]


def licence_valid(network: Network, node_id: str, feature: LicenceFeature) -> bool:
    """Return whether a node may use a feature; features without a licence are free."""
    licences = [licence for licence in network.get(Node, node_id).licences if licence.feature is feature]
    return not licences or any(licence.expires_s > network.now for licence in licences)


@remembered
def clock_ok(network: Network, cell_id: str) -> bool:
    """Return whether a cell's clock is good enough: time-division cells need the right phase."""
    cell = network.get(Cell, cell_id)
    return not cell.tdd or not network.get(ClockUnit, f"CLK-{cell.site_id[1:]}").expired


@remembered
def cell_works(network: Network, cell_id: str) -> bool:
    """Return whether a cell is ENABLED: everything it depends on works."""
    cell = network.get(Cell, cell_id)
    return (
        cell.restart_until_s is None
        and board_works(network, cell.board_id)
        and active_branches(network, cell.ru_id) > 0
        and control_plane_up(network, cell.node_id)
        and licence_valid(network, cell.node_id, LicenceFeature.CARRIER)
        and clock_ok(network, cell_id)
    )


@remembered
def cell_state(network: Network, cell_id: str) -> CellState:
    """Return whether a cell is in use; a cell that sleeps to save energy is INACTIVE."""
    cell = network.get(Cell, cell_id)
    if not cell_works(network, cell_id):
        return CellState.IDLE
    stuck = cell.es_enabled and cell.es_wake_threshold_pct >= 100
    return CellState.INACTIVE if stuck else CellState.ACTIVE


@remembered
def in_service(network: Network, cell_id: str) -> bool:
    """Return whether a cell is UNLOCKED, ENABLED and active."""
    unlocked = network.get(Cell, cell_id).administrative_state is not AdministrativeState.LOCKED
    return unlocked and cell_state(network, cell_id) is CellState.ACTIVE


@remembered
def capability(network: Network, cell_id: str) -> float:
    """Return the share of a cell's capability that is left, 0-1: branches, heat, licences."""
    cell = network.get(Cell, cell_id)
    unit = network.get(RadioUnit, cell.ru_id)
    if not in_service(network, cell_id):
        return 0.0
    branches = active_branches(network, cell.ru_id) / unit.branches
    heat = 0.7 if network.get(Cabinet, f"CAB-{cell.site_id[1:]}").throttled else 1.0
    rank = 1.0 if licence_valid(network, cell.node_id, LicenceFeature.MIMO_4X4) else 0.5
    return round(math.pow(branches, 0.8) * heat * rank, 9)


def availability(network: Network, cell_id: str) -> tuple[AvailabilityStatus, ...]:
    """Return why a cell does not work, or not fully; empty if it does."""
    cell = network.get(Cell, cell_id)
    found: list[AvailabilityStatus] = []
    if not cell_works(network, cell_id):
        unpowered = not node_powered(network, cell.node_id) or not radio_unit_powered(network, cell.ru_id)
        restarting = cell.restart_until_s is not None
        found.append(
            AvailabilityStatus.POWER_OFF
            if unpowered
            else AvailabilityStatus.OFF_LINE
            if restarting
            else AvailabilityStatus.DEPENDENCY
        )
    elif capability(network, cell_id) < 1.0 and in_service(network, cell_id):
        found.append(AvailabilityStatus.DEGRADED)
    if cell.ocns_enabled:
        found.append(AvailabilityStatus.IN_TEST)
    return tuple(found)


def is_lte(cell: Cell) -> bool:
    """Return whether a cell is an LTE cell."""
    return cell.rat is Rat.LTE


def main_board(network: Network, node_id: str) -> Board:
    """Return the main board of a node."""
    return next(board for board in network.all(Board) if board.node_id == node_id and board.kind is BoardKind.MAIN)
