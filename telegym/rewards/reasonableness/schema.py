"""Schema: whether a call could be executed at all, by the errors with which the episode answered."""

from __future__ import annotations

from typing import NamedTuple

from telegym.core.episode import CallRecord
from telegym.core.tool import CallError

__all__ = ["Formality", "formality"]


class Formality(NamedTuple):
    """How a call stands formally."""

    value: float | None
    """1 if the tool exists on the caller's side and the arguments fit; None if the call was dropped unread."""
    evidence: str = ""
    """What is wrong."""


_SENTENCES = {
    CallError.MALFORMED: "the call could not be read",
    CallError.UNKNOWN_TOOL: "there is no such tool",
    CallError.WRONG_SIDE: "the tool belongs to the other side",
    CallError.INVALID_ARGUMENTS: "the arguments do not fit the schema",
    CallError.TOO_LARGE: "the arguments are too large",
    CallError.DUPLICATE_ID: "another call of the message has the same id",
    CallError.EMPTY_MESSAGE: "the message had neither text nor a call",
}


def formality(record: CallRecord) -> Formality:
    """Return whether a call was well-formed.

    A call that the simulated system refused, or that failed for its author's fault, was well-formed. One that was not
    executed because its message ended the episode says nothing.
    """
    if record.error is CallError.DROPPED:
        return Formality(None)
    sentence = _SENTENCES.get(record.error) if record.error is not None else None
    if sentence is None:
        return Formality(1.0)
    return Formality(0.0, f"{sentence}: {record.content.removeprefix('Error: ')[:160]}")
