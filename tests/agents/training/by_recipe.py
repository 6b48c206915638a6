"""Trains by a recipe without the rest of a run: no evaluations, no report."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from rich.console import Console

from telegym.agents.local import load_model, load_tokenizer
from telegym.agents.prompting import ChatCodec
from telegym.agents.training import reinforce
from telegym.agents.training.context import RunContext
from telegym.agents.training.recipe import Recipe
from telegym.agents.training.run import RunFolder, RunResult

BASE: dict[str, Any] = {
    "threads": 1,
    "environment": {"id": "toy-units", "train": {"tasks": 200}},
    "rollout": {"turn_tokens": 40, "completion_tokens": 200, "context": 1024, "keep": False},
    "evaluation": {"sets": {}},
}
GRPO: dict[str, Any] = {
    "steps": 2,
    "groups": 2,
    "group_size": 4,
    "learning_rate": 1e-3,
    # Parts of a success, so that rollouts differ even where none succeeds.
    "reward": {"value": 1.0, "fixed": 0.5, "careful": 0.25},
}


def recipe(model: str, **grpo: Any) -> Recipe:
    """Return a recipe for the toy domain."""
    environment = grpo.pop("environment", {})
    settings = {
        "model": {"name": model},
        "grpo": {**GRPO, **grpo},
        "environment": {**BASE["environment"], **environment},
    }
    return Recipe.model_validate({**BASE, **settings})


def trainer_of(made: Recipe, folder: Path) -> Any:
    """Return the trainer of a recipe."""
    context = RunContext(made, RunFolder(folder), Console(file=io.StringIO()), RunResult(folder))
    tokenizer = load_tokenizer(made.model.name)
    model = load_model(made.model.name, dtype=context.dtype)
    return reinforce._grpo_trainer(context, model, tokenizer, ChatCodec(tokenizer, made.prompt))


def weights(trainer: Any) -> dict[str, Any]:
    """Return a copy of the weights."""
    return {name: value.detach().clone() for name, value in trainer.model.named_parameters()}


def logged(trainer: Any) -> list[dict[str, Any]]:
    """Return what was logged step by step."""
    return [row for row in trainer.state.log_history if "loss" in row]
