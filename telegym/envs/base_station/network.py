"""Network: the whole state of a simulated radio network, and its clock.

Objects are immutable records; `update` puts a new one in place of the old and notes which sites are affected. When time
goes on or somebody looks, what follows from the changes is worked out: batteries begin to discharge, alarms begin to be
held, a new epoch of radio performance begins. Forks, snapshots and marks share all records and tables; a table is
copied when one of those who share it changes it.
"""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any, ClassVar, NamedTuple, Self, TypeVar

from telegym.core.errors import ToolError, did_you_mean
from telegym.core.world import StateMark, World, canonical_json, sha256_hex
from telegym.envs.base_station import (  # noqa: F401 - they register what follows from changes
    alarms,
    clock_model,
    dependencies,
    engine,
    epochs,
    last_seen,
    power_model,
    thermal_model,
    thresholds,
    validity,
)
from telegym.envs.base_station.conditions import Finding
from telegym.envs.base_station.engine import Happening
from telegym.envs.base_station.index import Index, index_of, site_of_id
from telegym.envs.base_station.memory import KEPT_REGIONS
from telegym.envs.base_station.objects import (
    AntennaLine,
    Board,
    Breaker,
    Cabinet,
    Cell,
    ClockUnit,
    CorePeer,
    Emitter,
    FronthaulLink,
    Node,
    Port,
    PowerSystem,
    RadioUnit,
    Record,
    Relation,
    RetUnit,
    Router,
    Site,
    TransportLink,
)
from telegym.envs.base_station.region import Region, build_region
from telegym.envs.base_station.state import Alarm, Condition, LoggedCall, Rumours, Trouble, Weather
from telegym.envs.base_station.view import Epoch

__all__ = ["ConfigChange", "Network"]

_R = TypeVar("_R", bound=Record)
_WIDE = frozenset({TransportLink, Router, CorePeer})
"""Objects that sites beyond their own depend on."""
_LEAVES = frozenset(
    {Site, ClockUnit, Cell, RadioUnit, FronthaulLink, AntennaLine, RetUnit, Relation, Emitter, Weather, Trouble}
)
"""Objects that no node and no link depends on."""
_EQUIPMENT = frozenset({PowerSystem, Cabinet, Node, Board})
_ALONE = frozenset({Cell, RetUnit, Relation})
"""Objects that no answer depends on but those about themselves, their site and the whole network."""
_PHYSICAL = _WIDE | _LEAVES | _EQUIPMENT
"""Objects that anything depends on at all."""
_MAX_ROUNDS = 50
_Pristine = tuple[dict[str, Any], tuple[Epoch, ...], dict[Any, Any]]
"""`outlook`, `epochs` and `reach` of a region that is as built."""
_PRISTINE: OrderedDict[tuple[str, int], _Pristine] = OrderedDict()


class ConfigChange(NamedTuple):
    """An entry of the change log."""

    time_s: int
    """When."""
    element_id: str
    """What was changed."""
    parameter: str
    """Which parameter."""
    old: str
    """Value before."""
    new: str
    """Value after."""
    user: str
    """Who did it."""
    change_id: str
    """Under which change request; empty if none."""
    before: Any = None
    """Value before, as it is kept in the record."""


class Network(World):
    """A radio network at a moment.

    Args:
        archetype: Kind of region.
        region_seed: Which region of that kind.
        seed: Decides everything random that happens in it.
        start_s: Seconds since Monday 00:00 of week 0 (2031-03-03).
        rumours: How often what alarms say beyond the facts misleads.
    """

    cheap_snapshots: ClassVar[bool] = False
    keeps_time: ClassVar[bool] = True

    _SHARED: ClassVar[tuple[str, ...]] = (
        *("objects", "relations", "conditions", "alarms", "open_alarms", "queued", "outlook", "lost"),
    )
    """Tables that copies share until one of them changes it."""
    _VALUES: ClassVar[tuple[str, ...]] = (
        *(
            "region",
            "index",
            "seed",
            "start_s",
            "now",
            "rumours",
            "changes",
            "epochs",
            "revision",
            "altered",
            *("measured", "added", "journal"),
        ),
    )
    """Attributes that are values."""

    def __init__(
        self,
        archetype: str,
        region_seed: int,
        seed: int = 0,
        start_s: int = 0,
        rumours: Rumours = Rumours(),  # noqa: B008 - a value
    ) -> None:
        self.region: Region = build_region(archetype, region_seed)
        self.index: Index = index_of(archetype, region_seed)
        self.seed = seed
        self.start_s = start_s
        self.now = start_s
        """The clock, in seconds."""
        self.rumours = rumours
        self.revision = 0
        """Counts changes of any kind."""
        self._begin_objects()
        self._begin_log()
        self._begin_alarms()
        self._begin_consequences(_PRISTINE.get((archetype, region_seed)))

    def _begin_objects(self) -> None:
        """Have the objects of the region as it was built."""
        self.objects: dict[str, Record] = self.region.records
        """Every object by its id. Change it with `update`, `add` and `remove` only."""
        self.relations: dict[str, Relation] = self.region.relations
        """Neighbour relations, by `SOURCE>TARGET`. Change it with `update`, `add` and `remove` only."""
        self.altered: frozenset[str] = frozenset()
        """Ids of objects and relations that are not as the region was built."""
        self.added: tuple[str, ...] = ()
        """Ids of objects that the region was not built with, oldest first."""
        self._own: set[str] = set()

    def _begin_log(self) -> None:
        """Begin without anything planned or done."""
        self.agenda = engine.Agenda()
        """Events to come."""
        self.changes: tuple[ConfigChange, ...] = ()
        """The change log, oldest first."""
        self.journal: tuple[LoggedCall, ...] = ()
        """Calls of the agent, oldest first; no part of the state."""
        self.measured: tuple[Finding, ...] = ()
        """Thresholds on indicators that were crossed in the last reporting period."""
        self._happened: list[Happening] = []

    def _begin_alarms(self) -> None:
        """Begin without alarms, and without anything that waits to be reported."""
        self.conditions: dict[tuple[str, str], Condition] = {}
        """Conditions of alarms, by key and object, while they hold or their alarm has not been cleared."""
        self.alarms: dict[str, Alarm] = {}
        """Alarms by id, oldest first."""
        self.open_alarms: dict[tuple[str, str], str] = {}
        """Ids of active alarms, by key and object."""
        self.queued: dict[str, tuple[Any, ...]] = {}
        """What nodes that are out of reach will report once they are reached again, by node."""
        self.lost: dict[str, Network] = {}
        """The network just before a node's management connection was lost, by node."""

    def _begin_consequences(self, known: _Pristine | None) -> None:
        """Begin with what is known to follow from how the region was built; else it has yet to be worked out."""
        outlook, past, reach = known or ({}, (), {})
        self.outlook: dict[str, Any] = outlook
        """What was last worked out about objects, to see whether it has changed."""
        self.epochs: tuple[Epoch, ...] = past
        """Epochs of performance, oldest first."""
        self.memo: dict[str, dict[str, Any]] = {}
        """Answers about the present state, by what they are about and by question."""
        self.reach: dict[str, dict[str, Any]] = reach
        """Those of them that radio units, antenna lines and cells have no part in."""
        self.reads: dict[str, Any] = {}
        """Answers already given to repeated reads."""
        self.unsettled: dict[str, Record | None] = {}
        """Records before they were changed, by id, since consequences were last worked out; None for new ones."""
        self._wide = known is None
        self._dirty: set[str] = set(self.index.at_site) if self._wide else set()

    # --- objects ----------------------------------------------------------------------------------------

    def get(self, kind: type[_R], name: str) -> _R:
        """Return an object or relation.

        Raises:
            ToolError: If there is no such object, or it is of another kind.
        """
        record = self.objects.get(name) or self.relations.get(name)
        if type(record) is kind or isinstance(record, kind):
            return record
        if record is None:
            names = [item.id for item in self.all(kind)]
            raise ToolError(f"NOT_FOUND: no {_kind_name(kind)} {name!r}.{did_you_mean(name, names)}")
        raise ToolError(f"INVALID_ARGUMENT: {name} is a {_kind_name(type(record))}, not a {_kind_name(kind)}")

    def all(self, kind: type[_R]) -> Iterator[_R]:
        """Yield every object of a kind, in the order of the inventory; what was added later comes last."""
        if kind is Relation:
            yield from self.relations.values()  # type: ignore[misc]
            return
        for name in self.index.of_kind.get(kind, ()):
            record = self.objects.get(name)
            if isinstance(record, kind):
                yield record
        for name in self.added:
            record = self.objects.get(name)
            if isinstance(record, kind):
                yield record

    def at_site(self, kind: type[_R], site_id: str) -> list[_R]:
        """Return the objects of a kind at a site, as it was built."""
        names = self.index.at_site_of_kind.get((kind, site_id), ())
        return [record for name in names if isinstance(record := self.objects.get(name), kind)]

    def update(self, record: _R, **fields: Any) -> _R:
        """Put a changed record in place of the present one.

        Args:
            record: The present record.
            **fields: New values of its fields.

        Returns:
            The changed record; the same one if nothing changes.
        """
        if all(getattr(record, name) == value for name, value in fields.items()):
            return record
        changed = dataclasses.replace(record, **fields)
        self._put(changed)
        return changed

    def add(self, record: _R) -> _R:
        """Put a new record, or one in place of the present one with its id."""
        self._put(record)
        return record

    def remove(self, record: Record) -> None:
        """Take a record away; nothing happens if it is not there."""
        name = "relations" if isinstance(record, Relation) else "objects"
        if record.id in getattr(self, name):
            self.unsettled.setdefault(record.id, self.writable(name).pop(record.id))
            built = record.id in self.region.records or record.id in self.region.relations
            self.altered = self.altered | {record.id} if built else self.altered - {record.id}
            self.added = tuple(known for known in self.added if known != record.id)
            self.touch(record)

    def _put(self, record: Record) -> None:
        name = "relations" if isinstance(record, Relation) else "objects"
        built: dict[str, Any] = self.region.relations if name == "relations" else self.region.records
        pristine = built.get(record.id)
        # A repaired object is the object that never failed.
        same = pristine == record
        table = self.writable(name)
        before = table.get(record.id)
        table[record.id] = pristine if same else record
        if before is None and pristine is None and name == "objects":
            self.added = (*self.added, record.id)
        if same:
            self.altered -= {record.id}
        elif record.id not in self.altered:
            self.altered |= {record.id}
        self.touch(record, before)

    def writable(self, table: str) -> dict[Any, Any]:
        """Return a table that may be changed: a copy of its own, if it was shared."""
        value: dict[Any, Any] = getattr(self, table)
        if table not in self._own:
            value = value.copy()
            setattr(self, table, value)
            self._own.add(table)
        return value

    def frozen(self, table: str) -> dict[Any, Any]:
        """Return a table for somebody who keeps it: the next change copies it."""
        self._own.discard(table)
        value: dict[Any, Any] = getattr(self, table)
        return value

    def touch(self, record: Record, before: Record | None = None) -> None:
        """Note that what depends on an object, which may have been different before, has to be worked out anew."""
        self.revision += 1
        kind = type(record)
        if kind not in _PHYSICAL:
            return
        self.unsettled.setdefault(record.id, before)
        site: Any = getattr(record, "site_id", None) or site_of_id(self.region, record.id)
        if isinstance(record, Relation):
            site = site_of_id(self.region, record.source_id)
        self.memo = self.memo.copy() if kind in _ALONE else {}
        for stale in (record.id, site, ""):
            self.memo.pop(stale, None)
        if kind not in _LEAVES and not _same_reach(record, before):
            self.reach = {}
            self._wide |= kind in _WIDE or (isinstance(record, Node) and record.kind == "CU")
        # What stands at no site may matter anywhere; somebody has to look.
        known = isinstance(site, str) and site in self.index.at_site
        self._dirty.add(site if known else next(iter(self.index.at_site)))

    def touch_site(self, site_id: str, *, wide: bool = False, stale: bool = True) -> None:
        """Note that a site has to be worked out anew.

        Args:
            site_id: The site.
            wide: Whether sites elsewhere may depend on what changed.
            stale: Whether answers about the present state are no longer true.
        """
        if stale:
            self.memo = {}
            self.reach = {}
        self._dirty.add(site_id)
        self._wide |= wide

    def take_wide(self) -> bool:
        """Return whether something changed that other sites may depend on, and forget it."""
        wide, self._wide = self._wide, False
        return wide

    def configure(self, record: _R, parameter: str, value: Any, user: str, change_id: str = "") -> _R:
        """Change a configuration parameter, and log it."""
        old = getattr(record, parameter)
        changed = self.update(record, **{parameter: value})
        self.log_change(record.id, parameter, old, value, user, change_id)
        return changed

    def log_change(
        self,
        element_id: str,
        parameter: str,
        old: Any,
        new: Any,
        user: str,
        change_id: str = "",
        at_s: int | None = None,
    ) -> None:
        """Write an entry of the change log; `at_s` is the present unless a past is made up."""
        at_s = self.now if at_s is None else at_s
        entry = ConfigChange(at_s, element_id, parameter, _text(old), _text(new), user, change_id, old)
        self.changes = tuple(sorted((*self.changes, entry), key=lambda change: change.time_s))
        self.revision += 1

    def breaker(self, name: str) -> tuple[PowerSystem, Breaker]:
        """Return a breaker and the power system it belongs to.

        Raises:
            ToolError: If there is no such breaker.
        """
        power = self.get(PowerSystem, name.rpartition("-")[0])
        for item in power.breakers:
            if item.id == name:
                return power, item
        raise ToolError(f"NOT_FOUND: no breaker {name!r}.{did_you_mean(name, [item.id for item in power.breakers])}")

    def set_breaker(self, name: str, **fields: Any) -> None:
        """Change a breaker."""
        power, chosen = self.breaker(name)
        changed = dataclasses.replace(chosen, **fields)
        self.update(power, breakers=tuple(changed if item is chosen else item for item in power.breakers))

    def port(self, name: str) -> tuple[Router, Port]:
        """Return a port and the router it belongs to.

        Raises:
            ToolError: If there is no such port.
        """
        router = self.get(Router, name.rpartition("-")[0])
        for item in router.ports:
            if item.id == name:
                return router, item
        raise ToolError(f"NOT_FOUND: no port {name!r}.{did_you_mean(name, [item.id for item in router.ports])}")

    def set_port(self, name: str, **fields: Any) -> None:
        """Change a port."""
        router, chosen = self.port(name)
        changed = dataclasses.replace(chosen, **fields)
        self.update(router, ports=tuple(changed if item is chosen else item for item in router.ports))

    # --- time -------------------------------------------------------------------------------------------

    @property
    def minutes(self) -> float:  # type: ignore[override]
        """Simulated time since the start, in minutes."""
        return (self.now - self.start_s) / 60.0

    @property
    def hour_of_week(self) -> int:
        """Hour since Monday 00:00, 0-167."""
        return engine.hour_of_week(self.now)

    def advance(self, seconds: int, until: Callable[[Happening], bool] | None = None) -> list[Happening]:
        """Let time pass, with all that happens in it.

        Args:
            seconds: How long.
            until: Stops the clock at the end of the second in which something happens of which it says True.

        Returns:
            What happened, in order.

        Raises:
            ValueError: If time would run backwards.
        """
        if seconds < 0:
            raise ValueError(f"time does not run backwards: {seconds} s")
        end = self.now + seconds
        happened: list[Happening] = []
        self._happened = happened
        self.settle()
        while (event := self.agenda.pop(end)) is not None:
            self.now = max(self.now, event.at_s)
            self.revision += 1
            engine.handler_of(event.kind)(self, *event.payload)
            self.settle()
            if until is not None and happened and any(map(until, happened)):
                end = self.now
        self.now = end
        self._happened = []
        return happened

    def next_event_s(self) -> int | None:
        """Return when the next event is due; None if nothing is."""
        self.settle()
        return self.agenda.next_s()

    def report(self, kind: str, subject: str, detail: str = "") -> None:
        """Let whoever waits know that something has happened."""
        self._happened.append(Happening(self.now, kind, subject, detail))

    def schedule(self, at_s: int, kind: str, *payload: engine.Scalar) -> None:
        """Plan an event, or move it if one of this kind and payload is pending.

        Raises:
            LookupError: If nobody handles events of this kind.
        """
        engine.handler_of(kind)
        self.agenda.schedule(at_s, kind, payload)

    def cancel(self, kind: str, *payload: engine.Scalar) -> None:
        """Forget an event; nothing happens if it is not pending."""
        self.agenda.cancel(kind, payload)

    def settle(self) -> None:
        """Work out what follows from changes: batteries, temperatures, clocks, alarms, the next epoch.

        Raises:
            RuntimeError: If consequences do not come to rest.
        """
        if not self._dirty and not self._wide:
            return
        seen: set[str] = set()
        for _ in range(_MAX_ROUNDS):
            sites = sorted(self._dirty)
            seen.update(sites)
            self._dirty.clear()
            for consequence in engine.consequences(changing=True):
                consequence(self, sites)
            if not self._dirty:
                break
        else:
            raise RuntimeError(f"what follows from changes at {sorted(self._dirty)} does not come to rest")
        self._wide = False
        self.unsettled = {}
        for consequence in engine.consequences(changing=False):
            consequence(self, sorted(seen))
        if not self.altered and len(self.epochs) == 1:
            self._keep_pristine()

    def _keep_pristine(self) -> None:
        """Keep what was worked out for a region that is as built: the next network of it begins with that."""
        key = (self.region.archetype, self.region.seed)
        if key not in _PRISTINE:
            _PRISTINE[key] = (self.frozen("outlook"), self.epochs, self.reach)
            while len(_PRISTINE) > KEPT_REGIONS:
                _PRISTINE.popitem(last=False)

    # --- World ------------------------------------------------------------------------------------------

    def _share(self) -> dict[str, Any]:
        """Return all attributes for a copy; tables are shared from now on."""
        self.settle()
        self._own.clear()
        kept = {name: getattr(self, name) for name in (*self._VALUES, *self._SHARED)}
        # Answers are true for both; whoever changes something begins with none.
        return {
            **kept,
            "memo": self.memo,
            "reach": self.reach,
            "agenda": self.agenda.copy(),
            "reads": self.reads.copy(),
        }

    def _adopt(self, kept: dict[str, Any]) -> None:
        for name, value in kept.items():
            setattr(self, name, value)
        self._dirty, self._wide, self._own, self._happened, self.unsettled = set(), False, set(), [], {}

    def snapshot(self) -> Any:
        """Return an immutable copy of the state."""
        return self._share()

    def restore(self, snapshot: Any) -> None:
        """Return to a state that `snapshot` gave."""
        self._adopt({**snapshot, "agenda": snapshot["agenda"].copy(), "reads": snapshot["reads"].copy()})

    def fork(self) -> Self:
        """Return an independent copy."""
        copy = object.__new__(type(self))
        copy._adopt(self._share())
        return copy

    def copy_with(self, **values: Any) -> Self:
        """Return a copy in which some attributes have other values; what has changed is not settled before."""
        copy = object.__new__(type(self))
        self._own.clear()
        copy._adopt({**{name: getattr(self, name) for name in (*self._VALUES, *self._SHARED)}, **values})
        return copy

    def dump(self) -> dict[str, Any]:
        """Return the state: what differs from the region as built, the clock, alarms, events and the change log."""
        self.settle()
        return {
            **self.physical_dump(),
            "seed": self.seed,
            "now": self.now,
            "changes": [list(change[:-1]) for change in self.changes],
            "conditions": [[*key, *_plain(condition)] for key, condition in sorted(self.conditions.items())],
            "alarms": {name: _plain(alarm) for name, alarm in sorted(self.alarms.items())},
            "queued": {name: _plain(entries) for name, entries in sorted(self.queued.items())},
            "lost": {name: known.now for name, known in sorted(self.lost.items())},
            "events": self.agenda.dump(),
            "epochs": [epoch.start_s for epoch in self.epochs],
            "measured": [list(finding[:2]) for finding in self.measured],
        }

    def physical_dump(self) -> dict[str, Any]:
        """Return the objects alone, without clock, history, alarms and events: equal for what was wholly repaired."""
        self.settle()
        changed = {
            name: _plain(record) if (record := self.objects.get(name) or self.relations.get(name)) else None
            for name in sorted(self.altered)
        }
        return {"region": f"{self.region.archetype}-{self.region.seed}", "objects": changed}

    def situation(self) -> str:
        """Return a digest of the objects, standing alarms and conditions by name: without clock, history and events."""
        standing = {"alarms": sorted(self.alarms), "conditions": sorted(str(key) for key in self.conditions)}
        return sha256_hex(canonical_json({**self.physical_dump(), **standing}))

    def changed_objects(self) -> dict[str, Record]:
        """Return the objects that are not as the region was built, relations included."""
        found = ((name, self.objects.get(name) or self.relations.get(name)) for name in sorted(self.altered))
        return {name: record for name, record in found if record is not None}

    def mark(self) -> StateMark:
        """Return a reference to the present state; it is hashed when somebody asks."""
        return _Mark(self.fork())


class _Mark:
    """A state whose hash is computed when it is asked for."""

    __slots__ = ("_hash", "_network")

    def __init__(self, network: Network) -> None:
        self._network: Network | None = network
        self._hash = ""

    def hash(self) -> str:
        """Return the SHA-256 digest of the state."""
        if self._network is not None:
            self._hash = sha256_hex(canonical_json(self._network.dump()))
            self._network = None
        return self._hash


def _same_reach(record: Record, before: Record | None) -> bool:
    """Return whether a change makes no difference to what nodes reach: a battery's charge, a cabinet's warmth."""
    if isinstance(record, PowerSystem) and isinstance(before, PowerSystem):
        return record.dark == before.dark and record.breakers == before.breakers
    return isinstance(record, Cabinet) and isinstance(before, Cabinet) and record.overheated == before.overheated


def _kind_name(kind: type[Record]) -> str:
    name = kind.__name__
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).strip()


def _text(value: Any) -> str:
    return str(value.value if isinstance(value, Enum) else value)


def _plain(value: Any) -> Any:
    """Return a record or value as JSON values; floats keep six decimals, or six digits where they are tiny."""
    if isinstance(value, float):
        return round(value, 6) if abs(value) >= 1e-3 or value == 0 else float(f"{value:.6e}")
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return value
