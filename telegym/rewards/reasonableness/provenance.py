"""Provenance: where each value that a call names first became known.

A domain says which words are facts (patterns with a kind: `customer`, `line`, `phone number`, …) and which arguments
name facts. Everything the agent sees is read in order: ticket, policy, the user's turns, answers of tools. An argument
is grounded if a fact of the same kind was known before the call, if the schema lists it, or if a registered derivation
yields it from known facts. What is not grounded is either *invented* (it exists nowhere in the world) or *lucky* (it
exists but was never shown); both are told apart, for scores by the final state notice neither.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

__all__ = ["Derivation", "Facts", "Ground", "Grounding", "Origin", "Pattern"]


class Origin(NamedTuple):
    """Where a fact first became known."""

    source: str
    """`task`, `policy`, `schema`, `user`, or the name of a tool."""
    step: int
    """Index of the call whose answer told it; -1 for what was known from the beginning."""


class Ground(StrEnum):
    """How well an argument is grounded."""

    KNOWN = "known"
    """It had been seen."""
    DERIVED = "derived"
    """It follows from what had been seen."""
    LUCKY = "lucky"
    """It exists, but was never shown."""
    INVENTED = "invented"
    """It exists nowhere."""


class Grounding(NamedTuple):
    """How one argument of a call is grounded."""

    argument: str
    """Its name."""
    value: Any
    """Its value."""
    kind: str
    """The kind of fact it has to be."""
    ground: Ground
    """How well it is grounded."""
    origin: Origin | None = None
    """Where it first became known; None for derived and ungrounded values."""

    @property
    def grounded(self) -> bool:
        """Whether it was known or follows from what was."""
        return self.ground in (Ground.KNOWN, Ground.DERIVED)

    def sentence(self) -> str:
        """Return what is to be said of it."""
        if self.ground is Ground.KNOWN and self.origin is not None:
            return f"{self.argument} {self.value!r} was known from {self.origin.source}"
        if self.ground is Ground.DERIVED:
            return f"{self.argument} {self.value!r} follows from what was known"
        what = "exists but had never been shown" if self.ground is Ground.LUCKY else "exists nowhere"
        return f"{self.argument} {self.value!r} {what}"


class Pattern(NamedTuple):
    """What facts of a kind look like in text."""

    kind: str
    """The kind."""
    expression: str
    """Regular expression of the whole word."""


Derivation = Callable[[Any, "Facts"], bool]
"""Whether a value follows from known facts, for example a difference of two known numbers."""


class Facts:
    """Everything known so far, by kind and value, with where it first became known.

    Args:
        patterns: How facts look in text; earlier ones win where two match.
        derivations: For kinds of values that may be computed: whether a value follows from what is known.
    """

    __slots__ = ("_derivations", "_expression", "_known", "_seen_texts")

    def __init__(self, patterns: Iterable[Pattern], derivations: Mapping[str, Derivation] | None = None) -> None:
        self._expression = _compiled(tuple(patterns))
        self._derivations = dict(derivations or {})
        self._known: dict[tuple[str, Any], Origin] = {}
        self._seen_texts: dict[str, None] = {}

    def learn(self, kind: str, value: Any, source: str, step: int = -1) -> None:
        """Take in one fact; the first origin is kept."""
        self._known.setdefault((kind, value), Origin(source, step))

    def read(self, text: str | None, source: str, step: int = -1) -> None:
        """Take in every fact of a text. A text that was read before costs nothing."""
        if not text or text in self._seen_texts:
            return
        self._seen_texts[text] = None
        for kind, value in _facts(self._expression, text):
            self._known.setdefault((kind, value), Origin(source, step))

    def mentions(self, words: str) -> bool:
        """Return whether a text that was read contains these words, whatever their case."""
        wanted = words.lower()
        return bool(wanted) and any(wanted in text.lower() for text in self._seen_texts)

    def origin(self, kind: str, value: Any) -> Origin | None:
        """Return where a fact first became known, or None."""
        return self._known.get((kind, value))

    def of_kind(self, kind: str) -> Iterator[Any]:
        """Yield the known values of a kind, in the order in which they became known."""
        return (value for known, value in self._known if known == kind)

    def ground(self, argument: str, value: Any, kind: str, exists: Callable[[str, Any], bool]) -> Grounding:
        """Say how well an argument is grounded.

        Args:
            argument: Its name.
            value: Its value.
            kind: The kind of fact it has to be.
            exists: Whether a value of a kind is in the world; asked only if it was not known.
        """
        key = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
        found = self._known.get((kind, key)) if isinstance(key, str | float | bool | None) else None
        if found is not None:
            return Grounding(argument, value, kind, Ground.KNOWN, found)
        derivation = self._derivations.get(kind)
        if derivation is not None and derivation(value, self):
            return Grounding(argument, value, kind, Ground.DERIVED)
        return Grounding(argument, value, kind, Ground.LUCKY if exists(kind, value) else Ground.INVENTED)


@lru_cache(maxsize=16)
def _compiled(patterns: tuple[Pattern, ...]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?P<{pattern.kind}>{pattern.expression})" for pattern in patterns))


def _facts(expression: re.Pattern[str], text: str) -> Iterator[tuple[str, Any]]:
    for match in expression.finditer(text):
        kind, value = match.lastgroup or "", match[0]
        yield kind, float(value) if kind == "number" else value
