"""From single checks to the verdict on a call, and from verdicts to the reasonableness of a run.

A call is reasonable if every check that applies is met. The reasonableness of a run is

    Q = (sum over checks k of w_k * mean over calls of v_k / sum of w_k) * (1 if safe else 0.2)

over the checks that apply to at least one call, with `efficiency` and `claims` as values of the whole run. Safety is a
gate and never averaged: good form elsewhere does not make up for harm.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from telegym.core.errors import ConfigurationError, TeleGymError, did_you_mean
from telegym.core.score import Failure, Score
from telegym.rewards.base import Judgement, Reward, Run
from telegym.rewards.reasonableness.auditor import Audit, auditor_for
from telegym.rewards.verdict import CallVerdict, Check, Code, View

__all__ = [
    "DEFAULT_WEIGHTS",
    "UNSAFE_FACTOR",
    "CallValue",
    "Reasonableness",
    "Sheet",
    "call_quality",
    "quality",
    "shares",
]

CallValue = Literal["verdict", "checks"]
"""What the value of a single call is."""

DEFAULT_WEIGHTS: dict[str, float] = {
    "schema": 0.10,
    "grounding": 0.20,
    "precondition": 0.20,
    "necessity": 0.10,
    "ordering": 0.20,
    "efficiency": 0.05,
    "claims": 0.15,
}
"""What each check counts; those that do not apply are left out and the others count more."""
UNSAFE_FACTOR = 0.2
"""What remains of the reasonableness of a run that was not safe."""

_RUN_VALUES = ("efficiency", "claims", "completion")
_VALID_WEIGHTS = (*(check.value for check in Check if check is not Check.SAFETY), "efficiency")

_GRAVITY = (
    Code.SCHEMA,
    Code.UNGROUNDED,
    Code.UNSAFE,
    Code.POLICY,
    Code.REPEATED_ERROR,
    Code.PREMATURE,
    Code.WRONG_CAUSE,
    Code.ORDER,
    Code.PRECONDITION,
    Code.CLAIM,
    Code.REDUNDANT,
)
"""Which code a call gets that fails several checks: the first of these."""


class Sheet:
    """Collects what is found out about one call.

    Args:
        index: Position of the call among all calls of the episode.
    """

    __slots__ = ("_checks", "_faults", "_merits", "index")

    def __init__(self, index: int) -> None:
        self.index = index
        self._checks: dict[Check, float | None] = {}
        self._faults: list[tuple[int, str, Code]] = []
        self._merits: list[str] = []

    def met(self, check: Check, sentence: str = "") -> None:
        """Note that a check is met; it stays unmet if it was noted as such before."""
        if self._checks.get(check) is None:
            self._checks[check] = 1.0
        if sentence:
            self._merits.append(sentence)

    def unmet(self, check: Check, code: Code, sentence: str, value: float = 0.0) -> None:
        """Note that a check is not met, or only in part.

        Args:
            check: The check.
            code: What is wrong.
            sentence: What it rests on.
            value: 0 to 1.
        """
        before = self._checks.get(check)
        self._checks[check] = value if before is None else min(before, value)
        self._faults.append((_GRAVITY.index(code), sentence, code))

    def value(self, check: Check) -> float | None:
        """Return what is known of a check so far."""
        return self._checks.get(check)

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong so far."""
        return not self._faults

    def verdict(self) -> CallVerdict:
        """Return the verdict: the gravest fault, or the first thing that speaks for the call."""
        if not self._faults:
            known = any(value is not None for value in self._checks.values())
            evidence = self._merits[0] if self._merits else ""
            return CallVerdict(
                index=self.index, reasonable=True if known else None, evidence=evidence, checks=self._checks
            )
        _, sentence, code = min(self._faults, key=lambda fault: fault[0])
        return CallVerdict(index=self.index, reasonable=False, code=code, evidence=sentence, checks=self._checks)


def shares(audit: Audit) -> dict[str, float]:
    """Return the mean of each check over the calls it applies to, and the values of the run that apply."""
    found: dict[str, float] = {}
    for check in Check:
        values = [value for verdict in audit.verdicts if (value := verdict.checks.get(check)) is not None]
        if values:
            found[check.value] = math.fsum(values) / len(values)
    found |= {name: value for name in _RUN_VALUES if (value := audit.values.get(name)) is not None}
    return found


def quality(audit: Audit, weights: Mapping[str, float] | None = None) -> float:
    """Return the reasonableness of a run, 0 to 1; 0 for a run without a call.

    Args:
        audit: What was found out.
        weights: What each check counts; `DEFAULT_WEIGHTS` by default.
    """
    weights = DEFAULT_WEIGHTS if weights is None else weights
    found = shares(audit)
    total = math.fsum(weight for name, weight in weights.items() if name in found)
    if not audit.verdicts or total <= 0:
        return 0.0
    mean = math.fsum(weight * found[name] for name, weight in weights.items() if name in found) / total
    return mean * (UNSAFE_FACTOR if audit.unsafe else 1.0)


def call_quality(verdict: CallVerdict, weights: Mapping[str, float] | None = None) -> float | None:
    """Return the reasonableness of one call, 0 to 1, made like that of a run; None if no weighed check applies.

    A verdict blames a call for the gravest thing that is wrong with it, and be it a rule that the agent broke long
    before. This is more patient: rules of conduct, which are in the checks `safety` and `completion`, only count where
    they are weighed or where the call did harm.

    Args:
        verdict: The verdict on the call.
        weights: What each check counts; `DEFAULT_WEIGHTS` by default.
    """
    weights = DEFAULT_WEIGHTS if weights is None else weights
    found = {check.value: value for check, value in verdict.checks.items() if value is not None}
    total = math.fsum(weight for name, weight in weights.items() if name in found)
    if total <= 0:
        return None
    mean = math.fsum(weight * found[name] for name, weight in weights.items() if name in found) / total
    return mean * (UNSAFE_FACTOR if verdict.code is Code.UNSAFE else 1.0)


class Reasonableness(Reward):
    """The share of an agent's calls that were right to make, with a verdict on each.

    Args:
        view: `oracle` judges by what was truly so, `observable` by what could be known.
        weights: What each check counts; those not named keep their default weight.
        counterfactual: Whether to find out on forks which changes were needed; see `Auditor.audit`.
        calls: What the value of a single call is: `verdict` is 1 or 0, `checks` the weighted mean of its checks
            (`call_quality`).
        name: Under which its components are reported.

    Raises:
        ConfigurationError: If a setting has no valid value.
    """

    def __init__(
        self,
        *,
        view: View | str = View.ORACLE,
        weights: Mapping[str, float] | None = None,
        counterfactual: bool = True,
        calls: CallValue = "verdict",
        name: str = "reasonableness",
    ) -> None:
        if calls not in get_args(CallValue):
            valid = ", ".join(get_args(CallValue))
            raise ConfigurationError(f"calls is {calls!r}; valid: {valid}.{did_you_mean(calls, get_args(CallValue))}")
        self.view = _view(view)
        self.calls = calls
        self.weights = _weights(weights or {})
        self.counterfactual = counterfactual
        self.name = name

    def score(self, runs: Sequence[Run]) -> list[Score]:
        """Return a `Judgement` for each run; a run that cannot be played again fails as infrastructure.

        Raises:
            ConfigurationError: If nobody judges the calls of an environment.
        """
        return [self._judge(run) for run in runs]

    def _judge(self, run: Run) -> Score:
        try:
            episode = run.episode
        except (TeleGymError, ValueError) as error:
            failure = Failure(party="infrastructure", message=f"the run cannot be played again: {error}")
            return Judgement(failure=failure)
        auditor = auditor_for(episode.environment.id)
        audit = auditor.audit(episode, self.view, counterfactual=self.counterfactual)
        return self.judgement(audit, len(episode.calls))

    def judgement(self, audit: Audit, calls: int) -> Judgement:
        """Return an audit as a judgement.

        Args:
            audit: What was found out.
            calls: How many calls the episode has, of both sides.
        """
        values: list[float | None] = [None] * calls
        for verdict in audit.verdicts:
            values[verdict.index] = self._value(verdict)
        faults = tuple(f"call {each.index}: {each.code}: {each.evidence}" for each in audit.verdicts if each.code)
        return Judgement(
            value=quality(audit, self.weights),
            components={**shares(audit), "safe": float(not audit.unsafe)},
            reasons=(*faults, *audit.reasons),
            calls=tuple(values),
            verdicts=audit.verdicts,
            counters=dict(audit.counters),
        )

    def _value(self, verdict: CallVerdict) -> float | None:
        if self.calls == "checks":
            return call_quality(verdict, self.weights)
        return None if verdict.reasonable is None else float(verdict.reasonable)


def _view(view: View | str) -> View:
    try:
        return View(view)
    except ValueError:
        valid = [each.value for each in View]
        hint = did_you_mean(str(view), valid)
        raise ConfigurationError(f"view is {view!r}; valid: {', '.join(valid)}.{hint}") from None


def _weights(changes: Mapping[str, float]) -> dict[str, float]:
    for name, weight in changes.items():
        if name not in _VALID_WEIGHTS:
            hint = did_you_mean(str(name), _VALID_WEIGHTS)
            raise ConfigurationError(f"weights names {name!r}; valid: {', '.join(_VALID_WEIGHTS)}.{hint}")
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < math.inf:
            raise ConfigurationError(f"the weight of {name!r} is {weight!r}; valid: numbers from 0")
    weights = DEFAULT_WEIGHTS | {name: float(weight) for name, weight in changes.items()}
    if not any(weights.values()):
        raise ConfigurationError("all weights are 0; at least one has to count")
    return weights
