"""Records of the process, immutable as all records of a network (TMF 621 tickets, 655 changes, 697 work orders)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from telegym.envs.base_station.objects import Record

__all__ = [
    "Change",
    "ChangeStatus",
    "Depot",
    "Diagnosis",
    "Escalation",
    "Note",
    "Notice",
    "Notification",
    "Question",
    "Technician",
    "TechnicianState",
    "Ticket",
    "TicketStatus",
    "Window",
    "WorkOrder",
    "WorkState",
]


class TicketStatus(StrEnum):
    """Where a ticket stands."""

    OPEN = "open"
    IN_PROGRESS = "in_progress"
    PENDING_FIELD = "pending_field"
    PENDING_THIRD_PARTY = "pending_third_party"
    MONITORING = "monitoring"
    CLOSED = "closed"


class ChangeStatus(StrEnum):
    """Where a change request stands."""

    PENDING = "PENDING"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"


class TechnicianState(StrEnum):
    """What a technician does."""

    IDLE = "IDLE"
    EN_ROUTE = "EN_ROUTE"
    ON_SITE = "ON_SITE"
    OFF = "OFF"


class WorkState(StrEnum):
    """Where a work order stands."""

    PLANNED = "PLANNED"
    EN_ROUTE = "EN_ROUTE"
    ON_SITE = "ON_SITE"
    DONE = "DONE"
    CANCELLED = "CANCELLED"


@dataclass(frozen=True, slots=True)
class Note:
    """A line of a work log."""

    time_s: int
    """When."""
    text: str
    """What."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A root cause that was submitted."""

    time_s: int
    """When."""
    root_cause: str
    """Code of the fault."""
    element_id: str
    """The faulty element."""
    additional: tuple[str, ...] = ()
    """Codes of further causes."""


@dataclass(frozen=True, slots=True)
class Notification:
    """A message that was sent to somebody."""

    time_s: int
    """When."""
    audience: str
    """To whom."""
    message: str
    """What it said."""


@dataclass(frozen=True, slots=True)
class Ticket(Record):
    """A trouble ticket."""

    opened_s: int
    """When it was opened."""
    source: str
    """Who reported, for example `alarm_correlation` or `customer_care`."""
    human: bool
    """Whether a person reported, who can be asked."""
    title: str
    """First line."""
    text: str
    """What was reported."""
    scope: tuple[str, ...]
    """Elements or sites it is about, as reported."""
    priority: Literal["P1", "P2", "P3", "P4"] = "P3"
    """How urgent it is."""
    status: TicketStatus = TicketStatus.OPEN
    """Where it stands."""
    parent_id: str | None = None
    """The ticket it was linked to."""
    notes: tuple[Note, ...] = ()
    """Work log."""
    diagnoses: tuple[Diagnosis, ...] = ()
    """Submitted diagnoses; the last one counts."""
    notifications: tuple[Notification, ...] = ()
    """Messages sent."""
    resolution: str | None = None
    """How it was closed."""
    summary: str | None = None
    """What was said when it was closed."""
    closed_s: int | None = None
    """When it was closed."""
    answers: tuple[tuple[str, str], ...] = ()
    """Hidden: what the requester answers, by question."""
    blackout_h: tuple[int, int] = (0, 0)
    """Hidden: hours of day in which the requester does not approve an outage."""


@dataclass(frozen=True, slots=True)
class Change(Record):
    """A change request."""

    ticket_id: str
    """The ticket it belongs to."""
    element_ids: tuple[str, ...]
    """What is to be changed."""
    kind: str
    """How."""
    emergency: bool
    """Whether it was asked for as an emergency."""
    justification: str
    """Why."""
    asked_s: int
    """When it was asked for."""
    status: ChangeStatus = ChangeStatus.PENDING
    """Where it stands."""
    reason: str = ""
    """Why it was rejected."""
    valid_from_s: int = 0
    """When it begins to be valid."""
    valid_to_s: int = 0
    """When it ends."""
    window_id: str | None = None
    """The maintenance window it is for."""


@dataclass(frozen=True, slots=True)
class Window(Record):
    """A maintenance window."""

    element_ids: tuple[str, ...]
    """What may be worked on."""
    start_s: int
    """When it begins."""
    end_s: int
    """When it ends."""
    owner: str
    """Who works."""
    purpose: str
    """What for."""


@dataclass(frozen=True, slots=True)
class Notice(Record):
    """A notice from outside: outages, works, weather, events."""

    kind: Literal["utility_outage", "transport_works", "weather", "event", "planned_work"]
    """What it is about."""
    scope: tuple[str, ...]
    """Sites, zones or links it touches."""
    start_s: int
    """When it begins."""
    end_s: int
    """When it is expected to end."""
    text: str
    """What it says."""
    published_s: int = -1
    """When it was published; negative for long ago."""


@dataclass(frozen=True, slots=True)
class Technician(Record):
    """A field technician."""

    skills: tuple[str, ...]
    """What work they can do."""
    shift: Literal["day", "night", "on-call"]
    """06-18 h, 18-06 h, or always."""
    state: TechnicianState = TechnicianState.IDLE
    """What they do."""
    work_order_id: str | None = None
    """What they work on."""


@dataclass(frozen=True, slots=True)
class Depot(Record):
    """The depot of the region."""

    parts: tuple[tuple[str, int], ...]
    """Spare parts in stock, by type."""
    mobile_generators: int
    """Mobile generators in stock."""
    expected: tuple[tuple[str, int], ...] = ()
    """When parts that are out of stock arrive, by type."""

    def stock(self, part_type: str) -> int:
        """Return how many parts of a type are in stock."""
        return dict(self.parts).get(part_type, 0)


@dataclass(frozen=True, slots=True)
class WorkOrder(Record):
    """Field work at a site."""

    ticket_id: str
    """The ticket it belongs to."""
    visit_site_id: str
    """Where."""
    task: str
    """What kind of work."""
    technician_id: str
    """Who."""
    created_s: int
    """When it was created."""
    arrival_s: int
    """When the technician arrives."""
    urgent: bool = True
    """Whether the technician leaves at once."""
    parts: tuple[str, ...] = ()
    """Parts on the van."""
    used: tuple[str, ...] = ()
    """Parts used."""
    state: WorkState = WorkState.EN_ROUTE
    """Where it stands."""
    findings: tuple[Note, ...] = ()
    """What was found and done."""
    actions: int = 0
    """Actions done so far."""
    antenna_work: bool = False
    """Whether somebody works at the antennas."""
    left_s: int | None = None
    """When the technician left."""
    note: str = ""
    """What the technician was told."""


@dataclass(frozen=True, slots=True)
class Escalation(Record):
    """A case handed to another party."""

    ticket_id: str
    """The ticket."""
    party: str
    """To whom."""
    element_ids: tuple[str, ...]
    """What it is about."""
    summary: str
    """What was said."""
    asked_s: int
    """When."""
    answer: str = ""
    """What the party answered; empty while it has not."""
    accepted: bool | None = None
    """Whether the party takes the case; None while it has not answered."""
    restore_s: int | None = None
    """When the party expects to have restored service."""


@dataclass(frozen=True, slots=True)
class Question(Record):
    """A question that a task asks about the network; there is one at most."""

    text: str
    """What is asked."""
    answer: str | None = None
    """What was answered; None while nothing was."""
    unit: str = ""
    """Unit of the answer."""
    answered_s: int | None = None
    """When it was answered."""
