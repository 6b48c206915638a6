"""Reward by rubrics: the weighted share of criteria that a run meets."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from telegym.core.errors import ConfigurationError, JudgeError
from telegym.core.score import Failure, Score
from telegym.rewards.base import Judgement, Reward, Run
from telegym.rewards.guards.reading import Reading
from telegym.rewards.rubrics.rubric import Judge, Rubric
from telegym.rewards.rubrics.store import RubricStore

__all__ = ["Generator", "RubricReward"]

Generator = Callable[[str, Sequence[Run]], Rubric | None]
"""Makes a rubric for a question, with some runs at hand that try to answer it; None if it cannot. It may raise
`JudgeError`. The same question and runs must give the same rubric."""


class RubricReward(Reward):
    """The weighted share of the criteria that a run meets, 0 to 1.

    For the question of a run (its ticket) the store gives the most similar rubric. Where none is similar enough, a
    generator makes one, once for each question, which the store then has. Criteria that nobody can decide for a run are
    left out of its share; if none is decided, the run has no value.

    Args:
        store: The rubrics, or the file of a store.
        judge: Decides criteria that code cannot.
        generator: Makes rubrics for questions that have none.
        similarity: Least similarity of questions, 0 to 1, for a rubric to fit.
        prune_every: After how many runs criteria that are met too seldom or too often are removed; 0 for never. It is
            done between calls of `score`, so that the runs of a call are measured alike.
        low: Lowest rate of a criterion that is kept.
        high: Highest rate of a criterion that is kept.
        least: Fewest runs by which a criterion is judged.

    Raises:
        ConfigurationError: If a file is no store, or a number is out of its range.
    """

    name = "rubric"
    groupwise = True
    persuadable = True

    def __init__(
        self,
        store: RubricStore | str | Path,
        judge: Judge | None = None,
        generator: Generator | None = None,
        *,
        similarity: float = 0.5,
        prune_every: int = 0,
        low: float = 0.05,
        high: float = 0.95,
        least: int = 20,
    ) -> None:
        if not 0 <= similarity <= 1 or prune_every < 0 or not 0 <= low <= high <= 1:
            given = f"similarity {similarity}, prune_every {prune_every}, low {low}, high {high}"
            raise ConfigurationError(f"{given}; valid: 0 <= similarity <= 1, prune_every >= 0, 0 <= low <= high <= 1")
        self.store = store if isinstance(store, RubricStore) else RubricStore.load(store)
        self.similarity, self.prune_every = similarity, prune_every
        self._judge, self._generator = judge, generator
        self._bounds = (low, high, least)
        self._since = 0
        self._lock = threading.Lock()

    def score(self, runs: Sequence[Run]) -> list[Score]:
        """Return the value of each run; `analysis` names the rubric."""
        questions = [Reading(run).question for run in runs]
        rubrics = {question: self._rubric(question, runs, questions) for question in dict.fromkeys(questions)}
        scores = [self._score(run, rubrics[question]) for run, question in zip(runs, questions, strict=True)]
        self._review(len(runs))
        return scores

    def _rubric(self, question: str, runs: Sequence[Run], questions: Sequence[str]) -> Rubric | Failure:
        with self._lock:
            found = self.store.search(question)
            if found and found[0].similarity >= self.similarity:
                return found[0].rubric
            likest = (
                f"the likest is {found[0].rubric.id!r} with {found[0].similarity:.2f}" if found else "there is none"
            )
            if self._generator is None:
                return Failure(party="judge", message=f"no rubric fits the question {question[:80]!r}; {likest}")
            asking = [run for run, asked in zip(runs, questions, strict=True) if asked == question]
            try:
                made = self._generator(question, asking)
            except JudgeError as error:
                return Failure(party="judge", message=f"no rubric was made: {error}")
            if made is None:
                return Failure(party="judge", message=f"no rubric was made for the question {question[:80]!r}")
            self.store.add(made)
            return made

    def _score(self, run: Run, rubric: Rubric | Failure) -> Score:
        if isinstance(rubric, Failure):
            return Score(failure=rubric)
        reading = Reading(run)
        try:
            met = [criterion.met(run, reading, self._judge) for criterion in rubric.criteria]
        except JudgeError as error:
            return Score(failure=Failure(party="judge", message=str(error)))
        self.store.count(rubric.id, met)
        decided = [(item, value) for item, value in zip(rubric.criteria, met, strict=True) if value is not None]
        if not decided:
            return Score(failure=Failure(party="judge", message=f"nobody could decide a criterion of {rubric.id!r}"))
        total = sum(criterion.weight for criterion, _ in decided)
        value = sum(criterion.weight for criterion, value in decided if value) / total
        return Judgement(
            value=value,
            components={"rubric": value},
            reasons=tuple(f"No: {criterion.question}" for criterion, value in decided if not value),
            analysis=f"rubric {rubric.id}",
            counters={"criteria": float(len(met)), "criteria_undecided": float(len(met) - len(decided))},
        )

    def _review(self, count: int) -> None:
        """Remove criteria that tell runs apart no more, every so often."""
        with self._lock:
            self._since += count
            if self.prune_every and self._since >= self.prune_every:
                self._since = 0
                low, high, least = self._bounds
                self.store.prune(low, high, least)
