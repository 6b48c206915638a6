"""`telegym train`: improve a policy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from telegym.cli.common import EXIT_INTERRUPTED, JsonFlag, console, print_json

if TYPE_CHECKING:
    from telegym.agents.training.recipe import Recipe
    from telegym.agents.training.run import RunResult


def train(
    recipe: Annotated[
        str, typer.Option("--recipe", "-r", help="A recipe: nano, nano-sft, qwen3-8b, or a YAML file.")
    ] = "nano",
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", "-s", metavar="KEY=VALUE", help="Override a value of the recipe; may be repeated."),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of the run: results go to RUNS/NAME.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run where it stopped.")] = False,
    runs: Annotated[Path, typer.Option("--runs", help="The folder of runs.")] = Path("runs"),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the whole recipe and the plan: tokens, memory, warnings; and stop.")
    ] = False,
    memory: Annotated[
        float | None, typer.Option("--memory", metavar="GIB", min=0.1, help="For --dry-run: memory of a GPU.")
    ] = None,
    watch: Annotated[
        str | None, typer.Option("--watch", metavar="RUN", help="Train nothing: show a run that goes on elsewhere.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Improve a policy by reinforcement learning, and evaluate it before and after.

    Without options: the nano policy, on a CPU, in minutes. Ctrl-C leaves a run that --resume continues.
    """
    from telegym.agents.training.recipe import load_recipe
    from telegym.agents.training.run import train as train_policy

    if watch is not None:
        _watch(watch, runs)
        return
    if dry_run:
        _show_plan(load_recipe(recipe, overrides or []), recipe, overrides or [], memory, as_json)
        return
    result = train_policy(recipe, overrides or [], name, resume, runs, console(stderr=as_json))
    if as_json:
        print_json(_values(result))
    if result.interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)


def _values(result: RunResult) -> dict[str, Any]:
    """Return what came of a training, as JSON values."""
    evaluations = {"before": result.before, "after": result.after}
    summaries = {when: {tasks: each.summary() for tasks, each in found.items()} for when, found in evaluations.items()}
    return {"folder": str(result.folder), "interrupted": result.interrupted, "report": result.report, **summaries}


def _show_plan(recipe: Recipe, label: str, overrides: list[str], memory: float | None, as_json: bool) -> None:
    """Print a recipe, and its plan as comments, so that the whole is a recipe."""
    from telegym.agents.training.planning import make_plan, plan_lines

    stages = {stage.name: stage.recipe for stage in recipe.plan()}
    plans = {name: make_plan(each, label, overrides, memory) for name, each in (stages or {"": recipe}).items()}
    if as_json:
        told = {name: plan.model_dump(mode="json") for name, plan in plans.items()}
        print_json({"recipe": recipe.model_dump(mode="json"), **({"plans": told} if stages else {"plan": told[""]})})
        return
    heads = {name: ["", f"stage {name}"] if name else [""] for name in plans}
    lines = [line for name, plan in plans.items() for line in (*heads[name], *plan_lines(plan))]
    typer.echo(recipe.to_yaml() + "".join(f"# {line}".rstrip() + "\n" for line in lines), nl=False)


def _watch(run: str, runs: Path) -> None:
    """Show a run, named or as a folder, as long as it goes on."""
    from telegym.agents.training.dashboard import watch_run

    watch_run(Path(run) if (Path(run) / "config.yaml").is_file() else runs / run, console())
