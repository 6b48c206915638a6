"""A judge of answers in words, for `telegym.rewards.answer.text`.

Shown at once, an acceptable answer anchors: other wordings and other right facts are turned down. So a query without a
reference asks the judge to say whether it is sure, and who asks comes back with the reference only if it is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from telegym.core.score import Failure
from telegym.rewards.answer.text import AnswerQuery, AnswerVerdict
from telegym.rewards.base import Judgement
from telegym.rewards.grm.asking import Health, Tally
from telegym.rewards.grm.calibration import Calibration
from telegym.rewards.grm.judge import Opinion, form_opinion
from telegym.rewards.grm.judge_input import answer_input
from telegym.rewards.grm.panel import Case, Panel, Vote
from telegym.rewards.grm.verdicts import Verdict, parse_verdict
from telegym.rewards.grm.votes import counters_of

__all__ = ["GenerativeAnswerJudge"]


class GenerativeAnswerJudge:
    """Says whether answers are correct, and whether it is sure. Safe to call from several threads.

    Args:
        panel: The judge and how it is asked.
        ask_whether_sure: Whether queries without a reference ask for that; otherwise the judge always counts as sure.
        rubrics: Checks it has to apply.
        calibration: Corrects its probabilities.
        health: Watches how often it fails.
    """

    def __init__(
        self,
        panel: Panel,
        *,
        ask_whether_sure: bool = True,
        rubrics: Sequence[str] = (),
        calibration: Calibration | None = None,
        health: Health | None = None,
    ) -> None:
        self.panel = panel
        self.ask_whether_sure = ask_whether_sure
        self.rubrics = tuple(rubrics)
        self.calibration = calibration
        self.health = health or Health()

    @property
    def tally(self) -> Tally:
        """What was really used so far."""
        return self.panel.tally

    def __call__(self, queries: Sequence[AnswerQuery], /) -> list[AnswerVerdict | Failure]:
        """Return a verdict for each query, in order, or why there is none."""
        return [_answer_verdict(judgement) for judgement in self.judge(queries)]

    def judge(self, queries: Sequence[AnswerQuery]) -> list[Judgement]:
        """Return one judgement for each query, in order; its component `sure` is 1 or 0."""
        with self.panel.batch() as batch:
            ballots = self.panel.vote(batch, [self._case(query) for query in queries])
        judged = [self._judgement(votes) for votes in ballots]
        self.health.add(sum(score.value is None for score in judged), len(judged))
        return judged

    def _case(self, query: AnswerQuery) -> Case[Verdict]:
        item = answer_input(query.question, query.answer, query.reference, self.rubrics)
        asks = query.reference is None and self.ask_whether_sure
        fields = ("sure", "score") if asks else ("score",)
        return Case(
            prompt="reference" if query.reference is not None else "uncertain" if asks else "answer",
            inputs=(item,),
            votes=self.panel.settings.votes,
            read=parse_verdict,
            fields=fields,
            json_schema=_schema(fields),
        )

    def _judgement(self, votes: Sequence[Vote[Verdict]]) -> Judgement:
        counters = counters_of(votes, self.panel.settings.prices)
        opinion = form_opinion(votes, self.panel.settings)
        if isinstance(opinion, Failure):
            return Judgement(failure=opinion, counters=counters)
        value = self.calibration(opinion.probability) if self.calibration is not None else opinion.probability
        return Judgement(
            value=value,
            components={"probability": opinion.probability, "sure": float(_is_sure(opinion))},
            reasons=() if opinion.probability > 0.5 else ("the judge does not accept the answer",),
            analysis=opinion.analysis,
            counters={**counters, **opinion.counters},
        )


def _answer_verdict(judgement: Judgement) -> AnswerVerdict | Failure:
    if judgement.value is None:
        return judgement.failure or Failure(party="judge", message="there is no value")
    return AnswerVerdict(judgement.value, judgement.components["sure"] == 1.0, judgement.analysis)


def _is_sure(opinion: Opinion) -> bool:
    """Return whether more than half of the votes are sure; a vote that does not say was not asked."""
    return 2 * sum(vote.sure is not False for vote in opinion.votes) > len(opinion.votes)


def _schema(fields: Sequence[str]) -> dict[str, Any]:
    bit = {"type": "integer", "enum": [0, 1]}
    return {
        "type": "object",
        "properties": {"analysis": {"type": "string", "maxLength": 1_000}, **dict.fromkeys(fields, bit)},
        "required": ["analysis", *fields],
        "additionalProperties": False,
    }
