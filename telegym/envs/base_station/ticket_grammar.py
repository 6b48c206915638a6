"""A small grammar for texts with slots, alternatives and parts that may be missing.

    "[Customers|Callers] {where} complain about slow data< since {since}>."

`{slot}` is replaced by what is known, `[one|other]` becomes one of its alternatives, and `<part>` is left out when one
of its slots has nothing to say. Parts nest. Which alternative is taken depends on a seed and its place in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from telegym.core.errors import TaskError
from telegym.envs.base_station.noise import mix, uniform

__all__ = ["Choice", "Part", "Piece", "Sequence", "Slot", "parse", "render", "required_slots", "slots"]

_ENDS = ("|", "]", ">", "}")
_TOKEN = re.compile(r"\{\w+\}|[\[\]<>|{}]|[^\[\]<>|{}]+")


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for something that is known."""

    name: str
    """Name of the slot."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Several ways of saying the same."""

    options: tuple[Sequence, ...]
    """The alternatives; one may be empty."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part that the text can do without."""

    nodes: Sequence
    """What it says."""


Sequence: TypeAlias = tuple["str | Slot | Choice | Part", ...]


class Piece(NamedTuple):
    """A stretch of rendered text."""

    text: str
    """The text."""
    exact: bool
    """Whether it came from a slot, so that nobody mistypes it."""


class _Parser:
    """Reads one text from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = _TOKEN.findall(text)
        self.position = 0

    def whole(self) -> Sequence:
        nodes = self.sequence("")
        if self.position < len(self.tokens):
            raise self.error(f"stray {self.tokens[self.position]!r}")
        return nodes

    def sequence(self, end: str) -> Sequence:
        nodes: list[str | Slot | Choice | Part] = []
        while self.position < len(self.tokens) and self.tokens[self.position] not in _ENDS:
            nodes.append(self.node(self.tokens[self.position]))
        if end and (self.position >= len(self.tokens) or self.tokens[self.position] not in end):
            raise self.error(f"one of {end!r} is missing")
        return tuple(nodes)

    def node(self, token: str) -> str | Slot | Choice | Part:
        self.position += 1
        if token == "[":
            return self.choice()
        if token == "<":
            part = Part(self.sequence(">"))
            self.position += 1
            return part
        if token == "{":
            raise self.error("a slot is a name in braces")
        return Slot(token[1:-1]) if token.startswith("{") else token

    def choice(self) -> Choice:
        options = [self.sequence("|]")]
        while self.tokens[self.position] == "|":
            self.position += 1
            options.append(self.sequence("|]"))
        self.position += 1
        return Choice(tuple(options))

    def error(self, reason: str) -> TaskError:
        return TaskError(f"text {self.text!r}: {reason}")


def parse(text: str) -> Sequence:
    """Read a text.

    Raises:
        TaskError: If brackets do not match or a slot has no name.
    """
    return _Parser(text).whole()


def slots(nodes: Sequence) -> frozenset[str]:
    """Return the names of all slots."""
    return frozenset(_slots(nodes, parts=True))


def required_slots(nodes: Sequence) -> frozenset[str]:
    """Return the names of the slots that stand outside parts that may be missing."""
    return frozenset(_slots(nodes, parts=False))


def _slots(nodes: Sequence, *, parts: bool) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, Slot):
            yield node.name
        elif isinstance(node, Choice):
            for option in node.options:
                yield from _slots(option, parts=parts)
        elif isinstance(node, Part) and parts:
            yield from _slots(node.nodes, parts=True)


def render(nodes: Sequence, values: Mapping[str, str], seed: int, key: str, *, missing: float = 0.0) -> Iterator[Piece]:
    """Yield the pieces of a text.

    Args:
        nodes: What `parse` returned.
        values: What is known, by slot; an empty string stands for nothing.
        seed: Decides between alternatives.
        key: What the text is for; texts with different keys are decided independently.
        missing: Probability with which a part is left out although all is known.
    """
    for index, node in enumerate(nodes):
        here = f"{key}.{index}"
        if isinstance(node, str):
            yield Piece(node, exact=False)
        elif isinstance(node, Slot):
            yield Piece(values[node.name], exact=True)
        elif isinstance(node, Choice):
            chosen = mix(seed, here) % len(node.options)
            yield from render(node.options[chosen], values, seed, f"{here}.{chosen}", missing=missing)
        elif all(values[name] for name in slots(node.nodes)) and uniform(seed, here) >= missing:
            yield from render(node.nodes, values, seed, here, missing=missing)
