"""`telegym compare`: what several training runs gained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from telegym.cli.common import JsonFlag, console, print_json


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN…", help="Folders of finished training runs.")],
    group: Annotated[
        Literal["recipe", "name"],
        typer.Option(
            "--group",
            help="One row for runs of one recipe with any seed, or of one name with any number.",
        ),
    ] = "recipe",
    as_json: JsonFlag = False,
) -> None:
    """Say what training runs reached on held-out tasks: success, calls, rule violations, as means over seeds."""
    from telegym.evaluation.runs import compare_runs, run_table

    found = compare_runs(runs, group)
    if as_json:
        print_json([table.model_dump(mode="json") for table in found])
        return
    for table in found:
        console().print(run_table(table))
