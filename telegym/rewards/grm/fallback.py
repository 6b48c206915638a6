"""What stands in where a judge failed: another reward, the mean of the group, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from telegym.core.score import Score
from telegym.rewards.base import Judgement, Reward, Run

__all__ = ["Fallback", "fall_back"]

Fallback = Reward | Literal["group_mean"]
"""A reward that is asked instead, or the mean of the judge's values in the group of the run."""


def fall_back(runs: Sequence[Run], scores: Sequence[Score], chain: Sequence[Fallback]) -> list[Score]:
    """Return scores in which what failed is replaced, as far as the chain goes; the rest stays a failure.

    Args:
        runs: The runs.
        scores: Their scores by the judge.
        chain: What to try, in order.
    """
    filled = list(scores)
    for step in chain:
        missing = [place for place, score in enumerate(filled) if score.value is None]
        if not missing:
            break
        if isinstance(step, Reward):
            others = step.score([runs[place] for place in missing])
            values = {place: other.value for place, other in zip(missing, others, strict=True)}
            source = f"reward {step.name!r}"
        else:
            values = {place: _group_mean(runs, scores, place) for place in missing}
            source = "the mean of its group"
        for place, value in values.items():
            if value is not None:
                filled[place] = _replaced(scores[place], value, source)
    return filled


def _group_mean(runs: Sequence[Run], scores: Sequence[Score], place: int) -> float | None:
    group = runs[place].group
    values = [score.value for run, score in zip(runs, scores, strict=True) if run.group == group]
    given = [value for value in values if value is not None]
    return sum(given) / len(given) if given else None


def _replaced(score: Score, value: float, source: str) -> Judgement:
    message = score.failure.message if score.failure is not None else "there was no value"
    counters = {**(score.counters if isinstance(score, Judgement) else {}), "fallback": 1.0}
    return Judgement(value=value, reasons=(f"the value is {source}: the judge failed, {message}",), counters=counters)
