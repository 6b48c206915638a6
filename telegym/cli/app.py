"""The commands together, and what becomes of errors.

Exit codes: 0, all is well; 1, differences or failures were found; 2, called wrongly; 3, a server or file failed;
130, interrupted.
"""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer

from telegym.cli import bench, compare, evaluate, judge, launch, play, replay, rewards, tasks, tools, train, verify
from telegym.cli import run as run_command
from telegym.cli.common import EXIT_INFRASTRUCTURE, EXIT_USAGE
from telegym.core.errors import InfrastructureError, TeleGymError

__all__ = ["app", "run"]

_TRAINING_LIBRARIES = ("torch", "transformers", "tokenizers", "trl", "datasets", "peft", "accelerate", "matplotlib")

app = typer.Typer(
    name="telegym",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 fine, 1 differences or failures found, 2 called wrongly, 3 a server failed, 130 interrupted.",
)
app.command("play", rich_help_panel="Play")(play.play)
app.command("run", rich_help_panel="Play")(run_command.run)
app.command("replay", rich_help_panel="Play")(replay.replay)
app.command("train", rich_help_panel="Learn")(train.train)
app.command("eval", rich_help_panel="Learn")(evaluate.evaluate)
app.command("compare", rich_help_panel="Learn")(compare.compare)
app.add_typer(launch.app, name="launch", rich_help_panel="Learn")
app.command("judge", rich_help_panel="Judge")(judge.judge)
app.add_typer(rewards.app, name="rewards", rich_help_panel="Judge")
app.add_typer(tasks.app, name="tasks", rich_help_panel="Look and check")
app.add_typer(tools.app, name="tools", rich_help_panel="Look and check")
app.add_typer(verify.app, name="verify", rich_help_panel="Look and check")
app.command("bench", rich_help_panel="Look and check")(bench.bench)


def _version(asked: bool) -> None:
    if asked:
        from telegym import __version__

        typer.echo(f"telegym {__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Worlds, tools and tasks of telecom operations for language-model agents: play, measure, train."""
    context.obj = {"debug": debug}


def run(arguments: list[str] | None = None) -> None:
    """Run the command line and leave the process with its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if "--debug" not in arguments:
        logging.getLogger("telegym").addHandler(logging.NullHandler())
    try:
        app(arguments)
    except TeleGymError as error:
        if "--debug" in arguments:
            raise
        typer.secho(f"telegym: {error}", err=True, fg="red")
        sys.exit(EXIT_INFRASTRUCTURE if isinstance(error, InfrastructureError) else EXIT_USAGE)
    except ModuleNotFoundError as error:
        if "--debug" in arguments or error.name not in _TRAINING_LIBRARIES:
            raise
        typer.secho(f"telegym: this needs {error.name}: pip install 'telegym[train]'", err=True, fg="red")
        sys.exit(EXIT_USAGE)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(EXIT_INFRASTRUCTURE)
