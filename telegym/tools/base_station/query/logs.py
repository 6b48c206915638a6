"""Event logs: `get_logs` of nodes, units, routers and sites.

A log holds what was changed, which alarms came and went, starts, and what software writes every few minutes while
something in it is not right.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from telegym.envs.base_station import alarms, dependencies
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import mix
from telegym.envs.base_station.objects import Board, Cell, Node, RadioUnit, Record, Router, Site
from telegym.envs.base_station.process.records import WorkOrder, WorkState
from telegym.tools.base_station import _elements as elements
from telegym.tools.base_station._errors import Code, refusal
from telegym.tools.base_station._format import Report, cell, second

__all__ = ["get_logs"]

_LEVELS = {"DEBUG": 0, "INFO": 1, "WARN": 2, "ERROR": 3}
_OF_SEVERITY = {"CRITICAL": "ERROR", "MAJOR": "ERROR", "MINOR": "WARN", "WARNING": "WARN"}
REPEAT_S = 900
"""How often software repeats a complaint."""
REPEATS = 3
"""How many of its last repetitions are kept."""


class Line(NamedTuple):
    """A line of a log."""

    time_s: int
    """When."""
    level: str
    """How serious."""
    source: str
    """Who wrote it."""
    text: str
    """What it says."""


def get_logs(
    network: Network,
    report: Report,
    element_id: str,
    hours: int = 24,
    min_level: str = "WARN",
    keyword: str | None = None,
    limit: int = 20,
) -> Report:
    """Answer with the log lines of an element and of its parts, newest first."""
    record = elements.element(network, element_id)
    network.settle()
    names = _family(network, record)
    kept = list(_kept_centrally(network, names))
    answers = _answers(network, record)
    if not answers and not kept:
        raise refusal(Code.ELEMENT_UNREACHABLE, f"{element_id} does not answer, and nothing was kept of its log")
    lines = kept + (list(_own(network, names)) if answers else [])
    since, needle = network.now - 3600 * hours, (keyword or "").lower()
    wanted = [
        line
        for line in sorted(lines, key=lambda line: (-line.time_s, line.source, line.text))
        if line.time_s >= since
        and line.time_s <= network.now
        and _LEVELS[line.level] >= _LEVELS[min_level]
        and (not needle or needle in line.text.lower())
    ]
    report.fields(element=element_id, lines=len(wanted), source="element" if answers else "buffered centrally")
    rows = [(second(line.time_s), line.level, line.source, cell(line.text)) for line in wanted[:limit]]
    if limit > 20:
        report.long()
    return report.table(("time", "level", "source", "text"), rows, more=len(wanted) - len(rows)) if rows else report


def _family(network: Network, record: Record) -> dict[str, Record]:
    """Return an element and its parts by id."""
    family = {record.id: record}
    if isinstance(record, Site):
        family |= {item.id: item for item in network.at_site(Cell, record.id)}
        for kind in (Node, Board, RadioUnit, Router):
            family |= {item.id: item for item in network.at_site(kind, record.id)}
    if isinstance(record, Node):
        below = (*network.index.boards_of.get(record.id, ()), *network.index.cells_of.get(record.id, ()))
        family |= {name: network.objects[name] for name in below}
        units = (unit for board in network.index.boards_of.get(record.id, ()) for unit in _units(network, board))
        family |= {name: network.objects[name] for name in units}
    if isinstance(record, Board):
        family |= {name: network.objects[name] for name in network.index.cells_of.get(record.id, ())}
    if isinstance(record, RadioUnit):
        family |= {name: network.objects[name] for name in network.index.cells_of.get(record.id, ())}
    return family


def _units(network: Network, board: str) -> tuple[str, ...]:
    return network.index.units_of.get(board, ())


def _answers(network: Network, record: Record) -> bool:
    if isinstance(record, Node):
        return dependencies.oam_reachable(network, record.id)
    if isinstance(record, Cell | Board | RadioUnit):
        return dependencies.oam_reachable(network, record.node_id)
    if isinstance(record, Router):
        return dependencies.router_reachable(network, record.id)
    if isinstance(record, Site):
        return dependencies.power_controller_reachable(network, record.id)
    return True


def _kept_centrally(network: Network, names: dict[str, Record]) -> Iterator[Line]:
    """Yield what the management system itself knows: changes and alarms."""
    for change in network.changes:
        if change.element_id in names or change.element_id.partition(">")[0] in names:
            text = f"CM {change.parameter}: {change.old or '-'} -> {change.new or '-'} by {change.user}"
            yield Line(change.time_s, "INFO", change.element_id, f"{text} {change.change_id}".strip())
    for alarm in network.alarms.values():
        if alarm.object_id in names or (alarm.site_id in names):
            problem = alarms.specific_problem(network, alarm)
            level = _OF_SEVERITY.get(alarm.severity.value, "WARN")
            yield Line(alarm.raised_s, level, alarm.object_id, f"FM raised {problem}")
            if alarm.cleared_s is not None:
                yield Line(alarm.cleared_s, "INFO", alarm.object_id, f"FM cleared {problem}")
    yield from _visits(network, names)


def _visits(network: Network, names: dict[str, Record]) -> Iterator[Line]:
    """Yield who came to a site, and what was done there."""
    for order in network.all(WorkOrder):
        if order.visit_site_id not in names or order.state is WorkState.CANCELLED:
            continue
        about = f"{order.id} {{}}: {order.task} by {order.technician_id}"
        if order.state in (WorkState.ON_SITE, WorkState.DONE):
            yield Line(order.arrival_s, "INFO", order.visit_site_id, about.format("begun"))
        if order.left_s is not None:
            yield Line(order.left_s, "INFO", order.visit_site_id, f"{about.format('ended')}. {order.note}".strip())


def _own(network: Network, names: dict[str, Record]) -> Iterator[Line]:
    """Yield what the elements write themselves."""
    for record in names.values():
        if isinstance(record, Node):
            yield Line(record.booted_s, "INFO", record.id, f"started, software {record.software}")
        for level, text in _complaints(network, record):
            phase = mix(network.seed, "log", record.id, text) % REPEAT_S
            last = (network.now - phase) // REPEAT_S * REPEAT_S + phase
            for back in range(REPEATS):
                yield Line(last - back * REPEAT_S, level, record.id, text)


def _complaints(network: Network, record: Record) -> Iterator[tuple[str, str]]:
    """Yield what an element's software notices about itself."""
    if isinstance(record, RadioUnit):
        if record.failed:
            yield "ERROR", "PA_FAIL no output power, DC/DC under-voltage"
        if record.hang:
            yield "ERROR", "watchdog: no heartbeat from the unit's management software, optical link in sync"
        if record.failed_branches:
            branches = "|".join("ABCDEFGH"[branch] for branch in record.failed_branches)
            yield "ERROR", f"TX branch {branches}: forward power below limit"
    elif isinstance(record, Board):
        if record.failed:
            yield "ERROR", "self-test failed, board held in reset"
        if record.hang:
            yield "ERROR", "watchdog: supervision task not served"
        if record.memory_pct > 85:
            yield "WARN", f"heap {record.memory_pct:.0f} % used and growing"
    elif isinstance(record, Cell):
        yield from _cell_complaints(network, record)
    elif isinstance(record, Node):
        if not dependencies.certificate_valid(network, record.id):
            yield "ERROR", "IKE_AUTH rejected: own certificate has expired"
    elif isinstance(record, Router):
        for port in record.ports:
            if port.hung:
                yield "ERROR", f"{port.id} err-disabled: keepalive loop suspected"
            if port.sfp_failed:
                yield "ERROR", f"{port.id} transceiver: laser bias out of range, TX fault"
    elif isinstance(record, Site) and record.intruded:
        yield "WARN", "access control: door opened without badge"


def _cell_complaints(network: Network, item: Cell) -> Iterator[tuple[str, str]]:
    if item.access_hung:
        yield "DEBUG", "RA statistics: 0 preambles answered in period"
    built = network.region.records.get(item.id)
    if isinstance(built, Cell) and item.tac != built.tac:
        yield "WARN", f"tracking area update rejected by core: TAI {item.tac} not known to neighbours"
    if isinstance(built, Cell) and item.max_connected_users < built.max_connected_users:
        yield "WARN", "ADMISSION_REJECT: limit of connected users reached"
