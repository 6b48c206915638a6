"""`telegym play`: a person plays a task."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from telegym.cli.common import EnvironmentArgument, JsonFlag, OptionList, ToolFiles, console, make, print_json

if TYPE_CHECKING:
    from rich.console import Console

    from telegym.core.environment import Environment
    from telegym.core.task import Task


def play(
    environment: EnvironmentArgument = "tau2-telecom",
    task: Annotated[str | None, typer.Option("--task", metavar="ID", help="The task; otherwise one is drawn.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the episode, and of the draw.")] = 0,
    options: OptionList = None,
    tools: ToolFiles = None,
    save: Annotated[Path | None, typer.Option("--save", help="Append the trajectory to this file.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Play a task yourself: call tools, see what changes, undo, ask for hints, get a score.

    Lines come from the keyboard or, as a script, from standard input. With --json the episode is shown on standard
    error and the result is printed as JSON on standard output.
    """
    from telegym.core.episode import Episode
    from telegym.core.trajectory import TrajectoryWriter
    from telegym.ui.player import Player

    made = make(environment, options, tools)
    screen = console(stderr=as_json)
    episode = Episode(made, _choose(made, task, seed), seed=seed)
    Player(episode, lambda prompt: _read(prompt, screen), screen).play()
    if save is not None:
        with TrajectoryWriter(save) as writer:
            writer.write(episode.trajectory("human"))
    if as_json:
        print_json(
            {
                "task": episode.task.id,
                "seed": seed,
                "end": episode.end,
                "turns": episode.turn,
                "calls": len(episode.calls),
                "score": episode.score().model_dump(mode="json"),
            }
        )


def _choose(environment: Environment, task_id: str | None, seed: int) -> Task:
    from random import Random

    if task_id is not None:
        return environment.tasks.by_id(task_id)
    return environment.tasks[Random(f"play/{seed}").randrange(len(environment.tasks))]


def _read(prompt: str, screen: Console) -> str | None:
    """Return the next line; a line of a script is shown, so that what is printed reads like a session."""
    if sys.stdin.isatty():
        try:
            return input(prompt)
        except EOFError:
            return None
    line = sys.stdin.readline()
    if not line:
        return None
    screen.print(f"{prompt}{line.rstrip()}", markup=False)
    return line.rstrip("\n")
