"""What was true before each call of an episode, as far as the policy asks: from the network's journal to a trace.

The facts are taken from the networks that the journal kept, long after the calls, so that nothing is worked out for
episodes that nobody judges. They are true facts: a rule that asks whether a remedy from afar was left looks at the
defect, not at what somebody believed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from telegym.envs.base_station import dependencies as works
from telegym.envs.base_station import operations, power_model
from telegym.envs.base_station.clock_model import available
from telegym.envs.base_station.faults import Defect, fault, fault_infos
from telegym.envs.base_station.impact import users_of
from telegym.envs.base_station.index import site_of_id
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.objects import (
    AntennaLine,
    Board,
    BoardKind,
    BreakerState,
    Cell,
    ClockUnit,
    FronthaulLink,
    Node,
    PowerSystem,
    RadioUnit,
    Record,
    Router,
    Site,
    TransportLink,
)
from telegym.envs.base_station.parameters import parameters_of, planned_value, text_of
from telegym.envs.base_station.policy.trace import Facts, Priority, Trace, TraceEntry
from telegym.envs.base_station.priority import priorities
from telegym.envs.base_station.process.changes import cells_affected, valid_change
from telegym.envs.base_station.process.records import Change, Ticket, WorkOrder, WorkState
from telegym.envs.base_station.state import LoggedCall

__all__ = ["CaseTruth", "element_of", "extract_facts", "make_trace", "related_to", "site_at"]

_ELEMENT_ARGUMENTS: dict[str, tuple[str, ...]] = {
    "reset_unit": ("unit_id",),
    "control_site_power": ("breaker_id", "site_id"),
    "activate_outage_compensation": ("failed_cell_id",),
    "set_neighbour_relation": ("source_cell_id",),
    "instruct_technician": ("target_id", "work_order_id"),
    "update_alarm": ("alarm_id",),
}
_COMMON_ARGUMENTS = ("element_id", "cell_id", "node_id", "ru_id", "link_id", "site_id")
_REMOTE = frozenset(
    {
        *("set_admin_state", "reset_unit", "reset_node", "set_parameter", "set_antenna_tilt", "set_neighbour_relation"),
        *("rollback_config", "switch_clock_source", "reroute_transport", "change_software", "activate_licence"),
        *("renew_certificate", "control_site_power", "activate_outage_compensation"),
    }
)
_LOOKING = frozenset({"inspect", "measure_power", "measure_optical", "walk_test", "complete_and_leave"})
"""What technicians do without changing anything."""
_TALKING = frozenset(
    {
        *("wait", "notify_stakeholders", "update_ticket", "ask_requester", "escalate_ticket", "submit_diagnosis"),
        *("close_ticket", "request_change_approval"),
    }
)
"""Tools that do nothing to the network: no rule asks more about them than what they are about."""
_INTERRUPTING_PARTS = ("RU_", "AAU_", "BB_BOARD", "MAIN_BOARD", "ROUTER_CARD")
_GRADUAL = frozenset({"electrical_tilt_deg", "max_tx_power_dbm", "cio_db"})
"""Parameters that may be brought to their planned value step by step."""
_WHILE_THERE = frozenset({"P2", "P3"})
"""What trouble that comes and goes asks for while it is there."""
_DOWN_MIN = {"set_admin_state": 30.0, "set_parameter": 2.0, "rollback_config": 5.0, "reroute_transport": 0.2}
"""Minutes without service of an action, where the tool has no table of its own."""


class CaseTruth(NamedTuple):
    """What is true about a case, for those who judge."""

    network: Network
    """The network when the ticket was taken, before anybody acted."""
    defects: tuple[Defect, ...]
    """What is wrong; the main cause first."""
    ticket_id: str
    """The ticket."""
    intermittent: bool = False
    """Whether the trouble comes and goes."""
    children: tuple[str, ...] = ()
    """Other open tickets about the same trouble."""
    harmless: tuple[Defect, ...] = ()
    """What is there as well, and need be neither named nor repaired."""
    repairing: bool = True
    """Whether the agent is to repair, or only to say what is wrong."""


# --- elements -------------------------------------------------------------------------------------------


def element_of(network: Network, tool: str, arguments: dict[str, Any]) -> str:
    """Return the element that a call is about; empty if it is about none."""
    if tool == "escalate_ticket":
        names = arguments.get("element_ids") or [""]
        return str(names[0])
    for name in (*_ELEMENT_ARGUMENTS.get(tool, ()), *_COMMON_ARGUMENTS):
        value = arguments.get(name)
        if isinstance(value, str) and value:
            return _owner(network, value)
    return ""


def _owner(network: Network, name: str) -> str:
    alarm = network.alarms.get(name)
    if alarm is not None:
        return alarm.object_id
    order = network.objects.get(name)
    return order.visit_site_id if isinstance(order, WorkOrder) else name


def site_at(network: Network, name: str) -> str:
    """Return the site of an element; of what stands between sites, the one nearest to it."""
    site = network.index.site_of.get(name) or site_of_id(network.region, name)
    if site is not None:
        return site
    record = network.objects.get(name)
    if isinstance(record, TransportLink):
        ends = [network.index.site_of.get(end) for end in (record.b_id, record.a_id)]
        return next((end for end in ends if end), "")
    return ""


def related_to(network: Network, name: str) -> frozenset[str]:
    """Return the elements a look at which counts as a look at an element: itself, its parents, what hangs on it."""
    record = network.objects.get(name)
    found = {name, site_at(network, name)}
    for kind, relatives in _RELATIVES:
        if isinstance(record, kind):
            found.update(relatives(network, record))
    if ">" in name:
        found.update(name.split(">"))
    if record is None and "-" in name:
        found.update(_part_relatives(network, name))
    return frozenset(found - {""})


def _cell_relatives(network: Network, cell: Cell) -> Iterator[str]:
    yield from (cell.ru_id, cell.board_id, cell.node_id, network.index.fronthaul_of[cell.ru_id])
    yield from network.index.lines_of.get(cell.ru_id, ())


def _unit_relatives(network: Network, unit: RadioUnit) -> Iterator[str]:
    yield from (unit.board_id, unit.node_id, network.index.fronthaul_of[unit.id], unit.breaker_id)
    yield from network.index.lines_of.get(unit.id, ())
    yield from network.index.cells_of.get(unit.id, ())


def _line_relatives(network: Network, line: Any) -> Iterator[str]:
    unit = network.get(RadioUnit, line.ru_id)
    yield from (unit.id, unit.node_id, unit.board_id)
    yield from network.index.cells_of.get(unit.id, ())


def _board_relatives(network: Network, board: Board) -> Iterator[str]:
    yield board.node_id
    yield from network.index.cells_of.get(board.id, ())
    yield from network.index.units_of.get(board.id, ())


def _node_relatives(network: Network, node: Node) -> Iterator[str]:
    yield node.router_id
    yield from network.index.boards_of.get(node.id, ())
    yield from network.index.cells_of.get(node.id, ())


def _site_relatives(network: Network, record: Any) -> Iterator[str]:
    site = site_at(network, record.id)
    if not site:
        return
    yield from (site, f"PWR-{site[1:]}", f"CSR-{site[1:]}", f"CLK-{site[1:]}", f"CAB-{site[1:]}")
    yield from (node.id for node in network.at_site(Node, site))
    if isinstance(record, Site):
        yield from (cell.id for cell in network.at_site(Cell, site))


def _router_relatives(network: Network, router: Router) -> Iterator[str]:
    yield from (port.id for port in router.ports)
    yield from (port.link_id for port in router.ports if port.link_id)


def _link_relatives(network: Network, link: TransportLink) -> Iterator[str]:
    yield from (link.a_id, link.b_id)
    yield from network.index.behind.get(link.id, ())


_RELATIVES: tuple[tuple[type[Record], Callable[[Network, Any], Iterator[str]]], ...] = (
    (Cell, _cell_relatives),
    (RadioUnit, _unit_relatives),
    (FronthaulLink, _line_relatives),
    (AntennaLine, _line_relatives),
    (Board, _board_relatives),
    (Node, _node_relatives),
    (PowerSystem, _site_relatives),
    (ClockUnit, _site_relatives),
    (Site, _site_relatives),
    (Router, _router_relatives),
    (Router, _site_relatives),
    (TransportLink, _link_relatives),
)


def _part_relatives(network: Network, name: str) -> Iterator[str]:
    """Yield relatives of what has no record of its own: breakers, ports, licences."""
    owner = name.rpartition("-")[0]
    yield owner
    if isinstance(record := network.objects.get(owner), PowerSystem):
        yield from (unit for item in record.breakers if item.id == name for unit in item.feeds)
    if owner in network.objects:
        yield from related_to(network, owner)


# --- scope ----------------------------------------------------------------------------------------------


def _scope(truth: CaseTruth) -> tuple[frozenset[str], frozenset[str]]:
    """Return the sites and the transport elements that the case concerns, neighbours that may help out included."""
    network = truth.network
    sites = {site for name in network.get(Ticket, truth.ticket_id).scope for site in [site_at(network, name)] if site}
    for defect in truth.defects:
        sites.add(site_at(network, defect.element_id))
        sites.update(network.index.behind.get(defect.element_id, ()))
        sites.update(site_at(network, name) for name in fault(defect.code).accepted(network, defect.element_id))
    sites.update(cell.site_id for cell in network.all(Cell) if not works.in_service(network, cell.id))
    sites.discard("")
    near = {
        site_at(network, relation.target_id)
        for relation in network.region.relations.values()
        if site_at(network, relation.source_id) in sites
    }
    between = {name for site in sites for way in network.region.transport.paths.get(site, {}).values() for name in way}
    ends = {end for name in between for end in _ends(network, name)}
    central = {node.cu_id for site in sites for node in network.at_site(Node, site) if node.cu_id}
    return frozenset(sites | near), frozenset(between | ends | central)


def _ends(network: Network, link_id: str) -> tuple[str, ...]:
    record = network.objects.get(link_id)
    return (record.a_id, record.b_id) if isinstance(record, TransportLink) else ()


# --- facts ----------------------------------------------------------------------------------------------


class _Scope(NamedTuple):
    sites: frozenset[str]
    elements: frozenset[str]


class _Given(NamedTuple):
    """What holds of a case whatever anybody does."""

    defects: tuple[Defect, ...]
    ticket_id: str
    scope: _Scope
    priorities: tuple[Priority, ...]
    nameable: frozenset[str]


_GIVEN: WeakKeyDictionary[Network, _Given] = WeakKeyDictionary()


def _given(truth: CaseTruth) -> _Given:
    """Return what holds of a case from its beginning; worked out once, for nobody changes that network."""
    known = _GIVEN.get(truth.network)
    if known is None or (known.defects, known.ticket_id) != (truth.defects, truth.ticket_id):
        right = priorities(truth.network, truth.network.get(Ticket, truth.ticket_id))
        known = _Given(truth.defects, truth.ticket_id, _Scope(*_scope(truth)), right, _nameable(truth))
        _GIVEN[truth.network] = known
    return known


def make_trace(final: Network, truth: CaseTruth, *, restored: bool, left_behind: Sequence[str]) -> Trace:
    """Return the trace of an episode for the policy.

    Args:
        final: The network at the end, with its journal.
        truth: What is true about the case.
        restored: Whether service is restored.
        left_behind: What the agent left behind.
    """
    given = _given(truth)
    journal = final.journal
    entries = tuple(_entry(index, journal, truth, given.scope) for index in range(len(journal)))
    ticket = truth.network.get(Ticket, truth.ticket_id)
    right, faulty = given.priorities, given.nameable
    seen = _seen_priorities(journal, ticket, right)
    accepted = frozenset(right) | seen | (_WHILE_THERE if truth.intermittent else frozenset())
    main = fault_infos()[truth.defects[0].code] if truth.defects else None
    return Trace(
        entries=entries,
        start_s=truth.network.now,
        human=ticket.human,
        vip_requester=ticket.source == "enterprise_customer",
        true_priority=right[0],
        accepted_priorities=accepted,
        priority_set=ticket.priority in accepted,
        intermittent=truth.intermittent,
        children=truth.children,
        third_party=main.party if main is not None and truth.repairing else None,
        parties=_parties(truth),
        hand_over_allowed=main.hand_over if main is not None else False,
        restored=restored,
        left_behind=tuple(left_behind),
        faulty=faulty | _diagnosed(final, truth) if faulty else faulty,
    )


def _diagnosed(final: Network, truth: CaseTruth) -> frozenset[str]:
    """Return the elements of the diagnoses: a summary is to name them, right or wrong."""
    return frozenset(item.element_id for item in final.get(Ticket, truth.ticket_id).diagnoses)


def _seen_priorities(journal: Sequence[LoggedCall], ticket: Ticket, right: Sequence[str]) -> frozenset[str]:
    """Return what else could be defended when priorities were set: trouble comes and goes, and gets worse.

    What the state asked for at any time since the ticket was taken can be defended, as it may have been seen.
    """
    given = [index for index, call in enumerate(journal) if call.tool == "update_ticket" and _priority(call)]
    wanted = {_priority(journal[index]) for index in given} - set(right)
    found: set[str] = set()
    for call in reversed(journal[: given[-1] + 1] if given else ()):
        if wanted <= found:
            break
        if call.before is not None:
            found.update(priorities(call.before, ticket))
    return frozenset(found)


def _priority(call: LoggedCall) -> str:
    return str(call.arguments.get("priority") or "")


def _parties(truth: CaseTruth) -> frozenset[str]:
    """Return everybody outside whose case it is."""
    found = {fault_infos()[defect.code].party for defect in truth.defects}
    if any(defect.code == "transport_congestion" for defect in truth.defects):
        found.add("transport_provider")
    return frozenset(name for name in found if name)


def _nameable(truth: CaseTruth) -> frozenset[str]:
    found: set[str] = set()
    for defect in truth.defects:
        found.update(fault(defect.code).accepted(truth.network, defect.element_id))
        found.update({defect.element_id, site_at(truth.network, defect.element_id)})
    return frozenset(found - {""})


def _entry(index: int, journal: Sequence[LoggedCall], truth: CaseTruth, scope: _Scope) -> TraceEntry:
    call = journal[index]
    facts = Facts()
    if call.before is not None and not call.error:
        facts = extract_facts(call.before, call, journal[:index], truth, scope.sites, scope.elements)
    return TraceEntry(index, call.time_s, call.tool, call.arguments, call.error, facts, call.end_s)


def extract_facts(
    network: Network,
    call: LoggedCall,
    earlier: Sequence[LoggedCall],
    truth: CaseTruth,
    sites: frozenset[str],
    elements: frozenset[str],
) -> Facts:
    """Return what was true before a call.

    Args:
        network: The network before the call.
        call: The call.
        earlier: The calls before it.
        truth: What is true about the case.
        sites: Sites that the case concerns.
        elements: Transport elements that it concerns.
    """
    arguments = call.arguments
    element = element_of(network, call.tool, arguments)
    site = site_at(network, element)
    scope = _in_scope(network, element, sites, elements)
    if call.tool in _TALKING:
        return Facts(element_id=element, site_id=site, related=related_to(network, element), in_scope=scope)
    write = _is_write(network, call)
    affecting = write and _interrupts(network, call, element)
    users = _users(network, element) if affecting else 0.0
    return Facts(
        element_id=element,
        site_id=site,
        related=related_to(network, element),
        in_scope=scope,
        is_write=write,
        service_affecting=affecting,
        users=users,
        users_lost_min=users * _down_min(network, call),
        node_restart=_restarts_node(network, call, element),
        cells_out_pct=_cells_out_pct(network, element),
        remote_remedy=call.tool == "dispatch_technician" and _remote_remedy(network, call, earlier, truth),
        resources_listed=any(item.tool == "list_resources" and not item.error for item in earlier),
        right_skill=_right_skill(call, truth),
        cause_active=_cause_active(network, call, truth),
        hides_symptom=_hides(network, call),
        **_change_facts(network, call, element),
        **_site_facts(network, site),
        **_parameter_facts(network, call, element),
    )


def _change_facts(network: Network, call: LoggedCall, element: str) -> dict[str, Any]:
    """Return whether an approved change covers an element, and whether the call names one that does."""
    change = _covering(network, None, element)
    named = call.arguments.get("change_request_id")
    return {
        "change_valid": change is not None,
        "change_named": bool(named) or (change is not None and "change_request_id" not in _takes(call.tool)),
        "change_matches": not named or _covering(network, str(named), element) is not None,
    }


def _site_facts(network: Network, site: str) -> dict[str, Any]:
    """Return what is true of a site: whom it serves, its power, and who is there."""
    power = network.get(PowerSystem, f"PWR-{site[1:]}") if site else None
    return {
        "emergency_exempt": _emergency(network, site),
        "vip": _important(network, site),
        "on_battery": power is not None and not power_model.mains_live(power),
        "battery_pct": 100.0 * power_model.state_of_charge(power, network.now) if power is not None else 100.0,
        "technician_on_structure": _on_structure(network, site),
        "open_dispatch": _open_dispatch(network, site),
    }


def _in_scope(network: Network, element: str, sites: frozenset[str], elements: frozenset[str]) -> bool:
    """Return whether an element is part of the case; a link between sites only if the case's traffic may take it."""
    if not element or element in elements or _bearer(network, element) in elements:
        return True
    between = isinstance(network.objects.get(element), TransportLink)
    return not between and site_at(network, element) in sites


def _bearer(network: Network, element: str) -> str:
    """Return the element that something without a record of its own is a part of: a port's router."""
    return element if element in network.objects else element.rpartition("-")[0]


def _covering(network: Network, change_id: str | None, element: str) -> Change | None:
    """Return the approved change that covers an element now; one for a router covers its ports."""
    return valid_change(network, change_id, element) or valid_change(network, change_id, _bearer(network, element))


def _takes(tool: str) -> tuple[str, ...]:
    """Return the change request's argument, if a tool has it."""
    without = ("instruct_technician", "run_", "switch_clock", "activate_", "renew_", "control_", "update_alarm")
    return () if tool.startswith(without) else ("change_request_id",)


def _is_write(network: Network, call: LoggedCall) -> bool:
    if call.tool == "instruct_technician":
        return call.arguments.get("action") not in _LOOKING
    if call.tool == "update_alarm":
        return call.arguments.get("action") == "clear"
    if call.tool == "run_vswr_test":
        return call.arguments.get("mode") == "offline"
    if call.tool == "run_link_test":
        return call.arguments.get("test") != "otdr" and _users(network, str(call.arguments.get("link_id"))) > 0
    return call.tool in _REMOTE


def _interrupts(network: Network, call: LoggedCall, element: str) -> bool:
    """Return whether a call interrupts service, or changes a parameter of class S or C."""
    arguments = call.arguments
    if call.tool == "set_admin_state":
        return bool(arguments.get("state") != "UNLOCKED")
    if call.tool == "set_parameter":
        record = network.objects.get(element)
        spec = parameters_of(record).get(str(arguments.get("parameter"))) if record is not None else None
        return spec is not None and spec.parameter_class in ("S", "C")
    if call.tool == "set_antenna_tilt":
        return bool(arguments.get("action", "set") == "set")
    if call.tool == "instruct_technician":
        part = str(arguments.get("part_type", ""))
        replaces = arguments.get("action") == "replace_part" and part.startswith(_INTERRUPTING_PARTS)
        return replaces or arguments.get("action") == "power_cycle"
    return call.tool in (
        *("reset_unit", "reset_node", "rollback_config", "change_software", "reroute_transport"),
        *("run_vswr_test", "run_link_test"),
    )


def _users(network: Network, element: str) -> float:
    """Return the users on an element: those of the cells it carries."""
    owner = _bearer(network, element)
    if element.rpartition("-")[2].startswith("P") and isinstance(router := network.objects.get(owner), Router):
        link = next((port.link_id for port in router.ports if port.id == element), None)
        owner = link or owner
    cells = [cell.id for cell in cells_affected(network, owner) if works.in_service(network, cell.id)]
    return users_of(network, cells)


def _down_min(network: Network, call: LoggedCall) -> float:
    mode = str(call.arguments.get("mode", "warm"))
    if call.tool == "reset_unit":
        return _unit_restart_s(network, call, mode) / 60
    if call.tool == "reset_node":
        return operations.NODE_RESTART_S.get(mode, 480) / 60
    if call.tool == "change_software":
        return operations.SOFTWARE_S.get(str(call.arguments.get("action")), 1080) / 60
    if call.tool == "set_antenna_tilt":
        return 0.0
    if call.tool == "set_parameter" and not _restarts_cell(network, call):
        return 0.0
    return _DOWN_MIN.get(call.tool, (call.end_s - call.time_s) / 60)


def _unit_restart_s(network: Network, call: LoggedCall, mode: str) -> int:
    """Return how long a unit restarts: a main board takes its node with it, a router is slower than a board."""
    record = network.objects.get(str(call.arguments.get("unit_id")))
    if isinstance(record, Router):
        return operations.ROUTER_RESTART_S
    if isinstance(record, Board) and record.kind is BoardKind.MAIN:
        return operations.NODE_RESTART_S["warm"]
    return operations.UNIT_RESTART_S.get(mode, 180)


def _restarts_cell(network: Network, call: LoggedCall) -> bool:
    record = network.objects.get(str(call.arguments.get("element_id")))
    spec = parameters_of(record).get(str(call.arguments.get("parameter"))) if record is not None else None
    return spec is not None and spec.parameter_class == "S"


def _restarts_node(network: Network, call: LoggedCall, element: str) -> bool:
    record = network.objects.get(element)
    if call.tool in ("reset_node", "change_software"):
        return True
    if call.tool == "reset_unit":
        return isinstance(record, Board) and record.kind is BoardKind.MAIN
    return call.tool == "rollback_config" and isinstance(record, Node)


def _cells_out_pct(network: Network, element: str) -> float:
    record = network.objects.get(element)
    node = record.id if isinstance(record, Node) else getattr(record, "node_id", None)
    cells = network.index.cells_of.get(node, ()) if node else ()
    out = sum(not works.in_service(network, name) for name in cells)
    return 100.0 * out / len(cells) if cells else 0.0


def _emergency(network: Network, site: str) -> bool:
    """Return whether an emergency-call area has no serving cell."""
    if not site or not network.get(Site, site).emergency:
        return False
    return not any(works.in_service(network, cell.id) for cell in network.at_site(Cell, site))


def _important(network: Network, site: str) -> bool:
    return bool(site) and (network.get(Site, site).vip or network.get(Site, site).emergency)


def _on_structure(network: Network, site: str) -> bool:
    return any(order.antenna_work for order in _orders(network, site) if order.state is WorkState.ON_SITE)


def _orders(network: Network, site: str) -> list[WorkOrder]:
    return [item for item in network.all(WorkOrder) if item.visit_site_id == site]


def _open_dispatch(network: Network, site: str) -> bool:
    return any(order.state in (WorkState.EN_ROUTE, WorkState.ON_SITE) for order in _orders(network, site))


def _parameter_facts(network: Network, call: LoggedCall, element: str) -> dict[str, Any]:
    """Return what was set, whether the plan says so, and how far it is from the plan."""
    if call.tool == "set_antenna_tilt" and call.arguments.get("action", "set") == "set":
        name, value = "electrical_tilt_deg", call.arguments.get("electrical_tilt_deg")
    elif call.tool == "set_parameter":
        name, value = str(call.arguments.get("parameter")), call.arguments.get("value")
    else:
        return {}
    record = network.objects.get(element)
    spec = parameters_of(record).get(name) if record is not None else None
    if record is None or spec is None:
        return {"parameter": name}
    planned = planned_value(network, record, spec)
    built = getattr(network.region.records.get(element, record), spec.attribute)
    towards = name in _GRADUAL and _nearer(value, getattr(record, spec.attribute), planned)
    right = towards or any(_same(value, wanted) for wanted in (planned, built))
    return {"parameter": name, "planned_value": right, "step": _difference(value, planned)}


def _same(value: Any, wanted: Any) -> bool:
    try:
        return abs(float(value) - float(wanted)) < 1e-6
    except (TypeError, ValueError):
        return str(value).strip().lower() == text_of(wanted).lower()


def _nearer(value: Any, present: Any, planned: Any) -> bool:
    """Return whether a value lies between the present and the planned one: a step on the way."""
    try:
        low, high = sorted((float(present), float(planned)))
        return low <= float(value) <= high and float(value) != float(present)
    except (TypeError, ValueError):
        return False


def _difference(value: Any, planned: Any) -> float:
    try:
        return round(abs(float(value) - float(planned)), 6)
    except (TypeError, ValueError):
        return 0.0


# --- what the case is about ------------------------------------------------------------------------------


def _at_site(network: Network, truth: CaseTruth, site: str) -> list[Defect]:
    """Return the defects that somebody at a site could be sent for."""
    return [
        defect
        for defect in truth.defects
        if site in {site_at(network, name) for name in (defect.element_id, *_accepted(truth, defect))}
    ]


def _accepted(truth: CaseTruth, defect: Defect) -> tuple[str, ...]:
    return fault(defect.code).accepted(truth.network, defect.element_id)


def _remote_remedy(network: Network, call: LoggedCall, earlier: Sequence[LoggedCall], truth: CaseTruth) -> bool:
    """Return whether what is wrong can still be put right without sending anybody."""
    if call.arguments.get("task") == "inspection" and call.arguments.get("urgency") == "next_business_day":
        return False
    here_id = str(call.arguments.get("site_id"))
    here = _at_site(network, truth, here_id)
    left = [defect for defect in here if not fault(defect.code).cleared(network, defect)]
    if not here:
        return True
    return bool(left) and all(_from_afar(network, defect, earlier, here_id) for defect in left)


def _from_afar(network: Network, defect: Defect, earlier: Sequence[LoggedCall], site: str) -> bool:
    """Return whether a defect has a remedy from afar that was not tried, as far as a site is concerned."""
    if defect.code == "utility_mains_outage":
        return _mains_left(network, site, earlier)
    test = _AFAR.get(defect.code)
    if test is not None:
        return test(network, defect, earlier)
    return not fault_infos()[defect.code].tasks


def _breaker_left(network: Network, defect: Defect, earlier: Sequence[LoggedCall]) -> bool:
    _, breaker = network.breaker(defect.element_id)
    if not breaker.remote or breaker.state is BreakerState.DAMAGED:
        return False
    return not _tried(earlier, "control_site_power", breaker_id=defect.element_id)


def _port_left(network: Network, defect: Defect, earlier: Sequence[LoggedCall]) -> bool:
    _, port = network.port(defect.element_id)
    return port.hung and not _tried(earlier, "reset_unit", unit_id=defect.element_id)


def _clock_left(network: Network, defect: Defect, earlier: Sequence[LoggedCall]) -> bool:
    clock = network.get(ClockUnit, defect.element_id)
    return any(source is not clock.source and available(network, clock, source) for source in clock.provisioned[:2])


def _mains_left(network: Network, site: str, earlier: Sequence[LoggedCall]) -> bool:
    """Return whether a site without mains has a generator that nobody has tried to start."""
    power = network.get(PowerSystem, f"PWR-{site[1:]}")
    started = _tried(earlier, "control_site_power", site_id=site, action="start_generator")
    return power.generator is not None and not started


def _unit_left(network: Network, defect: Defect, earlier: Sequence[LoggedCall]) -> bool:
    unit = network.get(RadioUnit, defect.element_id)
    if not _tried(earlier, "reset_unit", unit_id=unit.id):
        return True
    _, feed = network.breaker(unit.breaker_id)
    return feed.remote and not _tried(earlier, "reset_unit", unit_id=unit.id, mode="power_cycle")


_AFAR: dict[str, Callable[[Network, Defect, Sequence[LoggedCall]], bool]] = {
    "site_mains_breaker_trip": _breaker_left,
    "dc_breaker_left_open": _breaker_left,
    "csr_port_or_sfp_failure": _port_left,
    "gnss_antenna_failure": _clock_left,
    "radio_unit_software_hang": _unit_left,
}


def _tried(earlier: Sequence[LoggedCall], tool: str, **arguments: str) -> bool:
    return any(
        item.tool == tool
        and not item.error
        and all(item.arguments.get(key) == value for key, value in arguments.items())
        for item in earlier
    )


def _right_skill(call: LoggedCall, truth: CaseTruth) -> bool:
    if call.tool != "dispatch_technician":
        return True
    here = _at_site(truth.network, truth, str(call.arguments.get("site_id")))
    fitting = {task for defect in here for task in fault_infos()[defect.code].tasks}
    return call.arguments.get("task") in fitting


def _hides(network: Network, call: LoggedCall) -> bool:
    if call.tool == "update_alarm":
        return call.arguments.get("action") == "clear"
    if call.tool == "set_neighbour_relation" and call.arguments.get("action") == "remove":
        name = f"{call.arguments.get('source_cell_id')}>{call.arguments.get('target_cell_id')}"
        return name in network.region.relations
    return False


def _cause_active(network: Network, call: LoggedCall, truth: CaseTruth) -> bool:
    if call.tool == "update_alarm":
        alarm = network.alarms.get(str(call.arguments.get("alarm_id")))
        return alarm is not None and (alarm.key, alarm.object_id) in network.conditions and _holds(network, alarm)
    return any(not fault(defect.code).cleared(network, defect) for defect in truth.defects)


def _holds(network: Network, alarm: Any) -> bool:
    condition = network.conditions.get((alarm.key, alarm.object_id))
    return condition is not None and condition.present
