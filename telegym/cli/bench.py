"""`telegym bench`: how fast the simulators are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from telegym.cli.common import JsonFlag, OptionList, console, print_json, watched_progress


def bench(
    environment: Annotated[str, typer.Argument(metavar="[ENVIRONMENT]", help="What is measured.")] = "tau2-telecom",
    options: OptionList = None,
    seconds: Annotated[float, typer.Option("--seconds", min=0.01, help="Length of one measurement.")] = 1.0,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="Measurements; the median is reported.")] = 5,
    only: Annotated[str, typer.Option("--only", metavar="TEXT", help="Only what has this in its name.")] = "",
    output: Annotated[Path | None, typer.Option("--output", help="Write the figures to this JSON file.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Measure on one core: tool calls, episodes, forks; for base-station also regions, indicators and tasks.

    `telegym bench rewards` measures the auditors that judge calls; `telegym bench training`, waiting for slow tools.
    """
    import json

    from telegym.bench import measure
    from telegym.cli.common import parse_pairs

    with watched_progress() as bar:
        job = bar.add_task("…")

        def progress(name: str, done: int, total: int) -> None:
            bar.update(job, description=name, completed=done, total=total)

        report = measure(
            environment,
            seconds=seconds,
            repeats=repeats,
            options=parse_pairs(options),
            only=only,
            progress=progress,
        )
    if output is not None:
        output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if as_json:
        print_json(report)
    else:
        _print(report)


def _print(report: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table()
    table.add_column("what")
    for column in ("per second", "lowest", "highest", "each"):
        table.add_column(column, justify="right")
    noted = any("note" in row for row in report["rates"].values())
    if noted:
        table.add_column("")
    for name, row in report["rates"].items():
        rates = [_rounded(row[key]) for key in ("median", "lowest", "highest")]
        table.add_row(name, *rates, _duration(row["milliseconds"]), *([row.get("note", "")] if noted else []))
    console().print(table)


def _rounded(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}"


def _duration(milliseconds: float) -> str:
    """Return a time with the unit that suits it."""
    if milliseconds >= 1:
        return f"{milliseconds:,.1f} ms"
    return f"{1e3 * milliseconds:.1f} µs" if milliseconds >= 1e-3 else f"{1e6 * milliseconds:.0f} ns"
