"""`telegym judge`: score recorded trajectories again, by any reward."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from telegym.cli.common import EXIT_FOUND, JsonFlag, ToolFiles, console, make, print_json, progress_bar

if TYPE_CHECKING:
    from telegym.core.environment import Environment
    from telegym.core.episode import Episode
    from telegym.core.trajectory import Trajectory
    from telegym.rewards.base import Run
    from telegym.rewards.compose import Composite, Composition

RewardOption = Annotated[str, typer.Option("--reward", "-r", help="A rewards recipe by name, or a YAML file.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", metavar="KEY=VALUE", help="Override a value of the recipe; may be repeated."),
]
GroupBy = Annotated[
    str, typer.Option("--group-by", help="Runs are compared that have the same task and seed (seed), or task (task).")
]


def judge(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Trajectories, one JSON object a line.")],
    reward: RewardOption = "outcome",
    overrides: Overrides = None,
    group_by: GroupBy = "seed",
    output: Annotated[
        Path | None, typer.Option("--output", help="Write the scores to this file, one JSON object a line.")
    ] = None,
    tools: ToolFiles = None,
    as_json: JsonFlag = False,
) -> None:
    """Score recorded trajectories by a rewards recipe.

    A trajectory whose score failed has no value; then the exit code is 1.
    """
    from telegym.rewards.recipe import load_reward_recipe
    from telegym.rewards.roles import USAGE_SUFFIX, usage_of

    recipe = load_reward_recipe(reward, overrides or [])
    composite = recipe.build()
    rows = judged(composite, read_runs(files, group_by, tools))
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows), "utf-8")
        output.with_suffix(USAGE_SUFFIX).write_text(f"{json.dumps(usage_of(composite), indent=1)}\n", "utf-8")
    summary = summarise(rows)
    if as_json:
        print_json({"reward": reward, **summary, "results": rows})
    else:
        _print_summary(summary)
    if summary["failed"]:
        raise typer.Exit(EXIT_FOUND)


def read_runs(files: Sequence[Path], group_by: str = "seed", tools: list[Path] | None = None) -> list[Run]:
    """Return the runs of trajectory files; they are played again when a reward wants to look into the simulator.

    Args:
        files: The files.
        group_by: `seed`: groups have the same environment, task and seed; `task`: the same environment and task.
        tools: Files with tools that were added to the environment.

    Raises:
        ConfigurationError: If `group_by` is something else.
        InfrastructureError: If a file cannot be read.
    """
    from telegym.core.trajectory import read_trajectories
    from telegym.rewards.base import Run

    reopen = _Reopen(tools)
    return [
        Run(
            trajectory=each,
            reopen=reopen,
            group=group_of(each.environment, each.task.id, each.seed, group_by),
            source=(str(file), number),
        )
        for file in files
        for number, each in enumerate(read_trajectories(file), start=1)
    ]


def group_of(environment: str, task: str, seed: int, group_by: str) -> str:
    """Return the name of a run's group.

    Raises:
        ConfigurationError: If `group_by` is neither `seed` nor `task`.
    """
    from telegym.core.errors import ConfigurationError

    if group_by not in ("seed", "task"):
        raise ConfigurationError(f"runs are grouped by seed or task, not by {group_by!r}")
    return f"{environment}/{task}#{seed}" if group_by == "seed" else f"{environment}/{task}"


class _Reopen:
    """Plays recordings again, in environments that are built once."""

    def __init__(self, tools: list[Path] | None) -> None:
        self._tools = tools
        self._environments: dict[str, Environment] = {}

    def __call__(self, trajectory: Trajectory) -> Episode:
        from telegym.core.errors import ConfigurationError, InfrastructureError, TeleGymError
        from telegym.core.replay import replay_episode

        try:
            episode = replay_episode(trajectory, self._environment(trajectory))
        except ConfigurationError:
            raise
        except TeleGymError as error:
            raise InfrastructureError(f"task {trajectory.task.id!r} cannot be played again: {error}") from error
        if episode.world.state_hash() != trajectory.final_state:
            raise InfrastructureError(f"task {trajectory.task.id!r}, played again, ends in another state than recorded")
        return episode

    def _environment(self, trajectory: Trajectory) -> Environment:
        key = json.dumps([trajectory.environment, trajectory.options])
        if key not in self._environments:
            options = [f"{name}={json.dumps(value)}" for name, value in trajectory.options.items()]
            self._environments[key] = make(trajectory.environment, options, self._tools)
        return self._environments[key]


def judged(composite: Composite, runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return the scores of runs as JSON objects, with all their parts; a bar is shown if a person watches."""
    from telegym.rewards.roles import roles_of

    with progress_bar("scores", len(runs) * len(composite.components)) as update:
        parts = composite.ask(runs, lambda scored: update(advance=scored))
    roles = roles_of(composite)
    return [_row(run, score, roles) for run, score in zip(runs, composite.combine(runs, parts), strict=True)]


def _row(run: Run, score: Composition, roles: dict[str, str]) -> dict[str, Any]:
    from telegym.rewards.roles import calls_shown, length_of

    trajectory = run.trajectory
    file, line = run.source or (None, None)
    return {
        "file": file,
        "line": line,
        "environment": trajectory.environment,
        "task": trajectory.task.id,
        "seed": trajectory.seed,
        "agent": trajectory.agent,
        "group": run.group,
        "key": run.key,
        "roles": roles,
        "length": length_of(trajectory),
        "made": calls_shown(trajectory),
        **score.model_dump(mode="json"),
    }


def summarise(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return how many trajectories there are, how many failed and why, and the mean of every component."""
    columns: dict[str, list[float | None]] = {"value": [row["value"] for row in rows]}
    for row in rows:
        for name, part in row["parts"].items():
            columns.setdefault(name, []).append(part["value"])
    failures = [f"{row['task']}: {row['failure']['message']}" for row in rows if row["failure"] is not None]
    return {
        "trajectories": len(rows),
        "failed": len(failures),
        "components": {name: _figures(values) for name, values in columns.items()},
        "failures": failures,
    }


def _figures(values: Sequence[float | None]) -> dict[str, float | int | None]:
    given = [value for value in values if value is not None]
    mean = sum(given) / len(given) if given else None
    return {
        "mean": mean,
        "least": min(given, default=None),
        "most": max(given, default=None),
        "failed": len(values) - len(given),
    }


def _print_summary(summary: dict[str, Any]) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table()
    table.add_column("component", overflow="fold")
    for column in ("mean", "least", "most", "failed"):
        table.add_column(column, justify="right")
    for name, figures in summary["components"].items():
        cells = ("-" if each is None else f"{each:.4g}" for each in figures.values())
        table.add_row(escape("total" if name == "value" else name), *cells)
    screen = console()
    screen.print(table)
    for line in summary["failures"][:5]:
        screen.print(line, markup=False)
    failed = f", {summary['failed']} failed and have no value" if summary["failed"] else ""
    screen.print(f"{summary['trajectories']} trajectories scored{failed}", markup=False)
