"""A judge that errs at a known rate: for experiments on how much a policy suffers from wrong verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from telegym.core.errors import ConfigurationError
from telegym.core.score import Score
from telegym.rewards.base import Judgement, Reward, Run
from telegym.rewards.reasonableness import Reasonableness
from telegym.rewards.reasonableness.summary import CallValue
from telegym.rewards.verdict import View

__all__ = ["FallibleJudge"]


class FallibleJudge(Reward):
    """Knows the truth, and says the opposite in a share of its verdicts.

    Its verdict on the whole run is whether the run succeeded, its verdict on a call whether the call was reasonable by
    what the simulator knows. Each verdict is turned round with the same chance, whatever the others are. Equal runs get
    equal verdicts: an error is a property of the run, as with a model that is asked at temperature 0.

    Args:
        error: Share of wrong verdicts, 0 to 1.
        seed: Decides which verdicts are wrong.
        view: From where calls are judged; see `Reasonableness`.
        counterfactual: Whether to find out on forks which changes were needed, as `Reasonableness` does.
        calls: What the truth about a call is: 1 or 0 (`verdict`), or the mean of its checks (`checks`); a wrong verdict
            is what that lacks to 1.
        name: Under which its components are reported.

    Raises:
        ConfigurationError: If a setting has no valid value.
    """

    def __init__(
        self,
        *,
        error: float = 0.1,
        seed: int = 0,
        view: View | str = View.ORACLE,
        counterfactual: bool = True,
        calls: CallValue = "verdict",
        name: str = "fallible-judge",
    ) -> None:
        if not 0 <= error <= 1:
            raise ConfigurationError(f"error is {error!r}; valid: a share of verdicts, 0 to 1")
        self.error, self.seed, self.name = error, seed, name
        self._calls = Reasonableness(view=view, counterfactual=counterfactual, calls=calls)

    def score(self, runs: Sequence[Run]) -> list[Score]:
        """Return a judgement of each run: 1 or 0 for the whole, and 1 or 0 for each call."""
        return [self._judge(run, truth) for run, truth in zip(runs, self._calls.score(runs), strict=True)]

    def _judge(self, run: Run, truth: Score) -> Score:
        outcome = run.outcome
        if outcome.value is None or truth.value is None:
            return Judgement(failure=outcome.failure or truth.failure)
        rng = Random(f"{self.seed}/{run.key}")
        whole = float(outcome.success) if rng.random() >= self.error else 1 - float(outcome.success)
        turned = [rng.random() < self.error for _ in truth.calls]
        said = [None if value is None else abs(value - wrong) for value, wrong in zip(truth.calls, turned, strict=True)]
        known = [value for value in said if value is not None]
        errors = sum(wrong for value, wrong in zip(said, turned, strict=True) if value is not None)
        return Judgement(
            value=whole,
            components={"run": whole, "calls": sum(known) / len(known) if known else 1.0},
            calls=tuple(said),
            counters={"wrong": errors + abs(whole - outcome.success), "verdicts": len(known) + 1.0},
        )
