"""Where sources of supervised learning play."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from telegym.agents.training.context import RunContext
from telegym.agents.training.recipe import Recipe, load_recipe
from telegym.agents.training.run import RunFolder, RunResult
from telegym.agents.training.stages.settings import AdvisedSource
from telegym.agents.training.stages.sources import gather
from telegym.core.environment import Environment

from .toy_expert import ExpertToyEnvironment
from .toy_trainer import Policy


class Watched(RunContext):
    """A run that remembers which environments it was asked for."""

    asked: list[dict[str, Any]]

    def environment(self, options: dict[str, Any]) -> Environment:
        self.asked.append({**self.recipe.environment.options, **options})
        return ExpertToyEnvironment(tasks=4)


@pytest.mark.parametrize(
    ("over", "expected"),
    [("options", {"size": 1, "depth": 5}), ("train", {"size": 1, "tasks": 9, "depth": 5})],
)
def test_options_are_added_to_those_of_the_recipe_or_of_its_training(
    over: Any, expected: dict[str, Any], taught: Policy, tmp_path: Path
) -> None:
    source = {"kind": "expert", "count": 2, "over": over, "environment": {"depth": 5}}
    recipe = Recipe.model_validate(
        {
            "kind": "sft",
            "environment": {"options": {"size": 1}, "train": {"tasks": 9, "depth": 2}},
            "sft": {"sources": [source]},
        }
    )
    context = Watched(recipe, RunFolder(tmp_path), Console(file=io.StringIO()), RunResult(tmp_path))
    context.asked = []
    found = gather(context, taught.codec, ExpertToyEnvironment(tasks=4), list)
    assert len(found) == 2 and context.asked == [expected]


def test_the_shipped_chain_gives_all_that_is_published_one_folder(tmp_path: Path) -> None:
    recipe = load_recipe("nano-tau2", ["environment.train.data=FOLDER", "environment.train.fold={of: 2, index: 1}"])
    native, published = (plan.recipe for plan in recipe.plan())
    assert "data" not in native.environment.train and native.environment.train["source"] == "native"
    train = published.environment.train
    assert (train["source"], train["data"], train["fold"]) == ("recombined", "FOLDER", {"of": 2, "index": 1})
    given = [
        {**(train if source.over == "train" else {}), **(source.environment or {})}
        for source in published.sft.sources
        if isinstance(source, AdvisedSource) and source.environment is not None
    ]
    assert [options.get("data") for options in given] == ["FOLDER", None, "FOLDER", None]
    assert given[0]["source"] == "benchmark" and given[0]["fold"] == {"of": 2, "index": 1}
