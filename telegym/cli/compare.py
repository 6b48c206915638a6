"""`telegym compare`: what several training runs gained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from telegym.cli.common import JsonFlag, console, print_json


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN…", help="Folders of finished training runs.")],
    as_json: JsonFlag = False,
) -> None:
    """Say what training runs gained on held-out tasks: each of them, and their mean with an interval."""
    from telegym.evaluation.runs import gains, gains_table

    found = gains(runs)
    if as_json:
        print_json([gain.model_dump(mode="json") for gain in found])
    else:
        console().print(gains_table(found))
