"""What rules look at: calls in order, and what was true before each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["CLIMBING", "LOOKS", "RESTARTS", "Facts", "Priority", "Trace", "TraceEntry"]

Priority = Literal["P1", "P2", "P3", "P4"]

LOOKS = frozenset(
    {
        *("get_cell_status", "get_node_status", "get_config", "get_config_history", "get_transport_status"),
        *("get_clock_status", "get_power_status", "get_fronthaul_status", "get_antenna_status", "get_licence_status"),
        *("get_software_status", "get_element_info", "get_interference_report", "get_neighbour_relations", "get_kpi"),
        *("get_logs", "get_user_experience_report", "run_vswr_test", "run_link_test", "run_ping_test"),
        *("run_spectrum_scan", "run_cell_service_test", "run_pim_test", "run_battery_test", "get_topology"),
    }
)
"""Tools that show the state of an element."""
RESTARTS = frozenset({"reset_unit", "reset_node", "change_software", "rollback_config"})
"""Tools that restart something."""
CLIMBING = frozenset({"tighten_antenna_line", "swap_feeders", "align_antenna"})
"""Actions of a technician at the antennas."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What was true in the network before a call; only what rules need."""

    element_id: str = ""
    """The element the call is about."""
    site_id: str = ""
    """Its site."""
    related: frozenset[str] = frozenset()
    """Elements a look at which counts as a look at it: itself, its parents, its cells and link."""
    in_scope: bool = True
    """Whether it is part of the ticket's impact, or something that depends on it or that it depends on."""
    is_write: bool = False
    """Whether the call changes the network."""
    service_affecting: bool = False
    """Whether it interrupts service, or changes a parameter of class S or C."""
    users: float = 0.0
    """Users on the element."""
    users_lost_min: float = 0.0
    """User-minutes the call is going to cost."""
    change_valid: bool = False
    """Whether an approved change covers the element now."""
    change_named: bool = False
    """Whether the call names a change request."""
    change_matches: bool = True
    """Whether that request is approved, valid now and lists the element."""
    node_restart: bool = False
    """Whether a whole node restarts."""
    cells_out_pct: float = 0.0
    """Share of the node's cells that are out of service."""
    emergency_exempt: bool = False
    """Whether an emergency-call area has no serving cell."""
    vip: bool = False
    """Whether the site serves an important customer or an emergency-call area."""
    on_battery: bool = False
    """Whether the site's mains are down."""
    battery_pct: float = 100.0
    """State of charge of its battery."""
    parameter: str = ""
    """Parameter that is set."""
    planned_value: bool = True
    """Whether the new value is the planned one."""
    step: float = 0.0
    """How far the new value is from the planned one, where that is a number."""
    technician_on_structure: bool = False
    """Whether somebody works at the antennas of the site."""
    cells_locked: bool = True
    """Whether the cells concerned are LOCKED."""
    remote_remedy: bool = False
    """Whether what was seen still allows a remedy from afar."""
    resources_listed: bool = True
    """Whether technicians or spares were listed before."""
    right_skill: bool = True
    """Whether the task fits what was seen."""
    open_dispatch: bool = False
    """Whether another technician is on the way to or at the site."""
    cause_active: bool = False
    """Whether the cause of an alarm that is cleared, or of a symptom that is hidden, still holds."""
    hides_symptom: bool = False
    """Whether the change would hide a symptom: a threshold, a needed neighbour, a lock to silence an alarm."""
    weakens_security: bool = False
    """Whether it disables encryption or authentication."""


@dataclass(frozen=True, slots=True)
class TraceEntry:
    """A call and its surroundings."""

    index: int
    """Position among the calls, from 0."""
    time_s: int
    """Simulated time before the call."""
    tool: str
    """Name of the tool."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Its arguments."""
    error: bool = False
    """Whether it was refused."""
    facts: Facts = Facts()
    """What was true before."""
    end_s: int = 0
    """Simulated time after the call; 0 if it took none."""

    @property
    def done_s(self) -> int:
        """When the call was over."""
        return max(self.time_s, self.end_s)


@dataclass(frozen=True, slots=True)
class Trace:
    """An episode as rules see it."""

    entries: tuple[TraceEntry, ...]
    """Calls in order."""
    start_s: int = 0
    """When the ticket was taken."""
    human: bool = False
    """Whether a person opened the ticket."""
    vip_requester: bool = False
    """Whether that person is an important or enterprise customer."""
    true_priority: Priority = "P3"
    """The priority that the state at the time of the ticket asks for."""
    accepted_priorities: frozenset[str] = frozenset()
    """Priorities that can be defended; the true one alone if there are none."""
    priority_set: bool = True
    """Whether the ticket has the right priority from the start."""
    intermittent: bool = False
    """Whether the trouble comes and goes."""
    security_signs: bool = False
    """Whether there are signs of an intrusion or an unauthorised change."""
    children: tuple[str, ...] = ()
    """Open tickets that the same fault explains."""
    third_party: str | None = None
    """The party that has to restore service; None if the operator can."""
    parties: frozenset[str] = frozenset()
    """Everybody outside who may be asked; the party above is among them."""
    hand_over_allowed: bool = False
    """Whether the case may be closed while that party still works."""
    restored: bool = True
    """Whether what third parties have to restore is restored at the end."""
    left_behind: tuple[str, ...] = ()
    """Temporary changes, locks and work that are still there at the end."""
    faulty: frozenset[str] = frozenset()
    """Elements a true summary may name."""

    def done(self, *tools: str) -> Iterator[TraceEntry]:
        """Yield the calls of some tools that were not refused."""
        return (entry for entry in self.entries if entry.tool in tools and not entry.error)

    def writes(self) -> Iterator[TraceEntry]:
        """Yield the calls that changed the network."""
        return (entry for entry in self.entries if entry.facts.is_write and not entry.error)

    def before(self, entry: TraceEntry, test: Callable[[TraceEntry], bool]) -> bool:
        """Return whether an earlier call that was not refused passes a test."""
        return any(not other.error and test(other) for other in self.entries[: entry.index])

    @property
    def closing(self) -> TraceEntry | None:
        """The call that closed the ticket."""
        return next(iter(self.done("close_ticket")), None)
