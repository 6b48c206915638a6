"""`telegym verify`: parity with recorded behaviour, and honesty of the rewards."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from telegym.cli.common import EXIT_FOUND, JsonFlag, console, print_json

app = typer.Typer(no_args_is_help=True, help="Prove parity with recorded traces, and that no cheater is rewarded.")


@app.command("tau2")
def tau2(
    data: Annotated[Path, typer.Option("--data", help="A tau2-bench data folder.")],
    traces: Annotated[
        list[Path], typer.Option("--traces", help="Recorded traces (JSON Lines, or .gz); may be repeated.")
    ],
    as_json: JsonFlag = False,
) -> None:
    """Replay recorded traces and compare states, results and assertions after every call.

    Prints counts and the first mismatches; the exit code is 1 if there are any.
    """
    from telegym.envs.tau2_telecom.verify import verify_traces

    report = verify_traces(data, traces)
    _finish(report, as_json)


@app.command("native")
def native(
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many native tasks.")] = 10_000,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the task generator.")] = 0,
    as_json: JsonFlag = False,
) -> None:
    """Generate native tasks: the oracle must solve each in strict mode, every cheater must score 0."""
    from telegym.envs.tau2_telecom.cheaters import verify_native

    report = verify_native(count, seed)
    _finish(report, as_json)


def _finish(report: object, as_json: bool) -> None:
    raise NotImplementedError(report, as_json, EXIT_FOUND, console, print_json)
