"""Reads the replies of judges that were trained to answer in forms of their own.

DeepSeek-GRM (Liu et al., "Inference-Time Scaling for Generalist Reward Modeling", arXiv:2504.02495) ends with a list of
scores from 1 to 10 in a box, one for each candidate. RM-R1 (Chen et al., "RM-R1: Reward Modeling as Reasoning",
arXiv:2505.02387) compares two candidates and ends with `<answer>[[A]]</answer>`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from telegym.rewards.grm.verdicts import _BOX, UnreadableVerdictError, _without_thoughts

__all__ = ["Scores", "parse_preference", "parse_scores"]

LEAST, MOST = 1.0, 10.0
"""Ends of the scale on which DeepSeek-GRM scores."""

_NUMBER = re.compile(r"\s*[-+]?\d+(?:\.\d+)?\s*")
_LABEL = re.compile(r"<answer>\s*\[\[\s*(\w+)\s*\]\]\s*</answer>")


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of several candidates."""

    values: tuple[float, ...]
    """One for each candidate, as written."""
    extra: int = 0
    """How many scores there were beyond the candidates: such judges sometimes score the task too."""

    @property
    def shares(self) -> tuple[float, ...]:
        """The scores on a scale from 0 to 1."""
        return tuple((value - LEAST) / (MOST - LEAST) for value in self.values)


def parse_scores(reply: str, count: int) -> Scores:
    """Read the last list of scores in a box; scores beyond the number of candidates are left out and counted.

    Args:
        reply: What the judge wrote.
        count: Number of candidates.

    Raises:
        UnreadableVerdictError: If there are fewer scores than candidates, or one is not between 1 and 10.
    """
    boxes = _BOX.findall(_without_thoughts(reply))
    parts = boxes[-1].strip("[]() ").split(",") if boxes else []
    if len(parts) < count or not all(_NUMBER.fullmatch(part) for part in parts):
        raise UnreadableVerdictError("missing", f"it has no list of {count} scores in a box")
    values = tuple(float(part) for part in parts[:count])
    outside = [value for value in values if not LEAST <= value <= MOST]
    if outside:
        raise UnreadableVerdictError("missing", f"the score {outside[0]:g} is not between {LEAST:g} and {MOST:g}")
    return Scores(values, len(parts) - count)


def parse_preference(reply: str) -> Literal["A", "B"]:
    """Read which of two candidates a judge prefers.

    Raises:
        UnreadableVerdictError: If there is not exactly one label, A or B.
    """
    labels = _LABEL.findall(_without_thoughts(reply))
    if len(labels) > 1:
        raise UnreadableVerdictError("conflict", f"it has {len(labels)} labels: {', '.join(labels)}")
    if labels == ["A"]:
        return "A"
    if labels == ["B"]:
        return "B"
    raise UnreadableVerdictError("missing", "it has no label <answer>[[A]]</answer> or <answer>[[B]]</answer>")
