"""Which causes are still possible, given nothing but what was seen.

The table `hypotheses.yaml` says for every cause what speaks for it and what excludes it. A cause goes only if something
that was seen contradicts it, so the true one stays as long as what was seen is true.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache, lru_cache
from importlib import resources
from typing import Literal, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict

from telegym.envs.base_station.observations import (
    REGION,
    Listing,
    Observations,
    RecordLike,
    as_number,
    kind_of,
    layer_sector_of,
    observe,
    site_of,
)

__all__ = ["Hypothesis", "Signs", "hypotheses", "open_questions", "signs", "weigh"]

Status = Literal["open", "supported", "confirmed"]


class Hypothesis(NamedTuple):
    """A cause that is possible."""

    code: str
    """The cause."""
    element_id: str
    """Where: an element, a site (somewhere there), or nothing for somewhere else in the region."""
    status: Status
    """`open` if nothing contradicts it, `supported` if something points to it, `confirmed` if it was shown."""
    evidence: tuple[int, ...]
    """Indices of the calls that show or support it."""


class Signs(BaseModel):
    """A row of the table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at: str
    """Kind of element that the cause happens to."""
    alarms: tuple[str, ...] = ()
    """One of them is active wherever the cause is."""
    alarms_ever: tuple[str, ...] = ()
    """One of them was raised wherever the cause is, but may have cleared."""
    logged: tuple[str, ...] = ()
    """A change of one of them is in the log wherever the cause is."""
    noticed: tuple[str, ...] = ()
    """A notice of one of these kinds covers the place wherever the cause is."""
    excluded: tuple[str, ...] = ()
    """Conditions that exclude the cause at an element."""
    supported: tuple[str, ...] = ()
    """Conditions that point to it."""
    confirmed: tuple[str, ...] = ()
    """Conditions that show it."""


@cache
def signs() -> dict[str, Signs]:
    """Return the table, by cause."""
    text = resources.files("telegym.envs.base_station").joinpath("hypotheses.yaml").read_text(encoding="utf-8")
    return {code: Signs.model_validate(row) for code, row in yaml.safe_load(text).items()}


def hypotheses(calls: Sequence[RecordLike]) -> tuple[Hypothesis, ...]:
    """Return the causes that are possible after some calls: confirmed ones first, then supported, then open ones.

    An open cause is told for every site that somebody looked at and where nothing contradicts it, and once more,
    without an element, unless it is impossible in the whole region. Before anything was seen, that is all there is.

    Args:
        calls: The calls of an episode with their answers, in order.
    """
    return weigh(observe(calls))


def weigh(seen: Observations) -> tuple[Hypothesis, ...]:
    """Return the causes that are possible after what was seen."""
    found = [item for row in _table() for item in _of_cause(seen, row)]
    return tuple(sorted(found, key=lambda item: _ORDER[item.status]))


_ORDER = {"confirmed": 0, "supported": 1, "open": 2}


def open_questions(seen: Observations, item: Hypothesis) -> tuple[str, ...]:
    """Return what could still be looked at that would show or exclude a cause: `kind.fact`, as in the table.

    Args:
        seen: What was seen.
        item: A cause that is possible.
    """
    row = signs()[item.code]
    clauses = {clause for condition in (*row.excluded, *row.confirmed) for clause in _clauses(condition)}
    found = {f"{clause.kind}.{clause.name}" for clause in clauses if _is_unanswered(seen, item.element_id, clause)}
    return tuple(sorted(found))


def _is_unanswered(seen: Observations, name: str, clause: _Clause) -> bool:
    """Return whether nobody has looked at what a clause asks; of alarms, notices and logs lists tell all at once."""
    if clause.negated or clause.name.startswith(_LISTED):
        return False
    return not any(seen.of(subject, clause.name) for subject in _related(seen, name, clause.kind))


_LISTED = ("alarm.", "notice.", "changed.", "log_", "visit.", "present.", "raised.", "times.", "under.", "reference.")
"""How the names of facts begin that are told by lists."""


# --- the table, ready for use --------------------------------------------------------------------------------


class _Condition(NamedTuple):
    """A condition of the table."""

    clauses: tuple[_Clause, ...]
    """What has to hold."""
    needs: tuple[str, ...]
    """Names of facts without which it cannot hold."""
    own: str
    """Name of such a fact of the element itself; empty if it needs none."""


class _Row(NamedTuple):
    """A row of the table, with everything in it read."""

    code: str
    at: str
    excluded: tuple[_Condition, ...]
    supported: tuple[_Condition, ...]
    confirmed: tuple[_Condition, ...]
    lists: tuple[tuple[str, tuple[str, ...]], ...]
    """By kind of a list: what would be in it if the cause were there."""
    between: bool
    """Whether the cause happens between sites."""


@cache
def _table() -> tuple[_Row, ...]:
    return tuple(_row(code, row) for code, row in signs().items())


def _row(code: str, row: Signs) -> _Row:
    lists = {
        "alarms": row.alarms or row.alarms_ever,
        "active_alarms": row.alarms,
        "changes": row.logged,
        "notices": row.noticed,
    }
    excluded, supported, confirmed = (
        tuple(map(_condition, texts)) for texts in (row.excluded, row.supported, row.confirmed)
    )
    between = row.at in ("link", "port")
    return _Row(code, row.at, excluded, supported, confirmed, tuple(lists.items()), between)


def _condition(text: str) -> _Condition:
    clauses = _clauses(text)
    needed = [clause for clause in clauses if not clause.negated]
    own = next((clause.name for clause in needed if clause.kind == "self"), "")
    return _Condition(clauses, tuple(clause.name for clause in needed), own)


def _of_cause(seen: Observations, row: _Row) -> Iterator[Hypothesis]:
    confirmed = _holding(seen, row.at, row.confirmed)
    if confirmed:
        yield from (Hypothesis(row.code, name, "confirmed", calls) for name, calls in confirmed.items())
        return
    gone = _excluded(seen, row)
    if gone.total:
        return
    supported = {
        name: calls
        for name, calls in _holding(seen, row.at, row.supported).items()
        if not gone.covers(name) and not _is_excluded(seen, name, row)
    }
    yield from (Hypothesis(row.code, name, "supported", calls) for name, calls in supported.items())
    for site in dict.fromkeys((*seen.looked_at, *gone.left)):
        if not gone.covers(site) and not _all_excluded(seen, site, row):
            yield Hypothesis(row.code, site, "open", ())
    if not gone.everywhere:
        yield Hypothesis(row.code, "", "open", ())


def _candidates(seen: Observations, at: str) -> tuple[str, ...]:
    if at == "alarm_site":
        return (*seen.known("site"), *seen.known("power"))
    return seen.known(at)


def _holding(seen: Observations, at: str, conditions: Sequence[_Condition]) -> dict[str, tuple[int, ...]]:
    """Return the elements of a kind for which one of some conditions holds, with the calls that say so."""
    possible = [condition for condition in conditions if seen.names.issuperset(condition.needs)]
    if not possible:
        return {}
    found: dict[str, tuple[int, ...]] = {}
    for name in _candidates(seen, at):
        for condition in possible:
            calls = _evaluate(seen, name, condition)
            if calls is not None:
                found[name] = tuple(sorted(calls))
                break
    return found


def _is_excluded(seen: Observations, name: str, row: _Row) -> bool:
    limit = seen.first_change
    for condition in row.excluded:
        calls = _evaluate(seen, name, condition)
        if calls is not None and (limit is None or all(call < limit for call in calls)):
            return True
    return False


def _all_excluded(seen: Observations, site: str, row: _Row) -> bool:
    """Return whether a cause is excluded at a site, of whose kind of element it has but one."""
    form = _ONE.get(row.at)
    return form is not None and _is_excluded(seen, f"{form}{site[1:]}", row)


_ONE = {"power": "PWR-", "cabinet": "CAB-", "clock": "CLK-", "site": "S"}
"""How the ids of elements begin of which a site has but one."""


# --- what is impossible in places --------------------------------------------------------------------------


class _Excluded:
    """Where complete lists exclude a cause. Lists are taken in as they come."""

    __slots__ = ("_between", "_places", "_sites", "_wanted", "total", "used")

    def __init__(self, row: _Row) -> None:
        self._places: set[str] = set()
        self._sites: set[str] | None = None
        self._wanted = dict(row.lists)
        self._between = row.between
        self.total = False
        """Whether the cause is impossible everywhere."""
        self.used = 0
        """How many lists were taken in."""

    def use(self, listing: Listing) -> None:
        """Take in a list."""
        self.used += 1
        wanted = self._wanted[listing.kind]
        if not wanted or (listing.kind != "notices" and listing.minutes < DAY_MIN):
            return
        index = _index(listing)
        hits = [name for key in wanted for name in index.names.get(key, ())]
        if not hits and not index.blind:
            self._places.add(listing.scope)
            self.total = self.total or listing.scope == REGION
        if listing.scope == REGION and not (self._between and hits):
            here = {site for name in hits if (site := site_of(name)) is not None} | index.blind
            self._sites = here if self._sites is None else self._sites & here

    @property
    def everywhere(self) -> bool:
        """Whether the cause is impossible in the whole region, but for sites of which it is told separately."""
        return self.total or self._sites is not None

    @property
    def left(self) -> tuple[str, ...]:
        """The only sites where the cause is possible, where that is known."""
        return tuple(sorted(self._sites or ()))

    def covers(self, name: str) -> bool:
        """Return whether the cause is impossible at an element or site."""
        site = site_of(name)
        if self.total or name in self._places or (site is not None and site in self._places):
            return True
        return self._sites is not None and site is not None and site not in self._sites


def _excluded(seen: Observations, row: _Row) -> _Excluded:
    """Return where lists exclude a cause; causes with the same signs in lists share it.

    Lists that come after the first change say nothing, and are all that came since: those taken in before stay.
    """
    key = (row.lists, row.between)
    found: _Excluded | None = seen.worked_out.get(key)
    if found is None:
        found = seen.worked_out[key] = _Excluded(row)
    limit = seen.first_change
    while found.used < len(seen.listings):
        listing = seen.listings[found.used]
        if limit is not None and max(listing.calls) >= limit:
            break
        found.use(listing)
    return found


class _Index(NamedTuple):
    """A list, by what is in it."""

    names: dict[str, list[str]]
    """Elements by key."""
    blind: frozenset[str]
    """Sites whose own alarms may not have got through."""


@lru_cache(maxsize=1024)
def _index(listing: Listing) -> _Index:
    names: dict[str, list[str]] = {}
    for key, name in listing.entries:
        names.setdefault(key, []).append(name)
    silent = (name for key in _SILENT for name in names.get(key, ()))
    return _Index(names, frozenset(site for name in silent if (site := site_of(name)) is not None))


DAY_MIN = 1440
"""How far back a list must go to exclude anything."""
_SILENT = frozenset({"NE_OAM_UNREACHABLE", "TRN_ROUTER_UNREACHABLE"})
"""Alarms of nodes whose own alarms do not get through."""


# --- conditions --------------------------------------------------------------------------------------------

_CLAUSE = re.compile(r"^(?P<no>no )?(?P<kind>[a-z_]+)\.(?P<name>[\w.]+?)(?:\s*(?P<test>!=|=|<|>|~)\s*(?P<value>.+))?$")


class _Clause(NamedTuple):
    """Part of a condition."""

    negated: bool
    kind: str
    name: str
    test: str
    value: str


@cache
def _clauses(condition: str) -> tuple[_Clause, ...]:
    found = []
    for text in condition.split(", "):
        match = _CLAUSE.match(text.strip())
        if match is None:
            raise ValueError(f"hypotheses.yaml: {text!r} is no condition")
        found.append(
            _Clause(bool(match["no"]), match["kind"], match["name"], match["test"] or "", match["value"] or "")
        )
    return tuple(found)


def _evaluate(seen: Observations, name: str, condition: _Condition) -> set[int] | None:
    """Return the calls that show that a condition holds for an element; None if it does not."""
    if condition.own and (name, condition.own) not in seen.facts:
        return None
    calls: set[int] = set()
    for clause in condition.clauses:
        shown = _shown(seen, name, clause)
        if clause.negated:
            if shown is not None:
                return None
        elif shown is None:
            return None
        else:
            calls.add(shown)
    return calls


def _shown(seen: Observations, name: str, clause: _Clause) -> int | None:
    """Return the first call that shows a clause."""
    if clause.name not in seen.names:
        return None
    test = _TESTS[clause.test]
    for subject in _related(seen, name, clause.kind):
        for fact in seen.facts.get((subject, clause.name), ()):
            if test(fact.value, clause.value):
                return fact.call
    return None


def _compare(test: Callable[[float, float], bool]) -> Callable[[str, str], bool]:
    def compare(one: str, other: str) -> bool:
        left, right = as_number(one), as_number(other)
        return left is not None and right is not None and test(left, right)

    return compare


_TESTS: dict[str, Callable[[str, str], bool]] = {
    "": lambda one, other: True,
    "=": lambda one, other: one == other,
    "!=": lambda one, other: one != other,
    "~": lambda one, other: other in one,
    "<": _compare(lambda one, other: one < other),
    ">": _compare(lambda one, other: one > other),
}


# --- what belongs to what ----------------------------------------------------------------------------------


def _related(seen: Observations, name: str, kind: str) -> tuple[str, ...]:
    """Return the elements of a kind that belong to an element, as far as anything is known about them."""
    if kind == "self":
        return (name,)
    special = _SPECIAL.get(kind)
    if special is not None:
        return special(seen, name)
    site = site_of(name)
    if site is None:
        return ()
    single = _SINGLE.get(kind)
    if single is not None:
        return (single.format(site=site, number=site[1:]),)
    sector = layer_sector_of(name)
    near = tuple(seen.placed.get((kind, site), ()))
    if kind == "node" and sector is not None:
        return tuple(other for other in near if other.startswith("ENB") == sector.startswith("L"))
    if kind in ("cell", "ru", "fronthaul", "antenna") and sector is not None:
        return tuple(other for other in near if layer_sector_of(other) == sector)
    return near


_SINGLE = {
    "site": "{site}",
    "power": "PWR-{number}",
    "cabinet": "CAB-{number}",
    "clock": "CLK-{number}",
    "router": "CSR-{number}",
    "main_breaker": "PWR-{number}-Q1",
}


def _feed(seen: Observations, name: str) -> tuple[str, ...]:
    """Return the breaker that feeds a radio unit."""
    units = _related(seen, name, "ru") if kind_of(name) != "ru" else (name,)
    return tuple(feed for unit in units if (feed := seen.latest(unit, "breaker")) is not None)


def _board(seen: Observations, name: str) -> tuple[str, ...]:
    board = seen.latest(name, "board")
    return (board,) if board is not None else ()


def _end_sites(seen: Observations, name: str) -> tuple[str, ...]:
    """Return the sites at the ends of a link."""
    return tuple(f"S{part}" for part in name.split("-")[1:] if len(part) == 3 and part.isdigit())


_SPECIAL: dict[str, Callable[[Observations, str], tuple[str, ...]]] = {
    "region": lambda seen, name: (REGION,),
    "feed": _feed,
    "board": _board,
    "end_site": _end_sites,
}
