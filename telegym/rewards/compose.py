"""Composition: several rewards, asked together and combined into one.

A composition keeps three promises. A component that failed never becomes a value: a configured substitute steps in, or
the run as a whole fails and is left out by whoever learns from it. What a guard caught earns nothing. And the result
does not depend on the order of the runs, nor on threads.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from pydantic import Field, SerializeAsAny

from telegym.core.errors import ConfigurationError, InfrastructureError, JudgeError, TaskError, did_you_mean
from telegym.core.score import Failure, Score
from telegym.rewards.base import Judgement, Reward, Run, Sitting
from telegym.rewards.combination import Batch, Combination, GateProduct, Rescue, within_groups
from telegym.rewards.verdict import Check, Code

__all__ = ["DROP", "GROUP_MEAN", "GUARDS", "Composite", "Composition", "Gate", "is_unsafe"]

GROUP_MEAN = "group_mean"
"""Substitute: the mean of the component's values in the rest of the group."""
DROP = "drop"
"""Substitute: none; the run fails and is left out. The same as the end of the list."""
GUARDS = "guards"
"""Name of the guards among the parts of a composition."""

_FAILURES = {JudgeError: "judge", InfrastructureError: "infrastructure", TaskError: "task"}

Ask = Callable[[Sequence[Run]], list[Score]]
OnProgress = Callable[[int], None]
"""Hears how many runs were scored."""


class Composition(Judgement):
    """The score of a composition: a value, and all its parts."""

    parts: dict[str, SerializeAsAny[Score]] = Field(default_factory=dict)
    """The score of each component, as it was given."""


class _Severity(Protocol):
    @property
    def name(self) -> str: ...


class Gate(Protocol):
    """Guards, as a composition sees them."""

    def score(self, runs: Sequence[Run]) -> list[Score]:
        """Return what they found, for the record."""
        ...

    def gate(self, run: Run) -> _Severity | None:
        """Return `DOUBT` (judges' words do not count), `BLOCK` (the run earns at most 0), or None."""
        ...


def is_unsafe(score: Score) -> bool:
    """Return whether a score says that somebody was put at risk without need.

    The counter `unsafe` decides where there is one, then the component `safe`, otherwise the verdicts: one with the
    code of harm, or one that does not meet the check of safety.
    """
    if not isinstance(score, Judgement):
        return False
    if "unsafe" in score.counters:
        return score.counters["unsafe"] > 0
    if "safe" in score.components:
        return score.components["safe"] == 0
    return any(each.code is Code.UNSAFE or each.checks.get(Check.SAFETY) == 0 for each in score.verdicts)


class Composite(Reward):
    """Several rewards as one.

    Args:
        components: Rewards by the names under which they are reported. One without a weight is reported only.
        combination: How their values become one; `GateProduct()` by default.
        guards: What looks for attempts at the judge.
        fallback: For a component that may fail, what takes its place, in order: names of other components, `group_mean`
            or `drop`. The outcome has no substitute.
        workers: How many batches are waited for at once.
        batch: About how many runs a component that waits is asked about at a time; groups are not cut.
        name: Under which the total is reported.

    Raises:
        ConfigurationError: If a weight or substitute names a component that there is not.
    """

    groupwise = True

    def __init__(
        self,
        components: Mapping[str, Reward],
        combination: Combination | None = None,
        *,
        guards: Gate | None = None,
        fallback: Mapping[str, Sequence[str]] | None = None,
        workers: int = 8,
        batch: int = 16,
        name: str = "composite",
    ) -> None:
        self.components = dict(components)
        self.combination = combination or GateProduct()
        self.guards = guards
        self.fallback = {component: tuple(chain) for component, chain in (fallback or {}).items()}
        self.name = name
        self._workers, self._batch = workers, batch
        self._weights = self.combination.weights()
        self._recent = _Recent(_rescue_of(self.combination))
        self._check()

    @property
    def waits(self) -> bool:  # type: ignore[override]  # depends on the components
        """Whether any component waits for others."""
        return any(component.waits for component in self.components.values())

    @property
    def needs_signals(self) -> bool:  # type: ignore[override]  # depends on the components
        """Whether any component goes by what the policy knows of its tokens."""
        return any(component.needs_signals for component in self.components.values())

    @property
    def needs_references(self) -> bool:  # type: ignore[override]  # depends on the components
        """Whether any component goes by the probabilities of reference answers."""
        return any(component.needs_references for component in self.components.values())

    @property
    def needs_baseline(self) -> bool:  # type: ignore[override]  # depends on the components
        """Whether any component needs these also under the first policy."""
        return any(component.needs_baseline for component in self.components.values())

    @property
    def needs_own_tokens(self) -> bool:
        """Whether any component goes by how sure the policy was of the tokens it sampled."""
        return any(each.needs_signals and not each.needs_references for each in self.components.values())

    def _check(self) -> None:
        valid = [name for name in self.components if name not in (GROUP_MEAN, DROP, GUARDS)]
        if len(valid) < len(self.components):
            raise ConfigurationError(f"no component may be called {GROUP_MEAN}, {DROP} or {GUARDS}")
        for name in self._weights:
            _known(name, valid, "the combination")
        for name, chain in self.fallback.items():
            _known(name, valid, "fallback")
            if name == self.combination.outcome:
                raise ConfigurationError(f"the outcome {name!r} has no substitute; leave it out of `fallback`")
            for substitute in chain:
                _known(substitute, [*(each for each in valid if each != name), GROUP_MEAN, DROP], f"fallback.{name}")

    # --- scoring ----------------------------------------------------------------------------------------

    def score(self, runs: Sequence[Run]) -> list[Score]:
        """Return one score for each run, in order."""
        return list(self.combine(runs, self.ask(runs)))

    def combine(self, runs: Sequence[Run], parts: Mapping[str, Sequence[Score]]) -> list[Composition]:
        """Return one score for each run, in order.

        Args:
            runs: The runs.
            parts: What `ask` returned for them.
        """
        severities = [self._severity(run) for run in runs]
        groups = [run.group for run in runs]
        own = {name: self._own(name, parts[name], severities) for name in self.components}
        resolved = [self._resolve(row, own, groups) for row in range(len(runs))]
        complete = [row for row in range(len(runs)) if None not in resolved[row].values()]
        batch = Batch(
            values=[_present(resolved[row]) for row in complete],
            unsafe=[any(is_unsafe(scores[row]) for scores in parts.values()) for row in complete],
            groups=[groups[row] for row in complete],
            rescue=self._rescues([resolved[row] for row in complete]),
        )
        values = dict(zip(complete, self.combination.combine(batch), strict=True))
        columns = [{name: scores[row] for name, scores in parts.items()} for row in range(len(runs))]
        return [
            self._total(columns[row], values.get(row), resolved[row], own, row, severities[row])
            for row in range(len(runs))
        ]

    def _rescues(self, rows: Sequence[Mapping[str, float | None]]) -> bool:
        outcome = self.combination.outcome
        return outcome is not None and self._recent.seldom(
            [row[outcome] for row in rows if row.get(outcome) is not None]
        )

    def _severity(self, run: Run) -> str | None:
        found = self.guards.gate(run) if self.guards is not None else None
        return found.name if found is not None else None

    def _own(self, name: str, scores: Sequence[Score], severities: Sequence[str | None]) -> list[float | None]:
        """Return a component's own values; where a guard doubts the run, persuasion is worth nothing."""
        swayed = self.components[name].persuadable
        return [
            0.0 if swayed and severity is not None and score.value is not None else score.value
            for score, severity in zip(scores, severities, strict=True)
        ]

    def _resolve(
        self, row: int, own: Mapping[str, Sequence[float | None]], groups: Sequence[str]
    ) -> dict[str, float | None]:
        """Return the values that count for a run, substitutes included; None where there is none."""
        found: dict[str, float | None] = {}
        for name in self._weights:
            value = own[name][row]
            for substitute in self.fallback.get(name, ()):
                if value is not None or substitute == DROP:
                    break
                value = _mean_of_group(row, own[name], groups) if substitute == GROUP_MEAN else own[substitute][row]
            found[name] = value
        return found

    def _total(
        self,
        parts: Mapping[str, Score],
        value: float | None,
        resolved: Mapping[str, float | None],
        own: Mapping[str, Sequence[float | None]],
        row: int,
        severity: str | None,
    ) -> Composition:
        substituted = [name for name, used in resolved.items() if used is not None and own[name][row] is None]
        missing = next((name for name, used in resolved.items() if used is None), None)
        calls = self._calls(parts, severity)
        if severity == "BLOCK":
            value = None if value is None else min(0.0, value)
            calls = tuple(None if each is None else min(0.0, each) for each in calls)
        values = {**{name: used[row] for name, used in own.items()}, **resolved}
        return Composition(
            value=value,
            components={**_named(parts), **_present(values)},
            reasons=tuple(dict.fromkeys(reason for part in parts.values() for reason in part.reasons)),
            calls=calls,
            failure=_failure(missing, parts[missing]) if missing is not None else None,
            verdicts=next((part.verdicts for part in _judgements(parts) if part.verdicts), ()),
            analysis=next((part.analysis for part in _judgements(parts) if part.analysis), ""),
            counters=_counters(parts, substituted, severity),
            parts=dict(parts),
        )

    def _calls(self, parts: Mapping[str, Score], severity: str | None) -> tuple[float | None, ...]:
        """Return the mean value of each call over the components that say something of it."""
        heard = {
            name: (weight, parts[name].calls)
            for name, weight in self.combination.call_weights().items()
            if parts[name].calls and not (severity is not None and self.components[name].persuadable)
        }
        length = max((len(calls) for _, calls in heard.values()), default=0)
        return tuple(_mean_call(index, heard.values()) for index in range(length))

    # --- asking -----------------------------------------------------------------------------------------

    def batches(self, groups: Sequence[str]) -> list[list[int]]:
        """Return which runs a component is asked about at a time: numbers of runs, groups whole.

        Args:
            groups: The group of each run.
        """
        return _chunks(groups, self._batch) if groups else []

    def considered(self, name: str, runs: Sequence[Run], sitting: Sitting) -> list[Score]:
        """Return what a component makes of a piece of a batch; what it raises on purpose is a failure."""
        return _scored(name, self.components[name], runs, sitting.consider)

    def ask(
        self, runs: Sequence[Run], on_progress: OnProgress | None = None, only: Iterable[str] | None = None
    ) -> dict[str, list[Score]]:
        """Return the scores of every component by name, and of the guards if there are any.

        Components that wait are waited for together, while the others are at work.

        Args:
            runs: The runs.
            on_progress: Hears, in this thread, how many runs a component has scored; of each component in its turn.
            only: Names of the components that are asked; all by default.
        """
        chunks = self.batches([run.group for run in runs])
        chosen = {name: self.components[name] for name in (self.components if only is None else only)}
        report = on_progress or (lambda scored: None)
        pool = ThreadPoolExecutor(self._workers)
        try:
            asked = {
                name: [pool.submit(_scored, name, component, [runs[row] for row in chunk]) for chunk in chunks]
                for name, component in chosen.items()
                if component.waits
            }
            found = {
                name: [_heard(_scored(name, component, [runs[row] for row in chunk]), report) for chunk in chunks]
                for name, component in chosen.items()
                if name not in asked
            }
            found |= {name: [_heard(each.result(), report) for each in futures] for name, futures in asked.items()}
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        parts = {name: _in_order(chunks, found[name]) for name in chosen}
        return {**parts, GUARDS: list(self.guards.score(runs))} if self.guards is not None else parts

    # --- state ------------------------------------------------------------------------------------------

    def state(self) -> list[tuple[int, int]]:
        """Return what has to be kept for a training run to be continued: recent successes and runs, by batch."""
        return self._recent.state()

    def restore(self, state: Iterable[tuple[int, int]]) -> None:
        """Go on from a state."""
        self._recent.restore(state)


class _Recent:
    """The share of successes among recent runs, in whole batches so that their order makes no difference."""

    def __init__(self, rescue: Rescue | None) -> None:
        self._rescue = rescue
        self._batches: deque[tuple[int, int]] = deque()
        self._lock = threading.Lock()

    def seldom(self, outcomes: Sequence[float | None]) -> bool:
        """Take note of a batch, and return whether success has been rare up to now, this batch included."""
        if self._rescue is None or not outcomes:
            return False
        solved = sum(outcome is not None and outcome >= 1 - 1e-6 for outcome in outcomes)
        with self._lock:
            self._batches.append((solved, len(outcomes)))
            while sum(size for _, size in self._batches) - self._batches[0][1] >= self._rescue.window:
                self._batches.popleft()
            total = sum(size for _, size in self._batches)
            return sum(found for found, _ in self._batches) <= self._rescue.below * total

    def state(self) -> list[tuple[int, int]]:
        with self._lock:
            return list(self._batches)

    def restore(self, state: Iterable[tuple[int, int]]) -> None:
        with self._lock:
            self._batches = deque((solved, size) for solved, size in state)


def _rescue_of(combination: Combination) -> Rescue | None:
    return combination.rescue if isinstance(combination, GateProduct) else None


def _known(name: str, valid: Sequence[str], where: str) -> None:
    if name not in valid:
        hint = did_you_mean(name, valid)
        raise ConfigurationError(f"{where}: no component {name!r}; there are {', '.join(valid)}.{hint}")


# --- asking one component ---------------------------------------------------------------------------------


def _scored(name: str, component: Reward, runs: Sequence[Run], ask: Ask | None = None) -> list[Score]:
    """Return a component's scores; what it raises on purpose becomes the failure of the runs it is raised for."""
    try:
        found = (ask or component.score)(runs)
    except tuple(_FAILURES) as error:
        pieces = (
            list(within_groups([run.group for run in runs])) if component.groupwise else [[i] for i in range(len(runs))]
        )
        if len(pieces) == 1:
            return [Score(failure=_raised(error)) for _ in runs]
        return _in_order(pieces, [_scored(name, component, [runs[row] for row in piece], ask) for piece in pieces])
    if len(found) != len(runs):
        raise ValueError(f"component {name!r} gave {len(found)} scores for {len(runs)} runs")
    return [_finite(score) for score in found]


def _heard(scores: list[Score], report: OnProgress) -> list[Score]:
    report(len(scores))
    return scores


def _raised(error: Exception) -> Failure:
    party = next(party for kind, party in _FAILURES.items() if isinstance(error, kind))
    return Failure.model_validate({"party": party, "message": str(error)})


def _finite(score: Score) -> Score:
    """Return the score; a value that is no number is a failure, and so is neither value nor failure."""
    if score.value is not None and math.isfinite(score.value):
        return score
    if score.value is None and score.failure is not None:
        return score
    failure = Failure(party="judge", message=f"the value is {score.value}, which is no finite number")
    return score.model_copy(update={"value": None, "failure": failure})


def _chunks(groups: Sequence[str], size: int) -> list[list[int]]:
    """Return positions in pieces of about a size, groups whole."""
    chunks: list[list[int]] = [[]]
    for places in within_groups(groups):
        if chunks[-1] and len(chunks[-1]) + len(places) > size:
            chunks.append([])
        chunks[-1] += places
    return chunks


def _in_order(chunks: Sequence[Sequence[int]], found: Sequence[Sequence[Score]]) -> list[Score]:
    placed = {
        row: score
        for chunk, scores in zip(chunks, found, strict=True)
        for row, score in zip(chunk, scores, strict=True)
    }
    return [placed[row] for row in sorted(placed)]


# --- putting together -----------------------------------------------------------------------------------


def _mean_of_group(row: int, values: Sequence[float | None], groups: Sequence[str]) -> float | None:
    """Return the mean of the values in a run's group that are known."""
    known = [value for place, value in enumerate(values) if groups[place] == groups[row] and value is not None]
    return math.fsum(known) / len(known) if known else None


def _mean_call(index: int, heard: Iterable[tuple[float, Sequence[float | None]]]) -> float | None:
    said = [
        (weight, value)
        for weight, calls in heard
        if index < len(calls) and (value := calls[index]) is not None and math.isfinite(value)
    ]
    total = math.fsum(weight for weight, _ in said)
    return math.fsum(weight * value for weight, value in said) / total if total else None


def _present(values: Mapping[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in values.items() if value is not None}


def _named(parts: Mapping[str, Score]) -> dict[str, float]:
    """Return the parts of parts, as `component.part`."""
    return {f"{name}.{part}": value for name, score in parts.items() for part, value in score.components.items()}


def _judgements(parts: Mapping[str, Score]) -> list[Judgement]:
    return [part for part in parts.values() if isinstance(part, Judgement)]


def _failure(name: str, score: Score) -> Failure:
    assert score.failure is not None
    return Failure(party=score.failure.party, message=f"{name}: {score.failure.message}")


def _counters(parts: Mapping[str, Score], substituted: Sequence[str], severity: str | None) -> dict[str, float]:
    counters = {
        f"{name}.{counter}": value
        for name, part in parts.items()
        if isinstance(part, Judgement)
        for counter, value in part.counters.items()
    }
    counters["unsafe"] = float(any(is_unsafe(part) for part in parts.values()))
    counters |= {f"substituted.{name}": 1.0 for name in substituted}
    if severity is not None:
        counters[f"{GUARDS}.{severity.lower()}"] = 1.0
    return counters
