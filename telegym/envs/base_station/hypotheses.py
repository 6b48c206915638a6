"""Which causes are still possible, given nothing but what was seen.

The table `hypotheses.yaml` says for every cause what speaks for it and what excludes it. A cause goes only if something
that was seen contradicts it, so the true one stays as long as what was seen is true.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
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
    found = [item for code, row in signs().items() for item in _of_cause(seen, code, row)]
    order = {"confirmed": 0, "supported": 1, "open": 2}
    return tuple(sorted(found, key=lambda item: order[item.status]))


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


def _of_cause(seen: Observations, code: str, row: Signs) -> Iterator[Hypothesis]:
    candidates = _candidates(seen, row.at)
    confirmed = _holding(seen, candidates, row.confirmed)
    if confirmed:
        yield from (Hypothesis(code, name, "confirmed", calls) for name, calls in confirmed.items())
        return
    gone = _Excluded(seen, row)
    supported = {
        name: calls
        for name, calls in _holding(seen, candidates, row.supported).items()
        if not gone.covers(name) and not _is_excluded(seen, name, row)
    }
    yield from (Hypothesis(code, name, "supported", calls) for name, calls in supported.items())
    for site in dict.fromkeys((*seen.looked_at, *gone.left)):
        if not gone.covers(site) and not _all_excluded(seen, site, row):
            yield Hypothesis(code, site, "open", ())
    if not gone.everywhere:
        yield Hypothesis(code, "", "open", ())


def _candidates(seen: Observations, at: str) -> tuple[str, ...]:
    if at == "alarm_site":
        return (*seen.known("site"), *seen.known("power"))
    return seen.known(at)


def _holding(seen: Observations, names: Sequence[str], conditions: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Return the elements for which one of some conditions holds, with the calls that say so."""
    found: dict[str, tuple[int, ...]] = {}
    for name in names:
        for condition in conditions:
            calls = _evaluate(seen, name, condition)
            if calls is not None:
                found[name] = tuple(sorted(calls))
                break
    return found


def _is_excluded(seen: Observations, name: str, row: Signs) -> bool:
    limit = seen.first_change
    for condition in row.excluded:
        calls = _evaluate(seen, name, condition)
        if calls is not None and (limit is None or all(call < limit for call in calls)):
            return True
    return False


def _all_excluded(seen: Observations, site: str, row: Signs) -> bool:
    """Return whether a cause is excluded at a site, of whose kind of element it has but one."""
    name = {"power": f"PWR-{site[1:]}", "cabinet": f"CAB-{site[1:]}", "clock": f"CLK-{site[1:]}", "site": site}.get(
        row.at
    )
    return name is not None and _is_excluded(seen, name, row)


# --- what is impossible in places --------------------------------------------------------------------------


class _Excluded:
    """Where complete lists exclude a cause."""

    def __init__(self, seen: Observations, row: Signs) -> None:
        self._places: set[str] = set()
        self._sites: set[str] | None = None
        self._between = row.at in ("link", "port")
        for listing in seen.listings:
            limit = seen.first_change
            wanted = _wanted(listing, row)
            if wanted and (limit is None or max(listing.calls) < limit):
                self._use(listing, wanted)

    def _use(self, listing: Listing, wanted: tuple[str, ...]) -> None:
        hits = {name for key, name in listing.entries if key in wanted}
        if not hits and not self._blind(listing):
            self._places.add(listing.scope)
        if listing.scope == REGION and not (self._between and hits):
            here = {site for name in hits if (site := site_of(name)) is not None} | self._blind(listing)
            self._sites = here if self._sites is None else self._sites & here

    @staticmethod
    def _blind(listing: Listing) -> set[str]:
        """Return the sites whose own alarms may not have got through."""
        return {site for key, name in listing.entries if key in _SILENT and (site := site_of(name)) is not None}

    @property
    def everywhere(self) -> bool:
        """Whether the cause is impossible in the whole region, but for sites of which it is told separately."""
        return REGION in self._places or self._sites is not None

    @property
    def left(self) -> tuple[str, ...]:
        """The only sites where the cause is possible, where that is known."""
        return tuple(sorted(self._sites or ()))

    def covers(self, name: str) -> bool:
        """Return whether the cause is impossible at an element or site."""
        site = site_of(name)
        if REGION in self._places or name in self._places or (site is not None and site in self._places):
            return True
        return self._sites is not None and site is not None and site not in self._sites


def _wanted(listing: Listing, row: Signs) -> tuple[str, ...]:
    """Return what would be in a list if the cause were there; nothing if the list says nothing about it."""
    if listing.kind in ("alarms", "active_alarms") and listing.minutes >= DAY_MIN:
        return row.alarms or (row.alarms_ever if listing.kind == "alarms" else ())
    if listing.kind == "changes" and listing.minutes >= DAY_MIN:
        return row.logged
    return row.noticed if listing.kind == "notices" else ()


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


def _evaluate(seen: Observations, name: str, condition: str) -> set[int] | None:
    """Return the calls that show that a condition holds for an element; None if it does not."""
    calls: set[int] = set()
    for clause in _clauses(condition):
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
    for subject in _related(seen, name, clause.kind):
        for fact in seen.of(subject, clause.name):
            if _TESTS[clause.test](fact.value, clause.value):
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
    site, sector = site_of(name), layer_sector_of(name)
    if site is None:
        return ()
    if kind in _SINGLE:
        return (_SINGLE[kind].format(site=site, number=site[1:]),)
    near = tuple(other for other in seen.known(kind) if site_of(other) == site)
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
