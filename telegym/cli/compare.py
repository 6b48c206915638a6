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
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline", metavar="NAME", help="Compare the other rows with this one, seed by seed.", show_default=False
        ),
    ] = None,
    reach: Annotated[
        float | None,
        typer.Option(
            "--reach",
            min=0,
            max=1,
            help="Count the episodes until success in training, a mean of four steps, was this high.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Say what training runs reached on held-out tasks: success, calls, rule violations, as means over seeds."""
    from telegym.evaluation.runs import compare_runs, run_table

    found = compare_runs(runs, group, baseline=baseline, reach=reach)
    if as_json:
        print_json([table.model_dump(mode="json") for table in found])
        return
    for table in found:
        console().print(run_table(table))
