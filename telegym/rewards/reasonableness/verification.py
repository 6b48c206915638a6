"""How good an auditor is: what it says of trajectories with known faults, and of trajectories without.

For every kind of corruption: how many of the faulty calls it found (recall), how many of the calls it found fault with
were faulty (precision), and how often its code names the fault rightly. Both views are measured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from telegym.core.entry_points import load_entry_point
from telegym.core.environment import Environment
from telegym.core.errors import ConfigurationError, did_you_mean
from telegym.core.task import Task
from telegym.rewards.reasonableness.auditor import Auditor, auditor_for
from telegym.rewards.reasonableness.corruptions import Corrupter, Seeded
from telegym.rewards.verdict import View

__all__ = ["GOAL", "RewardsReport", "Tally", "corrupter_for", "register_corrupter", "verify_rewards"]

GOAL = 0.99
"""Recall and precision that an auditor has to reach."""
CLEAN_EVERY = 5
"""Every so many trajectories one is left without a fault."""
_KEPT_PROBLEMS = 20
_MOST_TRIES = 20
"""How many tasks are tried for each trajectory wanted, before fewer have to do."""

_CORRUPTERS: dict[str, str] = {
    "tau2-telecom": "telegym.rewards.reasonableness.tau2.corruptions:tau2_corrupter",
    "base-station": "telegym.rewards.reasonableness.base_station.corruptions:BaseStationCorrupter",
}


def register_corrupter(environment_id: str, target: str) -> None:
    """Name the class that makes corrupted trajectories of an environment.

    Args:
        environment_id: Id of the environment.
        target: Where it is: `package.module:Class`, a subclass of `Corrupter`, or a function that makes one.

    Raises:
        ConfigurationError: If the environment has another one already.
    """
    if _CORRUPTERS.setdefault(environment_id, target) != target:
        raise ConfigurationError(f"{environment_id!r} has corruptions already: {_CORRUPTERS[environment_id]}")


def corrupter_for(environment: Environment) -> Corrupter:
    """Return what makes corrupted trajectories of an environment.

    Raises:
        ConfigurationError: If there is nothing that does.
    """
    target = _CORRUPTERS.get(environment.id)
    if target is None:
        hint = did_you_mean(environment.id, _CORRUPTERS)
        raise ConfigurationError(f"no corruptions of {environment.id!r}; there are: {', '.join(_CORRUPTERS)}.{hint}")
    try:
        made: Corrupter = load_entry_point(target)(environment)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(f"the corruptions of {environment.id!r} cannot be imported: {error}") from error
    return made


@dataclass(slots=True)
class Tally:
    """What an auditor said of some trajectories."""

    trajectories: int = 0
    """Trajectories."""
    calls: int = 0
    """Calls judged, without those of which nothing can be said."""
    wrong: int = 0
    """Calls that are wrong."""
    found: int = 0
    """Of these, how many were found."""
    named: int = 0
    """Of those found, how many got a code that names the fault rightly."""
    alarms: int = 0
    """Calls found fault with that are right."""

    @property
    def recall(self) -> float:
        """Share of the wrong calls that were found; 1 if none is wrong."""
        return self.found / self.wrong if self.wrong else 1.0

    @property
    def precision(self) -> float:
        """Share of the calls found fault with that are wrong; 1 if none was."""
        return self.found / (self.found + self.alarms) if self.found + self.alarms else 1.0

    @property
    def naming(self) -> float:
        """Share of the found calls whose code is right; 1 if none was found."""
        return self.named / self.found if self.found else 1.0

    def add(self, other: Tally) -> None:
        """Add another tally."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def to_dict(self) -> dict[str, float]:
        """Return counts and shares."""
        counts = {name: getattr(self, name) for name in self.__slots__}
        return {**counts, "recall": self.recall, "precision": self.precision, "naming": self.naming}


@dataclass(slots=True)
class RewardsReport:
    """What was found out about an auditor."""

    environment: str
    """Id of the environment."""
    kinds: dict[tuple[str, str], Tally] = field(default_factory=dict)
    """By kind of corruption and view; kind `none` are trajectories without a fault."""
    codes: dict[str, Counter[str]] = field(default_factory=dict)
    """By view: how often each code was given to calls that are wrong."""
    unfit: Counter[str] = field(default_factory=Counter)
    """How often a kind fitted nowhere in a task, so that another was taken."""
    problems: list[str] = field(default_factory=list)
    """The first calls that were judged wrongly."""

    def total(self, view: str, corrupted: bool = True) -> Tally:
        """Return the tally of all corrupted (or all clean) trajectories in a view."""
        whole = Tally()
        for (kind, each), tally in self.kinds.items():
            if each == view and (kind != "none") == corrupted:
                whole.add(tally)
        return whole

    @property
    def views(self) -> tuple[str, ...]:
        """Views that were measured."""
        return tuple(dict.fromkeys(view for _, view in self.kinds))

    @property
    def passed(self) -> bool:
        """Whether every view reaches the goal and no call of a trajectory without fault was blamed."""
        return not self.missed

    @property
    def missed(self) -> list[str]:
        """A sentence for every goal that was not reached."""
        found = []
        for view in self.views:
            seeded, clean = self.total(view), self.total(view, corrupted=False)
            for name in ("recall", "precision"):
                value = getattr(seeded, name)
                if value < GOAL:
                    found.append(f"{name} in view {view} is {value:.4f}, not {GOAL}")
            if clean.alarms:
                found.append(f"in view {view} {clean.alarms} calls of trajectories without a fault were blamed")
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "environment": self.environment,
            "passed": self.passed,
            "missed": self.missed,
            "total": {view: self.total(view).to_dict() for view in self.views},
            "clean": {view: self.total(view, corrupted=False).to_dict() for view in self.views},
            "kinds": {f"{kind}/{view}": tally.to_dict() for (kind, view), tally in sorted(self.kinds.items())},
            "codes": {view: dict(sorted(counts.items())) for view, counts in self.codes.items()},
            "unfit": dict(sorted(self.unfit.items())),
            "problems": self.problems,
        }


def verify_rewards(
    environment: Environment,
    count: int,
    *,
    seed: int = 0,
    views: Sequence[View] = tuple(View),
    kinds: Sequence[str] = (),
    counterfactual: bool = True,
    each: int = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> RewardsReport:
    """Measure the auditor of an environment.

    Args:
        environment: The environment, configured; its tasks are used in order, again if there are fewer.
        count: How many corrupted trajectories; a fifth as many without a fault are added.
        seed: Decides ways, turns and faults.
        views: From where to judge.
        kinds: Corruptions to make; all by default.
        counterfactual: Whether the auditor may find out on forks which changes were needed.
        each: How many trajectories of a task are made one after the other, from 1. What was played of a task is kept
            for the next one, so five take little longer than two.
        on_progress: Called after every trajectory with the number done and of all.

    Raises:
        ConfigurationError: If the environment has no auditor or no corruptions, there is no such kind, or `each` is not
            at least 1.
    """
    if each < 1:
        raise ConfigurationError(f"each is {each}; valid: numbers from 1")
    auditor, corrupter = auditor_for(environment.id), corrupter_for(environment)
    report = RewardsReport(environment.id)
    trajectories = _trajectories(environment, corrupter, count, f"{seed}", kinds, report, each)
    for number, made in enumerate(trajectories, start=1):
        for view in views:
            _judge(auditor, made, View(view), counterfactual, report)
        if on_progress is not None:
            on_progress(number, count + count // CLEAN_EVERY)
    return report


def _trajectories(
    environment: Environment,
    corrupter: Corrupter,
    count: int,
    seed: str,
    kinds: Sequence[str],
    report: RewardsReport,
    each: int,
) -> Iterator[Seeded]:
    counts, tasks = Counter(dict.fromkeys(kinds or corrupter.kinds, 0)), environment.tasks
    made, index = 0, 0
    while made < count and index < _MOST_TRIES * count:
        task, variant = tasks[index // each % len(tasks)], f"{seed}/{index}"
        index += 1
        found = _rarest(corrupter, task, variant, counts, report)
        if found is None:
            continue
        made += 1
        yield found
        if made % CLEAN_EVERY == 0:
            yield corrupter.clean(task, variant)


def _rarest(
    corrupter: Corrupter, task: Task, variant: str, counts: Counter[str], report: RewardsReport
) -> Seeded | None:
    """Return a trajectory with a fault of the kind made least often so far among those that fit the task."""
    for kind in sorted(counts, key=lambda kind: counts[kind]):
        found = corrupter.seeded(task, kind, variant)
        if found is not None:
            counts[kind] += 1
            return found
        report.unfit[kind] += 1
    return None


def _judge(auditor: Auditor, made: Seeded, view: View, counterfactual: bool, report: RewardsReport) -> None:
    audit = auditor.audit(made.episode, view, counterfactual=counterfactual)
    tally = report.kinds.setdefault((made.kind, view.value), Tally())
    codes = report.codes.setdefault(view.value, Counter())
    tally.trajectories += 1
    for verdict in audit.verdicts:
        if verdict.index in made.open:
            continue
        tally.calls += 1
        blamed, expected = verdict.reasonable is False, made.wrong.get(verdict.index)
        name = made.episode.calls[verdict.index].call.name
        where = f"{made.episode.task.id}, {made.kind}, view {view.value}, call {verdict.index} {name}"
        if expected is None:
            tally.alarms += blamed
            if blamed:
                _note(report, f"{where}: blamed as {verdict.code}: {verdict.evidence}")
            continue
        tally.wrong += 1
        tally.found += blamed
        tally.named += blamed and verdict.code in expected
        codes[str(verdict.code)] += blamed
        if not blamed:
            _note(report, f"{where}: not found")
        elif verdict.code not in expected:
            _note(report, f"{where}: found as {verdict.code}: {verdict.evidence}")


def _note(report: RewardsReport, problem: str) -> None:
    if len(report.problems) < _KEPT_PROBLEMS:
        report.problems.append(problem)
