"""`telegym launch`: files to start trainings on many GPUs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from telegym.cli.common import EnvironmentArgument, OptionList, parse_pairs

app = typer.Typer(help="Files to start trainings on many GPUs and machines.", no_args_is_help=True)


@app.command("list")
def list_launches() -> None:
    """List the ways to start a training, with their files."""
    from telegym.agents.training.launch import LAUNCHES

    width = max(map(len, LAUNCHES)) + 2
    for name, files in LAUNCHES.items():
        typer.echo(f"{name:{width}}{', '.join(files)}")


@app.command("write")
def write(
    name: Annotated[str, typer.Argument(help="One of those that `telegym launch list` names.")],
    output: Annotated[Path, typer.Option("--output", help="The folder to write into.")] = Path(),
    replace: Annotated[bool, typer.Option("--replace", help="Write files anew that are there already.")] = False,
) -> None:
    """Write the files of one way to start a training, to be edited."""
    from telegym.agents.training.launch import write_launch

    for path in write_launch(name, output, replace=replace):
        typer.echo(path)


@app.command("verl-tasks")
def verl_tasks(
    environment: EnvironmentArgument,
    output: Annotated[Path, typer.Option("--output", help="A file: .parquet or .jsonl.")] = Path("train.parquet"),
    options: OptionList = None,
    count: Annotated[int | None, typer.Option("--rows", help="How many rows; by default one for each task.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Decides which tasks, and the episodes' seeds.")] = 0,
) -> None:
    """Write tasks as rows that verl reads."""
    from telegym.agents.verl.tasks import task_rows, write_tasks

    rows = task_rows(environment, parse_pairs(options), count=count, seed=seed)
    write_tasks(output, rows)
    typer.echo(f"{len(rows)} rows: {output}")
