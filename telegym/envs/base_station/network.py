"""Network: the whole state of a simulated radio network, and its clock.

Objects are immutable records; `update` puts a new one in place of the old and notes which sites are affected. When time
goes on or somebody looks, what follows from the changes is worked out: alarms begin to be held, a new epoch of radio
performance begins. Forks share all records, so they cost little.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any, ClassVar, NamedTuple, Self, TypeVar

from telegym.core.errors import ToolError, did_you_mean
from telegym.core.world import StateMark, World, canonical_json, sha256_hex
from telegym.envs.base_station import engine
from telegym.envs.base_station.objects import Record, Relation, TransportLink
from telegym.envs.base_station.region import Region, build_region

__all__ = ["ConfigChange", "Network", "follows"]

_R = TypeVar("_R", bound=Record)
Consequence = Callable[["Network", list[str]], None]
"""Works out what follows from changes at some sites."""

_CONSEQUENCES: list[Consequence] = []


def follows(consequence: Consequence) -> Consequence:
    """Register what is worked out whenever something has changed; in the order of registration."""
    if all(known.__qualname__ != consequence.__qualname__ for known in _CONSEQUENCES):
        _CONSEQUENCES.append(consequence)
    return consequence


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


class Network(World):
    """A radio network at a moment.

    Args:
        archetype: Kind of region.
        region_seed: Which region of that kind.
        seed: Decides everything random that happens in it.
        start_s: Seconds since Monday 00:00 of week 0 (2031-03-03).
    """

    cheap_snapshots: ClassVar[bool] = True

    def __init__(self, archetype: str, region_seed: int, seed: int = 0, start_s: int = 0) -> None:
        self.region: Region = build_region(archetype, region_seed)
        self.seed = seed
        self.start_s = start_s
        self.now = start_s
        self.objects: dict[str, Record] = dict(self.region.records)
        self.relations: dict[str, Relation] = dict(self.region.relations)
        self.agenda = engine.Agenda()
        self.changes: tuple[ConfigChange, ...] = ()
        self.conditions: dict[tuple[str, str], int] = {}
        self.alarms: dict[str, Any] = {}
        self.open_alarms: dict[tuple[str, str], str] = {}
        self.epochs: tuple[Any, ...] = ()
        self.memo: dict[tuple[str, str], Any] = {}
        self._dirty: set[str] = {site.id for site in self.region.layout.sites}

    # --- objects ----------------------------------------------------------------------------------------

    def get(self, kind: type[_R], name: str) -> _R:
        """Return an object.

        Raises:
            ToolError: If there is no such object, or it is of another kind.
        """
        record = self.objects.get(name)
        if record is None:
            names = [other for other, item in self.objects.items() if isinstance(item, kind)]
            raise ToolError(f"NOT_FOUND: no {_kind_name(kind)} {name!r}.{did_you_mean(name, names)}")
        if not isinstance(record, kind):
            raise ToolError(f"INVALID_ARGUMENT: {name} is a {_kind_name(type(record))}, not a {_kind_name(kind)}")
        return record

    def all(self, kind: type[_R]) -> Iterator[_R]:
        """Yield every object of a kind, in the order of the inventory."""
        return (record for record in self.objects.values() if isinstance(record, kind))

    def at_site(self, kind: type[_R], site_id: str) -> list[_R]:
        """Return the objects of a kind at a site."""
        index = _site_index(self.region).get(site_id, ())
        return [record for name in index if isinstance(record := self.objects[name], kind)]

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
        pristine = self.region.records.get(record.id)
        # A repaired object is the object that never failed.
        self.objects[record.id] = pristine if pristine == changed else changed
        self.touch(changed)
        return changed

    def touch(self, record: Record) -> None:
        """Note that what depends on an object has to be worked out anew."""
        self.memo.clear()
        site = getattr(record, "site_id", None) or (record.id if record.id in _site_index(self.region) else None)
        if site is None and (owner := _owner_site(self.region, record.id)) is not None:
            site = owner
        everywhere = site is None or isinstance(record, TransportLink) or record.id.startswith("CSR")
        self._dirty.update([item.id for item in self.region.layout.sites] if everywhere else [str(site)])

    def configure(self, record: _R, parameter: str, value: Any, user: str, change_id: str = "") -> _R:
        """Change a configuration parameter, and log it."""
        old = getattr(record, parameter)
        changed = self.update(record, **{parameter: value})
        entry = ConfigChange(self.now, record.id, parameter, _text(old), _text(value), user, change_id)
        self.changes = (*self.changes, entry)
        return changed

    # --- time -------------------------------------------------------------------------------------------

    @property
    def minutes(self) -> float:  # type: ignore[override]
        """Simulated time since the start, in minutes."""
        return (self.now - self.start_s) / 60.0

    @property
    def hour_of_week(self) -> int:
        """Hour since Monday 00:00, 0-167."""
        return engine.hour_of_week(self.now)

    def advance(self, seconds: int) -> None:
        """Let time pass, with all that happens in it.

        Raises:
            ValueError: If time would run backwards.
        """
        if seconds < 0:
            raise ValueError(f"time does not run backwards: {seconds} s")
        end = self.now + seconds
        self.settle()
        while (event := self.agenda.pop(end)) is not None:
            self.now = max(self.now, event.at_s)
            engine.handler_of(event.kind)(self, *event.payload)
            self.settle()
        self.now = end

    def schedule(self, at_s: int, kind: str, *payload: engine.Scalar) -> None:
        """Plan an event, or move it if one of this kind and payload is pending.

        Raises:
            LookupError: If nobody handles events of this kind.
        """
        engine.handler_of(kind)
        self.agenda.schedule(at_s, kind, payload)

    def settle(self) -> None:
        """Work out what follows from changes: alarm conditions, and the next epoch of radio performance."""
        while self._dirty:
            sites = sorted(self._dirty)
            self._dirty.clear()
            for consequence in _CONSEQUENCES:
                consequence(self, sites)

    # --- World ------------------------------------------------------------------------------------------

    def snapshot(self) -> Any:
        """Return an immutable copy of the state."""
        self.settle()
        return (
            self.now,
            dict(self.objects),
            dict(self.relations),
            self.agenda.copy(),
            self.changes,
            dict(self.conditions),
            dict(self.alarms),
            dict(self.open_alarms),
            self.epochs,
        )

    def restore(self, snapshot: Any) -> None:
        """Return to a state that `snapshot` gave."""
        now, objects, relations, agenda, changes, conditions, alarms, open_alarms, epochs = snapshot
        self.now, self.changes, self.epochs = now, changes, epochs
        self.objects, self.relations, self.agenda = dict(objects), dict(relations), agenda.copy()
        self.conditions, self.alarms, self.open_alarms = dict(conditions), dict(alarms), dict(open_alarms)
        self.memo = {}
        self._dirty = set()

    def fork(self) -> Self:
        """Return an independent copy."""
        self.settle()
        copy = object.__new__(type(self))
        copy.region, copy.seed, copy.start_s = self.region, self.seed, self.start_s
        copy.memo, copy._dirty = {}, set()
        copy.now, copy.changes, copy.epochs = self.now, self.changes, self.epochs
        copy.objects, copy.relations, copy.agenda = self.objects.copy(), self.relations.copy(), self.agenda.copy()
        copy.conditions, copy.alarms = self.conditions.copy(), self.alarms.copy()
        copy.open_alarms = self.open_alarms.copy()
        return copy

    def dump(self) -> dict[str, Any]:
        """Return the state: what differs from the region as built, the clock, alarms, events and the change log."""
        self.settle()
        return {
            "region": f"{self.region.archetype}-{self.region.seed}",
            "seed": self.seed,
            "now": self.now,
            "objects": {name: _json(item) for name, item in self.changed_objects().items()},
            "relations": {
                name: _json(relation) if (relation := self.relations.get(name)) is not None else None
                for name in sorted(self.relations.keys() | self.region.relations.keys())
                if self.relations.get(name) is not self.region.relations.get(name)
            },
            "changes": [list(change) for change in self.changes],
            "conditions": [[*key, since] for key, since in sorted(self.conditions.items())],
            "alarms": {name: _json(alarm) for name, alarm in sorted(self.alarms.items())},
            "events": self.agenda.dump(),
        }

    def changed_objects(self) -> dict[str, Record]:
        """Return the objects that are not as the region was built."""
        pristine = self.region.records
        return {name: item for name, item in self.objects.items() if pristine.get(name) is not item}

    def mark(self) -> StateMark:
        """Return a reference to the present state; it is hashed when somebody asks."""
        return _Mark(self.fork())


class _Mark:
    """A state whose hash is computed when it is asked for."""

    __slots__ = ("_hash", "_network")

    def __init__(self, network: Network) -> None:
        self._network: Network | None = network
        self._hash: str | None = None

    def hash(self) -> str:
        """Return the SHA-256 digest of the state."""
        if self._hash is None or self._network is not None:
            self._hash = sha256_hex(canonical_json(self._network.dump() if self._network else {}))
            self._network = None
        return self._hash


def _kind_name(kind: type[Record]) -> str:
    name = kind.__name__
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).strip()


def _text(value: Any) -> str:
    return str(value.value if isinstance(value, Enum) else value)


def _json(record: Any) -> Any:
    """Return a record as JSON values, floats rounded to a millionth."""
    return json.loads(json.dumps(_plain(record)))


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, float):
        return round(value, 6) if abs(value) >= 1e-3 or value == 0 else float(f"{value:.6e}")
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value


_SITE_INDEX: dict[tuple[str, int], dict[str, tuple[str, ...]]] = {}


def _site_index(region: Region) -> dict[str, tuple[str, ...]]:
    """Return the ids of all objects at each site."""
    key = (region.archetype, region.seed)
    if key not in _SITE_INDEX:
        found: dict[str, list[str]] = {site.id: [site.id] for site in region.layout.sites}
        for name in region.records:
            site = _owner_site(region, name)
            if site is not None and name != site:
                found[site].append(name)
        _SITE_INDEX[key] = {site: tuple(names) for site, names in found.items()}
    return _SITE_INDEX[key]


def _owner_site(region: Region, name: str) -> str | None:
    """Return the site an object stands at, by its id; None for what stands between or beyond sites."""
    if name in region.transport.paths:
        return name
    prefix, _, rest = name.partition("-")
    if prefix in ("TL", "AGG", "MME", "AMF", "SGW", "UPF", "CU"):
        return None
    site = prefix if prefix.startswith("S") and prefix[1:].isdigit() else f"S{rest[:3]}"
    return site if site in region.transport.paths else None
