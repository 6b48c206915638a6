"""What the commands share: options, task selection, output, exit codes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from telegym.core.errors import ConfigurationError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn

    from telegym.core.environment import Environment
    from telegym.core.task import TaskSet

__all__ = [
    "EXIT_FOUND",
    "EXIT_INFRASTRUCTURE",
    "EXIT_INTERRUPTED",
    "EXIT_OK",
    "EXIT_USAGE",
    "EnvironmentArgument",
    "JsonFlag",
    "LimitOption",
    "OptionList",
    "SplitOption",
    "TaskList",
    "ToolFiles",
    "console",
    "make",
    "parse_pairs",
    "print_json",
    "progress_bar",
    "select_tasks",
    "takes",
    "takes_split",
    "watched_progress",
]

EXIT_OK = 0
"""All is well."""
EXIT_FOUND = 1
"""The command ran and found differences, failures or broken tools."""
EXIT_USAGE = 2
"""The command was called wrongly: an unknown option, name or file, or a wrong value."""
EXIT_INFRASTRUCTURE = 3
"""A server, a file or a process failed."""

EXIT_INTERRUPTED = 130
"""Interrupted by the person at the keyboard; a training run can be resumed."""

_WIDTH_OF_FILES = 1000

EnvironmentArgument = Annotated[str, typer.Argument(metavar="ENVIRONMENT", help="Name of the environment.")]
OptionList = Annotated[
    list[str] | None,
    typer.Option("--option", "-o", metavar="KEY=VALUE", help="An option of the environment; may be repeated."),
]
SplitOption = Annotated[str | None, typer.Option("--split", help="Only the tasks of this split.")]
LimitOption = Annotated[int | None, typer.Option("--limit", "-n", min=1, help="Only the first N tasks.")]
TaskList = Annotated[list[str] | None, typer.Option("--task", metavar="ID", help="Only this task; may be repeated.")]
ToolFiles = Annotated[
    list[Path] | None,
    typer.Option("--tools", metavar="FILE", help="A Python file with tools to add; may be repeated."),
]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text for people.")]


def console(*, stderr: bool = False) -> Console:
    """Return a console on standard output, or on standard error."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else _WIDTH_OF_FILES
    return Console(stderr=stderr, highlight=False, width=width)


def watched_progress(*columns: ProgressColumn) -> Progress:
    """Return bars on standard error, which are shown if a person watches.

    Args:
        *columns: What is shown of each; rich's own choice by default.
    """
    from rich.progress import Progress

    screen = console(stderr=True)
    return Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal)


@contextmanager
def progress_bar(title: str, total: int) -> Iterator[Callable[..., None]]:
    """Show how many things of many are done.

    Args:
        title: What they are.
        total: How many there are.

    Yields:
        What is told how many are done: `completed` in all, or `advance` since the last time.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    with watched_progress(TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()) as bar:
        yield partial(bar.update, bar.add_task(title, total=total))


def print_json(value: Any) -> None:
    """Print one JSON value on standard output."""
    typer.echo(json.dumps(value, indent=2, default=str))


def parse_pairs(pairs: Iterable[str] | None) -> dict[str, Any]:
    """Read `key=value` pairs; a value that is JSON is read as such, any other is text.

    Raises:
        ConfigurationError: If a pair has no `=`.
    """
    found: dict[str, Any] = {}
    for pair in pairs or ():
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise ConfigurationError(f"{pair!r} is not of the form KEY=VALUE")
        try:
            found[key] = json.loads(text)
        except ValueError:
            found[key] = text
    return found


def make(
    environment: str, options: list[str] | None = None, tools: list[Path] | None = None, split: str | None = None
) -> Environment:
    """Build an environment from command-line values, with the tools of the given files added."""
    from telegym.envs.registry import make_environment

    found = parse_pairs(options)
    if split is not None and takes_split(environment):
        found["split"] = split
    made = make_environment(environment, **found)
    if not tools:
        return made
    from telegym.cli.toolfile import load_tools
    from telegym.envs.extended import ExtendedEnvironment

    return ExtendedEnvironment(made, [tool for path in tools for tool in load_tools(path)])


def takes_split(environment: str) -> bool:
    """Return whether an environment is built for one split, rather than having splits to choose from."""
    return takes(environment, "split")


def takes(environment: str, option: str) -> bool:
    """Return whether an environment has an option."""
    import inspect

    from telegym.envs.registry import environment_class

    return option in inspect.signature(environment_class(environment)).parameters


def select_tasks(
    environment: Environment, split: str | None = None, ids: list[str] | None = None, limit: int | None = None
) -> TaskSet:
    """Return the tasks that the options ask for.

    Raises:
        TaskError: If there is no such split or task.
    """
    from telegym.core.task import TaskSet

    tasks = environment.tasks
    if split is not None and not takes_split(environment.id):
        tasks = tasks.split(split)
    if ids:
        tasks = TaskSet([tasks.by_id(task_id) for task_id in ids])
    return tasks if limit is None else tasks[:limit]
