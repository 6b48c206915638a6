"""The outcome of a case: was the cause found, is it gone, is the ticket closed, is nothing else worse than before?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from telegym.core.score import Score
from telegym.envs.base_station import dependencies as works
from telegym.envs.base_station.faults import Defect, fault
from telegym.envs.base_station.network import ConfigChange, Network
from telegym.envs.base_station.objects import AdministrativeState, Cell
from telegym.envs.base_station.process.records import Escalation, Ticket, TicketStatus, WorkOrder, WorkState
from telegym.envs.base_station.tasks import TICKET, build_case

if TYPE_CHECKING:
    from telegym.core.episode import Episode

__all__ = ["outcome"]

HAND_OVER = {"external_interferer": "spectrum_regulator", "transport_congestion": "rf_planning"}
"""Causes that may be handed over, and to whom."""
NO_REPAIR = frozenset({"planned_work_alarms", "mass_event_congestion", "faulty_sensor_false_alarm"})
"""Causes that need no repair before the case is closed."""


def outcome(episode: Episode) -> Score:
    """Return the score of an episode: 1 if every component is 1, else 0."""
    network = episode.world
    if not isinstance(network, Network):
        raise TypeError(f"the outcome of a case needs a Network, not a {type(network).__name__}")
    data = episode.task.data
    _, defect = build_case(data)
    ticket = network.get(Ticket, TICKET)
    harmed = _harmed(network, data)
    components = {
        "diagnosis": _diagnosis(network, ticket, defect),
        "restored": float(_restored(network, defect)),
        "closed": float(ticket.status is TicketStatus.CLOSED),
        "collateral": float(not harmed),
        "clean": float(not _left_behind(network)),
    }
    reasons = tuple(
        text
        for name, text in (
            ("diagnosis", "the diagnosis is missing or wrong"),
            ("restored", "the cause is still there"),
            ("closed", "the ticket was not closed"),
            ("collateral", f"worse than without the agent: {', '.join(harmed[:5])}"),
            ("clean", f"left behind: {', '.join(_left_behind(network)[:5])}"),
        )
        if components[name] < 1.0
    )
    return Score(value=float(not reasons), components=components, reasons=reasons)


def _diagnosis(network: Network, ticket: Ticket, defect: Defect) -> float:
    """Return 1 for cause and element, 0.3 for the cause alone, from the last submission."""
    if not ticket.diagnoses:
        return 0.0
    last = ticket.diagnoses[-1]
    if last.root_cause != defect.code:
        return 0.0
    return 1.0 if last.element_id in fault(defect.code).accepted(network, defect.element_id) else 0.3


def _restored(network: Network, defect: Defect) -> bool:
    if defect.code in NO_REPAIR or fault(defect.code).cleared(network, defect):
        return True
    party = HAND_OVER.get(defect.code)
    cases = (item for item in network.objects.values() if isinstance(item, Escalation))
    return party is not None and any(case.party == party and case.accepted for case in cases)


def _harmed(network: Network, data: dict[str, object]) -> list[str]:
    """Return cells that are out of service, though they would not be had nobody done anything."""
    out = [cell.id for cell in network.all(Cell) if not works.in_service(network, cell.id)]
    if not out:
        return []
    alone, _ = build_case(data)
    alone.advance(max(network.now - alone.now, 0))
    return [name for name in out if works.in_service(alone, name)]


def _left_behind(network: Network) -> list[str]:
    """Return open work and locks that the agent made."""
    orders = (item for item in network.objects.values() if isinstance(item, WorkOrder))
    found = [order.id for order in orders if order.state in (WorkState.EN_ROUTE, WorkState.ON_SITE)]
    locked = {entry.element_id for entry in network.changes if _locks(entry) and entry.time_s > network.start_s}
    cells = (network.objects.get(name) for name in sorted(locked))
    unlocked = AdministrativeState.UNLOCKED
    found += [cell.id for cell in cells if isinstance(cell, Cell) and cell.administrative_state is not unlocked]
    return found


def _locks(entry: ConfigChange) -> bool:
    return entry.parameter == "administrative_state" and entry.new == AdministrativeState.LOCKED
