"""What a network knows beyond its managed objects: alarms, weather, its configuration's history, states that follow.

Like the managed objects these are immutable records.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from telegym.envs.base_station.objects import AvailabilityStatus, Record

if TYPE_CHECKING:
    from telegym.envs.base_station.network import Network

__all__ = [
    "OPERATIONAL",
    "Alarm",
    "Condition",
    "LoggedCall",
    "NodeService",
    "Path",
    "Rumours",
    "Severity",
    "Status",
    "Trouble",
    "Values",
    "Weather",
]

Values: TypeAlias = tuple[tuple[str, str], ...]
"""Names and measured values."""


class Severity(StrEnum):
    """Perceived severity of an alarm (X.733)."""

    CRITICAL = "CRITICAL"
    MAJOR = "MAJOR"
    MINOR = "MINOR"
    WARNING = "WARNING"
    INDETERMINATE = "INDETERMINATE"
    CLEARED = "CLEARED"


@dataclass(frozen=True, slots=True)
class Alarm(Record):
    """An alarm as the management system shows it (TS 28.532, X.733)."""

    key: str
    """Entry of the alarm dictionary."""
    object_id: str
    """Managed object instance."""
    site_id: str | None
    """Where it is; None for aggregation sites and the core."""
    severity: Severity
    """Perceived severity; the last one, when cleared."""
    raised_s: int
    """When it was raised."""
    changed_s: int | None = None
    """When its severity last changed."""
    cleared_s: int | None = None
    """When it was cleared; None while active."""
    first_severity: Severity | None = None
    """Severity when it was raised, if it has changed since."""
    values: Values = ()
    """Measured values of its text, for example `(("VSWR", "2.41"), ("branch", "A"))`."""
    acknowledged_by: str | None = None
    """Who acknowledged it."""
    acknowledged_s: int | None = None
    """When."""
    cleared_by: str | None = None
    """Who cleared it by hand."""
    comments: tuple[tuple[int, str], ...] = ()
    """Time and text of comments."""
    correlated: tuple[str, ...] = ()
    """Alarms it is said to be correlated with; sometimes wrong."""
    root_cause: bool | None = None
    """Whether it is said to be a root cause; mostly not said, sometimes wrong."""
    repair_key: str = ""
    """Entry of the alarm dictionary whose repair actions are proposed; sometimes that of another alarm."""
    seeded: bool = False
    """Whether it stands on its own, without a condition in the network: a decoy, or one that nobody cleared."""

    @property
    def active(self) -> bool:
        """Whether it is not cleared."""
        return self.cleared_s is None


@dataclass(frozen=True, slots=True)
class Weather(Record):
    """Weather at a site; its id is `WX-012`. Sites without a record have a dry day."""

    site_id: str
    """The site."""
    rain_mm_h: float = 0.0
    """Rain rate."""
    warmer_c: float = 0.0
    """How much warmer it is than usual."""


@dataclass(frozen=True, slots=True)
class Trouble(Record):
    """Hidden: something wrong with an object that has no field of its own, seen by its alarm; its id is `TRB-…`."""

    site_id: str
    """Where it is."""
    object_id: str
    """Which object."""
    key: str
    """Entry of the alarm dictionary."""
    values: Values = ()
    """Measured values."""


class Condition(NamedTuple):
    """What an alarm is about, seen from inside the network."""

    present: bool
    """Whether it holds at present; else its alarm has not been cleared yet."""
    since_s: int
    """Since when it does, or does not."""
    severity: Severity
    """Severity while it holds."""
    values: Values = ()
    """Measured values."""
    reporter: str = "manager"
    """Who reports it: a node, or `power:S012`, `clock:S012`, `router:CSR-012`, `link:TL-004-012`, `manager`."""
    announced: bool = False
    """Whether it has held for so long that an alarm was reported, or is queued to be."""


class Rumours(NamedTuple):
    """How often what alarms say beyond the facts misleads, as probabilities."""

    wrong_repair: float = 0.15
    """Repair actions are proposed that belong to another alarm."""
    wrong_correlation: float = 0.05
    """It is said to be correlated with an alarm that has nothing to do with it."""
    indicator: float = 0.2
    """It is said whether it is a root cause."""
    indicator_right: float = 0.9
    """What is said about that is right."""
    late_root: float = 0.0
    """The alarm of a root cause comes 60 to 180 seconds later than it should."""


class Status(NamedTuple):
    """Operational state of an element and why (X.731)."""

    enabled: bool
    """Whether it is able to work."""
    availability: tuple[AvailabilityStatus, ...] = ()
    """What keeps it from working, or from working fully."""
    because: str | None = None
    """The element it waits for, if a dependency is missing."""

    @property
    def text(self) -> str:
        """`ENABLED` or `DISABLED`."""
        return "ENABLED" if self.enabled else "DISABLED"


OPERATIONAL = Status(True)
"""Works fully."""


class Path(NamedTuple):
    """The way of a site's traffic to the core."""

    up: bool
    """Whether it works end to end."""
    links: tuple[str, ...]
    """Links from the site to the core."""
    routers: tuple[str, ...]
    """Routers on the way, the site's own first."""
    broken_at: str | None = None
    """First router, port or link that does not work."""
    secondary: bool = False
    """Whether it is not the planned path."""
    mtu_ok: bool = True
    """Whether full-sized packets get through."""
    dscp_ok: bool = True
    """Whether voice keeps its priority."""
    asymmetry_us: float = 0.0
    """Difference of the delays of the two directions."""
    shaper_mbps: float = 0.0
    """Smallest rate limit on the way; 0 for none."""


class NodeService(NamedTuple):
    """What a node can reach."""

    oam: bool = True
    """Whether its management connection is up."""
    control: bool = True
    """Whether at least one core association is up."""
    user_plane: bool = True
    """Whether user traffic gets through."""
    tunnel: bool = True
    """Whether its security association is up."""
    midhaul: bool = True
    """Whether a split node reaches its CU."""
    core_down: tuple[str, ...] = ()
    """Core nodes whose association is down."""
    because: str | None = None
    """What keeps it from the core."""


class LoggedCall(NamedTuple):
    """A call of the agent, as the network remembers it for those who judge."""

    time_s: int
    """Simulated time before it."""
    end_s: int
    """Simulated time after it."""
    tool: str
    """Name of the tool."""
    arguments: dict[str, Any]
    """Its arguments."""
    error: bool
    """Whether it was refused."""
    before: Network | None
    """The network before it; None for calls that only read."""
