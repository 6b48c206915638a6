"""Whether what is said at the end is true: the diagnosis, how the case was closed, what the summary tells.

Claims are read off the calls: cause and element of a diagnosis and of each additional cause, the resolution, and in
the summary the ids it names, the causes it names, and the verbs that say what was done.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

from telegym.envs.base_station.cases import namings
from telegym.envs.base_station.faults import fault_infos
from telegym.envs.base_station.hypotheses import Hypothesis
from telegym.envs.base_station.observations import kind_of, layer_sector_of
from telegym.envs.base_station.outcome import SELF_HEALING, dealt_with
from telegym.envs.base_station.policy.trace import LOOKS
from telegym.rewards.reasonableness.base_station.case import Act, Case
from telegym.rewards.reasonableness.base_station.naming import exists
from telegym.rewards.reasonableness.base_station.treatment import WEAK, near
from telegym.rewards.verdict import View

__all__ = ["Claim", "claims_of", "unfinished"]

_NOTHING_WRONG = frozenset({"no_fault_found", "planned_work"})
_WORDS = re.compile(
    r"\b(?:S\d{3}(?:-[LN]\d+-\d+)?|(?:RU|FH|ANT|PWR|CLK|CAB|CSR|ENB|GNB|DU)-\d{3}[A-Z0-9-]*|TL-\d{3}-\w{3}|AGG-\d{2})\b"
)
_DONE: dict[str, tuple[str, ...]] = {
    "replaced": ("instruct_technician",),
    "exchanged": ("instruct_technician",),
    "tightened": ("instruct_technician",),
    "reset": ("reset_unit", "reset_node"),
    "restarted": ("reset_unit", "reset_node"),
    "rerouted": ("reroute_transport",),
    "escalated": ("escalate_ticket",),
    "unlocked": ("set_admin_state",),
    "rolled back": ("rollback_config", "change_software"),
}
"""Verbs, and the tools one of which must have been used."""
_CHECKED = re.compile(r"\b(?:checked|verified|tested)\b", re.IGNORECASE)
_UNTOUCHED = re.compile(r"\bnothing was changed\b", re.IGNORECASE)


class Claim(NamedTuple):
    """Something that was said."""

    text: str
    """What."""
    true: bool
    """Whether it is so, or may be for all that was known."""


def claims_of(case: Case, act: Act, view: View, possible: Sequence[Hypothesis]) -> Iterator[Claim]:
    """Yield the claims of a diagnosis or of closing words.

    Args:
        case: The episode.
        act: A call of `submit_diagnosis` or `close_ticket`.
        view: From where to judge.
        possible: What was possible before the call; used in the view of what could be known.
    """
    if act.tool == "submit_diagnosis":
        yield from _diagnosis(case, act, view, possible)
    else:
        yield from _resolution(case, act, view)
        yield from _summary(case, act, view)


# --- diagnosis ---------------------------------------------------------------------------------------------


def _diagnosis(case: Case, act: Act, view: View, possible: Sequence[Hypothesis]) -> Iterator[Claim]:
    said = [(str(act.arguments.get("root_cause")), str(act.arguments.get("element_id")))]
    for text in act.arguments.get("additional_causes") or ():
        code, _, element = str(text).partition("@")
        said.append((code, element))
    for code, element in said:
        words = f"{code} at {element}"
        if view is View.ORACLE:
            yield Claim(f"{words} is what is wrong", _is_so(case, code, element))
        else:
            yield Claim(f"{words} is what the evidence shows", _may_be(code, element, possible))


def _is_so(case: Case, code: str, element: str) -> bool:
    """Return whether a cause is there at an element."""
    truth = case.truth
    if truth is None:
        return False
    known = [item for defect in (*truth.defects, *truth.harmless) for item in namings(truth.network, defect)]
    return any((item.code, item.element_id) == (code, element) and item.credit >= 1.0 for item in known)


def _may_be(code: str, element: str, possible: Sequence[Hypothesis]) -> bool:
    """Return whether evidence speaks for a cause at an element, or nothing else is left that it speaks for."""
    codes = {code, *_SHOWN_AS.get(code, ())}
    here = [item for item in possible if item.code in codes and _placed(item.element_id, element)]
    if any(item.status != "open" for item in here):
        return True
    if any(item.code in codes and item.status == "confirmed" for item in possible):
        return False  # This very cause was shown elsewhere, and nothing speaks for it here.
    site = [item for item in possible if near(item.element_id, element, exact=False)]
    if code in WEAK and any(item.status != "open" for item in site):
        return False
    rivals = site if here else possible
    return bool(here or code in WEAK) and not any(i.status == "confirmed" and i.code not in WEAK for i in rivals)


_SHOWN_AS = {"baseband_board_failure": ("outage_spillover",)}
"""Causes that evidence shows by their consequences: those under which they are found."""


def _placed(name: str, element: str) -> bool:
    """Return whether a possible cause is at an element, as exactly as it is known."""
    return not name or near(element, name, exact=layer_sector_of(name) is not None and kind_of(name) != "site")


# --- closing -----------------------------------------------------------------------------------------------


def _resolution(case: Case, act: Act, view: View) -> Iterator[Claim]:
    resolution = str(act.arguments.get("resolution"))
    done = [item for item in case.acts if item.index < act.index and not item.failed]
    words = f"the case was closed as {resolution}"
    if resolution == "fixed_remote":
        yield Claim(words, any(item.group == "remote_action" and item.changes for item in done))
    elif resolution == "fixed_on_site":
        yield Claim(words, any(item.tool == "instruct_technician" and item.changes for item in done))
    elif resolution == "fixed_by_third_party":
        yield Claim(words, any(item.tool == "escalate_ticket" for item in done))
    elif resolution in _NOTHING_WRONG:
        yield Claim(words, all(fault_infos()[code].family == "no_fault" for code in _causes(case, view)))


def _causes(case: Case, view: View) -> list[str]:
    """Return what is wrong: truly, or by the agent's own diagnosis."""
    if view is View.ORACLE and case.truth is not None:
        return [defect.code for defect in case.truth.defects]
    last = case.submitted[-1:]
    return [str(item.arguments.get("root_cause")) for item in last]


def _summary(case: Case, act: Act, view: View) -> Iterator[Claim]:
    text = str(act.arguments.get("summary", ""))
    done = {item.tool for item in case.acts if item.index < act.index and not item.failed}
    for name in dict.fromkeys(_WORDS.findall(text)):
        yield Claim(f"{name} is named", exists(case.network, name))
    for verb, tools in _DONE.items():
        if verb in text.lower():
            yield Claim(f"something was {verb}", bool(done & set(tools)))
    if _CHECKED.search(text):
        yield Claim("service was checked", _looked_after(case, act))
    if _UNTOUCHED.search(text):
        yield Claim("nothing was changed", not any(item.changes for item in case.acts))
    for code in _named_causes(text):
        known = _causes(case, view) + [d.code for d in (case.truth.harmless if case.truth is not None else ())]
        yield Claim(f"{code} is named as the cause", code in known or _is_twin(case, code))


def _is_twin(case: Case, code: str) -> bool:
    """Return whether a cause is another name of what is wrong."""
    truth = case.truth
    if truth is None:
        return False
    return any(code == item.code for defect in truth.defects for item in namings(truth.network, defect))


@cache
def _phrases() -> dict[str, str]:
    return {code.replace("_", " "): code for code in fault_infos()}


def _named_causes(text: str) -> list[str]:
    lowered = text.lower()
    return [code for words, code in _phrases().items() if words in lowered]


def _looked_after(case: Case, act: Act) -> bool:
    changes = [item.index for item in case.acts if item.changes and item.index < act.index]
    last = changes[-1] if changes else -1
    looks = [item for item in case.acts if last < item.index < act.index and not item.failed]
    return any(item.tool in LOOKS or item.tool == "list_alarms" for item in looks)


def unfinished(case: Case, view: View) -> str:
    """Return why a case was not finished when it was closed; empty if it was.

    In the view of what could be known: a cause of which the agent itself said that it is there, and which somebody has
    to repair, was not treated; one that may be handed over was not handed to anybody.
    """
    if case.kind == "DIA" or case.truth is None:
        return ""
    if view is View.ORACLE:
        left = [defect for defect in case.truth.defects if not dealt_with(case.network, defect)]
        return f"{left[0].code} at {left[0].element_id} is still there" if left else ""
    said = next((str(item.arguments.get("root_cause")) for item in reversed(case.submitted)), "")
    info = fault_infos().get(said)
    if info is None or info.family == "no_fault" or said in SELF_HEALING or said in _PASSES:
        return ""
    if info.hand_over and not any(item.tool == "escalate_ticket" and not item.failed for item in case.acts):
        return f"nobody was asked to take over {said}"
    acted = any(item.changes or (item.tool == "escalate_ticket" and not item.failed) for item in case.acts)
    return "" if acted else f"nothing was done about {said}"


_PASSES = frozenset({"microwave_rain_fade", "external_interferer"})
"""Causes that end by themselves, or by others."""
