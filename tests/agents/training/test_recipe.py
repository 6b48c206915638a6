"""Recipes are checked before anything starts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from telegym.agents.training.recipe import Recipe, load_recipe, recipe_names
from telegym.core.errors import ConfigurationError
from telegym.envs.registry import make_environment
from telegym.rewards.recipe import load_reward_recipe


@pytest.mark.parametrize("name", recipe_names())
def test_shipped_recipes_are_valid_and_survive_a_round_trip(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    file = tmp_path / "config.yaml"
    file.write_text(recipe.to_yaml(), "utf-8")
    assert load_recipe(file) == recipe
    for options in ({}, *recipe.evaluation.sets.values()):
        if options.get("data", "") is not None:
            make_environment(recipe.environment.id, **{**recipe.environment.options, **options})


def test_every_setting_is_documented() -> None:
    def undocumented(model: type) -> list[str]:
        lines = Path(__import__(model.__module__, fromlist=["x"]).__file__ or "").read_text("utf-8")
        return [name for name in getattr(model, "model_fields", {}) if f"    {name}: " not in lines]

    assert undocumented(Recipe) == []


def test_unknown_keys_name_the_nearest_one() -> None:
    with pytest.raises(ConfigurationError) as error:
        load_recipe("nano", ["grpo.learning_rat=1", "model.adapter.ranc=3"])
    text = str(error.value)
    assert "unknown key 'grpo.learning_rat'" in text
    assert "Did you mean 'learning_rate'?" in text
    assert "Did you mean 'rank'?" in text


def test_wrong_values_are_named() -> None:
    with pytest.raises(ConfigurationError, match=r"grpo.group_size: .*greater than or equal to 2 \(it is 1\)"):
        load_recipe("nano", ["grpo.group_size=1"])


def test_unknown_recipes_name_the_nearest_one() -> None:
    with pytest.raises(ConfigurationError, match="Did you mean 'nano-sft'"):
        load_recipe("nano-sfd")


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("grpo.learning_rate=1e-4", ("grpo", "learning_rate"), 1e-4),
        ("model.adapter={rank: 4, alpha: 8}", ("model", "adapter", "rank"), 4),
        ("evaluation.sets.benchmark.data=/somewhere", ("evaluation", "sets", "benchmark", "data"), "/somewhere"),
        ("grpo.trl.beta=0.01", ("grpo", "trl", "beta"), 0.01),
        ("model.adapter=null", ("model", "adapter"), None),
    ],
)
def test_every_value_can_be_overridden(override: str, path: tuple[str, ...], value: object) -> None:
    data: object = load_recipe("nano", [override]).model_dump()
    for key in path:
        assert isinstance(data, dict)
        data = data[key]
    assert data == value


@pytest.mark.parametrize("override", ["grpo.steps", "seed.deep=1"])
def test_malformed_overrides_are_refused(override: str) -> None:
    with pytest.raises(ConfigurationError, match=r"override|seed"):
        load_recipe("nano", ["seed=3", override])


def test_a_recipe_is_a_mapping(tmp_path: Path) -> None:
    file = tmp_path / "list.yaml"
    file.write_text("- 1\n", "utf-8")
    with pytest.raises(ConfigurationError, match="not a list"):
        load_recipe(file)


def test_limits_of_training_episodes_are_checked() -> None:
    assert load_recipe("nano", ["rollout.limits={errors_in_row: 3}"]).rollout.limits == {"errors_in_row": 3}
    with pytest.raises(ConfigurationError, match=r"no limit 'error_in_row'.*errors_in_row"):
        load_recipe("nano", ["rollout.limits={error_in_row: 3}"])
    with pytest.raises(ConfigurationError, match="greater than 0"):
        load_recipe("nano", ["rollout.limits={turns: 0}"])


def test_a_rewards_recipe_is_read_when_it_is_named_and_kept_whole() -> None:
    recipe = load_recipe("nano", ["grpo.reward=null", "grpo.rewards=form"])
    assert recipe.grpo.rewards == load_reward_recipe("form")
    assert Recipe.parse(yaml.safe_load(recipe.to_yaml()), "again") == recipe


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["grpo.rewards=form"], "`reward` and `rewards` exclude each other; for `rewards` set `reward` to null"),
        (["grpo.rewards=fom"], "grpo.rewards: no recipe 'fom'.* Did you mean 'form'"),
        (["grpo.reward=null", "grpo.rewards={rewards: {o: {}}}"], "grpo.rewards.rewards: component 'o' has no kind"),
    ],
)
def test_a_wrong_rewards_recipe_is_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load_recipe("nano", overrides)


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    both = ((key, below.get(key), value) for key, value in above.items())
    return below | {
        key: _over(old, new) if isinstance(old, dict) and isinstance(new, dict) else new for key, old, new in both
    }


def test_recipes_in_the_documents_are_valid() -> None:
    page = Path(__file__).parents[3] / "docs" / "training.md"
    blocks = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", page.read_text("utf-8"), re.DOTALL)]
    recipes = [block for block in blocks if block.keys() <= Recipe.model_fields.keys()]
    assert len(recipes) > 5
    for block in recipes:
        Recipe.parse(_over(load_recipe("nano").model_dump(mode="json"), block), str(page))
