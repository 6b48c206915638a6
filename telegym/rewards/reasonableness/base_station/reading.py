"""Necessity of what changes nothing: reads, tests, waits, messages.

A read was needed if it is one that the policy asks for, if something that was used later became known by it, if it
made causes impossible or showed one, or if it told something new about a place that the case concerns. The same
question again, with the same answer while nothing had happened, was not. Waiting was needed if there was something to
wait for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

from telegym.envs.base_station.facts import related_to, site_at
from telegym.envs.base_station.hypotheses import Hypothesis, weigh
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.observations import Observations, conclude, site_of, take_in
from telegym.envs.base_station.policy.trace import LOOKS
from telegym.envs.base_station.process.records import (
    Change,
    ChangeStatus,
    Escalation,
    Notice,
    Ticket,
    WorkOrder,
    WorkState,
)
from telegym.rewards.reasonableness.base_station.case import DIAGNOSTIC, Act, Case
from telegym.rewards.reasonableness.base_station.treatment import WEAK, sites_of

__all__ = [
    "Insight",
    "Watch",
    "asked",
    "concerns",
    "looked_again",
    "repeated",
    "required",
    "waits_for",
    "waits_for_load",
]

SETTLING_S = 7200 + 1800
"""For how long after a change one may wait for its effect: the longest verification, and half an hour."""
AFTERMATH_S = 7200
"""For how long after its expected end something that a notice told of may still go on."""
LULL_S = 1800
"""How long a wait for another hour is at least."""
SEARCHED = 8
"""How many looks and tests are a search, after which one may wait for another hour."""
FRESH_S = 900
"""After how long a look at the same thing is a new look: a reporting period."""
_LISTINGS = frozenset({"list_alarms", "get_external_notices", "list_resources"})


class Insight(NamedTuple):
    """What a read told."""

    fresh: bool
    """Whether it told anything that was not known."""
    before: int
    """Causes that were possible before it."""
    after: int
    """Causes that were possible after it."""
    settled: bool
    """Whether a cause was shown by it, or made impossible."""


class _Novelty(Observations):
    """Observations that count what is new in them."""

    fresh: int = 0

    def note(self, subject: str, name: str, value: str) -> None:
        """Keep a fact."""
        known = self.facts.get((subject, name))
        if known is None or known[-1].value != value:
            self.fresh += 1
        super().note(subject, name, value)


class Watch:
    """Goes through an episode and keeps what was seen; the possible causes of every moment can be asked for in order.

    Args:
        case: The episode.
    """

    def __init__(self, case: Case) -> None:
        self._acts = case.acts
        self._seen = _Novelty()
        self._place = 0
        self._weighed: tuple[int, tuple[Hypothesis, ...]] | None = None
        self._texts: set[str] = set()

    def advance(self, calls: int) -> None:
        """Take in the answers of the first calls of the episode."""
        while self._place < calls:
            take_in(self._seen, self._place, self._acts[self._place].record)
            self._place += 1

    def possible(self) -> tuple[Hypothesis, ...]:
        """Return the causes that are possible by now."""
        if self._weighed is None or self._weighed[0] != self._place:
            conclude(self._seen)
            self._weighed = (self._place, weigh(self._seen))
        return self._weighed[1]

    def read(self, act: Act, *, weighing: bool) -> Insight:
        """Take in the answer of the next call, and return what it told.

        Args:
            act: The call.
            weighing: Whether to find out which causes it made impossible.
        """
        self.advance(act.index)
        before = _codes(self.possible()) if weighing else frozenset()
        known = self._known()
        self.advance(act.index + 1)
        new = self._known() != known or act.record.content not in self._texts
        self._texts.add(act.record.content)
        after = _codes(self.possible()) if weighing else frozenset()
        return Insight(
            new, len(before), len(after), bool(before - after) or any(item[2] != "open" for item in after - before)
        )

    def _known(self) -> tuple[int, int, int]:
        return self._seen.fresh, len(self._seen.listings), len(self._seen.looked_at)

    @property
    def seen(self) -> Observations:
        """All that was seen so far."""
        return self._seen


def _codes(found: Sequence[Hypothesis]) -> frozenset[tuple[str, str, str]]:
    return frozenset((item.code, item.element_id, item.status) for item in found)


# --- the same again ----------------------------------------------------------------------------------------


@cache
def _defaults(tool: str) -> dict[str, Any]:
    from telegym.tools.base_station._definition import definitions

    known = definitions().get(tool)
    rows = known.parameters.items() if known is not None else ()
    return {name: spec["default"] for name, spec in rows if "default" in spec}


def asked(act: Act) -> str:
    """Return what a call asks for as one text; arguments that are left out have their usual value."""
    if not act.asked:
        act.asked = f"{act.tool}{sorted({**_defaults(act.tool), **act.arguments}.items())}"
    return act.asked


def repeated(case: Case) -> dict[int, int]:
    """Return the calls that asked for the same as an earlier one and got the same answer, while nothing had happened.

    Returns:
        Index of the earlier call, by index of the later one.
    """
    latest: dict[str, Act] = {}
    happened: int = -1
    found: dict[int, int] = {}
    for act in case.acts:
        key = asked(act)
        known = latest.get(key)
        if known is not None and not act.failed and _idle_again(act, known, happened):
            found[act.index] = known.index
        if not act.failed:
            latest[key] = act
        if act.changes or act.tool == "wait":
            happened = act.index
    return found


def looked_again(case: Case) -> set[int]:
    """Return the calls that ask for the same as an earlier one when something had happened, or time had passed."""
    latest: dict[str, Act] = {}
    happened, found = -1, set()
    for act in case.acts:
        key = asked(act)
        known = latest.get(key)
        if known is not None and (happened > known.index or act.start_s - known.end_s >= FRESH_S):
            found.add(act.index)
        if not act.failed:
            latest[key] = act
        if act.changes or act.tool == "wait":
            happened = act.index
    return found


def _idle_again(act: Act, known: Act, happened: int) -> bool:
    if act.tool == "wait" or act.changes:
        return False
    same = act.record.content == known.record.content
    if act.reads or act.group == "query":
        return same and happened < known.index and act.start_s - known.end_s < FRESH_S
    return happened < known.index


# --- what is asked for -------------------------------------------------------------------------------------


def required(case: Case) -> dict[int, str]:
    """Return the reads that the policy asks for, or that belong to what was done next, each with a sentence."""
    aims, found = list(_aims(case)), {}
    last = max((act.index for act in case.acts if act.changes), default=None)
    for act in case.acts:
        if act.failed or not (act.reads or act.group in ("query", "process")):
            continue
        reason = _reason(case, act, aims, last)
        if reason:
            found[act.index] = reason
    return found


class _Aim(NamedTuple):
    """Something that a look may be for: a change, a visit, a diagnosis."""

    place: int
    element_id: str
    related: frozenset[str]
    site_id: str


def _aims(case: Case) -> Iterator[_Aim]:
    for act in case.acts:
        named = str(act.arguments.get("element_id", "")) if act.tool == "submit_diagnosis" else act.element_id
        if not named or not (act.changes or act.tool in ("submit_diagnosis", "request_change_approval")):
            continue
        related = act.facts.related or related_to(case.network, named)
        yield _Aim(act.index, named, related | {named}, act.facts.site_id or site_at(case.network, named))


def _reason(case: Case, act: Act, aims: list[_Aim], last: int | None) -> str:
    if act.tool == "get_record":
        return "records are read before they are relied on"
    if act.tool == "list_resources":
        return "people and parts are listed before somebody is sent"
    if act.tool in ("list_alarms", "get_external_notices") and _wide(act):
        return "alarms and notices are looked at before anything else"
    shown = {value for value in act.arguments.values() if isinstance(value, str)}
    site = site_of(str(act.arguments.get("scope_id", ""))) or act.element_id
    for aim in (aim for aim in aims if aim.place > act.index):
        if act.tool in LOOKS and shown & aim.related:
            return f"{aim.element_id} is looked at before call {aim.place}"
        if act.tool in _LISTINGS and site and site == aim.site_id:
            return f"what is known about {site} is looked at before call {aim.place}"
    verifies = last is not None and act.index > last and (act.tool in LOOKS or act.tool in _LISTINGS)
    if verifies and case.closing is not None:
        return "alarms and indicators are looked at after the last change"
    return ""


def _wide(act: Act) -> bool:
    return bool(act.arguments.get("scope_id", "region") == "region")


# --- waiting -----------------------------------------------------------------------------------------------


def waits_for(case: Case, act: Act) -> str:
    """Return what somebody who waits has to wait for; empty if there is nothing."""
    network = act.before
    if network is None:
        return ""
    pending = next(_pending(network), "")
    if pending:
        return pending
    earlier = [item for item in case.acts if item.index < act.index]
    done = [item for item in earlier if item.changes]
    if done and act.start_s - done[-1].end_s < SETTLING_S:
        return f"the effect of call {done[-1].index} is awaited"
    refused = _refused_for_now(earlier)
    if refused is not None:
        return f"call {refused.index} was refused for now"
    passing = sorted(name for key, name in network.open_alarms if key in _PASSING)
    return f"{passing[0]} may recover by itself" if passing else ""


def _refused_for_now(earlier: Sequence[Act]) -> Act | None:
    """Return the last call that may succeed later: one made just before, or a test that nobody has made since."""
    made = {asked(item) for item in earlier if not item.failed}
    for item in reversed(earlier):
        if item.refusal in ("RESOURCE_BUSY", "PRECONDITION_FAILED"):
            recent = item.index >= earlier[-1].index - 3
            if recent or (item.group == DIAGNOSTIC and asked(item) not in made):
                return item
    return None


_PASSING = frozenset({"PWR_MAINS_FAIL", "PWR_MAINS_FAIL_NO_BACKUP", "TRN_MW_RSL_LOW", "TRN_MW_ACM_DOWNSHIFT"})


def waits_for_load(case: Case, act: Act, possible: Sequence[Hypothesis]) -> str:
    """Return why somebody waits for another hour, in which there is load; empty if that is not it.

    Some trouble shows only then. Who has searched, and found nothing that shows what the cause is, may wait for it.

    Args:
        case: The episode.
        act: The wait.
        possible: What was possible before it.
    """
    shown = any(item.status == "confirmed" and item.code not in WEAK for item in possible)
    if shown or act.end_s - act.start_s < LULL_S:
        return ""
    looks = [item for item in case.acts[: act.visible] if item.tool in LOOKS or item.group == DIAGNOSTIC]
    searched = sum(not item.failed for item in looks) >= SEARCHED
    return "nothing has shown the cause yet; another hour may" if searched else ""


def _pending(network: Network) -> Iterator[str]:
    for order in network.all(WorkOrder):
        if order.state in (WorkState.EN_ROUTE, WorkState.PLANNED):
            yield f"{order.id} is on the way"
    for change in network.all(Change):
        if change.status is ChangeStatus.PENDING:
            yield f"{change.id} is to be decided"
    for asked_for in network.all(Escalation):
        if _open(asked_for, network.now):
            yield f"{asked_for.party} is at work"
    for notice in network.all(Notice):
        if notice.start_s <= network.now < notice.end_s + AFTERMATH_S:
            yield f"{notice.kind} is going on"


def _open(case: Escalation, now: int) -> bool:
    return case.accepted is None or (bool(case.accepted) and case.restore_s is not None and case.restore_s > now)


# --- what a read may be about ------------------------------------------------------------------------------


def concerns(case: Case, act: Act, seen: Observations) -> bool:
    """Return whether a read is about what the case concerns.

    That are the sites of the ticket, those about which anything unusual was seen, and those that handovers go to from
    there; and everything that is not at a site.

    Args:
        case: The episode.
        act: The read.
        seen: What was seen by then.
    """
    sites = _asked_about(act)
    if not sites:
        return True
    return bool(sites & _focus(case, seen))


def _asked_about(act: Act) -> set[str]:
    found = {site_of(part) for value in act.arguments.values() if isinstance(value, str) for part in value.split(">")}
    return {site for site in found if site is not None}


def _focus(case: Case, seen: Observations) -> set[str]:
    found = set(re.findall(r"\bS\d{3}", case.briefing))
    for record in case.truth.network.get(Ticket, case.ticket_id).scope if case.truth is not None else ():
        found.add(site_of(record) or record)
    for subject, name in seen.facts:
        if name.startswith(_UNUSUAL):
            found |= sites_of(subject)
        if name == "place" and (place := seen.latest(subject, name)) and place in case.briefing:
            found.add(subject)
    near = {row.value.partition("-")[0] for site in found for row in seen.of(site, "neighbour")}
    return found | near


_UNUSUAL = ("alarm.", "notice.", "changed.", "present.", "uplink_rise_db", "rank.", "same_identity", "under.")
"""How the names of facts begin that draw attention to a place."""
