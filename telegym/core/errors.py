"""Exceptions, one class per responsible party.

An agent's mistake never leaves `Episode.step` as an exception: tools raise `ToolError` and the episode feeds its text
back to the agent. Everything else here names the party who has to act: the author of a tool, the author of a task, the
person who wrote a configuration, the judge, or the infrastructure.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from functools import lru_cache

__all__ = [
    "ConfigurationError",
    "InfrastructureError",
    "JudgeError",
    "TaskError",
    "TeleGymError",
    "ToolDefinitionError",
    "ToolError",
    "did_you_mean",
    "nearest",
]


class TeleGymError(Exception):
    """Base class of every exception TeleGym raises on purpose."""


class ToolError(TeleGymError):
    """The agent (or the user) called a tool in a way the simulated system refuses; the text is shown to the caller."""


class ToolDefinitionError(TeleGymError):
    """The author of a tool must act: its schema, docstring or signature is wrong."""


class TaskError(TeleGymError):
    """The author of a task must act: the task does not describe a valid world or goal."""


class ConfigurationError(TeleGymError):
    """The person who configured a run must act: an option, a recipe or a name is wrong."""


class JudgeError(TeleGymError):
    """A judge failed to give a usable verdict. Never scored as zero: it is an outcome of its own."""


class InfrastructureError(TeleGymError):
    """A server, a file or a process failed. Never scored as zero: it is an outcome of its own."""


def nearest(value: str, options: Iterable[str]) -> str | None:
    """Return the option most similar to `value`, or None when nothing is close."""
    return _nearest(value, tuple(options))


_LEAST_SIMILAR = 0.6
_MOST_OF_A_LETTER = 16


@lru_cache(maxsize=256)
def _nearest(value: str, options: tuple[str, ...]) -> str | None:
    """Return the first of `difflib.get_close_matches(value, options, n=1, cutoff=0.6)`.

    Only those options are compared that can be nearer than the best so far: what two texts have in common is at most
    the letters that both have, and at most their longest common subsequence. Kept, for an agent that is wrong once is
    often wrong again in the same way.
    """
    letters, places = _letters(value), _places(value)
    bounds = sorted([(_ratio(_shared(letters, _letters(option)), value, option), option) for option in options])
    matcher = difflib.SequenceMatcher(b=value)
    best: tuple[float, str] | None = None
    for bound, option in reversed(bounds):
        least = _LEAST_SIMILAR if best is None else best[0]
        if bound < least:
            break
        if _ratio(_subsequence(places, len(value), option), value, option) >= least:
            matcher.set_seq1(option)
            found = (matcher.ratio(), option)
            if found[0] >= least:
                best = found if best is None else max(best, found)
    return None if best is None else best[1]


def _ratio(common: int, one: str, other: str) -> float:
    """Return how similar texts are that have so many letters in common."""
    length = len(one) + len(other)
    return 2.0 * common / length if length else 1.0


@lru_cache(maxsize=65_536)
def _letters(text: str) -> tuple[int, int | None]:
    """Return a text's length, and a number with a bit for each of its letters, if there is room for them."""
    found = 0
    for letter in set(text):
        times = text.count(letter)
        if times > _MOST_OF_A_LETTER or letter > "\x7f":
            return len(text), None
        found |= ((1 << times) - 1) << (_MOST_OF_A_LETTER * ord(letter))
    return len(text), found


def _shared(one: tuple[int, int | None], other: tuple[int, int | None]) -> int:
    """Return how many letters two texts can have in common at most, wherever they stand."""
    if one[1] is None or other[1] is None:
        return min(one[0], other[0])
    return (one[1] & other[1]).bit_count()


def _places(text: str) -> dict[str, int]:
    """Return for each letter a number with a bit for each place where it stands."""
    found: dict[str, int] = {}
    for place, letter in enumerate(text):
        found[letter] = found.get(letter, 0) | 1 << place
    return found


def _subsequence(places: dict[str, int], length: int, option: str) -> int:
    """Return the length of the longest common subsequence, all places of a text at once (Hyyrö, 2004)."""
    free = whole = (1 << length) - 1
    for letter in option:
        met = free & places.get(letter, 0)
        free = (free + met) | (free - met)
    return length - (free & whole).bit_count()


def did_you_mean(value: str, options: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?` for the nearest option, or an empty string."""
    match = nearest(value, options)
    return f" Did you mean {match!r}?" if match is not None else ""
