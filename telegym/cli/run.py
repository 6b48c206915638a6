"""`telegym run`: an agent plays tasks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from telegym.cli.common import (
    EnvironmentArgument,
    JsonFlag,
    LimitOption,
    OptionList,
    SplitOption,
    TaskList,
    ToolFiles,
    console,
    make,
    parse_pairs,
    print_json,
    progress_bar,
    select_tasks,
)

if TYPE_CHECKING:
    from telegym.agents.rollout import OnProgress
    from telegym.core.episode import Episode

AgentOption = Annotated[
    str,
    typer.Option(
        "--agent",
        "-a",
        help="Who plays: oracle, random, replay:FILE, human, nano, nano-base-station, nano-tau2, local:PATH, "
        "openai:MODEL.",
    ),
]
AgentOptionList = Annotated[
    list[str] | None,
    typer.Option("--agent-option", metavar="KEY=VALUE", help="An option of the agent; may be repeated."),
]
BatchSize = Annotated[int, typer.Option("--batch-size", min=1, help="Episodes played at once.")]


def run(
    environment: EnvironmentArgument = "tau2-telecom",
    agent: AgentOption = "oracle",
    agent_options: AgentOptionList = None,
    options: OptionList = None,
    split: SplitOption = None,
    ids: TaskList = None,
    limit: LimitOption = None,
    tools: ToolFiles = None,
    seeds: Annotated[list[int] | None, typer.Option("--seed", help="Seed of an episode; may be repeated.")] = None,
    batch_size: BatchSize = 32,
    output: Annotated[Path | None, typer.Option("--output", help="Append the trajectories to this file.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Let an agent play tasks, and print how each went.

    With --output the trajectories are kept, one JSON object a line, for `telegym replay`.
    """
    from telegym.agents.base import make_agent
    from telegym.agents.rollout import rollout

    made = make(environment, options, tools, split)
    tasks = select_tasks(made, split, ids, limit)
    player = make_agent(agent, **parse_pairs(agent_options))
    with episode_bar(len(tasks) * len(seeds or [0])) as on_progress:
        episodes = rollout(
            made,
            tasks,
            player,
            seeds=seeds or [0],
            batch_size=batch_size,
            write_to=output,
            on_progress=on_progress,
        )
    rows = [_row(episode) for episode in episodes]
    if as_json:
        print_json({"agent": agent, "environment": environment, "episodes": rows})
    else:
        _print_table(rows)


def _row(episode: Episode) -> dict[str, Any]:
    score = episode.score()
    return {
        "task": episode.task.id,
        "seed": episode.seed,
        "end": str(episode.end),
        "turns": episode.turn,
        "calls": len(episode.calls),
        "value": score.value,
        "success": score.success,
        "reasons": list(score.reasons),
        "failure": score.failure.model_dump() if score.failure else None,
    }


def _print_table(rows: list[dict[str, Any]]) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table()
    for column in ("task", "seed", "end", "turns", "calls", "value", "why not"):
        numeric = column in ("seed", "turns", "calls", "value")
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        value = "failed" if row["value"] is None else f"{row['value']:g}"
        cells = (row["task"], str(row["seed"]), row["end"], str(row["turns"]), str(row["calls"]), value)
        table.add_row(*(escape(cell) for cell in cells), escape("; ".join(row["reasons"][:2])))
    screen = console()
    screen.print(table)
    counted = [row for row in rows if row["value"] is not None]
    solved = sum(row["success"] for row in counted)
    failed = f", {len(rows) - len(counted)} failed technically and are not counted" if len(counted) < len(rows) else ""
    screen.print(f"{solved} of {len(counted)} solved{failed}")


@contextmanager
def episode_bar(total: int) -> Iterator[OnProgress]:
    """Show how many episodes have been played.

    Args:
        total: How many there are.
    """
    with progress_bar("episodes", total) as update:
        yield lambda progress: update(completed=progress.done)
