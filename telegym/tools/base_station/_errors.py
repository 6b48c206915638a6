"""Refusals: why the simulated system does not do what a tool asks.

A refusal reads `Error: CODE: message`. The message names the condition that fails, never the remedy. It costs
`REFUSAL_SECONDS` of simulated time and changes nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from telegym.core.errors import ToolError, did_you_mean

__all__ = ["REFUSAL_SECONDS", "Code", "not_found", "refusal"]

REFUSAL_SECONDS = 12
"""Simulated time a refused call takes: 0.2 minutes."""


class Code(StrEnum):
    """Kinds of refusal."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    """A value is out of range or of the wrong kind."""
    NOT_FOUND = "NOT_FOUND"
    """There is nothing of this id."""
    PRECONDITION_FAILED = "PRECONDITION_FAILED"
    """The state of the network does not allow it."""
    ELEMENT_UNREACHABLE = "ELEMENT_UNREACHABLE"
    """The element does not answer."""
    RESOURCE_BUSY = "RESOURCE_BUSY"
    """Something needed is in use."""
    NO_CHANGE = "NO_CHANGE"
    """It already is as asked."""
    BUDGET_EXHAUSTED = "BUDGET_EXHAUSTED"
    """Calls, time or money are used up."""


def refusal(code: Code, message: str) -> ToolError:
    """Return the exception for a refusal."""
    return ToolError(f"{code}: {message}")


def not_found(kind: str, identifier: str, known: Iterable[str] = ()) -> ToolError:
    """Return the exception for an unknown id, naming the most similar known one.

    Args:
        kind: What was looked for, for example `element`.
        identifier: What was asked.
        known: The ids there are.
    """
    shown = identifier if len(identifier) <= 60 else f"{identifier[:57]}..."
    return refusal(Code.NOT_FOUND, f"no {kind} {shown}.{did_you_mean(shown, known)}".removesuffix("."))
