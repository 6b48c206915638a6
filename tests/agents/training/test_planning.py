"""What the plan says is what the model has, the tokenizer counts and the recipe asks for."""

from __future__ import annotations

import json
import re
import shlex
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig, Qwen2Config
from typer.testing import CliRunner

from telegym.agents.local import load_tokenizer, model_folder
from telegym.agents.prompting import ChatCodec
from telegym.agents.training.planning import make_plan, plan_lines
from telegym.agents.training.planning.architecture import architecture_of, known_models, of_config
from telegym.agents.training.planning.memory import GIB, Load, estimate_memory
from telegym.agents.training.recipe import ModelSettings, Recipe, load_recipe, recipe_names
from telegym.cli.app import app
from telegym.core.episode import Episode
from telegym.core.errors import ConfigurationError
from telegym.envs.registry import make_environment, register_environment

from .conftest import SHAPE
from .toy_trainer import Policy

RECIPES = Path(__file__).resolve().parents[3] / "telegym" / "agents" / "training" / "recipes"
PUBLISHED = {
    "Qwen/Qwen3-0.6B": 596_049_920,
    "Qwen/Qwen3-1.7B": 1_720_574_976,
    "Qwen/Qwen3-4B": 4_022_468_096,
    "Qwen/Qwen3-8B": 8_190_735_360,
    "meta-llama/Llama-3.1-8B-Instruct": 8_030_261_248,
}
"""Parameters that model cards state in full."""
TOY = {
    "environment": {"id": "toy-units", "train": {"tasks": 200}},
    "evaluation": {"sets": {"held-out": {"tasks": 6}}},
}


@pytest.fixture(scope="module", autouse=True)
def registered() -> None:
    register_environment("toy-units", "tests.agents.training.toy:ToyEnvironment")


def on_no_device(config: Any) -> Any:
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config)


@pytest.mark.parametrize("name", ["nano", "nano-base-station"])
def test_the_parameters_of_shipped_policies_are_counted(name: str) -> None:
    shape, source = architecture_of(ModelSettings(name=name))
    assert shape is not None
    assert source == "config.json"
    assert shape.parameters == on_no_device(AutoConfig.from_pretrained(model_folder(name))).num_parameters()


@pytest.mark.parametrize(
    "config",
    [
        Qwen2Config(vocab_size=100, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4,
                    num_key_value_heads=2, tie_word_embeddings=False),
        LlamaConfig(vocab_size=100, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
                    num_key_value_heads=4, head_dim=16, tie_word_embeddings=True),
    ],
    ids=["biased", "plain"],
)  # fmt: skip
def test_the_parameters_of_other_families_are_counted(config: Any) -> None:
    shape = of_config(config.to_dict())
    assert shape is not None
    assert shape.parameters == on_no_device(config).num_parameters()


def test_a_new_model_has_the_parameters_of_its_recipe(taught: Policy) -> None:
    shape, source = architecture_of(ModelSettings(name="new", shape=SHAPE))
    assert shape is not None
    sized = shape.model_copy(update={"vocabulary": taught.model.config.vocab_size})
    assert (sized.parameters, source) == (taught.model.num_parameters(), "recipe")


def test_known_models_have_the_parameters_that_were_published() -> None:
    known = known_models()
    assert {name: known[name].parameters for name in PUBLISHED} == PUBLISHED


def test_adapters_are_counted() -> None:
    shape = known_models()["Qwen/Qwen3-4B"]
    assert shape.adapter_parameters(16) == 33_030_144
    assert shape.adapter_parameters(16, ["q_proj"]) == 36 * 16 * (2560 + 4096)


def test_lengths_are_those_of_the_tokenizer() -> None:
    recipe = load_recipe("nano")
    plan = make_plan(recipe, "nano")
    environment = make_environment("tau2-telecom", **{**recipe.environment.options, **recipe.environment.train})
    codec = ChatCodec(load_tokenizer("nano"), recipe.prompt)
    count = len(environment.tasks)
    prompts = [len(codec.prompt(Episode(environment, environment.tasks[index * count // 8]))) for index in range(8)]
    assert plan.lengths.source == "tokenizer"
    assert plan.lengths.longest_prompt == max(prompts)
    assert plan.lengths.prompt == sum(prompts) / 8
    assert plan.work.tokens == 45 * 64 * (plan.lengths.prompt + plan.lengths.completion)
    assert (plan.work.episodes, plan.work.tasks, plan.work.evaluated) == (45 * 64, 360, 600)
    assert plan.launch == ("telegym train --recipe nano",)
    assert plan.warnings == ()


def toy(**changes: Any) -> Recipe:
    return Recipe.model_validate({**TOY, **changes})


def test_what_does_not_fit_is_named() -> None:
    plan = make_plan(toy(rollout={"context": 40, "turn_tokens": 30}))
    assert any("rollout.context: 40 is too short for a prompt of" in each for each in plan.warnings)
    plan = make_plan(toy(grpo={"groups": 3, "group_size": 4}, launch={"processes": 5}))
    assert "12 rollouts of a step cannot be split into batches of all on 5 processes" in plan.warnings
    plan = make_plan(toy(model={"name": "Qwen/Qwen3-8B"}), memory=24.0)
    assert any("does not fit into 24 GiB" in each and "model.adapter" in each for each in plan.warnings)
    plan = make_plan(toy(model={"name": "somebody/something"}))
    assert (plan.memory, plan.disk) == (None, None)
    assert "unknown" in "\n".join(plan_lines(plan))
    assert any("shape of model 'somebody/something' is not known" in each for each in plan.warnings)


def test_sharing_divides_what_is_shared() -> None:
    shape = known_models()["Qwen/Qwen3-8B"]
    load = Load(rows=16, batch=1, tokens=8000, sampled=500)
    lean = {"trl": {"bf16": True, "gradient_checkpointing": True, "use_vllm": True, "vllm_mode": "server"}}
    alone = estimate_memory(toy(model={"name": "Qwen/Qwen3-8B"}, grpo=lean), shape, load, 80 * GIB)
    made = toy(model={"name": "Qwen/Qwen3-8B"}, grpo=lean, launch={"processes": 8, "sharding": "fsdp"})
    parts = estimate_memory(made, shape, load, 80 * GIB)
    states = {"weights", "gradients", "Adam"}
    assert sum(item.optimisation for item in parts.items if item.name in states) == 16 * shape.parameters / 8
    assert parts.peak < alone.peak / 3


def commands(name: str) -> list[list[str]]:
    """Return the overrides of the commands that a recipe names in its comments."""
    text = (RECIPES / f"{name}.yaml").read_text("utf-8")
    found = [shlex.split(line) for line in re.findall(r"^#   (telegym train .*)$", text, re.MULTILINE)]
    return [[value for option, value in pairwise(words) if option == "--set"] for words in found]


@pytest.mark.parametrize("name", ["small", "qwen3-8b", "cluster"])
def test_recipes_fit_the_hardware_they_name(name: str) -> None:
    """All commands of their comments, and the memory stated there."""
    asked = commands(name)
    assert name in recipe_names() and len(asked) == 3
    plans = [make_plan(load_recipe(name, overrides), name, overrides) for overrides in asked]
    text = (RECIPES / f"{name}.yaml").read_text("utf-8")
    for plan in plans:
        assert plan.warnings == ()
        assert plan.memory is not None and plan.memory.given is not None
        assert plan.memory.most.peak < plan.memory.given
    assert plans[0].memory is not None
    most = plans[0].memory.most
    stated = " ".join(text.replace("#", "").split())
    said = (
        f"at most {most.generation / GIB:.1f} GiB while sampling and {most.optimisation / GIB:.1f} GiB while updating"
    )
    assert said in stated
    assert "environment" in " ".join(asked[2])


def test_a_chain_has_a_plan_for_each_stage() -> None:
    chain = load_recipe("nano-stages")
    with pytest.raises(ConfigurationError, match="a plan for each"):
        make_plan(chain)
    steps = [make_plan(stage.recipe).work.steps for stage in chain.plan()]
    assert steps == [40, 20, 10]
    shown = CliRunner().invoke(app, ["train", "--recipe", "nano-stages", "--dry-run"])
    assert shown.exit_code == 0 and shown.output.count("# steps ") == 3 and "# stage rejection" in shown.output
    told = CliRunner().invoke(app, ["train", "--recipe", "nano-stages", "--dry-run", "--json"])
    assert [plan["work"]["steps"] for plan in json.loads(told.output)["plans"].values()] == steps


@pytest.mark.parametrize(("kind", "steps", "episodes"), [("distillation", 80, 256), ("preferences", 20, 256)])
def test_other_kinds_that_play(kind: str, steps: int, episodes: int) -> None:
    recipe = load_recipe("nano-stages").model_copy(update={"kind": kind, "stages": ()})
    work = make_plan(recipe).work
    assert (work.steps, work.episodes) == (steps, episodes)
