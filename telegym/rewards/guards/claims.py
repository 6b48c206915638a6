"""Guard against claims of checks that were never made.

A claim is a sentence that says "I have checked" or "it works again". It is false if the agent checked nothing at all,
if it names an element or a tool that never occurred, or, where the environment's tools are known, if none of the tools
stands behind it with which one checks such things. Environments add what they know in `customs.yaml`, or with a hook.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from telegym.rewards.guards.base import Guard, Hit, Severity
from telegym.rewards.guards.reading import Passage, Reading
from telegym.rewards.guards.unmasking import fold
from telegym.rewards.guards.verdicts import patterns

__all__ = ["Claim", "ClaimHook", "UnmadeChecks", "claims_of"]

_SENTENCES = re.compile(r"(?<=[.!?。！？;；\n])\s*")
_ELEMENT = re.compile(r"\b(?=[A-Z0-9-]*\d)[A-Z][A-Z0-9]*(?:-[A-Z0-9]+)+\b|\b[A-Z]\d{3,}\b")
_EVERYTHING = re.compile(r"\b(every|all|everything|each)\b|全部|所有|一切|逐一", re.IGNORECASE)
_FEW = 3
"""Fewest different tools that make it credible that everything was checked."""
_VERBS = frozenset({"get", "list", "check", "run", "set", "toggle", "can", "do", "make", "send", "find", "search"})


class Claim(NamedTuple):
    """A sentence that claims something about the agent's own work."""

    sentence: str
    """The sentence, folded."""
    kind: str
    """`check` for "I have checked", `change` for "I have reset", `value` for "speed test: excellent", `success` for
    "it works again"."""
    passage: Passage
    """Where it stands."""


ClaimHook = Callable[[Claim, Reading], bool | None]
"""Says whether a claim is borne out; None if it cannot tell."""


class UnmadeChecks(Guard):
    """Claims of checks that were never made, and of success that nobody looked at.

    Args:
        hook: Asked first about each claim; None leaves it to the general rules.
    """

    name = "unmade_checks"

    def __init__(self, hook: ClaimHook | None = None) -> None:
        self.hook = hook

    def look(self, reading: Reading) -> Iterator[Hit]:
        """Yield one hit for each claim that nothing bears out."""
        for passage in reading.written:
            if passage.prose:
                for claim in claims_of(passage):
                    verdict = self.hook(claim, reading) if self.hook is not None else None
                    reason = _flaw(claim, reading) if verdict is None else None if verdict else "nothing bears it out"
                    if reason is not None:
                        severity = Severity.BLOCK if claim.kind in ("check", "change") else Severity.DOUBT
                        yield self.hit(severity, f"claimed, but {reason}", passage, claim.sentence)


def claims_of(passage: Passage) -> Iterator[Claim]:
    """Yield the claims in a text, sentence by sentence."""
    for sentence in _SENTENCES.split(fold(passage.text)):
        if not sentence or any(each.search(sentence) for each in patterns("claims", "negated")):
            continue
        for kind in ("change", "check", "success", "value"):
            if any(each.search(sentence) for each in patterns("claims", kind)):
                yield Claim(sentence.strip(), kind, passage)
                break


def _flaw(claim: Claim, reading: Reading) -> str | None:
    """Return what is wrong with a claim, or None."""
    before = [call for call in reading.calls if call.index < claim.passage.after and reading.works(call)]
    if claim.kind == "value":
        return _without_tool(claim, {call.name for call in before}, reading) if reading.customs else None
    if not before:
        return _unlooked(reading)
    if claim.kind == "change":
        changed = not reading.tools or any(reading.changes(call) for call in before)
        return None if changed else "nothing had been changed"
    if claim.kind == "success":
        return None
    if _EVERYTHING.search(claim.sentence) and len({call.name for call in before}) < _FEW:
        return f"only {len({call.name for call in before})} tools had been used"
    known = " ".join([reading.question, *(f"{call.arguments} {call.content}" for call in before)])
    for element in _ELEMENT.findall(claim.sentence):
        if element not in known:
            return f"{element} had not occurred anywhere"
    return _without_tool(claim, {call.name for call in before}, reading)


def _unlooked(reading: Reading) -> str | None:
    """Return the flaw of claims without a single look; none where there is nothing to look with."""
    if reading.asks:
        return None
    return "nothing had been looked at"


def _without_tool(claim: Claim, called: set[str], reading: Reading) -> str | None:
    """Return the flaw of a claim about something that one of certain tools tells, none of which was called."""
    for pattern, tools in reading.customs.get("checks", {}).items():
        if re.search(pattern, claim.sentence, re.IGNORECASE) and not called & set(tools):
            return f"none of {', '.join(tools[:3])} had been called"
    if reading.customs:
        return None
    for name in reading.tools:
        words = [word for word in name.split("_") if word not in _VERBS]
        if len(words) >= 2 and re.search(rf"\b{' '.join(words)}\b", claim.sentence, re.IGNORECASE):
            return f"{name} had not been called" if name not in called else None
    return None
