"""Claims: whether what an agent says to the customer, or writes when handing over, is true.

Sentences about the past and the present are looked for by their slots (a bill is paid, a line is active, a switch is
on, so many GB were added, a SIM card is locked, …) and compared with the state of the moment. Questions, requests and
conditions claim nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from telegym.envs.tau2_telecom.case import Case
from telegym.envs.tau2_telecom.findings import TODAY
from telegym.envs.tau2_telecom.state import TelecomState
from telegym.rewards.reasonableness.summary import Sheet
from telegym.rewards.reasonableness.tau2.beliefs import Beliefs, truth
from telegym.rewards.verdict import Check, Code

__all__ = ["Claims"]

_SENTENCE = re.compile(r"[^.!?\n]+[.!?]?")
_NO_CLAIM = re.compile(
    r"\?\s*$|\b(if|whether|once|when|until|after|before|please|could you|can you|would|should|may|might|need to|have to"
    r"|must|let me|let's|i will|i'll|going to)\b",
    re.I,
)


class _Slot(NamedTuple):
    """A kind of claim."""

    name: str
    pattern: re.Pattern[str]
    holds: Callable[[re.Match[str], Case, TelecomState, Beliefs], bool]


def _slot(name: str, pattern: str, holds: Callable[[re.Match[str], Case, TelecomState, Beliefs], bool]) -> _Slot:
    return _Slot(name, re.compile(pattern, re.I), holds)


def _negated(found: re.Match[str]) -> bool:
    return bool(re.search(r"\b(not|no|n't|isn't|can't|cannot|never)\b|n't\b", found[0], re.I))


def _switch(flag: str) -> Callable[[re.Match[str], Case, TelecomState, Beliefs], bool]:
    return lambda found, case, state, now: bool(getattr(now, flag)) == (found["state"].lower() in ("on", "enabled"))


def _off_switch(flag: str) -> Callable[[re.Match[str], Case, TelecomState, Beliefs], bool]:
    return lambda found, case, state, now: bool(getattr(now, flag)) != (found["state"].lower() in ("on", "enabled"))


def _paid(found: re.Match[str], case: Case, state: TelecomState, now: Beliefs) -> bool:
    named = re.search(r"\bB[0-9a-f]*\d[0-9a-f]*\b", found.string)
    if named is not None:
        bill = state.bills.get(named[0])
        return bill is not None and (bill.status == "Paid") != _negated(found)
    return (not (now.overdue | now.awaiting)) != _negated(found)


def _overdue(found: re.Match[str], case: Case, state: TelecomState, now: Beliefs) -> bool:
    return bool(now.overdue | now.awaiting) != _negated(found)


def _line_status(found: re.Match[str], case: Case, state: TelecomState, now: Beliefs) -> bool:
    active = found["state"].lower() in ("active", "resumed", "reactivated", "restored")
    return (bool(now.suspended) != active) != _negated(found)


def _ended(found: re.Match[str], case: Case, state: TelecomState, now: Beliefs) -> bool:
    end = state.lines[case.subject.line_id].contract_end_date
    return (end is not None and end < TODAY) != _negated(found)


def _sim_locked(found: re.Match[str], case: Case, state: TelecomState, now: Beliefs) -> bool:
    return bool(now.locked) != _negated(found)


def _used_up(found: re.Match[str], case: Case, state: TelecomState, now: Beliefs) -> bool:
    return bool(now.exceeded) != _negated(found)


def _all_used_up(found: re.Match[str], case: Case, state: TelecomState, now: Beliefs) -> bool:
    return bool(now.exceeded & now.spent) != _negated(found)


def _added(found: re.Match[str], case: Case, state: TelecomState, now: Beliefs) -> bool:
    line, first = (each.lines[case.subject.line_id] for each in (state, case.initial))
    amount = float(found["amount"])
    bought = line.data_refueling_gb - first.data_refueling_gb
    return abs(bought - amount) < 1e-6 or (bought > 0 and abs(line.data_refueling_gb - amount) < 1e-6)


def _roaming_enabled(found: re.Match[str], case: Case, state: TelecomState, now: Beliefs) -> bool:
    return state.lines[case.subject.line_id].roaming_enabled != _negated(found)


def _works(found: re.Match[str], case: Case, state: TelecomState, now: Beliefs) -> bool:
    return bool(now.goal) != _negated(found)


_IS = r"(?: card| mode| is| are| was| were| has been| have been| has| now| already| been| not| isn't| no longer| yet)*"
_ON = r"(?P<state>on|off|enabled|disabled)\b"
_SLOTS = (
    _slot("bill paid", rf"\b(?:bills?|payment)\b[^.;]{{0,40}}?{_IS} (?:paid|settled|received)\b", _paid),
    _slot("bill overdue", rf"\b(?:bill|balance)\b[^.;]{{0,30}}?{_IS} overdue\b", _overdue),
    _slot(
        "line",
        rf"\bline\b[^.;]{{0,30}}?{_IS} (?P<state>active|resumed|reactivated|restored|suspended)\b",
        _line_status,
    ),
    _slot("contract", rf"\bcontract\b[^.;]{{0,30}}?{_IS} (?:ended|expired)\b", _ended),
    _slot("SIM card", rf"\bSIM(?: card)?{_IS} locked\b", _sim_locked),
    _slot("extra data", r"\ball (?:the )?(?:extra|refuel\w*) data\b[^.;]{0,20}\bused up\b", _all_used_up),
    _slot("data", rf"\bdata(?: allowance| limit)?{_IS} (?:used up|exceeded|exhausted)\b", _used_up),
    _slot("refuel", r"\b(?:added|refuel\w+)\b[^.;]{0,20}?(?P<amount>\d+(?:\.\d+)?) ?GB", _added),
    _slot("line roaming", rf"\broaming\b{_IS} enabled (?:on|for) (?:your|the) line", _roaming_enabled),
    _slot("airplane mode", rf"\bairplane mode{_IS} {_ON}", _switch("airplane")),
    _slot("mobile data", rf"\bmobile data{_IS} {_ON}", _off_switch("data_off")),
    _slot("data saver", rf"\bdata saver(?: mode)?{_IS} {_ON}", _switch("saver")),
    _slot("Wi-Fi calling", rf"\bwi-?fi calling{_IS} {_ON}", _switch("calling")),
    _slot(
        "solved",
        r"\b(?:problem|issue|everything|it|service|internet|mobile data|mms|picture messages?)\b[^.;]{0,15}?"
        r"(?: is| are| has been| have been| now| not| isn't)* (?:solved|resolved|fixed|working|works|restored)\b",
        _works,
    ),
)


class Claims:
    """Counts what an agent claimed, and how much of it was true.

    Args:
        case: The case.
    """

    def __init__(self, case: Case) -> None:
        self._case = case
        self.made = 0
        self.true = 0
        self.reasons: list[str] = []

    @property
    def value(self) -> float | None:
        """The share of claims that are true; None if nothing was claimed."""
        return self.true / self.made if self.made else None

    def hear(self, text: str, state: TelecomState) -> list[str]:
        """Check what was said; return a sentence for each claim that is not true."""
        wrong = []
        for name, sentence, holds in self._claims(text, state):
            self.made += 1
            self.true += holds
            if not holds:
                wrong.append(f"not true ({name}): {sentence.strip()[:120]!r}")
        self.reasons += wrong
        return wrong

    def summary(self, text: str, state: TelecomState, sheet: Sheet) -> None:
        """Check what was written when the case was handed over."""
        made = self.made
        wrong = self.hear(text, state)
        if wrong:
            sheet.unmet(Check.CLAIMS, Code.CLAIM, wrong[0], 1 - len(wrong) / (self.made - made))
        elif self.made > made:
            sheet.met(Check.CLAIMS)

    def _claims(self, text: str, state: TelecomState) -> Iterator[tuple[str, str, bool]]:
        now: Beliefs | None = None
        for sentence in _SENTENCE.findall(text):
            if _NO_CLAIM.search(sentence):
                continue
            for slot in _SLOTS:
                found = slot.pattern.search(sentence)
                if found is not None:
                    now = now or truth(self._case, state)
                    yield slot.name, sentence, slot.holds(found, self._case, state, now)
