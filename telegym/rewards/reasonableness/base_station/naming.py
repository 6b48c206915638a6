"""Grounding: where each thing that a call names first became known.

Everything an agent sees is text: the ticket, the policy, answers. A name is known if it stood in one of them before
the turn of the call. Names of one scheme give each other away, as an engineer reads them: the radio unit
`RU-012-L18-1` that of its cell `S012-L18-1`, any element that of its site, a site those of its power, clock, cabinet,
router and nodes. What is named must exist, then; whether a node is there is not known from its site alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import yaml

from telegym.envs.base_station.cases import namings
from telegym.envs.base_station.facts import related_to
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.objects import PowerSystem, Router
from telegym.envs.base_station.process.field import catalogue
from telegym.rewards.reasonableness.base_station.case import Act, Case, text_of

__all__ = ["Ledger", "Named", "exists", "named_by", "truth_names"]

_ID = re.compile(
    r"\b(?:S\d{3}(?:-[LN]\d+-\d+)?|(?:RU|FH|RET|ANT)-\d{3}-[LN]\d+-\d+(?:-[A-H])?|(?:ENB|GNB|DU)-\d{3}(?:-B\d+)?"
    r"|(?:PWR|CSR|CLK|CAB)-\d{3}(?:-[A-Z]+\d+)?|AGG-\d{2}(?:-P\d+)?|TL-\d{3}-(?:\d{3}|A\d{2})"
    r"|(?:INC|CR|WO|MW|ESC)-\d{5}|ALM-\d{5})\b"
)
"""Ids as they stand in free text."""
_UNIT = re.compile(r"^(?:RU|FH|RET|ANT)-(\d{3}-[LN]\d+-\d+)(?:-[A-H])?$|^S(\d{3}-[LN]\d+-\d+)$")
_AT_SITE = re.compile(r"^(?:PWR|CSR|CLK|CAB|ENB|GNB|DU)-(\d{3})$|^S(\d{3})$")
_BOARD = re.compile(r"^((?:ENB|GNB|DU)-\d{3})-B\d+$")
_SHORT = frozenset(f"{kind}{number}" for kind in "QBF" for number in range(1, 40))
"""Short names of breakers."""
_BREAKER = re.compile(r"^(PWR-\d{3})-(\w+)$")


class Named(NamedTuple):
    """Something that a call names."""

    argument: str
    """The argument."""
    value: str
    """What stands there."""
    kind: str
    """`name`, `value` or `part`."""


@cache
def _table() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(text_of("naming.yaml"))
    return found


@cache
def _role(tool: str, argument: str) -> str:
    table = _table()
    if argument in table["values"].get(tool, ()):
        return "value"
    roles = (("names", "name"), ("causes", "cause"), ("parts", "part"), ("texts", "text"))
    return next((role for key, role in roles if argument in table[key]), "")


def named_by(act: Act) -> Iterator[Named]:
    """Yield what a call names."""
    for argument, content in act.arguments.items():
        role = _role(act.tool, argument)
        if not role:
            continue
        for item in content if isinstance(content, list) else (content,):
            yield from _named(argument, role, item)


def _named(argument: str, role: str, item: Any) -> Iterator[Named]:
    if item is None or item == "":
        return
    if role == "text":
        yield from (Named(argument, name, "name") for name in dict.fromkeys(_ID.findall(str(item))))
    elif role == "cause":
        yield Named(argument, str(item).partition("@")[2], "name")
    elif role == "value":
        yield Named(argument, f"{item:g}" if isinstance(item, float) else str(item), "value")
    elif str(item) not in _table()["always"]:
        yield Named(argument, str(item), role)


# --- what became known when --------------------------------------------------------------------------------


class Ledger:
    """When names became known.

    Args:
        case: The episode.
        given: Names that are known from the beginning, for who knows the truth.
    """

    def __init__(self, case: Case, given: frozenset[str] = frozenset()) -> None:
        self._case = case
        self._given = given
        self._opening = f"{case.briefing}\n{case.episode.system}"
        self._first: dict[str, int | None] = {}
        self.opens: dict[int, set[int]] = {}
        """By the index of a call that told a name: the calls that use it."""

    def is_known(self, named: Named, act: Act) -> bool:
        """Return whether something was known before the turn of a call."""
        if named.kind == "part":
            return named.value in catalogue().parts
        if named.kind == "value":
            return self._value_known(named.value, act)
        return self._seen(named.value, act) or self._follows(named.value, act)

    def _follows(self, name: str, act: Act) -> bool:
        """Return whether a name follows from known ones, and is one of something that exists."""
        derived = any(self._seen(source, act) for source in _sources(name)) or self._composed(name, act)
        return derived and (name.partition("-")[0] in _SHORT or exists(self._case.network, name))

    def _composed(self, name: str, act: Act) -> bool:
        """Return whether a name is made of known ones: a relation of its cells, a board or breaker of its owner's."""
        if ">" in name:
            return all(self.is_known(Named("", part, "name"), act) for part in name.split(">"))
        board = _BOARD.match(name)
        if board is not None:
            return self.is_known(Named("", board[1], "name"), act)
        breaker = _BREAKER.match(name)
        if breaker is None:
            return bool(re.fullmatch(r"[QBF]\d+", name)) and (name == "Q1" or self._seen(name, act, anywhere=True))
        shown = breaker[2] == "Q1" or self._seen(breaker[2], act, anywhere=True)
        return shown and self.is_known(Named("", breaker[1], "name"), act)

    def _seen(self, name: str, act: Act, *, anywhere: bool = False) -> bool:
        if name not in self._first:
            self._first[name] = self._search(name, anywhere=anywhere)
        first = self._first[name]
        if first is None or first > act.visible:
            return name in self._given
        if first > 0:
            self.opens.setdefault(first - 1, set()).add(act.index)
        return True

    def _search(self, name: str, *, anywhere: bool) -> int | None:
        """Return after how many calls a name was known; 0 for the beginning, None for never."""
        anywhere = anywhere or name.startswith("-")
        if _stands(name, self._opening, anywhere=anywhere):
            return 0
        for act in self._case.acts:
            content = act.record.content
            if not _stands(name, content, anywhere=anywhere):
                continue
            # A refusal repeats what was asked; that makes it no more known than it was.
            if act.failed and any(name in str(value) for value in act.arguments.values()):
                continue
            return act.index + 1
        return None

    def _value_known(self, value: str, act: Act) -> bool:
        """Return whether a value was shown, or lies between two that were, as a step on the way to the plan."""
        if act.facts.planned_value and act.facts.parameter:
            return True
        word = re.compile(rf"(?<![\w.]){re.escape(value)}(?![\w.])")
        return any(word.search(item.record.content) for item in self._case.acts[: act.visible] if not item.failed)


def _stands(name: str, text: str, *, anywhere: bool) -> bool:
    """Return whether a name stands in a text by itself: no letter, digit or (unless `anywhere`) hyphen before it."""
    place = text.find(name)
    while place >= 0:
        before, after = text[place - 1 : place], text[place + len(name) : place + len(name) + 1]
        if not _is_word(after) and (anywhere or not (before == "-" or _is_word(before))):
            return True
        place = text.find(name, place + 1)
    return False


def _is_word(letter: str) -> bool:
    return letter.isascii() and letter.isalnum()


def _sources(name: str) -> Iterator[str]:
    """Yield names that give a name away."""
    unit = _UNIT.match(name)
    if unit is not None:
        key = unit[1] or unit[2]
        yield from (f"S{key}", f"RU-{key}", f"FH-{key}", f"ANT-{key}", f"RET-{key}")
    site = _AT_SITE.match(name)
    if site is not None:
        number = site[1] or site[2]
        yield from (f"S{number}", f"-{number}")


# --- what there is -----------------------------------------------------------------------------------------


def exists(network: Network, name: str) -> bool:
    """Return whether there is something of a name in a network."""
    if name in network.objects or name in network.alarms or name in network.relations:
        return True
    if name in network.region.relations or name in network.region.records:
        return True
    owner = network.objects.get(name.rpartition("-")[0])
    if isinstance(owner, PowerSystem):
        return any(item.id == name for item in owner.breakers)
    if isinstance(owner, Router):
        return any(item.id == name for item in owner.ports)
    return False


def truth_names(case: Case) -> frozenset[str]:
    """Return the names that who knows the truth of a case may use without having seen them."""
    truth = case.truth
    if truth is None:
        return frozenset()
    found: set[str] = set()
    for defect in (*truth.defects, *truth.harmless):
        names = {defect.element_id, *(item.element_id for item in namings(truth.network, defect))}
        found.update(names, *(related_to(truth.network, name) for name in names))
        found.update(*(truth.network.index.behind.get(name, ()) for name in names))
    return frozenset(found)
