"""Task: an initial situation, a request, and the assertions that decide whether it was met.

Tasks are plain data: JSON Lines on disk, one task a line. A `TaskSet` keeps them in order, by id, with named splits.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, overload

from pydantic import BaseModel, ConfigDict, ValidationError

from telegym.core.errors import ConfigurationError, TaskError, did_you_mean

__all__ = ["Assertion", "FunctionCall", "GeneratedTasks", "ReferenceAction", "Task", "TaskSet"]


class FunctionCall(BaseModel):
    """A function of the simulator, called by the task and not by the agent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: str
    """The part of the world that owns the function, for example `user` or `assistant`."""
    name: str
    """Name of the function."""
    arguments: dict[str, Any] = {}
    """Keyword arguments."""


class Assertion(FunctionCall):
    """A yes-or-no question about the final state."""

    expected: bool = True
    """The answer that meets the assertion."""
    message: str | None = None
    """What it means when the assertion is not met."""


class ReferenceAction(BaseModel):
    """One tool call of a known solution."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    """Identifies the action within the task."""
    requestor: str
    """`assistant` or `user`."""
    name: str
    """Name of the tool."""
    arguments: dict[str, Any] = {}
    """Arguments of the call."""
    compare_arguments: tuple[str, ...] | None = None
    """Argument names that must agree for a call to count as this action; None compares those the call names."""


class Task(BaseModel):
    """What the agent is asked, the situation it is asked in, and how the outcome is judged."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    """Unique within its task set."""
    ticket: str
    """The request in words, as the agent gets it when it works alone."""
    initialization: tuple[FunctionCall, ...] = ()
    """Calls that bring the world from its initial content to the situation of the task, in order."""
    actions: tuple[ReferenceAction, ...] = ()
    """A known solution."""
    assertions: tuple[Assertion, ...] = ()
    """All must be met at the end."""
    labels: dict[str, str | int | bool | list[str] | None] = {}
    """Facts to select and report by: family, persona, faults, whether handing over is the right end, …"""
    data: dict[str, Any] = {}
    """What else the environment needs, for example its initial records or the user's scenario."""


class TaskSet(Sequence[Task]):
    """Tasks in a fixed order, found by position or id, with named splits.

    Args:
        tasks: The tasks; ids must be unique.
        splits: Names of splits with the ids that belong to them.

    Raises:
        TaskError: If an id occurs twice or a split names an unknown id.
    """

    def __init__(self, tasks: Sequence[Task], splits: Mapping[str, Sequence[str]] | None = None) -> None:
        self._tasks = tuple(tasks)
        self._by_id = {task.id: task for task in self._tasks}
        self.splits: dict[str, tuple[str, ...]] = {name: tuple(ids) for name, ids in (splits or {}).items()}
        if len(self._by_id) != len(self._tasks):
            raise TaskError("task ids must be unique within a task set")
        for name, ids in self.splits.items():
            unknown = next((id for id in ids if id not in self._by_id), None)
            if unknown is not None:
                raise TaskError(f"split {name!r} names task {unknown!r}, which is not in the task set")

    @overload
    def __getitem__(self, index: int) -> Task: ...
    @overload
    def __getitem__(self, index: slice) -> TaskSet: ...
    def __getitem__(self, index: int | slice) -> Task | TaskSet:
        if isinstance(index, slice):
            return TaskSet(self._tasks[index])
        return self._tasks[index]

    def __len__(self) -> int:
        return len(self._tasks)

    def __iter__(self) -> Iterator[Task]:
        return iter(self._tasks)

    def __contains__(self, item: object) -> bool:
        return item in self._by_id if isinstance(item, str) else item in self._tasks

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids in order."""
        return tuple(self._by_id)

    def by_id(self, task_id: str) -> Task:
        """Return the task with this id.

        Raises:
            TaskError: If there is none; the message names the nearest id.
        """
        try:
            return self._by_id[task_id]
        except KeyError:
            hint = did_you_mean(task_id, self._by_id)
            raise TaskError(f"no task {task_id!r} among the {len(self)} tasks of this set.{hint}") from None

    def labels_of(self, index: int) -> Mapping[str, Any]:
        """Return the labels of the task at a position; a set that makes its tasks may know them before."""
        return self[index].labels

    def split(self, name: str) -> TaskSet:
        """Return the tasks of one split, in the order of the set.

        Raises:
            TaskError: If there is no such split; the message lists those there are.
        """
        if name not in self.splits:
            valid = ", ".join(self.splits) or "none"
            raise TaskError(f"no split {name!r}; valid splits: {valid}.{did_you_mean(name, self.splits)}")
        members = set(self.splits[name])
        return self.filter(lambda task: task.id in members)

    def filter(self, keep: Callable[[Task], bool]) -> TaskSet:
        """Return the tasks for which `keep` is true, without splits."""
        return TaskSet([task for task in self if keep(task)])

    def write_jsonl(self, path: str | Path) -> None:
        """Write one task a line (UTF-8 JSON)."""
        lines = (json.dumps(task.model_dump(mode="json"), sort_keys=True) for task in self)
        Path(path).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    @classmethod
    def read_jsonl(cls, path: str | Path) -> Self:
        """Read what `write_jsonl` wrote.

        Raises:
            TaskError: If a line is not a task; the message names the line.
        """
        tasks = []
        for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), start=1):
            try:
                tasks.append(Task.model_validate_json(line))
            except ValidationError as error:
                raise TaskError(f"{path}, line {number}: not a task: {error}") from error
        return cls(tasks)


class GeneratedTasks(TaskSet):
    """Tasks that are made when they are asked for: a set of any size costs nothing until it is used.

    Args:
        count: How many tasks.
        kept: Made tasks that are remembered.

    Raises:
        ConfigurationError: If the count is negative.
    """

    def __init__(self, count: int, kept: int = 2048) -> None:
        super().__init__(())
        if count < 0:
            raise ConfigurationError(f"count is {count}, but must not be negative")
        self._size = count
        self._kept = kept
        self._made: dict[int, Task] = {}
        self._all_ids: tuple[str, ...] | None = None

    @abstractmethod
    def make_id(self, index: int) -> str:
        """Return the id of the task at a position."""

    @abstractmethod
    def make_task(self, index: int) -> Task:
        """Make the task at a position."""

    @abstractmethod
    def claimed_index(self, task_id: str) -> int | None:
        """Return the position that an id claims to be of; None if it does not look like an id of this set."""

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, index: int) -> Task: ...
    @overload
    def __getitem__(self, index: slice) -> TaskSet: ...
    def __getitem__(self, index: int | slice) -> Task | TaskSet:
        if isinstance(index, slice):
            return TaskSet([self._task(number) for number in range(self._size)[index]])
        return self._task(range(self._size)[index])

    def __iter__(self) -> Iterator[Task]:
        return (self._task(index) for index in range(self._size))

    def __contains__(self, item: object) -> bool:
        task_id = item.id if isinstance(item, Task) else item
        index = self._index(task_id) if isinstance(task_id, str) else None
        return index is not None and (isinstance(item, str) or item == self._task(index))

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids in order."""
        if self._all_ids is None:
            self._all_ids = tuple(self.make_id(index) for index in range(self._size))
        return self._all_ids

    def by_id(self, task_id: str) -> Task:
        """Return the task with this id.

        Raises:
            TaskError: If there is none; the message says how ids look.
        """
        index = self._index(task_id)
        if index is not None:
            return self._task(index)
        example = self.make_id(0) if self._size else "none"
        hint = did_you_mean(task_id, self.ids) if self._size <= 2000 else ""
        raise TaskError(f"no task {task_id!r} among the {self._size} tasks of this set; an id is {example!r}.{hint}")

    def _index(self, task_id: str) -> int | None:
        index = self.claimed_index(task_id)
        if index is None or index >= self._size:
            return None
        made = self._made.get(index)
        return index if (made.id if made is not None else self.make_id(index)) == task_id else None

    def _task(self, index: int) -> Task:
        task = self._made.get(index)
        if task is None:
            if len(self._made) >= self._kept:
                self._made.clear()
            task = self._made[index] = self.make_task(index)
        return task
