"""Refusals: which of them could be foreseen.

A refusal costs seconds and changes nothing, and trying is often the only way to find out. So a refused call counts as
one whose precondition was not met only if the agent could know that beforehand; what does not exist is judged as a
name, what does not fit as form, what does not answer is a finding.
"""

from __future__ import annotations

from functools import cache

import yaml
from pydantic import BaseModel, ConfigDict

from telegym.rewards.reasonableness.base_station.case import Act, Case, text_of
from telegym.rewards.reasonableness.base_station.naming import exists, named_by

__all__ = ["Refusal", "foreseeable"]


class _Sign(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    tool: str
    words: str


class Refusal(BaseModel):
    """A refusal that can be foreseen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    words: str
    """Part of its text."""
    reason: str
    """How it could be foreseen."""
    unsafe: bool = False
    """Whether somebody would have been in danger."""
    premature: bool = False
    """Whether it was an attempt to finish too early."""
    after: _Sign | None = None
    """What must have been read before; None if it is known anyway."""


@cache
def _table() -> tuple[Refusal, ...]:
    return tuple(Refusal.model_validate(row) for row in yaml.safe_load(text_of("refusals.yaml")))


def foreseeable(case: Case, act: Act) -> Refusal | None:
    """Return why a refusal could be foreseen; None if it could not.

    Args:
        case: The episode.
        act: A refused call.
    """
    text = act.record.content
    if act.refusal == "NOT_FOUND":
        if any(not exists(case.network, item.value) and item.value in case.briefing for item in named_by(act)):
            return None  # The task itself asks for it; that it does not exist is the answer.
        return Refusal(words="", reason=text.removeprefix("Error: NOT_FOUND: "))
    found = next((item for item in _table() if item.words in text), None)
    if found is None or found.after is None:
        return found
    sign = found.after
    read = (item for item in case.acts[: act.visible] if item.tool == sign.tool and not item.failed)
    return found if any(sign.words in item.record.content for item in read) else None
