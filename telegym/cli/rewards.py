"""`telegym rewards`: list and show rewards and recipes, and find out whether their components mislead."""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from telegym.cli.common import EXIT_FOUND, JsonFlag, ToolFiles, console, print_json
from telegym.cli.judge import GroupBy, Overrides, group_of, judged, read_runs
from telegym.cli.reward_report import report

if TYPE_CHECKING:
    from telegym.rewards.diagnosis import ComponentDiagnosis, Marks
    from telegym.rewards.recipe import RewardRecipe

app = typer.Typer(no_args_is_help=True, help="List and show rewards and their recipes; diagnose components; report.")
app.command("report")(report)


@app.command("list")
def list_rewards(as_json: JsonFlag = False) -> None:
    """List the kinds of rewards, and the recipes that are shipped."""
    from telegym.rewards.recipe import reward_recipe_names
    from telegym.rewards.registry import reward_kinds

    kinds = {kind: _first_line(kind) for kind in reward_kinds()}
    recipes = {name: _comment(name) for name in reward_recipe_names()}
    if as_json:
        print_json({"kinds": kinds, "recipes": recipes})
        return
    screen = console()
    for title, found in (("Kinds", kinds), ("Recipes", recipes)):
        screen.print(title, style="bold")
        for name, text in found.items():
            screen.print(f"  {name:<18} {text}", markup=False)


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A recipe, a YAML file, or a kind of reward.")],
    overrides: Overrides = None,
    kind: Annotated[bool, typer.Option("--kind", help="Show the kind, where a recipe has the same name.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Show a recipe with all its settings, or what a kind of reward can be told."""
    from telegym.core.errors import ConfigurationError, did_you_mean
    from telegym.rewards.recipe import load_reward_recipe, reward_recipe_names
    from telegym.rewards.registry import reward_kinds

    if not kind and (name in reward_recipe_names() or Path(name).is_file()):
        recipe = load_reward_recipe(name, overrides or [])
        print_json(recipe.model_dump(mode="json")) if as_json else typer.echo(recipe.to_yaml(), nl=False)
    elif name in reward_kinds():
        _show_kind(name, as_json)
    else:
        valid = tuple(dict.fromkeys((*reward_recipe_names(), *reward_kinds())))
        raise ConfigurationError(
            f"no recipe, file or kind {name!r}; there are {', '.join(valid)}.{did_you_mean(name, valid)}"
        )


def _show_kind(kind: str, as_json: bool) -> None:
    from telegym.rewards.registry import reward_class, reward_settings

    text = inspect.getdoc(reward_class(kind)) or ""
    settings = {name: _setting(parameter) for name, parameter in reward_settings(kind).items()}
    if as_json:
        print_json({"kind": kind, "settings": settings, "description": text})
        return
    screen = console()
    screen.print(kind, style="bold", markup=False)
    screen.print(f"\n{text}\n", markup=False)
    for name, setting in settings.items():
        default = f" = {setting['default']}" if "default" in setting else " (must be given)"
        screen.print(f"{name}: {setting['type']}{default}", markup=False)


def _setting(parameter: inspect.Parameter) -> dict[str, str]:
    found = {"type": inspect.formatannotation(parameter.annotation).strip("'\"")}
    if parameter.default is not inspect.Parameter.empty:
        found["default"] = repr(parameter.default)
    return found


def _first_line(kind: str) -> str:
    """Return what a kind is for; one that cannot be imported here is no reason not to list the others."""
    from telegym.core.errors import ConfigurationError
    from telegym.rewards.registry import reward_class

    try:
        return (inspect.getdoc(reward_class(kind)) or "").partition("\n")[0]
    except ConfigurationError as error:
        return str(error)


def _comment(recipe: str) -> str:
    """Return what the comment at the head of a recipe says."""
    import importlib.resources

    text = importlib.resources.files("telegym.rewards").joinpath("recipes", f"{recipe}.yaml").read_text("utf-8")
    lines = text.splitlines()
    end = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return " ".join(line.removeprefix("#").strip() for line in lines[:end])


# --- diagnosis ----------------------------------------------------------------------------------------


@app.command("diagnose")
def diagnose(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Trajectories, or what `telegym judge --output` wrote.")
    ],
    reward: Annotated[str, typer.Option("--reward", "-r", help="A rewards recipe by name, or a YAML file.")],
    overrides: Overrides = None,
    group_by: GroupBy = "seed",
    force: Annotated[bool, typer.Option("--force", help="Accept components that pull against the outcome.")] = False,
    tools: ToolFiles = None,
    as_json: JsonFlag = False,
) -> None:
    """Say whether components pull the same way as the outcome, within groups.

    A component that counts and has a negative correlation with the outcome within groups is refused with exit code 1,
    unless --force is given: training would learn the wrong thing from it.
    """
    from telegym.core.errors import ConfigurationError
    from telegym.rewards.diagnosis import diagnose as diagnose_marks
    from telegym.rewards.recipe import load_reward_recipe

    recipe = load_reward_recipe(reward, overrides or [])
    if recipe.combine.outcome is None:
        raise ConfigurationError(f"rewards recipe {reward!r} has no outcome to compare with; set combine.outcome")
    marks = _marks(recipe, files, group_by, tools)
    if not marks:
        raise ConfigurationError(f"no trajectories in {', '.join(map(str, files))}")
    found = diagnose_marks(marks, recipe.combine.weights(), recipe.combine.outcome)
    refused = [each.name for each in found if each.misleading and not force]
    if as_json:
        groups = len({each.group for each in marks})
        components = [each.model_dump(mode="json") for each in found]
        print_json({"trajectories": len(marks), "groups": groups, "components": components, "refused": refused})
    else:
        _print_diagnosis(found, marks)
    for name in refused:
        text = f"component {name!r} pulls against the outcome within groups; --force accepts it"
        console(stderr=True).print(f"telegym: {text}", style="red", markup=False)
    if refused:
        raise typer.Exit(EXIT_FOUND)


def _marks(recipe: RewardRecipe, files: Sequence[Path], group_by: str, tools: list[Path] | None) -> list[Marks]:
    """Return what the components say of the runs of files, or have said before."""
    from telegym.rewards.diagnosis import Marks

    scored = [file for file in files if _is_scored(file)]
    rows = [json.loads(line) for file in scored for line in file.read_text("utf-8").splitlines() if line.strip()]
    composite = recipe.build()
    fresh = [file for file in files if file not in scored]
    if fresh:
        rows += judged(composite, read_runs(fresh, group_by, tools))
    return [
        Marks(
            group_of(row["environment"], row["task"], row["seed"], group_by),
            {name: (row["parts"].get(name) or {}).get("value") for name in composite.components},
        )
        for row in rows
    ]


def _is_scored(file: Path) -> bool:
    """Return whether a file has scores rather than trajectories."""
    try:
        with file.open(encoding="utf-8") as lines:
            first = json.loads(next(lines, "null"))
    except (OSError, ValueError):
        return False
    return isinstance(first, dict) and "parts" in first and "group" in first


def _print_diagnosis(found: Sequence[ComponentDiagnosis], marks: Sequence[Marks]) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table()
    table.add_column("component", overflow="fold")
    for column in ("weight", "correlation", "conflicts", "variance", "failed", "groups"):
        table.add_column(column, justify="right")
    for each in found:
        shares = (_percent(each.conflicts), _percent(each.variance_share), _percent(each.nulls))
        correlation = "-" if each.correlation is None else f"{each.correlation:+.3f}"
        table.add_row(escape(each.name), f"{each.weight:.3g}", correlation, *shares, str(each.informative))
    screen = console()
    screen.print(table)
    screen.print(f"{len(marks)} trajectories in {len({each.group for each in marks})} groups")


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}%"
