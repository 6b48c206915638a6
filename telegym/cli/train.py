"""`telegym train`: improve a policy."""

from __future__ import annotations

from typing import Annotated

import typer

from telegym.cli.common import console


def train(
    recipe: Annotated[
        str, typer.Option("--recipe", "-r", help="A recipe shipped with TeleGym, or a YAML file.")
    ] = "nano",
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", "-s", metavar="KEY=VALUE", help="Override a value of the recipe; may be repeated."),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of the run: results go to runs/NAME.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue an interrupted run exactly where it stopped.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the recipe as it would run, and stop.")] = False,
) -> None:
    """Improve a policy by reinforcement learning, and evaluate it before and after.

    Without options: the nano policy, on a CPU, in minutes. Ctrl-C leaves a run that --resume continues.
    """
    from telegym.core.errors import ConfigurationError

    try:
        from telegym.agents.training import run as training
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("telegym"):
            raise
        raise ConfigurationError(f"training needs {error.name}: pip install 'telegym[train]'") from error
    if dry_run:
        from telegym.agents.training.recipe import load_recipe

        console().print(load_recipe(recipe, overrides or []).to_yaml(), markup=False)
        return
    training.train(recipe, overrides or [], name=name, resume=resume)
