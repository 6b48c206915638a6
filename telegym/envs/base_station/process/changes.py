"""Change requests: who may work on what, and when."""

from __future__ import annotations

from telegym.core.errors import ToolError
from telegym.envs.base_station import dependencies as works
from telegym.envs.base_station.engine import DAY_S, HOUR_S, MINUTE_S, handles
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.objects import Board, BoardKind, Cell, Node, Record, Site
from telegym.envs.base_station.process.records import Change, ChangeStatus, Ticket, TicketStatus, Window

__all__ = ["EMERGENCY_MIN", "NORMAL_MIN", "VALID_H", "cells_affected", "request", "valid_change"]

EMERGENCY_MIN = 5
"""Minutes to decide on an emergency change."""
NORMAL_MIN = 30
"""Minutes to decide on a normal change, in office hours."""
OFFICE_H = (7, 19)
"""Office hours."""
VALID_H = 4
"""Hours an approval is valid outside a maintenance window."""
RESTART_BAN_H = (6, 23)
"""Hours of day in which nodes are not restarted while they carry traffic."""


def request(
    network: Network,
    ticket_id: str,
    element_ids: tuple[str, ...],
    kind: str,
    justification: str,
    *,
    window_id: str | None = None,
    emergency: bool = False,
) -> Change:
    """Ask for approval; the decision comes later.

    Raises:
        ToolError: If an element, the ticket or the window does not exist.
    """
    for name in element_ids:
        network.get(Record, name)
    if window_id is not None:
        network.get(Window, window_id)
    if not justification.strip():
        raise ToolError("INVALID_ARGUMENT: the justification is empty")
    number = 18 + sum(1 for _ in _changes(network))
    change = Change(
        f"CR-{number:05}",
        ticket_id,
        element_ids,
        kind,
        emergency,
        justification.strip(),
        network.now,
        window_id=window_id,
    )
    network.add(change)
    network.schedule(_decision_s(network.now, emergency), "change_decision", change.id)
    return change


def _changes(network: Network) -> list[Change]:
    return list(network.all(Change))


def _decision_s(now: int, emergency: bool) -> int:
    """Return when a change is decided: at once in an emergency, half an hour in office hours, else the next morning."""
    if emergency:
        return now + EMERGENCY_MIN * MINUTE_S
    hour = now % DAY_S / HOUR_S
    if OFFICE_H[0] <= hour < OFFICE_H[1]:
        return now + NORMAL_MIN * MINUTE_S
    morning = now - now % DAY_S + OFFICE_H[0] * HOUR_S
    return morning if morning > now else morning + DAY_S


@handles("change_decision")
def _decide(network: Network, change_id: str) -> None:
    change = network.get(Change, change_id)
    reason = _objection(network, change)
    if reason:
        network.update(change, status=ChangeStatus.REJECTED, reason=reason)
    else:
        window = network.get(Window, change.window_id) if change.window_id else None
        start = window.start_s if window else network.now
        end = window.end_s if window else network.now + VALID_H * HOUR_S
        network.update(change, status=ChangeStatus.APPROVED, valid_from_s=start, valid_to_s=end)
        network.schedule(end, "change_expiry", change_id)
    network.report("change_decided", change_id, network.get(Change, change_id).status)


@handles("change_expiry")
def _expire(network: Network, change_id: str) -> None:
    change = network.get(Change, change_id)
    if change.status is ChangeStatus.APPROVED:
        network.update(change, status=ChangeStatus.EXPIRED)


def _objection(network: Network, change: Change) -> str:
    """Return why a change is rejected; empty if it is approved."""
    if not any(_is_open(ticket) for ticket in network.objects.values() if isinstance(ticket, Ticket)):
        return "no open ticket"
    if change.emergency:
        return "" if _in_trouble(network, change) else "no emergency: the elements and their cells are in service"
    hour = network.now % DAY_S / HOUR_S
    restart = change.kind in ("reset", "rollback", "software") and _restarts_node(network, change)
    if (
        restart
        and change.window_id is None
        and RESTART_BAN_H[0] <= hour < RESTART_BAN_H[1]
        and not _half_out(network, change)
    ):
        return "a node in service is restarted in a maintenance window only"
    return ""


def _is_open(ticket: Ticket) -> bool:
    return ticket.status is not TicketStatus.CLOSED


def cells_affected(network: Network, element_id: str) -> list[Cell]:
    """Return the cells that an element carries: itself, or those of its unit, board, node, router or site."""
    record = network.objects.get(element_id)
    if isinstance(record, Cell):
        return [record]
    cells = list(network.all(Cell))
    if isinstance(record, Site):
        return [cell for cell in cells if cell.site_id == record.id]
    keyed = [cell for cell in cells if element_id in (cell.ru_id, cell.board_id, cell.node_id)]
    if keyed or record is None:
        return keyed
    if isinstance(record, Board):
        return [cell for cell in cells if cell.node_id == record.node_id] if record.kind is BoardKind.MAIN else []
    site = getattr(record, "site_id", None)
    if site is not None and not hasattr(record, "ru_id"):
        return [cell for cell in cells if cell.site_id == site]
    unit = getattr(record, "ru_id", None)
    if unit is not None:
        return [cell for cell in cells if cell.ru_id == unit]
    using = {site for site in network.region.transport.paths if element_id in works.path_links(network, site)}
    return [cell for cell in cells if cell.site_id in using]


def _in_trouble(network: Network, change: Change) -> bool:
    cells = [cell for name in change.element_ids for cell in cells_affected(network, name)]
    return any(not works.in_service(network, cell.id) or works.capability(network, cell.id) < 0.7 for cell in cells)


def _restarts_node(network: Network, change: Change) -> bool:
    return any(
        isinstance(record := network.objects.get(name), Node)
        or (isinstance(record, Board) and record.kind is BoardKind.MAIN)
        for name in change.element_ids
    )


def _half_out(network: Network, change: Change) -> bool:
    cells = [cell for name in change.element_ids for cell in cells_affected(network, name)]
    out = sum(not works.in_service(network, cell.id) for cell in cells)
    return bool(cells) and 2 * out >= len(cells)


def valid_change(network: Network, change_id: str | None, element_id: str) -> Change | None:
    """Return the approved change that covers an element now, or None."""
    found = [network.objects.get(change_id)] if change_id else list(_changes(network))
    for change in found:
        if not isinstance(change, Change) or change.status is not ChangeStatus.APPROVED:
            continue
        if element_id in change.element_ids and change.valid_from_s <= network.now < change.valid_to_s:
            return change
    return None
