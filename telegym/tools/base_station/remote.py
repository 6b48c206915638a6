"""Remote actions: what an operator can do to the network from a desk.

Rules of the house are not checked here: an action that breaks one is carried out and judged elsewhere. What is refused
is what cannot be done.
"""

from __future__ import annotations

from collections.abc import Callable

from telegym.envs.base_station import alarms, clock_model, dependencies, operations, power_model
from telegym.envs.base_station.licences import licence_pool
from telegym.envs.base_station.network import ConfigChange, Network
from telegym.envs.base_station.objects import (
    AdministrativeState,
    Board,
    BoardKind,
    Breaker,
    Cell,
    ClockSource,
    ClockUnit,
    GeneratorState,
    Node,
    PowerSystem,
    RadioUnit,
    Record,
    RetUnit,
    Router,
    Site,
    TransportLink,
)
from telegym.envs.base_station.operations import AGENT
from telegym.envs.base_station.parameters import BASELINE_S, parameters_of, text_of, value_from_text
from telegym.tools.base_station import _elements as elements
from telegym.tools.base_station import _measures as measures
from telegym.tools.base_station._errors import Code, not_found, refusal
from telegym.tools.base_station._format import Report, minute, number
from telegym.tools.base_station.query.alarms import find_alarm
from telegym.tools.base_station.query.status import controlled_power

__all__ = [
    "activate_licence",
    "activate_outage_compensation",
    "change_software",
    "control_site_power",
    "renew_certificate",
    "reroute_transport",
    "reset_node",
    "reset_unit",
    "rollback_config",
    "set_admin_state",
    "set_antenna_tilt",
    "set_neighbour_relation",
    "set_parameter",
    "switch_clock_source",
    "update_alarm",
]

MAX_TILT_STEP = 4.0
"""Largest change of tilt in one call, in degrees."""
MAX_RELATIONS = 64
"""Most neighbour relations of a cell."""
MAX_HELPER_LOAD = 75.0
"""Load from which a cell is too busy to help out, in per cent."""
LAST_KNOWN_GOOD = "last_known_good"


def _change(change_request_id: str | None) -> str:
    return change_request_id or ""


# --- administrative state and restarts --------------------------------------------------------------------


def set_admin_state(
    network: Network,
    report: Report,
    element_id: str,
    state: str,
    reason: str,
    change_request_id: str | None = None,
) -> Report:
    """Lock, drain or unlock a cell, board or radio unit."""
    record = elements.element(network, element_id)
    if not isinstance(record, Cell | Board | RadioUnit):
        kind = elements.kind_name(record)
        raise refusal(Code.INVALID_ARGUMENT, f"{element_id} is a {kind}, not a cell, board or radio unit")
    elements.reachable_node(network, record.node_id)
    wanted = AdministrativeState(state)
    if record.administrative_state is wanted:
        raise refusal(Code.NO_CHANGE, f"{element_id} is {state}")
    before = record.administrative_state
    operations.set_administrative_state(network, record, wanted, _change(change_request_id))
    report.fields(element=element_id, administrative_state=state, before=before)
    if wanted is AdministrativeState.SHUTTINGDOWN:
        report.fields(locked_at=minute(network.now + operations.DRAIN_S))
    if wanted is AdministrativeState.UNLOCKED:
        report.fields(service_expected=minute(network.now + operations.CELL_RESTART_S))
    return report


def reset_unit(
    network: Network, report: Report, unit_id: str, mode: str = "warm", change_request_id: str | None = None
) -> Report:
    """Restart a board, radio unit, port or router."""
    if "-P" in unit_id and unit_id not in network.objects:
        return _reset_port(network, report, unit_id, mode)
    record = elements.element(network, unit_id)
    if isinstance(record, Board):
        return _reset_board(network, report, record, mode)
    if isinstance(record, RadioUnit):
        return _reset_radio_unit(network, report, record, mode)
    if isinstance(record, Router):
        _check_idle(record.restart_until_s, unit_id)
        return _restarting(network, report, unit_id, mode, operations.restart_router(network, record))
    kind = elements.kind_name(record)
    raise refusal(Code.INVALID_ARGUMENT, f"{unit_id} is a {kind}, not a board, radio unit, port or router")


def _restarting(network: Network, report: Report, unit_id: str, mode: str, seconds: int) -> Report:
    return report.fields(unit=unit_id, mode=mode, result="restarting", back_expected=minute(network.now + seconds))


def _check_idle(restart_until_s: int | None, unit_id: str) -> None:
    if restart_until_s is not None:
        raise refusal(Code.RESOURCE_BUSY, f"{unit_id} is restarting until {minute(restart_until_s)}")


def _reset_port(network: Network, report: Report, port_id: str, mode: str) -> Report:
    router, port = elements.port(network, port_id)
    if not dependencies.router_up(network, router.id):
        raise refusal(Code.ELEMENT_UNREACHABLE, f"{router.id} does not answer")
    _check_idle(port.restart_until_s, port_id)
    if mode == "power_cycle":
        raise refusal(Code.PRECONDITION_FAILED, f"{port_id} has no feed of its own")
    return _restarting(network, report, port_id, mode, operations.restart_port(network, port))


def _reset_board(network: Network, report: Report, board: Board, mode: str) -> Report:
    main = board.kind is BoardKind.MAIN
    if main:
        node = network.get(Node, board.node_id)
        _check_idle(node.restart_until_s, node.id)
        if not (dependencies.oam_reachable(network, node.id) or _craft_path(network, node)):
            raise refusal(Code.ELEMENT_UNREACHABLE, f"{node.id} does not answer its management system")
        return _restarting(network, report, board.id, mode, operations.restart_node(network, node, "warm"))
    elements.reachable_node(network, board.node_id)
    _check_idle(board.restart_until_s, board.id)
    if board.kind is BoardKind.FAN:
        raise refusal(Code.INVALID_ARGUMENT, f"{board.id} is a fan tray and runs no software")
    return _restarting(network, report, board.id, mode, operations.restart_unit(network, board, mode))


def _craft_path(network: Network, node: Node) -> bool:
    """Return whether a hung main board can be restarted through the site's power controller."""
    main = network.get(Board, network.index.boards_of[node.id][0])
    remote = network.get(PowerSystem, f"PWR-{node.site_id[1:]}").breakers[1].remote
    return main.hang and remote and dependencies.power_controller_reachable(network, node.site_id)


def _reset_radio_unit(network: Network, report: Report, unit: RadioUnit, mode: str) -> Report:
    elements.reachable_node(network, unit.node_id)
    _check_idle(unit.restart_until_s, unit.id)
    if mode == "warm" and not dependencies.fronthaul_synced(network, unit.id):
        raise refusal(Code.ELEMENT_UNREACHABLE, f"{unit.id} does not answer: no light on its fronthaul link")
    if mode == "power_cycle":
        feed = elements.breaker(network, network.get(PowerSystem, f"PWR-{unit.site_id[1:]}"), unit.breaker_id)
        if not feed.remote:
            raise refusal(Code.PRECONDITION_FAILED, f"the feed {feed.id} of {unit.id} cannot be operated remotely")
        if not dependencies.power_controller_reachable(network, unit.site_id):
            raise refusal(Code.ELEMENT_UNREACHABLE, f"the power controller of {unit.site_id} does not answer")
    return _restarting(network, report, unit.id, mode, operations.restart_unit(network, unit, mode))


def reset_node(
    network: Network, report: Report, node_id: str, mode: str = "warm", change_request_id: str | None = None
) -> Report:
    """Restart a whole node."""
    node = network.get(Node, node_id)
    _check_idle(node.restart_until_s, node.id)
    elements.reachable_node(network, node.id)
    seconds = operations.restart_node(network, node, mode)
    cells = len(network.index.cells_of.get(node.id, ()))
    _restarting(network, report, node.id, mode, seconds)
    return report.fields(cells_down=cells)


# --- configuration ----------------------------------------------------------------------------------------


def set_parameter(
    network: Network,
    report: Report,
    element_id: str,
    parameter: str,
    value: str,
    change_request_id: str | None = None,
) -> Report:
    """Set one configuration parameter."""
    record = elements.element(network, element_id)
    known = parameters_of(record)
    spec = known.get(parameter)
    if spec is None:
        listing = f"; it has {', '.join(known)}" if known else ""
        raise refusal(Code.INVALID_ARGUMENT, f"{element_id} has no parameter {parameter[:60]}{listing}")
    if spec.parameter_class is None:
        raise refusal(Code.INVALID_ARGUMENT, f"{parameter} is not set with this tool")
    try:
        wanted = value_from_text(network, record, spec, value)
    except ValueError as error:
        raise refusal(Code.INVALID_ARGUMENT, str(error)) from None
    _check_answers(network, record)
    before = getattr(record, spec.attribute)
    if wanted == before:
        raise refusal(Code.NO_CHANGE, f"{parameter} of {element_id} is {text_of(before) or 'empty'}")
    operations.configure(network, record, spec, wanted, _change(change_request_id))
    report.fields(element=element_id, parameter=parameter, value=text_of(wanted), before=text_of(before))
    if spec.parameter_class == "S" and isinstance(record, Cell):
        report.fields(restarting_until=minute(network.now + operations.CELL_RESTART_S))
    return report


def _check_answers(network: Network, record: Record) -> None:
    """Refuse to configure what does not answer its management system."""
    if isinstance(record, Cell):
        elements.reachable_node(network, record.node_id)
    elif isinstance(record, Node):
        elements.reachable_node(network, record.id)
    elif isinstance(record, Router) and not dependencies.router_up(network, record.id):
        raise refusal(Code.ELEMENT_UNREACHABLE, f"{record.id} does not answer")


def set_antenna_tilt(
    network: Network,
    report: Report,
    cell_id: str,
    action: str = "set",
    electrical_tilt_deg: float | None = None,
    change_request_id: str | None = None,
) -> Report:
    """Move a cell's electrical tilt, or sweep its motor to calibrate it."""
    cell = network.get(Cell, cell_id)
    elements.reachable_node(network, cell.node_id)
    if not dependencies.fronthaul_synced(network, cell.ru_id):
        raise refusal(Code.ELEMENT_UNREACHABLE, f"{cell.ru_id}, which drives the tilt motor, does not answer")
    ret = network.get(RetUnit, network.index.tilt_unit_of[cell.id])
    if action == "calibrate":
        sound = operations.calibrate_tilt(network, ret)
        return report.fields(cell=cell.id, ret=ret.id, calibration="done" if sound else "failed: motor does not move")
    if electrical_tilt_deg is None:
        raise refusal(Code.INVALID_ARGUMENT, "action set needs electrical_tilt_deg")
    wanted, before = round(float(electrical_tilt_deg), 1), cell.electrical_tilt_deg
    if abs(wanted - before) > MAX_TILT_STEP + 1e-9:
        step = number(abs(wanted - before))
        raise refusal(Code.INVALID_ARGUMENT, f"a step of {step} degrees from {before:g} is more than {MAX_TILT_STEP:g}")
    if ret.jammed:
        raise refusal(Code.PRECONDITION_FAILED, f"{ret.id} reports a motor fault")
    if wanted == before:
        raise refusal(Code.NO_CHANGE, f"the tilt of {cell.id} is {before:g} degrees")
    network.configure(cell, "electrical_tilt_deg", wanted, AGENT, _change(change_request_id))
    return report.fields(cell=cell.id, electrical_tilt_deg=wanted, before=before)


def set_neighbour_relation(
    network: Network,
    report: Report,
    action: str,
    source_cell_id: str,
    target_cell_id: str,
    ho_allowed: bool = True,
    both_directions: bool = True,
    change_request_id: str | None = None,
) -> Report:
    """Add, remove or modify a neighbour relation; adding and modifying refresh what is known of the target."""
    source, target = network.get(Cell, source_cell_id), network.get(Cell, target_cell_id)
    if source.id == target.id:
        raise refusal(Code.INVALID_ARGUMENT, "a cell is no neighbour of itself")
    for cell in (source, target) if both_directions else (source,):
        elements.reachable_node(network, cell.node_id)
    pairs = [(source, target), (target, source)] if both_directions else [(source, target)]
    present = [network.relations.get(f"{one.id}>{other.id}") for one, other in pairs]
    if action == "add" and all(item is not None for item in present):
        raise refusal(Code.NO_CHANGE, f"{source.id}>{target.id} exists")
    if action != "add" and present[0] is None:
        raise refusal(Code.NO_CHANGE, f"there is no relation {source.id}>{target.id} to {action}")
    if action == "add":
        for (one, _), known in zip(pairs, present, strict=True):
            if known is None and _relations_of(network, one) >= MAX_RELATIONS:
                raise refusal(Code.INVALID_ARGUMENT, f"{one.id} has {MAX_RELATIONS} relations, the most there can be")
    done = []
    for (one, other), known in zip(pairs, present, strict=True):
        name = f"{one.id}>{other.id}"
        if action == "remove" and known is not None:
            operations.remove_relation(network, known, _change(change_request_id))
            done.append(name)
        elif (action == "add" and known is None) or (action == "modify" and known is not None):
            operations.set_relation(network, one, other, allowed=ho_allowed, change_id=_change(change_request_id))
            done.append(name)
    return report.fields(action=action, relations=tuple(done), ho_allowed=ho_allowed if action != "remove" else None)


def _relations_of(network: Network, cell: Cell) -> int:
    return sum(item.source_id == cell.id for item in network.relations.values())


def rollback_config(
    network: Network,
    report: Report,
    element_id: str,
    to_version: str = LAST_KNOWN_GOOD,
    change_request_id: str | None = None,
) -> Report:
    """Roll an element, and with a node its cells, back to the weekly baseline or to before a logged change."""
    record = elements.element(network, element_id)
    family = _family(network, record)
    if not any(parameters_of(item) for item in family.values()):
        raise refusal(Code.INVALID_ARGUMENT, f"{element_id} is a {elements.kind_name(record)} without parameters")
    later = _changes_since(network, family, to_version)
    _check_craft(network, record)
    before = {
        (change.element_id, change.parameter): change.before
        for change in reversed(later)
        if hasattr(family[change.element_id], change.parameter)
    }
    undone = [key for key, value in before.items() if getattr(network.objects[key[0]], key[1]) != value]
    if not undone:
        raise refusal(Code.NO_CHANGE, f"{element_id} is as in {to_version}")
    done = operations.roll_back(network, record, before, _change(change_request_id))
    report.fields(element=element_id, to_version=to_version, changes_undone=len(done))
    report.fields(restored=tuple(done), restarting_until=minute(network.now + operations.ROLLBACK_S))
    return report


def _family(network: Network, record: Record) -> dict[str, Record]:
    family = {record.id: record}
    if isinstance(record, Node):
        family |= {name: network.objects[name] for name in network.index.cells_of.get(record.id, ())}
    return family


def _changes_since(network: Network, family: dict[str, Record], version: str) -> list[ConfigChange]:
    """Return an element's changes from a version on, oldest first.

    Raises:
        ToolError: If the element has no such version.
    """
    own = [
        (f"V{index}", change) for index, change in enumerate(network.changes, start=1) if change.element_id in family
    ]
    if version == LAST_KNOWN_GOOD:
        return [change for _, change in own if change.time_s > network.now - BASELINE_S]
    names = [name for name, _ in own]
    if version not in names:
        raise not_found("version", version, [LAST_KNOWN_GOOD, *names])
    return [change for _, change in own[names.index(version) :]]


def _check_craft(network: Network, record: Record) -> None:
    """Refuse where not even the element's own rollback timer can act: it is down."""
    if isinstance(record, Cell | Node):
        node = network.get(Node, record.node_id if isinstance(record, Cell) else record.id)
        if not dependencies.node_up(network, node.id):
            raise refusal(Code.ELEMENT_UNREACHABLE, f"{node.id} is down")
    if isinstance(record, Router) and not dependencies.router_up(network, record.id):
        raise refusal(Code.ELEMENT_UNREACHABLE, f"{record.id} is down")


# --- clock and transport ----------------------------------------------------------------------------------


def switch_clock_source(network: Network, report: Report, node_id: str, source: str = "ptp") -> Report:
    """Select the source of synchronisation of a node's site."""
    node = elements.reachable_node(network, node_id)
    clock = network.get(ClockUnit, f"CLK-{node.site_id[1:]}")
    wanted = ClockSource(source)
    if wanted not in clock.provisioned:
        listing = ", ".join(item.value for item in clock.provisioned)
        raise refusal(Code.PRECONDITION_FAILED, f"{source} is not provisioned at {clock.id}; provisioned: {listing}")
    if wanted is clock.source:
        raise refusal(Code.NO_CHANGE, f"{clock.id} uses {source}")
    if wanted is not ClockSource.FREE_RUN and not clock_model.available(network, clock, wanted):
        raise refusal(Code.PRECONDITION_FAILED, f"{source} is not available at {clock.id}")
    before = clock.source
    network.configure(clock, "source", wanted, AGENT)
    report.fields(clock=clock.id, source=source, before=before)
    if wanted in clock_model.LOCK_S:
        report.fields(lock_expected=minute(network.now + clock_model.LOCK_S[wanted]))
    return report


def reroute_transport(
    network: Network, report: Report, element_id: str, path: str, change_request_id: str | None = None
) -> Report:
    """Move the traffic of a site, node or site router, or of all sites behind a link or router, to another path."""
    record = elements.element(network, element_id)
    sites = _rerouted_sites(network, record, path)
    able = [name for name in sites if path in network.region.transport.paths[name]]
    if not able:
        raise refusal(Code.PRECONDITION_FAILED, f"no {path} path is provisioned for {element_id}")
    moving = [name for name in able if _router(network, name).active_path != path]
    if not moving:
        raise refusal(Code.NO_CHANGE, f"{element_id} uses its {path} path")
    usable = [name for name in moving if _path_works(network, name, path)]
    if not usable:
        raise refusal(Code.PRECONDITION_FAILED, f"the {path} path of {element_id} is down")
    operations.reroute(network, [_router(network, name) for name in usable], path, _change(change_request_id))
    left = tuple(name for name in sites if name not in usable and _router(network, name).active_path != path)
    return report.fields(element=element_id, path=path, sites_moved=tuple(usable), not_moved=left)


def _router(network: Network, site_id: str) -> Router:
    return network.get(Router, f"CSR-{site_id[1:]}")


def _rerouted_sites(network: Network, record: Record, path: str) -> list[str]:
    if isinstance(record, Site | Node) or (isinstance(record, Router) and record.site_id is not None):
        return [network.index.site_of[record.id]]
    if isinstance(record, TransportLink | Router):
        behind = list(network.index.behind.get(record.id, ()))
        if path == "primary":
            return [name for name in behind if _router(network, name).active_path != "primary"] or behind
        return [name for name in behind if record.id in _ends_and_links(network, name)]
    raise refusal(
        Code.INVALID_ARGUMENT,
        f"{record.id} is a {elements.kind_name(record)}, not a site, node, link or router",
    )


def _ends_and_links(network: Network, site_id: str) -> set[str]:
    way = dependencies.path(network, site_id)
    return {*way.links, *way.routers}


def _path_works(network: Network, site_id: str, path: str) -> bool:
    """Return whether every link and router of a site's path works."""
    here = f"CSR-{site_id[1:]}"
    for name in network.region.transport.paths[site_id][path]:
        link = network.get(TransportLink, name)
        here = link.b_id if here == link.a_id else link.a_id
        if not (dependencies.link_up(network, name) and dependencies.router_up(network, here)):
            return False
    return True


# --- software, licences, certificates ---------------------------------------------------------------------


def change_software(
    network: Network,
    report: Report,
    node_id: str,
    action: str,
    version: str,
    change_request_id: str | None = None,
) -> Report:
    """Upgrade a node's software, or take it back."""
    node = elements.reachable_node(network, node_id)
    _check_idle(node.restart_until_s, node.id)
    known = node.packages if action == "upgrade" else (node.fallback_software,)
    if version not in known:
        raise not_found("version", version, known)
    if version == node.software:
        raise refusal(Code.NO_CHANGE, f"{node.id} runs {version}")
    if not power_model.mains_live(network.get(PowerSystem, f"PWR-{node.site_id[1:]}")):
        raise refusal(Code.PRECONDITION_FAILED, f"{node.site_id} has no mains")
    before = node.software
    seconds = operations.change_software(network, node, action, version)
    report.fields(node=node.id, action=action, version=version, before=before)
    return report.fields(result="restarting", back_expected=minute(network.now + seconds))


def activate_licence(network: Network, report: Report, node_id: str, licence_id: str) -> Report:
    """Install a licence of the pool on a node."""
    node = elements.reachable_node(network, node_id)
    pool = {item.id: item for item in licence_pool(network)}
    licence = pool.get(licence_id)
    if licence is None:
        owners = [item.id for item in network.all(Node) if any(own.id == licence_id for own in item.licences)]
        if owners:
            raise refusal(Code.PRECONDITION_FAILED, f"{licence_id} is installed on {owners[0]}, not in the pool")
        if not pool:
            raise refusal(Code.PRECONDITION_FAILED, "the pool is empty")
        raise not_found("licence", licence_id, pool)
    operations.activate_licence(network, node, licence.id)
    return report.fields(node=node.id, licence=licence.id, feature=licence.feature.value, capacity=licence.capacity)


def renew_certificate(network: Network, report: Report, node_id: str, certificate_id: str) -> Report:
    """Enrol a device certificate anew."""
    node = elements.reachable_node(network, node_id)
    if all(item.id != certificate_id for item in node.certificates):
        raise not_found("certificate", certificate_id, [item.id for item in node.certificates])
    operations.renew_certificate(network, node, certificate_id)
    report.fields(node=node.id, certificate=certificate_id, result="enrolled")
    return report.fields(ipsec_expected=minute(network.now + operations.TUNNEL_S))


# --- power ------------------------------------------------------------------------------------------------


def control_site_power(
    network: Network, report: Report, site_id: str, action: str, breaker_id: str | None = None
) -> Report:
    """Start or stop the generator, save the battery, or reclose a breaker."""
    power = controlled_power(network, site_id)
    report.fields(site=site_id, action=action)
    if action == "reclose_breaker":
        return _reclose(network, report, power, breaker_id)
    return _POWER_ACTIONS[action](network, report, power)


def _reclose(network: Network, report: Report, power: PowerSystem, breaker_id: str | None) -> Report:
    if breaker_id is None:
        raise refusal(Code.INVALID_ARGUMENT, "action reclose_breaker needs breaker_id")
    item: Breaker = elements.breaker(network, power, breaker_id)
    if not item.remote:
        raise refusal(Code.PRECONDITION_FAILED, f"{item.id} cannot be operated remotely")
    state = power_model.reclose_breaker(network, item.id)
    return report.fields(breaker=item.id, state=state)


def _start_generator(network: Network, report: Report, power: PowerSystem) -> Report:
    generator = power.generator
    if generator is None:
        raise refusal(Code.PRECONDITION_FAILED, f"{power.site_id} has no generator")
    if generator.state in (GeneratorState.RUNNING, GeneratorState.STARTING):
        raise refusal(Code.NO_CHANGE, f"the generator is {generator.state}")
    operations.start_generator(network, power)
    return report.fields(generator="STARTING", result_expected=minute(network.now + 120))


def _stop_generator(network: Network, report: Report, power: PowerSystem) -> Report:
    generator = power.generator
    if generator is None:
        raise refusal(Code.PRECONDITION_FAILED, f"{power.site_id} has no generator")
    if generator.state is GeneratorState.OFF:
        raise refusal(Code.NO_CHANGE, "the generator is OFF")
    operations.stop_generator(network, power)
    return report.fields(generator="OFF")


def _saver(on: bool) -> Callable[[Network, Report, PowerSystem], Report]:
    def switch(network: Network, report: Report, power: PowerSystem) -> Report:
        if power.saver == on:
            raise refusal(Code.NO_CHANGE, f"the battery saver is {'on' if on else 'off'}")
        network.update(power, saver=on)
        shed = [unit.id for unit in network.at_site(RadioUnit, power.site_id) if unit.low_priority]
        return report.fields(battery_saver="on" if on else "off", low_priority_units=len(shed))

    return switch


_POWER_ACTIONS: dict[str, Callable[[Network, Report, PowerSystem], Report]] = {
    "start_generator": _start_generator,
    "stop_generator": _stop_generator,
    "battery_saver_on": _saver(True),
    "battery_saver_off": _saver(False),
}


# --- compensation and alarms ------------------------------------------------------------------------------


def activate_outage_compensation(
    network: Network, report: Report, failed_cell_id: str, helper_cell_ids: list[str], duration_hours: int = 12
) -> Report:
    """Let cells of the same band help out for a failed one."""
    failed = network.get(Cell, failed_cell_id)
    if dependencies.in_service(network, failed.id):
        raise refusal(Code.PRECONDITION_FAILED, f"{failed.id} is in service")
    helpers = [network.get(Cell, name) for name in dict.fromkeys(helper_cell_ids)]
    for helper in helpers:
        _check_helper(network, failed, helper)
    operations.compensate(network, failed, helpers, duration_hours)
    report.fields(failed_cell=failed.id, helpers=tuple(item.id for item in helpers))
    report.fields(power_db=f"+{operations.COMPENSATION_DB:g}", tilt_deg=f"-{operations.COMPENSATION_DEG:g}")
    return report.fields(until=minute(network.now + 3600 * duration_hours), or_until="the failed cell is back")


def _check_helper(network: Network, failed: Cell, helper: Cell) -> None:
    if helper.layer != failed.layer or helper.id == failed.id:
        raise refusal(Code.PRECONDITION_FAILED, f"{helper.id} is no other cell of band {failed.layer}")
    elements.reachable_node(network, helper.node_id)
    if not dependencies.in_service(network, helper.id):
        raise refusal(Code.PRECONDITION_FAILED, f"{helper.id} is not in service")
    if helper.compensation_for is not None:
        raise refusal(Code.RESOURCE_BUSY, f"{helper.id} helps out for {helper.compensation_for}")
    load = measures.indicator_now(network, helper.id, "prb_util_dl_pct")
    if load >= MAX_HELPER_LOAD:
        raise refusal(Code.PRECONDITION_FAILED, f"{helper.id} is busy: {load:.0f} % of its blocks are in use")


def update_alarm(network: Network, report: Report, alarm_id: str, action: str, comment: str | None = None) -> Report:
    """Acknowledge, comment or clear an alarm."""
    find_alarm(network, alarm_id)
    if action == "comment" and not (comment or "").strip():
        raise refusal(Code.INVALID_ARGUMENT, "action comment needs a comment")
    if action == "clear":
        alarms.clear_by_hand(network, alarm_id, AGENT)
    elif action in ("acknowledge", "unacknowledge"):
        alarms.acknowledge(network, alarm_id, AGENT if action == "acknowledge" else None)
    if (comment or "").strip():
        alarms.comment(network, alarm_id, (comment or "").strip()[:300])
    alarm = network.alarms[alarm_id]
    state = "active" if alarm.active else "cleared"
    return report.fields(alarm=alarm_id, action=action, state=state, acknowledged=alarm.acknowledged_by is not None)
