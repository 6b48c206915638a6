"""`telegym bench`: how fast the simulator is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from telegym.cli.common import JsonFlag, OptionList, console, print_json


def bench(
    options: OptionList = None,
    seconds: Annotated[float, typer.Option("--seconds", min=0.01, help="Length of one measurement.")] = 1.0,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="Measurements; the median is reported.")] = 5,
    output: Annotated[Path | None, typer.Option("--output", help="Write the figures to this JSON file.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Measure tool calls, steps, resets and forks per second, on one core."""
    import json

    from telegym.bench import measure
    from telegym.cli.common import parse_pairs

    report = measure(seconds=seconds, repeats=repeats, options=parse_pairs(options))
    if output is not None:
        output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if as_json:
        print_json(report)
        return
    from rich.table import Table

    table = Table()
    for column, justify in (("what", "left"), ("per second", "right"), ("lowest", "right"), ("highest", "right")):
        table.add_column(column, justify="left" if justify == "left" else "right")
    for name, row in report["rates"].items():
        table.add_row(name, *(f"{row[key]:,.0f}" for key in ("median", "lowest", "highest")))
    console().print(table)
