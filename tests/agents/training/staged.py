"""What the test of stages on several processes runs in each of them: `python staged.py KIND MODEL FOLDER`."""

from __future__ import annotations

import io
import os
import sys
from typing import Any

os.environ.setdefault("ACCELERATE_USE_CPU", "true")

from rich.console import Console

from telegym.agents.training.recipe import Recipe
from telegym.agents.training.run import train
from telegym.envs.registry import register_environment

SETTINGS: dict[str, dict[str, Any]] = {
    "dagger": {"dagger": {"rounds": 2, "steps": 2, "episodes": 8, "batch_size": 7, "forward_tokens": 600}},
    "sft": {"sft": {"sources": [{"kind": "expert", "count": 12}], "batch_tokens": 500}},
}


def main(kind: str, model: str, folder: str) -> None:
    """Train."""
    register_environment("toy-experts", "tests.agents.training.toy_expert:ExpertToyEnvironment")
    recipe = Recipe.model_validate(
        {
            "kind": kind,
            "threads": 1,
            "model": {"name": model},
            "environment": {"id": "toy-experts", "train": {"tasks": 200}},
            "rollout": {"turn_tokens": 40, "completion_tokens": 400, "context": 1024},
            "evaluation": {"sets": {"held-out": {"tasks": 6}}},
            **SETTINGS[kind],
        }
    )
    train(recipe, name=kind, runs=folder, console=Console(file=io.StringIO()))


if __name__ == "__main__":
    main(*sys.argv[1:])
