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


@lru_cache(maxsize=256)
def _nearest(value: str, options: tuple[str, ...]) -> str | None:
    """Compare with every option; kept, for an agent that is wrong once is often wrong again in the same way."""
    matches = difflib.get_close_matches(value, options, n=1, cutoff=0.6)
    return matches[0] if matches else None


def did_you_mean(value: str, options: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?` for the nearest option, or an empty string."""
    match = nearest(value, options)
    return f" Did you mean {match!r}?" if match is not None else ""
