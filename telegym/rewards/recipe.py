"""Recipes of rewards: which there are, how they are combined, what happens when one fails. YAML, checked first.

A recipe is a file of `recipes/` or of yours. Keys that do not exist are errors that name the nearest one, and every
value can be overridden by its dotted key: `combine.alpha=0.5`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, PositiveInt, field_validator

from telegym.core import settings
from telegym.core.errors import ConfigurationError, did_you_mean
from telegym.core.settings import RecipeSettings, read_recipe
from telegym.rewards.base import Reward
from telegym.rewards.cache import Cached, JsonStore
from telegym.rewards.combination import AnyCombination, GateProduct
from telegym.rewards.compose import Composite, Gate
from telegym.rewards.registry import make_reward

__all__ = ["RewardRecipe", "load_reward_recipe", "reward_recipe_names"]

_PACKAGE = "telegym.rewards"


class RewardRecipe(RecipeSettings):
    """Rewards, and how they become one."""

    rewards: Annotated[dict[str, dict[str, Any]], Field(min_length=1)]
    """Components by name: the `kind` of each, and its settings. A component that the combination does not name is
    reported, and counts nothing."""
    combine: AnyCombination = GateProduct()
    """How their values become one."""
    guards: dict[str, Any] | None = None
    """What looks for attempts at the judge: which (`kind: all`), and settings; null for nothing."""
    fallback: dict[str, list[str]] = Field(default_factory=dict)
    """For a component that may fail, what takes its place, in order: other components, `group_mean` (the rest of its
    group) or `drop` (the run is left out)."""
    cache: str | None = None
    """A folder in which scores are kept, so that equal runs are judged once."""
    cached: list[str] | None = None
    """Whose scores are kept there; null for the components that wait."""
    workers: PositiveInt = 8
    """How many batches are waited for at once."""
    batch: PositiveInt = 16
    """About how many runs a component that waits is asked about at a time."""

    @field_validator("rewards")
    @classmethod
    def _check_kinds(cls, rewards: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for name, component in rewards.items():
            if not isinstance(component.get("kind"), str):
                raise ValueError(f"component {name!r} has no kind; write `{name}: {{kind: …}}`")
        return rewards

    def build(self) -> Composite:
        """Return the composition.

        Raises:
            ConfigurationError: If a kind, a setting or a name is wrong.
        """
        return Composite(
            self._components(),
            self.combine,
            guards=_guards(self.guards),
            fallback=self.fallback,
            workers=self.workers,
            batch=self.batch,
        )

    def _components(self) -> dict[str, Reward]:
        found = {name: _component(name, dict(each)) for name, each in self.rewards.items()}
        if self.cache is None:
            return found
        for name in self.cached or ():
            if name not in found:
                hint = did_you_mean(name, found)
                raise ConfigurationError(f"cached: no component {name!r}; there are {', '.join(found)}.{hint}")
        kept = self.cached if self.cached is not None else [name for name, each in found.items() if each.waits]
        store = JsonStore(self.cache)
        return {name: Cached(each, store, self.rewards[name]) if name in kept else each for name, each in found.items()}

    def to_yaml(self) -> str:
        """Return the recipe, defaults included, as YAML."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def reward_recipe_names() -> tuple[str, ...]:
    """Return the names of the recipes shipped with TeleGym."""
    return settings.recipe_names(_PACKAGE)


def load_reward_recipe(recipe: str | Path, overrides: Sequence[str] = ()) -> RewardRecipe:
    """Read a recipe.

    Args:
        recipe: A name of `reward_recipe_names()`, or a YAML file.
        overrides: `KEY=VALUE` with a dotted key and a YAML value, for example `combine.alpha=0.5`.

    Raises:
        ConfigurationError: If there is no such recipe, or a key or value is wrong.
    """
    return RewardRecipe.parse(read_recipe(recipe, _PACKAGE, overrides), f"rewards recipe {str(recipe)!r}")


def _component(name: str, given: dict[str, Any]) -> Reward:
    kind = given.pop("kind")
    try:
        return make_reward(kind, **given)
    except (ConfigurationError, ValueError) as error:
        raise ConfigurationError(f"component {name!r}: {error}") from error


def _guards(given: Mapping[str, Any] | None) -> Gate | None:
    if given is None:
        return None
    from telegym.rewards.guards import make_guards

    guards: Gate = make_guards(**given)
    return guards
