"""Process: change requests, messages, questions, tickets, escalations."""

from __future__ import annotations

from telegym.envs.base_station.network import Network
from telegym.envs.base_station.process import changes, parties, requester, tickets
from telegym.envs.base_station.process.records import Ticket
from telegym.tools.base_station import _elements as elements
from telegym.tools.base_station._errors import Code, refusal
from telegym.tools.base_station._format import Report, minute

__all__ = [
    "ask_requester",
    "escalate_ticket",
    "notify_stakeholders",
    "request_change_approval",
    "update_ticket",
]


def request_change_approval(
    network: Network,
    report: Report,
    element_ids: list[str],
    change_type: str,
    justification: str,
    window_id: str | None = None,
    emergency: bool = False,
) -> Report:
    """Ask for approval of a change; the decision comes later."""
    ticket = _current_ticket(network)
    names = tuple(dict.fromkeys(element_ids))
    for name in names:
        elements.element(network, name)
    change = changes.request(
        network, ticket.id, names, change_type, justification, window_id=window_id, emergency=emergency
    )
    report.fields(change=change.id, status=change.status, kind=change.kind, emergency=change.emergency)
    due = network.agenda.due_s("change_decision", (change.id,))
    return report.fields(elements=change.element_ids, decision_expected=minute(due or network.now))


def _current_ticket(network: Network) -> Ticket:
    """Return the ticket that is being worked on: the one that was opened first and is not closed."""
    opened = [item for item in network.all(Ticket) if item.closed_s is None]
    if not opened:
        raise refusal(Code.PRECONDITION_FAILED, "no ticket is open")
    return min(opened, key=lambda item: (item.parent_id is not None, item.opened_s, item.id))


def notify_stakeholders(network: Network, report: Report, audience: str, ticket_id: str, message: str) -> Report:
    """Send a message to somebody about a ticket."""
    tickets.notify(network, ticket_id, audience, message)
    return report.fields(ticket=ticket_id, audience=audience, sent=minute(network.now))


def ask_requester(network: Network, report: Report, ticket_id: str, question: str, text: str = "") -> Report:
    """Ask who reported a ticket, and wait for the answer."""
    delay = tickets.ask_requester(network, ticket_id, question)
    network.advance(60 * delay)
    heard = requester.reply(network, network.get(Ticket, ticket_id), question)
    report.fields(ticket=ticket_id, question=question, waited_min=delay).line(f"answer: {heard.answer}")
    return report.line(f"said: {heard.said}") if heard.said else report


def update_ticket(
    network: Network,
    report: Report,
    ticket_id: str,
    priority: str | None = None,
    status: str | None = None,
    link_to: str | None = None,
    note: str | None = None,
) -> Report:
    """Change a ticket."""
    ticket = tickets.update_ticket(
        network, ticket_id, priority=priority, status=status, link_to=link_to, note=note[:600] if note else None
    )
    report.fields(ticket=ticket.id, priority=ticket.priority, status=ticket.status, linked_to=ticket.parent_id)
    return report.fields(notes=len(ticket.notes))


def escalate_ticket(
    network: Network, report: Report, ticket_id: str, target: str, summary: str, element_ids: list[str]
) -> Report:
    """Hand a case to another party; the answer comes later."""
    names = tuple(dict.fromkeys(element_ids))
    for name in names:
        elements.element(network, name)
    case = parties.escalate(network, ticket_id, target, summary, names)
    report.fields(escalation=case.id, party=case.party, state="WAITING", ticket=case.ticket_id)
    return report.fields(elements=case.element_ids, asked=minute(case.asked_s))
