"""`telegym replay`: play recordings again and compare every byte."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from telegym.cli.common import EXIT_FOUND, JsonFlag, ToolFiles, console, make, print_json

if TYPE_CHECKING:
    from telegym.core.environment import Environment
    from telegym.core.trajectory import Trajectory

_SHOWN = 5


def replay(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Trajectories, one JSON object a line.")],
    lines: Annotated[
        list[int] | None, typer.Option("--line", min=1, help="Only the trajectory of this number; may be repeated.")
    ] = None,
    tools: ToolFiles = None,
    as_json: JsonFlag = False,
) -> None:
    """Play recorded trajectories again; every byte must be the same.

    Names the first differences and leaves with exit code 1 if there are any.
    """
    from telegym.core.trajectory import read_trajectories

    environments: dict[str, Environment] = {}
    rows = []
    for file in files:
        for number, trajectory in enumerate(read_trajectories(file), start=1):
            if lines and number not in lines:
                continue
            row = {"file": str(file), "line": number, **_replay(trajectory, environments, tools)}
            rows.append(row)
            if not as_json:
                _print_differences(row)
    wrong = sum(1 for row in rows if row["differences"])
    if as_json:
        print_json({"trajectories": len(rows), "different": wrong, "results": rows})
    else:
        console().print(f"{len(rows)} trajectories replayed, {wrong} different")
    if wrong:
        raise typer.Exit(EXIT_FOUND)


def _replay(trajectory: Trajectory, environments: dict[str, Environment], tools: list[Path] | None) -> dict[str, Any]:
    """Replay one trajectory in an environment like its own; equal ones are built once."""
    import json

    from telegym.core.errors import TeleGymError
    from telegym.core.replay import replay as replay_one

    options = [f"{name}={json.dumps(value)}" for name, value in trajectory.options.items()]
    key = json.dumps([trajectory.environment, options])
    if key not in environments:
        environments[key] = make(trajectory.environment, options, tools)
    try:
        changes = [change._asdict() for change in replay_one(trajectory, environments[key])]
    except TeleGymError as error:
        changes = [{"path": "end", "before": trajectory.end, "after": str(error)}]
    return {"task": trajectory.task.id, "differences": changes}


def _print_differences(row: dict[str, Any]) -> None:
    if row["differences"]:
        screen = console()
        screen.print(f"{row['file']}, line {row['line']}, task {row['task']}:", markup=False)
        for change in row["differences"][:_SHOWN]:
            text = f"  {change['path']}: was {change['before']!r:.200}, is {change['after']!r:.200}"
            screen.print(text, markup=False)
