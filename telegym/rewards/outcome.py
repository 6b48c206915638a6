"""The outcome: what the environment itself says of a run."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Sequence

from telegym.core.environment import Environment
from telegym.core.errors import ConfigurationError, did_you_mean
from telegym.core.score import Failure, Score
from telegym.core.world import canonical_json
from telegym.rewards.base import Reward, Run

__all__ = ["EnvironmentOutcome"]


class EnvironmentOutcome(Reward):
    """The environment's score, or a part of it.

    Args:
        part: `value`; `success` for 1 if the value is 1 and 0 otherwise; or the name of one of the score's components.
            A score without that component is a failure of the task.
        scoring: The rule to score by, for environments with an option of that name (`strict` or `benchmark` for
            `tau2-telecom`); the rule that the run was played under by default. Another one needs the episode, which is
            played again if there is only a recording.
    """

    name = "outcome"

    def __init__(self, part: str = "value", scoring: str | None = None) -> None:
        self.part = part
        self.scoring = scoring
        self._environments: dict[str, Environment] = {}
        self._lock = threading.Lock()

    def score(self, runs: Sequence[Run]) -> list[Score]:
        """Return the score of each run."""
        return [self._part(self._outcome(run)) for run in runs]

    def _outcome(self, run: Run) -> Score:
        found = run.outcome
        if self.scoring is None or found.value is None:
            return found
        options = run.live.environment.options if run.live is not None else run.trajectory.options
        if options.get("scoring") == self.scoring:
            return found
        return self._environment(run.episode.environment).score(run.episode)

    def _environment(self, like: Environment) -> Environment:
        """Return an environment that differs only in the rule of scoring; equal ones are built once."""
        cls = type(like)
        if "scoring" not in inspect.signature(cls).parameters:
            raise ConfigurationError(f"environment {like.id!r} has one rule of scoring, and no option `scoring`")
        options = {**like.options, "scoring": self.scoring}
        key = canonical_json([like.id, options])
        with self._lock:
            if key not in self._environments:
                self._environments[key] = cls(**options)
            return self._environments[key]

    def _part(self, score: Score) -> Score:
        if score.value is None or self.part == "value":
            return score
        if self.part == "success":
            return score.model_copy(update={"value": float(score.success)})
        if self.part in score.components:
            return score.model_copy(update={"value": score.components[self.part]})
        valid = ["value", "success", *score.components]
        message = f"the outcome has no part {self.part!r}; it has {', '.join(valid)}."
        return Score(failure=Failure(party="task", message=message + did_you_mean(self.part, valid)))
