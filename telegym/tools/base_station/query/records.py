"""Process records, resources, notices from outside, and the knowledge base."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from telegym.core.errors import did_you_mean
from telegym.envs.base_station import dependencies
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.objects import Record, Site, TransportLink
from telegym.envs.base_station.process.field import catalogue, on_shift, travel_min, work_cost_eur
from telegym.envs.base_station.process.records import (
    Change,
    ChangeStatus,
    Depot,
    Escalation,
    Notice,
    Technician,
    TechnicianState,
    Ticket,
    TicketStatus,
    Window,
    WorkOrder,
    WorkState,
)
from telegym.envs.base_station.process.tickets import SERVICE_LEVELS_MIN
from telegym.tools.base_station import _elements as elements
from telegym.tools.base_station._errors import Code, not_found, refusal
from telegym.tools.base_station._format import Report, cell, minute
from telegym.tools.base_station._knowledge import passages, search

__all__ = ["get_external_notices", "get_record", "list_resources", "search_knowledge_base"]

PAST_S = 24 * 3600
"""How long ago something may have ended to be listed still."""


# --- get_external_notices ---------------------------------------------------------------------------------


def get_external_notices(
    network: Network, report: Report, scope_id: str = elements.REGION, hours_ahead: int = 24
) -> Report:
    """Answer with outages, works, weather, events and approved work that touch a scope."""
    touched = _touched(network, scope_id)
    horizon = network.now + 3600 * hours_ahead
    rows = sorted(
        (start, end, kind, scope, text)
        for start, end, kind, scope, text in (*_notices(network), *_planned_work(network))
        if start <= horizon and end >= network.now - PAST_S and (touched is None or touched & set(scope))
    )
    report.fields(scope=scope_id, notices=len(rows))
    table = [
        (kind, minute(start), minute(end), "|".join(scope) or elements.REGION, cell(text))
        for start, end, kind, scope, text in rows
    ]
    return report.table(("kind", "start", "expected_end", "scope", "text"), table) if rows else report


Entry = tuple[int, int, str, tuple[str, ...], str]


def _notices(network: Network) -> Iterator[Entry]:
    for item in network.all(Notice):
        if item.published_s <= network.now:
            yield item.start_s, item.end_s, item.kind, item.scope, item.text


def _planned_work(network: Network) -> Iterator[Entry]:
    for window in network.all(Window):
        yield (
            window.start_s,
            window.end_s,
            "planned_work",
            _with_sites(network, window.element_ids),
            f"{window.id}: {window.purpose} ({window.owner})",
        )
    for change in network.all(Change):
        if change.status is ChangeStatus.APPROVED:
            scope = _with_sites(network, change.element_ids)
            yield change.valid_from_s, change.valid_to_s, "approved_change", scope, f"{change.id}: {change.kind}"


def _with_sites(network: Network, names: tuple[str, ...]) -> tuple[str, ...]:
    sites = [network.index.site_of.get(name) for name in names]
    return tuple(dict.fromkeys([*names, *[site for site in sites if site]]))


def _touched(network: Network, scope_id: str) -> set[str] | None:
    """Return the names under which a notice may concern a scope; None for everything."""
    if scope_id == elements.REGION:
        return None
    names = {scope_id, elements.REGION}
    record = network.objects.get(scope_id)
    if isinstance(record, TransportLink):
        names |= {record.a_id, record.b_id}
    for site_id in elements.sites_in(network, scope_id):
        site = network.get(Site, site_id)
        names |= {site_id, site.utility_zone, f"CSR-{site_id[1:]}", *dependencies.path_links(network, site_id)}
        names |= set(network.index.at_site[site_id]) if record is site else set()
    return names


# --- get_record -------------------------------------------------------------------------------------------


def get_record(network: Network, report: Report, record_id: str) -> Report:
    """Answer with a ticket, work order, change request, maintenance window or escalation."""
    record = network.objects.get(record_id)
    show: Callable[[Network, Report, Any], Report] | None = _RECORDS.get(type(record)) if record else None
    if show is None:
        known = [item.id for kind in _RECORDS for item in network.all(kind)]
        raise not_found("record", record_id, known)
    return show(network, report, record)


def _ticket(network: Network, report: Report, ticket: Ticket) -> Report:
    restore = ticket.opened_s + 60 * SERVICE_LEVELS_MIN[ticket.priority][1]
    report.fields(ticket=ticket.id, status=ticket.status, priority=ticket.priority, source=ticket.source)
    report.fields(
        opened=minute(ticket.opened_s), restore_by=minute(restore), requester="person" if ticket.human else "system"
    )
    report.fields(scope=ticket.scope, linked_to=ticket.parent_id, diagnoses=len(ticket.diagnoses))
    report.line(f"title: {ticket.title}").line(f"text: {ticket.text}")
    if ticket.notifications:
        report.details(notified=tuple(f"{item.audience}@{minute(item.time_s)}" for item in ticket.notifications))
    rows = [(minute(note.time_s), cell(note.text)) for note in ticket.notes]
    return report.table(("note_time", "note"), rows, keep_last=True) if rows else report


def _work_order(network: Network, report: Report, order: WorkOrder) -> Report:
    report.fields(work_order=order.id, state=order.state, site=order.visit_site_id, task=order.task)
    report.fields(technician=order.technician_id, arrival=minute(order.arrival_s), ticket=order.ticket_id)
    left = minute(order.left_s) if order.left_s is not None else None
    report.fields(parts_on_van=order.parts, parts_used=order.used, left=left)
    report.details(note=order.note, cost_eur=round(work_cost_eur(order, network.now)))
    rows = [(minute(note.time_s), cell(note.text)) for note in order.findings]
    return report.table(("time", "finding"), rows, keep_last=True) if rows else report


def _change(network: Network, report: Report, change: Change) -> Report:
    report.fields(change=change.id, status=change.status, kind=change.kind, emergency=change.emergency)
    report.fields(elements=change.element_ids, ticket=change.ticket_id, window=change.window_id)
    if change.status in (ChangeStatus.APPROVED, ChangeStatus.EXPIRED):
        report.fields(valid_from=minute(change.valid_from_s), valid_to=minute(change.valid_to_s))
    if change.reason:
        report.line(f"reason: {change.reason}")
    return report.details(asked=minute(change.asked_s), justification=change.justification[:200])


def _window(network: Network, report: Report, window: Window) -> Report:
    state = "PLANNED" if network.now < window.start_s else "ACTIVE" if network.now < window.end_s else "ENDED"
    report.fields(window=window.id, state=state, start=minute(window.start_s), end=minute(window.end_s))
    return report.fields(elements=window.element_ids, owner=window.owner).line(f"purpose: {window.purpose}")


def _escalation(network: Network, report: Report, case: Escalation) -> Report:
    state = {None: "WAITING", True: "ACCEPTED", False: "REFUSED"}[case.accepted]
    report.fields(escalation=case.id, party=case.party, state=state, ticket=case.ticket_id, asked=minute(case.asked_s))
    report.fields(elements=case.element_ids)
    if case.answer:
        report.line(f"answer: {case.answer}")
    return report.fields(restore_expected=minute(case.restore_s)) if case.restore_s is not None else report


_RECORDS: dict[type[Record], Callable[[Network, Report, Any], Report]] = {
    Ticket: _ticket,
    WorkOrder: _work_order,
    Change: _change,
    Window: _window,
    Escalation: _escalation,
}


# --- list_resources ---------------------------------------------------------------------------------------


def list_resources(
    network: Network, report: Report, resource_type: str, site_id: str | None = None, part_type: str | None = None
) -> Report:
    """Answer with people, parts, generators, windows or open records."""
    site = network.get(Site, site_id) if site_id is not None else None
    if part_type is not None and part_type not in catalogue().parts:
        raise not_found("part type", part_type, catalogue().parts)
    return _RESOURCES[resource_type](network, report, site, part_type)


def _technicians(network: Network, report: Report, site: Site | None, part_type: str | None) -> Report:
    rows = []
    for item in network.all(Technician):
        free = item.state is TechnicianState.IDLE and on_shift(item, network.now)
        eta = str(travel_min(network, site, network.now, parts=False)) if site is not None and free else "-"
        rows.append((item.id, "|".join(item.skills), item.shift, item.state.value, "yes" if free else "no", eta))
    report.fields(technicians=len(rows), site=site.id if site else None)
    return report.table(("technician_id", "skills", "shift", "state", "free_now", "eta_min"), rows)


def _spares(network: Network, report: Report, site: Site | None, part_type: str | None) -> Report:
    depot = network.get(Depot, "DEPOT")
    wanted = [name for name in catalogue().parts if part_type in (None, name)]
    rows = [(name, str(depot.stock(name)), f"{catalogue().parts[name].price:.0f}") for name in wanted]
    report.fields(depot=depot.id, part_types=len(rows))
    expected = tuple(f"{name}@{minute(at_s)}" for name, at_s in depot.expected if name in wanted)
    if expected:
        report.fields(expected=expected)
    return report.table(("part_type", "stock", "price_eur"), rows)


def _mobile_generators(network: Network, report: Report, site: Site | None, part_type: str | None) -> Report:
    depot = network.get(Depot, "DEPOT")
    report.fields(mobile_generators_free=depot.mobile_generators)
    if site is not None:
        report.fields(site=site.id, eta_min=travel_min(network, site, network.now, parts=True))
    return report


def _windows(network: Network, report: Report, site: Site | None, part_type: str | None) -> Report:
    found = [
        item
        for item in network.all(Window)
        if item.end_s >= network.now and (site is None or site.id in _with_sites(network, item.element_ids))
    ]
    report.fields(maintenance_windows=len(found))
    rows = [
        (item.id, minute(item.start_s), minute(item.end_s), "|".join(item.element_ids), cell(item.purpose))
        for item in sorted(found, key=lambda item: (item.start_s, item.id))
    ]
    return report.table(("window_id", "start", "end", "elements", "purpose"), rows) if rows else report


def _open_records(network: Network, report: Report, site: Site | None, part_type: str | None) -> Report:
    rows: list[tuple[str, str, str, str]] = []
    for ticket in network.all(Ticket):
        if ticket.status is not TicketStatus.CLOSED:
            rows.append((ticket.id, ticket.status.value, "|".join(ticket.scope), cell(ticket.title)))
    for order in network.all(WorkOrder):
        if order.state in (WorkState.PLANNED, WorkState.EN_ROUTE, WorkState.ON_SITE):
            rows.append((order.id, order.state.value, order.visit_site_id, order.task))
    for change in network.all(Change):
        if change.status in (ChangeStatus.PENDING, ChangeStatus.APPROVED):
            rows.append((change.id, change.status.value, "|".join(change.element_ids), change.kind))
    for case in network.all(Escalation):
        if case.accepted is None:
            rows.append((case.id, "WAITING", "|".join(case.element_ids), case.party))
    if site is not None:
        rows = [row for row in rows if site.id in _with_sites(network, tuple(row[2].split("|")))]
    return report.fields(open_records=len(rows)).table(("record_id", "status", "scope", "about"), rows)


_RESOURCES: dict[str, Callable[[Network, Report, Site | None, str | None], Report]] = {
    "technicians": _technicians,
    "spares": _spares,
    "mobile_generators": _mobile_generators,
    "maintenance_windows": _windows,
    "open_records": _open_records,
}


# --- search_knowledge_base --------------------------------------------------------------------------------


def search_knowledge_base(network: Network, report: Report, query: str, limit: int = 2) -> Report:
    """Answer with the passages that fit a query best."""
    if not query.strip():
        raise refusal(Code.INVALID_ARGUMENT, "the query is empty")
    language = report.style.language
    found = search(query, language, limit)
    report.fields(passages=len(found))
    if not found:
        hint = did_you_mean(query[:60], [item.id for item in passages(language)])
        report.line(f"nothing found.{hint}")
    for item in found:
        report.line(f"[{item.id}] {item.title}: {item.text}")
    return report
