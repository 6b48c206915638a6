"""Control: waiting, and what ends a case: diagnosis, answer, closing."""

from __future__ import annotations

from telegym.envs.base_station.engine import Happening
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.process import tickets
from telegym.envs.base_station.process.records import Question
from telegym.tools.base_station import _elements as elements
from telegym.tools.base_station._definition import definition
from telegym.tools.base_station._errors import Code, refusal
from telegym.tools.base_station._format import Report, cell, second

__all__ = ["close_ticket", "submit_answer", "submit_diagnosis", "wait"]

_STOPPING = frozenset({"technician_arrived", "change_decided", "party_answered", "party_restored", "generator"})
"""What somebody who waits is called for."""
_QUIET = frozenset({"alarm_raised", "alarm_cleared", "alarm_changed"})
"""What is only counted, unless somebody is called for it."""
MAX_EVENTS = 12
"""Events that are told one by one."""


def _calls(event: Happening) -> bool:
    return event.kind in _STOPPING or (event.kind == "alarm_raised" and event.detail == "CRITICAL")


def wait(network: Network, report: Report, minutes: int) -> Report:
    """Let time pass, until something happens that concerns the case."""
    start = network.now
    happened = network.advance(60 * minutes, until=_calls)
    waited = (network.now - start) / 60
    stopped = network.now - start < 60 * minutes
    report.fields(waited_min=round(waited, 1), now=second(network.now), stopped_early=stopped)
    kinds = [event.kind for event in happened]
    report.fields(alarms_raised=kinds.count("alarm_raised"), alarms_cleared=kinds.count("alarm_cleared"))
    rows = [_told(network, event) for event in happened if event.kind not in _QUIET or _calls(event)]
    if not rows:
        return report
    surplus = max(len(rows) - MAX_EVENTS, 0)
    return report.table(("time", "event", "subject", "detail"), rows[surplus:], more=surplus, keep_last=True)


def _told(network: Network, event: Happening) -> tuple[str, str, str, str]:
    """Return an event as a row; alarms with what they are about."""
    alarm = network.alarms.get(event.subject)
    detail = event.detail if alarm is None else f"{event.detail} {alarm.object_id}"
    return second(event.at_s), event.kind, event.subject, cell(detail or "-")


def submit_diagnosis(
    network: Network,
    report: Report,
    ticket_id: str,
    root_cause: str,
    element_id: str,
    additional_causes: list[str] | None = None,
) -> Report:
    """Submit a root cause and the faulty element."""
    extra = tuple(additional_causes or ())
    for item in extra:
        _check_cause(network, item)
    ticket = tickets.submit_diagnosis(network, ticket_id, root_cause, element_id, extra)
    left = tickets.MAX_DIAGNOSES - len(ticket.diagnoses)
    return report.fields(ticket=ticket_id, root_cause=root_cause, element=element_id, submissions_left=left)


def _check_cause(network: Network, text: str) -> None:
    code, mark, name = text.partition("@")
    known = definition("submit_diagnosis").parameters["root_cause"]["enum"]
    if not mark or code not in known:
        raise refusal(Code.INVALID_ARGUMENT, f"additional_causes are written code@element, not {text[:60]!r}")
    elements.element(network, name)


def submit_answer(network: Network, report: Report, answer: str, unit: str = "") -> Report:
    """Submit the answer to a question; this ends the episode."""
    asked = list(network.all(Question))
    if not asked:
        raise refusal(Code.PRECONDITION_FAILED, "this is no question task")
    network.update(asked[0], answer=answer.strip(), unit=unit.strip(), answered_s=network.now)
    return report.fields(answer=answer.strip()[:200], unit=unit.strip() or None)


def close_ticket(network: Network, report: Report, ticket_id: str, resolution: str, summary: str) -> Report:
    """Close a ticket; this ends the episode."""
    ticket = tickets.close_ticket(network, ticket_id, resolution, summary)
    return report.fields(ticket=ticket.id, status=ticket.status, resolution=resolution)
