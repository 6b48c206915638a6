"""What operators' commands do to a network: at once, and in the minutes and hours after.

Nothing is checked here: whether a command is possible is the tools' question. Restarts end, drains finish, tests stop
and compensations are taken back by events.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from telegym.envs.base_station import clock_model, dependencies, power_model
from telegym.envs.base_station.conditions import NOTICE_S
from telegym.envs.base_station.engine import handles
from telegym.envs.base_station.licences import licence_pool
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import uniform
from telegym.envs.base_station.objects import (
    AdministrativeState,
    Board,
    BoardKind,
    Cell,
    ClockState,
    ClockUnit,
    FronthaulLink,
    GeneratorState,
    Node,
    Port,
    PowerSystem,
    RadioUnit,
    Record,
    Relation,
    RetUnit,
    Router,
    TransportLink,
)
from telegym.envs.base_station.parameters import Parameter

__all__ = [
    "AGENT",
    "CELL_RESTART_S",
    "DRAIN_S",
    "activate_licence",
    "calibrate_tilt",
    "change_software",
    "compensate",
    "configure",
    "remove_relation",
    "renew_certificate",
    "reroute",
    "restart_cell",
    "restart_node",
    "restart_port",
    "restart_router",
    "restart_unit",
    "roll_back",
    "set_administrative_state",
    "set_relation",
]

AGENT = "agent"
"""User name under which the agent's changes are logged."""
CELL_RESTART_S = 120
"""A cell's restart after a change of class S, and its start after an unlock."""
UNIT_RESTART_S = {"warm": 180, "power_cycle": 360}
"""Restart of a board or radio unit."""
ROUTER_RESTART_S = 480
"""Restart of a router or one of its ports' line card."""
NODE_RESTART_S = {"warm": 480, "cold": 840}
"""Restart of a node."""
SOFTWARE_S = {"upgrade": 1080, "rollback": 720}
"""For how long a node is down while its software is changed."""
DRAIN_S = 300
"""How long SHUTTINGDOWN lets users finish."""
ROLLBACK_S = 300
"""Restart of the cells that a rollback affects."""
TUNNEL_S = 180
"""How long a renewed certificate takes until the tunnel stands again."""
CERTIFICATE_LIFE_S = 2 * 365 * 86_400
"""Validity of a renewed certificate."""
COMPENSATION_DB, COMPENSATION_DEG = 1.5, 2.0
"""What a helping cell adds in power, and how far its tilt goes up."""
_CHECK_S = 300
_LATENT_FAULT_SHARE = 0.01


# --- restarts ---------------------------------------------------------------------------------------------


def restart_unit(network: Network, record: Board | RadioUnit, mode: str) -> int:
    """Restart a board or radio unit; return how many seconds it takes."""
    duration = UNIT_RESTART_S[mode]
    network.update(record, restart_until_s=network.now + duration)
    network.schedule(network.now + duration, "operation.unit_started", record.id, mode)
    return duration


@handles("operation.unit_started")
def _unit_started(network: Network, name: str, mode: str) -> None:
    record = network.objects[name]
    if isinstance(record, RadioUnit):
        cold = mode == "power_cycle"
        network.update(
            record,
            restart_until_s=None,
            hang=record.hang and record.hang_needs_power_cycle and not cold,
            muted=record.muted and not cold,
            failed_branches=tuple(item for item in record.failed_branches if item not in record.soft_branches),
            soft_branches=(),
        )
    elif isinstance(record, Board):
        network.update(record, restart_until_s=None, hang=False, memory_pct=_fresh_memory(network, record))
        _clear_access_hangs(network, record.id)


def _fresh_memory(network: Network, board: Board) -> float:
    built = network.region.records.get(board.id)
    return built.memory_pct if isinstance(built, Board) else board.memory_pct


def _clear_access_hangs(network: Network, owner: str) -> None:
    """End the hangs of cells whose processes ran on what has restarted."""
    site = _site(network, owner)
    for cell in network.at_site(Cell, site):
        if owner in (cell.board_id, cell.node_id) and cell.access_hung:
            network.update(cell, access_hung=False, access_hang_on_board=False)


def _site(network: Network, owner: str) -> str:
    record = network.objects[owner]
    node = network.get(Node, record.node_id) if isinstance(record, Board) else record
    return node.site_id if isinstance(node, Node) else ""


def restart_router(network: Network, router: Router) -> int:
    """Restart a router; return how many seconds it takes."""
    network.update(router, restart_until_s=network.now + ROUTER_RESTART_S)
    network.schedule(network.now + ROUTER_RESTART_S, "operation.router_started", router.id)
    return ROUTER_RESTART_S


@handles("operation.router_started")
def _router_started(network: Network, name: str) -> None:
    router = network.get(Router, name)
    ports = tuple(replace(port, hung=False) for port in router.ports)
    network.update(router, restart_until_s=None, hang=False, ports=ports)


def restart_port(network: Network, port: Port) -> int:
    """Restart a port of a router; return how many seconds it takes."""
    duration = UNIT_RESTART_S["warm"]
    network.set_port(port.id, restart_until_s=network.now + duration)
    network.schedule(network.now + duration, "operation.port_started", port.id)
    return duration


@handles("operation.port_started")
def _port_started(network: Network, port_id: str) -> None:
    network.set_port(port_id, restart_until_s=None, hung=False)


def restart_node(network: Network, node: Node, mode: str) -> int:
    """Restart a node; return how many seconds it takes. In holdover its clock loses what it has learnt."""
    duration = NODE_RESTART_S[mode]
    _take_down(network, node, duration, "operation.node_started", mode)
    return duration


def _take_down(network: Network, node: Node, duration: int, kind: str, *payload: str) -> None:
    network.update(node, restart_until_s=network.now + duration)
    clock = network.get(ClockUnit, f"CLK-{node.site_id[1:]}")
    if clock.state is ClockState.HOLDOVER:
        clock_model.lose_training(network, node.site_id)
    network.schedule(network.now + duration, kind, node.id, *payload)


@handles("operation.node_started")
def _node_started(network: Network, name: str, mode: str) -> None:
    node = network.get(Node, name)
    network.update(node, restart_until_s=None, booted_s=network.now)
    boards = [board for board in network.at_site(Board, node.site_id) if board.node_id == node.id]
    for board in boards:
        network.update(board, hang=False, memory_pct=_fresh_memory(network, board))
    _clear_access_hangs(network, node.id)
    baseband = [board for board in boards if board.kind is BoardKind.BASEBAND]
    if mode == "cold" and baseband and uniform(network.seed, "latent", node.id, network.now) < _LATENT_FAULT_SHARE:
        network.update(network.get(Board, baseband[0].id), failed=True)


def restart_cell(network: Network, cell: Cell, duration: int = CELL_RESTART_S) -> None:
    """Take a cell off the air for some minutes."""
    until = network.now + duration
    if cell.restart_until_s is None or cell.restart_until_s < until:
        network.update(network.get(Cell, cell.id), restart_until_s=until)
        network.schedule(until, "operation.cell_started", cell.id)


@handles("operation.cell_started")
def _cell_started(network: Network, name: str) -> None:
    cell = network.get(Cell, name)
    if cell.restart_until_s is not None and cell.restart_until_s <= network.now:
        network.update(cell, restart_until_s=None)


# --- administrative state ---------------------------------------------------------------------------------


def set_administrative_state(
    network: Network, record: Cell | Board | RadioUnit, state: AdministrativeState, change_id: str
) -> None:
    """Lock, drain or unlock a cell, board or radio unit."""
    network.configure(record, "administrative_state", state, AGENT, change_id)
    if state is AdministrativeState.SHUTTINGDOWN:
        network.schedule(network.now + DRAIN_S, "operation.drained", record.id)
        return
    if state is AdministrativeState.UNLOCKED:
        for cell in _cells_of(network, record):
            if cell.access_hung and not cell.access_hang_on_board and cell.id == record.id:
                cell = network.update(cell, access_hung=False)
            restart_cell(network, cell)


def _cells_of(network: Network, record: Cell | Board | RadioUnit) -> list[Cell]:
    if isinstance(record, Cell):
        return [network.get(Cell, record.id)]
    site = network.get(Node, record.node_id).site_id
    return [cell for cell in network.at_site(Cell, site) if record.id in (cell.board_id, cell.ru_id)]


@handles("operation.drained")
def _drained(network: Network, name: str) -> None:
    record = network.objects[name]
    if not isinstance(record, Cell | Board | RadioUnit):
        return
    if record.administrative_state is AdministrativeState.SHUTTINGDOWN:
        network.update(record, administrative_state=AdministrativeState.LOCKED)


# --- configuration ----------------------------------------------------------------------------------------


def configure(network: Network, record: Record, parameter: Parameter, value: Any, change_id: str) -> None:
    """Set a parameter; one of class S restarts the cell."""
    changed = network.configure(record, parameter.attribute, value, AGENT, change_id)
    if parameter.parameter_class == "S" and isinstance(changed, Cell):
        restart_cell(network, changed)


def roll_back(network: Network, record: Record, before: dict[tuple[str, str], Any], change_id: str) -> list[str]:
    """Return parameters of an element and its parts to earlier values; restart the cells that were changed.

    Args:
        network: The network.
        record: The element.
        before: Values by element and parameter.
        change_id: The change request.

    Returns:
        What was changed, as `element.parameter`.
    """
    done = []
    for (name, attribute), value in before.items():
        item = network.objects[name]
        if getattr(item, attribute) != value:
            network.configure(item, attribute, value, AGENT, change_id)
            done.append(f"{name}.{attribute}")
    cells = {name for (name, _) in before if isinstance(network.objects[name], Cell)}
    if isinstance(record, Node):
        cells |= {cell.id for cell in network.at_site(Cell, record.site_id) if cell.node_id == record.id}
    for name in sorted(cells):
        restart_cell(network, network.get(Cell, name), ROLLBACK_S)
    return done


def calibrate_tilt(network: Network, ret: RetUnit) -> bool:
    """Sweep a tilt motor; return whether it is sound now. Whether a jam comes loose is settled for each fault."""
    loose = uniform(network.seed, "tilt motor", ret.id) < 0.5
    network.update(ret, jammed=ret.jammed and not loose, uncalibrated=False)
    return not (ret.jammed and not loose)


def set_relation(network: Network, source: Cell, target: Cell, *, allowed: bool, change_id: str) -> Relation:
    """Add a neighbour relation or renew it; what the source knows about the target is read anew."""
    name = f"{source.id}>{target.id}"
    known = network.relations.get(name)
    if known is None:
        relation = network.add(Relation(name, source.id, target.id, allowed))
        network.log_change(name, "relation", "none", "added", AGENT, change_id)
        return relation
    relation = network.update(known, is_ho_allowed=allowed, ext_pci=None, ext_tac=None)
    network.log_change(name, "is_ho_allowed", known.is_ho_allowed, allowed, AGENT, change_id)
    return relation


def remove_relation(network: Network, relation: Relation, change_id: str) -> None:
    """Take a neighbour relation away."""
    network.remove(relation)
    network.log_change(relation.id, "relation", "present", "removed", AGENT, change_id)


def reroute(network: Network, routers: list[Router], path: str, change_id: str) -> None:
    """Move the traffic of sites to another path."""
    for router in routers:
        network.configure(router, "active_path", path, AGENT, change_id)


# --- software, licences, certificates ---------------------------------------------------------------------


def change_software(network: Network, node: Node, action: str, version: str) -> int:
    """Change a node's software; return how many seconds the node is down."""
    duration = SOFTWARE_S[action]
    _take_down(network, node, duration, "operation.software_changed", version)
    return duration


@handles("operation.software_changed")
def _software_changed(network: Network, name: str, version: str) -> None:
    node = network.get(Node, name)
    earlier = node.software
    node = network.configure(node, "software", version, AGENT)
    network.update(node, fallback_software=earlier)
    _node_started(network, name, "warm")


def activate_licence(network: Network, node: Node, licence_id: str) -> None:
    """Install a licence of the pool; it takes the place of one of its feature that has ended, or soon will."""
    licence = next(item for item in licence_pool(network) if item.id == licence_id)
    soon = network.now + NOTICE_S
    ended = [item for item in node.licences if item.feature is licence.feature and item.expires_s <= soon]
    kept = tuple(item for item in node.licences if item not in ended[:1])
    used = ended[0].used if ended else 0
    network.update(node, licences=(*kept, replace(licence, used=min(used, licence.capacity))))


def renew_certificate(network: Network, node: Node, certificate_id: str) -> None:
    """Enrol a certificate anew; the tunnel stands again some minutes later."""
    network.schedule(network.now + TUNNEL_S, "operation.certificate_renewed", node.id, certificate_id)


@handles("operation.certificate_renewed")
def _certificate_renewed(network: Network, name: str, certificate_id: str) -> None:
    node = network.get(Node, name)
    renewed = tuple(
        replace(item, expires_s=network.now + CERTIFICATE_LIFE_S) if item.id == certificate_id else item
        for item in node.certificates
    )
    network.update(node, certificates=renewed)


# --- power ------------------------------------------------------------------------------------------------


def start_generator(network: Network, power: PowerSystem) -> None:
    """Try to start a generator; whether it runs shows two minutes later."""
    if power.generator is not None:
        started = replace(power.generator, state=GeneratorState.STARTING, since_s=network.now)
        network.update(power, generator=started)


def stop_generator(network: Network, power: PowerSystem) -> None:
    """Stop a generator."""
    if power.generator is not None:
        left = power_model.fuel_pct(power.generator, network.now)
        stopped = replace(
            power.generator,
            state=GeneratorState.OFF,
            since_s=network.now,
            fuel_pct=left,
            fuel_s=0,
            fuel_pct_per_s=0.0,
        )
        network.update(power, generator=stopped)


# --- outage compensation ----------------------------------------------------------------------------------


def compensate(network: Network, failed: Cell, helpers: list[Cell], hours: int) -> None:
    """Let cells help out for a failed one, until it returns or the time is over."""
    for helper in helpers:
        lifted = min(COMPENSATION_DEG, helper.electrical_tilt_deg)
        network.update(
            helper,
            compensation_for=failed.id,
            max_tx_power_dbm=round(helper.max_tx_power_dbm + COMPENSATION_DB, 1),
            electrical_tilt_deg=round(helper.electrical_tilt_deg - lifted, 1),
        )
        until = network.now + 3600 * hours
        network.schedule(network.now + _CHECK_S, "operation.compensation", helper.id, failed.id, until, lifted)


@handles("operation.compensation")
def _compensation(network: Network, helper_id: str, failed_id: str, until: int, lifted: float) -> None:
    """End a compensation when it is no longer needed; else look again later."""
    if network.now < until and not dependencies.in_service(network, failed_id):
        following = min(network.now + _CHECK_S, until)
        network.schedule(following, "operation.compensation", helper_id, failed_id, until, lifted)
        return
    helper = network.get(Cell, helper_id)
    if helper.compensation_for == failed_id:
        network.update(
            helper,
            compensation_for=None,
            max_tx_power_dbm=round(helper.max_tx_power_dbm - COMPENSATION_DB, 1),
            electrical_tilt_deg=round(helper.electrical_tilt_deg + lifted, 1),
        )


# --- tests that interrupt ---------------------------------------------------------------------------------


def interrupt_fronthaul(network: Network, link: FronthaulLink, until_s: int | None) -> None:
    """Take a fronthaul link out of service for a test, or give it back."""
    network.update(network.get(FronthaulLink, link.id), under_test_until_s=until_s)


def interrupt_link(network: Network, link: TransportLink, *, on: bool) -> None:
    """Take a transport link out of service for a test, or give it back."""
    network.update(network.get(TransportLink, link.id), under_test=on)


def discharge_battery(network: Network, power: PowerSystem, *, on: bool) -> None:
    """Let the battery carry a site, or the rectifiers again; afterwards its health is known."""
    power = network.get(PowerSystem, power.id)
    if on:
        network.update(power, under_test=True)
        return
    strings = tuple(replace(item, tested_soh=round(item.soh, 2)) if item.present else item for item in power.strings)
    network.update(power, under_test=False, strings=strings)


def load_artificially(network: Network, cells: list[Cell], *, on: bool) -> None:
    """Switch artificial downlink load on or off, unlogged."""
    for cell in cells:
        network.update(network.get(Cell, cell.id), ocns_enabled=on)
