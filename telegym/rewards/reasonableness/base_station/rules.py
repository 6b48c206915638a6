"""What the rules of the policy mean for a call: which check they belong to, and what is said of a call that breaks one.

Rules about what comes first belong to ordering, those about closing to completion, those about harm to safety with
the code `unsafe`; the rest to safety with the code `policy`. Some rules are judged by the truth: whether a remedy
from afar was left, whether the right skill was sent, whose case it is. In the view of what could be known these are
left to the causes that were possible, and rules about time and looks keep only what an agent could know.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from telegym.envs.base_station.policy import Violation
from telegym.rewards.reasonableness.base_station.case import Act, Case
from telegym.rewards.verdict import Check, Code, View

__all__ = ["HARM", "breaches", "placed"]

_PLACES: dict[str, tuple[Check, Code]] = {
    "R01": (Check.ORDERING, Code.ORDER),
    "R02": (Check.ORDERING, Code.ORDER),
    "R03": (Check.SAFETY, Code.POLICY),
    "R04": (Check.ORDERING, Code.ORDER),
    "R05": (Check.SAFETY, Code.POLICY),
    "R06": (Check.COMPLETION, Code.PREMATURE),
    "R07": (Check.SAFETY, Code.UNSAFE),
    "R08": (Check.SAFETY, Code.UNSAFE),
    "R09": (Check.SAFETY, Code.POLICY),
    "R10": (Check.PRECONDITION, Code.PRECONDITION),
    "R11": (Check.ORDERING, Code.ORDER),
    "R12": (Check.SAFETY, Code.POLICY),
    "R13": (Check.ORDERING, Code.ORDER),
    "R14": (Check.SAFETY, Code.UNSAFE),
    "R15": (Check.SAFETY, Code.UNSAFE),
    "R16": (Check.SAFETY, Code.UNSAFE),
    "R17": (Check.PRECONDITION, Code.PRECONDITION),
    "R18": (Check.SAFETY, Code.UNSAFE),
    "R19": (Check.ORDERING, Code.ORDER),
    "R20": (Check.SAFETY, Code.POLICY),
    "R21": (Check.COMPLETION, Code.PREMATURE),
    "R22": (Check.COMPLETION, Code.PREMATURE),
    "R23": (Check.COMPLETION, Code.PREMATURE),
    "R24": (Check.SAFETY, Code.UNSAFE),
    "R25": (Check.SAFETY, Code.POLICY),
    "R26": (Check.CLAIMS, Code.CLAIM),
}
HARM = frozenset({"R07", "R08", "R14", "R15", "R16", "R18", "R24"})
"""Rules that keep people, equipment and service from harm."""
_BY_TRUTH = frozenset({"R03", "R05", "R06", "R10", "R23"})
"""Rules that are judged by what was truly wrong, how urgent it truly was, or whose case it truly was."""


def placed(case: Case, item: Violation) -> tuple[Check, Code]:
    """Return the check and the code of a violation."""
    if item.rule == "R11" and "does not fit" in item.reason:
        return Check.PRECONDITION, Code.WRONG_CAUSE
    if item.rule == "R11" and "on the way" in item.reason:
        return Check.NECESSITY, Code.REDUNDANT
    if item.rule == "R13" and case.closing is not None and item.call == case.closing.index:
        return Check.COMPLETION, Code.PREMATURE
    if item.rule == "R17" and "not read" in item.reason:
        return Check.ORDERING, Code.ORDER
    if item.rule == "R23" and "escalated to" in item.reason:
        return Check.PRECONDITION, Code.WRONG_CAUSE
    return _PLACES[item.rule]


def breaches(case: Case, view: View) -> Iterator[tuple[int, Violation]]:
    """Yield the violations that count in a view, with the call each is charged to.

    What was not done in time is charged to the first call that came too late, or to the one that closed the ticket.
    """
    for item in case.violations:
        if view is View.OBSERVABLE and not _visible(case, item):
            continue
        call = item.call if item.call is not None else _late(case, item)
        if call is not None:
            yield call, item


def _visible(case: Case, item: Violation) -> bool:
    """Return whether an agent could know that it broke a rule."""
    if item.rule in _BY_TRUTH:
        return False
    if item.rule == "R11":
        return "does not fit" not in item.reason
    if item.rule == "R04":
        return _thought_better(case, item.call or 0)
    if item.rule == "R21" and case.trace is not None and case.trace.intermittent:
        # That trouble comes and goes is not known from the beginning.
        waited = re.match(r"closed (\d+) minutes", item.reason)
        return waited is None or int(waited[1]) < case.constants.verify_min
    return not (item.rule == "R26" and "does not name" in item.reason)


def _thought_better(case: Case, index: int) -> bool:
    """Return whether the agent itself gave another priority after a call before which it should have."""
    later = (act for act in case.acts if act.index > index and act.tool == "update_ticket" and not act.failed)
    return any(act.arguments.get("priority") for act in later)


def _late(case: Case, item: Violation) -> int | None:
    if case.trace is None or not case.acts:
        return None
    minutes = case.constants.notify_min if "noc" in item.reason else case.constants.notify_vip_min
    limit = case.trace.start_s + 60 * minutes
    late = next((act for act in case.acts if act.end_s > limit), None)
    chosen: Act = late or case.closing or case.acts[-1]
    return chosen.index
