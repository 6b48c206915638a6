"""What a chain does: its stages as whole recipes, found out and checked before anything starts."""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from telegym.core.errors import ConfigurationError, did_you_mean

if TYPE_CHECKING:
    from telegym.agents.training.recipe import Recipe

__all__ = ["StagePlan", "merged", "plan_stages", "resolved"]

_NAME = re.compile(r"^[a-z0-9][a-z0-9-]*$")
_CHAIN = ("stages", "between", "kind")
_REFERENCE = "stage:"


@dataclass(frozen=True, slots=True)
class StagePlan:
    """One stage."""

    name: str
    """Its name in the chain."""
    folder: str
    """Its folder in that of the chain."""
    recipe: Recipe
    """What it does; its model is that of the stage before unless it names one."""
    own_model: bool
    """Whether it names a model of its own."""


def plan_stages(recipe: Recipe) -> tuple[StagePlan, ...]:
    """Return the stages of a chain.

    Args:
        recipe: A recipe of kind `stages`.

    Raises:
        ConfigurationError: If a stage is wrong; the message names it.
    """
    plans: list[StagePlan] = []
    for number, entry in enumerate(recipe.stages):
        plans.append(_plan(recipe, number, entry, [plan.name for plan in plans]))
    return tuple(plans)


def _plan(recipe: Recipe, number: int, entry: Mapping[str, Any], earlier: Sequence[str]) -> StagePlan:
    where = f"stages.{number}"
    kinds = [kind for kind in typing.get_args(type(recipe).model_fields["kind"].annotation) if kind != "stages"]
    kind = entry.get("kind")
    if kind not in kinds:
        hint = did_you_mean(str(kind), kinds)
        raise ConfigurationError(f"{where}.kind is {kind!r}; valid: {', '.join(kinds)}.{hint}")
    name = str(entry.get("name", kind))
    if name in earlier:
        raise ConfigurationError(f"{where}: there is a stage {name!r} already; give one of them another `name`")
    if not _NAME.match(name):
        raise ConfigurationError(f"{where}.name is {name!r}; valid are small letters, digits and hyphens")
    given = {key: value for key, value in entry.items() if key != "name"}
    for key in ("stages", "between"):
        if key in given:
            raise ConfigurationError(f"{where}: a stage has no {key!r} of its own")
    common = {key: value for key, value in recipe.model_dump(mode="json").items() if key not in _CHAIN}
    own_model = "name" in (given.get("model") or {})
    if kind != "evaluation":  # a chain evaluates by itself
        common["evaluation"] = {**common["evaluation"], "sets": {}}
    whole = type(recipe).parse(merged(type(recipe), common, given), where)
    for reference in _references(whole):
        if reference not in earlier:
            hint = did_you_mean(reference, earlier)
            there = ", ".join(earlier) or "none"
            raise ConfigurationError(f"{where}: no earlier stage {reference!r}; there are: {there}.{hint}")
    return StagePlan(name, f"{number + 1}-{name}", whole, own_model)


def merged(cls: type[BaseModel], common: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return common settings with a stage's own: groups of settings are merged, anything else is replaced.

    Args:
        cls: The model that describes them.
        common: The settings of all stages.
        given: Those of one stage; unknown keys stay, to be refused.
    """
    found = dict(common)
    for key, value in given.items():
        group = _group(cls, key)
        before = found.get(key)
        if group is not None and isinstance(value, Mapping) and isinstance(before, Mapping):
            found[key] = merged(group, before, value)
        else:
            found[key] = value
    return found


def _group(cls: type[BaseModel], key: str) -> type[BaseModel] | None:
    """Return the group of settings that a key names, if it names one."""
    field = cls.model_fields.get(key)
    options = [] if field is None else [field.annotation, *typing.get_args(field.annotation)]
    return next((each for each in options if isinstance(each, type) and issubclass(each, BaseModel)), None)


def _references(recipe: Recipe) -> list[str]:
    named = (recipe.model.name, recipe.distillation.teacher)
    return [name.removeprefix(_REFERENCE) for name in named if name.startswith(_REFERENCE)]


def resolved(plan: StagePlan, before: str | None, models: Mapping[str, str]) -> Recipe:
    """Return the recipe of a stage with the models that earlier stages left.

    Args:
        plan: The stage.
        before: The model of the stage before; None for the first one.
        models: Models of earlier stages by name.
    """
    recipe = plan.recipe
    name = recipe.model.name if plan.own_model or before is None else before
    teacher = recipe.distillation.teacher
    return recipe.model_copy(
        update={
            "model": recipe.model.model_copy(update={"name": _found(name, models)}),
            "distillation": recipe.distillation.model_copy(update={"teacher": _found(teacher, models)}),
        }
    )


def _found(name: str, models: Mapping[str, str]) -> str:
    return models[name.removeprefix(_REFERENCE)] if name.startswith(_REFERENCE) else name
