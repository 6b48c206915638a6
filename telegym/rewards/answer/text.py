"""Free text against a reference: equal, or else judged.

A judge is asked without the reference first, for the reference's wording anchors it; only where it is unsure does it
see the reference as one acceptable answer. An answer that equals a reference is never sent to a judge, nor one that
says nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol, get_args, runtime_checkable

from telegym.core.errors import ConfigurationError, InfrastructureError, JudgeError
from telegym.core.score import Failure, Score
from telegym.core.task import Task
from telegym.rewards.answer.base import reference_of
from telegym.rewards.answer.extraction import Extraction
from telegym.rewards.answer.normalisation import bare, comparable
from telegym.rewards.answer.numeric import check_choice
from telegym.rewards.base import Judgement, Reward, Run

__all__ = ["AnswerJudge", "AnswerQuery", "AnswerVerdict", "Comparison", "TextReward"]

Comparison = Literal["normalised", "exact"]
"""Whether texts are equal up to case, spaces, compatible characters and what is around them, or to the letter."""


class AnswerQuery(NamedTuple):
    """What a judge is asked about."""

    question: str
    """The question, as the agent got it."""
    answer: str
    """The agent's answer."""
    reference: str | None = None
    """An acceptable answer, or None if the judge is to do without."""


class AnswerVerdict(NamedTuple):
    """What a judge says."""

    score: float
    """How right the answer is, from 0 to 1."""
    sure: bool = True
    """Whether the judge knows without a reference."""
    analysis: str = ""
    """What the judge wrote before."""


@runtime_checkable
class AnswerJudge(Protocol):
    """Judges answers, many at once."""

    def __call__(self, queries: Sequence[AnswerQuery], /) -> Sequence[AnswerVerdict | Failure]:
        """Return a verdict for each query, in order, or why there is none.

        Raises:
            JudgeError: If there are no verdicts at all.
            InfrastructureError: If the judge cannot be reached.
        """
        ...


class _Case(NamedTuple):
    """An answer that has to be judged."""

    place: int
    question: str
    answer: str
    references: tuple[str, ...]


class TextReward(Reward):
    """What a free-text answer is worth.

    Args:
        judge: Who judges answers that do not equal a reference; None to count them as wrong.
        compare: `normalised` or `exact`.
        threshold: From which score of the judge an answer is right: the value is then 0 or 1. None keeps the score.
        show_reference: Whether an unsure judge is asked again with the reference.
        sources: Where the answer may stand, in order of preference: tool, tag, boxed, text.
        tools: Tools whose calls give the answer.
        argument: The argument of these tools that holds it.
        tag: Name of the tags around an answer.
        once: Whether the tags have to occur exactly once.
        reference: The key of the task's data with the right answer, or a list of them.
        question: The key of the task's data with the question; the task's ticket where there is no such key.

    Raises:
        ConfigurationError: If a setting has no valid value.
    """

    name = "text"

    def __init__(
        self,
        *,
        judge: AnswerJudge | None = None,
        compare: Comparison = "normalised",
        threshold: float | None = None,
        show_reference: bool = True,
        sources: Sequence[str] = ("tool", "tag", "boxed", "text"),
        tools: Sequence[str] = ("submit_answer",),
        argument: str = "answer",
        tag: str = "answer",
        once: bool = False,
        reference: str = "answer",
        question: str = "question",
    ) -> None:
        check_choice("compare", compare, get_args(Comparison))
        if threshold is not None and not 0 < threshold <= 1:
            raise ConfigurationError(f"threshold is {threshold}, but must be above 0 and at most 1")
        self.judge = judge
        self.compare: Comparison = compare
        self.threshold = threshold
        self.show_reference = show_reference
        self.extraction = Extraction(sources=tuple(sources), tools=tuple(tools), argument=argument, tag=tag, once=once)
        self.reference = reference
        self.question = question

    def score(self, runs: Sequence[Run]) -> list[Score]:
        """Return what the answers are worth, from 0 to 1; a run that was not judged for a failure has no value."""
        scores: dict[int, Score] = {}
        cases: list[_Case] = []
        for place, run in enumerate(runs):
            found = self._settle(place, run)
            if isinstance(found, _Case):
                cases.append(found)
            else:
                scores[place] = found
        scores |= self._judged(cases)
        return [scores[place] for place in range(len(runs))]

    def equal(self, answer: str, reference: str) -> bool:
        """Return whether an answer equals a reference."""
        if self.compare == "exact":
            return answer.strip() == reference.strip()
        wanted = {comparable(reference), comparable(bare(reference))}
        return comparable(answer) in wanted or comparable(bare(answer)) in wanted

    def _settle(self, place: int, run: Run) -> Score | _Case:
        """Return what can be said without a judge, or what to ask."""
        failure = run.infrastructure_failure
        if failure is not None:
            return Score(failure=failure)
        found = self.extraction.of(run)
        if found.text is None:
            return _valued(0.0, answered=False, reason=found.problem)
        references = self._references(run.task)
        if any(self.equal(found.text, reference) for reference in references):
            return _valued(1.0, counters={"matched": 1.0})
        if not any(character.isalnum() for character in found.text):
            return _valued(0.0, answered=False, reason="the answer says nothing")
        if self.judge is None:
            return _valued(0.0, reason="the answer does not equal the reference")
        question = run.task.data.get(self.question) or run.task.ticket
        return _Case(place, str(question), found.text.strip(), references)

    def _references(self, task: Task) -> tuple[str, ...]:
        if self.judge is not None and task.data.get(self.reference) is None:
            return ()
        given = reference_of(task, self.reference)
        return tuple(str(item) for item in (given if isinstance(given, list) else [given]))

    def _judged(self, cases: list[_Case]) -> dict[int, Score]:
        """Ask without the reference; where the judge is unsure and there is one, ask again with it."""
        first = self._ask([AnswerQuery(case.question, case.answer) for case in cases])
        unsure = [
            place
            for place, (case, verdict) in enumerate(zip(cases, first, strict=True))
            if isinstance(verdict, AnswerVerdict) and not verdict.sure and case.references and self.show_reference
        ]
        again = self._ask(
            [
                AnswerQuery(cases[place].question, cases[place].answer, "; ".join(cases[place].references))
                for place in unsure
            ]
        )
        second = dict(zip(unsure, again, strict=True))
        return {
            case.place: self._scored(second.get(place, first[place]), 1 + (place in second))
            for place, case in enumerate(cases)
        }

    def _ask(self, queries: list[AnswerQuery]) -> list[AnswerVerdict | Failure]:
        if not queries or self.judge is None:
            return []
        try:
            verdicts = list(self.judge(queries))
        except (JudgeError, InfrastructureError) as error:
            party: Literal["judge", "infrastructure"] = "judge" if isinstance(error, JudgeError) else "infrastructure"
            return [Failure(party=party, message=str(error))] * len(queries)
        if len(verdicts) != len(queries):
            message = f"the judge gave {len(verdicts)} verdicts for {len(queries)} answers"
            return [Failure(party="judge", message=message)] * len(queries)
        return [_checked(verdict) for verdict in verdicts]

    def _scored(self, verdict: AnswerVerdict | Failure, requests: int) -> Score:
        if isinstance(verdict, Failure):
            return Judgement(failure=verdict, counters={"requests": float(requests)})
        value = verdict.score if self.threshold is None else float(verdict.score >= self.threshold)
        reason = "" if value == 1.0 else f"the judge gives the answer {verdict.score:g} of 1"
        counters = {"requests": float(requests), "shown_reference": requests - 1.0, "unsure": float(not verdict.sure)}
        return _valued(value, reason=reason, counters=counters, analysis=verdict.analysis)


def _checked(verdict: AnswerVerdict | Failure) -> AnswerVerdict | Failure:
    """Return a verdict, or a failure where its score is out of range."""
    if isinstance(verdict, Failure) or (math.isfinite(verdict.score) and 0 <= verdict.score <= 1):
        return verdict
    return Failure(party="judge", message=f"the judge's score is {verdict.score}, but must be from 0 to 1")


def _valued(
    value: float,
    *,
    answered: bool = True,
    reason: str = "",
    counters: dict[str, float] | None = None,
    analysis: str = "",
) -> Judgement:
    return Judgement(
        value=value,
        components={"answer": value, "answered": float(answered)},
        reasons=(reason,) if reason else (),
        counters=counters or {},
        analysis=analysis,
    )
