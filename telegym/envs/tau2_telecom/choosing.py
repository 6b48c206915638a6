"""Choosing among published tasks: a split, some ids, a fold of it, less what is to be left out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, NamedTuple, Self

from pydantic import Field, NonNegativeInt, model_validator

from telegym.core.errors import ConfigurationError, TaskError, did_you_mean
from telegym.core.settings import Settings, parse_settings
from telegym.core.task import Task, TaskSet

__all__ = ["Chosen", "Fold", "choose"]


class Fold(Settings):
    """Every how-manieth task: one part of several of the same size, or all but one."""

    of: Annotated[int, Field(ge=2)]
    """Into how many parts tasks are dealt out, one after the other."""
    index: NonNegativeInt | None = None
    """The part that is taken, from 0."""
    without: NonNegativeInt | None = None
    """Instead of `index`: the part that is left out."""

    @model_validator(mode="after")
    def _one_part(self) -> Self:
        given = [number for number in (self.index, self.without) if number is not None]
        if len(given) != 1:
            raise ValueError("`index`, the part that is taken, or `without`, the part that is left out: one of them")
        if given[0] >= self.of:
            raise ValueError(f"there is no part {given[0]} of {self.of}; valid: 0 to {self.of - 1}")
        return self

    def keeps(self, position: int) -> bool:
        """Return whether the task at a position is kept."""
        part = position % self.of
        return part == self.index if self.index is not None else part != self.without


class Chosen(NamedTuple):
    """What was chosen."""

    tasks: TaskSet
    """The tasks, in the order of the file."""
    all: TaskSet
    """The whole split they are from."""
    excluded: tuple[Task, ...]
    """What is to be left out, from whatever split."""

    def remaining(self, faults: Collection[str] | None = None, without: Collection[str] = ()) -> TaskSet:
        """Return the tasks without those that are to be left out.

        Args:
            faults: Only tasks with at least one of these faults; all by default.
            without: Only tasks with none of these faults.

        Raises:
            ConfigurationError: If none is left.
        """
        if not self.excluded and faults is None and not without:
            return self.tasks
        names = {task.id for task in self.excluded}
        kept = self.tasks.filter(lambda task: task.id not in names and _fits(task, faults, without))
        if not kept and self.tasks:
            raise ConfigurationError(
                f"exclude and faults leave nothing of the {len(self.tasks)} tasks that were chosen"
            )
        return kept


def choose(
    tasks: TaskSet,
    split: str | None = None,
    ids: Sequence[str] | None = None,
    fold: Mapping[str, Any] | None = None,
    exclude: Sequence[str] = (),
) -> Chosen:
    """Choose among published tasks.

    Args:
        tasks: All of them, with their splits.
        split: Name of a split, or `all`; `base` by default, or all where there is no such split.
        ids: Ids of the tasks; all of the split by default.
        fold: A part of these, as `Fold` says.
        exclude: Ids of tasks and names of splits that are to be left out.

    Raises:
        ConfigurationError: If there is no such split, task or part, or the part is empty.
    """
    every = _split(tasks, split or ("base" if "base" in tasks.splits else "all"))
    wanted = every if ids is None else _by_id(every, ids)
    if fold is not None:
        if not isinstance(fold, Mapping):
            raise ConfigurationError(f'fold is {fold!r}; valid: a mapping, in JSON such as {{"of": 2, "index": 0}}')
        rule = parse_settings(Fold, fold, "option fold")
        wanted = TaskSet([task for position, task in enumerate(wanted) if rule.keeps(position)])
    if not wanted and every:
        raise ConfigurationError(f"fold={dict(fold or {})!r} leaves none of {len(every)} tasks")
    return Chosen(wanted, every, _excluded(tasks, exclude))


def _fits(task: Task, faults: Collection[str] | None, without: Collection[str]) -> bool:
    labelled = task.labels.get("faults")
    own = labelled if isinstance(labelled, list) else []
    return (faults is None or not set(faults).isdisjoint(own)) and set(without).isdisjoint(own)


def _split(tasks: TaskSet, name: str) -> TaskSet:
    if name == "all":
        return tasks
    try:
        return tasks.split(name)
    except TaskError as error:
        raise ConfigurationError(f"{error} Or 'all'.") from error


def _by_id(tasks: TaskSet, ids: Sequence[str]) -> TaskSet:
    if isinstance(ids, str) or not ids:
        raise ConfigurationError(f'ids is {ids!r}; valid: a list of ids of tasks, in JSON ["..."]')
    for each in ids:
        if each not in tasks.ids:
            hint = did_you_mean(str(each), tasks.ids)
            raise ConfigurationError(f"ids: no task {each!r} among the {len(tasks)} tasks of this split.{hint}")
    wanted = set(ids)
    return tasks.filter(lambda task: task.id in wanted)


def _excluded(tasks: TaskSet, names: Sequence[str]) -> tuple[Task, ...]:
    if isinstance(names, str):
        raise ConfigurationError(f'exclude is {names!r}; valid: a list of ids and splits, in JSON ["train"]')
    found: dict[str, Task] = {}
    for name in names:
        if name not in tasks.splits and name not in tasks.ids:
            valid = ", ".join(tasks.splits) or "none"
            hint = did_you_mean(str(name), (*tasks.splits, *tasks.ids))
            raise ConfigurationError(f"exclude: {name!r} is neither a task nor a split; splits: {valid}.{hint}")
        members = tasks.split(name) if name in tasks.splits else [tasks.by_id(name)]
        found.update((task.id, task) for task in members)
    return tuple(found.values())
