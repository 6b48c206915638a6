"""Verification of native tasks: every one can be solved, none can be cheated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from telegym.core.episode import Episode
from telegym.core.messages import Message
from telegym.core.task import Task
from telegym.envs.tau2_telecom.cheaters import CHEATERS, play
from telegym.envs.tau2_telecom.environment import Tau2Telecom
from telegym.envs.tau2_telecom.world import TelecomWorld

__all__ = ["NativeReport", "verify_native", "verify_tasks"]

_KEPT_PROBLEMS = 20


@dataclass(slots=True)
class NativeReport:
    """What was found out about a set of tasks."""

    tasks: int = 0
    """Tasks looked at."""
    compositions: int = 0
    """Different families and faults among them."""
    faulted: int = 0
    """Tasks whose initial world fails their assertions, or is to be handed over."""
    oracle_solved: int = 0
    """Tasks the oracle solves."""
    expert_solved: int = 0
    """Tasks the expert solves, who sees only what an agent sees."""
    cheaters_failed: int = 0
    """Tasks on which every cheater scores 0."""
    cheater_successes: Counter[str] = field(default_factory=Counter)
    """Tasks on which a cheater scored more than 0, by cheater."""
    oracle_calls: int = 0
    """Calls of the oracle in all."""
    expert_calls: int = 0
    """Calls of the expert in all."""
    problems: list[str] = field(default_factory=list)
    """The first things that went wrong."""

    @property
    def passed(self) -> bool:
        """Whether every task is faulted, solved by oracle and expert, and out of every cheater's reach."""
        solved = {self.faulted, self.oracle_solved, self.expert_solved, self.cheaters_failed}
        return solved == {self.tasks}

    def to_dict(self) -> dict[str, object]:
        """Return it as JSON values."""
        return {"passed": self.passed, **asdict(self)}

    def note(self, problem: str) -> None:
        """Keep a problem, if it is one of the first."""
        if len(self.problems) < _KEPT_PROBLEMS:
            self.problems.append(problem)


def verify_native(
    count: int = 10_000,
    seed: int = 0,
    split: str = "train",
    on_progress: Callable[[int, int], None] | None = None,
) -> NativeReport:
    """Verify generated tasks.

    Args:
        count: How many.
        seed: Seed of the tasks.
        split: Their split.
        on_progress: Called after every task with the number of tasks done and of all tasks.
    """
    return verify_tasks(Tau2Telecom(count=count, seed=seed, split=split), on_progress)


def verify_tasks(environment: Tau2Telecom, on_progress: Callable[[int, int], None] | None = None) -> NativeReport:
    """Verify the tasks of an environment in mode `solo` with strict scoring.

    Args:
        environment: The environment.
        on_progress: Called after every task with the number of tasks done and of all tasks.
    """
    report = NativeReport()
    seen: set[str] = set()
    for task in environment.tasks:
        _verify(environment, task, report)
        seen.add(task.id.partition("[PERSONA")[0])
        report.tasks += 1
        if on_progress is not None:
            on_progress(report.tasks, len(environment.tasks))
    report.compositions = len(seen)
    return report


def _verify(environment: Tau2Telecom, task: Task, report: NativeReport) -> None:
    case = environment.case(task)
    if case.expected_failure or not _goal_met(task, environment.build_world(task)):
        report.faulted += 1
    else:
        report.note(f"{task.id}: the goal is met from the beginning")
    solved, calls = _solves(environment, task, environment.hint, "oracle", report)
    report.oracle_solved += solved
    report.oracle_calls += calls
    solved, calls = _solves(environment, task, environment.expert, "expert", report)
    report.expert_solved += solved
    report.expert_calls += calls
    report.cheaters_failed += _resists(environment, task, report)


def _goal_met(task: Task, world: TelecomWorld) -> bool:
    return all(world.run(each.target, each.name, each.arguments) == each.expected for each in task.assertions)


def _solves(
    environment: Tau2Telecom,
    task: Task,
    advice: Callable[[Episode], Message | None],
    name: str,
    report: NativeReport,
) -> tuple[bool, int]:
    episode = Episode(environment, task, record=False)
    while not episode.done:
        message = advice(episode)
        if message is None:
            break
        episode.step(message)
    score = episode.score()
    if not score.success:
        report.note(f"{task.id}: the {name} fails: {'; '.join(score.reasons)}")
    return score.success, len(episode.calls)


def _resists(environment: Tau2Telecom, task: Task, report: NativeReport) -> bool:
    resists = True
    for name, cheater in CHEATERS.items():
        value = play(cheater, environment, Episode(environment, task, record=False)).value
        if value != 0.0:
            resists = False
            report.cheater_successes[name] += 1
            report.note(f"{task.id}: cheater {name} scores {value}")
    return resists
