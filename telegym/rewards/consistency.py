"""Reward by consistency: what most runs of a group answer counts as right (TTRL, arXiv 2504.16084).

It needs no label, and it is right as often as the majority is. Where the policy is mostly wrong it teaches to be wrong
together; that is why ties and groups without answers pay nothing by default.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, get_args

from telegym.core.errors import ConfigurationError, did_you_mean
from telegym.core.score import Score
from telegym.rewards.answer.extraction import Extraction
from telegym.rewards.base import Reward, Run

__all__ = ["Consistency", "Pays", "Same", "Ties", "clusters"]

Same = Callable[[str, str], bool]
"""Says whether two answers mean the same."""
Ties = Literal["none", "all", "share"]
"""Whom the largest clusters of equal size pay: nobody, all of them, or each its part."""
Pays = Literal["majority", "share"]
"""What an answer is worth: 1 in the majority and 0 elsewhere, or the share of the votes for it."""


def clusters(answers: Sequence[str | None], same: Same) -> list[int | None]:
    """Return for each answer the number of its cluster, from 0 in order of first appearance; None for no answer.

    Answers that are the same directly or by way of others are one cluster, so the order of the answers changes nothing
    but the numbers, even if `same` is not transitive. Equal texts are always the same.
    """
    texts = list(dict.fromkeys(answer for answer in answers if answer is not None))
    parent = list(range(len(texts)))

    def root(place: int) -> int:
        while parent[place] != place:
            place = parent[place]
        return place

    for right in range(len(texts)):
        for left in range(right):
            if root(left) != root(right) and (same(texts[left], texts[right]) or same(texts[right], texts[left])):
                low, high = sorted((root(left), root(right)))
                parent[high] = low
    roots = [root(place) for place in range(len(texts))]
    numbers = {place: number for number, place in enumerate(dict.fromkeys(roots))}
    by_text = {text: numbers[place] for text, place in zip(texts, roots, strict=True)}
    return [None if answer is None else by_text[answer] for answer in answers]


def _equal(left: str, right: str) -> bool:
    return " ".join(left.casefold().split()) == " ".join(right.casefold().split())


class Consistency(Reward):
    """What most runs of a group answer is worth 1. Runs without an answer are worth 0 and have no vote.

    Args:
        answer: Finds the answer of a run, or None; the submitted, tagged, boxed or last words by default.
        same: Says whether two answers mean the same; equal up to case and blanks by default.
        ties: Whom the largest clusters pay if there are several of the same size: `none` of them, `all` in full, or
            each its `share`, 1 divided by their number.
        pays: `majority`: 1 or 0; `share`: the share of all runs of the group that answer so.
        quorum: Fewest runs of a group with an answer for anybody to be paid.

    Raises:
        ConfigurationError: If an option has no valid value.
    """

    name = "consistency"
    groupwise = True

    def __init__(
        self,
        answer: Callable[[Run], str | None] | None = None,
        same: Same | None = None,
        *,
        ties: Ties = "none",
        pays: Pays = "majority",
        quorum: int = 2,
    ) -> None:
        for name, value, valid in (("ties", ties, get_args(Ties)), ("pays", pays, get_args(Pays))):
            if value not in valid:
                hint = did_you_mean(value, valid)
                raise ConfigurationError(f"{name} is {value!r}; valid: {', '.join(valid)}.{hint}")
        if quorum < 1:
            raise ConfigurationError(f"quorum is {quorum}, but must be at least 1")
        extraction = Extraction()
        self._answer = answer or (lambda run: extraction.of(run).text)
        self._same = same or _equal
        self.ties, self.pays, self.quorum = ties, pays, quorum

    def score(self, runs: Sequence[Run]) -> list[Score]:
        """Return the value of each run, by its group."""
        groups: dict[str, list[int]] = {}
        for place, run in enumerate(runs):
            groups.setdefault(run.group, []).append(place)
        found: dict[int, Score] = {}
        for places in groups.values():
            found.update(zip(places, self._group([runs[place] for place in places]), strict=True))
        return [found[place] for place in range(len(runs))]

    def _group(self, runs: Sequence[Run]) -> list[Score]:
        numbers = clusters([self._answer(run) for run in runs], self._same)
        votes = [number for number in numbers if number is not None]
        counts = {number: votes.count(number) for number in set(votes)}
        return [self._value(number, counts, len(runs)) for number in numbers]

    def _value(self, number: int | None, counts: dict[int, int], size: int) -> Score:
        if number is None:
            return Score(value=0.0, reasons=("There is no answer.",))
        share = counts[number] / size
        components = {"agreement": share}
        if sum(counts.values()) < self.quorum:
            return Score(value=0.0, components=components, reasons=("Too few runs of the group have an answer.",))
        if self.pays == "share":
            return Score(value=share, components=components)
        most = max(counts.values())
        leaders = sum(count == most for count in counts.values())
        if counts[number] < most:
            return Score(value=0.0, components=components, reasons=("Most of the group answer otherwise.",))
        value = 1.0 if leaders == 1 or self.ties == "all" else 1 / leaders if self.ties == "share" else 0.0
        reasons = () if value == 1 else (f"{leaders} answers have the most votes.",)
        return Score(value=value, components=components, reasons=reasons)
