"""`telegym tasks`: list, show and export tasks."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from telegym.cli.common import (
    EnvironmentArgument,
    JsonFlag,
    LimitOption,
    OptionList,
    SplitOption,
    TaskList,
    console,
    make,
    print_json,
    select_tasks,
)

app = typer.Typer(no_args_is_help=True, help="List, show and export tasks.")
ENVIRONMENT = "tau2-telecom"
EnvironmentOption = Annotated[str, typer.Option("--env", "-e", help="Name of the environment.")]


@app.command("list")
def list_tasks(
    environment: EnvironmentArgument = ENVIRONMENT,
    options: OptionList = None,
    split: SplitOption = None,
    limit: LimitOption = None,
    as_json: JsonFlag = False,
) -> None:
    """List tasks with their labels."""
    made = make(environment, options, split=split)
    tasks = select_tasks(made, split, None, limit)
    if as_json:
        print_json([{"id": task.id, "labels": task.labels} for task in tasks])
        return
    from rich.markup import escape

    screen = console()
    for task in tasks:
        labels = ", ".join(f"{name}={value}" for name, value in task.labels.items())
        screen.print(f"[bold]{escape(task.id)}[/]  [dim]{escape(labels)}[/]")
    splits = Counter({name: len(ids) for name, ids in made.tasks.splits.items()})
    shown = ", ".join(f"{name} {count}" for name, count in splits.items()) or "none"
    screen.print(f"{len(tasks)} tasks; splits: {shown}", markup=False)


@app.command("show")
def show(
    task_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the task.")],
    environment: EnvironmentOption = ENVIRONMENT,
    options: OptionList = None,
    as_json: JsonFlag = False,
) -> None:
    """Show one task: what is asked, and what decides."""
    task = make(environment, options).tasks.by_id(task_id)
    if as_json:
        print_json(task.model_dump(mode="json"))
        return
    screen = console()
    screen.print(task.id, style="bold", markup=False)
    screen.print(f"\n{task.ticket}\n", markup=False)
    for name, value in task.labels.items():
        screen.print(f"{name}: {value}", markup=False)
    for title, calls in (("Set-up", task.initialization), ("A solution", task.actions), ("Must hold", task.assertions)):
        if calls:
            screen.print(f"\n{title}", style="bold")
        for call in calls:
            screen.print(f"  {call.name}({', '.join(f'{k}={v!r}' for k, v in call.arguments.items())})", markup=False)


@app.command("export")
def export(
    output: Annotated[Path, typer.Option("--output", help="The file to write, one task a line.")],
    environment: EnvironmentArgument = ENVIRONMENT,
    options: OptionList = None,
    split: SplitOption = None,
    ids: TaskList = None,
    limit: LimitOption = None,
) -> None:
    """Write tasks to a JSON Lines file."""
    tasks = select_tasks(make(environment, options, split=split), split, ids, limit)
    tasks.write_jsonl(output)
    console(stderr=True).print(f"{len(tasks)} tasks written to {output}", markup=False)
