"""Where tasks come from while a policy learns: in an order drawn once, or by how well it does in each bucket of tasks.

Tasks are drawn step by step, so a source can answer to what was measured, and give further tasks where a step needs
more. What a source remembers goes into checkpoints; a run that is continued draws what it would have drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from random import Random
from typing import Annotated, Any, NamedTuple, Protocol

from pydantic import Field, PositiveFloat, PositiveInt

from telegym.core.environment import Environment
from telegym.core.errors import ConfigurationError
from telegym.core.settings import Settings

__all__ = ["Curriculum", "CurriculumSettings", "Slot", "TaskSource", "TaskStream", "bucket_names", "make_source"]


class Slot(NamedTuple):
    """What a group plays."""

    task: int
    """Position of the task."""
    seed: int
    """Seed of its episodes."""


class TaskSource(Protocol):
    """Gives tasks, and hears how they went."""

    def draw(self, count: int) -> list[Slot]:
        """Return the next tasks."""
        ...

    def record(self, task: int, solved: int, of: int) -> None:
        """Take note of a group: how many of its episodes solved the task."""
        ...

    def figures(self) -> dict[str, float]:
        """Return what is worth logging."""
        ...

    def state(self) -> Any:
        """Return what it remembers, as JSON values."""
        ...

    def restore(self, state: Any) -> None:
        """Go on from a state."""
        ...


class CurriculumSettings(Settings):
    """Tasks are drawn from the buckets in which the policy succeeds about as often as it should."""

    target: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of successes that is aimed at: in the middle groups differ most."""
    width: PositiveFloat = 0.25
    """How far from the target a bucket is still drawn often: at this distance its weight is exp(-1/2) of the most."""
    floor: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Share of draws that all buckets have evenly, however the policy does in them; with 1 success says nothing."""
    decay: Annotated[float, Field(ge=0, lt=1)] = 0.8
    """Weight of the past in a bucket's moving average of success, group by group."""
    survey: PositiveInt = 64
    """Tasks that are looked at before the first draw, to see which buckets there are."""
    look: PositiveInt = 4
    """Tasks that are looked at for each one drawn."""
    kept: PositiveInt = 8
    """Tasks of a bucket that wait to be drawn; of more that come up the rest is passed over."""


def bucket_names(environment: Environment) -> Callable[[int], str]:
    """Return what names the bucket of the task at a position."""
    return lambda position: environment.bucket(environment.tasks.labels_of(position))


class TaskStream:
    """All tasks in an order that the seed decides; when all were drawn, in another order.

    Args:
        count: How many tasks there are.
        seed: Decides order and episodes.

    Raises:
        ConfigurationError: If there is no task.
    """

    def __init__(self, count: int, seed: int) -> None:
        if count < 1:
            raise ConfigurationError("there is no task to learn from; choose other options in `environment.train`")
        self._count = count
        self._seed = seed
        self._drawn = 0
        self._order: tuple[int, list[int]] | None = None

    def __len__(self) -> int:
        return self._count

    def next(self) -> int:
        """Return the position of the next task."""
        turn, place = divmod(self._drawn, self._count)
        self._drawn += 1
        if self._order is None or self._order[0] != turn:
            self._order = turn, Random(f"{self._seed}/tasks/{turn}").sample(range(self._count), self._count)
        return self._order[1][place]

    def draw(self, count: int) -> list[Slot]:
        """Return the next tasks."""
        first = self._drawn
        return [Slot(self.next(), episode_seed(self._seed, first + place)) for place in range(count)]

    def record(self, task: int, solved: int, of: int) -> None:
        """Do nothing: the order is fixed."""

    def figures(self) -> dict[str, float]:
        """Return nothing."""
        return {}

    def state(self) -> dict[str, Any]:
        """Return how many were drawn."""
        return {"drawn": self._drawn}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self._drawn = state["drawn"]


def episode_seed(seed: int, number: int) -> int:
    """Return the seed of the episodes of a group.

    Args:
        seed: The run's.
        number: Number of the group among all that were drawn, from 0.
    """
    return Random(f"{seed}/episodes/{number}").getrandbits(31)


class Curriculum:
    """Draws tasks from buckets by measured success.

    A bucket's share is `floor / n + (1 - floor) * w / Σw` with `w = exp(-((success - target) / width)² / 2)` and n the
    number of known buckets; success is a moving average over the bucket's groups, and a bucket that was never drawn has
    w = 1. Nothing is drawn by chance: every bucket with tasks waiting saves up its share, and the one that has saved
    most is next. So shares hold in every stretch of a run.

    Args:
        count: How many tasks there are.
        bucket: Names the bucket of the task at a position.
        seed: Decides the order of tasks, and which of several equally due buckets begins.
        settings: How buckets are weighed.
    """

    def __init__(
        self, count: int, bucket: Callable[[int], str], seed: int, settings: CurriculumSettings | None = None
    ) -> None:
        self.settings = settings or CurriculumSettings()
        self._bucket = bucket
        self._seed = seed
        self._stream = TaskStream(count, seed)
        self._looked = 0
        self._drawn = 0
        self._waiting: dict[str, list[int]] = {}
        self._saved: dict[str, float] = {}
        self._success: dict[str, float] = {}
        self._names: dict[int, str] = {}

    @property
    def success(self) -> dict[str, float]:
        """Moving average of success by bucket, of those that were drawn."""
        return dict(self._success)

    def shares(self) -> dict[str, float]:
        """Return the share of draws of each known bucket."""
        weights = {name: self._weight(name) for name in self._waiting}
        total, even = math.fsum(weights.values()), 1 / max(1, len(weights))
        floor = self.settings.floor
        return {
            name: floor * even + (1 - floor) * (weight / total if total else even) for name, weight in weights.items()
        }

    def draw(self, count: int) -> list[Slot]:
        """Return the next tasks."""
        if not self._looked:
            self._look(min(self.settings.survey, len(self._stream)))
        return [self._next() for _ in range(count)]

    def record(self, task: int, solved: int, of: int) -> None:
        """Take note of a group.

        Args:
            task: Position of its task.
            solved: Episodes that solved it.
            of: Episodes of which that is known; of none, nothing is learnt.
        """
        if not of:
            return
        name = self._name(task)
        rate, decay = solved / of, self.settings.decay
        before = self._success.get(name)
        self._success[name] = rate if before is None else decay * before + (1 - decay) * rate

    def figures(self) -> dict[str, float]:
        """Return how many buckets there are, and the moving average of success in each that was drawn."""
        success = {f"curriculum/success/{name}": value for name, value in sorted(self._success.items())}
        return {"curriculum/buckets": float(len(self._waiting)), **success}

    def state(self) -> dict[str, Any]:
        """Return all that decides what comes next, as JSON values."""
        return {
            "stream": self._stream.state(),
            "looked": self._looked,
            "drawn": self._drawn,
            "waiting": {name: list(tasks) for name, tasks in self._waiting.items()},
            "saved": dict(self._saved),
            "success": dict(self._success),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self._stream.restore(state["stream"])
        self._looked, self._drawn = state["looked"], state["drawn"]
        self._waiting = {name: list(tasks) for name, tasks in state["waiting"].items()}
        self._saved, self._success = dict(state["saved"]), dict(state["success"])

    def _weight(self, name: str) -> float:
        success = self._success.get(name)
        if success is None:
            return 1.0
        return math.exp(-(((success - self.settings.target) / self.settings.width) ** 2) / 2)

    def _next(self) -> Slot:
        self._look(self.settings.look)
        shares = self.shares()
        due = {name: shares[name] for name, tasks in self._waiting.items() if tasks}
        total = math.fsum(due.values())
        for name, share in due.items():
            self._saved[name] += share / total if total else 1 / len(due)
        chosen = max(due, key=lambda name: (self._saved[name], name))
        self._saved[chosen] -= 1.0
        self._drawn += 1
        return Slot(self._waiting[chosen].pop(0), episode_seed(self._seed, self._drawn - 1))

    def _look(self, count: int) -> None:
        """Look at the next tasks, and let those wait of whose buckets few do; one waits in any case."""
        for _ in range(count):
            self._looked += 1
            task = self._stream.next()
            name = self._name(task)
            if name not in self._waiting:
                self._waiting[name] = []
                self._saved[name] = -Random(f"{self._seed}/bucket/{name}").random()
            if len(self._waiting[name]) < self.settings.kept and task not in self._waiting[name]:
                self._waiting[name].append(task)

    def _name(self, task: int) -> str:
        if task not in self._names:
            self._names[task] = self._bucket(task)
        return self._names[task]


def make_source(environment: Environment, seed: int, curriculum: CurriculumSettings | None) -> TaskStream | Curriculum:
    """Return the source of a run's tasks.

    Args:
        environment: Whose tasks.
        seed: The run's.
        curriculum: How buckets are weighed; None for the order that the seed decides.
    """
    count = len(environment.tasks)
    if curriculum is None:
        return TaskStream(count, seed)
    return Curriculum(count, bucket_names(environment), seed, curriculum)
