"""Verification of generated tasks: each can be solved, found out without privileges, and not cheated; nothing leaks.

Every task is played by the oracle and by the blind expert. Every k-th is also played by all baselines and cheats, and
what was played of it is replayed and compared byte by byte. What a task comes to depends on the task alone, so the
report is the same however many processes work on it.
"""

from __future__ import annotations

import ast
import json
import multiprocessing
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from telegym.core.episode import Episode
from telegym.core.replay import replay
from telegym.core.task import Task
from telegym.envs.base_station.environment import BaseStation
from telegym.envs.base_station.faults import fault_infos
from telegym.envs.base_station.outcome import violations_of
from telegym.envs.base_station.players.baselines import BASELINES
from telegym.envs.base_station.players.cheats import CHEATS
from telegym.envs.base_station.players.expert import expert
from telegym.envs.base_station.players.oracle import oracle
from telegym.envs.base_station.players.steps import play
from telegym.envs.base_station.tasks import BaseStationTasks, Plan, Split
from telegym.envs.base_station.verification_log import VerificationLog

__all__ = ["Acceptance", "BaseStationReport", "Naming", "Tally", "leaks_in", "verify_base_station"]

ORACLE_GOAL = 0.995
"""Share of tasks that the oracle solves."""
NAMING_GOAL = 0.95
"""Share of cases up to `NAMING_LEVEL` whose cause the expert names."""
NAMING_LEVEL = 3
"""Hardest level at which the goal for naming holds."""
CHEAT_MARGIN = 0.1
"""How much more than somebody who does nothing a cheat may get on average."""
CHEAT_SUCCESS = 0.02
"""Share of tasks that a cheat may win by luck."""
REPLAYED = ("oracle", "expert", "random_valid")
"""Players whose plays are replayed."""
PRIVILEGED = {"oracle": oracle, "expert": expert}
"""Players that play every task."""
SAID_BY_THE_AGENT = frozenset({"submit_diagnosis"})
"""Tools that repeat the cause that the agent named."""
ALSO_PARAMETERS = frozenset({"cell_barred"})
"""Codes of causes that are names of parameters as well, which configurations show."""
_KEPT_PROBLEMS = 20


# --- results --------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Tally:
    """What a player got."""

    plays: int = 0
    """Tasks played."""
    successes: int = 0
    """Tasks solved, in the strict sense."""
    reward: float = 0.0
    """Mean of the graded reward."""
    violations: int = 0
    """Plays in which a rule was broken."""
    calls: float = 0.0
    """Mean of the calls."""

    def add(self, played: _Played) -> None:
        """Count a play."""
        self.plays += 1
        self.successes += played.success
        self.violations += bool(played.violations)
        self.reward += (played.reward - self.reward) / self.plays
        self.calls += (played.calls - self.calls) / self.plays


@dataclass(slots=True)
class Naming:
    """How often the expert named the cause."""

    named: int = 0
    """Cases in which it did."""
    cases: int = 0
    """All cases."""


@dataclass(slots=True)
class Acceptance:
    """How often a drawn task became one."""

    accepted: int = 0
    """Tasks that passed the gates."""
    drawn: int = 0
    """All that were tried."""


@dataclass(slots=True)
class BaseStationReport:
    """What was found out about a set of tasks."""

    tasks: int = 0
    """Tasks looked at."""
    sampled: int = 0
    """Tasks that baselines and cheats played."""
    kinds: dict[str, int] = field(default_factory=dict)
    """Tasks of each kind."""
    levels: dict[int, int] = field(default_factory=dict)
    """Tasks of each level."""
    players: dict[str, Tally] = field(default_factory=dict)
    """What each player got."""
    naming: dict[int, Naming] = field(default_factory=dict)
    """How often the expert named the cause, by level."""
    acceptance: dict[str, Acceptance] = field(default_factory=dict)
    """How often a drawn task became one, by main cause; of questions by `question`."""
    leaks: int = 0
    """Texts that tell an agent what it has to find out."""
    replays: int = 0
    """Plays that were replayed."""
    different: int = 0
    """Replays that differed."""
    problems: list[str] = field(default_factory=list)
    """The first things that went wrong."""

    @property
    def missed(self) -> list[str]:
        """The goals that were missed, a line for each."""
        return list(_missed(self))

    @property
    def passed(self) -> bool:
        """Whether every goal was met."""
        return not self.missed

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return {"passed": self.passed, "missed": self.missed, **asdict(self)}


class _Played(NamedTuple):
    """A finished play."""

    success: bool
    reward: float
    named: bool
    violations: tuple[str, ...]
    calls: int
    reasons: tuple[str, ...]

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> _Played:
        told = {name: tuple(data[name]) for name in ("violations", "reasons")}
        return cls(**{**data, **told})


class _Wanted(NamedTuple):
    """What is verified."""

    seed: int
    split: Split
    language: str
    every: int


class _Checked(NamedTuple):
    """What was found out about one task."""

    task_id: str
    kind: str
    level: int
    drawn: tuple[tuple[str, bool], ...]
    sampled: bool
    plays: dict[str, _Played]
    leaks: tuple[str, ...]
    different: tuple[str, ...]
    replays: int

    def to_dict(self) -> dict[str, Any]:
        return {**self._asdict(), "plays": {name: played._asdict() for name, played in self.plays.items()}}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> _Checked:
        """Return what was written down; JSON knows lists alone."""
        plays = {name: _Played.from_dict(played) for name, played in data["plays"].items()}
        drawn = tuple((cause, accepted) for cause, accepted in data["drawn"])
        told = {name: tuple(data[name]) for name in ("leaks", "different")}
        return cls(**{**data, **told, "drawn": drawn, "plays": plays})


def _missed(report: BaseStationReport) -> Iterator[str]:
    expected = report.players.get("oracle", Tally())
    if expected.successes < ORACLE_GOAL * report.tasks:
        yield f"the oracle solves {expected.successes} of {report.tasks} tasks, the goal is {ORACLE_GOAL:.1%}"
    named = sum(item.named for level, item in report.naming.items() if level <= NAMING_LEVEL)
    cases = sum(item.cases for level, item in report.naming.items() if level <= NAMING_LEVEL)
    if named < NAMING_GOAL * cases:
        yield (f"the expert names {named} of {cases} causes up to level {NAMING_LEVEL}, the goal is {NAMING_GOAL:.0%}")
    for name in PRIVILEGED:
        if count := report.players.get(name, Tally()).violations:
            yield f"the {name} breaks rules in {count} tasks"
    yield from _paid_cheats(report)
    if report.leaks:
        yield f"{report.leaks} texts tell what is to be found out"
    if report.different:
        yield f"{report.different} of {report.replays} replays differ"


def _paid_cheats(report: BaseStationReport) -> Iterator[str]:
    limit = report.players.get("no_op", Tally()).reward + CHEAT_MARGIN
    for name in CHEATS:
        got = report.players.get(name, Tally())
        if got.plays and got.reward >= limit:
            yield f"cheat {name} gets {got.reward:.3f}, {limit:.3f} is too much"
        if got.successes > max(1.0, CHEAT_SUCCESS * got.plays):
            yield f"cheat {name} solves {got.successes} of {got.plays} tasks"


# --- the whole ------------------------------------------------------------------------------------------


def verify_base_station(
    count: int = 1000,
    seed: int = 0,
    split: Split = "train",
    *,
    every: int = 5,
    jobs: int = 1,
    language: str = "en",
    log: Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> BaseStationReport:
    """Verify generated tasks.

    Args:
        count: How many.
        seed: Seed of the tasks.
        split: Their split.
        every: Baselines and cheats play every task whose position is a multiple of it.
        jobs: Processes that work at once; the report does not depend on it.
        language: Language of tickets, policy and tools.
        log: File to which what is found out about every task is written. Tasks that it tells of are not played again.
        on_progress: Called after every task with the number of tasks done and of all tasks.

    Raises:
        ConfigurationError: If the split or the language does not exist, or the log is of something else.
    """
    wanted = _Wanted(seed, split, language, every)
    environment = _environment(wanted)
    report = BaseStationReport()
    _note(report, list(_leaks_in_tools(environment)), "leaks")
    with ExitStack() as stack:
        kept = stack.enter_context(VerificationLog(log, wanted._asdict())) if log is not None else None
        known = kept.known if kept is not None else {}
        fresh = _each(partial(_check, wanted), [index for index in range(count) if index not in known], jobs, stack)
        for index in range(count):
            checked = _Checked.from_dict(known[index]) if index in known else next(fresh)
            if kept is not None and index not in known:
                kept.add(index, checked.to_dict())
            _add(report, checked)
            if on_progress is not None:
                on_progress(report.tasks, count)
    return report


def _each(check: Callable[[int], _Checked], which: list[int], jobs: int, stack: ExitStack) -> Iterator[_Checked]:
    """Return what is found out about tasks, in their order."""
    if jobs <= 1 or not which:
        return map(check, which)
    # Processes that are started afresh share nothing with this one, on every system alike.
    pool = stack.enter_context(multiprocessing.get_context("spawn").Pool(min(jobs, len(which))))
    return pool.imap(check, which, chunksize=2)


def _add(report: BaseStationReport, checked: _Checked) -> None:
    report.tasks += 1
    report.sampled += checked.sampled
    report.kinds[checked.kind] = report.kinds.get(checked.kind, 0) + 1
    report.levels[checked.level] = report.levels.get(checked.level, 0) + 1
    for cause, accepted in checked.drawn:
        entry = report.acceptance.setdefault(cause, Acceptance())
        entry.drawn += 1
        entry.accepted += accepted
    for name, played in checked.plays.items():
        report.players.setdefault(name, Tally()).add(played)
    if checked.kind != "QNA":
        naming = report.naming.setdefault(checked.level, Naming())
        naming.cases += 1
        naming.named += checked.plays["expert"].named
    report.replays += checked.replays
    _note(report, [f"{checked.task_id}: {text}" for text in checked.leaks], "leaks")
    _note(report, [f"{checked.task_id}: {text}" for text in checked.different], "different")
    _note(report, [f"{checked.task_id}: {text}" for text in _failures(checked)], None)


def _note(report: BaseStationReport, problems: list[str], counter: str | None) -> None:
    """Count problems, and keep the first ones."""
    if counter is not None:
        setattr(report, counter, getattr(report, counter) + len(problems))
    report.problems += problems[: max(_KEPT_PROBLEMS - len(report.problems), 0)]


def _failures(checked: _Checked) -> Iterator[str]:
    for name in PRIVILEGED:
        played = checked.plays[name]
        if name == "oracle" and not played.success:
            yield f"the oracle fails: {'; '.join(played.reasons)}"
        if played.violations:
            yield f"the {name} breaks {', '.join(played.violations)}"
    if checked.kind != "QNA" and checked.level <= NAMING_LEVEL and not checked.plays["expert"].named:
        yield "the expert does not name the cause"
    for name in CHEATS:
        if name in checked.plays and checked.plays[name].success:
            yield f"cheat {name} solves it"


# --- one task -------------------------------------------------------------------------------------------


class _CountedTasks(BaseStationTasks):
    """Tasks that remember what was tried for them."""

    def __init__(self, wanted: _Wanted, count: int) -> None:
        super().__init__(wanted.seed, wanted.split, count, language=wanted.language)
        self.drawn: list[tuple[str, bool]] = []

    def _task_of(self, index: int, plan: Plan) -> Task | None:
        task = super()._task_of(index, plan)
        self.drawn.append(("question" if plan.kind == "QNA" else plan.faults[0]["code"], task is not None))
        return task


def _check(wanted: _Wanted, index: int) -> _Checked:
    """Return what is found out about the task at a position."""
    environment = _environment(wanted)
    tasks = _CountedTasks(wanted, index + 1)
    task = tasks[index]
    sampled = index % wanted.every == 0
    players = {**PRIVILEGED, **BASELINES, **CHEATS} if sampled else PRIVILEGED
    plays: dict[str, _Played] = {}
    leaks = [*_leaks_in_opening(environment, task)]
    different: list[str] = []
    for name, player in players.items():
        again = sampled and name in REPLAYED
        episode = play(Episode(environment, task, record=again), player)
        plays[name] = _result(episode)
        leaks += (f"play of {name}: {text}" for text in leaks_in(episode))
        if again and replay(episode.trajectory(name), environment):
            different.append(f"the play of {name} is not repeated byte by byte")
    kind, level = str(task.labels["kind"]), int(str(task.labels["level"]))
    replays = len(REPLAYED) if sampled else 0
    return _Checked(task.id, kind, level, tuple(tasks.drawn), sampled, plays, tuple(leaks), tuple(different), replays)


@cache
def _environment(wanted: _Wanted) -> BaseStation:
    """Return the environment; its own tasks are not asked for, so it needs none."""
    return BaseStation(split=wanted.split, count=0, seed=wanted.seed, language=wanted.language)


def _result(episode: Episode) -> _Played:
    score = episode.score()
    return _Played(
        success=score.success,
        reward=score.components["reward"],
        named=score.components.get("named") == 1.0,
        violations=tuple(sorted({item.rule for item in violations_of(episode)})),
        calls=len(episode.calls),
        reasons=score.reasons,
    )


# --- leaks ----------------------------------------------------------------------------------------------


def leaks_in(episode: Episode) -> Iterator[str]:
    """Yield what results of an episode's calls say that an agent has to find out: codes of causes, hidden fields."""
    for record in episode.calls:
        if record.call.name not in SAID_BY_THE_AGENT:
            yield from (f"{record.call.name} says {word}" for word in _secrets_in(record.content))


def _leaks_in_opening(environment: BaseStation, task: Task) -> Iterator[str]:
    """Yield what ticket, policy and id of a task say that an agent has to find out."""
    for name, text in (("ticket", task.ticket), ("policy", environment.instructions(task)), ("id", task.id)):
        yield from (f"the {name} says {word}" for word in _secrets_in(text))


def _leaks_in_tools(environment: BaseStation) -> Iterator[str]:
    """Yield what descriptions of tools say, but for the list of causes that a diagnosis may name."""
    from telegym.tools.base_station import toolkit  # the tools import this package

    for tool in toolkit("full", environment.options["language"], "full"):
        schema = deepcopy(tool.schema())
        for parameter in schema["function"]["parameters"]["properties"].values():
            parameter.pop("enum", None)
        yield from (f"the description of {tool.name} says {word}" for word in _secrets_in(json.dumps(schema)))


def _secrets_in(text: str) -> list[str]:
    return list(dict.fromkeys(_secrets().findall(text)))


@cache
def _secrets() -> re.Pattern[str]:
    words = sorted({*fault_infos(), *_hidden_fields()} - ALSO_PARAMETERS)
    return re.compile(rf"\b(?:{'|'.join(words)})\b")


@cache
def _hidden_fields() -> frozenset[str]:
    """Return the names of the fields that hold what tools do not show; only those that are no ordinary words."""
    source = resources.files("telegym.envs.base_station").joinpath("objects.py").read_text(encoding="utf-8")
    found = set()
    for record in ast.walk(ast.parse(source)):
        body = record.body if isinstance(record, ast.ClassDef) else []
        for line, comment in pairwise(body):
            if isinstance(line, ast.AnnAssign) and _says_hidden(comment) and isinstance(line.target, ast.Name):
                found.add(line.target.id)
    return frozenset(name for name in found if "_" in name)


def _says_hidden(node: ast.stmt) -> bool:
    value = node.value if isinstance(node, ast.Expr) else None
    return isinstance(value, ast.Constant) and str(value.value).startswith("Hidden:")
