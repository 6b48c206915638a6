"""What works and what does not: operational states derived from records (ITU-T X.731, TS 28.625).

Every function asks a network about one object. An answer follows from records alone and is kept until one of them
changes; what also depends on the time of day is worked out anew. An object is ENABLED when it has power, is sound, is
not restarting, and everything it depends on is ENABLED:

    power system > router > link > path > node > board > fronthaul > radio unit > cell
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, TypeVar

from telegym.envs.base_station.engine import HOUR_S, follows
from telegym.envs.base_station.objects import (
    AdministrativeState,
    AntennaLine,
    AvailabilityStatus,
    Board,
    Breaker,
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
    RetUnit,
    Router,
    TransportLink,
)
from telegym.envs.base_station.physics.antenna_line import mismatch_loss_db, wet_vswr
from telegym.envs.base_station.physics.holdover import PHASE_LIMIT_US
from telegym.envs.base_station.physics.transport import misalignment_loss_db, modulation
from telegym.envs.base_station.state import OPERATIONAL, NodeService, Path, Status, Weather

if TYPE_CHECKING:
    from telegym.envs.base_station.network import Network

__all__ = [
    "active_branches",
    "asleep",
    "availability",
    "board_works",
    "capability",
    "cell_state",
    "cell_status",
    "cell_works",
    "certificate_valid",
    "control_plane_up",
    "fronthaul_level_dbm",
    "fronthaul_rx_dbm",
    "fronthaul_synced",
    "in_service",
    "intermodulation_dbm",
    "ipsec_up",
    "licence_valid",
    "licensed_rank",
    "link_capacity_mbps",
    "link_level_dbm",
    "link_up",
    "node_powered",
    "node_up",
    "oam_reachable",
    "path",
    "path_links",
    "path_up",
    "power_controller_reachable",
    "power_offset_db",
    "radio_unit_powered",
    "radio_unit_works",
    "rain_mm_h",
    "router_reachable",
    "router_up",
    "service",
    "sound",
    "status",
    "transport_up",
    "true_vswr",
]

_T = TypeVar("_T")
Question = Callable[["Network", str], _T]

DIALECT_VSWR = {"A": (1.8, 2.6), "B": (2.1, 3.1), "C": (1.5, 2.5)}
"""Standing wave ratios at which a vendor's units raise a major and a critical alarm; above the latter they stop."""
BACKOFF_DB = -3.0
"""What a unit takes from its power above the first of them, or when it is too hot."""
DARK = -40.0
"""Level shown where there is no light, in dBm."""
MODEM_S = HOUR_S // 2
"""For how long a power controller's own battery lasts once the site is dark."""
THROTTLE = 0.7
"""Share of the capacity left by baseband units that are too hot."""
MTU = 1600
"""Smallest packet size that user traffic with its tunnel headers fits in."""
DRY_JOINT_DB = 14.0
"""How much less a rusty joint that only rain makes bad gives in dry weather."""
NEVER_PCT = 100
"""Load of the coverage layer at which a cell would wake that never does."""


def _keeping(table: str) -> Callable[[Question[_T]], Question[_T]]:
    """Return a decorator that keeps the answers of a question in a table of the network."""

    def keep(question: Question[_T]) -> Question[_T]:
        name = question.__name__

        @wraps(question)
        def answer(network: Network, element: str) -> _T:
            memo: dict[str, dict[str, _T]] = getattr(network, table)
            answers = memo.get(element)
            if answers is None:
                answers = memo[element] = {}
            elif name in answers:
                return answers[name]
            # A question may lead to others about the same element.
            result = answers[name] = question(network, element)
            return result

        return answer

    return keep


remembered = _keeping("memo")
"""Keeps answers until anything changes."""
remembered_longer = _keeping("reach")
"""Keeps answers that do not depend on radio units, antenna lines and cells, until anything else changes."""


# --- power ----------------------------------------------------------------------------------------------


def _power(network: Network, site_id: str) -> PowerSystem:
    return network.get(PowerSystem, f"PWR-{site_id[1:]}")


def _closed(power: PowerSystem, breaker_id: str) -> bool:
    for breaker in power.breakers:
        if breaker.id == breaker_id:
            return breaker.state is BreakerState.CLOSED
    return True


@remembered_longer
def node_powered(network: Network, node_id: str) -> bool:
    """Return whether the baseband unit of a node has power."""
    site_id = network.index.site_of.get(node_id)
    if site_id is None:
        return True
    power = _power(network, site_id)
    return not power.dark and _closed(power, f"{power.id}-B1")


@remembered
def radio_unit_powered(network: Network, ru_id: str) -> bool:
    """Return whether a radio unit has power."""
    unit = network.get(RadioUnit, ru_id)
    power = _power(network, unit.site_id)
    shed = unit.low_priority and (power.low_load_shed or power.saver)
    return not power.dark and not shed and _closed(power, unit.breaker_id)


def power_controller_reachable(network: Network, site_id: str) -> bool:
    """Return whether a site's power controller answers: by its own modem, until 30 minutes after the site went dark."""
    power = _power(network, site_id)
    return power.dark_s is None or not power.dark or network.now < power.dark_s + MODEM_S


# --- transport ------------------------------------------------------------------------------------------


@remembered_longer
def router_up(network: Network, router_id: str) -> bool:
    """Return whether a router forwards traffic."""
    router = network.get(Router, router_id)
    powered = router.site_id is None or not _power(network, router.site_id).dark
    return powered and not router.failed and not router.hang and router.restart_until_s is None


def _port_ok(router: Router, link_id: str | None) -> bool:
    for port in router.ports:
        if port.link_id == link_id and (port.sfp_failed or port.hung or port.restart_until_s is not None):
            return False
    return True


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


@remembered_longer
def link_up(network: Network, link_id: str) -> bool:
    """Return whether a transport link carries traffic."""
    link = network.get(TransportLink, link_id)
    if link.cut or link.under_test or (link.design_rsl_dbm is not None and link_capacity_mbps(link) <= 0):
        return False
    return all(
        router_up(network, name) and _port_ok(network.get(Router, name), link_id) for name in (link.a_id, link.b_id)
    )


def path_links(network: Network, site_id: str) -> tuple[str, ...]:
    """Return the links of the path that a site uses, from the site to the core.

    A site that reaches the core through one other site only, on both its paths, follows what that site uses.
    """
    ways = network.region.transport.paths[site_id]
    role = network.get(Router, f"CSR-{site_id[1:]}").active_path
    parent = network.index.parent_of.get(site_id)
    if role == "primary" and parent is not None:
        return (ways["primary"][0], *path_links(network, parent))
    return ways.get(role) or ways["primary"]


@remembered_longer
def path(network: Network, site_id: str) -> Path:
    """Return the way of a site's traffic to the core, and whether it works."""
    links = path_links(network, site_id)
    here = f"CSR-{site_id[1:]}"
    routers, broken = [here], None if router_up(network, here) else here
    for name in links:
        link = network.get(TransportLink, name)
        here = link.b_id if here == link.a_id else link.a_id
        routers.append(here)
        if broken is None and not link_up(network, name):
            broken = here if not router_up(network, here) else name
    records = [network.get(Router, name) for name in routers]
    shapers = [router.shaper_mbps for router in records if router.shaper_mbps > 0]
    return Path(
        up=broken is None,
        links=links,
        routers=tuple(routers),
        broken_at=broken,
        secondary=links != network.region.transport.paths[site_id]["primary"],
        mtu_ok=all(router.mtu >= MTU for router in records),
        dscp_ok=all(router.dscp_map == _built_router(network, router).dscp_map for router in records),
        asymmetry_us=sum(network.get(TransportLink, name).asymmetry_us for name in links),
        shaper_mbps=min(shapers, default=0.0),
    )


def _built_router(network: Network, router: Router) -> Router:
    built = network.region.records[router.id]
    return built if isinstance(built, Router) else router


def path_up(network: Network, site_id: str) -> bool:
    """Return whether a site's router reaches the core."""
    return path(network, site_id).up


@remembered_longer
def transport_up(network: Network, site_id: str) -> bool:
    """Return whether the base stations of a site reach the core."""
    return path(network, site_id).up and _port_ok(network.get(Router, f"CSR-{site_id[1:]}"), None)


@remembered_longer
def router_reachable(network: Network, router_id: str) -> bool:
    """Return whether a router answers its management system."""
    router = network.get(Router, router_id)
    return router_up(network, router_id) and (router.site_id is None or path(network, router.site_id).up)


# --- nodes ----------------------------------------------------------------------------------------------


@remembered_longer
def node_up(network: Network, node_id: str) -> bool:
    """Return whether a node's software runs."""
    node = network.get(Node, node_id)
    if node.failed or node.restart_until_s is not None or not node_powered(network, node_id):
        return False
    if node_id not in network.index.boards_of:
        return True
    main = network.get(Board, network.index.boards_of[node_id][0])
    cabinet = network.get(Cabinet, f"CAB-{node.site_id[1:]}")
    return not (main.failed or main.hang or main.restart_until_s is not None or cabinet.overheated)


def certificate_valid(network: Network, node_id: str) -> bool:
    """Return whether a node's certificates are valid; those that renew themselves always are."""
    node = network.get(Node, node_id)
    return all(certificate.expires_s > network.now or certificate.auto_renew for certificate in node.certificates)


@remembered_longer
def service(network: Network, node_id: str) -> NodeService:
    """Return what a node can reach."""
    node = network.get(Node, node_id)
    if node_id not in network.index.site_of:
        up = node_up(network, node_id)
        return NodeService(up, up, up, because=None if up else node_id)
    up, wired = node_up(network, node_id), transport_up(network, node.site_id)
    router = network.get(Router, node.router_id)
    built = network.region.records[node_id]
    addressed = isinstance(built, Node) and (node.amf_ip, node.next_hop) == (built.amf_ip, built.next_hop)
    routed = router.next_hop == _built_router(network, router).next_hop
    tunnel = wired and up and certificate_valid(network, node_id)
    same_vlan = node.vlan_id == router.vlan_id
    midhaul = _midhaul_up(network, node) and tunnel and same_vlan
    reach = tunnel and same_vlan and addressed and (node.cu_id is None or midhaul)
    down = tuple(peer for peer in node.core_peers if not reach or not network.get(CorePeer, peer).up)
    kind = "SGW" if node.kind == "eNB" else "UPF"
    gateways = (network.get(CorePeer, name) for name in network.index.of_kind[CorePeer])
    return NodeService(
        oam=up and wired and node.oam_vlan_id == router.oam_vlan_id,
        control=len(down) < len(node.core_peers),
        user_plane=reach and routed and any(item.up for item in gateways if item.kind == kind),
        tunnel=tunnel,
        midhaul=midhaul,
        core_down=down,
        because=None if len(down) < len(node.core_peers) else _blocker(network, node),
    )


def _midhaul_up(network: Network, node: Node) -> bool:
    return node.cu_id is None or node.cu_id not in network.objects or node_up(network, node.cu_id)


def _blocker(network: Network, node: Node) -> str:
    """Return what keeps a node from the core."""
    if not node_up(network, node.id):
        return node.id
    if not transport_up(network, node.site_id):
        return path(network, node.site_id).broken_at or node.router_id
    if not _midhaul_up(network, node):
        return node.cu_id or node.id
    return next((peer for peer in node.core_peers if not network.get(CorePeer, peer).up), node.id)


def oam_reachable(network: Network, node_id: str) -> bool:
    """Return whether a node answers its management system."""
    return service(network, node_id).oam


def ipsec_up(network: Network, node_id: str) -> bool:
    """Return whether a node's security association with the core is up."""
    return service(network, node_id).tunnel


def control_plane_up(network: Network, node_id: str) -> bool:
    """Return whether a node is associated with the core."""
    return service(network, node_id).control


@remembered_longer
def peers_down(network: Network, node_id: str) -> tuple[str, ...]:
    """Return the nodes whose X2 or Xn link with a node is down."""
    if not _addressable(network, node_id):
        return network.get(Node, node_id).peers
    return tuple(peer for peer in network.get(Node, node_id).peers if not _addressable(network, peer))


@remembered_longer
def _addressable(network: Network, node_id: str) -> bool:
    """Return whether other nodes can reach a node."""
    return ipsec_up(network, node_id)


@remembered
def board_works(network: Network, board_id: str) -> bool:
    """Return whether a board does its work."""
    board = network.get(Board, board_id)
    if board.failed or board.hang or board.restart_until_s is not None:
        return False
    return board.administrative_state is not AdministrativeState.LOCKED and node_up(network, board.node_id)


# --- fronthaul and radio --------------------------------------------------------------------------------


def fronthaul_level_dbm(link: FronthaulLink) -> float:
    """Return the light that arrives at an end of a fronthaul link while both modules and both ends work."""
    loss = 0.0 if link.flapping and not link.flap_down else link.extra_loss_db
    return max(round(link.design_rx_dbm - loss, 2), DARK)


def fronthaul_rx_dbm(network: Network, link: FronthaulLink, end: str = "near") -> float:
    """Return the light received at one end of a fronthaul link: `near` is the baseband unit; -40 dBm is darkness.

    A dead module neither sends nor receives.
    """
    dead = link.near_sfp_failed or link.far_sfp_failed
    if end == "near":
        dark = dead or not radio_unit_powered(network, link.ru_id)
    else:
        dark = dead or not board_works(network, link.board_id)
    return DARK if dark else fronthaul_level_dbm(link)


@remembered
def fronthaul_synced(network: Network, ru_id: str) -> bool:
    """Return whether a radio unit's fronthaul link is in synchronisation."""
    link = network.get(FronthaulLink, network.index.fronthaul_of[ru_id])
    if link.near_sfp_failed or link.far_sfp_failed or link.under_test_until_s is not None:
        return False
    lit = fronthaul_level_dbm(link) > link.loss_limit_dbm
    return lit and radio_unit_powered(network, ru_id) and board_works(network, link.board_id)


@remembered
def radio_unit_works(network: Network, ru_id: str) -> bool:
    """Return whether a radio unit can radiate."""
    unit = network.get(RadioUnit, ru_id)
    if unit.failed or unit.hang or unit.restart_until_s is not None:
        return False
    unlocked = unit.administrative_state is not AdministrativeState.LOCKED
    return unlocked and radio_unit_powered(network, ru_id) and fronthaul_synced(network, ru_id)


def rain_mm_h(network: Network, site_id: str) -> float:
    """Return the rain rate at a site."""
    weather = network.objects.get(f"WX-{site_id[1:]}")
    return weather.rain_mm_h if isinstance(weather, Weather) else 0.0


def true_vswr(network: Network, line: AntennaLine) -> float:
    """Return the standing wave ratio of an antenna line at present."""
    if line.disconnected:
        return 12.0
    dry = line.vswr or line.healthy_vswr
    if not line.rain_sensitive:
        return dry
    return round(wet_vswr(dry, min(rain_mm_h(network, network.index.site_of[line.id]) / 5.0, 1.0)), 3)


def intermodulation_dbm(network: Network, line: AntennaLine) -> float | None:
    """Return the intermodulation of an antenna line at full load, at present; None if there is none."""
    if line.pim_dbm is None or not line.pim_when_wet or rain_mm_h(network, network.index.site_of[line.id]) > 0:
        return line.pim_dbm
    return line.pim_dbm - DRY_JOINT_DB


def lines_of(network: Network, unit: RadioUnit) -> list[AntennaLine]:
    """Return the antenna lines of a radio unit; massive MIMO has none."""
    return [network.get(AntennaLine, name) for name in network.index.lines_of.get(unit.id, ())]


def _altered_lines(network: Network, ru_id: str) -> list[AntennaLine]:
    """Return the antenna lines of a radio unit that are not as built: the others are sound."""
    altered = network.altered
    names = network.index.lines_of.get(ru_id, ()) if altered else ()
    return [network.get(AntennaLine, name) for name in names if name in altered]


@remembered
def _branches_off(network: Network, ru_id: str) -> frozenset[int]:
    unit = network.get(RadioUnit, ru_id)
    off = set(unit.failed_branches)
    lines = _altered_lines(network, ru_id)
    if lines:
        _, critical = DIALECT_VSWR[network.get(Node, unit.node_id).dialect]
        off.update(line.branch for line in lines if true_vswr(network, line) >= critical)
    return frozenset(off)


@remembered
def active_branches(network: Network, ru_id: str) -> int:
    """Return how many transmit branches of a radio unit work."""
    if not radio_unit_works(network, ru_id):
        return 0
    return network.get(RadioUnit, ru_id).branches - len(_branches_off(network, ru_id))


@remembered
def power_offset_db(network: Network, ru_id: str) -> float:
    """Return what a radio unit lacks of its power: lost branches, mismatch, back-off, heat; 0 or less."""
    unit = network.get(RadioUnit, ru_id)
    off = _branches_off(network, ru_id)
    lines = {line.branch: line for line in _altered_lines(network, ru_id)}
    heat = BACKOFF_DB if unit.over_temperature else 0.0
    if not off and not lines:
        return heat
    major, _ = DIALECT_VSWR[network.get(Node, unit.node_id).dialect]
    total = 0.0
    for branch in range(unit.branches):
        if branch in off:
            continue
        line = lines.get(branch)
        ratio = true_vswr(network, line) if line else 1.0
        healthy = line.healthy_vswr if line else 1.0
        loss = mismatch_loss_db(ratio) - mismatch_loss_db(healthy) + (-BACKOFF_DB if ratio >= major else 0.0)
        total += 10 ** (-loss / 10)
    return round(heat + 10 * math.log10(max(total, 1e-9) / unit.branches), 6)


# --- cells ----------------------------------------------------------------------------------------------


def licence_valid(network: Network, node_id: str, feature: LicenceFeature) -> bool:
    """Return whether a node may use a feature; features without a licence are free."""
    free = True
    for licence in network.get(Node, node_id).licences:
        if licence.feature is feature:
            if licence.expires_s > network.now:
                return True
            free = False
    return free


def licensed_rank(network: Network, node_id: str) -> float:
    """Return which share of a user's layers licences permit."""
    return 1.0 if licence_valid(network, node_id, LicenceFeature.MIMO_4X4) else 0.5


@remembered
def clock_ok(network: Network, cell_id: str) -> bool:
    """Return whether a cell's clock is good enough: time-division cells need the right phase, as far as it is known."""
    cell = network.get(Cell, cell_id)
    if not cell.tdd:
        return True
    clock = network.get(ClockUnit, f"CLK-{cell.site_id[1:]}")
    return not clock.expired and not (clock.monitored and abs(clock.phase_us) > PHASE_LIMIT_US)


@remembered
def cell_works(network: Network, cell_id: str) -> bool:
    """Return whether a cell is ENABLED: everything it depends on works."""
    cell = network.get(Cell, cell_id)
    return (
        cell.restart_until_s is None
        and active_branches(network, cell.ru_id) > 0
        and board_works(network, cell.board_id)
        and control_plane_up(network, cell.node_id)
        and licence_valid(network, cell.node_id, LicenceFeature.CARRIER)
        and clock_ok(network, cell_id)
    )


def asleep(cell: Cell) -> bool:
    """Return whether a cell sleeps to save energy and cannot wake."""
    return cell.es_enabled and cell.es_wake_threshold_pct >= NEVER_PCT


def cell_state(network: Network, cell_id: str) -> CellState:
    """Return whether a cell is in use; a cell that sleeps to save energy is INACTIVE."""
    if not cell_works(network, cell_id):
        return CellState.IDLE
    return CellState.INACTIVE if asleep(network.get(Cell, cell_id)) else CellState.ACTIVE


def on_air(network: Network, cell_id: str) -> bool:
    """Return whether a cell is UNLOCKED (or still shutting down) and ENABLED."""
    locked = network.get(Cell, cell_id).administrative_state is AdministrativeState.LOCKED
    return not locked and cell_works(network, cell_id)


def in_service(network: Network, cell_id: str) -> bool:
    """Return whether a cell is UNLOCKED, ENABLED and active."""
    return on_air(network, cell_id) and not asleep(network.get(Cell, cell_id))


@remembered
def capability(network: Network, cell_id: str) -> float:
    """Return the share of a cell's capability that is left, 0-1: branches, heat, licences."""
    if not on_air(network, cell_id):
        return 0.0
    cell = network.get(Cell, cell_id)
    branches = active_branches(network, cell.ru_id) / network.get(RadioUnit, cell.ru_id).branches
    heat = THROTTLE if network.get(Cabinet, f"CAB-{cell.site_id[1:]}").throttled else 1.0
    return round(math.pow(branches, 0.8) * heat * licensed_rank(network, cell.node_id), 9)


@remembered
def cell_status(network: Network, cell_id: str) -> Status:
    """Return whether a cell is ENABLED, and if not, the first thing it waits for."""
    cell = network.get(Cell, cell_id)
    test = (AvailabilityStatus.IN_TEST,) if cell.ocns_enabled else ()
    if cell_works(network, cell_id):
        full = capability(network, cell_id) >= 1.0 and power_offset_db(network, cell.ru_id) > -0.5
        degraded = () if full or not on_air(network, cell_id) else (AvailabilityStatus.DEGRADED,)
        return Status(True, degraded + test) if degraded or test else OPERATIONAL
    if cell.restart_until_s is not None:
        return Status(False, (AvailabilityStatus.OFF_LINE, *test))
    unpowered = not node_powered(network, cell.node_id) or not radio_unit_powered(network, cell.ru_id)
    reason = AvailabilityStatus.POWER_OFF if unpowered else AvailabilityStatus.DEPENDENCY
    return Status(False, (reason, *test), _missing(network, cell))


def _missing(network: Network, cell: Cell) -> str:
    """Return the first thing a cell waits for."""
    if not node_up(network, cell.node_id):
        return cell.node_id
    if not board_works(network, cell.board_id):
        return cell.board_id
    if active_branches(network, cell.ru_id) == 0:
        return cell.ru_id
    if not control_plane_up(network, cell.node_id):
        return service(network, cell.node_id).because or cell.node_id
    return f"CLK-{cell.site_id[1:]}" if not clock_ok(network, cell.id) else cell.node_id


def availability(network: Network, cell_id: str) -> tuple[AvailabilityStatus, ...]:
    """Return why a cell does not work, or not fully; empty if it does."""
    return cell_status(network, cell_id).availability


def status(network: Network, element_id: str) -> Status:
    """Return the operational state of any object that has one; what has none is ENABLED."""
    record = network.objects.get(element_id)
    if isinstance(record, Cell):
        return cell_status(network, element_id)
    if isinstance(record, RadioUnit):
        return _unit_status(network, record)
    if isinstance(record, Board):
        own = record.failed or record.hang
        waits = None if node_up(network, record.node_id) else record.node_id
        return _status(not node_powered(network, record.node_id), own, record.restart_until_s is not None, waits)
    if isinstance(record, Node):
        main = network.get(Board, network.index.boards_of[element_id][0]) if record.kind != "CU" else None
        waits = None if node_up(network, element_id) or main is None else main.id
        return _status(not node_powered(network, element_id), record.failed, record.restart_until_s is not None, waits)
    if isinstance(record, Router):
        dark = record.site_id is not None and _power(network, record.site_id).dark
        return _status(dark, record.failed or record.hang, record.restart_until_s is not None, None)
    if isinstance(record, TransportLink):
        down = next((name for name in (record.a_id, record.b_id) if not router_up(network, name)), None)
        return _status(False, not link_up(network, element_id) and down is None, False, down)
    if isinstance(record, FronthaulLink):
        return _status(False, not fronthaul_synced(network, record.ru_id), False, None)
    if isinstance(record, PowerSystem):
        return _status(record.dark, False, False, None)
    return OPERATIONAL


def _unit_status(network: Network, unit: RadioUnit) -> Status:
    branches = unit.branches - active_branches(network, unit.id)
    link = None if fronthaul_synced(network, unit.id) else network.index.fronthaul_of[unit.id]
    own = unit.failed or unit.hang
    found = _status(not radio_unit_powered(network, unit.id), own, unit.restart_until_s is not None, link)
    if found.enabled and branches:
        return Status(True, (AvailabilityStatus.DEGRADED,))
    return found


def _status(unpowered: bool, failed: bool, restarting: bool, waits_for: str | None) -> Status:
    if unpowered:
        return Status(False, (AvailabilityStatus.POWER_OFF,))
    if failed:
        return Status(False, (AvailabilityStatus.FAILED,))
    if restarting:
        return Status(False, (AvailabilityStatus.OFF_LINE,))
    return OPERATIONAL if waits_for is None else Status(False, (AvailabilityStatus.DEPENDENCY,), waits_for)


# --- whole sites ---------------------------------------------------------------------------------------


@remembered
def _altered_sites(network: Network, _: str) -> dict[str, bool]:
    """Return the sites with an object that is not as built, and whether there are others than cells among them."""
    found: dict[str, bool] = {}
    for name in network.altered:
        record = network.objects.get(name) or network.relations.get(name)
        site = getattr(record, "site_id", None) or network.index.site_of.get(name.partition(">")[0], "")
        found[site] = found.get(site, False) or not (isinstance(record, (Cell, RetUnit)) or ">" in name)
    return found


@remembered
def sound(network: Network, site_id: str) -> bool:
    """Return whether nothing is wrong at a site or on its way to the core: all its cells work as built."""
    return site_id not in _altered_sites(network, "") and _well_connected(network, site_id)


@remembered
def sound_but_cells(network: Network, site_id: str) -> bool:
    """Return whether nothing but settings of cells is wrong at a site: all its other cells work as built."""
    return not _altered_sites(network, "").get(site_id, False) and _well_connected(network, site_id)


def _well_connected(network: Network, site_id: str) -> bool:
    if not transport_up(network, site_id):
        return False
    nodes = (service(network, name) for name in network.index.at_site_of_kind.get((Node, site_id), ()))
    return all(node.oam and node.user_plane and not node.core_down for node in nodes)


# --- what others depend on ------------------------------------------------------------------------------


def is_lte(cell: Cell) -> bool:
    """Return whether a cell is an LTE cell."""
    return cell.rat is Rat.LTE


def open_breakers(power: PowerSystem) -> list[Breaker]:
    """Return the breakers that are not closed."""
    return [breaker for breaker in power.breakers if breaker.state is not BreakerState.CLOSED]


@follows(0)
def spread(network: Network, sites: list[str]) -> None:
    """Find the sites beyond those that changed whose way to the core, or whose neighbours, have changed."""
    outlook = network.outlook
    wide = network.take_wide()
    for site_id in network.index.at_site if wide else sites:
        seen = path(network, site_id)
        if outlook.get(site_id) != seen:
            network.writable("outlook")[site_id] = seen
            outlook = network.outlook
            # Others may use this site's router on their way.
            network.touch_site(site_id, wide=not wide, stale=False)
    for site_id in network.index.at_site if wide else sites:
        for node in network.at_site(Node, site_id):
            reached = service(network, node.id)
            if outlook.get(node.id) != reached:
                network.writable("outlook")[node.id] = reached
                outlook = network.outlook
                network.touch_site(site_id, stale=False)
                for peer in node.peers:
                    network.touch_site(network.index.site_of[peer], stale=False)
