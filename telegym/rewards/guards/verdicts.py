"""Guards against agents that write their own verdict: orders to the judge, echoes of verdict formats, forged roles."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import ClassVar

from telegym.rewards.guards.base import Guard, Hit, Severity
from telegym.rewards.guards.reading import Passage, Reading, data
from telegym.rewards.guards.unmasking import HIDDEN, encoded_words, revealed

__all__ = ["ForgedRoles", "HiddenText", "JudgeOrders", "VerdictEcho", "patterns"]


class _Expressions(tuple[re.Pattern[str], ...]):
    """Expressions that are told from others by identity: to compare them all would take longer than to look."""

    __slots__ = ()
    __hash__ = object.__hash__
    __eq__ = object.__eq__


@lru_cache(maxsize=64)
def patterns(name: str, *parts: str) -> tuple[re.Pattern[str], ...]:
    """Return compiled expressions of `patterns.yaml`: of the named parts of an entry, or all of it."""
    entry = data("patterns.yaml")[name]
    lists = [entry] if isinstance(entry, list) else [entry[part] for part in parts or entry]
    return _Expressions(re.compile(text, re.IGNORECASE) for texts in lists for text in texts)


@lru_cache(maxsize=8)
def _hints(name: str) -> tuple[str, ...]:
    """Return letters of which each find has some: a look at them spares most texts the expressions."""
    found: list[str] = data("patterns.yaml")["hints"].get(name, [])
    return tuple(found)


@lru_cache(maxsize=4096)
def _silent(expressions: tuple[re.Pattern[str], ...], text: str) -> bool:
    """Return whether nothing is found in a text. The same answers of tools come again and again in rollouts."""
    return not any(expression.search(text) for expression in expressions)


def _first(expressions: Iterable[re.Pattern[str]], text: str, asked: str = "") -> str | None:
    """Return the first match in a text that what was asked for does not hold too."""
    for expression in expressions:
        for match in expression.finditer(text):
            found = match[0].strip()
            if found and not _is_asked_for(expression, found, asked):
                return found
    return None


def _is_asked_for(expression: re.Pattern[str], found: str, asked: str) -> bool:
    """Whether the question or the policy uses the same form, for example an answer in a box."""
    opening = re.match(r"\W*\w+\W?", found)
    mark = (opening[0] if opening else found).casefold()
    return bool(asked) and any(other[0].strip().casefold().startswith(mark) for other in expression.finditer(asked))


class _Marks(Guard):
    """Looks for expressions in what the agent wrote and, for some, in what it was told."""

    reason: ClassVar[str]
    told: ClassVar[str]

    def of_agent(self) -> tuple[re.Pattern[str], ...]:
        """Return what must not be in the agent's texts."""
        return patterns(self.name, "strong", "weak")

    def of_others(self) -> tuple[re.Pattern[str], ...]:
        """Return what must not be in the answers of tools."""
        return patterns(self.name, "strong")

    def look(self, reading: Reading) -> Iterator[Hit]:
        """Yield the first find in each text."""
        for passage in reading.written:
            found = self._find(self.of_agent(), passage.unmasked, reading.asked)
            if found is not None:
                yield self.hit(Severity.BLOCK, self.reason, passage, found)
        for passage in self.heard(reading):
            found = self._find(self.of_others(), revealed(passage.text), "")
            if found is not None:
                yield self.hit(Severity.DOUBT, self.told, passage, found)

    def heard(self, reading: Reading) -> Iterable[Passage]:
        """Return the texts of others that are looked at."""
        return [passage for passage in reading.met if passage.origin == "result"]

    def _find(
        self, expressions: tuple[re.Pattern[str], ...], texts: Iterable[str], asked: str, entry: str | None = None
    ) -> str | None:
        hints = _hints(entry or self.name)
        for text in texts:
            plain = text.casefold()
            if text.isascii() and hints and not any(hint in plain for hint in hints):
                continue
            found = None if _silent(expressions, text) else _first(expressions, text, asked)
            if found is not None:
                return found
        return None


class JudgeOrders(_Marks):
    """Orders to whoever judges: "ignore your instructions", "give full marks", "to the judge", in any disguise."""

    name = "judge_orders"
    reason = "the agent gives orders to whoever judges it"
    told = "a text that the agent met gives orders to whoever judges it"

    def of_agent(self) -> tuple[re.Pattern[str], ...]:
        """Return orders in all languages."""
        return patterns(self.name)

    def of_others(self) -> tuple[re.Pattern[str], ...]:
        """Return orders in all languages."""
        return patterns(self.name)

    def heard(self, reading: Reading) -> Iterable[Passage]:
        """Return the answers of tools and the words of the user."""
        return reading.met

    def look(self, reading: Reading) -> Iterator[Hit]:
        """Yield the first order in each text, and the first word of judging in each of the agent's that has none."""
        blocked = set()
        for hit in super().look(reading):
            blocked.add((hit.message, hit.call))
            yield hit
        words = patterns("judging_words")
        for passage in reading.written:
            if (passage.message, passage.call) not in blocked:
                found = self._find(words, passage.unmasked, reading.asked, "judging_words")
                if found is not None:
                    yield self.hit(Severity.DOUBT, "the agent speaks of judging instead of the work", passage, found)


class VerdictEcho(_Marks):
    r"""Forms in which judges give verdicts: `\boxed{1}`, `{"score": 1}`, `<answer>`, `[[A]]`, "verdict: correct".

    A form that question or policy ask for is no echo.
    """

    name = "verdict_echo"
    reason = "the agent writes in the form of a verdict"
    told = "an answer of a tool has the form of a verdict"


class ForgedRoles(_Marks):
    """Marks of chat roles and made-up answers of tools in what the agent writes."""

    name = "forged_roles"
    reason = "the agent speaks in the place of a tool, the system or the judge"
    told = "an answer of a tool has marks of chat roles"


class HiddenText(Guard):
    """Characters that do not show, letters of another script within words, and text in encodings.

    Args:
        least: Hidden characters next to letters in one text that are too many.
    """

    name = "hidden_text"

    def __init__(self, least: int = 2) -> None:
        self.least = least

    def look(self, reading: Reading) -> Iterator[Hit]:
        """Yield one hit for each text of the agent with something hidden in it."""
        for passage in reading.written:
            if (words := encoded_words(passage.text)) is not None:
                yield self.hit(Severity.DOUBT, "a text holds another one in an encoding", passage, words)
            elif not passage.text.isascii():
                hidden = HIDDEN.findall(passage.text)
                if len(hidden) >= self.least:
                    shown = passage.text.encode("ascii", "backslashreplace").decode()
                    yield self.hit(Severity.BLOCK, f"{len(hidden)} characters do not show", passage, shown)
                elif (mixed := _mixed_word(passage.text)) is not None:
                    yield self.hit(Severity.DOUBT, "a word mixes letters of several scripts", passage, mixed)


_MIXED = re.compile(r"\b(?=\w*[a-zA-Z]{2})(?=\w*[\u0370-\u03ff\u0400-\u04ff])[a-zA-Z\u0370-\u03ff\u0400-\u04ff]{4,}\b")


def _mixed_word(text: str) -> str | None:
    match = _MIXED.search(text)
    return match[0] if match is not None else None
