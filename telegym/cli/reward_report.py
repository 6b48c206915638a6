"""`telegym rewards report`: what the components of a scored run say, how far they agree, and where to look."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from telegym.cli.common import JsonFlag, console, print_json

if TYPE_CHECKING:
    from telegym.evaluation.reward_figures import Disagreement, RewardReport

_SHOWN = 5


def report(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="What `telegym judge --output` wrote.")],
    html: Annotated[Path | None, typer.Option("--html", help="Write a page to this file.")] = None,
    roles: Annotated[
        list[str] | None,
        typer.Option(
            "--role",
            metavar="COMPONENT=ROLE",
            help="What a component is: outcome, oracle, observable, rule or judge; may be repeated.",
        ),
    ] = None,
    accept: Annotated[
        list[str] | None,
        typer.Option(
            "--accept", metavar="COMPONENT=VALUE", help="A component accepts runs above this value; 0.5 by default."
        ),
    ] = None,
    most: Annotated[int, typer.Option("--cases", min=0, help="Most disagreements, of runs and of calls each.")] = 20,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the resamples.")] = 0,
    as_json: JsonFlag = False,
) -> None:
    """Report on a scored run: distributions, failures, agreement, biases, guards, calibration, cost.

    Intervals hold the true value with 95% probability; tasks are resampled. What cannot be said is named at the end.
    """
    from telegym.evaluation.reward_page import write_reward_page
    from telegym.evaluation.reward_report import reward_report
    from telegym.evaluation.scored import read_scores, read_usage

    found = reward_report(
        read_scores(files),
        roles=_pairs(roles, "--role"),
        thresholds={name: _number(name, text) for name, text in _pairs(accept, "--accept").items()},
        usage=read_usage(files),
        seed=seed,
        most=most,
    )
    if html is not None:
        write_reward_page(found, html)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        _print(found)


def _pairs(given: Sequence[str] | None, option: str) -> dict[str, str]:
    from telegym.core.errors import ConfigurationError

    found = {}
    for pair in given or ():
        name, equals, text = pair.partition("=")
        if not (name and equals and text):
            raise ConfigurationError(f"{option} {pair!r} is not of the form COMPONENT=VALUE")
        found[name] = text
    return found


def _number(name: str, text: str) -> float:
    import math

    from telegym.core.errors import ConfigurationError

    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ConfigurationError(f"--accept {name}={text}: {text!r} is no number")
    return value


def _print(found: RewardReport) -> None:
    from rich.markup import escape
    from rich.table import Table

    from telegym.evaluation.reward_page import report_tables

    screen = console()
    for each in report_tables(found):
        table = Table(title=each.title, title_justify="left", caption=each.note or None, caption_justify="left")
        table.add_column(each.columns[0], overflow="fold")
        for column in each.columns[1:]:
            table.add_column(escape(column), justify="right", overflow="fold")
        for row in each.rows:
            table.add_row(*map(escape, row))
        screen.print(table)
    for case in found.disagreements[:_SHOWN]:
        screen.print(_line(case), markup=False)
    if len(found.disagreements) > _SHOWN:
        screen.print(f"and {len(found.disagreements) - _SHOWN} more disagreements, in --html and --json", markup=False)
    if found.guarded and not found.guards:
        screen.print(f"guards looked at {found.guarded} runs and found nothing", markup=False)
    for text in found.missing:
        screen.print(f"missing: {text}", markup=False)
    screen.print(f"{found.runs} scored runs of {found.tasks} tasks", markup=False)


def _line(case: Disagreement) -> str:
    from telegym.evaluation.reward_page import where_to_find

    what = case.task if case.call is None else f"{case.task}, call {case.call} ({case.made})"
    said = ("yes", "no") if case.accepts else ("no", "yes")
    heads = f"{what}: {case.component} says {said[0]}, {case.reference} {said[1]}"
    return f"{heads}; {100 * case.confidence:.0f}% sure; {where_to_find(case)}"
