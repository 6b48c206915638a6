"""The generative judge: a verdict and a code for every call, one for the whole run, and how likely that one is.

Pointwise: each run is judged on its own. The score is the probability of the positive verdict, from log-probabilities
at its digit or from several votes. A judge that cannot be reached or understood gives a typed failure, or what the
fallback says, and never a zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from telegym.core.errors import TeleGymError
from telegym.core.score import Failure, Score
from telegym.rewards.base import Judgement, Reward, Run
from telegym.rewards.grm.asking import Health, SharedBatch, Tally
from telegym.rewards.grm.calibration import Calibration
from telegym.rewards.grm.fallback import Fallback, fall_back
from telegym.rewards.grm.judge_input import JudgeInput, judge_input
from telegym.rewards.grm.meta import MetaJudge
from telegym.rewards.grm.panel import Case, JudgeSettings, Panel, Vote
from telegym.rewards.grm.verdicts import Verdict, parse_verdict
from telegym.rewards.grm.votes import call_verdicts, counters_of, failure_of, positive_probability, vote_share
from telegym.rewards.verdict import CallVerdict, Code

__all__ = ["GenerativeJudge", "Opinion", "Rubrics", "form_opinion", "input_of", "trajectory_case"]

Rubrics = Sequence[str] | Callable[[Run], Sequence[str]]
"""Checks a judge has to apply: the same for all runs, or those for a run."""

_FIELDS = ("calls", "safe", "done", "score")


class GenerativeJudge(Reward):
    """Asks a language model about each run. Safe to call from several threads.

    Args:
        panel: The judge and how it is asked.
        calibration: Corrects its probabilities.
        meta: Keeps the better half of the votes.
        rubrics: Checks it has to apply.
        fallback: What stands in where it fails, in order.
        health: Watches how often it fails; a trainer asks `health.alarmed` whether to stop.
        name: Under which its components are reported.
    """

    version = "1"
    waits = True
    persuadable = True

    def __init__(
        self,
        panel: Panel,
        *,
        calibration: Calibration | None = None,
        meta: MetaJudge | None = None,
        rubrics: Rubrics = (),
        fallback: Sequence[Fallback] = (),
        health: Health | None = None,
        name: str = "judge",
    ) -> None:
        self.name = name
        self.panel = panel
        self.calibration = calibration
        self.meta = meta
        self.rubrics = rubrics
        self.fallback = tuple(fallback)
        self.health = health or Health()

    @property
    def tally(self) -> Tally:
        """What was really used so far; `counters` of a judgement say what its verdict took when it was asked for."""
        return self.panel.tally

    def score(self, runs: Sequence[Run]) -> list[Score]:
        """Return one judgement for each run, in order."""
        return self.settled(runs, self.judge(runs))

    def settled(self, runs: Sequence[Run], judged: Sequence[Score]) -> list[Score]:
        """Return judgements with what stands in for those that failed, and take note of how many did."""
        missing = sum(score.value is None for score in judged)
        self.health.add(missing, len(judged))
        return fall_back(runs, judged, self.fallback) if missing else list(judged)

    def judge(self, runs: Sequence[Run], shared: SharedBatch | None = None) -> list[Judgement]:
        """Return one judgement for each run, in order, without any fallback.

        Args:
            runs: The runs.
            shared: The batch to which the questions belong; one of their own by default.
        """
        inputs = [input_of(run, self.panel.settings, self.rubrics) for run in runs]
        cases = [trajectory_case(item, self.panel.settings) for item in inputs if isinstance(item, JudgeInput)]
        with self.panel.batch() as own:
            ballots = iter(self.panel.vote(shared or own, cases))
        return [
            Judgement(failure=item) if isinstance(item, Failure) else self._judgement(run, item, next(ballots))
            for run, item in zip(runs, inputs, strict=True)
        ]

    def _judgement(self, run: Run, item: JudgeInput, votes: Sequence[Vote[Verdict]]) -> Judgement:
        counters = counters_of(votes, self.panel.settings.prices)
        opinion = form_opinion(votes, self.panel.settings, calls=item.calls, meta=self.meta)
        if isinstance(opinion, Failure):
            return Judgement(failure=opinion, counters=counters)
        verdicts = call_verdicts(opinion.votes, item.positions)
        value = self.calibration(opinion.probability) if self.calibration is not None else opinion.probability
        return Judgement(
            value=value,
            components={"probability": opinion.probability, **_shares(verdicts)},
            reasons=_reasons(run, verdicts, opinion.probability),
            calls=_call_values(len(run.calls), verdicts, opinion.votes, item.positions),
            verdicts=verdicts,
            analysis=opinion.analysis,
            counters={**counters, **opinion.counters},
        )


class Opinion:
    """What several votes come to.

    Args:
        votes: The verdicts that count.
        probability: Probability of the positive verdict.
        counters: What was noticed.
    """

    def __init__(self, votes: Sequence[Verdict], probability: float, counters: dict[str, float]) -> None:
        self.votes = tuple(votes)
        self.probability = probability
        self.counters = counters

    @property
    def analysis(self) -> str:
        """The analysis of the first vote that is with the majority."""
        positive = self.probability > 0.5
        return next((vote.analysis for vote in self.votes if vote.score == positive), self.votes[0].analysis)


def form_opinion(
    votes: Sequence[Vote[Verdict]], settings: JudgeSettings, *, calls: int = 0, meta: MetaJudge | None = None
) -> Opinion | Failure:
    """Return what votes come to, or why they come to nothing.

    Args:
        votes: The votes, failed ones too.
        settings: How the judge was asked.
        calls: Number of calls the votes had to mark.
        meta: Keeps the better half of the votes.
    """
    readable = [vote for vote in votes if vote.verdict is not None]
    if len(readable) < settings.needed:
        return failure_of(votes, settings.needed)
    if meta is not None:
        readable = [readable[place] for place in meta.keep(readable, calls)]
    verdicts = [vote.verdict for vote in readable if vote.verdict is not None]
    positive = sum(verdict.score for verdict in verdicts)
    counters = {"kept_votes": float(len(verdicts)), "positive_votes": float(positive)}
    if settings.by_logprobs:
        chances = [_chance(vote) for vote in readable]
        known = [chance for chance in chances if chance is not None]
        counters["without_logprobs"] = float(len(chances) - len(known))
        if len(known) == len(chances):
            return Opinion(verdicts, sum(known) / len(known), counters)
    return Opinion(verdicts, vote_share(positive, len(verdicts)), counters)


def _chance(vote: Vote[Verdict]) -> float | None:
    if vote.choice is None or vote.verdict is None:
        return None
    return positive_probability(vote.choice, vote.verdict.digit_at)


def input_of(run: Run, settings: JudgeSettings, rubrics: Rubrics = ()) -> JudgeInput | Failure:
    """Return what the judge is told about a run, or why the run cannot be judged."""
    try:
        if run.infrastructure_failure is not None:
            return run.infrastructure_failure
        checks = rubrics(run) if callable(rubrics) else rubrics
        return judge_input(
            run, rubrics=checks, text_characters=settings.text_characters, characters=settings.characters
        )
    except TeleGymError as error:
        return Failure(party="infrastructure", message=f"the run cannot be shown to a judge: {error}")


def trajectory_case(item: JudgeInput, settings: JudgeSettings) -> Case[Verdict]:
    """Return the question about one run."""
    return Case(
        prompt="trajectory",
        inputs=(item,),
        votes=settings.votes,
        read=lambda text: parse_verdict(text, item.calls),
        fields=_FIELDS,
        json_schema=_schema(item.calls),
    )


def _schema(calls: int) -> dict[str, Any]:
    bit = {"type": "integer", "enum": [0, 1]}
    codes = {"type": "string", "enum": [code.value for code in Code]}
    call = {
        "type": "object",
        "properties": {"i": {"type": "integer", "enum": list(range(1, calls + 1))}, "v": bit, "code": codes},
        "required": ["i", "v"],
        "additionalProperties": False,
    }
    listed: dict[str, Any] = {"type": "array", "items": call, "minItems": calls, "maxItems": calls}
    if not calls:
        listed = {"type": "array", "maxItems": 0}
    return {
        "type": "object",
        "properties": {
            "analysis": {"type": "string", "maxLength": 1_000},
            "calls": listed,
            "safe": bit,
            "done": bit,
            "score": bit,
        },
        "required": ["analysis", *_FIELDS],
        "additionalProperties": False,
    }


def _shares(verdicts: Sequence[CallVerdict]) -> dict[str, float]:
    """Return the share of reasonable calls, if anything is said of them."""
    said = [verdict.reasonable for verdict in verdicts if verdict.reasonable is not None]
    return {"calls": sum(said) / len(said)} if said else {}


def _reasons(run: Run, verdicts: Sequence[CallVerdict], probability: float) -> tuple[str, ...]:
    calls = run.calls
    wrong = [verdict for verdict in verdicts if verdict.reasonable is False]
    reasons = [
        f"call {each.index} ({calls[each.index].call.name}): {each.code or 'not reasonable'}, {each.evidence}"
        for each in wrong
    ]
    return (*reasons, *([] if probability > 0.5 else ["the judge does not accept the run"]))


def _call_values(
    count: int, verdicts: Sequence[CallVerdict], votes: Sequence[Verdict], positions: Sequence[int]
) -> tuple[float | None, ...]:
    """Return for each call of the episode the share of votes that say it was right; None for calls of the user."""
    if not verdicts:
        return ()
    marked = [vote.calls for vote in votes if vote.calls is not None]
    shares = [sum(marks[place].right for marks in marked) / len(marked) for place in range(len(positions))]
    values: list[float | None] = [None] * count
    for index, share in zip(positions, shares, strict=True):
        values[index] = share
    return tuple(values)
