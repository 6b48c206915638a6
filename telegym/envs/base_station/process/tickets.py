"""Tickets: priority, links, notes, messages, questions, diagnosis, closing."""

from __future__ import annotations

from dataclasses import replace

from telegym.core.errors import ToolError, did_you_mean
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import integer
from telegym.envs.base_station.process.records import Diagnosis, Note, Notification, Ticket, TicketStatus

__all__ = [
    "MAX_DIAGNOSES",
    "SERVICE_LEVELS_MIN",
    "ask_requester",
    "close_ticket",
    "notify",
    "open_ticket",
    "requester_delay_min",
    "submit_diagnosis",
    "update_ticket",
]

MAX_DIAGNOSES = 2
"""Diagnoses that may be submitted for a ticket."""
SERVICE_LEVELS_MIN = {"P1": (15, 240), "P2": (30, 480), "P3": (240, 1440), "P4": (1440, 7200)}
"""Minutes to acknowledge and to restore, by priority."""


def open_ticket(network: Network, ticket_id: str) -> Ticket:
    """Return a ticket that is not closed.

    Raises:
        ToolError: If there is none, or it is closed.
    """
    ticket = network.get(Ticket, ticket_id)
    if ticket.status is TicketStatus.CLOSED:
        raise ToolError(f"PRECONDITION_FAILED: {ticket_id} is closed")
    return ticket


def update_ticket(
    network: Network,
    ticket_id: str,
    *,
    priority: str | None = None,
    status: str | None = None,
    link_to: str | None = None,
    note: str | None = None,
) -> Ticket:
    """Change a ticket.

    Raises:
        ToolError: If nothing is asked for, or a ticket does not exist.
    """
    ticket = open_ticket(network, ticket_id)
    if priority is None and status is None and link_to is None and note is None:
        raise ToolError("INVALID_ARGUMENT: nothing to update; give priority, status, link_to or note")
    if link_to is not None:
        if link_to == ticket_id:
            raise ToolError(f"INVALID_ARGUMENT: {ticket_id} cannot be linked to itself")
        network.get(Ticket, link_to)
    return network.update(
        ticket,
        priority=priority or ticket.priority,
        status=TicketStatus(status) if status else ticket.status,
        parent_id=link_to or ticket.parent_id,
        notes=(*ticket.notes, Note(network.now, note)) if note else ticket.notes,
    )


def notify(network: Network, ticket_id: str, audience: str, message: str) -> Ticket:
    """Send a message to somebody about a ticket.

    Raises:
        ToolError: If the ticket does not exist or is closed, or the message is empty.
    """
    ticket = open_ticket(network, ticket_id)
    if not message.strip():
        raise ToolError("INVALID_ARGUMENT: the message is empty")
    sent = Notification(network.now, audience, message.strip())
    return network.update(ticket, notifications=(*ticket.notifications, sent))


def requester_delay_min(network: Network, ticket: Ticket) -> int:
    """Return how long the requester takes to answer the next question, 3 to 20 minutes."""
    return integer(3, 20, network.seed, "requester", ticket.id, len(ticket.notes))


def ask_requester(network: Network, ticket_id: str, question: str) -> int:
    """Ask the requester; the answer is that of `requester.reply` once the delay has passed.

    Returns:
        The delay in minutes.

    Raises:
        ToolError: If the ticket does not exist or is closed, or no person reported it.
    """
    ticket = open_ticket(network, ticket_id)
    if not ticket.human:
        raise ToolError(f"PRECONDITION_FAILED: {ticket_id} was opened by a system ({ticket.source}), nobody to ask")
    delay = requester_delay_min(network, ticket)
    network.update(ticket, notes=(*ticket.notes, Note(network.now, f"asked: {question}")))
    return delay


def submit_diagnosis(
    network: Network, ticket_id: str, root_cause: str, element_id: str, additional: tuple[str, ...] = ()
) -> Ticket:
    """Submit a root cause; the last submission counts.

    Raises:
        ToolError: If the ticket does not exist or is closed, the element does not exist, or too many were submitted.
    """
    ticket = open_ticket(network, ticket_id)
    if len(ticket.diagnoses) >= MAX_DIAGNOSES:
        raise ToolError(f"PRECONDITION_FAILED: {MAX_DIAGNOSES} diagnoses were submitted for {ticket_id} already")
    if element_id not in network.objects and not _is_part(network, element_id):
        raise ToolError(f"INVALID_ARGUMENT: no element {element_id!r}.{did_you_mean(element_id, network.objects)}")
    found = Diagnosis(network.now, root_cause, element_id, additional)
    return network.update(ticket, diagnoses=(*ticket.diagnoses, found))


def _is_part(network: Network, name: str) -> bool:
    """Return whether a name is that of a part with its own id: a breaker, a port, a relation or an alarm."""
    if name in network.relations or name in network.region.relations or name in network.alarms:
        return True
    owner = network.objects.get(name.rpartition("-")[0])
    parts = (*getattr(owner, "breakers", ()), *getattr(owner, "ports", ()), *getattr(owner, "licences", ()))
    return any(part.id == name for part in parts)


def close_ticket(network: Network, ticket_id: str, resolution: str, summary: str) -> Ticket:
    """Close a ticket.

    Raises:
        ToolError: If it does not exist, is closed, or has no diagnosis.
    """
    ticket = open_ticket(network, ticket_id)
    if not ticket.diagnoses:
        raise ToolError(f"PRECONDITION_FAILED: no diagnosis was submitted for {ticket_id}")
    closed = replace(ticket, status=TicketStatus.CLOSED, resolution=resolution, summary=summary, closed_s=network.now)
    network.add(closed)
    return closed
