"""`telegym tasks`: list, show and export tasks; write and check manifests."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from telegym.cli.common import (
    EXIT_FOUND,
    EXIT_OK,
    EnvironmentArgument,
    JsonFlag,
    LimitOption,
    OptionList,
    SplitOption,
    TaskList,
    console,
    make,
    parse_pairs,
    print_json,
    select_tasks,
    takes,
    takes_split,
)

if TYPE_CHECKING:
    from telegym.core.environment import Environment

app = typer.Typer(no_args_is_help=True, help="List, show and export tasks; write and check manifests.")
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


@app.command("manifest")
def manifest(
    environment: EnvironmentArgument = ENVIRONMENT,
    options: OptionList = None,
    split: SplitOption = None,
    count: Annotated[int | None, typer.Option("--count", min=1, help="How many tasks; all by default.")] = None,
    output: Annotated[Path | None, typer.Option("--output", help="A file to write the manifest to.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Name tasks by id and hash, and all of them by one hash: what exactly was played."""
    from telegym.core.manifest import make_manifest

    made, found = _with_count(environment, options, split, count)
    tasks = select_tasks(made, split, None, count)
    result = make_manifest(environment, tasks, found, None if takes_split(environment) else split)
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        result.write(output)
        console(stderr=True).print(f"{len(result.tasks)} tasks written to {output}", markup=False)
    elif as_json:
        print_json(result.model_dump(mode="json"))
    else:
        for entry in result.tasks:
            typer.echo(f"{entry.id} {entry.hash}")
        typer.echo(f"{len(result.tasks)} tasks together {result.hash}")


@app.command("verify-manifest")
def verify_manifest(
    environment: EnvironmentArgument = ENVIRONMENT,
    split: SplitOption = None,
    file: Annotated[Path | None, typer.Option("--file", help="A manifest; by default the one that is shipped.")] = None,
    limit: LimitOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Make the tasks of a manifest again and compare them; exit code 1 if any differs."""
    from telegym.core.manifest import Manifest, shipped_manifest
    from telegym.envs.registry import make_environment

    known = Manifest.read(file) if file is not None else shipped_manifest(environment, split or "test")
    made = make_environment(known.environment, **known.options)
    chosen = known.tasks[:limit]
    tasks = select_tasks(made, known.split, None, len(chosen))
    problem = known.problem()
    missing = [f"{entry.id}: is not there any more" for entry in chosen[len(tasks) :]]
    found = [*([problem] if problem else []), *known.differences(tasks), *missing]
    if as_json:
        print_json({"environment": known.environment, "tasks": len(chosen), "differences": found})
    else:
        for line in found:
            typer.echo(line)
        typer.echo(f"{len(chosen)} of {len(known.tasks)} tasks compared, {len(found)} differences")
    raise typer.Exit(EXIT_FOUND if found else EXIT_OK)


def _with_count(
    environment: str, options: list[str] | None, split: str | None, count: int | None
) -> tuple[Environment, dict[str, Any]]:
    """Return an environment that has as many tasks as asked for, and the options it was made with."""
    from telegym.envs.registry import make_environment

    found = parse_pairs(options)
    if split is not None and takes_split(environment):
        found["split"] = split
    if count is not None and takes(environment, "count"):
        found["count"] = count
    return make_environment(environment, **found), found
