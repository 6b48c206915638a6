"""Kinds and recipes are checked before anything starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import pytest

from telegym.core.errors import ConfigurationError
from telegym.core.score import Score
from telegym.rewards import registry
from telegym.rewards.base import Reward, Run
from telegym.rewards.cache import Cached
from telegym.rewards.combination import GateProduct, Normalised, Weighted
from telegym.rewards.recipe import RewardRecipe, load_reward_recipe, reward_recipe_names
from telegym.rewards.registry import make_reward, register_reward, reward_class, reward_kinds, reward_settings
from telegym.rewards.verdict import View
from tests.rewards.parts import toy_run


class Configured(Reward):
    """Takes settings of all sorts, and waits."""

    name = "configured"
    waits = True

    def __init__(
        self, file: Path, view: View = View.ORACLE, json: Literal[1, 2] = 1, weights: Mapping[str, float] | None = None
    ) -> None:
        self.settings = (file, view, json, weights)
        self.asked = 0

    def score(self, runs: Sequence[Run]) -> list[Score]:
        self.asked += len(runs)
        return [Score(value=0.5) for _ in runs]


class NotOne:
    """No reward."""


SHIPPED = [kind for kind in reward_kinds() if registry._ENTRY_POINTS[kind].startswith("telegym.")]


@pytest.fixture(autouse=True)
def more_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_ENTRY_POINTS", registry._ENTRY_POINTS.copy())
    register_reward("configured", f"{__name__}:Configured")
    register_reward("not-one", f"{__name__}:NotOne")
    register_reward("nowhere", "telegym.nowhere:Nothing")


@pytest.mark.parametrize("kind", SHIPPED)
def test_every_kind_can_be_imported_and_says_what_it_takes(kind: str) -> None:
    cls = reward_class(kind)
    assert (cls.__doc__ or "").strip()
    for name, parameter in reward_settings(kind).items():
        assert parameter.kind is not parameter.VAR_KEYWORD
        assert parameter.annotation is not parameter.empty
        assert f"{name}:" in (cls.__doc__ or ""), f"{kind} does not document {name}"


def test_settings_are_converted_and_checked() -> None:
    made = make_reward("configured", file="x", view="observable", json=2, weights={"a": 1})
    assert isinstance(made, Configured)
    assert made.settings == (Path("x"), View.OBSERVABLE, 2, {"a": 1.0})


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("outcom", {}, "no reward of kind 'outcom'; .* Did you mean 'outcome'"),
        ("outcome", {"parts": "value"}, "unknown key 'parts'; valid here: part, scoring. Did you mean 'part'"),
        ("configured", {}, "file: Field required"),
        ("configured", {"file": "x", "view": "orcle"}, "view: .*'oracle' or 'observable'"),
        ("configured", {"file": "x", "json": 3}, "json: Input should be 1 or 2"),
        ("not-one", {}, "is no subclass of Reward"),
        (":", {}, "cannot be imported: Empty module name"),
        (f"{__name__}:Configurd", {}, "has no attribute 'Configurd'"),
        ("nowhere", {}, "cannot be imported: No module named 'telegym.nowhere'"),
    ],
)
def test_mistakes_are_named(kind: str, settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make_reward(kind, **settings)


def test_a_class_can_be_named_itself() -> None:
    made = make_reward(f"{__name__}:Configured", file="x")
    assert isinstance(made, Configured)


def test_names_are_taken_once() -> None:
    register_reward("configured", f"{__name__}:Configured")
    with pytest.raises(ConfigurationError, match="'configured' is already"):
        register_reward("configured", "a:b")
    with pytest.raises(ConfigurationError, match="not of the form module:class"):
        register_reward("third", "a.b")


@pytest.mark.parametrize("name", reward_recipe_names())
def test_shipped_recipes_can_be_built_and_survive_a_round_trip(name: str, tmp_path: Path) -> None:
    recipe = load_reward_recipe(name)
    file = tmp_path / "recipe.yaml"
    file.write_text(recipe.to_yaml(), "utf-8")
    assert load_reward_recipe(file) == recipe
    built = recipe.build()
    assert set(recipe.combine.weights()) <= set(built.components)


def test_a_recipe_scores() -> None:
    recipe = load_reward_recipe("form", ["combine.costs.format=0.5"])
    scores = recipe.build().score([toy_run(0), toy_run(0, wrong=True), toy_run(0, turns=1)])
    assert [score.value for score in scores] == pytest.approx([1.0, 1 - 0.5 / 3, 0.0])


def test_combinations_are_chosen_by_kind() -> None:
    rewards = {"outcome": {"kind": "outcome"}}
    for cls in (GateProduct, Weighted, Normalised):
        kind = cls.model_fields["kind"].default
        recipe = RewardRecipe.parse({"rewards": rewards, "combine": {"kind": kind}}, "x")
        assert recipe.combine == cls() and recipe.build().combination == cls()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("combine.alfa=1", "unknown key 'combine.alfa'; .* Did you mean 'alpha'"),
        ("combine.alpha=2", r"combine.alpha: .*less than or equal to 1 \(it is 2\)"),
        ("combine.kind=gate", "combine.kind: no 'gate'; valid: gate_product, weighted, normalised"),
        ("combine.rescue.betta=1", "unknown key 'combine.rescue.betta'; .* Did you mean 'beta'"),
        ("rewards={}", "rewards: .*at least 1 item"),
        ("rewards.format.kind=null", "component 'format' has no kind"),
        ("rewards.format.windw=3", "component 'format': reward 'format': unknown key 'windw'"),
        ("rewards.format.window=0", "component 'format': a repetition needs a window"),
        ("combine.outcome=outcom", "no component 'outcom'; .* Did you mean 'outcome'"),
        ("fallback.format=[outcme]", "fallback.format: no component 'outcme'"),
        ("cached=[formt]", "cached: no component 'formt'; .* Did you mean 'format'"),
        ("nothing", "override 'nothing' is not of the form KEY=VALUE"),
        ("batch={", "the value is not YAML"),
    ],
)
def test_mistakes_in_recipes_are_named(override: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load_reward_recipe("form", [f"cache={tmp_path}", override]).build()


@pytest.mark.parametrize(
    ("text", "message"), [("- 1", "not a list"), ("a: [", "not YAML"), ("", "rewards: Field required")]
)
def test_files_that_are_no_recipes(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(text, "utf-8")
    with pytest.raises(ConfigurationError, match=message):
        load_reward_recipe(file)
    with pytest.raises(ConfigurationError, match="Did you mean 'outcome'"):
        load_reward_recipe("outcom")


def test_those_that_wait_are_cached_where_a_folder_is_given(tmp_path: Path) -> None:
    data = {
        "rewards": {"outcome": {"kind": "outcome"}, "judge": {"kind": "configured", "file": "x"}},
        "combine": {"kind": "gate_product", "quality": {"judge": 1.0}},
        "cache": str(tmp_path / "cache"),
    }
    runs = [toy_run(0), toy_run(1)]
    scores, asked = [], []
    for _ in range(2):
        built = RewardRecipe.parse(data, "x").build()
        scores.append(built.score(runs))
        judge = built.components["judge"]
        assert isinstance(judge, Cached) and isinstance(judge.reward, Configured)
        asked.append(judge.reward.asked)
        assert not isinstance(built.components["outcome"], Cached)
    assert scores[0] == scores[1] and asked == [2, 0]
    both = RewardRecipe.parse({**data, "cached": ["outcome"]}, "x").build()
    assert [isinstance(each, Cached) for each in both.components.values()] == [True, False]
